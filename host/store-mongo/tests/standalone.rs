//! Who has a standalone: one process at a time, and what becomes of another's leases.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

use std::time::{Duration, Instant};

use vimhost_model::Item;
use vimhost_mongod::Kind;
use vimhost_store::contract::sample::{NOW, accept, create, id, made, minutes, resource, target};
use vimhost_store::{Error, Store};
use vimhost_store_mongo::{Hold, MongoStore, OpenError, Options, Predecessor};

/// What has not happened after this will not: what is told, the server that is looked for, a command. The product's few seconds are for
/// those who wait for an answer; a process that stands still for as long has found no server when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

async fn options(kind: Kind) -> Options {
    let uri = vimhost_mongod::shared(kind).await.unwrap();
    let database = format!("standalone_{}", vimhost_model::HostId::random());
    let mut options = Options::new(uri, database, id("one"));
    options.server_selection = PATIENCE;
    options.deadline = PATIENCE;
    options
}

/// A standalone that is kept for less time than outside of tests, but for long enough that a process which stands still for seconds, or
/// waits for its disk, gives signs of life in time.
async fn standalone(host: &str) -> Options {
    let mut options = options(Kind::Standalone).await;
    options.host = id(host);
    options.host_lease = Duration::from_secs(10);
    options
}

async fn is_in_use(options: &Options, by: &str) {
    let Err(error @ OpenError::InUse { .. }) = MongoStore::open(options.clone()).await else {
        panic!("opened twice");
    };
    assert!(error.to_string().contains(&format!("in use by host {by}")), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_serves_one_process_whatever_it_is_called() {
    let options = standalone("one").await;
    let mut other = options.clone();
    other.host = id("two");
    let one = MongoStore::open(options.clone()).await.unwrap();
    tokio::join!(is_in_use(&other, "one"), is_in_use(&options, "one"));
    // Let go, it is anybody's at once.
    one.close().await;
    let begun = Instant::now();
    MongoStore::open(other).await.unwrap();
    assert!(begun.elapsed() < options.host_lease, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_a_process_that_died_on_a_standalone_finds_every_lease_ended() {
    let options = standalone("one").await;
    let one = MongoStore::open(options.clone()).await.unwrap();
    let net = resource("net", "a", vec![create("ns", "act", 0, Item::Net)]);
    let net = accept(&one, "ns", "act", vec![net]).await.remove(0);
    let forever = minutes(1_000_000);
    let old = one.claim_account(&target("a"), &id("one"), NOW, forever).await.unwrap();
    // Without letting go: its tasks end, as with the process.
    drop(one);
    // Under the same name, known to be gone: nothing to wait for.
    let mut again = options.clone();
    again.predecessor = Predecessor::Gone;
    let begun = Instant::now();
    let again = MongoStore::open(again).await.unwrap();
    assert!(begun.elapsed() < options.host_lease, "{:?}", begun.elapsed());
    assert_eq!(again.leases().await.unwrap(), []);
    // What the old process still had on its way, before anybody has claimed the account again.
    let late = again.save_resource(&old, &made(net.clone(), "late"), &[], &[]).await;
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    let new = again
        .claim_account(&target("a"), &id("one"), NOW, forever)
        .await
        .unwrap();
    assert!(new.fence > old.fence);
    drop(again);
    // Under another name, when the one before was silent for long enough.
    let mut other = options;
    other.host = id("two");
    let other = MongoStore::open(other).await.unwrap();
    assert_eq!(other.leases().await.unwrap(), []);
    let late = other.save_resource(&new, &made(net.clone(), "late"), &[], &[]).await;
    assert!(matches!(late, Err(Error::Fenced { .. })), "{late:?}");
    let newest = other
        .claim_account(&target("a"), &id("two"), NOW, forever)
        .await
        .unwrap();
    assert!(newest.fence > new.fence);
    other
        .save_resource(&newest, &made(net, "vim-net"), &[], &[])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_lost_a_standalone_hears_it_and_is_granted_nothing() {
    let mut twin = standalone("one").await;
    let one = MongoStore::open(twin.clone()).await.unwrap();
    let mut hold = one.hold().unwrap();
    let first = *hold.borrow_and_update();
    assert!(matches!(first, Hold::Until(_)), "{first:?}");
    let longer = tokio::time::timeout(PATIENCE, hold.changed()).await;
    longer.unwrap().unwrap();
    assert_ne!(*hold.borrow_and_update(), first);
    let old = one
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    // As with a copied data directory: of one name, and it wrongly takes the first one for dead.
    twin.predecessor = Predecessor::Gone;
    let twin = MongoStore::open(twin).await.unwrap();
    let refused = one.claim_account(&target("a"), &id("one"), NOW, minutes(1)).await;
    assert!(matches!(refused, Err(Error::Fenced { .. })), "{refused:?}");
    let new = twin
        .claim_account(&target("a"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    assert!(new.fence > old.fence);
    let lost = tokio::time::timeout(PATIENCE, hold.wait_for(|hold| *hold == Hold::Lost)).await;
    assert!(lost.unwrap().is_ok());
    // Closing it takes nothing from the other one.
    one.close().await;
    let now = *twin.hold().unwrap().borrow();
    assert!(matches!(now, Hold::Until(_)), "{now:?}");
    twin.claim_account(&target("b"), &id("one"), NOW, minutes(1))
        .await
        .unwrap();
    // A replica set is held by nobody: accounts are.
    let many = MongoStore::open(options(Kind::ReplicaSet).await).await.unwrap();
    assert!(many.hold().is_none());
}
