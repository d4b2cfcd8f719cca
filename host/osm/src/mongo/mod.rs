//! OSM's database on MongoDB.
//!
//! Fields of OSM's documents are set one by one, on the condition that what was decided on is still there: the values of the account's
//! fields as the server has them, and the operation at its place. So NBI, which replaces whole documents, and other hosts may write at any
//! time; what is written here is written on what was read, or not at all. Nothing else of a document is touched, and no
//! collection or index is made.
//!
//! The driver connects when it is first used. A database that is away is a [`DatabaseError`] each time, and the follower tries again.

mod json;
mod left;

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{Acknowledgment, ClientOptions, CollectionOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection};
use serde_json::Value;
use tokio::sync::{OnceCell, mpsc};
use vimhost_model::{AccountId, Secret, TargetId, TargetKind, Timestamp};

use crate::account::fields;
use crate::database::{Database, DatabaseError, Hint, Listing, Watched};
use crate::record::{self, Answer, Operation};

/// Every kind of account.
const KINDS: [TargetKind; 3] = [TargetKind::Vim, TargetKind::Wim, TargetKind::Sdn];

/// Where the serial is.
const ADMIN: &str = "admin";

/// How long to look for a server that can be used: as long as an election usually takes.
const SELECTION: Duration = Duration::from_secs(10);

/// How long one command may take, that look included.
const DEADLINE: Duration = Duration::from_secs(15);

/// OSM's database on a MongoDB server.
pub struct MongoDatabase {
    client: Client,
    name: String,
    /// Whether the server is one of a replica set, or stands in front of one; asked once it can be reached.
    replicated: OnceCell<bool>,
}

fn failed(error: &mongodb::error::Error) -> DatabaseError {
    DatabaseError {
        reason: error.to_string(),
    }
}

/// The collection of a kind of account (NG-RO 2).
fn collection_of(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Vim => "vim_accounts",
        TargetKind::Wim => "wim_accounts",
        TargetKind::Sdn => "sdns",
    }
}

/// A command, not for ever.
async fn within<T>(command: impl Future<Output = mongodb::error::Result<T>>) -> Result<T, DatabaseError> {
    match tokio::time::timeout(DEADLINE, command).await {
        Ok(answer) => answer.map_err(|error| failed(&error)),
        Err(_) => Err(DatabaseError {
            reason: format!("no answer in {DEADLINE:?}"),
        }),
    }
}

impl MongoDatabase {
    /// A database of the server at `uri`; nothing is contacted.
    ///
    /// # Errors
    /// When the URI is none.
    pub async fn new(uri: &Secret, database: &str) -> Result<Self, DatabaseError> {
        let options = ClientOptions::parse(uri.expose()).await;
        let mut options = options.map_err(|error| failed(&error))?;
        options.app_name.get_or_insert_with(|| "vimhost".to_owned());
        options.server_selection_timeout = Some(SELECTION);
        options.connect_timeout = Some(SELECTION);
        Ok(Self {
            client: Client::with_options(options).map_err(|error| failed(&error))?,
            name: database.to_owned(),
            replicated: OnceCell::new(),
        })
    }

    async fn replicated(&self) -> Result<bool, DatabaseError> {
        let ask = || async {
            let admin = self.client.database("admin");
            let hello = within(admin.run_command(doc! {"hello": 1}).into_future()).await?;
            let router = hello.get_str("msg").is_ok_and(|word| word == "isdbgrid");
            Ok::<_, DatabaseError>(hello.contains_key("setName") || router)
        };
        self.replicated.get_or_try_init(ask).await.copied()
    }

    /// A collection whose reads see nothing that may be undone, and whose writes are on the disks of a majority, or of the only server.
    async fn collection(&self, name: &str) -> Result<Collection<Document>, DatabaseError> {
        let mut options = CollectionOptions::default();
        let mut write = WriteConcern::default();
        write.journal = Some(true);
        if self.replicated().await? {
            write.w = Some(Acknowledgment::Majority);
            write.w_timeout = Some(DEADLINE);
            options.read_concern = Some(ReadConcern::majority());
        }
        options.write_concern = Some(write);
        Ok(self.client.database(&self.name).collection_with_options(name, options))
    }

    async fn find(&self, target: &TargetId) -> Result<Option<Document>, DatabaseError> {
        let collection = self.collection(collection_of(target.kind)).await?;
        let find = collection.find_one(doc! {"_id": target.account.as_str()});
        within(find.into_future()).await
    }

    /// Changes an account's document where a filter holds for it. True when it did.
    async fn update(&self, target: &TargetId, mut filter: Document, update: Document) -> Result<bool, DatabaseError> {
        let collection = self.collection(collection_of(target.kind)).await?;
        filter.insert("_id", target.account.as_str());
        let result = within(collection.update_one(filter, update).into_future()).await?;
        Ok(result.matched_count > 0)
    }
}

/// Where a field of an operation is.
fn place(operation: &Operation, field: &str) -> String {
    format!("_admin.operations.{}.{field}", operation.index)
}

/// A field as it is in a document, as a condition: its value, or that it is not there.
fn unchanged(value: Option<&Bson>) -> Bson {
    // Not the bare value: one that is a map of operators would be a condition of its own.
    Bson::Document(match value {
        Some(value) => doc! {"$eq": value.clone()},
        None => doc! {"$exists": false},
    })
}

/// An operation as a document has it.
fn raw<'d>(document: &'d Document, operation: &Operation) -> Option<&'d Document> {
    let operations = document.get_document("_admin").ok()?.get_array("operations").ok()?;
    operations.get(operation.index)?.as_document()
}

/// That an operation still is what it is in a document.
fn same_operation(filter: &mut Document, document: &Document, operation: &Operation, fields: &[&str]) {
    let entry = raw(document, operation);
    for field in fields {
        filter.insert(
            place(operation, field),
            unchanged(entry.and_then(|entry| entry.get(field))),
        );
    }
}

/// That a document still is what an answer was decided on.
fn condition(kind: TargetKind, document: &Document, answer: &Answer) -> Document {
    let mut filter = doc! {"_admin.to_delete": {"$ne": true}};
    for field in fields(kind) {
        filter.insert(field, unchanged(document.get(field)));
    }
    for operation in &answer.operations {
        same_operation(&mut filter, document, operation, &["operationState", "startTime"]);
    }
    if answer.operations.is_empty() {
        let admin = document.get_document("_admin").ok();
        let state = admin.and_then(|admin| admin.get("operationalState"));
        filter.insert("_admin.operationalState", unchanged(state));
    }
    filter
}

/// NG-RO REST 6.2.
fn change(answer: &Answer) -> Document {
    let (state, ended, text) = match &answer.outcome {
        Ok(()) => (record::ENABLED, "COMPLETED", ""),
        Err(reason) => (record::ERROR, "FAILED", reason.as_str()),
    };
    let mut set = doc! {"_admin.operationalState": state, "_admin.detailed-status": text};
    let mut unset = Document::new();
    for operation in &answer.operations {
        set.insert(place(operation, "operationState"), ended);
        set.insert(place(operation, "statusEnteredTime"), answer.at.as_seconds());
        if answer.outcome.is_ok() {
            unset.insert(place(operation, "detailed-status"), "");
        } else {
            set.insert(place(operation, "detailed-status"), text);
        }
        unset.insert(place(operation, "locked_at"), "");
        unset.insert(place(operation, "locked_by"), "");
    }
    let mut change = doc! {"$set": set};
    if !unset.is_empty() {
        change.insert("$unset", unset);
    }
    change
}

/// What a change tells.
fn hint_of(event: &Document) -> Hint {
    let collection = event.get_document("ns").ok().and_then(|ns| ns.get_str("coll").ok());
    let id = event
        .get_document("documentKey")
        .ok()
        .and_then(|key| key.get_str("_id").ok());
    let kind = KINDS.into_iter().find(|kind| Some(collection_of(*kind)) == collection);
    match (kind, id.map(AccountId::new)) {
        (Some(kind), Some(Ok(account))) => Hint::Account(TargetId { kind, account }),
        // The serial, a collection that was dropped, the whole database.
        _ => Hint::Everything,
    }
}

#[async_trait]
impl Database for MongoDatabase {
    async fn accounts(&self) -> Result<Listing, DatabaseError> {
        let mut listing = Listing::default();
        for kind in KINDS {
            let collection = self.collection(collection_of(kind)).await?;
            // What is read and what is answered; other modules keep large things beside it.
            let mut projection = doc! {"_admin": 1};
            for field in fields(kind) {
                projection.insert(field, 1);
            }
            let read = async {
                collection
                    .find(doc! {})
                    .projection(projection)
                    .await?
                    .try_collect()
                    .await
            };
            let documents: Vec<Document> = within(read).await?;
            for document in documents {
                match document.get_str("_id").ok().and_then(|id| AccountId::new(id).ok()) {
                    Some(account) => {
                        let target = TargetId { kind, account };
                        listing.accounts.push((target, json::of_document(document)));
                    }
                    None => listing.strange += 1,
                }
            }
        }
        Ok(listing)
    }

    async fn account(&self, target: &TargetId) -> Result<Option<Value>, DatabaseError> {
        Ok(self.find(target).await?.map(json::of_document))
    }

    async fn version(&self) -> Result<Option<Value>, DatabaseError> {
        let collection = self.collection(ADMIN).await?;
        let version = within(collection.find_one(doc! {"_id": "version"}).into_future()).await?;
        Ok(version.map(json::of_document))
    }

    async fn lock(
        &self,
        target: &TargetId,
        operation: &Operation,
        host: &str,
        at: Timestamp,
    ) -> Result<bool, DatabaseError> {
        let Some(document) = self.find(target).await? else {
            return Ok(false);
        };
        let open = record::open_operations(&json::of_document(document.clone()));
        if !open.contains(operation) {
            return Ok(false);
        }
        let mut filter = Document::new();
        let fields = ["operationState", "startTime", "locked_at", "locked_by"];
        same_operation(&mut filter, &document, operation, &fields);
        let mut set = Document::new();
        set.insert(place(operation, "locked_at"), at.as_seconds());
        set.insert(place(operation, "locked_by"), host);
        self.update(target, filter, doc! {"$set": set}).await
    }

    async fn answer(&self, target: &TargetId, decided_on: &Value, answer: &Answer) -> Result<bool, DatabaseError> {
        let Some(document) = self.find(target).await? else {
            return Ok(false);
        };
        let now = json::of_document(document.clone());
        if !record::still_asks(target.kind, decided_on, &now, &answer.operations) {
            return Ok(false);
        }
        let filter = condition(target.kind, &document, answer);
        self.update(target, filter, change(answer)).await
    }

    async fn watch(&self, hints: &mpsc::Sender<Hint>) -> Result<Watched, DatabaseError> {
        if !self.replicated().await? {
            return Ok(Watched::Never);
        }
        let mut names: Vec<&str> = KINDS.into_iter().map(collection_of).collect();
        names.push(ADMIN);
        let dropped = doc! {"operationType": {"$in": ["dropDatabase", "invalidate"]}};
        let pipeline = vec![
            doc! {"$match": {"$or": [{"ns.coll": {"$in": names}}, dropped]}},
            doc! {"$project": {"ns": 1, "documentKey": 1, "operationType": 1}},
        ];
        let database = self.client.database(&self.name);
        let stream = within(database.watch().pipeline(pipeline).into_future()).await?;
        let mut stream = stream.with_type::<Document>();
        // From here on nothing is missed, so what was before can be looked at.
        let mut hint = Hint::Everything;
        loop {
            if hints.send(hint).await.is_err() {
                return Ok(Watched::Ended);
            }
            hint = match stream.next().await {
                Some(Ok(event)) => hint_of(&event),
                Some(Err(error)) => return Err(failed(&error)),
                None => return Ok(Watched::Ended),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        doc! {
            "_id": "a", "name": "cloud", "vim_type": "mock", "vim_url": "http://v", "config": {"$where": "x"},
            "_admin": {"operationalState": "PROCESSING", "operations": [
                {"lcmOperationType": "create", "operationState": "PROCESSING", "startTime": 5.5, "locked_at": 7_i64}]},
        }
    }

    fn answer(outcome: Result<(), String>, operations: Vec<Operation>) -> Answer {
        Answer {
            operations,
            outcome,
            at: Timestamp(1500),
        }
    }

    fn open() -> Vec<Operation> {
        record::open_operations(&json::of_document(document()))
    }

    #[test]
    fn an_answer_has_the_form_of_ng_ros() {
        let good = change(&answer(Ok(()), open()));
        assert_eq!(
            json::of_document(good),
            json!({
                "$set": {"_admin.operationalState": "ENABLED", "_admin.detailed-status": "",
                         "_admin.operations.0.operationState": "COMPLETED", "_admin.operations.0.statusEnteredTime": 1.5},
                "$unset": {"_admin.operations.0.detailed-status": "", "_admin.operations.0.locked_at": "",
                           "_admin.operations.0.locked_by": ""},
            })
        );
        let bad = change(&answer(Err("checking the account: no".to_owned()), open()));
        assert_eq!(
            json::of_document(bad),
            json!({
                "$set": {"_admin.operationalState": "ERROR", "_admin.detailed-status": "checking the account: no",
                         "_admin.operations.0.operationState": "FAILED", "_admin.operations.0.statusEnteredTime": 1.5,
                         "_admin.operations.0.detailed-status": "checking the account: no"},
                "$unset": {"_admin.operations.0.locked_at": "", "_admin.operations.0.locked_by": ""},
            })
        );
        let healed = change(&answer(Ok(()), Vec::new()));
        assert_eq!(
            json::of_document(healed),
            json!({"$set": {"_admin.operationalState": "ENABLED", "_admin.detailed-status": ""}})
        );
    }

    #[test]
    fn an_answer_is_written_on_what_was_read_only() {
        let filter = condition(TargetKind::Vim, &document(), &answer(Ok(()), open()));
        assert_eq!(filter.get_document("vim_url").unwrap(), &doc! {"$eq": "http://v"});
        assert_eq!(filter.get_document("vim_password").unwrap(), &doc! {"$exists": false});
        // What looks like an operator is a value.
        assert_eq!(filter.get_document("config").unwrap(), &doc! {"$eq": {"$where": "x"}});
        let place = "_admin.operations.0.startTime";
        assert_eq!(filter.get_document(place).unwrap(), &doc! {"$eq": 5.5});
        assert!(filter.contains_key("_admin.operations.0.operationState"));
        assert!(!filter.contains_key("_admin.operationalState"));
        let filter = condition(TargetKind::Vim, &document(), &answer(Ok(()), Vec::new()));
        assert_eq!(
            filter.get_document("_admin.operationalState").unwrap(),
            &doc! {"$eq": "PROCESSING"}
        );
    }

    #[test]
    fn a_change_tells_its_account_or_to_look_at_everything() {
        let event = |collection: &str| doc! {"ns": {"db": "osm", "coll": collection}, "documentKey": {"_id": "a"}};
        assert_eq!(hint_of(&event("sdns")), Hint::Account("sdn:a".parse().unwrap()));
        assert_eq!(hint_of(&event("vim_accounts")), Hint::Account("vim:a".parse().unwrap()));
        assert_eq!(hint_of(&event("admin")), Hint::Everything);
        assert_eq!(hint_of(&doc! {"operationType": "dropDatabase"}), Hint::Everything);
    }
}
