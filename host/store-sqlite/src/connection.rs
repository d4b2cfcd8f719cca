//! How a connection is set up, and the short forms in which statements are run.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use crate::fault::Outcome;
use crate::sql;

/// Pages SQLite keeps in memory per connection, in KiB: the leaves of some thousand resources in flight. Less costs reads of the
/// operating system's cache, more costs memory per reader.
const CACHE_KIB: i64 = 16 * 1024;

/// How long to wait for a lock that somebody else holds, a person with the `sqlite3` shell for instance. Longer than a backup
/// needs for its short locks, shorter than the callers' patience.
const BUSY: Duration = Duration::from_secs(5);

/// All statements of [`sql`] fit, so that none is prepared twice.
const CACHED_STATEMENTS: usize = 192;

/// Pages in the log after which the writer moves them into the file: 16 MiB. Below, the same pages are moved again and again;
/// above, the log takes longer to replay at start.
const CHECKPOINT_PAGES: i64 = 4096;

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // Without it SQLite looks at bound values when it plans, and prepares a statement again for each other value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The connection that writes.
pub(crate) fn writing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        tracing::warn!(journal_mode = %mode, "the file system does not carry a write-ahead log; writes are slower");
    }
    // FULL syncs the log at each commit; NORMAL would lose the last commits when the power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Runs a statement that answers no rows; how many rows it changed.
pub(crate) fn run<P: Params>(connection: &Connection, sql: &'static str, params: P) -> Outcome<usize> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// The first row of a query.
pub(crate) fn first<T, P: Params>(
    connection: &Connection,
    sql: &'static str,
    params: P,
    map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Option<T>> {
    Ok(connection.prepare_cached(sql)?.query_row(params, map).optional()?)
}

/// All rows of a query.
pub(crate) fn all<T, P: Params>(
    connection: &Connection,
    sql: &'static str,
    params: P,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, map)?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
}

/// Reads in one snapshot.
pub(crate) fn snapshot<T>(connection: &Connection, read: impl FnOnce(&Connection) -> Outcome<T>) -> Outcome<T> {
    run(connection, sql::BEGIN, [])?;
    let outcome = read(connection);
    run(connection, sql::COMMIT, [])?;
    outcome
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn the_log_is_synced_at_each_commit() {
        let dir = tempfile::tempdir().unwrap();
        let connection = writing(&dir.path().join("x.db")).unwrap();
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        let synchronous: i64 = connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }

    #[test]
    fn no_statement_is_prepared_again_for_other_values() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let connection = writing(&path).unwrap();
        for migration in crate::schema::MIGRATIONS {
            connection.execute_batch(migration).unwrap();
        }
        for (name, sql) in sql::ALL {
            let mut statement = connection.prepare(sql).unwrap();
            let parameters = statement.parameter_count();
            if parameters == 0 {
                continue;
            }
            for value in 1..4 {
                let mut rows = statement
                    .query(rusqlite::params_from_iter(vec![value.to_string(); parameters]))
                    .unwrap();
                // What the values do does not matter here, and some are refused by their column.
                while let Ok(Some(_)) = rows.next() {}
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{name}");
        }
    }
}
