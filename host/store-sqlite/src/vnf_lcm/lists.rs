//! Lists of instances and of occurrences, answered as they are stored.

use rusqlite::{Connection, Row};
use vimhost_store::paging::{cut, rows};
use vimhost_store::{ListQuery, Listed, Page};

use crate::connection::{all, first};
use crate::fault::Outcome;
use crate::sql;

/// The statements that list a table: one entry, and pages of all, by what it is of, by state, by both.
pub(super) struct Lists {
    one: &'static str,
    page: &'static str,
    page_of: &'static str,
    page_in: &'static str,
    page_of_in: &'static str,
}

pub(super) const INSTANCES: Lists = Lists {
    one: sql::VNF_INSTANCE_ONE,
    page: sql::VNF_INSTANCE_PAGE,
    page_of: sql::VNF_INSTANCE_PAGE_OF,
    page_in: sql::VNF_INSTANCE_PAGE_IN,
    page_of_in: sql::VNF_INSTANCE_PAGE_OF_IN,
};

pub(super) const OP_OCCS: Lists = Lists {
    one: sql::OP_OCC_ONE,
    page: sql::OP_OCC_PAGE,
    page_of: sql::OP_OCC_PAGE_OF,
    page_in: sql::OP_OCC_PAGE_IN,
    page_of_in: sql::OP_OCC_PAGE_OF_IN,
};

fn listed_row(row: &Row<'_>) -> rusqlite::Result<Listed> {
    Ok(Listed {
        id: row.get(0)?,
        head: row.get(1)?,
        rest: row.get(2)?,
    })
}

/// The entry of an id, if the rest of the query finds it too.
fn one(connection: &Connection, lists: &Lists, id: &str, query: &ListQuery, after: &str) -> Outcome<Vec<Listed>> {
    let found = first(connection, lists.one, (id, query.whole), |row| {
        Ok((listed_row(row)?, row.get::<_, String>(3)?, row.get::<_, String>(4)?))
    })?;
    let wanted = found.filter(|(entry, of, state)| {
        entry.id.as_str() > after
            && query.of.as_ref().is_none_or(|wanted| wanted == of)
            && (query.states.is_empty() || query.states.contains(state))
    });
    Ok(wanted.into_iter().map(|(entry, _, _)| entry).collect())
}

/// Entries in any of some states: the first of each state, in the order of ids again.
fn in_states(
    connection: &Connection,
    lists: &Lists,
    query: &ListQuery,
    after: &str,
    rows: i64,
) -> Outcome<Vec<Listed>> {
    let mut states: Vec<&str> = query.states.iter().map(String::as_str).collect();
    states.sort_unstable();
    states.dedup();
    let mut found = Vec::new();
    for state in states {
        found.extend(match &query.of {
            None => all(connection, lists.page_in, (after, rows, query.whole, state), listed_row)?,
            Some(of) => {
                let values = (after, rows, query.whole, state, of);
                all(connection, lists.page_of_in, values, listed_row)?
            }
        });
    }
    found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

pub(super) fn list(
    connection: &Connection,
    lists: &Lists,
    query: &ListQuery,
    after: &str,
    limit: usize,
) -> Outcome<Page<Listed>> {
    let rows = rows(limit);
    let found = if let Some(id) = &query.id {
        one(connection, lists, id, query, after)?
    } else if !query.states.is_empty() {
        in_states(connection, lists, query, after, rows)?
    } else if let Some(of) = &query.of {
        all(connection, lists.page_of, (after, rows, query.whole, of), listed_row)?
    } else {
        all(connection, lists.page, (after, rows, query.whole), listed_row)?
    };
    Ok(cut(found, limit, |entry| entry.id.clone()))
}
