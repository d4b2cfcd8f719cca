//! What NG-RO left in OSM's database. Only read: it is NG-RO's, for the way back.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;

use super::{MongoDatabase, failed, json};
use crate::database::{Database as _, DatabaseError};
use crate::ng_ro::{Left, RawDocument};

/// Services whose records are asked for at once.
const AT_ONCE: usize = 500;

/// Fields of records that tell which items there are and what was seen of them.
const NSR: [&str; 6] = [
    "name",
    "vld",
    "image",
    "flavor",
    "affinity-or-anti-affinity-group",
    "shared-volumes",
];
const VNFR: [&str; 3] = ["nsr-id-ref", "vld", "vdur"];

impl MongoDatabase {
    /// Everything that NG-RO left, with the records it is about.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn left_by_ng_ro(&self) -> Result<Left, DatabaseError> {
        let documents: Vec<RawDocument> = self.whole("ro_tasks", doc! {}).await?.into_iter().map(raw).collect();
        let keys = self.whole("ro_nsrs", doc! {"_admin.schema_version": 1}).await?;
        let services: BTreeSet<&str> = documents.iter().flat_map(|raw| services(&raw.document)).collect();
        let services: Vec<&str> = services.into_iter().collect();
        let mut left = Left::default();
        for some in services.chunks(AT_ONCE) {
            left.nsrs.extend(self.records("nsrs", "_id", some, &NSR).await?);
            left.vnfrs
                .extend(self.records("vnfrs", "nsr-id-ref", some, &VNFR).await?);
        }
        left.keys = keys.iter().filter_map(key).collect();
        left.accounts = self
            .accounts()
            .await?
            .accounts
            .into_iter()
            .map(|(target, _)| target)
            .collect();
        left.documents = documents;
        Ok(left)
    }

    /// A mark of each document, which changes whenever NG-RO takes it or writes it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn marks_of_ng_ro(&self) -> Result<BTreeMap<String, String>, DatabaseError> {
        let fields = doc! {"locked_by": 1, "locked_at": 1, "modified_at": 1};
        let documents = self.whole("ro_tasks", fields).await?;
        let mark = |document: Document| {
            let id = document.get("_id").map(ToString::to_string).unwrap_or_default();
            (id, document.to_string())
        };
        Ok(documents.into_iter().map(mark).collect())
    }

    async fn records(
        &self,
        collection: &str,
        by: &str,
        services: &[&str],
        fields: &[&str],
    ) -> Result<Vec<Value>, DatabaseError> {
        let filter = doc! {by: {"$in": services.iter().map(|id| Bson::from(*id)).collect::<Vec<Bson>>()}};
        let projection: Document = fields
            .iter()
            .map(|field| ((*field).to_owned(), Bson::Int32(1)))
            .collect();
        let found = self.found(collection, filter, projection).await?;
        Ok(found.into_iter().map(json::of_document).collect())
    }

    async fn whole(&self, collection: &str, fields: Document) -> Result<Vec<Document>, DatabaseError> {
        self.found(collection, doc! {}, fields).await
    }

    /// Not within a deadline: a large installation takes as long as it takes, and each batch has the driver's own.
    async fn found(
        &self,
        collection: &str,
        filter: Document,
        fields: Document,
    ) -> Result<Vec<Document>, DatabaseError> {
        let collection = self.collection(collection).await?;
        let find = collection.find(filter).projection(fields).await;
        let documents = find.map_err(|error| failed(&error))?.try_collect().await;
        documents.map_err(|error| failed(&error))
    }
}

/// A document with the order of what was made, which JSON does not keep.
fn raw(document: Document) -> RawDocument {
    let items = document
        .get_document("vim_info")
        .and_then(|info| info.get_document("created_items"));
    let items = items.into_iter().flatten();
    RawDocument {
        created_items: items
            .filter(|(_, there)| !matches!(there, Bson::Null | Bson::Undefined))
            .map(|(item, _)| item.clone())
            .collect(),
        document: json::of_document(document),
    }
}

fn services(document: &Value) -> Vec<&str> {
    let tasks = document.get("tasks").and_then(Value::as_array).into_iter().flatten();
    tasks.filter_map(|task| task.get("nsr_id")?.as_str()).collect()
}

fn key(document: &Document) -> Option<(String, Option<String>)> {
    let id = document.get_str("_id").ok()?.to_owned();
    let admin = document.get_document("_admin").ok();
    let version = admin.and_then(|admin| admin.get_str("schema_version").ok());
    Some((id, version.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_stays_in_order_and_what_is_gone_is_left_out() {
        let document =
            doc! {"_id": "a", "vim_info": {"created_items": {"volume:z": true, "volume:a": true, "port:p": null}}};
        assert_eq!(raw(document).created_items, ["volume:z", "volume:a"]);
        assert!(
            raw(doc! {"_id": "a", "vim_info": {"created_items": null}})
                .created_items
                .is_empty()
        );
    }
}
