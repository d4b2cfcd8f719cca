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

/// What a save pulls out of the document: the entries that end with it, and those forgotten before.
pub(crate) fn dropped(numbers: &[u64]) -> Outcome<Document> {
    let numbers = numbers
        .iter()
        .map(|number| to_db(*number))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(doc! {"journal": {"$or": [{"id": {"$in": numbers}}, {"forgotten": true}]}})
}

fn literal(text: &str) -> Document {
    doc! {"$literal": text}
}

/// The journal with `set` in the entries where `when` holds; `$$this` is the entry.
fn with(when: Document, set: Document) -> Document {
    let changed = doc! {"$cond": [when, {"$mergeObjects": ["$$this", set]}, "$$this"]};
    doc! {"$map": {"input": "$journal", "as": "this", "in": changed}}
}

/// Announces an entry, or brings a forgotten one back, or leaves the one that is there.
fn begin(kind: &str, token: &str, at: Timestamp) -> Vec<Document> {
    let same = doc! {"$and": [{"$eq": ["$$this.kind", literal(kind)]}, {"$eq": ["$$this.token", literal(token)]}]};
    let found = doc! {"$filter": {"input": "$journal", "cond": same.clone()}};
    let number = doc! {"$add": ["$entries", 1_i64]};
    let new = doc! {
        "id": number.clone(), "kind": literal(kind), "token": literal(token), "committed": false, "element": null,
        "begun_at": at.0, "forgotten": false,
    };
    let revived = with(
        doc! {"$and": [same, "$$this.forgotten"]},
        doc! {"committed": false, "element": null, "begun_at": at.0, "forgotten": false},
    );
    let is_new = doc! {"$eq": [{"$size": found}, 0]};
    // Both see the document as it was before the stage.
    vec![doc! {"$set": {
        "journal": {"$cond": [is_new.clone(), {"$concatArrays": ["$journal", [new]]}, revived]},
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

impl Core {
    pub(crate) async fn journal_write(
        &self,
        claim: &Claim,
        resource: &ResourceId,
        write: JournalWrite,
    ) -> Outcome<JournalEntry> {
        let id = resource.as_str();
        let target = claim.target.to_string();
        let update = match &write {
            JournalWrite::Begin { kind, token, at } => begin(kind, token, *at),
            JournalWrite::Commit { entry, element } => commit(to_db(*entry)?, element),
            JournalWrite::Forget { entry } => forget(to_db(*entry)?),
        };
        let query = shapes::resource_claimed(id, &target, to_db(claim.fence)?).only(doc! {"journal": 1});
        let Some(written) = self.db.update_and_read(Statement::of(query, update)).await? else {
            return Err(self.why_not_written(claim, id).await?.into());
        };
        let is_it = |document: &&Document| match &write {
            JournalWrite::Begin { kind, token, .. } => {
                text_of(document, "kind") == kind && text_of(document, "token") == token
            }
            JournalWrite::Commit { entry, .. } | JournalWrite::Forget { entry } => {
                u64::try_from(number_of(document, "id")) == Ok(*entry)
            }
        };
        match entries(&written).find(is_it) {
            Some(found) => entry(found),
            None => {
                let number = match write {
                    JournalWrite::Begin { .. } => String::new(),
                    JournalWrite::Commit { entry, .. } | JournalWrite::Forget { entry } => entry.to_string(),
                };
                Err(Error::missing(format!("journal entry {number} of resource {resource}")).into())
            }
        }
    }

    async fn why_not_written(&self, claim: &Claim, id: &str) -> Outcome<Error> {
        let fields = doc! {"target": 1, "fence": 1, "pending": {"commit": 1}};
        let found = self.db.first(shapes::resource(id).only(fields)).await?;
        Ok(match found {
            // A claim is no right to another account's elements.
            Some(found) if text_of(&found, "target") != claim.target.to_string() => Error::Fenced {
                target: text_of(&found, "target").to_owned(),
            },
            Some(found) if number_of(&found, "fence") > to_db(claim.fence)? => leases::fenced(&claim.target),
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
