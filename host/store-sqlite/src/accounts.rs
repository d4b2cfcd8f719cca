//! Accounts.

use rusqlite::{Connection, Row};
use vimhost_model::{Revision, TargetId};
use vimhost_store::{Error, Page, StoredAccount};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, decode, from_sql, to_sql};
use crate::sql;
use vimhost_store::paging::{cut, rows};

fn what(target: &str) -> String {
    format!("account {target}")
}

/// The account of a revision and a document.
fn account(revision: i64, document: &str) -> Outcome<StoredAccount> {
    let mut account: StoredAccount = decode("an account", document)?;
    account.revision = from_sql(revision)?;
    Ok(account)
}

fn row(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

pub(crate) fn get(connection: &Connection, target: &str) -> Outcome<Option<StoredAccount>> {
    first(connection, sql::ACCOUNT_GET, [target], row)?
        .map(|(revision, document)| account(revision, &document))
        .transpose()
}

pub(crate) fn page(connection: &Connection, after: Option<&str>, limit: usize) -> Outcome<Page<StoredAccount>> {
    let found = all(
        connection,
        sql::ACCOUNT_PAGE,
        (after.unwrap_or(""), rows(limit)),
        |row| Ok((row.get(1)?, row.get::<_, String>(2)?)),
    )?;
    let accounts = found
        .into_iter()
        .map(|(revision, document)| account(revision, &document))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(cut(accounts, limit, |account| account.target.to_string()))
}

pub(crate) fn put(
    connection: &Connection,
    target: &TargetId,
    document: &str,
    expected: Option<Revision>,
) -> Outcome<Revision> {
    let target = target.to_string();
    let (changed, revision) = match expected {
        None => (run(connection, sql::ACCOUNT_INSERT, (&target, document))?, 1),
        Some(expected) => (
            run(connection, sql::ACCOUNT_UPDATE, (&target, document, to_sql(expected)?))?,
            expected.saturating_add(1),
        ),
    };
    if changed == 0 {
        return Err(Error::conflict(what(&target)).into());
    }
    Ok(revision)
}

pub(crate) fn delete(connection: &Connection, target: &str, expected: Revision) -> Outcome<()> {
    let revision = first(connection, sql::ACCOUNT_REVISION, [target], |row| row.get::<_, i64>(0))?
        .ok_or_else(|| Error::missing(what(target)))?;
    if from_sql(revision)? != expected {
        return Err(Error::conflict(what(target)).into());
    }
    run(connection, sql::ACCOUNT_DELETE, [target])?;
    Ok(())
}

/// Refuses when an account is not there or being removed.
pub(crate) fn stays(connection: &Connection, target: &str) -> Outcome<()> {
    first(connection, sql::ACCOUNT_STAYS, [target], |_| Ok(()))?.ok_or_else(|| Error::conflict(what(target)).into())
}
