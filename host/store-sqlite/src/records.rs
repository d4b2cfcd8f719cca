//! Records of services: a head, the record's own fields, and one row per item of its lists.
//!
//! A change to an item reads and writes that item and the small head, nothing else. Items keep their place in the list in
//! `position`; what addresses them is their `id`, or the position as text when they have none.

use std::collections::HashSet;

use rusqlite::Connection;
use serde_json::Value;
use vimhost_model::{Collection, ItemList, Record, RecordChange, RecordId, Revision, Segment};
use vimhost_store::{Error, LeftOut, Page};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, decode, encode, from_sql, parse};
use crate::sql;
use vimhost_store::paging::{cut, rows};

/// A record taken apart into its rows, on the caller's side.
#[derive(Debug)]
pub(crate) struct Parts {
    name: String,
    service: Option<String>,
    document: String,
    items: Vec<ItemPart>,
}

#[derive(Debug)]
struct ItemPart {
    list: ItemList,
    position: i64,
    id: Option<String>,
    document: String,
}

fn what(collection: Collection, id: &RecordId) -> String {
    format!("record {}:{id}", collection.as_str())
}

fn field<'a>(document: &'a Value, key: &str) -> Option<&'a str> {
    document.get(key).and_then(Value::as_str)
}

fn item_id(item: &Value) -> Option<&str> {
    field(item, "id").filter(|id| !id.is_empty())
}

fn position_of(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

impl Parts {
    /// Takes a document apart.
    pub(crate) fn of(collection: Collection, id: &RecordId, mut document: Value) -> Result<Self, Error> {
        let what = || what(collection, id);
        if !document.is_object() {
            return Err(Error::corrupt(what(), "the document is no map"));
        }
        let mut items = Vec::new();
        for &list in collection.lists() {
            let Some(Value::Array(values)) = document.get_mut(list.as_str()) else {
                continue;
            };
            // The empty list stays in the document and marks where the items belong.
            let values = std::mem::take(values);
            let mut ids = HashSet::with_capacity(values.len());
            for (index, value) in values.iter().enumerate() {
                let id = item_id(value);
                if id.is_some_and(|id| !ids.insert(id)) {
                    let reason = format!("two items of '{}' have one id", list.as_str());
                    return Err(Error::corrupt(what(), reason));
                }
                items.push(ItemPart {
                    list,
                    position: position_of(index),
                    id: id.map(str::to_owned),
                    document: encode("an item", value)?,
                });
            }
        }
        Ok(Self {
            name: field(&document, "name").unwrap_or_default().to_owned(),
            service: field(&document, "nsr-id-ref")
                .filter(|_| collection == Collection::Vnfrs)
                .map(str::to_owned),
            document: encode("a record", &document)?,
            items,
        })
    }

    /// Size of its documents.
    pub(crate) fn bytes(&self) -> usize {
        let items: usize = self.items.iter().map(|item| item.document.len()).sum();
        self.document.len().saturating_add(items)
    }
}

fn head(connection: &Connection, collection: Collection, id: &str) -> Outcome<Option<(i64, Revision)>> {
    first(connection, sql::RECORD_HEAD, (collection.as_str(), id), |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?))
    })?
    .map(|(key, revision)| Ok((key, from_sql(revision)?)))
    .transpose()
}

/// The whole document of a record.
fn document(connection: &Connection, key: i64) -> Outcome<Value> {
    let text: String = first(connection, sql::RECORD_DOCUMENT, [key], |row| row.get(0))?
        .ok_or_else(|| Error::corrupt("a record", "it has no document"))?;
    let mut document: Value = decode("a record", &text)?;
    let items = all(connection, sql::RECORD_ITEMS, [key], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    for (list, item) in items {
        if let Some(Value::Array(list)) = document.get_mut(&list) {
            list.push(decode("an item", &item)?);
        }
    }
    Ok(document)
}

pub(crate) fn get(connection: &Connection, collection: Collection, id: &RecordId) -> Outcome<Option<Record>> {
    let Some((key, revision)) = head(connection, collection, id.as_str())? else {
        return Ok(None);
    };
    Ok(Some(Record {
        id: id.clone(),
        document: document(connection, key)?,
        revision,
    }))
}

pub(crate) fn vnfrs_of(connection: &Connection, service: &str) -> Outcome<Vec<Record>> {
    let heads = all(connection, sql::RECORD_OF_SERVICE, [service], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    })?;
    heads
        .into_iter()
        .map(|(key, id, revision)| {
            Ok(Record {
                id: parse("a record", &id)?,
                document: document(connection, key)?,
                revision: from_sql(revision)?,
            })
        })
        .collect()
}

pub(crate) fn services(
    connection: &Connection,
    after: Option<&str>,
    limit: usize,
) -> Outcome<Page<(vimhost_model::NsrId, String)>> {
    let found = all(
        connection,
        sql::SERVICE_PAGE,
        (after.unwrap_or(""), rows(limit)),
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
    )?;
    let services = found
        .into_iter()
        .map(|(id, name)| Ok((parse("a record", &id)?, name)))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(cut(services, limit, |(id, _): &(vimhost_model::NsrId, String)| {
        id.to_string()
    }))
}

pub(crate) fn put(
    connection: &Connection,
    collection: Collection,
    id: &RecordId,
    parts: &Parts,
    expected: Option<Revision>,
) -> Outcome<Revision> {
    let there = head(connection, collection, id.as_str())?;
    if expected.is_some_and(|expected| there.map(|(_, revision)| revision) != Some(expected)) {
        return Err(Error::conflict(what(collection, id)).into());
    }
    let (key, revision) = match there {
        Some((key, revision)) => {
            replace(connection, key, parts)?;
            (key, revision.saturating_add(1))
        }
        None => {
            run(
                connection,
                sql::RECORD_INSERT,
                (collection.as_str(), id.as_str(), &parts.name, &parts.service),
            )?;
            (connection.last_insert_rowid(), 1)
        }
    };
    run(connection, sql::RECORD_DOCUMENT_PUT, (key, &parts.document))?;
    for item in &parts.items {
        run(
            connection,
            sql::RECORD_ITEM_INSERT,
            (key, item.list.as_str(), item.position, &item.id, &item.document),
        )?;
    }
    Ok(revision)
}

/// Head of a record that gets other parts; its old items go.
fn replace(connection: &Connection, key: i64, parts: &Parts) -> Outcome<()> {
    run(connection, sql::RECORD_REPLACE, (key, &parts.name, &parts.service))?;
    run(connection, sql::RECORD_ITEMS_DELETE, [key])?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, collection: Collection, id: &RecordId) -> Outcome<bool> {
    let Some((key, _)) = head(connection, collection, id.as_str())? else {
        return Ok(false);
    };
    run(connection, sql::RECORD_ITEMS_DELETE, [key])?;
    run(connection, sql::RECORD_DOCUMENT_DELETE, [key])?;
    run(connection, sql::RECORD_DELETE, [key])?;
    Ok(true)
}

/// Makes a change. What does not exist is left out; a change that changes nothing leaves the revision as it is.
pub(crate) fn change(connection: &Connection, change: &RecordChange, left_out: &LeftOut) -> Outcome<()> {
    let Some((key, _)) = head(connection, change.collection, change.record.as_str())? else {
        left_out.missing(change.collection.as_str(), change.record.as_str());
        return Ok(());
    };
    match &change.item {
        Some((list, id)) if change.collection.lists().contains(list) => {
            if change_item(connection, key, change, *list, id.as_str())? {
                run(connection, sql::RECORD_TOUCH, [key])?;
            }
            Ok(())
        }
        Some(_) => Ok(()),
        None => change_own_fields(connection, key, change),
    }
}

struct ItemRow {
    key: i64,
    position: i64,
    document: String,
}

fn find_item(connection: &Connection, record: i64, list: ItemList, id: &str) -> Outcome<Option<ItemRow>> {
    let row = |row: &rusqlite::Row<'_>| {
        Ok(ItemRow {
            key: row.get(0)?,
            position: row.get(1)?,
            document: row.get(2)?,
        })
    };
    let by_id = first(connection, sql::RECORD_ITEM_BY_ID, (record, list.as_str(), id), row)?;
    if by_id.is_some() {
        return Ok(by_id);
    }
    match id.parse::<i64>() {
        Ok(position) if position.to_string() == id => first(
            connection,
            sql::RECORD_ITEM_BY_POSITION,
            (record, list.as_str(), position),
            row,
        ),
        _ => Ok(None),
    }
}

/// Whether anything was changed.
fn change_item(connection: &Connection, record: i64, change: &RecordChange, list: ItemList, id: &str) -> Outcome<bool> {
    let Some(row) = find_item(connection, record, list, id)? else {
        return match &change.insert {
            Some(item) => insert_item(connection, record, change, list, id, item.clone()),
            None => Ok(false),
        };
    };
    let mut item: Value = decode("an item", &row.document)?;
    let id_before = item_id(&item).map(str::to_owned);
    change.apply(&mut item);
    let text = encode("an item", &item)?;
    if text == row.document {
        return Ok(false);
    }
    run(connection, sql::RECORD_ITEM_UPDATE, (row.key, &text))?;
    if id_before.as_deref() != item_id(&item) {
        run(connection, sql::RECORD_ITEM_RENAME, (row.key, item_id(&item)))?;
        tracing::debug!(
            list = list.as_str(),
            position = row.position,
            "a change gave an item another id"
        );
    }
    Ok(true)
}

fn insert_item(
    connection: &Connection,
    record: i64,
    change: &RecordChange,
    list: ItemList,
    id: &str,
    mut item: Value,
) -> Outcome<bool> {
    let last = first(connection, sql::RECORD_ITEM_LAST, (record, list.as_str()), |row| {
        row.get::<_, i64>(0)
    })?;
    if last.is_none() && !make_list(connection, record, list)? {
        return Ok(false);
    }
    let position = last.map_or(0, |last| last.saturating_add(1));
    change.apply(&mut item);
    // Without it the same change would append the item again.
    let unnamed = item_id(&item).is_none() && position.to_string() != id;
    if let Some(map) = item.as_object_mut().filter(|_| unnamed) {
        map.insert("id".to_owned(), Value::from(id));
    }
    if item_id(&item).is_some_and(|own| own != id) {
        let reason = format!("an item to be appended to '{}' as '{id}' has another id", list.as_str());
        return Err(Error::corrupt("a change", reason).into());
    }
    run(
        connection,
        sql::RECORD_ITEM_INSERT,
        (
            record,
            list.as_str(),
            position,
            item_id(&item),
            encode("an item", &item)?,
        ),
    )?;
    Ok(true)
}

/// Makes sure that the record has the list. False when something else is in its place: the record's shape is its owner's.
fn make_list(connection: &Connection, record: i64, list: ItemList) -> Outcome<bool> {
    let text: String = first(connection, sql::RECORD_DOCUMENT, [record], |row| row.get(0))?
        .ok_or_else(|| Error::corrupt("a record", "it has no document"))?;
    let mut document: Value = decode("a record", &text)?;
    match document.get(list.as_str()) {
        Some(Value::Array(_)) => return Ok(true),
        None | Some(Value::Null) => {}
        Some(_) => return Ok(false),
    }
    if let Some(map) = document.as_object_mut() {
        map.insert(list.as_str().to_owned(), Value::Array(Vec::new()));
    }
    run(
        connection,
        sql::RECORD_DOCUMENT_PUT,
        (record, encode("a record", &document)?),
    )?;
    Ok(true)
}

/// Whether a change to the record's own fields reaches into a list that is kept in rows.
fn touches_lists(change: &RecordChange) -> bool {
    let paths = change.set.iter().map(|(path, _)| path).chain(&change.unset);
    paths.into_iter().any(|path| match path.0.first() {
        Some(Segment::Key(key)) => change.collection.lists().iter().any(|list| list.as_str() == key),
        Some(Segment::Index(_)) => false,
        None => true,
    })
}

fn change_own_fields(connection: &Connection, key: i64, change: &RecordChange) -> Outcome<()> {
    if touches_lists(change) {
        let mut whole = document(connection, key)?;
        change.apply(&mut whole);
        let parts = Parts::of(change.collection, &change.record, whole)?;
        put(connection, change.collection, &change.record, &parts, None)?;
        return Ok(());
    }
    let text: String = first(connection, sql::RECORD_DOCUMENT, [key], |row| row.get(0))?
        .ok_or_else(|| Error::corrupt("a record", "it has no document"))?;
    let mut own: Value = decode("a record", &text)?;
    change.apply(&mut own);
    let parts = Parts::of(change.collection, &change.record, own)?;
    if parts.document != text {
        run(connection, sql::RECORD_REPLACE, (key, &parts.name, &parts.service))?;
        run(connection, sql::RECORD_DOCUMENT_PUT, (key, &parts.document))?;
    }
    Ok(())
}
