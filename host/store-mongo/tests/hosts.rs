//! What is particular to this store: several hosts, and other programs.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, ItemList, RecordChange};
use vimhost_mongod::Kind;
use vimhost_store::contract::sample::{
    NOW, accept, account, commit, create, id, made, minutes, resource, target, vnfr,
};
use vimhost_store::{Change, Committed, Error, PlanBase, ResourceUpdate, Store};
use vimhost_store_mongo::{Fuse, MongoStore, OpenError, Options};

/// What has not happened after this will not: what is told, the server that is looked for, a command. The product's few seconds are for
/// those who wait for an answer; a process that stands still for as long has found no server when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

async fn options(kind: Kind) -> Options {
    let uri = vimhost_mongod::shared(kind).await.unwrap();
    let database = format!("hosts_{}", vimhost_model::HostId::random());
    let mut options = Options::new(uri, database, id("one"));
    options.server_selection = PATIENCE;
    options.deadline = PATIENCE;
    options
}

async fn two_hosts() -> (MongoStore, MongoStore, mongodb::Database) {
    let options = options(Kind::ReplicaSet).await;
    let mut other = options.clone();
    other.host = id("two");
    let driver = mongodb::Client::with_uri_str(&options.uri).await.unwrap();
    let database = driver.database(&options.database);
    let (one, two) = tokio::join!(MongoStore::open(options), MongoStore::open(other));
    (one.unwrap(), two.unwrap(), database)
}

fn status(value: &str) -> RecordChange {
    let mut change = RecordChange::to_record(Collection::Vnfrs, id("ns-vnf"));
    change.item = Some((ItemList::Vdur, id("a")));
    change.set = vec![(FieldPath::keys(["status"]), json!(value))];
    change
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_hears_of_what_another_one_writes() {
    let (one, two, _) = two_hosts().await;
    let mut changes = two.changes();
    let mut own = one.changes();
    let expected = [
        Change::Account(target("a")),
        Change::Action(id("ns"), id("act-0")),
        Change::Resource(target("a"), id("net-0")),
        Change::Forgotten(id("gone-0")),
    ];
    // The stream is opened beside everything else, so the first writes may come before it.
    let write = async {
        for n in 0.. {
            let revision = one.account(&target("a")).await.unwrap().map(|account| account.revision);
            one.put_account(account("a"), revision).await.unwrap();
            let net = resource(
                &format!("net-{n}"),
                "a",
                vec![create("ns", &format!("act-{n}"), 0, Item::Net)],
            );
            accept(&one, "ns", &format!("act-{n}"), vec![net]).await;
            let gone = format!("gone-{n}");
            accept(&one, &gone, "act", Vec::new()).await;
            one.forget_service(&id(&gone)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let kind = |change: &Change| match change {
        Change::Account(_) => 0,
        Change::Action(..) => 1,
        Change::Resource(..) => 2,
        Change::Forgotten(_) => 3,
        Change::Work(_) | Change::OpOcc(..) | Change::Events | Change::Subscriptions => 4,
    };
    let hear = async {
        let mut missing = vec![0, 1, 2, 3];
        while !missing.is_empty() {
            let heard = kind(&changes.recv().await.unwrap());
            missing.retain(|kind| *kind != heard);
        }
    };
    tokio::select! {
        () = write => {},
        heard = tokio::time::timeout(PATIENCE, hear) => heard.unwrap(),
    }
    for expected in expected {
        let heard = async { while own.recv().await.unwrap() != expected {} };
        let heard = tokio::time::timeout(PATIENCE, heard).await;
        assert!(heard.is_ok(), "the host does not hear its own {expected:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_lost_its_claim_cannot_write_what_it_has_in_hand() {
    let (one, two, _) = two_hosts().await;
    let new = |n| resource(&format!("r-{n}"), "a", vec![create("ns", "act", n, Item::Net)]);
    let all = accept(&one, "ns", "act", (0..20).map(new).collect()).await;
    let old = one
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    let new = two
        .claim_account(&target("a"), &id("two"), minutes(2), minutes(3))
        .await
        .unwrap();
    // None of them was touched by the new owner yet.
    for resource in &all {
        let refused = one.save_resource(&old, &made(resource.clone(), "x"), &[], &[]).await;
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    }
    two.save_resource(&new, &made(all[0].clone(), "y"), &[], &[])
        .await
        .unwrap();
    // Nor what was planned after the change of owner, by a host that does not know of it.
    let late = resource("late", "a", vec![create("ns2", "act", 0, Item::Net)]);
    let late = accept(&one, "ns2", "act", vec![late]).await.remove(0);
    let refused = one.save_resource(&old, &made(late.clone(), "x"), &[], &[]).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    two.save_resource(&new, &made(late, "y"), &[], &[]).await.unwrap();
    two.release_claim(&new).await.unwrap();
    let over = two
        .save_resource(&new, &two.resource(&id("late")).await.unwrap().unwrap(), &[], &[])
        .await;
    assert!(matches!(over, Err(Error::Fenced { .. })), "{over:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_late_is_not_made_after_a_newer_one() {
    let options = options(Kind::ReplicaSet).await;
    let store = MongoStore::open(options.clone()).await.unwrap();
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a"]), None)
        .await
        .unwrap();
    let vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    let mut vm = accept(&store, "ns", "act", vec![vm]).await.remove(0);
    let claim = store
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    let opening = i64::try_from(store.stats().writes).unwrap();
    // A host that saves, and dies before the record shows it.
    let mut dying = options.clone();
    let writes = MongoStore::open(options.clone()).await.unwrap().stats().writes;
    assert!(opening > i64::try_from(writes).unwrap());
    dying.fuse = Some(Arc::new(Fuse::before(i64::try_from(writes).unwrap() + 1)));
    let dying = MongoStore::open(dying).await.unwrap();
    let cut = dying.save_resource(&claim, &vm, &[status("BUILD")], &[]).await;
    assert!(matches!(cut, Err(Error::Unavailable { .. })), "{cut:?}");
    // The next one has its save without having looked: the older change comes first all the same.
    vm = store.resource(&vm.id).await.unwrap().unwrap();
    store
        .save_resource(&claim, &vm, &[status("ACTIVE")], &[])
        .await
        .unwrap();
    let fresh = MongoStore::open(options).await.unwrap();
    fresh.resource(&vm.id).await.unwrap();
    let record = fresh.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(record.document["vdur"][0]["status"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_another_program_changed_has_another_revision() {
    let (one, two, database) = two_hosts().await;
    let vnfrs = database.collection::<Document>("vnfrs");
    vnfrs
        .insert_one(doc! {"_id": "ns-vnf", "nsr-id-ref": "ns", "vdur": [{"id": "a", "count": 3_i64, "f": 1.0}], "_admin": {"created": 1.5}})
        .await
        .unwrap();
    let read = one.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(read.document["vdur"][0], json!({"id": "a", "count": 3, "f": 1.0}));
    let same = two.record(Collection::Vnfrs, &id("ns-vnf")).await.unwrap().unwrap();
    assert_eq!(same, read);
    vnfrs
        .update_one(doc! {"_id": "ns-vnf"}, doc! {"$push": {"vdur": {"id": "theirs"}}})
        .await
        .unwrap();
    let stale = one
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &[]), Some(read.revision))
        .await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    let now = one.vnfrs_of(&id("ns")).await.unwrap().remove(0);
    assert!(now.revision > read.revision);
    assert_eq!(now.document["vdur"][1]["id"], "theirs");
    // A change leaves what it does not set as it was, kinds of numbers included.
    let vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    let vm = accept(&one, "ns", "act", vec![vm]).await.remove(0);
    let claim = one
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    one.save_resource(&claim, &vm, &[status("ACTIVE")], &[]).await.unwrap();
    let raw = vnfrs.find_one(doc! {"_id": "ns-vnf"}).await.unwrap().unwrap();
    let item = raw.get_array("vdur").unwrap()[0].as_document().unwrap();
    assert_eq!(item, &doc! {"id": "a", "count": 3_i64, "f": 1.0, "status": "ACTIVE"});
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_a_host_that_died_with_reservations_holds_nobody_up() {
    let options = options(Kind::ReplicaSet).await;
    let store = MongoStore::open(options.clone()).await.unwrap();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let net = accept(&store, "ns", "act", vec![net]).await.remove(0);
    let claim = store
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    let theirs = |nsr: &str| {
        let mut theirs = commit(
            nsr,
            "act",
            0,
            vec![resource("new", "a", vec![create(nsr, "act", 1, Item::Net)])],
        );
        theirs.updates = vec![ResourceUpdate {
            resource: id("net"),
            expected: net.revision,
            tasks: vec![create(nsr, "act", 0, Item::Net)],
            uses: Vec::new(),
        }];
        theirs
    };
    let writes = i64::try_from(MongoStore::open(options.clone()).await.unwrap().stats().writes).unwrap();
    let mut dying = options.clone();
    // Header, resource and reservation are written; the decision is not.
    dying.fuse = Some(Arc::new(Fuse::before(writes + 3)));
    let dying = MongoStore::open(dying).await.unwrap();
    assert!(dying.commit_action(theirs("ns2")).await.is_err());

    let saved = made(net.clone(), "vim-net");
    assert_eq!(
        store.save_resource(&claim, &saved, &[], &[]).await.unwrap(),
        net.revision + 1
    );
    // And its ids are free.
    let mut again = theirs("ns3");
    again.updates[0].expected = net.revision + 1;
    assert_eq!(store.commit_action(again).await.unwrap(), Committed::Accepted);
    assert_eq!(store.resources_of(&id("ns3")).await.unwrap().len(), 2);
    assert_eq!(store.resources_of(&id("ns2")).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_that_plan_with_one_resource_while_it_is_saved_lose_nothing_and_do_nothing_twice() {
    const COMMITS: u32 = 12;
    let (one, two, _) = two_hosts().await;
    let hosts = [Arc::new(one), Arc::new(two)];
    let shared = resource("shared", "a", vec![create("ns", "act", 0, Item::Net)]);
    let first = accept(&*hosts[0], "ns", "act", vec![shared]).await.remove(0);
    let claim = hosts[0]
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    let mut planners = tokio::task::JoinSet::new();
    let made = Arc::new(AtomicU64::new(0));
    for n in 0..4 {
        let (host, made) = (Arc::clone(&hosts[n % 2]), Arc::clone(&made));
        planners.spawn(async move {
            let nsr = format!("ns-{n}");
            let mut refused = 0_u32;
            let mut action = 0_u32;
            while action < COMMITS {
                let now = host.resource(&id("shared")).await.unwrap().unwrap();
                let plan = host.service_revision(&id(&nsr)).await.unwrap();
                assert_eq!(plan, u64::from(action));
                let name = format!("act-{action}");
                let own = resource(
                    &format!("own-{n}-{action}"),
                    "a",
                    vec![create(&nsr, &name, 1, Item::Net)],
                );
                let mut commit = commit(&nsr, &name, plan, vec![own]);
                commit.updates = vec![ResourceUpdate {
                    resource: now.id.clone(),
                    expected: now.revision,
                    tasks: vec![create(&nsr, &name, 0, Item::Net)],
                    uses: Vec::new(),
                }];
                match host.commit_action(commit).await {
                    Ok(_) => {
                        action += 1;
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(Error::Conflict { what }) => {
                        refused += 1;
                        assert!(refused < 1000, "{nsr} never gets through: {what}");
                    }
                    Err(error) => panic!("{nsr}: {error}"),
                }
            }
            refused
        });
    }
    let mut saves = 0_u64;
    let mut refused = 0;
    // A save overtakes every commit that was begun before it. On a machine where a commit takes longer than the pause between two
    // saves none would ever be made, so the pause grows while none is.
    let (mut pause, mut seen) = (Duration::from_millis(15), 0);
    while let Some(planner) = {
        let now = hosts[0].resource(&id("shared")).await.unwrap().unwrap();
        match hosts[0].save_resource(&claim, &now, &[], &[]).await {
            Ok(_) => saves += 1,
            Err(error) => assert!(matches!(error, Error::Conflict { .. }), "{error}"),
        }
        tokio::time::sleep(pause).await;
        let now_made = made.load(Ordering::Relaxed);
        pause = if now_made == seen {
            pause * 2
        } else {
            Duration::from_millis(15)
        };
        seen = now_made;
        if planners.is_empty() {
            None
        } else {
            Some(planners.try_join_next())
        }
    } {
        refused += planner.map_or(0, |planner| planner.unwrap());
    }
    println!("{saves} saves, {refused} commits were refused");
    let commits = 4 * u64::from(COMMITS);
    let last = hosts[1].resource(&id("shared")).await.unwrap().unwrap();
    assert_eq!(last.tasks.len() as u64, 1 + commits);
    assert_eq!(last.revision, first.revision + commits + saves);
    for n in 0..4 {
        let nsr = id(&format!("ns-{n}"));
        assert_eq!(
            hosts[1].resources_of(&nsr).await.unwrap().len() as u64,
            1 + u64::from(COMMITS)
        );
        let headers = hosts[1].actions(Some(&nsr), None, 99).await.unwrap().entries;
        assert_eq!(headers.len() as u64, u64::from(COMMITS));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_from_before_its_service_was_forgotten_is_refused_after_it() {
    let (one, two, _) = two_hosts().await;
    let net = |name: &str, action: &str| resource(name, "a", vec![create("ns", action, 0, Item::Net)]);
    assert_eq!(one.plan_base(&id("ns")).await.unwrap(), PlanBase::default());
    accept(&one, "ns", "act", Vec::new()).await;
    let base = one.plan_base(&id("ns")).await.unwrap();
    assert!(two.forget_service(&id("ns")).await.unwrap());
    accept(&two, "ns", "theirs", vec![net("r-theirs", "theirs")]).await;
    // The same revision, of another service.
    let now = one.plan_base(&id("ns")).await.unwrap();
    assert_eq!(now.revision, base.revision);
    let mut late = commit("ns", "late", base.revision, vec![net("r-late", "late")]);
    late.service_life = base.life;
    let refused = one.commit_action(late.clone()).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_eq!(one.resources_of(&id("ns")).await.unwrap().len(), 1);
    late.service_life = now.life;
    assert_eq!(one.commit_action(late).await.unwrap(), Committed::Accepted);
    assert_eq!(two.resources_of(&id("ns")).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_that_died_had_not_told_is_told_without_a_reader() {
    let options = options(Kind::ReplicaSet).await;
    let store = MongoStore::open(options.clone()).await.unwrap();
    store
        .put_record(Collection::Vnfrs, &id("ns-vnf"), vnfr("ns", &["a"]), None)
        .await
        .unwrap();
    let vm = resource("vm", "a", vec![create("ns", "act", 0, Item::Vdu)]);
    let vm = accept(&store, "ns", "act", vec![vm]).await.remove(0);
    let claim = store
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    let writes = MongoStore::open(options.clone()).await.unwrap().stats().writes;
    let mut dying = options.clone();
    dying.fuse = Some(Arc::new(Fuse::before(i64::try_from(writes).unwrap() + 1)));
    let dying = MongoStore::open(dying).await.unwrap();
    let cut = dying.save_resource(&claim, &vm, &[status("ACTIVE")], &[]).await;
    assert!(matches!(cut, Err(Error::Unavailable { .. })), "{cut:?}");
    drop(dying);

    let driver = mongodb::Client::with_uri_str(&options.uri).await.unwrap();
    let database = driver.database(&options.database);
    let resources = database.collection::<Document>("vimhost_resources");
    // As if it had happened a while ago.
    resources
        .update_one(doc! {"_id": "vm"}, doc! {"$set": {"todo.at": DateTime::from_millis(0)}})
        .await
        .unwrap();
    // Nobody asks the store.
    let told = async {
        let left = doc! {"_id": "vm", "todo": {"$exists": true}};
        while resources.find_one(left.clone()).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    let vnfrs = database.collection::<Document>("vnfrs");
    let record = vnfrs.find_one(doc! {"_id": "ns-vnf"}).await.unwrap().unwrap();
    let item = record.get_array("vdur").unwrap()[0].as_document().unwrap();
    assert_eq!(item.get_str("status").unwrap(), "ACTIVE");
    assert_eq!(store.resource(&vm.id).await.unwrap().unwrap().revision, vm.revision + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_refused() {
    let options = options(Kind::ReplicaSet).await;
    drop(MongoStore::open(options.clone()).await.unwrap());
    let driver = mongodb::Client::with_uri_str(&options.uri).await.unwrap();
    let meta = driver
        .database(&options.database)
        .collection::<Document>("vimhost_meta");
    meta.update_one(doc! {"_id": "vimhost"}, doc! {"$set": {"schema": 99}})
        .await
        .unwrap();
    let refused = MongoStore::open(options).await;
    assert!(matches!(refused, Err(OpenError::Newer { found: 99, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_cannot_keep_is_refused() {
    let store = MongoStore::open(options(Kind::ReplicaSet).await).await.unwrap();
    let huge = json!({"_id": "ns", "x": "y".repeat(17 * 1024 * 1024)});
    let refused = store.put_record(Collection::Nsrs, &id("ns"), huge, None).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let other = json!({"_id": "other"});
    let refused = store.put_record(Collection::Nsrs, &id("ns"), other, None).await;
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    let odd = json!({"_id": "ns", "a.b": {"$c": [{"d.e": 1}]}});
    store
        .put_record(Collection::Nsrs, &id("ns"), odd.clone(), None)
        .await
        .unwrap();
    assert_eq!(
        store
            .record(Collection::Nsrs, &id("ns"))
            .await
            .unwrap()
            .unwrap()
            .document,
        odd
    );
    // A resource may hold anything: it is kept as text.
    let mut net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    net.tasks[0].params = Some(json!({"a.b": {"$c": u64::MAX}}));
    let kept = accept(&store, "ns", "act", vec![net.clone()]).await.remove(0);
    assert_eq!(kept.tasks, net.tasks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_makes_nothing_and_is_in_nobodys_way() {
    for kind in [Kind::ReplicaSet, Kind::Standalone] {
        let options = options(kind).await;
        let driver = mongodb::Client::with_uri_str(&options.uri).await.unwrap();
        let database = driver.database(&options.database);
        assert!(MongoStore::look(&options).await.unwrap().is_none());
        assert_eq!(database.list_collection_names().await.unwrap(), Vec::<String>::new());
        let store = MongoStore::open(options.clone()).await.unwrap();
        store.put_account(account("a"), None).await.unwrap();
        let mut other = options.clone();
        other.host = id("two");
        let looking = MongoStore::look(&other).await.unwrap().unwrap();
        assert_eq!(looking.topology(), store.topology());
        assert_eq!(
            looking.installation().await.unwrap(),
            store.installation().await.unwrap()
        );
        assert!(looking.account(&target("a")).await.unwrap().is_some());
        drop(looking);
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_services_that_two_hosts_plan_at_once_one_makes_what_they_share() {
    let (one, two, database) = two_hosts().await;
    for round in 0..20 {
        let common_id = format!("c-{round}");
        let of = |host: &str| {
            let nsr = format!("{host}-{round}");
            let mut task = create(&nsr, "act", 0, Item::Net);
            task.common_id = Some(common_id.clone());
            commit(&nsr, "act", 0, vec![resource(&nsr, "a", vec![task])])
        };
        let (first, second) = tokio::join!(one.commit_action(of("one")), two.commit_action(of("two")));
        let accepted = usize::from(first.is_ok()) + usize::from(second.is_ok());
        assert_eq!(accepted, 1, "round {round}: {first:?} {second:?}");
        let (winner, refused) = if first.is_ok() { ("one", second) } else { ("two", first) };
        assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
        for host in [&one, &two] {
            let shared = host.shared_resource(&target("a"), Item::Net, &common_id).await.unwrap();
            assert_eq!(shared.unwrap().id, id(&format!("{winner}-{round}")));
        }
    }
    // A reservation lives no longer than its commit.
    let left = database
        .collection::<Document>("vimhost_shares")
        .count_documents(doc! {})
        .await;
    assert_eq!(left.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_dies_with_a_reservation_of_what_is_shared_is_in_nobodys_way() {
    let of = |nsr: &str| {
        let mut task = create(nsr, "act", 0, Item::Net);
        task.common_id = Some("c".to_owned());
        commit(nsr, "act", 0, vec![resource(nsr, "a", vec![task])])
    };
    // Header, new resource and reservation; then it dies, and takes nothing back.
    let options = options(Kind::ReplicaSet).await;
    drop(MongoStore::open(options.clone()).await.unwrap());
    let opening = MongoStore::open(options.clone()).await.unwrap().stats().writes;
    let mut dying = options.clone();
    dying.fuse = Some(Arc::new(Fuse::before(i64::try_from(opening).unwrap() + 3)));
    let dying = MongoStore::open(dying).await.unwrap();
    let cut = dying.commit_action(of("dead")).await;
    assert!(matches!(cut, Err(Error::Unavailable { .. })), "{cut:?}");
    drop(dying);
    let mut other = options;
    other.host = id("two");
    let store = MongoStore::open(other).await.unwrap();
    assert_eq!(store.commit_action(of("alive")).await.unwrap(), Committed::Accepted);
    let shared = store.shared_resource(&target("a"), Item::Net, "c").await.unwrap();
    assert_eq!(shared.unwrap().id, id("alive"));
    assert_eq!(store.resource(&id("dead")).await.unwrap(), None);
}
