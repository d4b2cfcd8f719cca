//! Journals of resources.
//!
//! A forgotten entry stays as a row: its number is not given again, and forgetting it again is no error. Announcing it again
//! brings it back under its number, because a request follows an announcement and what the request makes must be known. An entry
//! that is begun is begun anew for the same reason: its time is that of its last request.

use rusqlite::{Connection, Row};
use vimhost_model::{JournalEntry, JournalStatus, ResourceId, Timestamp, VimId};
use vimhost_store::{Claim, Error, JournalWrite};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, from_sql, parse, to_sql};
use crate::{leases, resources, sql};

struct EntryRow {
    entry: i64,
    kind: String,
    token: String,
    committed: bool,
    element: Option<String>,
    begun_at: i64,
}

fn row(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow {
        entry: row.get(0)?,
        kind: row.get(1)?,
        token: row.get(2)?,
        committed: row.get(3)?,
        element: row.get(4)?,
        begun_at: row.get(5)?,
    })
}

fn row_and_forgotten(found: &Row<'_>) -> rusqlite::Result<(EntryRow, bool)> {
    Ok((row(found)?, found.get(6)?))
}

fn entry(row: EntryRow) -> Outcome<JournalEntry> {
    Ok(JournalEntry {
        id: from_sql(row.entry)?,
        kind: row.kind,
        token: row.token,
        status: if row.committed {
            JournalStatus::Committed
        } else {
            JournalStatus::Begun
        },
        element: row
            .element
            .map(|element| parse("a journal entry", &element))
            .transpose()?,
        begun_at: Timestamp(row.begun_at),
    })
}

pub(crate) fn list(connection: &Connection, resource: i64) -> Outcome<Vec<JournalEntry>> {
    all(connection, sql::JOURNAL_LIST, [resource], row)?
        .into_iter()
        .map(entry)
        .collect()
}

pub(crate) fn of_resource(connection: &Connection, resource: &ResourceId) -> Outcome<Vec<JournalEntry>> {
    match first(connection, sql::RESOURCE_KEY, [resource.as_str()], |row| row.get(0))? {
        Some(key) => list(connection, key),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn write(
    connection: &Connection,
    claim: &Claim,
    resource: &ResourceId,
    writes: Vec<JournalWrite>,
) -> Outcome<Option<JournalEntry>> {
    let target = claim.target.to_string();
    leases::check(connection, claim, &target)?;
    let (key, resource_target) = resources::key(connection, resource)?;
    if resource_target != target {
        // A claim is no right to another account's elements.
        return Err(Error::Fenced {
            target: resource_target,
        }
        .into());
    }
    let mut last = None;
    for write in writes {
        last = match write {
            JournalWrite::Begin { kind, token, at } => Some(begin(connection, key, kind, token, at)?),
            JournalWrite::Commit { entry, element } => Some(commit(connection, key, resource, entry, &element)?),
            JournalWrite::Forget { entry } => Some(forget(connection, key, resource, entry)?),
            JournalWrite::Drop { entry } => {
                drop_entry(connection, key, entry)?;
                None
            }
        };
    }
    Ok(last)
}

/// Writes what goes with a write of the resource; an entry that is not there is no error.
pub(crate) fn write_along(connection: &Connection, resource: &ResourceId, writes: Vec<JournalWrite>) -> Outcome<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let (key, _) = resources::key(connection, resource)?;
    for write in writes {
        match write {
            JournalWrite::Begin { kind, token, at } => drop(begin(connection, key, kind, token, at)?),
            JournalWrite::Commit { entry, element } => {
                run(connection, sql::JOURNAL_COMMIT, (key, to_sql(entry)?, element.as_str()))?;
            }
            JournalWrite::Forget { entry } => drop(run(connection, sql::JOURNAL_FORGET, (key, to_sql(entry)?))?),
            JournalWrite::Drop { entry } => drop_entry(connection, key, entry)?,
        }
    }
    Ok(())
}

fn begin(connection: &Connection, key: i64, kind: String, token: String, at: Timestamp) -> Outcome<JournalEntry> {
    // The few rows of one resource stand side by side: reading them all is one step, and tells the last number too.
    let rows = all(connection, sql::JOURNAL_ALL, [key], row_and_forgotten)?;
    let last = rows.last().map_or(0, |(row, _)| row.entry);
    let found = rows.into_iter().find(|(row, _)| row.kind == kind && row.token == token);
    let number = match found {
        Some((row, false)) if row.committed => return entry(row),
        Some((row, _)) => {
            run(connection, sql::JOURNAL_BEGIN_ANEW, (key, row.entry, at.0))?;
            row.entry
        }
        None => {
            let number = last.saturating_add(1);
            run(connection, sql::JOURNAL_INSERT, (key, number, &kind, &token, at.0))?;
            number
        }
    };
    entry(EntryRow {
        entry: number,
        kind,
        token,
        committed: false,
        element: None,
        begun_at: at.0,
    })
}

/// Puts in what a new resource begins with.
pub(crate) fn take_over(connection: &Connection, key: i64, entries: &[JournalEntry]) -> Outcome<()> {
    for entry in entries {
        let number = to_sql(entry.id)?;
        run(
            connection,
            sql::JOURNAL_INSERT,
            (key, number, &entry.kind, &entry.token, entry.begun_at.0),
        )?;
        if let (JournalStatus::Committed, Some(element)) = (entry.status, &entry.element) {
            run(connection, sql::JOURNAL_COMMIT, (key, number, element.as_str()))?;
        }
    }
    Ok(())
}

fn drop_entry(connection: &Connection, key: i64, entry: u64) -> Outcome<()> {
    run(connection, sql::JOURNAL_FORGET, (key, to_sql(entry)?))?;
    run(connection, sql::JOURNAL_PURGE, [key])?;
    Ok(())
}

fn find(connection: &Connection, key: i64, resource: &ResourceId, number: u64) -> Outcome<(EntryRow, bool)> {
    first(
        connection,
        sql::JOURNAL_BY_ENTRY,
        (key, to_sql(number)?),
        row_and_forgotten,
    )?
    .ok_or_else(|| Error::missing(format!("journal entry {number} of resource {resource}")).into())
}

fn commit(
    connection: &Connection,
    key: i64,
    resource: &ResourceId,
    number: u64,
    element: &VimId,
) -> Outcome<JournalEntry> {
    let (mut row, forgotten) = find(connection, key, resource, number)?;
    if !forgotten {
        run(connection, sql::JOURNAL_COMMIT, (key, row.entry, element.as_str()))?;
        row.committed = true;
        row.element = Some(element.to_string());
    }
    entry(row)
}

fn forget(connection: &Connection, key: i64, resource: &ResourceId, number: u64) -> Outcome<JournalEntry> {
    let (row, forgotten) = find(connection, key, resource, number)?;
    if !forgotten {
        run(connection, sql::JOURNAL_FORGET, (key, row.entry))?;
    }
    entry(row)
}
