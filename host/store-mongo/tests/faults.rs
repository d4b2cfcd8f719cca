//! A host that dies between any two steps of a write leaves it whole or absent, and another host sees to that.
//!
//! Each write is begun again and again, on a database of its own, by a store that dies before or right after its first, second, third …
//! command. Then a second host looks: first while it has only seen the database open, then after the write was repeated.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, ItemList, RecordChange, TaskAction};
use vimhost_mongod::Kind;
use vimhost_store::contract::sample::{accept, claim, commit, create, id, made, resource, target, task, vnfr};
use vimhost_store::{ActionCommit, Claim, Committed, Error, ResourceUpdate, Store};
use vimhost_store_mongo::{Fuse, MongoStore, Options};

/// More commands than any write sends.
const MOST_STEPS: i64 = 40;

/// How long the server may take to be found, and for one command: whoever waits longer waits for ever. The product's few seconds are for
/// those who wait for an answer; a process that stands still for as long has found no server when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

async fn options() -> Options {
    let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
    let database = format!("faults_{}", vimhost_model::HostId::random());
    let mut options = Options::new(uri, database, id("host"));
    options.server_selection = PATIENCE;
    options.deadline = PATIENCE;
    options
}

async fn open(options: &Options, fuse: Option<Fuse>) -> MongoStore {
    let mut options = options.clone();
    options.fuse = fuse.map(Arc::new);
    MongoStore::open(options).await.unwrap()
}

fn insert(record: &str, item: &str) -> RecordChange {
    let mut change = RecordChange::to_record(Collection::Vnfrs, id(record));
    change.item = Some((ItemList::Vdur, id(item)));
    change.insert = Some(json!({"id": item, "made": 1}));
    change
}

fn status(record: &str, item: &str, status: &str) -> RecordChange {
    let mut change = RecordChange::to_record(Collection::Vnfrs, id(record));
    change.item = Some((ItemList::Vdur, id(item)));
    change.set = vec![(FieldPath::keys(["status"]), json!(status))];
    change
}

/// How many commands opening takes, so that the fuse begins to count behind them.
async fn cost_of_opening(options: &Options) -> i64 {
    let store = open(options, None).await;
    let store = {
        drop(store);
        open(options, None).await
    };
    i64::try_from(store.stats().writes).unwrap()
}

/// Two records, three nets that are made, and the claim of their account.
async fn three_nets(store: &MongoStore) -> (Claim, Vec<vimhost_model::Resource>) {
    for record in ["ns-vnf", "ns-vnf2"] {
        let mut document = vnfr("ns", &["a", "b"]);
        document["_id"] = json!(record);
        store
            .put_record(Collection::Vnfrs, &id(record), document, None)
            .await
            .unwrap();
    }
    let net = |n| resource(&format!("net-{n}"), "a", vec![create("ns", "act-1", n, Item::Net)]);
    let nets = accept(store, "ns", "act-1", (0..3).map(net).collect()).await;
    (claim(store, "a").await, nets)
}

fn second_action(nets: &[vimhost_model::Resource]) -> ActionCommit {
    let new = |n| resource(&format!("new-{n}"), "a", vec![create("ns", "act-2", n, Item::Net)]);
    let mut whole = commit("ns", "act-2", 1, (10..13).map(new).collect());
    // The last one is to be shared.
    for new in whole.new_resources.iter_mut().skip(2) {
        new.tasks[0].common_id = Some("shared".to_owned());
    }
    whole.record_changes = vec![
        insert("ns-vnf", "new"),
        status("ns-vnf", "a", "DELETING"),
        status("ns-vnf2", "a", "DELETING"),
    ];
    whole.texts = vec![("digest".to_owned(), "text".to_owned())];
    for (n, net) in (0..).zip(nets) {
        whole.updates.push(ResourceUpdate {
            resource: net.id.clone(),
            expected: net.revision,
            tasks: vec![task("ns", "act-2", n, TaskAction::Delete, Item::Net)],
            uses: Vec::new(),
        });
    }
    whole
}

/// Whether the second action is there, all of it or nothing.
async fn is_there(store: &dyn Store, nets: &[vimhost_model::Resource]) -> bool {
    let there = store.action(&id("ns"), &id("act-2")).await.unwrap().is_some();
    let of_action = store.resources_of_action(&id("ns"), &id("act-2")).await.unwrap();
    assert_eq!(of_action.len(), if there { 6 } else { 0 });
    assert_eq!(
        store.resources_of(&id("ns")).await.unwrap().len(),
        if there { 6 } else { 3 }
    );
    assert_eq!(
        store.unsettled(&target("a"), None, 99).await.unwrap().entries.len(),
        if there { 6 } else { 3 }
    );
    assert_eq!(
        store.service_revision(&id("ns")).await.unwrap(),
        if there { 2 } else { 1 }
    );
    assert_eq!(
        store.actions(Some(&id("ns")), None, 9).await.unwrap().entries.len(),
        if there { 2 } else { 1 }
    );
    for net in nets {
        let now = store.resource(&net.id).await.unwrap().unwrap();
        assert_eq!(now.revision, net.revision + u64::from(there));
        assert_eq!(now.tasks.len(), if there { 2 } else { 1 });
    }
    for n in 10..13 {
        assert_eq!(store.resource(&id(&format!("new-{n}"))).await.unwrap().is_some(), there);
    }
    let record = store
        .record(Collection::Vnfrs, &id("ns-vnf"))
        .await
        .unwrap()
        .unwrap()
        .document;
    assert_eq!(record["vdur"].as_array().unwrap().len(), if there { 3 } else { 2 });
    for record in ["ns-vnf", "ns-vnf2"] {
        let record = store
            .record(Collection::Vnfrs, &id(record))
            .await
            .unwrap()
            .unwrap()
            .document;
        assert_eq!(record["vdur"][0]["status"] == json!("DELETING"), there);
    }
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_off_anywhere_is_whole_or_absent() {
    let (mut absent, mut whole) = (0, 0);
    for step in 0..MOST_STEPS {
        let mut over = false;
        for fuse in [Fuse::before, |writes| Fuse::after(writes + 1)] {
            let options = options().await;
            let first = open(&options, None).await;
            let (_, nets) = three_nets(&first).await;
            drop(first);
            let opening = cost_of_opening(&options).await;
            let dying = open(&options, Some(fuse(opening + step))).await;
            let cut = dying.commit_action(second_action(&nets)).await;
            over |= cut.is_ok();
            drop(dying);

            // What was not seen at once must not appear later, unless it is sent again.
            let store = open(&options, None).await;
            let there = is_there(&store, &nets).await;
            assert!(there || cut.is_err(), "an answered commit is not there");
            if there {
                whole += 1;
            } else {
                absent += 1;
            }
            assert_eq!(is_there(&store, &nets).await, there);
            let again = store.commit_action(second_action(&nets)).await.unwrap();
            assert_eq!(again == Committed::Accepted, !there, "step {step}");
            assert!(is_there(&store, &nets).await);
        }
        if over {
            println!("{step} steps: absent {absent}, whole {whole}");
            assert!(absent > 4 && whole > 4);
            return;
        }
    }
    panic!("the commit takes more than {MOST_STEPS} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_is_cut_off_anywhere_is_whole_or_absent_and_can_be_repeated() {
    let changes = [
        status("ns-vnf", "a", "ACTIVE"),
        insert("ns-vnf", "new"),
        status("ns-vnf2", "b", "ACTIVE"),
    ];
    for step in 0..MOST_STEPS {
        let mut over = false;
        for fuse in [Fuse::before, |writes| Fuse::after(writes + 1)] {
            let options = options().await;
            let first = open(&options, None).await;
            let (claim, nets) = three_nets(&first).await;
            drop(first);
            let opening = cost_of_opening(&options).await;
            let dying = open(&options, Some(fuse(opening + step))).await;
            let saved = made(nets[0].clone(), "vim-net");
            let cut = dying.save_resource(&claim, &saved, &changes, &[]).await;
            over |= cut.is_ok();
            drop(dying);

            let store = open(&options, None).await;
            let now = store.resource(&saved.id).await.unwrap().unwrap();
            let there = now.revision > saved.revision;
            let record = |name: &'static str| {
                let store = &store;
                async move {
                    store
                        .record(Collection::Vnfrs, &id(name))
                        .await
                        .unwrap()
                        .unwrap()
                        .document
                }
            };
            assert_eq!(record("ns-vnf").await["vdur"][0]["status"] == json!("ACTIVE"), there);
            assert_eq!(record("ns-vnf2").await["vdur"][1]["status"] == json!("ACTIVE"), there);
            assert_eq!(
                record("ns-vnf").await["vdur"].as_array().unwrap().len(),
                if there { 3 } else { 2 }
            );

            // The same again is answered as the first would have been, and makes nothing twice.
            let next = store.save_resource(&claim, &saved, &changes, &[]).await.unwrap();
            assert_eq!(next, saved.revision + 1);
            assert_eq!(record("ns-vnf").await["vdur"].as_array().unwrap().len(), 3);
            let other = made(nets[0].clone(), "other");
            let refused = store.save_resource(&claim, &other, &[], &[]).await;
            assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        }
        if over {
            assert!(step > 1);
            return;
        }
    }
    panic!("the save takes more than {MOST_STEPS} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_written_together_are_all_there_or_none_also_when_cut_off() {
    let puts = || {
        let put = |name: &str| {
            (
                Collection::Vnfrs,
                id(name),
                json!({"_id": name, "nsr-id-ref": "ns", "n": 2}),
            )
        };
        vec![put("one"), put("two"), put("three")]
    };
    for step in 0..MOST_STEPS {
        let options = options().await;
        let opening = cost_of_opening(&options).await;
        let dying = open(&options, Some(Fuse::before(opening + step))).await;
        let cut = dying.put_records(puts()).await;
        drop(dying);
        let store = open(&options, None).await;
        let count = store.vnfrs_of(&id("ns")).await.unwrap().len();
        assert_eq!(count, if step == 0 { 0 } else { 3 }, "step {step}");
        if cut.is_ok() {
            return;
        }
    }
    panic!("the write takes more than {MOST_STEPS} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgetting_that_is_cut_off_is_finished_by_the_next_host() {
    for step in 0..MOST_STEPS {
        let options = options().await;
        let first = open(&options, None).await;
        let (claim, nets) = three_nets(&first).await;
        for net in &nets {
            let mut failed = net.clone();
            failed.tasks[0].status = vimhost_model::TaskStatus::Failed;
            first.save_resource(&claim, &failed, &[], &[]).await.unwrap();
        }
        drop(first);
        let opening = cost_of_opening(&options).await;
        let dying = open(&options, Some(Fuse::before(opening + step))).await;
        let cut = dying.forget_service(&id("ns")).await;
        drop(dying);
        let store = open(&options, None).await;
        let headers = store.actions(Some(&id("ns")), None, 9).await.unwrap().entries.len();
        let resources = store.resources_of(&id("ns")).await.unwrap().len();
        let revision = store.service_revision(&id("ns")).await.unwrap();
        let expected = if step == 0 { (1, 3, 1) } else { (0, 0, 0) };
        assert_eq!((headers, resources, revision), expected, "step {step}");
        if cut.is_ok() {
            return;
        }
    }
    panic!("forgetting takes more than {MOST_STEPS} steps");
}
