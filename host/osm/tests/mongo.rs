//! OSM's database on a real server: what is told, what is written, and what is not.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use serde_json::Value;
use tokio::sync::mpsc;
use vimhost_model::{HostId, Secret, TargetId, Timestamp};
use vimhost_mongod::Kind;
use vimhost_osm::record::{Answer, open_operations};
use vimhost_osm::{Database as _, Hint, MongoDatabase, Watched};

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);

struct Osm {
    database: MongoDatabase,
    /// What NBI and LCM write with.
    theirs: mongodb::Database,
}

async fn osm(kind: Kind) -> Osm {
    let uri = vimhost_mongod::shared(kind).await.unwrap();
    let name = format!("osm_{}", HostId::random());
    let client = Client::with_uri_str(&uri).await.unwrap();
    Osm {
        database: MongoDatabase::new(&Secret::new(uri), &name).await.unwrap(),
        theirs: client.database(&name),
    }
}

fn vim() -> TargetId {
    "vim:a".parse().unwrap()
}

fn created() -> Document {
    doc! {
        "_id": "a", "name": "cloud", "vim_type": "mock", "vim_url": "http://v", "config": {"b": 1, "a": [1.5, null]},
        "_admin": {"operationalState": "PROCESSING", "created": 1.5, "operations": [
            {"lcmOperationType": "create", "operationState": "PROCESSING", "startTime": 1700000000.123_f64}]},
    }
}

impl Osm {
    async fn insert(&self, document: Document) {
        let collection = self.theirs.collection::<Document>("vim_accounts");
        collection.insert_one(document).await.unwrap();
    }

    async fn change(&self, update: Document) {
        let collection = self.theirs.collection::<Document>("vim_accounts");
        collection.update_one(doc! {"_id": "a"}, update).await.unwrap();
    }

    async fn document(&self) -> Value {
        self.database.account(&vim()).await.unwrap().unwrap()
    }
}

fn answer(document: &Value, outcome: Result<(), String>) -> Answer {
    Answer {
        operations: open_operations(document),
        outcome,
        at: Timestamp(1_700_000_001_500),
    }
}

async fn an_operation_is_locked_and_ended_once(kind: Kind) {
    let osm = osm(kind).await;
    assert!(osm.database.accounts().await.unwrap().accounts.is_empty());
    assert_eq!(osm.database.account(&vim()).await.unwrap(), None);
    osm.insert(created()).await;
    osm.insert(doc! {"_id": 5}).await;
    let listing = osm.database.accounts().await.unwrap();
    assert_eq!((listing.accounts.len(), listing.strange), (1, 1));

    let document = osm.document().await;
    let operation = open_operations(&document).remove(0);
    let at = Timestamp(1_700_000_000_500);
    assert!(osm.database.lock(&vim(), &operation, "one", at).await.unwrap());
    // The lock is another one than what this host has seen.
    assert!(!osm.database.lock(&vim(), &operation, "two", at).await.unwrap());
    let locked = osm.document().await;
    assert_eq!(locked["_admin"]["operations"][0]["locked_by"], "one");
    assert_eq!(locked["_admin"]["operations"][0]["locked_at"], 1_700_000_000.5);

    let good = answer(&document, Ok(()));
    assert!(osm.database.answer(&vim(), &document, &good).await.unwrap());
    // Nobody waits for it any more.
    assert!(!osm.database.answer(&vim(), &document, &good).await.unwrap());
    let ended = osm.document().await;
    assert_eq!(
        ended["_admin"],
        serde_json::json!({"operationalState": "ENABLED", "detailed-status": "", "created": 1.5, "operations": [
            {"lcmOperationType": "create", "operationState": "COMPLETED", "startTime": 1700000000.123_f64,
             "statusEnteredTime": 1700000001.5_f64}]})
    );
    assert_eq!(ended["config"], document["config"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_replica_set_an_operation_is_locked_and_ended_once() {
    an_operation_is_locked_and_ended_once(Kind::ReplicaSet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_standalone_an_operation_is_locked_and_ended_once() {
    an_operation_is_locked_and_ended_once(Kind::Standalone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_written_on_what_it_was_decided_on_only() {
    for change in [
        doc! {"$set": {"vim_url": "http://other"}},
        doc! {"$set": {"config.a": 1}},
        doc! {"$set": {"vim_password": "x"}},
        doc! {"$set": {"_admin.to_delete": true}},
        doc! {"$set": {"_admin.operations.0.operationState": "FAILED"}},
    ] {
        let osm = osm(Kind::ReplicaSet).await;
        osm.insert(created()).await;
        let document = osm.document().await;
        osm.change(change.clone()).await;
        let refused = answer(&document, Err("no".to_owned()));
        assert!(
            !osm.database.answer(&vim(), &document, &refused).await.unwrap(),
            "{change}"
        );
        assert_eq!(
            osm.document().await["_admin"]["operationalState"],
            "PROCESSING",
            "{change}"
        );
    }
    // What other modules write beside it, and an operation that was added, stand in no way and stay.
    let osm = osm(Kind::ReplicaSet).await;
    osm.insert(created()).await;
    let document = osm.document().await;
    let edit = doc! {"lcmOperationType": "edit", "operationState": "PROCESSING", "startTime": 5};
    osm.change(doc! {"$set": {"resources": {"vcpus": 5}}, "$push": {"_admin.operations": edit}})
        .await;
    let failed = answer(&document, Err("no".to_owned()));
    assert!(osm.database.answer(&vim(), &document, &failed).await.unwrap());
    let after = osm.document().await;
    let state = |n: usize| after["_admin"]["operations"][n]["operationState"].clone();
    assert_eq!((state(0), state(1)), ("FAILED".into(), "PROCESSING".into()));
    assert_eq!(after["_admin"]["detailed-status"], "no");
    assert_eq!(after["resources"]["vcpus"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_tells_what_changes_and_a_standalone_says_that_it_does_not() {
    let (sender, mut hints) = mpsc::channel(16);
    let alone = osm(Kind::Standalone).await;
    assert_eq!(alone.database.watch(&sender).await.unwrap(), Watched::Never);

    let osm = osm(Kind::ReplicaSet).await;
    let theirs = osm.theirs.clone();
    let telling = async {
        let mut next = async || tokio::time::timeout(DEADLINE, hints.recv()).await.unwrap().unwrap();
        assert_eq!(next().await, Hint::Everything);
        let accounts = theirs.collection::<Document>("vim_accounts");
        accounts.insert_one(created()).await.unwrap();
        assert_eq!(next().await, Hint::Account(vim()));
        accounts.delete_one(doc! {"_id": "a"}).await.unwrap();
        assert_eq!(next().await, Hint::Account(vim()));
        theirs
            .collection::<Document>("nsrs")
            .insert_one(doc! {"_id": "n"})
            .await
            .unwrap();
        theirs
            .collection::<Document>("sdns")
            .insert_one(doc! {"_id": "s"})
            .await
            .unwrap();
        assert_eq!(next().await, Hint::Account("sdn:s".parse().unwrap()));
    };
    tokio::select! {
        ended = osm.database.watch(&sender) => panic!("watching has ended: {ended:?}"),
        () = telling => {}
    }
}
