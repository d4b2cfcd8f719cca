//! What is particular to this store: the lock, group commit, and closing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use tokio::task::JoinSet;
use vimhost_model::Item;
use vimhost_store::contract::sample::{accept, account, claim, create, id, resource, target};
use vimhost_store::{Error, Store};
use vimhost_store_sqlite::{OpenError, Options, SqliteStore};

#[tokio::test]
async fn a_second_host_is_refused_and_told_who_has_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vimhost.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    store.put_account(account("a"), None).await.unwrap();
    let refused = SqliteStore::open(&path, Options::default());
    let Err(error @ OpenError::InUse { .. }) = refused else {
        panic!("opened twice");
    };
    let holder = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    drop(store);
    let again = SqliteStore::open(&path, Options::default()).unwrap();
    assert!(again.account(&target("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
    store.ping().await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        files += 1;
    }
    assert!(files >= 3, "file, log and lock");
}

#[tokio::test]
async fn callers_that_come_together_share_a_commit_and_a_refused_one_is_undone_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vimhost.db");
    let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
    let new = |n| resource(&format!("r-{n}"), "a", vec![create("ns", "act", n, Item::Net)]);
    let all = accept(&*store, "ns", "act", (0..200).map(new).collect()).await;
    let claim = claim(&*store, "a").await;
    let before = store.stats();
    // Somebody has the file until all have come: else the writer may be done with each of them before the next one is there.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let come = Arc::new(AtomicUsize::new(0));
    let mut saves = JoinSet::new();
    for (n, mut resource) in all.into_iter().enumerate() {
        let (store, claim, come) = (Arc::clone(&store), claim.clone(), Arc::clone(&come));
        // Every tenth is decided on a revision that never was.
        let stale = n % 10 == 0;
        resource.revision += u64::from(stale);
        saves.spawn(async move {
            // Whoever sees it, on the one thread of this runtime, sees it queued too.
            come.fetch_add(1, Ordering::Relaxed);
            let saved = store.save_resource(&claim, &resource, &[], &[]).await;
            match saved {
                Ok(_) => assert!(!stale),
                Err(error) => assert!(stale && matches!(error, Error::Conflict { .. }), "{error}"),
            }
        });
    }
    while come.load(Ordering::Relaxed) < 200 {
        tokio::task::yield_now().await;
    }
    other.execute_batch("ROLLBACK").unwrap();
    while let Some(saved) = saves.join_next().await {
        saved.unwrap();
    }
    let after = store.stats();
    assert_eq!(after.operations - before.operations, 200);
    assert_eq!(after.refused - before.refused, 20);
    // The one in which the writer waited for the file, and the one with all others.
    assert!(after.commits - before.commits <= 2, "{after:?}");
    for n in 0..200_u64 {
        let kept = store.resource(&id(&format!("r-{n}"))).await.unwrap().unwrap();
        assert_eq!(kept.revision, if n % 10 == 0 { 1 } else { 2 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vimhost.db");
    let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
    let mut writes = JoinSet::new();
    for n in 0..50 {
        let store = Arc::clone(&store);
        writes.spawn(async move { store.put_account(account(&format!("a{n}")), None).await });
    }
    drop(store);
    while let Some(written) = writes.join_next().await {
        written.unwrap().unwrap();
    }
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    assert_eq!(store.accounts(None, 100).await.unwrap().entries.len(), 50);
}
