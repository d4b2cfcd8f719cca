//! VNF packages and their archives.

use async_trait::async_trait;
use bytes::Bytes;
use vimhost_model::vnf::VnfPackage;
use vimhost_model::{Revision, VnfPkgId, VnfdId};

use crate::{Error, Page};

/// The part of a store that holds VNF packages.
#[async_trait]
pub trait VnfPackages {
    /// Writes a package. `expected` is the revision it replaces, 0 for a new one. At most one package that is ONBOARDED has a given VNFD id.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision, or when another onboarded package has its VNFD id.
    async fn put_vnf_package(&self, package: &VnfPackage, expected: Revision) -> Result<Revision, Error>;

    /// A package.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnf_package(&self, id: &VnfPkgId) -> Result<Option<VnfPackage>, Error>;

    /// The onboarded package of a VNFD, enabled or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnf_package_of(&self, vnfd: &VnfdId) -> Result<Option<VnfPackage>, Error>;

    /// Packages by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnf_packages(&self, after: Option<&str>, limit: usize) -> Result<Page<VnfPackage>, Error>;

    /// Removes a package at a revision, with its archive.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision, [`Error::Missing`] when there is none.
    async fn delete_vnf_package(&self, id: &VnfPkgId, expected: Revision) -> Result<(), Error>;

    /// Keeps a part of an archive, from 0 on; parts are at most 1 MiB. Writing one again replaces it. They count once the package says
    /// its checksum; what a broken upload left is replaced by the next and goes with the package.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn put_archive_part(&self, id: &VnfPkgId, part: u32, bytes: Bytes) -> Result<(), Error>;

    /// A part of an archive.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn archive_part(&self, id: &VnfPkgId, part: u32) -> Result<Option<Bytes>, Error>;
}
