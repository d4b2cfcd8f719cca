//! What a replica set goes through: elections, a killed primary, a database that is away.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod load;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vimhost_store::contract::sample::{accept, account, claim, create, id, resource, target};
use vimhost_store::{Error, Store};
use vimhost_store_mongo::{MongoStore, Options};

use load::{check, write_on};

/// Nothing here takes longer unless it hangs: where a disk takes seconds to sync, fifty answers are a minute's work.
const PATIENCE: Duration = Duration::from_secs(180);

fn options(uri: String) -> Options {
    let mut options = Options::new(uri, "failover", id("host"));
    options.server_selection = Duration::from_secs(10);
    options
}

/// What the writers were answered so far.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<Vec<String>>>);

impl Answers {
    /// Waits until the writers have got well on from here: whatever comes next meets them at work.
    async fn grow(&self) {
        let before = self.0.lock().unwrap().len();
        let until = Instant::now() + PATIENCE;
        while self.0.lock().unwrap().len() < before + 50 {
            assert!(Instant::now() < until, "nothing is written any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Writes with some writers while `trouble` happens. A writer that is told that the store is not available begins anew with another
/// action, as a client would.
async fn under_load(store: &Arc<MongoStore>, answers: &Answers, trouble: impl Future<Output = ()>) -> Vec<String> {
    let lines = &answers.0;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (store, lines) = (Arc::clone(store), Arc::clone(lines));
        writers.spawn(async move {
            let answered = |line: String| lines.lock().unwrap().push(line);
            for round in 0.. {
                match write_on(Arc::clone(&store), round, writer, &answered).await {
                    Ok(()) | Err(Error::Unavailable { .. }) => {}
                    Err(error) => panic!("writer {writer}: {error}"),
                }
                // The pace of a client.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    trouble.await;
    // And some more, when all is well again.
    answers.grow().await;
    writers.shutdown().await;
    lines.lock().unwrap().clone()
}

async fn wait_for(store: &MongoStore) {
    let until = Instant::now() + PATIENCE;
    while store.ping().await.is_err() {
        assert!(Instant::now() < until, "the store does not come back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answered_write_is_lost_in_a_failover_and_none_is_made_twice() {
    let mut servers = vimhost_mongod::three_nodes().await.unwrap();
    let options = options(servers.uri());
    let store = Arc::new(MongoStore::open(options.clone()).await.unwrap());
    let answers = Answers::default();
    let trouble = async {
        answers.grow().await;
        servers.step_down().await.unwrap();
        servers.primary().await.unwrap();
        answers.grow().await;
        let primary = servers.primary().await.unwrap();
        servers.kill(primary).unwrap();
        servers.primary().await.unwrap();
        answers.grow().await;
        servers.restart(primary).await.unwrap();
        wait_for(&store).await;
    };
    let lines = under_load(&store, &answers, trouble).await;
    println!("{} answers", lines.len());
    let fresh = MongoStore::open(options).await.unwrap();
    check(&fresh, &lines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told_in_time_and_used_again_when_it_is_back() {
    let mut servers = vimhost_mongod::one_node().await.unwrap();
    let mut options = Options::new(servers.uri(), "away", id("host"));
    options.server_selection = Duration::from_secs(1);
    let store = MongoStore::open(options).await.unwrap();
    store.put_account(account("a"), None).await.unwrap();
    let net = resource("net", "a", vec![create("ns", "act", 0, vimhost_model::Item::Net)]);
    let net = accept(&store, "ns", "act", vec![net]).await.remove(0);
    let claim = claim(&store, "a").await;
    servers.kill(0).unwrap();
    let begun = Instant::now();
    let of_a = target("a");
    let (read, write, saved, ping) = tokio::join!(
        store.account(&of_a),
        store.put_account(account("b"), None),
        store.save_resource(&claim, &net, &[], &[]),
        store.ping()
    );
    for refused in [read.map(|_| ()), write.map(|_| ()), saved.map(|_| ()), ping] {
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    }
    // By the store's own second, not by the driver's half minute.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());

    servers.restart(0).await.unwrap();
    wait_for(&store).await;
    assert!(store.account(&target("a")).await.unwrap().is_some());
    store.save_resource(&claim, &net, &[], &[]).await.unwrap();
    servers.stop(0).unwrap();
    assert!(matches!(store.ping().await, Err(Error::Unavailable { .. })));
    servers.restart(0).await.unwrap();
    wait_for(&store).await;
    assert_eq!(
        store.resource(&net.id).await.unwrap().unwrap().revision,
        net.revision + 1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_starts_in_an_election_starts_when_it_is_over() {
    let servers = vimhost_mongod::one_node().await.unwrap();
    // Indexes, the schema, what an earlier host left.
    for command in ["createIndexes", "findAndModify", "find"] {
        // The driver itself asks twice.
        servers.refuse(command, 4).await.unwrap();
        let store = MongoStore::open(options(servers.uri())).await.unwrap();
        store.put_account(account(command), None).await.unwrap();
    }
}

/// A primary that has just been elected has all that was acknowledged, but may not know yet that it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_was_answered_is_there_for_every_other_also_right_after_an_election() {
    let mut servers = vimhost_mongod::three_nodes().await.unwrap();
    let writes = Arc::new(MongoStore::open(options(servers.uri())).await.unwrap());
    let reads = Arc::new(MongoStore::open(options(servers.uri())).await.unwrap());
    let newest = Arc::new(Mutex::new(None::<String>));
    let mut work = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (store, newest) = (Arc::clone(&writes), Arc::clone(&newest));
        work.spawn(async move {
            for round in 0.. {
                let name = format!("a{writer}-{round}");
                match store.put_account(account(&name), None).await {
                    Ok(_) => *newest.lock().unwrap() = Some(name),
                    Err(Error::Unavailable { .. }) => {}
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        });
    }
    let seen = Arc::new(Mutex::new(0_usize));
    for _ in 0..8 {
        let (store, newest, seen) = (Arc::clone(&reads), Arc::clone(&newest), Arc::clone(&seen));
        work.spawn(async move {
            loop {
                let name = newest.lock().unwrap().clone();
                let Some(name) = name else {
                    tokio::task::yield_now().await;
                    continue;
                };
                match store.account(&target(&name)).await {
                    Ok(Some(_)) => *seen.lock().unwrap() += 1,
                    Ok(None) => panic!("{name} was acknowledged and is not there"),
                    Err(Error::Unavailable { .. }) => {}
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        });
    }
    // Elections at work, in both ways.
    for round in 0..6 {
        let before = *seen.lock().unwrap();
        let until = Instant::now() + PATIENCE;
        while *seen.lock().unwrap() < before + 100 {
            assert!(Instant::now() < until, "nothing is read any more");
            if let Some(ended) = work.try_join_next() {
                ended.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let primary = servers.primary().await.unwrap();
        if round % 2 == 0 {
            servers.kill(primary).unwrap();
            servers.primary().await.unwrap();
            servers.restart(primary).await.unwrap();
        } else {
            servers.step_down().await.unwrap();
        }
    }
    if let Some(ended) = work.try_join_next() {
        ended.unwrap();
    }
    work.shutdown().await;
}
