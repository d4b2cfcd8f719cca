//! Records of services: OSM's own documents, as they are.
//!
//! **Changes** are pipelines the server evaluates ([`crate::pipeline`]). Beside OSM's fields a record holds one of ours, [`MARKS`]:
//! for each origin of changes (a resource, a service's commits) the number of the last one that was made. It is written with
//! the change, so a change is made once and never after a later one of the same origin, whoever carries it out. It is taken out of
//! what readers see. OSM's components take single fields of a record and never check the others, so they do not mind it.
//!
//! **Revisions** are beside the records, in `vimhost_revisions`: a number and the digest of the document it was given for. A
//! reader that finds another digest gives the document the next number. So the revision grows with each change that anybody
//! has seen, also with one that another program made, and OSM's documents hold nothing of it. A write at a revision compares the
//! digest and then replaces the document only if it is, field for field, what was read.

use futures_util::future::try_join_all;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vimhost_model::{Collection, NsrId, Record, RecordId, Revision};
use vimhost_store::{Error, Page};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, from_db, parse};
use crate::fields::{number_of, text_of};
use crate::paging::{cut, rows};
use crate::store::Core;
use crate::{bson, shapes};

/// The field of a record that holds the marks of the changes that were made.
pub(crate) const MARKS: &str = "vimhost";

/// Origins whose marks a record keeps, those that changed it last. More than a service has resources that change at a time; a
/// change of one whose mark was dropped would be made twice only if a host had carried it out, died, and slept through as many.
const KEPT_MARKS: i32 = 512;

/// A whole record, ready to be written.
pub(crate) struct Whole {
    pub(crate) collection: Collection,
    pub(crate) id: RecordId,
    pub(crate) document: Document,
    /// The program that wrote it left `_id` out, and gets it back without.
    pub(crate) bare: bool,
}

fn what(collection: Collection, id: &str) -> String {
    format!("record {}:{id}", collection.as_str())
}

fn key(collection: Collection, id: &str) -> String {
    format!("{}:{id}", collection.as_str())
}

impl Whole {
    pub(crate) fn of(collection: Collection, id: &RecordId, document: Value) -> Result<Self, Error> {
        let what = what(collection, id.as_str());
        let Value::Object(mut map) = document else {
            return Err(Error::corrupt(what, "the document is no map"));
        };
        map.remove(MARKS);
        for list in collection.lists() {
            let Some(Value::Array(items)) = map.get(list.as_str()) else {
                continue;
            };
            let ids = items.iter().filter_map(|item| item.get("id").and_then(Value::as_str));
            let mut ids: Vec<_> = ids.filter(|id| !id.is_empty()).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            if ids.len() != count {
                return Err(Error::corrupt(
                    what,
                    format!("two items of '{}' have one id", list.as_str()),
                ));
            }
        }
        let bare = match map.remove("_id") {
            None => true,
            Some(Value::String(own)) if own == id.as_str() => false,
            Some(other) => return Err(Error::corrupt(what, format!("its _id is {other}"))),
        };
        let mut whole = doc! {"_id": id.as_str()};
        whole.extend(bson::document(&what, map)?);
        Ok(Self {
            collection,
            id: id.clone(),
            document: whole,
            bare,
        })
    }
}

/// The marks with those of more changes, each of another origin.
fn marks(made: &[(&str, i64)]) -> Document {
    let field = format!("${MARKS}");
    let origins: Vec<&str> = made.iter().map(|(origin, _)| *origin).collect();
    let new: Vec<Document> = made
        .iter()
        .map(|(origin, seq)| doc! {"k": *origin, "v": *seq})
        .collect();
    let room = i32::try_from(new.len()).unwrap_or(KEPT_MARKS).min(KEPT_MARKS - 1);
    let there = doc! {"$cond": [{"$eq": [{"$type": &field}, "object"]}, {"$objectToArray": &field}, []]};
    let others = doc! {"$filter": {"input": there, "cond": {"$not": [{"$in": ["$$this.k", origins]}]}}};
    let others = doc! {"$slice": [others, room - KEPT_MARKS]};
    doc! {"$arrayToObject": {"$concatArrays": [others, new]}}
}

/// An origin's changes of a record.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    pub(crate) collection: &'static str,
    /// The record.
    pub(crate) id: String,
    pub(crate) origin: String,
    /// The number of these changes among the origin's.
    pub(crate) seq: i64,
    pub(crate) stages: Vec<Document>,
}

impl Marked {
    /// The statement that makes them, once.
    pub(crate) fn statement(self) -> Statement {
        let query = shapes::record_unmarked(self.collection, &self.id, &self.origin, self.seq);
        let mut stages = self.stages;
        stages.push(doc! {"$set": {MARKS: marks(&[(&self.origin, self.seq)])}});
        Statement::of(query, stages)
    }
}

/// What holds in a record until an origin's change, or a later one of it, is made.
pub(crate) fn unmarked(origin: &str, seq: i64) -> Document {
    let mut unmarked = Document::new();
    unmarked.insert(format!("{MARKS}.{origin}"), doc! {"$not": {"$gte": seq}});
    unmarked
}

/// The statement that makes changes of one record, each of another origin, once. It matches only where none of them is made.
pub(crate) fn gathered(changes: &[Marked]) -> Statement {
    let made: Vec<(&str, i64)> = changes.iter().map(|change| (&*change.origin, change.seq)).collect();
    let filter: Document = made.iter().flat_map(|(origin, seq)| unmarked(origin, *seq)).collect();
    let mut stages: Vec<Document> = changes.iter().flat_map(|change| change.stages.clone()).collect();
    stages.push(doc! {"$set": {MARKS: marks(&made)}});
    let (collection, id) = changes
        .first()
        .map_or(("", ""), |change| (change.collection, &*change.id));
    Statement::of(shapes::record_all_unmarked(collection, id, filter), stages)
}

/// The statement that writes a whole record, once.
pub(crate) fn marked_whole(whole: &Whole, origin: &str) -> Statement {
    let with_marks = doc! {MARKS: marks(&[(origin, 1)])};
    let replace = doc! {"$replaceWith": {"$mergeObjects": [{"$literal": whole.document.clone()}, with_marks]}};
    let query = shapes::record_unmarked(whole.collection.as_str(), whole.id.as_str(), origin, 1);
    Statement {
        upsert: true,
        ..Statement::of(query, vec![replace])
    }
}

/// A record as readers see it, and its digest.
fn seen(mut document: Document) -> Result<(Value, Vec<u8>), Error> {
    document.remove(MARKS);
    let value = bson::json(document);
    let text = serde_json::to_vec(&value).map_err(|error| Error::corrupt("a record", error))?;
    Ok((value, Sha256::digest(&text).to_vec()))
}

fn digest_of(revision: Option<&Document>) -> Option<&[u8]> {
    revision
        .and_then(|revision| revision.get_binary_generic("digest").ok())
        .map(Vec::as_slice)
}

fn revision_of(revision: &Document) -> Outcome<Revision> {
    from_db(number_of(revision, "rev"))
}

impl Core {
    /// Gives a record the next number. The first one is the server's clock, so that a record that was removed and made anew does not
    /// come back to a number that somebody may still hold.
    async fn number(&self, record: &str, digest: Vec<u8>, bare: Option<bool>) -> Outcome<Revision> {
        let next = doc! {"$add": [{"$ifNull": ["$rev", {"$toLong": "$$NOW"}]}, 1]};
        let digest = Binary {
            subtype: BinarySubtype::Generic,
            bytes: digest,
        };
        let mut set = doc! {"rev": next, "digest": {"$literal": digest}};
        if let Some(bare) = bare {
            set.insert("bare", bare);
        }
        let update = Statement {
            upsert: true,
            ..Statement::of(shapes::revision(record), vec![doc! {"$set": set}])
        };
        match self.db.update_and_read(update).await? {
            Some(revision) => revision_of(&revision),
            None => Err(Error::corrupt("the revision of a record", "it is not there after it was written").into()),
        }
    }

    async fn shown(&self, collection: Collection, document: Document, revision: Option<&Document>) -> Outcome<Record> {
        let id = match document.get("_id") {
            Some(Bson::String(id)) => id.clone(),
            other => return Err(Error::corrupt("a record", format!("its _id is {other:?}")).into()),
        };
        let (mut value, digest) = seen(document)?;
        let number = match revision {
            Some(revision) if digest_of(Some(revision)) == Some(&digest) => revision_of(revision)?,
            _ => self.number(&key(collection, &id), digest, None).await?,
        };
        if revision.is_some_and(|revision| revision.get_bool("bare").unwrap_or(false))
            && let Some(map) = value.as_object_mut()
        {
            map.remove("_id");
        }
        Ok(Record {
            id: parse("a record", &id)?,
            document: value,
            revision: number,
        })
    }

    pub(crate) async fn get_record(&self, collection: Collection, id: &RecordId) -> Outcome<Option<Record>> {
        let key = key(collection, id.as_str());
        let (document, revision) = tokio::try_join!(
            self.db.first(shapes::record(collection.as_str(), id.as_str())),
            self.db.first(shapes::revision(&key))
        )?;
        match document {
            Some(document) => Ok(Some(self.shown(collection, document, revision.as_ref()).await?)),
            None => Ok(None),
        }
    }

    /// In the order they were made: by `_admin.created`, which NBI writes; those of one time, or without it, come from the index in
    /// the order in which they were added.
    pub(crate) async fn vnf_records(&self, nsr: &NsrId) -> Outcome<Vec<Record>> {
        let documents = self.settled(|| self.db.all(shapes::vnfrs_of(nsr.as_str()), 0)).await?;
        let ids = documents.iter().filter_map(|document| document.get_str("_id").ok());
        let keys: Vec<_> = ids.map(|id| key(Collection::Vnfrs, id)).collect();
        let revisions = if keys.is_empty() {
            Vec::new()
        } else {
            self.db.all(shapes::revisions_of(&keys), 0).await?
        };
        let shown = documents.into_iter().map(|document| {
            let key = key(Collection::Vnfrs, text_of(&document, "_id"));
            let revision = revisions.iter().find(|revision| text_of(revision, "_id") == key);
            self.shown(Collection::Vnfrs, document, revision)
        });
        try_join_all(shown).await
    }

    pub(crate) async fn service_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<(NsrId, String)>> {
        let query = shapes::services_after(after.unwrap_or("")).only(doc! {"name": 1});
        let found = self.db.all(query, rows(limit)).await?;
        let service = |document: Document| {
            let id = parse("a record", text_of(&document, "_id"))?;
            Ok((id, text_of(&document, "name").to_owned()))
        };
        let services = found.into_iter().map(service).collect::<Result<Vec<_>, Error>>()?;
        Ok(cut(services, limit, |(id, _): &(NsrId, String)| id.to_string()))
    }

    pub(crate) async fn write_record(&self, whole: Whole, expected: Option<Revision>) -> Outcome<Revision> {
        let (collection, id) = (whole.collection, whole.id.as_str());
        let key = key(collection, id);
        let keep_marks = doc! {"$mergeObjects": [{"$literal": whole.document.clone()}, {MARKS: format!("${MARKS}")}]};
        let replace = vec![doc! {"$replaceWith": keep_marks}];
        let (_, digest) = seen(whole.document)?;
        let mut write = Statement::of(shapes::record(collection.as_str(), id), replace);
        match expected {
            None => write.upsert = true,
            Some(expected) => {
                let conflict = || Fault::from(Error::conflict(what(collection, id)));
                let (document, revision) = tokio::try_join!(
                    self.db.first(shapes::record(collection.as_str(), id)),
                    self.db.first(shapes::revision(&key))
                )?;
                let (Some(document), Some(revision)) = (document, revision) else {
                    return Err(conflict());
                };
                let (_, there) = seen(document.clone())?;
                if revision_of(&revision)? != expected || digest_of(Some(&revision)) != Some(&there) {
                    return Err(conflict());
                }
                write.query = shapes::record_as(collection.as_str(), id, document);
            }
        }
        match self.db.update(write).await {
            Ok(true) => {}
            Ok(false) => return Err(Error::conflict(what(collection, id)).into()),
            Err(fault) if fault.is_lost() => {
                // The content tells whether it was done.
                let document = self.db.first(shapes::record(collection.as_str(), id)).await?;
                let there = document.map(seen).transpose()?;
                if there.is_none_or(|(_, there)| there != digest) {
                    return Err(fault);
                }
            }
            Err(fault) => return Err(fault),
        }
        self.number(&key, digest, Some(whole.bare)).await
    }

    /// Tells readers which records of a batch were written without `_id`, and gives each its number.
    pub(crate) async fn number_all(&self, wholes: Vec<Whole>) -> Outcome<()> {
        let numbers = wholes.into_iter().map(|whole| async move {
            let key = key(whole.collection, whole.id.as_str());
            let (_, digest) = seen(whole.document)?;
            self.number(&key, digest, Some(whole.bare)).await
        });
        try_join_all(numbers).await?;
        Ok(())
    }

    pub(crate) async fn remove_record(&self, collection: Collection, id: &RecordId) -> Outcome<bool> {
        let there = self.db.delete(shapes::record(collection.as_str(), id.as_str())).await?;
        let key = key(collection, id.as_str());
        self.db.delete(shapes::revision(&key)).await?;
        Ok(there)
    }
}
