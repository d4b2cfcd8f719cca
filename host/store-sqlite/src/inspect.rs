//! A look at a store file from outside: whether it can be used and is whole. It changes nothing, and a host may be running on it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use vimhost_store::StoredAccount;

use crate::accounts;
use crate::open::OpenError;
use crate::schema::{APPLICATION_ID, MIGRATIONS};

/// Faults that are listed: a damaged file has thousands, and the first ones say where.
const MOST_FAULTS: usize = 5;

/// Accounts that are read: enough to see whether the seal key opens what is stored.
const MOST_ACCOUNTS: usize = 100;

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Schema version of the file; the next start brings an older one up to date.
    pub schema: usize,
    /// The version this program writes.
    pub known: usize,
    /// What SQLite's quick check finds; empty when the file is whole.
    pub faults: Vec<String>,
    /// The first accounts, secrets sealed.
    pub accounts: Vec<StoredAccount>,
}

/// Looks at a store file. Blocks; reads the whole file once.
///
/// # Errors
/// When it cannot be opened, is no store, or a newer one.
pub fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let failed = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let connection = reading(path).map_err(failed)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let found = number("application_id").map_err(failed)?;
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found,
        });
    }
    let schema = usize::try_from(number("user_version").map_err(failed)?).unwrap_or(usize::MAX);
    if schema > MIGRATIONS.len() {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: schema,
            known: MIGRATIONS.len(),
        });
    }
    let mut faults = vec![];
    let check = connection.pragma_query(None, "quick_check", |row| {
        let line: String = row.get(0)?;
        if line != "ok" && faults.len() < MOST_FAULTS {
            faults.push(line);
        }
        Ok(())
    });
    // A file that is damaged enough ends the check itself.
    if let Err(error) = check {
        faults.push(error.to_string());
    }
    let accounts = match accounts::page(&connection, None, MOST_ACCOUNTS) {
        Ok(page) => page.entries,
        Err(fault) => {
            faults.push(format!(
                "accounts cannot be read: {}",
                vimhost_store::Error::from(fault)
            ));
            vec![]
        }
    };
    Ok(Inspection {
        schema,
        known: MIGRATIONS.len(),
        faults,
        accounts,
    })
}

/// A connection that cannot write. Without a log beside the file nobody uses it, and SQLite need not make one to read.
fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let nobody = !beside(path, "-wal").exists();
    let encoded: String = path
        .display()
        .to_string()
        .chars()
        .flat_map(|c| match c {
            '%' => vec!['%', '2', '5'],
            '?' => vec!['%', '3', 'f'],
            '#' => vec!['%', '2', '3'],
            other => vec![other],
        })
        .collect();
    let uri = format!("file:{encoded}?mode=ro{}", if nobody { "&immutable=1" } else { "" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use super::*;
    use crate::{Options, SqliteStore};
    use vimhost_store::Store as _;
    use vimhost_store::contract::sample::account;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_is_seen_while_a_host_uses_it_and_after_and_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a #b?.db");
        let store = SqliteStore::open(&path, Options::default()).unwrap();
        store.put_account(account("a"), None).await.unwrap();
        let seen = inspect(&path).unwrap();
        assert_eq!(seen.faults, [] as [String; 0]);
        assert_eq!((seen.schema, seen.accounts.len()), (seen.known, 1));
        store.put_account(account("b"), None).await.unwrap();
        assert_eq!(inspect(&path).unwrap().accounts.len(), 2);
        drop(store);
        let before = std::fs::read(&path).unwrap();
        assert_eq!(inspect(&path).unwrap().accounts.len(), 2);
        assert!(std::fs::read(&path).unwrap() == before);
        assert!(!beside(&path, "-wal").exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_damaged_file_another_programs_and_none_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        assert!(matches!(inspect(&path), Err(OpenError::Sqlite { .. })));
        let store = SqliteStore::open(&path, Options::default()).unwrap();
        store.put_account(account("a"), None).await.unwrap();
        drop(store);
        // All but the first page, which says what the file is.
        let size = std::fs::metadata(&path).unwrap().len();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(4096)).unwrap();
        file.write_all(&vec![0x5a; usize::try_from(size).unwrap() - 4096])
            .unwrap();
        assert!(!inspect(&path).unwrap().faults.is_empty());
        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE theirs(x)")
            .unwrap();
        assert!(matches!(inspect(&foreign), Err(OpenError::Foreign { .. })));
    }
}
