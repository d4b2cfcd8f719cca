//! The whole engine over the real store and a VIM in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod vim;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vimhost_connector::ErrorKind;
use vimhost_engine::operation::{KeyInjection, Operation, OperationRequest};
use vimhost_engine::{
    AccountContent, AccountEdit, ActionReport, Adopted, Engine, EngineConfig, Error, NewAccount, ServiceSpec,
    SystemClock,
};
use vimhost_model::{AccountSource, AccountState, ActionId, ActionStatus, Grants, Item, NsrId, Secret};
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store::{Change, Store};
use vimhost_store_sqlite::{Options, SqliteStore};

use vim::Vim;

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);

struct Lab {
    store: Arc<dyn Store>,
    vim: Arc<Vim>,
    keys: Arc<KeyRing>,
    _dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
        Self {
            store: Arc::new(store),
            vim: Arc::default(),
            keys: Arc::new(KeyRing::new(SealKey::random().unwrap())),
            _dir: dir,
        }
    }

    async fn start(&self) -> Arc<Engine> {
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
            self.store.clone(),
            self.vim.clone(),
            self.vim.clone(),
            self.keys.clone(),
            Arc::new(SystemClock),
        )
        .await;
        engine.unwrap()
    }

    /// An engine with an account `x`.
    async fn started(&self) -> Arc<Engine> {
        let engine = self.start().await;
        let account =
            json!({"id": "x", "name": "x", "vim_type": "memory", "url": "memory:", "credentials": {"password": "p"}});
        engine
            .add_account(serde_json::from_value::<NewAccount>(account).unwrap())
            .await
            .unwrap();
        engine
    }
}

fn spec(vms: u32) -> ServiceSpec {
    let document = json!({
        "name": "svc", "vim": "x", "networks": {"net": {}, "inner": {}},
        "flavours": {"f": {"vcpus": 1, "memory-mb": 1, "disk-gb": 1}},
        "vms": {"vm": {"count": vms, "image": "ubuntu", "flavour": "f",
                       "interfaces": [{"network": "net", "management": true}, {"network": "inner"}]}},
    });
    ServiceSpec::parse(document).unwrap()
}

fn nsr() -> NsrId {
    "svc".parse().unwrap()
}

async fn deploy(engine: &Engine, vms: u32, action: Option<&str>) -> vimhost_engine::Accepted {
    engine.put_service(&spec(vms)).await.unwrap();
    let mut request = engine.service_request(&nsr()).await.unwrap();
    request.action_id = action.map(|id| id.parse().unwrap());
    engine.deploy(&nsr(), &request).await.unwrap()
}

/// The action once nothing of it is outstanding.
async fn over(engine: &Engine, action: &ActionId) -> ActionReport {
    let mut changes = engine.changes();
    let waiting = async {
        loop {
            let report = engine.action(&nsr(), action).await.unwrap();
            if report.tasks.iter().all(|task| !task.task.status.is_open()) {
                return report;
            }
            // A hint can be lost when the listener is slow.
            let _ = tokio::time::timeout(Duration::from_secs(1), changes.recv()).await;
        }
    };
    match tokio::time::timeout(DEADLINE, waiting).await {
        Ok(report) => report,
        Err(_) => panic!("not over: {:#?}", engine.action(&nsr(), action).await.unwrap().tasks),
    }
}

async fn done(engine: &Engine, accepted: vimhost_engine::Accepted) -> ActionReport {
    let report = over(engine, &accepted.action_id).await;
    assert_eq!(report.status, ActionStatus::Done, "{:?}", report.failures);
    report
}

async fn vdurs(engine: &Engine) -> Vec<Value> {
    engine.service(&nsr()).await.unwrap().vnfrs[0]["vdur"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_let_in_by_a_password_that_nobody_keeps_and_without_any_way_in_it_is_not() {
    let lab = Lab::new();
    let engine = lab.started().await;
    let deployed = done(&engine, deploy(&engine, 1, None).await).await;
    let vm = deployed
        .tasks
        .iter()
        .find(|report| report.task.item == Item::Vdu)
        .unwrap();
    let place = vm.task.target_record.clone();
    let request = |digest: &str, password: Option<&str>| OperationRequest {
        action_id: None,
        digest: digest.to_owned(),
        operation: Operation::InjectKey(KeyInjection {
            key: "ssh-rsa AAAA".to_owned(),
            user: "ubuntu".to_owned(),
            password: password.map(Secret::new),
            vdus: vec![(place.record.clone(), place.item.clone())],
        }),
    };
    // None of its VMs has asked for the service's key, so there is no pair.
    let accepted = engine.operate(&nsr(), &request("a", None)).await.unwrap();
    let report = over(&engine, &accepted.action_id).await;
    assert_eq!(report.status, ActionStatus::Failed);
    assert!(
        report.failures[0].contains("the service has no key pair"),
        "{:?}",
        report.failures
    );
    assert!(lab.vim.injections().is_empty());

    let accepted = engine.operate(&nsr(), &request("b", Some("swordfish"))).await.unwrap();
    let report = done(&engine, accepted).await;
    let injections = lab.vim.injections();
    assert_eq!(injections.len(), 1);
    assert_eq!(
        (
            injections[0].address.to_string(),
            &injections[0].password,
            &injections[0].private_key
        ),
        ("10.0.0.1".to_owned(), &Some(Secret::new("swordfish")), &None)
    );
    assert_eq!(report.tasks[0].task.params.as_ref().unwrap()["password"], Value::Null);
    engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_planned_without_being_kept_and_kept_only_when_it_can_be_deployed() {
    let lab = Lab::new();
    let engine = lab.started().await;
    let plan = engine.plan_service(&spec(2)).await.unwrap();
    assert_eq!(plan.task_count(), 6, "two networks, an image, a flavour, two VMs");
    let kept = async || engine.service(&nsr()).await;
    assert!(matches!(kept().await, Err(Error::NotFound { .. })));

    let with_user_data = |text: &str| {
        let mut document = serde_json::to_value(spec(2)).unwrap();
        document["vms"]["vm"]["user-data"] = json!(text);
        ServiceSpec::parse(document).unwrap()
    };
    let undefined = with_user_data("#cloud-config\nhostname: {{ nobody_said }}\n");
    let refused = engine.put_service(&undefined).await.unwrap_err();
    assert!(refused.to_string().contains("nobody_said"), "{refused}");
    assert!(matches!(kept().await, Err(Error::NotFound { .. })), "nothing is stored");

    engine.put_service(&spec(1)).await.unwrap();
    engine.put_service(&undefined).await.unwrap_err();
    let plan = engine.plan_service(&spec(3)).await.unwrap();
    assert_eq!(plan.task_count(), 7);
    let spec_now = kept().await.unwrap().spec.unwrap();
    assert_eq!(spec_now, spec(1), "neither a plan nor what was refused takes its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_deployed_scaled_and_terminated_without_a_trace() {
    let lab = Lab::new();
    let engine = lab.started().await;
    let report = done(&engine, deploy(&engine, 3, None).await).await;
    assert_eq!((report.done, report.tasks.len()), (7, 7));
    assert_eq!(
        (
            lab.vim.count("server"),
            lab.vim.count("network"),
            lab.vim.count("flavour")
        ),
        (3, 2, 1)
    );
    for vdur in vdurs(&engine).await {
        assert_eq!(
            (&vdur["status"], &vdur["ip-address"]),
            (&json!("ACTIVE"), &json!("10.0.0.1"))
        );
        assert_eq!(vdur["vim_info"]["vim:x"]["vim_status"], "ACTIVE");
    }
    let report = done(&engine, deploy(&engine, 5, None).await).await;
    assert_eq!((report.tasks.len(), lab.vim.count("server")), (2, 5));
    let report = done(&engine, deploy(&engine, 1, None).await).await;
    assert_eq!((report.tasks.len(), lab.vim.count("server")), (4, 1));
    let vdurs = vdurs(&engine).await;
    assert_eq!(vdurs.iter().filter(|vdur| vdur["status"] == "DELETED").count(), 4);
    let busy = engine.remove_account(&"vim:x".parse().unwrap(), None).await;
    assert!(matches!(busy, Err(Error::Conflict { .. })));
    done(&engine, engine.terminate(&nsr(), None).await.unwrap()).await;
    lab.vim.assert_empty();
    // And back again: what was marked as deleted is not any more.
    done(&engine, deploy(&engine, 2, None).await).await;
    let view = engine.service(&nsr()).await.unwrap();
    assert!(view.nsr["vld"][0].get("status").is_none());
    done(&engine, engine.terminate(&nsr(), None).await.unwrap()).await;
    lab.vim.assert_empty();
    assert!(engine.forget(&nsr()).await.unwrap());
    assert!(!engine.forget(&nsr()).await.unwrap());
    engine.remove_service(&nsr()).await.unwrap();
    engine.remove_account(&"vim:x".parse().unwrap(), None).await.unwrap();
    engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_is_answered_again_and_another_one_gets_an_id_of_its_own() {
    let lab = Lab::new();
    let engine = lab.started().await;
    let first = deploy(&engine, 1, Some("op")).await;
    let again = deploy(&engine, 1, Some("op")).await;
    assert_eq!(
        (first.repeated, again.repeated, again.action_id.as_str()),
        (false, true, "op")
    );
    let other = deploy(&engine, 2, Some("op")).await;
    assert!(!other.repeated && other.action_id.as_str() != "op");
    done(&engine, first).await;
    done(&engine, other).await;
    assert_eq!(lab.vim.count("server"), 2);
    engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_deploys_of_one_service_at_once_make_everything_once() {
    let lab = Lab::new();
    let engine = lab.started().await;
    engine.put_service(&spec(4)).await.unwrap();
    let request = engine.service_request(&nsr()).await.unwrap();
    let deploys: Vec<_> = (0..24)
        .map(|_| {
            let (engine, request) = (engine.clone(), request.clone());
            tokio::spawn(async move { engine.deploy(&nsr(), &request).await })
        })
        .collect();
    for deploy in deploys {
        done(&engine, deploy.await.unwrap().expect("nobody is turned away")).await;
    }
    assert_eq!((lab.vim.count("server"), lab.vim.count("network")), (4, 2));
    lab.vim.assert_nothing_made_twice();
    engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminate_gets_through_while_everything_is_being_made() {
    let lab = Lab::new();
    lab.vim.builds_for(3);
    let engine = lab.started().await;
    // Heard from before, so that no move is missed.
    let mut changes = engine.changes();
    let accepted = deploy(&engine, 40, None).await;
    let moving = async {
        let mut moves = 0;
        while moves < 30 {
            // Hints that were lost are of moves too.
            let is_move = matches!(changes.recv().await, Ok(Change::Action(..)) | Err(_));
            moves += usize::from(is_move);
        }
    };
    tokio::time::timeout(DEADLINE, moving).await.unwrap();
    let end = engine.terminate(&nsr(), None).await.unwrap();
    done(&engine, end).await;
    over(&engine, &accepted.action_id).await;
    lab.vim.assert_empty();
    lab.vim.assert_nothing_made_twice();
    engine.stop(DEADLINE).await;
}

/// How many calls a VIM that is away gets in so long at most: ten, those that are under way beside the tenth, and one after each pause.
/// The first of them twice: the last look at what was made before may be answered only now, and says that the VIM is there.
fn most_asked(elapsed: Duration) -> usize {
    let mut pause = Duration::from_millis(500);
    let (mut asked, mut next) = (2 * 13, pause);
    while next <= elapsed {
        asked += 1;
        pause = (pause * 2).min(Duration::from_secs(10));
        next += pause;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vim_that_is_away_is_asked_by_one_task_for_all_of_them() {
    const VMS: u32 = 20;
    let lab = Lab::new();
    let engine = lab.started().await;
    // What the VMs need is there: a look at it says that the VIM is.
    done(&engine, deploy(&engine, 1, None).await).await;
    lab.vim.fail("server", ErrorKind::Unreachable, usize::MAX);
    let begun = Instant::now();
    let accepted = deploy(&engine, 1 + VMS, None).await;
    let mut changes = engine.changes();
    let waiting = async {
        loop {
            let report = engine.action(&nsr(), &accepted.action_id).await.unwrap();
            let servers = report.tasks.iter().filter(|task| task.task.item == Item::Vdu);
            if servers.map(|task| task.task.attempt).sum::<u32>() >= 3 * VMS {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), changes.recv()).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    let asked = lab.vim.failed();
    let most = most_asked(begun.elapsed());
    assert!(asked <= most, "{asked} calls for {} tries, more than {most}", 3 * VMS);
    lab.vim.fail("server", ErrorKind::Unreachable, 0);
    done(&engine, accepted).await;
    assert_eq!(lab.vim.count("server"), 21);
    lab.vim.assert_nothing_made_twice();
    engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_made_anew_by_the_next_deploy_and_what_passes_is_tried_again() {
    let lab = Lab::new();
    let engine = lab.started().await;
    lab.vim.fail("server", ErrorKind::Quota, 1);
    lab.vim.fail("network", ErrorKind::Unreachable, 2);
    let accepted = deploy(&engine, 2, None).await;
    let report = over(&engine, &accepted.action_id).await;
    assert_eq!(
        (report.status, report.failures.as_slice()),
        (
            ActionStatus::Failed,
            &["Error at create vdu: on purpose".to_owned()][..]
        )
    );
    let report = done(&engine, deploy(&engine, 2, None).await).await;
    assert_eq!(report.tasks.len(), 2, "the failed one is cleared away and made");
    let vdurs = vdurs(&engine).await;
    assert_eq!(vdurs.len(), 2);
    for vdur in vdurs {
        let message = &vdur["vim_info"]["vim:x"]["vim_message"];
        assert_eq!((&vdur["status"], message), (&json!("ACTIVE"), &Value::Null), "{vdur:#}");
    }
    lab.vim.fail("delete", ErrorKind::BadRequest, 1);
    let end = engine.terminate(&nsr(), None).await.unwrap();
    assert_eq!(over(&engine, &end.action_id).await.status, ActionStatus::Failed);
    assert!(matches!(
        engine.remove_service(&nsr()).await,
        Err(Error::Conflict { .. })
    ));
    done(&engine, engine.terminate(&nsr(), None).await.unwrap()).await;
    lab.vim.assert_empty();
    engine.stop(DEADLINE).await;
}

/// A request may follow its announcement late in the call, and the VIM has its time from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_is_as_old_as_the_end_of_the_call_that_made_it() {
    let lab = Lab::new();
    let engine = lab.started().await;
    let slow = Duration::from_millis(200);
    lab.vim.lose("network", slow);
    done(&engine, deploy(&engine, 1, None).await).await;
    let ages = lab.vim.ages();
    assert!(!ages.is_empty());
    assert!(ages.iter().all(|(age, ago)| *age + slow <= *ago), "{ages:?}");
    lab.vim.assert_nothing_made_twice();
    engine.stop(DEADLINE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_is_said_to_be_so() {
    let lab = Lab::new();
    let engine = lab.started().await;
    assert!(matches!(
        engine.terminate(&nsr(), None).await,
        Err(Error::NotFound { .. })
    ));
    engine.put_service(&spec(1)).await.unwrap();
    assert!(matches!(
        engine.action(&nsr(), &"none".parse().unwrap()).await,
        Err(Error::NotFound { .. })
    ));
    let account = json!({"id": "x", "name": "x", "vim_type": "memory", "url": "memory:"});
    let twice = engine.add_account(serde_json::from_value(account).unwrap()).await;
    assert!(matches!(twice, Err(Error::Conflict { .. })));
    let account = json!({"name": "y", "vim_type": "none", "url": "memory:"});
    let unserved = engine.add_account(serde_json::from_value(account).unwrap()).await;
    assert!(matches!(unserved, Err(Error::BadRequest { .. })));
    engine.remove_account(&"vim:x".parse().unwrap(), None).await.unwrap();
    let request = engine.service_request(&nsr()).await.unwrap();
    assert!(matches!(
        engine.deploy(&nsr(), &request).await,
        Err(Error::NotFound { what: "account", .. })
    ));
    assert!(!engine.forget(&nsr()).await.unwrap(), "nothing was stored");
    engine.stop(DEADLINE).await;
}

/// A host that dies takes its threads with it, wherever they are.
#[test]
fn hosts_that_die_at_any_moment_make_nothing_twice_and_leave_nothing() {
    for seed in 1..=6u64 {
        println!("seed {seed}");
        let mut random = seed;
        let mut draw = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let lab = Lab::new();
        lab.vim.builds_for(1);
        let life = || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap()
        };
        for (vms, action) in [(Some(5), "make"), (None, "end")] {
            let mut begun = false;
            for death in 0.. {
                let runtime = life();
                let lives = draw(40);
                let over = runtime.block_on(async {
                    let engine = if begun || vms.is_none() {
                        lab.start().await
                    } else {
                        lab.started().await
                    };
                    let mut changes = engine.changes();
                    if !begun {
                        match vms {
                            Some(vms) => drop(deploy(&engine, vms, Some(action)).await),
                            None => drop(engine.terminate(&nsr(), Some(action.parse().unwrap())).await.unwrap()),
                        }
                        begun = true;
                    }
                    if death == 8 {
                        done(
                            &engine,
                            vimhost_engine::Accepted {
                                nsr_id: nsr(),
                                action_id: action.parse().unwrap(),
                                repeated: false,
                            },
                        )
                        .await;
                        return true;
                    }
                    for _ in 0..lives {
                        // Nothing moves any more: dying now or later is the same.
                        if tokio::time::timeout(Duration::from_millis(30), changes.recv())
                            .await
                            .is_err()
                        {
                            break;
                        }
                    }
                    false
                });
                runtime.shutdown_timeout(DEADLINE);
                if over {
                    break;
                }
            }
            if let Some(vms) = vms {
                assert_eq!(lab.vim.count("server"), usize::try_from(vms).unwrap(), "seed {seed}");
            }
            lab.vim.assert_nothing_made_twice();
        }
        lab.vim.assert_empty();
    }
}

/// What another program says about an account.
fn content(vim_type: &str, password: &str) -> AccountContent {
    AccountContent {
        target: "sdn:theirs".parse().unwrap(),
        name: "theirs".to_owned(),
        description: String::new(),
        vim_type: vim_type.to_owned(),
        url: "memory:".to_owned(),
        user: None,
        tenant: None,
        config: serde_json::Map::new(),
        credentials: [("password".to_owned(), Secret::new(password))].into(),
        ca_certificates: None,
        insecure_tls: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_another_program_is_as_that_program_has_it_and_its_grants_are_the_operators() {
    let lab = Lab::new();
    let engine = lab.start().await;
    let target = content("memory", "a").target;
    let adopt = async |content: &AccountContent| engine.adopt_account(content, AccountSource::Osm).await.unwrap();
    assert_eq!(adopt(&content("memory", "a")).await, Adopted::Added);
    engine.check_account(&target).await.unwrap();
    assert_eq!(adopt(&content("memory", "a")).await, Adopted::Unchanged);
    assert_eq!(engine.account(&target).await.unwrap().state, AccountState::Enabled);

    let grants = Grants {
        same_host_any_port: true,
        ..Grants::default()
    };
    let edit = AccountEdit {
        name: Some("mine".to_owned()),
        grants: Some(grants.clone()),
        ..AccountEdit::default()
    };
    engine.edit_account(&target, edit, None).await.unwrap();
    assert_eq!(adopt(&content("memory", "b")).await, Adopted::Changed);
    let account = engine.account(&target).await.unwrap();
    assert_eq!((&*account.name, account.grants), ("theirs", grants));
    assert_eq!(
        (account.state, account.source),
        (AccountState::Processing, AccountSource::Osm)
    );
    // A secret is part of it, and what was sealed with a key that is gone is sealed anew.
    let other_keys = Lab {
        keys: Arc::new(KeyRing::new(SealKey::random().unwrap())),
        ..lab
    };
    let engine = other_keys.start().await;
    let again = engine.adopt_account(&content("memory", "b"), AccountSource::Osm).await;
    assert_eq!(again.unwrap(), Adopted::Changed);
    engine.check_account(&target).await.unwrap();
    let kept = engine.accounts_of(AccountSource::Osm).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(engine.accounts_of(AccountSource::Own).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d11_an_account_without_a_connector_is_kept_and_says_why() {
    let lab = Lab::new();
    let engine = lab.start().await;
    let account = content("vaporware", "a");
    let adopted = engine.adopt_account(&account, AccountSource::Osm).await;
    assert_eq!(adopted.unwrap(), Adopted::Added);
    let refused = engine.check_account(&account.target).await.unwrap_err().to_string();
    assert!(refused.contains("no plugin serves VIM type 'vaporware'"), "{refused}");
    let state = engine.account(&account.target).await.unwrap().state;
    assert_eq!(state, AccountState::Error(refused));
}
