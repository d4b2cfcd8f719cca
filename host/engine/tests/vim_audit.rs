//! What a VIM has of ours, compared with the records over the real store while the engine works.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

mod vim;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vimhost_connector::ElementKind;
use vimhost_engine::{Engine, EngineConfig, Error, Finding, NewAccount, ServiceSpec, SystemClock, Verdict};
use vimhost_model::{ActionStatus, NsrId, TargetId};
use vimhost_store::Store;
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store_sqlite::{Options, SqliteStore};

use vim::Vim;

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);

/// What follows the letters in the token of an element that was never planned.
const STRANGER: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

struct Lab {
    engine: Arc<Engine>,
    vim: Arc<Vim>,
    /// Letters of the installation.
    letters: String,
    _dir: tempfile::TempDir,
}

impl Lab {
    /// An engine with an account `x`.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
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
        let letters = store.installation().await.unwrap();
        let engine = Engine::start(config, store, vim.clone(), vim.clone(), keys, Arc::new(SystemClock));
        let engine = engine.await.unwrap();
        let account = json!({"id": "x", "name": "x", "vim_type": "memory", "url": "memory:"});
        let account: NewAccount = serde_json::from_value(account).unwrap();
        engine.add_account(account).await.unwrap();
        Self {
            engine,
            vim,
            letters,
            _dir: dir,
        }
    }

    /// The token of an element of this installation that no record knows.
    fn stranger(&self, rest: &str) -> String {
        format!("{}-{STRANGER}{rest}", self.letters)
    }

    /// All that an audit finds, and how much it looked at.
    async fn audit(&self) -> (Vec<Finding>, usize) {
        let target = TargetId::vim("x".parse().unwrap());
        let mut audit = self.engine.audit_vim(&target).await.unwrap();
        let (mut findings, mut looked_at) = (Vec::new(), 0);
        while let Some(page) = audit.step().await.unwrap() {
            findings.extend(page.findings);
            looked_at += page.looked_at;
        }
        (findings, looked_at)
    }

    async fn put_service(&self) {
        let document = json!({
            "name": "svc", "vim": "x", "networks": {"net": {}, "inner": {}},
            "flavours": {"f": {"vcpus": 1, "memory-mb": 1, "disk-gb": 1}},
            "vms": {"vm": {"count": 3, "image": "ubuntu", "flavour": "f",
                           "interfaces": [{"network": "net", "management": true}, {"network": "inner"}]}},
        });
        let spec = ServiceSpec::parse(document).unwrap();
        self.engine.put_service(&spec).await.unwrap();
    }

    async fn deploy(&self) {
        self.put_service().await;
        let request = self.engine.service_request(&nsr()).await.unwrap();
        let accepted = self.engine.deploy(&nsr(), &request).await.unwrap();
        self.done(&accepted).await;
    }

    async fn done(&self, accepted: &vimhost_engine::Accepted) {
        let report = async || self.engine.action(&nsr(), &accepted.action_id).await.unwrap();
        let mut changes = self.engine.changes();
        let waiting = async {
            while report().await.tasks.iter().any(|task| task.task.status.is_open()) {
                // A hint can be lost when the listener is slow.
                let _ = tokio::time::timeout(Duration::from_secs(1), changes.recv()).await;
            }
        };
        let Ok(()) = tokio::time::timeout(DEADLINE, waiting).await else {
            panic!("not over: {:#?}", report().await.tasks);
        };
        assert_eq!(report().await.status, ActionStatus::Done);
    }
}

fn nsr() -> NsrId {
    "svc".parse().unwrap()
}

/// Verdict, kind and token of each, sorted.
fn told(findings: &[Finding]) -> Vec<(String, ElementKind, String)> {
    let mut told: Vec<_> = findings
        .iter()
        .map(|finding| {
            let verdict = serde_json::to_value(finding.verdict).unwrap();
            let token = finding.token.clone().unwrap_or_default();
            (verdict.as_str().unwrap().to_owned(), finding.kind, token)
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_records_own_is_no_orphan_and_what_is_terminated_leaves_none() {
    let lab = Lab::new().await;
    lab.deploy().await;
    let (findings, looked_at) = lab.audit().await;
    assert_eq!(findings, []);
    // 3 servers, 6 ports, 2 networks and a flavour, and the records of all but the ports, and of the image.
    assert!(looked_at >= 12 + 7, "{looked_at}");
    let accepted = lab.engine.terminate(&nsr(), None).await.unwrap();
    lab.done(&accepted).await;
    assert_eq!(lab.audit().await.0, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_record_knows_is_an_orphan_and_what_another_host_has_made_is_told_as_such() {
    let lab = Lab::new().await;
    lab.deploy().await;
    let (server, port) = (lab.stranger(""), lab.stranger(".0"));
    let of_another = format!("zzzzz-{STRANGER}");
    let id = lab.vim.put(&server, "server");
    lab.vim.put(&port, "port");
    lab.vim.put(&of_another, "network");
    // Words that somebody chose, with the letters of a token.
    lab.vim.put("web-1", "network");
    lab.vim.put("m1.small", "flavour");
    let (findings, _) = lab.audit().await;
    assert_eq!(
        told(&findings),
        [
            ("of-another".to_owned(), ElementKind::Network, of_another),
            ("orphan".to_owned(), ElementKind::Server, server.clone()),
            ("orphan".to_owned(), ElementKind::Port, port),
        ]
    );
    let orphan = findings.iter().find(|finding| finding.token.as_ref() == Some(&server));
    assert_eq!(orphan.unwrap().id, Some(id));
    assert_eq!(orphan.unwrap().reason, "no record has its mark");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_record_says_is_gone_is_an_orphan_of_its_service() {
    let lab = Lab::new().await;
    lab.deploy().await;
    let token = lab.vim.tokens("server").pop().unwrap();
    let accepted = lab.engine.terminate(&nsr(), None).await.unwrap();
    lab.done(&accepted).await;
    lab.vim.put(&token, "server");
    let (findings, _) = lab.audit().await;
    assert_eq!(told(&findings), [("orphan".to_owned(), ElementKind::Server, token)]);
    let orphan = findings.first().unwrap();
    assert_eq!(
        (orphan.reason.as_str(), &orphan.services),
        ("its record has ended", &vec![nsr()])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_made_is_owned() {
    let lab = Lab::new().await;
    // Far more looks than fit into this test.
    lab.vim.builds_for(1_000_000);
    lab.put_service().await;
    let request = lab.engine.service_request(&nsr()).await.unwrap();
    lab.engine.deploy(&nsr(), &request).await.unwrap();
    // While networks, then ports and servers come about, and while they build.
    let audits = async {
        while lab.vim.count("network") < 2 {
            assert_eq!(lab.audit().await.0, []);
        }
        for _ in 0..20 {
            assert_eq!(lab.audit().await.0, []);
        }
    };
    tokio::time::timeout(DEADLINE, audits).await.unwrap();
    lab.engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_while_it_is_looked_at_is_no_orphan() {
    let lab = Lab::new().await;
    let (stays, goes) = (lab.stranger(""), lab.stranger(".0"));
    lab.vim.put(&stays, "server");
    lab.vim.put(&goes, "server");
    lab.vim.take_after_listing(&goes);
    let (findings, _) = lab.audit().await;
    assert_eq!(told(&findings), [("orphan".to_owned(), ElementKind::Server, stays)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_behind_the_hosts_back_is_missing() {
    let lab = Lab::new().await;
    lab.deploy().await;
    let (server, flavour) = (
        lab.vim.tokens("server").pop().unwrap(),
        lab.vim.tokens("flavour").pop().unwrap(),
    );
    let id = lab.vim.take(&server);
    lab.vim.take(&flavour);
    let (findings, _) = lab.audit().await;
    assert_eq!(
        told(&findings),
        [
            ("missing".to_owned(), ElementKind::Flavour, flavour),
            ("missing".to_owned(), ElementKind::Server, server),
        ]
    );
    let missing = findings.first().unwrap();
    assert_eq!((missing.verdict, &missing.id), (Verdict::Missing, &Some(id)));
    assert_eq!(missing.services, [nsr()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_may_not_be_listed_is_told_and_the_others_are_looked_at() {
    let lab = Lab::new().await;
    lab.deploy().await;
    lab.vim.hide("server");
    let (server, port) = (lab.stranger(""), lab.stranger(".0"));
    lab.vim.put(&server, "server");
    lab.vim.put(&port, "port");
    let (findings, _) = lab.audit().await;
    assert_eq!(
        told(&findings),
        [
            ("not-seen".to_owned(), ElementKind::Server, String::new()),
            ("orphan".to_owned(), ElementKind::Port, port),
        ]
    );
    assert_eq!(findings.first().unwrap().reason, "auth: the policy does not allow it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_there_is_not_audited() {
    let lab = Lab::new().await;
    let target = TargetId::vim("y".parse().unwrap());
    let refused = lab.engine.audit_vim(&target).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })));
}
