//! VNF instances and their operations with several hosts, and with hosts that die between any two steps of a write.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use vimhost_model::vnf::{EventKind, InstantiationState, LcmEvent, OperationState, VnfInstance, VnfLcmOpOcc};
use vimhost_model::{Revision, Timestamp};
use vimhost_mongod::Kind;
use vimhost_store::contract::sample::{NOW, account, claim, id, minutes, target};
use vimhost_store::{Change, Claim, Error, InstanceWrite, ListQuery, Store, VnfLcm};
use vimhost_store_mongo::{Fuse, MongoStore, Options};

/// More commands than any write sends.
const MOST_STEPS: i64 = 20;

/// The last of the writes of [`write`].
const LAST: usize = 5;

/// How long the server may take to be found, and for one command: whoever waits longer waits for ever. The product's few seconds are for
/// those who wait for an answer; a process that stands still for as long has found no server when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database with the accounts of the operations.
async fn options() -> Options {
    let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
    let database = format!("vnf_{}", vimhost_model::HostId::random());
    let mut options = Options::new(uri, database, id("host"));
    options.server_selection = PATIENCE;
    options.deadline = PATIENCE;
    let store = open(&options, None).await;
    for name in ["a", "b"] {
        store.put_account(account(name), None).await.unwrap();
    }
    options
}

async fn open(options: &Options, fuse: Option<Fuse>) -> MongoStore {
    let mut options = options.clone();
    options.fuse = fuse.map(Arc::new);
    MongoStore::open(options).await.unwrap()
}

/// How many commands opening a database takes that was opened before, so that a fuse begins to count behind them.
async fn cost_of_opening() -> i64 {
    let options = options().await;
    drop(open(&options, None).await);
    let store = open(&options, None).await;
    i64::try_from(store.stats().writes).unwrap()
}

fn instance(name: &str) -> VnfInstance {
    let value = json!({
        "id": name, "vnfdId": "vnfd", "vnfProvider": "p", "vnfProductName": "n", "vnfSoftwareVersion": "1", "vnfdVersion": "1",
        "instantiationState": "NOT_INSTANTIATED", "metadata": {"$k.v": 1}, "_vimhost": {"package": "pkg"},
    });
    serde_json::from_value(value).unwrap()
}

fn op_occ(name: &str, of: &str, account: Option<&str>) -> VnfLcmOpOcc {
    let value = json!({
        "id": name, "operationState": "STARTING", "stateEnteredTime": "2024-01-01T00:00:00Z", "startTime": "2024-01-01T00:00:00Z",
        "vnfInstanceId": of, "operation": "INSTANTIATE", "isAutomaticInvocation": false, "isCancelPending": false,
        "operationParams": {"flavourId": "f"}, "_vimhost": {"target": account.map(|account| format!("vim:{account}"))},
    });
    serde_json::from_value(value).unwrap()
}

fn at(mut op_occ: VnfLcmOpOcc, state: OperationState, revision: Revision) -> VnfLcmOpOcc {
    op_occ.operation_state = state;
    op_occ.own.revision = revision;
    op_occ
}

fn event(at: Timestamp) -> LcmEvent {
    LcmEvent::of(&instance("vnf"), at, EventKind::IdentifierCreation)
}

/// The write that follows after `n - 1` others in the life of an instance: made, instantiated in three steps, deleted.
async fn write(store: &MongoStore, n: usize, claim: &Claim) -> Result<(), Error> {
    let events = [event(NOW)];
    let op = op_occ("op", "vnf", Some("a"));
    match n {
        1 => store.add_vnf_instance(&instance("vnf"), &events).await,
        2 => store.begin_operation(&op, 1, &events).await,
        3 => {
            let op = at(op, OperationState::Processing, 1);
            let saved = store
                .save_op_occ(Some(claim), &op, InstanceWrite::None, &events)
                .await?;
            assert_eq!(saved, 2);
            Ok(())
        }
        4 => {
            let op = at(op, OperationState::Completed, 2);
            let mut made = instance("vnf");
            made.instantiation_state = InstantiationState::Instantiated;
            made.own.revision = 2;
            made.own.target = Some(target("a"));
            let replace = InstanceWrite::Replace(Box::new(made));
            let saved = store.save_op_occ(Some(claim), &op, replace, &events).await?;
            assert_eq!(saved, 3);
            Ok(())
        }
        5 => store.delete_vnf_instance(&id("vnf"), 3, &events).await,
        n => panic!("there is no write {n}"),
    }
}

/// How many of the writes are there, each of them whole: whatever is asked tells of the same number.
async fn writes_there(store: &MongoStore, database: &mongodb::Database) -> usize {
    let instance = store.vnf_instance(&id("vnf")).await.unwrap();
    let op = store.op_occ(&id("op")).await.unwrap();
    let there = match (&instance, op.as_ref().map(|op| op.operation_state)) {
        (None, None) => 0,
        (Some(_), None) => 1,
        (Some(_), Some(OperationState::Starting)) => 2,
        (Some(_), Some(OperationState::Processing)) => 3,
        (Some(_), Some(_)) => 4,
        (None, Some(_)) => 5,
    };
    let running = there == 2 || there == 3;
    if let Some(instance) = &instance {
        assert_eq!(instance.own.operation.is_some(), running);
        assert_eq!(instance.own.revision, [0, 1, 2, 2, 3][there]);
        assert_eq!(
            instance.instantiation_state == InstantiationState::Instantiated,
            there == 4
        );
    }
    let of_account = store.running_op_occs(Some(&target("a")), None, 9).await.unwrap();
    assert_eq!(
        of_account.entries,
        op.iter()
            .filter(|_| running)
            .map(|op| op.id.clone())
            .collect::<Vec<_>>()
    );
    assert_eq!(store.targets_with_op_occs().await.unwrap().len(), usize::from(running));
    let on = store.vnf_instances_on(&target("a"), None, 9).await.unwrap();
    assert_eq!(on.entries.len(), usize::from(there == 4));
    assert_eq!(store.package_in_use(&id("pkg")).await.unwrap(), instance.is_some());
    let query = ListQuery {
        whole: true,
        ..ListQuery::default()
    };
    let listed = store.vnf_instances(&query, None, 9).await.unwrap().entries;
    assert_eq!(listed.len(), usize::from(instance.is_some()));
    let listed = store.op_occs(&query, None, 9).await.unwrap().entries;
    assert_eq!(listed.len(), usize::from(op.is_some()));
    if let (Some(listed), Some(op)) = (listed.first(), &op) {
        let head: Value = serde_json::from_str(&listed.head).unwrap();
        assert_eq!(head["operationState"], op.operation_state.as_str());
        let rest: Value = serde_json::from_str(&listed.rest).unwrap();
        assert_eq!(rest, json!({"operationParams": {"flavourId": "f"}}));
    }
    let events = database.collection::<Document>("vimhost_lcm_events");
    let told = events.count_documents(doc! {}).await.unwrap();
    assert_eq!(usize::try_from(told).unwrap(), there, "events");
    there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_cut_off_anywhere_is_whole_or_absent_and_another_host_sees_to_that() {
    let opening = cost_of_opening().await;
    let driver = mongodb::Client::with_uri_str(&options().await.uri).await.unwrap();
    for n in 1..=LAST {
        let (mut absent, mut whole) = (0, 0);
        for step in 0..=MOST_STEPS {
            assert!(step < MOST_STEPS, "write {n} takes more than {MOST_STEPS} steps");
            let options = options().await;
            let database = driver.database(&options.database);
            let first = open(&options, None).await;
            let claim = claim(&first, "a").await;
            for before in 1..n {
                write(&first, before, &claim).await.unwrap();
            }
            drop(first);
            let dying = open(&options, Some(Fuse::before(opening + step))).await;
            let cut = write(&dying, n, &claim).await;
            drop(dying);

            let store = open(&options, None).await;
            let there = writes_there(&store, &database).await;
            assert!(
                there == n || (there + 1 == n && cut.is_err()),
                "write {n}, step {step}: {there}"
            );
            if there == n {
                whole += 1;
            } else {
                absent += 1;
            }
            // Sent again it is made, or nothing is made twice.
            let again = write(&store, n, &claim).await;
            assert!(again.is_ok() || there == n, "write {n}, step {step}: {again:?}");
            if (2..=4).contains(&n) {
                assert!(again.is_ok(), "write {n}, step {step}: {again:?}");
            }
            assert_eq!(writes_there(&store, &database).await, n);
            database.drop().await.unwrap();
            if cut.is_ok() {
                break;
            }
        }
        assert!(absent > 0 && whole > 2, "write {n}: absent {absent}, whole {whole}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_that_begin_an_operation_at_once_one_wins() {
    let options = options().await;
    let (one, two) = (open(&options, None).await, open(&options, None).await);
    for round in 0..20 {
        let name = format!("vnf-{round}");
        one.add_vnf_instance(&instance(&name), &[]).await.unwrap();
        // On two accounts, so that each has to put its own on the instance first.
        let (first, second) = (
            op_occ(&format!("one-{round}"), &name, Some("a")),
            op_occ(&format!("two-{round}"), &name, Some("b")),
        );
        let (begun_one, begun_two) = tokio::join!(
            one.begin_operation(&first, 1, &[]),
            two.begin_operation(&second, 1, &[])
        );
        assert_eq!(
            usize::from(begun_one.is_ok()) + usize::from(begun_two.is_ok()),
            1,
            "{begun_one:?} {begun_two:?}"
        );
        let refused = begun_one.as_ref().err().or(begun_two.as_ref().err()).unwrap();
        assert!(matches!(refused, Error::Conflict { .. }), "{refused:?}");
        let (winner, loser) = if begun_one.is_ok() {
            (first, second)
        } else {
            (second, first)
        };
        let locked = two.vnf_instance(&id(&name)).await.unwrap().unwrap();
        assert_eq!(locked.own.operation.as_ref(), Some(&winner.id));
        assert_eq!(one.op_occ(&loser.id).await.unwrap(), None);
        let deleted = two.delete_vnf_instance(&id(&name), locked.own.revision, &[]).await;
        assert!(matches!(deleted, Err(Error::Conflict { .. })), "{deleted:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_lost_its_claim_writes_nothing_of_an_operation() {
    let options = options().await;
    let (one, two) = (open(&options, None).await, open(&options, None).await);
    let account = target("a");
    for name in ["early", "late"] {
        one.add_vnf_instance(&instance(name), &[]).await.unwrap();
    }
    let early = op_occ("op-early", "early", Some("a"));
    one.begin_operation(&early, 1, &[]).await.unwrap();
    let old = one.claim_account(&account, &id("one"), NOW, minutes(1)).await.unwrap();
    let new = two
        .claim_account(&account, &id("two"), minutes(2), minutes(3))
        .await
        .unwrap();
    // Accepted after the change of owner, by a host that does not know of it.
    let late = op_occ("op-late", "late", Some("a"));
    one.begin_operation(&late, 1, &[]).await.unwrap();
    for begun in [early, late] {
        let step = at(begun, OperationState::Processing, 1);
        let refused = one.save_op_occ(Some(&old), &step, InstanceWrite::None, &[]).await;
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
        let refused = one.save_op_occ(Some(&old), &step, InstanceWrite::Release, &[]).await;
        assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
        let now = two.op_occ(&step.id).await.unwrap().unwrap();
        assert_eq!((now.operation_state, now.own.revision), (OperationState::Starting, 1));
        let saved = two.save_op_occ(Some(&new), &step, InstanceWrite::None, &[]).await;
        assert_eq!(saved.unwrap(), 2);
        let other = at(step.clone(), OperationState::FailedTemp, 1);
        let stale = two.save_op_occ(Some(&new), &other, InstanceWrite::None, &[]).await;
        assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    }
    two.release_claim(&new).await.unwrap();
    let now = at(op_occ("op-late", "late", Some("a")), OperationState::Completed, 2);
    let over = two.save_op_occ(Some(&new), &now, InstanceWrite::Release, &[]).await;
    assert!(matches!(over, Err(Error::Fenced { .. })), "{over:?}");
    assert!(
        two.vnf_instance(&id("late"))
            .await
            .unwrap()
            .unwrap()
            .own
            .operation
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_an_instance_keep_the_order_of_its_writes_whatever_the_clocks_say() {
    let options = options().await;
    let driver = mongodb::Client::with_uri_str(&options.uri).await.unwrap();
    let (one, two) = (open(&options, None).await, open(&options, None).await);
    let mut heard = two.changes();
    one.add_vnf_instance(&instance("vnf"), &[event(minutes(5))])
        .await
        .unwrap();
    // The clock of the other host is late.
    let op = op_occ("op", "vnf", None);
    two.begin_operation(&op, 1, &[event(minutes(1)), event(minutes(2))])
        .await
        .unwrap();
    one.save_op_occ(
        None,
        &at(op, OperationState::Processing, 1),
        InstanceWrite::None,
        &[event(minutes(6))],
    )
    .await
    .unwrap();
    let events = driver
        .database(&options.database)
        .collection::<Document>("vimhost_lcm_events");
    let mut found = events.find(doc! {}).sort(doc! {"_id": 1}).await.unwrap();
    let mut times = Vec::new();
    while found.advance().await.unwrap() {
        let document: Document = found.deserialize_current().unwrap();
        let told: LcmEvent = serde_json::from_str(document.get_str("doc").unwrap()).unwrap();
        times.push(told.at);
    }
    assert_eq!(times, [minutes(5), minutes(1), minutes(2), minutes(6)]);
    while heard.recv().await.unwrap() != Change::OpOcc(None, id("op")) {}
    while heard.recv().await.unwrap() != Change::Events {}
}
