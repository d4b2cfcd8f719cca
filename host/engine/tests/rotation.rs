//! Another seal key over the real store, broken off in the middle.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod vim;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vimhost_engine::{Engine, EngineConfig, Error, SystemClock};
use vimhost_model::{NsrId, Secret, TargetId};
use vimhost_store::contract::sample;
use vimhost_store::seal::{IfMissing, KeyRing};
use vimhost_store::{KeyPair, SealedText, Store};
use vimhost_store_sqlite::{Options, SqliteStore};

/// More than are read at once, so that a break falls between pages too.
const ACCOUNTS: usize = 450;
const PAIRS: usize = 30;
const SUBSCRIPTIONS: usize = 20;

fn open(dir: &Path) -> (Arc<dyn Store>, Arc<KeyRing>) {
    let store = SqliteStore::open(dir.join("vimhost.db"), Options::default()).unwrap();
    (
        Arc::new(store),
        Arc::new(KeyRing::of_dir(dir, IfMissing::Create).unwrap()),
    )
}

async fn start(store: &Arc<dyn Store>, keys: &Arc<KeyRing>) -> Arc<Engine> {
    let config = EngineConfig {
        host: "here".parse().unwrap(),
        calls_per_account: 4,
        calls_per_second: None,
        idle_period: None,
        leases: None,
        lcm: vimhost_engine::LcmConfig::default(),
    };
    let vim = Arc::new(vim::Vim::default());
    Engine::start(
        config,
        store.clone(),
        vim.clone(),
        vim,
        keys.clone(),
        Arc::new(SystemClock),
    )
    .await
    .unwrap()
}

fn context(target: &TargetId) -> String {
    format!("account:{target}:password")
}

async fn fill(store: &dyn Store, keys: &KeyRing) {
    for number in 0..ACCOUNTS {
        let mut account = sample::account(&format!("a{number:04}"));
        let sealed = keys.seal(&Secret::new(format!("secret {number}")), &context(&account.target));
        account.credentials = [("password".to_owned(), sealed.unwrap())].into();
        store.put_account(account, None).await.unwrap();
    }
    for number in 0..PAIRS {
        let nsr: NsrId = format!("ns{number:02}").parse().unwrap();
        let sealed = keys.seal(&Secret::new(format!("key {number}")), &format!("key-pair:{nsr}"));
        let pair = KeyPair {
            public_key: "ssh-ed25519 x".to_owned(),
            private_key: sealed.unwrap(),
        };
        store.keep_key_pair(&nsr, pair).await.unwrap();
    }
    for number in 0..SUBSCRIPTIONS {
        let context = format!("subscription:s{number:02}:authentication");
        let sealed = keys
            .seal(&Secret::new(format!("credentials {number}")), &context)
            .unwrap();
        let subscription = json!({
            "id": format!("s{number:02}"), "callbackUri": "http://nfvo.example/", "apiVersion": "v2", "createdAt": 0,
            "authentication": sealed.0,
        });
        let subscription = serde_json::from_value(subscription).unwrap();
        store.add_subscription(&subscription).await.unwrap();
    }
}

/// Every secret opens with the ring as it is; how many the present key has sealed.
async fn current(store: &dyn Store, keys: &KeyRing) -> usize {
    let (mut current, mut seen, mut after) = (0, 0, None);
    loop {
        let page = store.accounts(after.as_deref(), 100).await.unwrap();
        for account in page.entries {
            let sealed = &account.credentials["password"];
            let secret = keys.open(sealed, &context(&account.target)).unwrap();
            assert_eq!(secret, Secret::new(format!("secret {seen}")));
            seen += 1;
            current += usize::from(keys.is_current(sealed));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ACCOUNTS);
    let pairs = store.key_pairs(None, PAIRS).await.unwrap().entries;
    for (number, (nsr, pair)) in pairs.iter().enumerate() {
        let secret = keys.open(&pair.private_key, &format!("key-pair:{nsr}")).unwrap();
        assert_eq!(secret, Secret::new(format!("key {number}")));
        current += usize::from(keys.is_current(&pair.private_key));
    }
    let subscriptions = store.subscriptions(None, SUBSCRIPTIONS).await.unwrap().entries;
    for (number, subscription) in subscriptions.iter().enumerate() {
        let sealed = SealedText(subscription.authentication.as_str().unwrap().to_owned());
        let secret = keys
            .open(&sealed, &format!("subscription:{}:authentication", subscription.id))
            .unwrap();
        assert_eq!(secret, Secret::new(format!("credentials {number}")));
        current += usize::from(keys.is_current(&sealed));
    }
    current
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_breaks_off_is_ended_by_the_next_start_and_no_secret_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (store, keys) = open(dir.path());
    let old = keys.current_id();
    fill(&*store, &keys).await;
    let engine = start(&store, &keys).await;
    // Broken off somewhere in the middle, as a crash would. It goes on only when this task lets it, so that the middle is not missed.
    let mut changes = store.changes();
    let mut rotating = Box::pin(engine.rotate_keys(None));
    for _ in 0..ACCOUNTS / 3 {
        tokio::select! {
            biased;
            change = changes.recv() => drop(change.unwrap()),
            rotated = &mut rotating => panic!("over before it was broken off: {rotated:?}"),
        }
    }
    drop(rotating);
    let all = ACCOUNTS + PAIRS + SUBSCRIPTIONS;
    let done = current(&*store, &keys).await;
    assert!(done > 0 && done < all, "{done}");
    // Nothing may be forgotten of the old key now.
    let refused = engine.forget_key(&old).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    engine.stop(Duration::from_secs(5)).await;
    drop((engine, store, keys, changes));

    let (store, keys) = open_again(dir.path()).await;
    assert_eq!((keys.current_id() != old, keys.older_ids()), (true, vec![old.clone()]));
    let engine = start(&store, &keys).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while current(&*store, &keys).await < all {
        assert!(Instant::now() < deadline, "the start does not go on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let view = engine.seal_keys().await.unwrap();
    assert_eq!(
        view.iter().map(|key| (key.present, key.secrets)).collect::<Vec<_>>(),
        [(true, all as u64), (false, 0)]
    );
    // Again, to the present key: nothing is left to do.
    let again = engine.rotate_keys(Some(&keys.current_id())).await.unwrap();
    assert_eq!((again.accounts, again.key_pairs, again.subscriptions), (0, 0, 0));
    let present = engine.forget_key(&keys.current_id()).await;
    assert!(matches!(present, Err(Error::Conflict { .. })), "{present:?}");
    engine.forget_key(&old).await.unwrap();
    assert_eq!(current(&*store, &keys).await, all);
    engine.stop(Duration::from_secs(5)).await;
    drop((engine, store, keys));
    let (store, keys) = open_again(dir.path()).await;
    assert!(keys.older_ids().is_empty());
    assert_eq!(current(&*store, &keys).await, all);
}

/// What the engine before had running ends on its own time; the file is free when the last of it is gone.
async fn open_again(dir: &Path) -> (Arc<dyn Store>, Arc<KeyRing>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match SqliteStore::open(dir.join("vimhost.db"), Options::default()) {
            Ok(store) => {
                return (
                    Arc::new(store),
                    Arc::new(KeyRing::of_dir(dir, IfMissing::Refuse).unwrap()),
                );
            }
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_not_checked_where_no_plugin_says_what_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, keys) = open(dir.path());
    let engine = start(&store, &keys).await;
    let account = json!({"name": "x", "vim_type": "memory", "url": "memory:", "config": {"any": 1}});
    let added = engine
        .add_account(serde_json::from_value(account).unwrap())
        .await
        .unwrap();
    assert_eq!(added.config["any"], 1);
}
