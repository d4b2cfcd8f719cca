//! Accounts that would lead elsewhere while something is on them.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod vim;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vimhost_engine::{
    AccountContent, AccountEdit, Adopted, Engine, EngineConfig, Error, NewAccount, ServiceSpec, SystemClock,
};
use vimhost_model::{AccountSource, AccountState, ActionId, NsrId, Secret, TargetId};
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store_sqlite::{Options, SqliteStore};

use vim::Vim;

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);

struct Lab {
    engine: Arc<Engine>,
    target: TargetId,
    nsr: NsrId,
    _dir: tempfile::TempDir,
}

impl Lab {
    /// A service with one VM on the account `x`.
    async fn deployed() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
        let vim: Arc<Vim> = Arc::default();
        let config = EngineConfig {
            host: "here".parse().unwrap(),
            calls_per_account: 4,
            calls_per_second: None,
            idle_period: None,
            leases: None,
            lcm: vimhost_engine::LcmConfig::default(),
        };
        let keys = Arc::new(KeyRing::new(SealKey::random().unwrap()));
        let store = Arc::new(store);
        let engine = Engine::start(config, store, vim.clone(), vim, keys, Arc::new(SystemClock));
        let lab = Self {
            engine: engine.await.unwrap(),
            target: "vim:x".parse().unwrap(),
            nsr: "svc".parse().unwrap(),
            _dir: dir,
        };
        let account = json!({"id": "x", "name": "x", "vim_type": "memory", "url": "memory:", "tenant": "one"});
        let account: NewAccount = serde_json::from_value(account).unwrap();
        lab.engine.add_account(account).await.unwrap();
        let spec = json!({
            "name": "svc", "vim": "x", "networks": {"net": {}},
            "flavours": {"f": {"vcpus": 1, "memory-mb": 1, "disk-gb": 1}},
            "vms": {"vm": {"image": "ubuntu", "flavour": "f", "interfaces": [{"network": "net", "management": true}]}},
        });
        lab.engine
            .put_service(&ServiceSpec::parse(spec).unwrap())
            .await
            .unwrap();
        let request = lab.engine.service_request(&lab.nsr).await.unwrap();
        let accepted = lab.engine.deploy(&lab.nsr, &request).await.unwrap();
        lab.ends(&accepted.action_id).await;
        lab
    }

    /// Nothing of an action is outstanding any more.
    async fn ends(&self, action: &ActionId) {
        let end = Instant::now() + DEADLINE;
        loop {
            let report = self.engine.action(&self.nsr, action).await.unwrap();
            if report.tasks.iter().all(|task| !task.task.status.is_open()) {
                return;
            }
            assert!(Instant::now() < end, "{report:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn terminate(&self) {
        let accepted = self.engine.terminate(&self.nsr, None).await.unwrap();
        self.ends(&accepted.action_id).await;
    }

    async fn edit(&self, edit: serde_json::Value) -> Result<(), Error> {
        let edit: AccountEdit = serde_json::from_value(edit).unwrap();
        self.engine.edit_account(&self.target, edit, None).await.map(drop)
    }

    async fn adopt(&self, content: &AccountContent) -> Adopted {
        self.engine.adopt_account(content, AccountSource::Osm).await.unwrap()
    }
}

/// The account as another program keeps it, in a project.
fn content(tenant: &str, password: &str) -> AccountContent {
    AccountContent {
        target: "vim:x".parse().unwrap(),
        name: "x".to_owned(),
        description: String::new(),
        vim_type: "memory".to_owned(),
        url: "memory:".to_owned(),
        user: None,
        tenant: Some(tenant.to_owned()),
        config: serde_json::Map::new(),
        credentials: [("password".to_owned(), Secret::new(password))].into(),
        ca_certificates: None,
        insecure_tls: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_elements_leads_elsewhere_only_when_it_is_forced() {
    let lab = Lab::deployed().await;
    for (edit, what) in [
        (json!({"tenant": "two"}), "(tenant)"),
        (json!({"url": "memory:other", "user": "me"}), "(url)"),
        (json!({"config": {"region_name": "north"}}), "(region_name)"),
    ] {
        let refused = lab.edit(edit).await;
        let Err(Error::Conflict { reason }) = &refused else {
            panic!("{refused:?}");
        };
        for part in [what, "elements of services", "terminate what is on it", "'force'"] {
            assert!(reason.contains(part), "{reason}");
        }
    }
    let account = lab.engine.account(&lab.target).await.unwrap();
    assert_eq!(
        (&*account.url, account.tenant.as_deref(), account.user),
        ("memory:", Some("one"), None)
    );
    // How it is reached is another matter.
    let how =
        json!({"user": "me", "tenant": "one", "credentials": {"password": "q"}, "config": {"microversion": "2.1"}});
    lab.edit(how).await.unwrap();
    lab.edit(json!({"tenant": "two", "force": true})).await.unwrap();
    lab.terminate().await;
    lab.edit(json!({"tenant": "three", "url": "memory:other"}))
        .await
        .unwrap();
    lab.engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_program_says_is_withheld_while_it_leads_away_from_elements() {
    let lab = Lab::deployed().await;
    assert_eq!(lab.adopt(&content("one", "a")).await, Adopted::Changed);
    let Adopted::Withheld(reason) = lab.adopt(&content("two", "b")).await else {
        panic!("taken");
    };
    let account = lab.engine.account(&lab.target).await.unwrap();
    assert_eq!(
        (account.tenant.as_deref(), account.state),
        (Some("one"), AccountState::Error(reason.clone()))
    );
    // Told again, and written once.
    assert_eq!(lab.adopt(&content("two", "b")).await, Adopted::Withheld(reason));
    let again = lab.engine.account(&lab.target).await.unwrap();
    assert_eq!(again.revision, account.revision);
    // Taken back, it is as it was.
    assert_eq!(lab.adopt(&content("one", "a")).await, Adopted::Changed);
    let account = lab.engine.account(&lab.target).await.unwrap();
    assert_eq!(account.state, AccountState::Processing);

    assert!(matches!(lab.adopt(&content("two", "b")).await, Adopted::Withheld(_)));
    lab.terminate().await;
    assert_eq!(lab.adopt(&content("two", "b")).await, Adopted::Changed);
    let account = lab.engine.account(&lab.target).await.unwrap();
    assert_eq!(
        (account.tenant.as_deref(), account.state),
        (Some("two"), AccountState::Processing)
    );
    lab.engine.stop(DEADLINE).await;
}
