//! VNF packages and their archives.
//!
//! ```text
//! vimhost_vnf_packages  { _id, rev, doc, wrote, vnfd: only while it is onboarded, gone: only while it is being removed }
//! vimhost_vnf_archives  { package, part, bytes }
//! ```
//!
//! One document decides: a unique index holds a VNFD to one onboarded package, and a package that is `gone` is there for nobody. What follows
//! from that, the end of its archive and of the document itself, is done at once; what a crash leaves of it, whoever lists packages next.

use async_trait::async_trait;
use bytes::Bytes;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use vimhost_model::vnf::{PackageOnboardingState, VnfPackage};
use vimhost_model::{Revision, VnfPkgId, VnfdId};
use vimhost_store::{Error, Page, VnfPackages};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, encode, from_db, to_db};
use crate::fields::{number_of, text_of};
use crate::paging::{cut, rows};
use crate::shapes::{self, VNF_PACKAGES};
use crate::store::{Core, MongoStore, unique};

/// Packages whose removal is completed by one listing; more wait for the next.
const COMPLETED_AT_ONCE: i64 = 100;

fn what(id: &VnfPkgId) -> String {
    format!("VNF package {id}")
}

/// A package as it is kept.
fn package_of(document: &Document) -> Outcome<VnfPackage> {
    let mut package: VnfPackage = decode("a VNF package", text_of(document, "doc"))?;
    package.revision = from_db(number_of(document, "rev"))?;
    Ok(package)
}

/// The VNFD under which a package is found: once it is onboarded.
fn vnfd_of(package: &VnfPackage) -> Option<&VnfdId> {
    let vnfd = package.vnfd.as_ref()?;
    (package.onboarding_state == PackageOnboardingState::Onboarded).then_some(&vnfd.id)
}

impl Core {
    async fn write_vnf_package(&self, package: &VnfPackage, expected: Revision) -> Outcome<Revision> {
        let text = encode("a VNF package", package)?;
        let (wrote, vnfd) = (unique(), vnfd_of(package));
        let (written, rev) = match expected {
            0 => {
                let mut new = doc! {"_id": package.id.as_str(), "rev": 1_i64, "doc": text, "wrote": &wrote};
                if let Some(vnfd) = vnfd {
                    new.insert("vnfd", vnfd.as_str());
                }
                (self.db.insert(VNF_PACKAGES, new).await.map(|()| true), 1)
            }
            expected => {
                let expected = to_db(expected)?;
                let next = expected.saturating_add(1);
                let mut set = doc! {"rev": next, "doc": text, "wrote": &wrote};
                let change = match vnfd {
                    Some(vnfd) => {
                        set.insert("vnfd", vnfd.as_str());
                        doc! {"$set": set}
                    }
                    None => doc! {"$set": set, "$unset": {"vnfd": ""}},
                };
                let replace = Statement::of(shapes::vnf_package_at(package.id.as_str(), expected), change);
                (self.db.update(replace).await, next)
            }
        };
        match written {
            Ok(true) => from_db(rev),
            // Another one of its id or of its VNFD, or another revision.
            Ok(false) | Err(Fault::Duplicate(_)) => Err(Error::conflict(what(&package.id)).into()),
            Err(fault) if fault.is_lost() => {
                // The id of the write tells whether it was done.
                match self.db.first(shapes::vnf_package(package.id.as_str())).await? {
                    Some(found) if text_of(&found, "wrote") == wrote => from_db(rev),
                    _ => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    async fn get_vnf_package(&self, query: shapes::Query) -> Outcome<Option<VnfPackage>> {
        let found = self.db.first(query).await?;
        found.as_ref().map(package_of).transpose()
    }

    async fn vnf_package_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<VnfPackage>> {
        if after.is_none() {
            for gone in self.db.all(shapes::vnf_packages_gone(), COMPLETED_AT_ONCE).await? {
                self.complete_removal(text_of(&gone, "_id")).await?;
            }
        }
        let after = after.unwrap_or_default();
        let found = self.db.all(shapes::vnf_packages_after(after), rows(limit)).await?;
        let packages = found.iter().map(package_of).collect::<Outcome<Vec<_>>>()?;
        Ok(cut(packages, limit, |package| package.id.to_string()))
    }

    async fn remove_vnf_package(&self, id: &VnfPkgId, expected: Revision) -> Outcome<()> {
        let end = doc! {"$set": {"gone": true}, "$unset": {"vnfd": ""}};
        let end = Statement::of(shapes::vnf_package_at(id.as_str(), to_db(expected)?), end);
        let ended = match self.db.update(end).await {
            // Whoever asked for this revision to go is content when it is gone.
            Err(fault) if fault.is_lost() => match self.db.first(shapes::vnf_package_gone(id.as_str())).await? {
                Some(found) => number_of(&found, "rev") == to_db(expected)?,
                None => return Err(fault),
            },
            other => other?,
        };
        if !ended {
            let found = self.db.first(shapes::vnf_package(id.as_str())).await?;
            return Err(match found {
                Some(_) => Error::conflict(what(id)),
                None => Error::missing(what(id)),
            }
            .into());
        }
        if let Err(fault) = self.complete_removal(id.as_str()).await {
            // It is decided; the next listing completes it.
            tracing::debug!(package = %id, error = %Error::from(fault), "the archive of a removed VNF package stays for now");
        }
        Ok(())
    }

    /// Removes what a package that is gone has left. The document last: it is what leads here again.
    async fn complete_removal(&self, id: &str) -> Outcome<()> {
        self.db.delete_all(shapes::vnf_archive(id)).await?;
        self.db.delete_all(shapes::vnf_package_gone(id)).await?;
        Ok(())
    }

    async fn write_archive_part(&self, id: &VnfPkgId, part: u32, bytes: &Bytes) -> Outcome<()> {
        let content = Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        };
        let put = Statement {
            upsert: true,
            ..Statement::of(
                shapes::vnf_archive_part(id.as_str(), i64::from(part)),
                doc! {"$set": {"bytes": content}},
            )
        };
        match self.db.update(put.clone()).await {
            // Two at once both find nothing; and writing the same again changes nothing.
            Err(fault) if fault.is_lost() || matches!(fault, Fault::Duplicate(_)) => {
                self.db.update(put).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    async fn get_archive_part(&self, id: &VnfPkgId, part: u32) -> Outcome<Option<Bytes>> {
        let found = self
            .db
            .first(shapes::vnf_archive_part(id.as_str(), i64::from(part)))
            .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        match found.get_binary_generic("bytes") {
            Ok(bytes) => Ok(Some(Bytes::copy_from_slice(bytes))),
            Err(error) => Err(Error::corrupt("a part of an archive", error).into()),
        }
    }
}

#[async_trait]
impl VnfPackages for MongoStore {
    async fn put_vnf_package(&self, package: &VnfPackage, expected: Revision) -> Result<Revision, Error> {
        Ok(self.core.write_vnf_package(package, expected).await?)
    }

    async fn vnf_package(&self, id: &VnfPkgId) -> Result<Option<VnfPackage>, Error> {
        Ok(self.core.get_vnf_package(shapes::vnf_package(id.as_str())).await?)
    }

    async fn vnf_package_of(&self, vnfd: &VnfdId) -> Result<Option<VnfPackage>, Error> {
        Ok(self.core.get_vnf_package(shapes::vnf_package_of(vnfd.as_str())).await?)
    }

    async fn vnf_packages(&self, after: Option<&str>, limit: usize) -> Result<Page<VnfPackage>, Error> {
        Ok(self.core.vnf_package_page(after, limit).await?)
    }

    async fn delete_vnf_package(&self, id: &VnfPkgId, expected: Revision) -> Result<(), Error> {
        Ok(self.core.remove_vnf_package(id, expected).await?)
    }

    async fn put_archive_part(&self, id: &VnfPkgId, part: u32, bytes: Bytes) -> Result<(), Error> {
        Ok(self.core.write_archive_part(id, part, &bytes).await?)
    }

    async fn archive_part(&self, id: &VnfPkgId, part: u32) -> Result<Option<Bytes>, Error> {
        Ok(self.core.get_archive_part(id, part).await?)
    }
}
