//! The life of a package in the store.
//!
//! ```text
//! CREATED ──upload──► UPLOADING ──all there──► PROCESSING ──good──► ONBOARDED ──delete, DISABLED and not in use──► gone
//!    ▲                    │                        │
//!    └────────────────────┴──broken off, refused───┘   (what was wrong is kept with the package)
//! ```
//!
//! A package that a host left in UPLOADING or PROCESSING when it died is uploaded to like one that is CREATED: each step writes at the
//! revision it read, so that an upload that was overtaken by another ends at its next step. An archive counts by its digest, which is checked
//! when it is read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use vimhost_model::vnf::{
    PackageOnboardingState, PackageOperationalState, PackageUsageState, ProblemDetails, VnfPackage,
};
use vimhost_model::{Timestamp, VnfPkgId, VnfdId, hex};
use vimhost_store::{Page, Store, vnfds_on_their_way};

use crate::MAX_ARCHIVE_BYTES;
use crate::csar::{self, Archive};
use crate::vnfd::{self, Described};

/// Bytes of a part of an archive in the store.
const PART_BYTES: usize = 1 << 20;

/// Archives that are received at a time: each is held in memory, up to its largest size.
const RECEIVED_AT_ONCE: usize = 8;

/// Archives that are unpacked at a time: each is held in memory twice then, and takes a processor.
const READ_AT_ONCE: usize = 4;

/// Bytes of what a client says of a package, with what it said before.
const MAX_USER_DATA_BYTES: usize = 256 << 10;

/// Characters of why an archive is refused. It repeats names that whoever made the archive chose.
const LONGEST_REFUSAL: usize = 1000;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such package, or not what is asked for in it.
    #[error("{0}")]
    NotFound(String),
    /// Not in this state.
    #[error("{0}")]
    Conflict(String),
    /// What a client says of a package is too long.
    #[error("userDefinedData has more than {MAX_USER_DATA_BYTES} bytes")]
    UserData,
    /// The archive is too large.
    #[error("the package has more than {MAX_ARCHIVE_BYTES} bytes")]
    TooLarge,
    /// What is asked for is not to be had in that form.
    #[error("{0}")]
    NotAcceptable(String),
    /// The store holds something it should not.
    #[error("{0}")]
    Internal(String),
    /// The store did not do it.
    #[error("the package cannot be kept or read")]
    Store(#[from] vimhost_store::Error),
}

/// Why an archive is not taken. Kept with the package, for whoever uploaded it.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Archive(#[from] csar::Error),
    #[error(transparent)]
    Vnfd(#[from] vnfd::Error),
    #[error("VNFD {vnfd} is in package {package} already")]
    Taken { vnfd: String, package: String },
    #[error("the package could not be read")]
    Broken,
}

impl Refusal {
    fn problem(&self) -> ProblemDetails {
        let (status, title) = match self {
            Self::Archive(_) => (400, "Bad VNF package"),
            Self::Vnfd(_) => (400, "Bad VNFD"),
            Self::Taken { .. } => (409, "VNFD is there already"),
            Self::Broken => (500, "VNF package not processed"),
        };
        let told = self.to_string().chars().take(LONGEST_REFUSAL).collect::<String>();
        ProblemDetails::titled(status, title, told.replace(char::is_control, " "))
    }
}

/// A package and whether instances are of it, or on their way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageView {
    /// The package.
    pub package: VnfPackage,
    /// Usage.
    pub usage: PackageUsageState,
}

/// What a client changes of a package.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PackageModification {
    /// Enables or disables it.
    pub operational_state: Option<PackageOperationalState>,
    /// Merged into what is there; a null removes (RFC 7396).
    pub user_defined_data: Option<Map<String, Value>>,
}

/// A VNFD in the form that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VnfdContent {
    /// The only document.
    Yaml(Bytes),
    /// All documents, with the metadata that names the main one.
    Zip(Bytes),
}

/// VNF packages.
pub struct Packages {
    store: Arc<dyn Store>,
    /// Packages that this host is taking an upload for.
    uploads: Mutex<BTreeSet<VnfPkgId>>,
    receiving: Semaphore,
    reading: Semaphore,
}

/// An upload that is being taken; over when dropped.
struct Upload<'a> {
    packages: &'a Packages,
    id: VnfPkgId,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.packages.uploading(|uploads| uploads.remove(&self.id));
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Instances are of onboarded packages only.
fn is_onboarded(package: &VnfPackage) -> bool {
    package.onboarding_state == PackageOnboardingState::Onboarded
}

fn unknown(id: &VnfPkgId) -> Error {
    Error::NotFound(format!("there is no VNF package {id}"))
}

impl Packages {
    /// Packages in a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            uploads: Mutex::default(),
            receiving: Semaphore::new(RECEIVED_AT_ONCE),
            reading: Semaphore::new(READ_AT_ONCE),
        }
    }

    fn uploading<T>(&self, what: impl FnOnce(&mut BTreeSet<VnfPkgId>) -> T) -> T {
        what(&mut self.uploads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a package that something is to be uploaded to.
    ///
    /// # Errors
    /// [`Error::UserData`]; when the store cannot be written.
    pub async fn create(&self, user_defined_data: Map<String, Value>) -> Result<PackageView, Error> {
        check_user_data(&user_defined_data)?;
        let mut package = VnfPackage {
            id: VnfPkgId::random(),
            onboarding_state: PackageOnboardingState::Created,
            operational_state: PackageOperationalState::Disabled,
            user_defined_data,
            onboarding_failure: None,
            vnfd: None,
            checksum: None,
            size: 0,
            additional_artifacts: Vec::new(),
            software_images: Vec::new(),
            created_at: now(),
            revision: 0,
        };
        package.revision = self.store.put_vnf_package(&package, 0).await?;
        tracing::info!(package = %package.id, "a VNF package was created");
        Ok(PackageView {
            package,
            usage: PackageUsageState::NotInUse,
        })
    }

    async fn get(&self, id: &VnfPkgId) -> Result<VnfPackage, Error> {
        self.store.vnf_package(id).await?.ok_or_else(|| unknown(id))
    }

    /// The VNFDs of packages that instances are on their way to. Asked before [`Packages::view`] asks for instances.
    async fn on_their_way(&self, packages: &[VnfPackage]) -> Result<BTreeSet<VnfdId>, Error> {
        if !packages.iter().any(is_onboarded) {
            return Ok(BTreeSet::new());
        }
        Ok(vnfds_on_their_way(&*self.store).await?)
    }

    async fn view(&self, package: VnfPackage, on_their_way: &BTreeSet<VnfdId>) -> Result<PackageView, Error> {
        let vnfd = package.vnfd.as_ref();
        let is_awaited = vnfd.is_some_and(|vnfd| on_their_way.contains(&vnfd.id));
        let is_used = is_onboarded(&package) && (is_awaited || self.store.package_in_use(&package.id).await?);
        let usage = if is_used {
            PackageUsageState::InUse
        } else {
            PackageUsageState::NotInUse
        };
        Ok(PackageView { package, usage })
    }

    /// A package.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn show(&self, id: &VnfPkgId) -> Result<PackageView, Error> {
        let package = self.get(id).await?;
        let on_their_way = self.on_their_way(std::slice::from_ref(&package)).await?;
        self.view(package, &on_their_way).await
    }

    /// Packages by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Page<PackageView>, Error> {
        let Page { entries, next } = self.store.vnf_packages(after, limit).await?;
        let on_their_way = self.on_their_way(&entries).await?;
        let mut views = Vec::with_capacity(entries.len());
        for package in entries {
            views.push(self.view(package, &on_their_way).await?);
        }
        Ok(Page { entries: views, next })
    }

    /// Writes a package at the revision it was read at.
    async fn put(&self, package: &mut VnfPackage) -> Result<(), Error> {
        match self.store.put_vnf_package(package, package.revision).await {
            Ok(revision) => {
                package.revision = revision;
                Ok(())
            }
            Err(vimhost_store::Error::Conflict { .. }) => Err(Error::Conflict(format!(
                "VNF package {} was changed by somebody else",
                package.id
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes an archive for a package. Answers the package as it is then: ONBOARDED and ENABLED, or CREATED with what was wrong.
    /// `receive` is polled once the package may be uploaded to; it answers the archive, or why it did not come.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is onboarded or somebody else uploads to it; [`Error::TooLarge`]; what `receive`
    /// answers.
    pub async fn upload<E: From<Error>>(
        &self,
        id: &VnfPkgId,
        receive: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<VnfPackage, E> {
        let mut package = self.get(id).await?;
        if package.onboarding_state == PackageOnboardingState::Onboarded {
            return Err(Error::Conflict(format!("VNF package {id} is onboarded already")).into());
        }
        if !self.uploading(|uploads| uploads.insert(id.clone())) {
            return Err(Error::Conflict(format!("VNF package {id} is being uploaded already")).into());
        }
        let _upload = Upload {
            packages: self,
            id: id.clone(),
        };
        package.onboarding_state = PackageOnboardingState::Uploading;
        package.onboarding_failure = None;
        self.put(&mut package).await?;
        // The semaphores are never closed; without a place it would be done all the same.
        let _place = self.receiving.acquire().await.ok();
        let bytes = match receive.await {
            Ok(bytes) if bytes.len() > MAX_ARCHIVE_BYTES => {
                self.give_up(&mut package).await;
                return Err(Error::TooLarge.into());
            }
            Ok(bytes) => bytes,
            Err(error) => {
                self.give_up(&mut package).await;
                return Err(error);
            }
        };
        package.onboarding_state = PackageOnboardingState::Processing;
        self.put(&mut package).await?;
        match self.onboard(&mut package, bytes).await {
            Ok(()) => Ok(package),
            Err(error) => {
                self.give_up(&mut package).await;
                Err(error.into())
            }
        }
    }

    /// The package is as before the upload, if nobody else has it by now.
    async fn give_up(&self, package: &mut VnfPackage) {
        empty(package);
        if let Err(error) = self.put(package).await {
            tracing::debug!(package = %package.id, %error, "an upload that ended stays noted; the next one replaces it");
        }
    }

    /// Reads an archive and keeps it, or keeps why it is refused.
    async fn onboard(&self, package: &mut VnfPackage, bytes: Bytes) -> Result<(), Error> {
        let read = bytes.clone();
        let place = self.reading.acquire().await.ok();
        let described = tokio::task::spawn_blocking(move || describe(&read))
            .await
            .unwrap_or(Err(Refusal::Broken));
        drop(place);
        let (described, checksum) = match described {
            Ok(described) => described,
            Err(refusal) => return self.refuse(package, &refusal).await,
        };
        let vnfd = described.vnfd.id.clone();
        if let Some(other) = self.store.vnf_package_of(&vnfd).await? {
            return self.refuse(package, &taken(&vnfd.to_string(), &other)).await;
        }
        self.keep_archive(&package.id, &bytes).await?;
        package.vnfd = Some(described.vnfd);
        package.software_images = described.software_images;
        package.additional_artifacts = described.additional_artifacts;
        package.checksum = Some(checksum);
        package.size = bytes.len() as u64;
        package.onboarding_state = PackageOnboardingState::Onboarded;
        package.operational_state = PackageOperationalState::Enabled;
        match self.put(package).await {
            Ok(()) => {
                tracing::info!(package = %package.id, %vnfd, bytes = package.size, "a VNF package was onboarded");
                Ok(())
            }
            Err(Error::Conflict(why)) => match self.store.vnf_package_of(&vnfd).await? {
                // Of two packages with one VNFD at once, the other was first.
                Some(other) => {
                    let refusal = taken(&vnfd.to_string(), &other);
                    self.refuse(package, &refusal).await
                }
                None => Err(Error::Conflict(why)),
            },
            Err(error) => Err(error),
        }
    }

    async fn refuse(&self, package: &mut VnfPackage, refusal: &Refusal) -> Result<(), Error> {
        let problem = refusal.problem();
        tracing::info!(package = %package.id, error = %problem.detail, "a VNF package was refused");
        empty(package);
        package.onboarding_failure = Some(problem);
        self.put(package).await
    }

    async fn keep_archive(&self, id: &VnfPkgId, bytes: &Bytes) -> Result<(), Error> {
        let mut rest = bytes.clone();
        let mut part = 0_u32;
        while !rest.is_empty() {
            let next = rest.split_to(rest.len().min(PART_BYTES));
            self.store.put_archive_part(id, part, next).await?;
            part = part.saturating_add(1);
        }
        Ok(())
    }

    /// Enables or disables a package, or changes what its client said of it. Answers what was changed.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not onboarded and is to be enabled or disabled, or is in that state already;
    /// [`Error::UserData`].
    pub async fn update(&self, id: &VnfPkgId, change: PackageModification) -> Result<VnfPackage, Error> {
        let mut package = self.get(id).await?;
        if let Some(state) = change.operational_state {
            if package.onboarding_state != PackageOnboardingState::Onboarded {
                return Err(Error::Conflict(format!("VNF package {id} is not onboarded")));
            }
            if package.operational_state == state {
                return Err(Error::Conflict(format!(
                    "VNF package {id} is in that operational state already"
                )));
            }
            package.operational_state = state;
        }
        for (key, value) in change.user_defined_data.into_iter().flatten() {
            if value.is_null() {
                package.user_defined_data.remove(&key);
            } else {
                package.user_defined_data.insert(key, value);
            }
        }
        check_user_data(&package.user_defined_data)?;
        self.put(&mut package).await?;
        Ok(package)
    }

    /// Removes a package with its archive.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is enabled, in use, or being uploaded to.
    pub async fn delete(&self, id: &VnfPkgId) -> Result<(), Error> {
        // In this order: the package, disabled; the operations that bring an instance to it; its instances; its end at that revision. So an
        // instance that is being made of it or brought to it is seen here, or whoever does so sees that the package is not enabled any more.
        let PackageView { package, usage } = self.show(id).await?;
        if usage == PackageUsageState::InUse {
            return Err(Error::Conflict(format!("VNF package {id} is in use")));
        }
        if package.operational_state == PackageOperationalState::Enabled {
            return Err(Error::Conflict(format!(
                "VNF package {id} is enabled: disable it first"
            )));
        }
        if self.uploading(|uploads| uploads.contains(id)) {
            return Err(Error::Conflict(format!("VNF package {id} is being uploaded to")));
        }
        match self.store.delete_vnf_package(id, package.revision).await {
            Ok(()) => {
                tracing::info!(package = %id, "a VNF package was deleted");
                Ok(())
            }
            Err(vimhost_store::Error::Missing { .. }) => Err(unknown(id)),
            Err(vimhost_store::Error::Conflict { .. }) => Err(Error::Conflict(format!(
                "VNF package {id} was changed by somebody else"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// The archive of a package.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not onboarded; [`Error::Internal`] when what is kept is not what was onboarded.
    pub async fn content(&self, id: &VnfPkgId) -> Result<Bytes, Error> {
        let package = self.get(id).await?;
        let Some(checksum) = package
            .checksum
            .filter(|_| package.onboarding_state == PackageOnboardingState::Onboarded)
        else {
            return Err(Error::Conflict(format!("VNF package {id} is not onboarded")));
        };
        let size = usize::try_from(package.size).unwrap_or(usize::MAX);
        let mut content = BytesMut::with_capacity(size.min(MAX_ARCHIVE_BYTES));
        let mut part = 0_u32;
        while content.len() < size {
            match self.store.archive_part(id, part).await? {
                Some(bytes) if !bytes.is_empty() => content.extend_from_slice(&bytes),
                _ => break,
            }
            part = part.saturating_add(1);
        }
        // A larger archive that was uploaded before and refused may have left more.
        content.truncate(size);
        let content = content.freeze();
        if hex(&Sha256::digest(&content)) != checksum {
            return Err(Error::Internal(format!(
                "the archive of VNF package {id} is not the one that was onboarded"
            )));
        }
        Ok(content)
    }

    /// The VNFD of a package: plain where it is one document and `zip` is false.
    ///
    /// # Errors
    /// As for [`Packages::content`]; [`Error::NotAcceptable`] when plain text is wanted of several documents.
    pub async fn vnfd(&self, id: &VnfPkgId, zip: bool) -> Result<VnfdContent, Error> {
        let _place = self.reading.acquire().await.ok();
        let content = self.content(id).await?;
        let told = id.clone();
        let read = tokio::task::spawn_blocking(move || vnfd_of(&content, zip)).await;
        match read {
            Ok(Ok(Some(content))) => Ok(content),
            Ok(Ok(None)) => Err(Error::NotAcceptable(format!(
                "the VNFD of VNF package {told} has several documents: ask for application/zip"
            ))),
            Ok(Err(reason)) => Err(Error::Internal(format!(
                "the VNFD of VNF package {told} cannot be read: {reason}"
            ))),
            Err(_) => Err(Error::Internal(format!("the VNFD of VNF package {told} was not read"))),
        }
    }

    /// One file of a package.
    ///
    /// # Errors
    /// As for [`Packages::content`]; [`Error::NotFound`] when there is no such file.
    pub async fn artifact(&self, id: &VnfPkgId, path: &str) -> Result<Bytes, Error> {
        let _place = self.reading.acquire().await.ok();
        let content = self.content(id).await?;
        let wanted = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let archive = Archive::read(&content).ok()?;
            archive.file(&wanted).map(Bytes::copy_from_slice)
        })
        .await;
        match read {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(Error::NotFound(format!("VNF package {id} has no file {path}"))),
            Err(_) => Err(Error::Internal(format!("VNF package {id} was not read"))),
        }
    }
}

fn check_user_data(data: &Map<String, Value>) -> Result<(), Error> {
    match serde_json::to_vec(data) {
        Ok(text) if text.len() <= MAX_USER_DATA_BYTES => Ok(()),
        Ok(_) | Err(_) => Err(Error::UserData),
    }
}

/// Nothing was uploaded to it.
fn empty(package: &mut VnfPackage) {
    package.onboarding_state = PackageOnboardingState::Created;
    package.operational_state = PackageOperationalState::Disabled;
    package.vnfd = None;
    package.checksum = None;
    package.size = 0;
    package.software_images = Vec::new();
    package.additional_artifacts = Vec::new();
}

fn taken(vnfd: &str, other: &VnfPackage) -> Refusal {
    Refusal::Taken {
        vnfd: vnfd.to_owned(),
        package: other.id.to_string(),
    }
}

/// What an archive describes, and its digest. Takes a while: not for a thread that serves others.
fn describe(bytes: &[u8]) -> Result<(Described, String), Refusal> {
    let archive = Archive::read(bytes)?;
    let described = vnfd::describe(&archive)?;
    vnfd::check_images(&archive, &described.vnfd)?;
    Ok((described, hex(&Sha256::digest(bytes))))
}

/// The VNFD in an archive; none when it is wanted plain and has several documents.
fn vnfd_of(bytes: &[u8], zip: bool) -> Result<Option<VnfdContent>, String> {
    let archive = Archive::read(bytes).map_err(|error| error.to_string())?;
    let described = vnfd::describe(&archive).map_err(|error| error.to_string())?;
    if !zip {
        let single = described.documents.len() == 1;
        let document = archive.file(archive.entry()).filter(|_| single);
        return Ok(document.map(|text| VnfdContent::Yaml(Bytes::copy_from_slice(text))));
    }
    let files = archive
        .files()
        .filter(|(path, _)| described.documents.contains(*path) || path.starts_with("TOSCA-Metadata/"));
    pack(files).map(|bytes| Some(VnfdContent::Zip(bytes)))
}

/// Files as a zip archive.
fn pack<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Bytes, String> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, content) in files {
        writer
            .start_file(path, zip::write::SimpleFileOptions::default())
            .map_err(|error| error.to_string())?;
        writer.write_all(content).map_err(|error| error.to_string())?;
    }
    let packed = writer.finish().map_err(|error| error.to_string())?;
    Ok(packed.into_inner().into())
}

#[cfg(test)]
mod tests;
