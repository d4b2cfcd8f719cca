//! A host that is killed at any moment loses no write it has answered, and its commits are whole.
//!
//! The test starts itself again as a child that writes as fast as it can and prints what was answered, kills it after a random
//! number of answers, and looks at what is there with a store of its own, as another host would.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod load;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use vimhost_mongod::Kind;
use vimhost_store::contract::sample::id;
use vimhost_store_mongo::{MongoStore, Options};

use load::{check, write_on};

/// Tells the child where to write; without it the child's test does nothing.
const DATABASE: &str = "VIMHOST_CRASH_DATABASE";

/// Kills per run: enough for some inside a commit, few enough for a test.
const ROUNDS: u64 = 6;

/// How long the server may take to be found, and for one command: whoever waits longer waits for ever. The product's few seconds are for
/// those who wait for an answer; a process that stands still for as long has found no server when it goes on.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(uri: &str, database: &str, host: &str) -> Options {
    let mut options = Options::new(uri, database, id(host));
    options.server_selection = PATIENCE;
    options.deadline = PATIENCE;
    options
}

/// Numbers that are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn from_environment() -> Self {
        let seed = std::env::var("VIMHOST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
        println!("VIMHOST_SEED={seed}");
        Self(seed.max(1))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Whether a line tells of an answered write.
fn is_answer(line: &str) -> bool {
    ["commit ", "save ", "journal "]
        .iter()
        .any(|word| line.starts_with(word))
}

fn answered(line: String) {
    let mut out = std::io::stdout().lock();
    // The pipe breaks when the parent is gone: then there is nobody to write for.
    if writeln!(out, "{line}").is_err() {
        std::process::exit(0);
    }
}

#[test]
#[ignore = "the child of the test below"]
fn child_that_writes_until_it_is_killed() {
    let Ok(place) = std::env::var(DATABASE) else {
        return;
    };
    let words: Vec<_> = place.split(' ').collect();
    let [uri, database, round] = words.as_slice() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = MongoStore::open(options(uri, database, "host")).await.unwrap();
        let store = Arc::new(store);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (store, round) = (Arc::clone(&store), round.parse().unwrap());
            writers.spawn(async move { write_on(store, round, writer, &answered).await.unwrap() });
        }
        writers.join_next().await;
    });
}

/// Lines the child printed until it was killed after `count` of them and `pause` more microseconds.
async fn run_and_kill(options: &Options, round: u64, count: u64, pause: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DATABASE, format!("{} {} {round}", options.uri, options.database))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines: Vec<String> = Vec::new();
    while u64::try_from(lines.len()).unwrap() < count {
        let line = output.next().expect("the child ended by itself").unwrap();
        lines.extend(Some(line).filter(|line| is_answer(line)));
    }
    // Where it dies is what is drawn here, not what is waited for.
    tokio::time::sleep(Duration::from_micros(pause)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let rest: Vec<String> = output.map_while(Result::ok).collect();
    // The last line may be cut where the kill hit.
    let whole = rest.len().saturating_sub(1);
    lines.extend(rest.into_iter().take(whole).filter(|line| is_answer(line)));
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_survives_the_host_and_each_commit_is_whole() {
    let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
    let database = format!("crash_{}", vimhost_model::HostId::random());
    let options = options(&uri, &database, "other");
    let mut random = Random::from_environment();
    let mut lines = Vec::new();
    for round in 0..ROUNDS {
        let (count, pause) = (1 + random.below(300), random.below(3000));
        let answered = run_and_kill(&options, round, count, pause).await;
        println!("round {round}: killed after {} answers", answered.len());
        lines.extend(answered);
        let store = MongoStore::open(options.clone()).await.unwrap();
        check(&store, &lines).await;
        println!("completed for the killed host: {}", store.stats().completed);
    }
}
