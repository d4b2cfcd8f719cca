//! Requests that meet: services that share an element, and an account that is removed while a service is deployed on it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

mod vim;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use vimhost_engine::wanted::DeployRequest;
use vimhost_engine::{Accepted, Engine, EngineConfig, Error, NewAccount, SystemClock};
use vimhost_model::{ActionStatus, Collection, Item, TargetId};
use vimhost_store::Store;
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store_sqlite::{Options, SqliteStore};

use vim::Vim;

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);

/// Enough that two requests meet in each of their steps.
const ROUNDS: usize = 25;

struct Lab {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    vim: Arc<Vim>,
    _dir: tempfile::TempDir,
}

impl Lab {
    async fn started() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let vim = Arc::new(Vim::default());
        let config = EngineConfig {
            host: "here".parse().unwrap(),
            calls_per_account: 4,
            calls_per_second: None,
            idle_period: None,
            leases: None,
            lcm: vimhost_engine::LcmConfig::default(),
        };
        let engine = Engine::start(
            config,
            store.clone(),
            vim.clone(),
            vim.clone(),
            Arc::new(KeyRing::new(SealKey::random().unwrap())),
            Arc::new(SystemClock),
        );
        Self {
            engine: engine.await.unwrap(),
            store,
            vim,
            _dir: dir,
        }
    }

    async fn add_account(&self, name: &str) -> TargetId {
        let account = json!({"id": name, "name": name, "vim_type": "memory", "url": "memory:"});
        let account: NewAccount = serde_json::from_value(account).unwrap();
        self.engine.add_account(account).await.unwrap().target
    }

    /// Asks for a service of one network, in a task of its own.
    async fn deploying(
        &self,
        nsr: &str,
        target: &TargetId,
        common_id: Option<&str>,
    ) -> JoinHandle<Result<Accepted, Error>> {
        let record = json!({"_id": nsr, "name": nsr, "vld": [{"id": "net", "name": "net"}]});
        let id = nsr.parse().unwrap();
        self.engine
            .put_record(Collection::Nsrs, &id, record, None)
            .await
            .unwrap();
        let vim_info = json!({(target.to_string()): {}});
        let net = json!({"id": "net", "name": "net", "common_id": common_id, "vim_info": vim_info});
        let request = DeployRequest::parse(json!({"name": nsr, "ns": {"vld": [net]}})).unwrap();
        let (engine, nsr) = (self.engine.clone(), nsr.parse().unwrap());
        tokio::spawn(async move { engine.deploy(&nsr, &request).await })
    }

    /// Waits for an action to be done.
    async fn done(&self, accepted: &Accepted) {
        let mut changes = self.engine.changes();
        let waiting = async {
            loop {
                let report = self.engine.action(&accepted.nsr_id, &accepted.action_id).await.unwrap();
                if report.tasks.iter().all(|task| !task.task.status.is_open()) {
                    return report;
                }
                // A hint can be lost when the listener is slow.
                let _ = tokio::time::timeout(Duration::from_secs(1), changes.recv()).await;
            }
        };
        match tokio::time::timeout(DEADLINE, waiting).await {
            Ok(report) => assert_eq!(report.status, ActionStatus::Done, "{:?}", report.failures),
            Err(_) => panic!("{} of {} is not over", accepted.action_id, accepted.nsr_id),
        }
    }

    async fn terminated(&self, accepted: &Accepted) {
        let ended = self.engine.terminate(&accepted.nsr_id, None).await.unwrap();
        self.done(&ended).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_services_that_are_deployed_at_once_one_makes_what_they_share() {
    let lab = Lab::started().await;
    let target = lab.add_account("x").await;
    let mut deployed = Vec::new();
    for round in 0..ROUNDS {
        let common_id = format!("common-{round}");
        let one = lab.deploying(&format!("one-{round}"), &target, Some(&common_id)).await;
        let two = lab.deploying(&format!("two-{round}"), &target, Some(&common_id)).await;
        for deploying in [one, two] {
            let accepted = deploying.await.unwrap().unwrap();
            lab.done(&accepted).await;
            deployed.push(accepted);
        }
        assert_eq!(lab.vim.count("network"), round + 1);
        let shared = lab.store.shared_resource(&target, Item::Net, &common_id).await;
        assert_eq!(shared.unwrap().unwrap().holders().count(), 2, "round {round}");
    }
    lab.vim.assert_nothing_made_twice();
    for accepted in &deployed {
        lab.terminated(accepted).await;
    }
    lab.vim.assert_empty();
    lab.engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_deploy_and_the_removal_of_its_account_one_is_refused() {
    let lab = Lab::started().await;
    for round in 0..ROUNDS {
        let target = lab.add_account(&format!("x-{round}")).await;
        let deploying = lab.deploying(&format!("ns-{round}"), &target, None).await;
        let removed = lab.engine.remove_account(&target, None).await;
        let accepted = deploying.await.unwrap();
        assert_ne!(
            removed.is_ok(),
            accepted.is_ok(),
            "round {round}: {removed:?} {accepted:?}"
        );
        let account = lab.store.account(&target).await.unwrap();
        assert_eq!(account.is_some(), accepted.is_ok());
        if let Ok(accepted) = accepted {
            // The refused removal leaves nothing behind: the account is as usable as before.
            assert!(account.is_some_and(|account| !account.removing));
            lab.terminated(&accepted).await;
        }
        lab.vim.assert_empty();
    }
    lab.engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_whose_removal_was_broken_off_is_removed_or_edited() {
    let lab = Lab::started().await;
    let target = lab.add_account("x").await;
    let mark = async || {
        let mut account = lab.store.account(&target).await.unwrap().unwrap();
        let revision = account.revision;
        account.removing = true;
        lab.store.put_account(account, Some(revision)).await.unwrap();
    };
    mark().await;
    let refused = lab.deploying("ns", &target, None).await.await.unwrap();
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let edit = serde_json::from_value(json!({"description": "kept"})).unwrap();
    lab.engine.edit_account(&target, edit, None).await.unwrap();
    let accepted = lab.deploying("ns", &target, None).await.await.unwrap().unwrap();
    lab.done(&accepted).await;
    lab.terminated(&accepted).await;
    lab.engine.forget(&accepted.nsr_id).await.unwrap();

    mark().await;
    lab.engine.remove_account(&target, None).await.unwrap();
    assert_eq!(lab.store.account(&target).await.unwrap(), None);
    lab.engine.stop(DEADLINE).await;
}
