//! Journals of resources, kept in the resource's document.
//!
//! Each write is one atomic step on the document, claim and all, and needs no reading before: the server looks for the entry in the
//! journal it has. It leaves the resource's revision alone. A forgotten entry stays, marked, so that forgetting it again is no error
//! and announcing it again brings it back under its number; the write that ends an operation takes the forgotten ones out with
//! its own. `entries` counts the numbers that were given, so none is given twice.

use mongodb::bson::{Bson, Document, doc};
use vimhost_model::{JournalEntry, JournalStatus, ResourceId, Timestamp, VimId};
use vimhost_store::{Claim, Error, JournalWrite};

use crate::db::Statement;
use crate::fault::{Outcome, from_db, parse, to_db};
use crate::fields::{list_of, number_of, text_of};
use crate::store::Core;
use crate::{leases, resources, shapes};

fn entry(document: &Document) -> Outcome<JournalEntry> {
    let committed = document.get_bool("committed").unwrap_or(false);
    let element = document.get_str("element").ok();
    Ok(JournalEntry {
        id: from_db(number_of(document, "id"))?,
        kind: text_of(document, "kind").to_owned(),
        token: text_of(document, "token").to_owned(),
        status: if committed {
            JournalStatus::Committed
        } else {
            JournalStatus::Begun
        },
        element: element.map(|element| parse("a journal entry", element)).transpose()?,
        begun_at: Timestamp(number_of(document, "begun_at")),
    })
}

fn entries(document: &Document) -> impl Iterator<Item = &Document> {
    list_of(document, "journal").iter().filter_map(Bson::as_document)
}

/// The journal of a resource's document, oldest first.
pub(crate) fn of_document(document: &Document) -> Outcome<Vec<JournalEntry>> {
    let there = entries(document).filter(|entry| !entry.get_bool("forgotten").unwrap_or(false));
    there.map(entry).collect()
}

/// The entries that a new resource begins with.
pub(crate) fn documents(entries: &[JournalEntry]) -> Outcome<Vec<Document>> {
    let document = |entry: &JournalEntry| {
        Ok(doc! {
            "id": to_db(entry.id)?, "kind": &entry.kind, "token": &entry.token,
            "committed": entry.status == JournalStatus::Committed,
            "element": entry.element.as_ref().map(VimId::as_str), "begun_at": entry.begun_at.0, "forgotten": false,
        })
    };
    entries.iter().map(document).collect()
}

/// How many numbers they take.
pub(crate) fn last_number(entries: &[JournalEntry]) -> Outcome<i64> {
    to_db(entries.iter().map(|entry| entry.id).max().unwrap_or(0))
}

fn literal(text: &str) -> Document {
    doc! {"$literal": text}
}

/// The journal with `set` in the entries where `when` holds; `$$this` is the entry.
fn with(when: Document, set: Document) -> Document {
    let changed = doc! {"$cond": [when, {"$mergeObjects": ["$$this", set]}, "$$this"]};
    doc! {"$map": {"input": "$journal", "as": "this", "in": changed}}
}

/// Announces an entry, or brings a forgotten one back, or begins anew what is begun, whose time is that of its last request; one that is
/// committed stays as it is. The same again changes nothing.
fn begin(kind: &str, token: &str, at: Timestamp) -> Vec<Document> {
    let same = doc! {"$and": [{"$eq": ["$$this.kind", literal(kind)]}, {"$eq": ["$$this.token", literal(token)]}]};
    let found = doc! {"$filter": {"input": "$journal", "cond": same.clone()}};
    let number = doc! {"$add": ["$entries", 1_i64]};
    let new = doc! {
        "id": number.clone(), "kind": literal(kind), "token": literal(token), "committed": false, "element": null,
        "begun_at": at.0, "forgotten": false,
    };
    let is_open = doc! {"$or": ["$$this.forgotten", {"$not": ["$$this.committed"]}]};
    let anew = with(
        doc! {"$and": [same, is_open]},
        doc! {"committed": false, "element": null, "begun_at": at.0, "forgotten": false},
    );
    let is_new = doc! {"$eq": [{"$size": found}, 0]};
    // Both see the document as it was before the stage.
    vec![doc! {"$set": {
        "journal": {"$cond": [is_new.clone(), {"$concatArrays": ["$journal", [new]]}, anew]},
        "entries": {"$cond": [is_new, number, "$entries"]},
    }}]
}

fn commit(number: i64, element: &VimId) -> Vec<Document> {
    let when = doc! {"$and": [{"$eq": ["$$this.id", number]}, {"$not": ["$$this.forgotten"]}]};
    let set = doc! {"committed": true, "element": literal(element.as_str())};
    vec![doc! {"$set": {"journal": with(when, set)}}]
}

fn forget(number: i64) -> Vec<Document> {
    let when = doc! {"$eq": ["$$this.id", number]};
    vec![doc! {"$set": {"journal": with(when, doc! {"forgotten": true})}}]
}

/// Takes it out, and what was forgotten before.
fn drop_entry(number: i64) -> Vec<Document> {
    let stays = doc! {"$and": [{"$ne": ["$$this.id", number]}, {"$not": ["$$this.forgotten"]}]};
    vec![doc! {"$set": {"journal": {"$filter": {"input": "$journal", "as": "this", "cond": stays}}}}]
}

/// The entry that a write needs.
fn must_be_there(write: &JournalWrite) -> Option<u64> {
    match write {
        JournalWrite::Begin { .. } | JournalWrite::Drop { .. } => None,
        JournalWrite::Commit { entry, .. } | JournalWrite::Forget { entry } => Some(*entry),
    }
}

/// The stages of an update that make these writes.
pub(crate) fn stages(writes: &[JournalWrite]) -> Outcome<Vec<Document>> {
    let mut stages = Vec::new();
    for write in writes {
        stages.extend(match write {
            JournalWrite::Begin { kind, token, at } => begin(kind, token, *at),
            JournalWrite::Commit { entry, element } => commit(to_db(*entry)?, element),
            JournalWrite::Forget { entry } => forget(to_db(*entry)?),
            JournalWrite::Drop { entry } => drop_entry(to_db(*entry)?),
        });
    }
    Ok(stages)
}

impl Core {
    pub(crate) async fn journal_write(
        &self,
        claim: &Claim,
        resource: &ResourceId,
        writes: &[JournalWrite],
    ) -> Outcome<Option<JournalEntry>> {
        let Some(last) = writes.last() else { return Ok(None) };
        let id = resource.as_str();
        let target = claim.target.to_string();
        let update = stages(writes)?;
        let written_to: Vec<_> = writes.iter().filter_map(must_be_there).collect();
        let query = if written_to.is_empty() {
            shapes::resource_claimed(id, &target, to_db(claim.fence)?)
        } else {
            let entries = written_to
                .iter()
                .map(|entry| to_db(*entry))
                .collect::<Outcome<Vec<_>>>()?;
            shapes::resource_claimed_with(id, &target, to_db(claim.fence)?, &entries)
        };
        let statement = Statement::of(query.only(doc! {"journal": 1}), update);
        let Some(written) = self.db.update_and_read(statement).await? else {
            return Err(self.why_not_written(claim, id, &written_to).await?.into());
        };
        let is_it = |document: &&Document| match last {
            JournalWrite::Begin { kind, token, .. } => {
                text_of(document, "kind") == kind && text_of(document, "token") == token
            }
            JournalWrite::Commit { entry, .. } | JournalWrite::Forget { entry } | JournalWrite::Drop { entry } => {
                u64::try_from(number_of(document, "id")) == Ok(*entry)
            }
        };
        entries(&written).find(is_it).map(entry).transpose()
    }

    async fn why_not_written(&self, claim: &Claim, id: &str, written_to: &[u64]) -> Outcome<Error> {
        let fields = doc! {"target": 1, "fence": 1, "pending": {"commit": 1}, "journal": 1};
        let found = self.db.first(shapes::resource(id).only(fields)).await?;
        Ok(match found {
            // A claim is no right to another account's elements.
            Some(found) if text_of(&found, "target") != claim.target.to_string() => Error::Fenced {
                target: text_of(&found, "target").to_owned(),
            },
            Some(found) if number_of(&found, "fence") > to_db(claim.fence)? => leases::fenced(&claim.target),
            Some(found) if found.contains_key("journal") => {
                let there = |entry: &&u64| entries(&found).any(|it| u64::try_from(number_of(it, "id")) == Ok(**entry));
                match written_to.iter().find(|entry| !there(entry)) {
                    Some(entry) => Error::missing(format!("journal entry {entry} of resource {id}")),
                    None => Error::missing(resources::what(id)),
                }
            }
            _ => Error::missing(resources::what(id)),
        })
    }

    pub(crate) async fn journal_of(&self, resource: &ResourceId) -> Outcome<Vec<JournalEntry>> {
        let query = shapes::resource(resource.as_str()).only(doc! {"journal": 1});
        match self.db.first(query).await? {
            Some(document) => of_document(&document),
            None => Ok(Vec::new()),
        }
    }
}
