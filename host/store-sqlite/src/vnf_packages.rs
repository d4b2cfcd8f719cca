//! VNF packages, and their archives in parts.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, Row};
use vimhost_model::vnf::{PackageOnboardingState, VnfPackage};
use vimhost_model::{Revision, VnfPkgId, VnfdId};
use vimhost_store::{Error, Page, VnfPackages};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, decode, encode, from_sql, to_sql};
use crate::sql;
use crate::store::{SMALL, SqliteStore};
use crate::writer::Done;
use vimhost_store::paging::{cut, rows};

fn what(id: &str) -> String {
    format!("VNF package {id}")
}

fn row(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn of_row((revision, document): (i64, String)) -> Outcome<VnfPackage> {
    let mut package: VnfPackage = decode("a VNF package", &document)?;
    package.revision = from_sql(revision)?;
    Ok(package)
}

/// The VNFD under which a package is found: once it is onboarded.
fn vnfd_of(package: &VnfPackage) -> Option<String> {
    let vnfd = package.vnfd.as_ref()?;
    (package.onboarding_state == PackageOnboardingState::Onboarded).then(|| vnfd.id.to_string())
}

fn put(connection: &Connection, id: &str, vnfd: Option<&str>, document: &str, expected: Revision) -> Outcome<Revision> {
    if let Some(vnfd) = vnfd {
        let holder = first(connection, sql::PACKAGE_VNFD, [vnfd], |row| row.get::<_, String>(0))?;
        if holder.is_some_and(|holder| holder != id) {
            return Err(Error::conflict(format!("the package of VNFD {vnfd}")).into());
        }
    }
    let changed = match expected {
        0 => run(connection, sql::PACKAGE_INSERT, (id, vnfd, document))?,
        expected => run(connection, sql::PACKAGE_UPDATE, (id, vnfd, document, to_sql(expected)?))?,
    };
    if changed == 0 {
        return Err(Error::conflict(what(id)).into());
    }
    Ok(expected.saturating_add(1))
}

fn delete(connection: &Connection, id: &str, expected: Revision) -> Outcome<()> {
    let revision = first(connection, sql::PACKAGE_REVISION, [id], |row| row.get::<_, i64>(0))?
        .ok_or_else(|| Error::missing(what(id)))?;
    if from_sql(revision)? != expected {
        return Err(Error::conflict(what(id)).into());
    }
    run(connection, sql::ARCHIVE_DELETE, [id])?;
    run(connection, sql::PACKAGE_DELETE, [id])?;
    Ok(())
}

#[async_trait]
impl VnfPackages for SqliteStore {
    async fn put_vnf_package(&self, package: &VnfPackage, expected: Revision) -> Result<Revision, Error> {
        let (id, vnfd) = (package.id.clone(), vnfd_of(package));
        let document = encode("a VNF package", package)?;
        self.write(document.len(), move |connection| {
            put(connection, id.as_str(), vnfd.as_deref(), &document, expected).map(Done::quietly)
        })
        .await
    }

    async fn vnf_package(&self, id: &VnfPkgId) -> Result<Option<VnfPackage>, Error> {
        let id = id.clone();
        self.read(move |connection| {
            first(connection, sql::PACKAGE_GET, [id.as_str()], row)?
                .map(of_row)
                .transpose()
        })
        .await
    }

    async fn vnf_package_of(&self, vnfd: &VnfdId) -> Result<Option<VnfPackage>, Error> {
        let vnfd = vnfd.clone();
        self.read(move |connection| {
            first(connection, sql::PACKAGE_OF, [vnfd.as_str()], row)?
                .map(of_row)
                .transpose()
        })
        .await
    }

    async fn vnf_packages(&self, after: Option<&str>, limit: usize) -> Result<Page<VnfPackage>, Error> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| {
            let found = all(connection, sql::PACKAGE_PAGE, (after, rows(limit)), row)?;
            let packages = found.into_iter().map(of_row).collect::<Outcome<Vec<_>>>()?;
            Ok(cut(packages, limit, |package| package.id.to_string()))
        })
        .await
    }

    async fn delete_vnf_package(&self, id: &VnfPkgId, expected: Revision) -> Result<(), Error> {
        let id = id.clone();
        self.write(SMALL, move |connection| {
            delete(connection, id.as_str(), expected).map(Done::quietly)
        })
        .await
    }

    async fn put_archive_part(&self, id: &VnfPkgId, part: u32, bytes: Bytes) -> Result<(), Error> {
        let id = id.clone();
        self.write(bytes.len(), move |connection| {
            run(connection, sql::ARCHIVE_PUT, (id.as_str(), part, &*bytes))?;
            Ok(Done::quietly(()))
        })
        .await
    }

    async fn archive_part(&self, id: &VnfPkgId, part: u32) -> Result<Option<Bytes>, Error> {
        let id = id.clone();
        self.read(move |connection| {
            let content = first(connection, sql::ARCHIVE_GET, (id.as_str(), part), |row| {
                row.get::<_, Vec<u8>>(0)
            })?;
            Ok(content.map(Bytes::from))
        })
        .await
    }
}
