//! Killed at any moment, the store keeps every write it has answered, and each commit whole.
//!
//! The test starts itself again as a child that writes as fast as it can and prints what was answered, kills it after a random
//! number of answers, and looks at what is there. kill -9 does not lose what the operating system holds, so this shows the order
//! of answer and commit and the wholeness of commits, not that a commit is synced: that is SQLite's part with
//! `synchronous=FULL`, which a test in `connection` checks to be set.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use vimhost_model::{Collection, FieldPath, Item, RecordChange};
use vimhost_store::contract::sample::{claim, commit, create, id, resource};
use vimhost_store::{JournalWrite, Store};
use vimhost_store_sqlite::{Options, SqliteStore};

/// Tells the child where to write; without it the child's test does nothing.
const DIRECTORY: &str = "VIMHOST_CRASH_DIRECTORY";

/// Resources of one action.
const RESOURCES: u32 = 4;

/// Kills per run: enough for a kill inside a commit, few enough for a test.
const ROUNDS: u64 = 8;

/// Numbers that are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn answered(line: String) {
    let mut out = std::io::stdout().lock();
    // The pipe breaks when the parent is gone: then there is nobody to write for.
    if writeln!(out, "{line}").is_err() {
        std::process::exit(0);
    }
}

/// One writer of the child: an action of some resources with a mark in the record, then saves and journal entries.
async fn write_on(store: Arc<SqliteStore>, round: u64, writer: u64) {
    let nsr = format!("ns-{writer}");
    let claim = claim(&*store, "a").await;
    for n in 0.. {
        let action = format!("act-{round}-{writer}-{n}");
        let name = |r: u32| format!("r-{round}-{writer}-{n}-{r}");
        let new = (0..RESOURCES).map(|r| resource(&name(r), "a", vec![create(&nsr, &action, r, Item::Net)]));
        let revision = store.service_revision(&id(&nsr)).await.unwrap();
        let mut commit = commit(&nsr, &action, revision, new.collect());
        let mut mark = RecordChange::to_record(Collection::Nsrs, id(&nsr));
        mark.set
            .push((FieldPath::keys(["marks", action.as_str()]), json!(true)));
        commit.record_changes.push(mark);
        store.commit_action(commit).await.unwrap();
        answered(format!("commit {nsr} {action}"));
        for r in 0..RESOURCES {
            let mut saved = store.resource(&id(&name(r))).await.unwrap().unwrap();
            saved.observed_unchanged = 7;
            let mut mark = RecordChange::to_record(Collection::Nsrs, id(&nsr));
            mark.set.push((FieldPath::keys(["saved"]), json!(name(r))));
            let revision = store.save_resource(&claim, &saved, &[mark], &[]).await.unwrap();
            answered(format!("save {} {revision}", saved.id));
            let begin = JournalWrite::Begin {
                kind: "net".to_owned(),
                token: name(r),
                at: vimhost_model::Timestamp(1000),
            };
            let entry = store.write_journal(&claim, &saved.id, &[begin]).await.unwrap();
            answered(format!("journal {} {}", saved.id, entry.unwrap().id));
        }
    }
}

#[test]
#[ignore = "the child of the test below"]
fn child_that_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let (path, round) = directory.split_once('@').unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(path, Options::default()).unwrap());
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..16 {
            let (store, round) = (Arc::clone(&store), round.parse().unwrap());
            writers.spawn(async move {
                let nsr = format!("ns-{writer}");
                if store.record(Collection::Nsrs, &id(&nsr)).await.unwrap().is_none() {
                    let record = json!({"name": &nsr, "marks": {}});
                    store
                        .put_record(Collection::Nsrs, &id(&nsr), record, None)
                        .await
                        .unwrap();
                }
                write_on(store, round, writer).await;
            });
        }
        writers.join_next().await;
    });
}

/// Lines the child printed until it was killed after `count` of them and `pause` more microseconds.
async fn run_and_kill(path: &Path, round: u64, count: u64, pause: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(DIRECTORY, format!("{}@{round}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let answered = |line: &String| {
        ["commit ", "save ", "journal "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let mut lines: Vec<String> = Vec::new();
    while u64::try_from(lines.len()).unwrap() < count {
        let line = output.next().expect("the child ended by itself").unwrap();
        lines.extend(Some(line).filter(answered));
    }
    // Where it dies is what is drawn here, not what is waited for.
    tokio::time::sleep(std::time::Duration::from_micros(pause)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let rest: Vec<String> = output.map_while(Result::ok).collect();
    // The last line may be cut where the kill hit.
    let whole = rest.len().saturating_sub(1);
    lines.extend(rest.into_iter().take(whole).filter(answered));
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_survives_a_kill_and_each_commit_is_whole() {
    let seed = std::env::var("VIMHOST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
    println!("VIMHOST_SEED={seed}");
    let mut random = Random(seed.max(1));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vimhost.db");
    let mut lines = Vec::new();
    for round in 0..ROUNDS {
        let (count, pause) = (1 + random.below(1500), random.below(3000));
        let answered = run_and_kill(&path, round, count, pause).await;
        println!("round {round}: killed after {} answers", answered.len());
        lines.extend(answered);
        check(&path, &lines).await;
    }
}

/// Everything answered is there, and everything that is there is whole.
async fn check(path: &Path, lines: &[String]) {
    let store = SqliteStore::open(path, Options::default()).unwrap();
    let mut marks = BTreeMap::new();
    let mut headers = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.actions(None, after.as_deref(), 500).await.unwrap();
        for header in page.entries {
            let resources = store.resources_of_action(&header.nsr_id, &header.id).await.unwrap();
            assert_eq!(resources.len(), 4, "action {}", header.id);
            assert_eq!(header.tasks, RESOURCES);
            *marks.entry(header.nsr_id.to_string()).or_insert(0) += 1;
            headers.insert((header.nsr_id.to_string(), header.id.to_string()));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (nsr, actions) in marks {
        let record = store.record(Collection::Nsrs, &id(&nsr)).await.unwrap().unwrap();
        let marks = record.document["marks"].as_object().unwrap();
        assert_eq!(marks.len(), actions, "{nsr}: a mark per action");
        assert!(
            marks
                .keys()
                .all(|action| headers.contains(&(nsr.clone(), action.clone())))
        );
        let revision = store.service_revision(&id(&nsr)).await.unwrap();
        assert_eq!(usize::try_from(revision).unwrap(), actions);
        if let Some(saved) = record.document["saved"].as_str() {
            let saved = store.resource(&id(saved)).await.unwrap().unwrap();
            assert_eq!(saved.observed_unchanged, 7, "a save and its record change are one");
        }
    }
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["commit", nsr, action] => {
                assert!(headers.contains(&((*nsr).to_owned(), (*action).to_owned())), "{line}");
            }
            ["save", name, revision] => {
                let resource = store.resource(&id(name)).await.unwrap().unwrap();
                assert!(resource.revision >= revision.parse().unwrap(), "{line}");
                assert_eq!(resource.observed_unchanged, 7);
            }
            ["journal", name, entry] => {
                let journal = store.journal(&id(name)).await.unwrap();
                assert!(journal.iter().any(|kept| kept.id.to_string() == *entry), "{line}");
            }
            other => panic!("the child printed {other:?}"),
        }
    }
}
