//! Resource documents, with the columns and side rows that queries need.

use std::borrow::Cow;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use vimhost_model::{
    Item, JournalEntry, RecordChange, Resource, ResourceId, Revision, TargetId, TaskAction, TaskStatus, VimStatus,
};
use vimhost_store::{Change, Claim, Error, JournalWrite, LeftOut, ObservedElement, Page, is_shared};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, decode, encode, from_sql, parse, to_sql};
use crate::{journal, leases, records, sql};
use vimhost_store::paging::{cut, rows};

/// The rows of a resource in the side tables, sorted.
#[derive(Debug, Serialize, Deserialize)]
struct Sides<'a> {
    /// Service and action of its tasks.
    #[serde(borrow)]
    actions: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// What it was made with.
    #[serde(borrow)]
    uses: Vec<Cow<'a, str>>,
    /// Under which common ids it is held.
    #[serde(borrow)]
    commons: Vec<Cow<'a, str>>,
}

/// A resource as its row, made on the caller's side so that the writer only binds.
#[derive(Debug)]
pub(crate) struct Prepared {
    id: String,
    target: String,
    item: Item,
    expected: Revision,
    unsettled: bool,
    made: bool,
    element: Option<String>,
    sides: String,
    document: String,
}

fn what(id: &str) -> String {
    format!("resource {id}")
}

fn sides(resource: &Resource) -> Sides<'_> {
    let mut actions: Vec<_> = resource
        .tasks
        .iter()
        .map(|task| (Cow::from(task.nsr_id.as_str()), Cow::from(task.action_id.as_str())))
        .collect();
    actions.sort_unstable();
    actions.dedup();
    let mut uses: Vec<_> = resource.uses.iter().map(|used| Cow::from(used.as_str())).collect();
    uses.sort_unstable();
    uses.dedup();
    let mut commons = Vec::new();
    if resource.vim.vim_status != Some(VimStatus::Deleted) {
        let held = resource.live_creates().filter_map(|task| task.common_id.as_deref());
        commons.extend(held.map(Cow::from));
        commons.sort_unstable();
        commons.dedup();
    }
    Sides { actions, uses, commons }
}

/// The document of a resource. Its journal has rows of its own.
fn document(resource: &Resource) -> Result<String, Error> {
    if resource.journal.is_empty() {
        return encode("a resource", resource);
    }
    let mut bare = resource.clone();
    bare.journal.clear();
    encode("a resource", &bare)
}

impl Prepared {
    pub(crate) fn of(resource: &Resource) -> Result<Self, Error> {
        let done = |task: &vimhost_model::Task| task.action == TaskAction::Create && task.status == TaskStatus::Done;
        let vim_id = resource.vim.vim_id.as_ref();
        Ok(Self {
            id: resource.id.to_string(),
            target: resource.target.to_string(),
            item: resource.item,
            expected: resource.revision,
            unsettled: resource.has_open_tasks() || resource.observe_at.is_some(),
            made: resource.may_exist(),
            element: vim_id
                .filter(|_| resource.tasks.iter().any(done))
                .map(ToString::to_string),
            sides: encode("a resource", &sides(resource))?,
            document: document(resource)?,
        })
    }

    /// Size of its documents.
    pub(crate) fn bytes(&self) -> usize {
        self.document.len().saturating_add(self.sides.len())
    }
}

/// The hints of a change to a resource: itself, and the actions of its tasks.
pub(crate) fn hints(resource: &Resource) -> Vec<Change> {
    let mut hints = vec![Change::Resource(resource.target.clone(), resource.id.clone())];
    let mut actions: Vec<_> = resource
        .tasks
        .iter()
        .map(|task| (&task.nsr_id, &task.action_id))
        .collect();
    actions.sort_unstable();
    actions.dedup();
    hints.extend(
        actions
            .into_iter()
            .map(|(nsr, action)| Change::Action(nsr.clone(), action.clone())),
    );
    hints
}

/// Key, revision and document of a row.
type ResourceRow = (i64, i64, String);

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<ResourceRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn resource(connection: &Connection, (key, revision, document): ResourceRow) -> Outcome<Resource> {
    let mut resource: Resource = decode("a resource", &document)?;
    resource.revision = from_sql(revision)?;
    resource.journal = journal::list(connection, key)?;
    Ok(resource)
}

pub(crate) fn get(connection: &Connection, id: &str) -> Outcome<Option<Resource>> {
    first(connection, sql::RESOURCE_GET, [id], row)?
        .map(|row| resource(connection, row))
        .transpose()
}

fn by_key(connection: &Connection, key: i64) -> Outcome<Resource> {
    let found = first(connection, sql::RESOURCE_GET_BY_KEY, [key], row)?
        .ok_or_else(|| Error::corrupt("a resource", "an index points to nothing"))?;
    resource(connection, found)
}

fn by_keys(connection: &Connection, keys: Vec<i64>) -> Outcome<Vec<Resource>> {
    keys.into_iter().map(|key| by_key(connection, key)).collect()
}

/// Key and target of a resource.
pub(crate) fn key(connection: &Connection, id: &ResourceId) -> Outcome<(i64, String)> {
    let found = first(connection, sql::RESOURCE_KEY, [id.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    found.ok_or_else(|| Error::missing(what(id.as_str())).into())
}

pub(crate) fn of_service(connection: &Connection, nsr: &str) -> Outcome<Vec<Resource>> {
    let keys = all(connection, sql::RESOURCES_OF_SERVICE, [nsr], |row| row.get(0))?;
    by_keys(connection, keys)
}

pub(crate) fn of_action(connection: &Connection, nsr: &str, action: &str) -> Outcome<Vec<Resource>> {
    let keys = all(connection, sql::RESOURCES_OF_ACTION, (nsr, action), |row| row.get(0))?;
    by_keys(connection, keys)
}

pub(crate) fn shared(connection: &Connection, target: &str, item: Item, common_id: &str) -> Outcome<Option<Resource>> {
    Ok(to_join(connection, target, item, common_id)?.into_iter().next())
}

/// Every resource that is shared under a common id and to be joined, oldest first: where services are planned one after the other, one.
pub(crate) fn to_join(connection: &Connection, target: &str, item: Item, common_id: &str) -> Outcome<Vec<Resource>> {
    let params = (target, item.as_str(), common_id);
    let keys = all(connection, sql::RESOURCE_SHARED, params, |row| row.get(0))?;
    let mut held = by_keys(connection, keys)?;
    held.retain(|resource| is_shared(resource, common_id));
    Ok(held)
}

pub(crate) fn unsettled(
    connection: &Connection,
    target: &str,
    after: Option<&str>,
    limit: usize,
) -> Outcome<Page<Resource>> {
    let params = (target, after.unwrap_or(""), rows(limit));
    let resources = all(connection, sql::RESOURCE_UNSETTLED, params, row)?
        .into_iter()
        .map(|row| resource(connection, row))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(cut(resources, limit, |resource| resource.id.to_string()))
}

pub(crate) fn targets_with_work(connection: &Connection) -> Outcome<Vec<TargetId>> {
    // One seek per target, however many resources it has.
    let mut targets = Vec::new();
    let mut after = String::new();
    while let Some(target) = first(connection, sql::RESOURCE_NEXT_TARGET, [&after], |row| row.get(0))? {
        after = target;
        targets.push(parse("a resource", &after)?);
    }
    Ok(targets)
}

pub(crate) fn elements(
    connection: &Connection,
    target: &str,
    item: Item,
    after: Option<&str>,
    limit: usize,
) -> Outcome<Page<ObservedElement>> {
    let params = (target, item.as_str(), after.unwrap_or(""), rows(limit));
    let found = all(connection, sql::RESOURCE_ELEMENTS, params, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let elements = found
        .into_iter()
        .map(|(resource, vim_id)| {
            Ok(ObservedElement {
                resource: parse("a resource", &resource)?,
                vim_id: parse("a resource", &vim_id)?,
            })
        })
        .collect::<Outcome<Vec<_>>>()?;
    Ok(cut(elements, limit, |element: &ObservedElement| {
        element.resource.to_string()
    }))
}

pub(crate) fn any_made(connection: &Connection, target: &str) -> Outcome<bool> {
    let found = first(connection, sql::RESOURCE_MADE, [target], |row| row.get::<_, i64>(0))?;
    Ok(found.is_some())
}

pub(crate) fn users_of(connection: &Connection, id: &str) -> Outcome<Vec<ResourceId>> {
    all(connection, sql::RESOURCE_USERS, [id], |row| row.get::<_, String>(0))?
        .iter()
        .map(|id| Ok(parse("a resource", id)?))
        .collect()
}

/// What changes the rows of a resource in the side tables, in the order of [`Sides`].
type SideStatements = [&'static str; 3];

const INSERT_SIDES: SideStatements = [
    sql::RESOURCE_ACTION_INSERT,
    sql::RESOURCE_USE_INSERT,
    sql::RESOURCE_COMMON_INSERT,
];

const DELETE_SIDES: SideStatements = [
    sql::RESOURCE_ACTION_DELETE,
    sql::RESOURCE_USE_DELETE,
    sql::RESOURCE_COMMON_DELETE,
];

fn change_sides(
    connection: &Connection,
    [of_action, of_use, of_common]: SideStatements,
    key: i64,
    target: &str,
    item: Item,
    sides: &Sides<'_>,
) -> Outcome<()> {
    for (nsr, action) in &sides.actions {
        run(connection, of_action, (nsr, action, key))?;
    }
    for used in &sides.uses {
        run(connection, of_use, (used, key))?;
    }
    for common_id in &sides.commons {
        run(connection, of_common, (target, item.as_str(), common_id, key))?;
    }
    Ok(())
}

/// Adds a resource with its journal.
pub(crate) fn insert(connection: &Connection, prepared: &Prepared, journal: &[JournalEntry]) -> Outcome<()> {
    if first(connection, sql::RESOURCE_KEY, [&prepared.id], |_| Ok(()))?.is_some() {
        return Err(Error::conflict(what(&prepared.id)).into());
    }
    run(
        connection,
        sql::RESOURCE_INSERT,
        (
            &prepared.id,
            &prepared.target,
            prepared.item.as_str(),
            prepared.unsettled,
            prepared.made,
            &prepared.element,
            &prepared.sides,
            &prepared.document,
        ),
    )?;
    let key = connection.last_insert_rowid();
    let sides: Sides<'_> = decode("a resource", &prepared.sides)?;
    change_sides(connection, INSERT_SIDES, key, &prepared.target, prepared.item, &sides)?;
    journal::take_over(connection, key, journal)
}

/// Replaces a resource at the revision it was read at.
pub(crate) fn replace(connection: &Connection, prepared: &Prepared) -> Outcome<Revision> {
    let revision = to_sql(prepared.expected)?;
    let same = run(
        connection,
        sql::RESOURCE_SAVE_SAME,
        (
            &prepared.document,
            &prepared.id,
            &prepared.target,
            revision,
            prepared.unsettled,
            prepared.made,
            &prepared.element,
            &prepared.sides,
        ),
    )?;
    if same == 0 {
        replace_with_columns(connection, prepared, revision)?;
    }
    Ok(prepared.expected.saturating_add(1))
}

fn replace_with_columns(connection: &Connection, prepared: &Prepared, revision: i64) -> Outcome<()> {
    let (key, target, found, before): (i64, String, i64, String) =
        first(connection, sql::RESOURCE_HEAD, [&prepared.id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .ok_or_else(|| Error::missing(what(&prepared.id)))?;
    if found != revision || target != prepared.target {
        return Err(Error::conflict(what(&prepared.id)).into());
    }
    run(
        connection,
        sql::RESOURCE_SAVE,
        (
            key,
            prepared.unsettled,
            prepared.made,
            &prepared.element,
            &prepared.sides,
            &prepared.document,
        ),
    )?;
    if before != prepared.sides {
        let old: Sides<'_> = decode("a resource", &before)?;
        change_sides(connection, DELETE_SIDES, key, &target, prepared.item, &old)?;
        let new: Sides<'_> = decode("a resource", &prepared.sides)?;
        change_sides(connection, INSERT_SIDES, key, &target, prepared.item, &new)?;
    }
    Ok(())
}

/// Drops a resource with its journal.
pub(crate) fn delete(connection: &Connection, id: &ResourceId, item: Item) -> Outcome<()> {
    let (key, target, before): (i64, String, String) = first(connection, sql::RESOURCE_HEAD, [id.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(3)?))
    })?
    .ok_or_else(|| Error::missing(what(id.as_str())))?;
    let sides: Sides<'_> = decode("a resource", &before)?;
    change_sides(connection, DELETE_SIDES, key, &target, item, &sides)?;
    run(connection, sql::JOURNAL_DELETE, [key])?;
    run(connection, sql::RESOURCE_DELETE, [key])?;
    Ok(())
}

/// A save by the host that holds the claim, with the record fields that show it.
pub(crate) fn save(
    connection: &Connection,
    claim: &Claim,
    prepared: &Prepared,
    resource: &ResourceId,
    record_changes: &[RecordChange],
    writes: Vec<JournalWrite>,
    left_out: &LeftOut,
) -> Outcome<Revision> {
    leases::check(connection, claim, &prepared.target)?;
    let revision = replace(connection, prepared)?;
    journal::write_along(connection, resource, writes)?;
    for change in record_changes {
        records::change(connection, change, left_out)?;
    }
    Ok(revision)
}
