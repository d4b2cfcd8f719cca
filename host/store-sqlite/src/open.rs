//! Opening: lock, schema, threads.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::connection;
use crate::schema::{APPLICATION_ID, MIGRATIONS};

/// How the store uses the machine. The defaults serve a host of some thousand VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Reader threads, each with a connection. More than cores helps only where the file is not in memory.
    pub readers: usize,
    /// Writes that may wait; a caller beyond them waits before it queues. Bounds memory, not throughput.
    pub queue: usize,
    /// Most writes in one commit. A commit of so many takes some milliseconds, which is what the first of them waits.
    pub batch_operations: usize,
    /// Most document bytes in one commit; one more document is taken whatever its size.
    pub batch_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 2,
            queue: 4096,
            batch_operations: 512,
            batch_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Why a store file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by process {holder}: one host per file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Number of the process.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Written by a newer vimhost.
    #[error("{} has schema version {found}, this vimhost knows versions up to {known}: use a newer vimhost", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: usize,
        /// The newest known.
        known: usize,
    },
    /// A SQLite file of another program.
    #[error("{} is not a vimhost store (application id {found:#x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id it has.
        found: i32,
    },
    /// SQLite cannot open or set up the file.
    #[error("cannot open {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// No thread.
    #[error("cannot start a thread of the store")]
    Thread(#[source] io::Error),
}

/// The connections of an open file, its schema up to date.
pub(crate) struct Connections {
    pub(crate) writing: Connection,
    pub(crate) reading: Vec<Connection>,
}

/// Opens the connections and brings the schema up to date. The lock is held already.
pub(crate) fn connections(path: &Path, options: Options) -> Result<Connections, OpenError> {
    // Made here rather than by SQLite, so that nobody else may read it; its companions inherit the mode.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| OpenError::Create {
            path: path.to_owned(),
            source,
        })?;
    let failed = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let mut writing = connection::writing(path).map_err(failed)?;
    let seen = migrate(&mut writing, path)?;
    let reading = (0..options.readers.max(1))
        .map(|_| connection::reading(path).map_err(failed))
        .collect::<Result<Vec<_>, _>>()?;
    tracing::info!(path = %path.display(), schema = MIGRATIONS.len(), migrated_from = seen, "store opened");
    Ok(Connections { writing, reading })
}

/// Runs the migrations that the file has not seen, all in one transaction. Answers how many it had seen.
fn migrate(connection: &mut Connection, path: &Path) -> Result<usize, OpenError> {
    let failed = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let transaction = connection.transaction().map_err(failed)?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if application != APPLICATION_ID && (application != 0 || tables > 0) {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: application,
        });
    }
    let seen = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(seen..) else {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: seen,
            known: MIGRATIONS.len(),
        });
    };
    if !missing.is_empty() {
        for migration in missing {
            transaction.execute_batch(migration).map_err(failed)?;
        }
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(failed)?;
        transaction
            .pragma_update(
                None,
                "user_version",
                i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_program_or_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE theirs(x)")
            .unwrap();
        assert!(matches!(
            connections(&foreign, Options::default()),
            Err(OpenError::Foreign { .. })
        ));

        let path = dir.path().join("vimhost.db");
        drop(connections(&path, Options::default()).unwrap());
        drop(connections(&path, Options::default()).unwrap());
        Connection::open(&path)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            connections(&path, Options::default()),
            Err(OpenError::Newer { found: 99, .. })
        ));
    }
}
