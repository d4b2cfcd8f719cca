//! The life cycle of VNF instances on a VIM of stacks in memory, with the SQLite store.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

mod connections;
mod stacks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stacks::Vim;
use vimhost_connector::ElementKind;
use vimhost_engine::{
    Engine, EngineConfig, Error as EngineError, Finding, LcmConfig, LeaseTerms, NewAccount, SystemClock, Verdict,
};
use vimhost_model::vnf::{
    InstantiationState, LcmOperation, OpOccOwn, OperationState, PackageOperationalState, VnfLcmOpOcc, VnfPackage,
};
use vimhost_model::{TargetId, Timestamp, VimId, VnfInstanceId, VnfLcmOpOccId};
use vimhost_store::seal::{KeyRing, SealKey};
use vimhost_store::{SealedText, Store, vnfds_on_their_way};
use vimhost_store_sqlite::{Options, SqliteStore};

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);
const HOT: &str = "resources:\n  g:\n    desired: { get_param: [nfv, VDU, VDU1, desired_capacity] }\n";

struct Lab {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    vim: Vim,
    id: VnfInstanceId,
    dir: tempfile::TempDir,
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn package(id: &str, vnfd: &str) -> VnfPackage {
    parsed(
        json!({"id": id, "onboardingState": "ONBOARDED", "operationalState": "ENABLED", "createdAt": 0,
        "vnfd": {"id": vnfd, "provider": "p", "product_name": "n", "software_version": "1", "version": "1", "flavours": {"simple": {
            "aspects": {"a": {"max_scale_level": 2, "deltas": {"VDU1": {"steps": [1]}}}},
            "vdus": {"VDU1": {"name": "VDU1", "profile": {"min": 1, "max": 3}, "initial": 1}},
            "base_hot": {"path": "BaseHOT/simple/a.yaml", "template": HOT}}}}}),
    )
}

impl Lab {
    async fn new() -> Self {
        Self::of(None).await
    }

    /// A host that shares its store where there are terms.
    async fn of(leases: Option<LeaseTerms>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("vimhost.db"), Options::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let vim = Vim::default();
        let config = EngineConfig {
            host: "here".parse().unwrap(),
            calls_per_account: 4,
            calls_per_second: None,
            idle_period: None,
            leases,
            lcm: LcmConfig::default(),
        };
        let keys = Arc::new(KeyRing::new(SealKey::random().unwrap()));
        let with = Arc::new(vim.clone());
        let engine = Engine::start(config, store.clone(), with.clone(), with, keys, Arc::new(SystemClock));
        let engine = engine.await.unwrap();
        let account: NewAccount = parsed(json!({"id": "x", "name": "x", "vim_type": "memory", "url": "memory:"}));
        engine.add_account(account).await.unwrap();
        store.put_vnf_package(&package("pkg", "vnfd"), 0).await.unwrap();
        let instance = engine.lcm().create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap();
        let id = instance.id;
        Self {
            engine,
            store,
            vim,
            id,
            dir,
        }
    }

    async fn over(&self, id: &VnfLcmOpOccId) -> VnfLcmOpOcc {
        let begun = Instant::now();
        loop {
            let op_occ = self.engine.lcm().op_occ(id).await.unwrap();
            let state = op_occ.operation_state;
            if !state.is_running() {
                return op_occ;
            }
            assert!(begun.elapsed() < DEADLINE, "{id} is still {}", state.as_str());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What is sealed in an account.
    async fn secrets(&self, account: &TargetId) -> BTreeMap<String, SealedText> {
        let account = self.store.account(account).await.unwrap();
        account.unwrap().credentials
    }

    async fn instantiate(&self) -> VnfLcmOpOcc {
        let lcm = self.engine.lcm();
        let begun = lcm.instantiate(&self.id, parsed(json!({"flavourId": "simple"}))).await;
        self.over(&begun.unwrap()).await
    }
}

#[tokio::test]
async fn a_whole_life_costs_the_requests_it_should() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    let made = lab.instantiate().await;
    assert_eq!(made.operation_state, OperationState::Completed, "{:?}", made.error);
    let instance = lcm.instance(&lab.id).await.unwrap();
    let info = instance.instantiated_vnf_info.unwrap();
    assert_eq!(info.metadata.unwrap()["stack_id"], "s1");
    assert_eq!(
        lab.vim.0.lock().unwrap().calls,
        ["create", "observe", "observe", "observe", "resources"]
    );

    let out = || parsed(json!({"type": "SCALE_OUT", "aspectId": "a"}));
    // The first one is not over before the other one has been looked at.
    lab.vim.0.lock().unwrap().held = true;
    let (one, other) = tokio::join!(lcm.scale(&lab.id, out()), lcm.scale(&lab.id, out()));
    lab.vim.0.lock().unwrap().held = false;
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let refused = if one.is_ok() {
        other.as_ref().err()
    } else {
        one.as_ref().err()
    };
    assert!(matches!(refused, Some(EngineError::Conflict { .. })), "{refused:?}");
    let scaled = lab.over(&one.or(other).unwrap()).await;
    assert_eq!(scaled.operation_state, OperationState::Completed, "{:?}", scaled.error);
    assert_eq!(scaled.resource_changes.unwrap().affected_vnfcs.unwrap().len(), 1);

    let end = parsed(json!({"terminationType": "FORCEFUL"}));
    let ended = lab.over(&lcm.terminate(&lab.id, end).await.unwrap()).await;
    assert_eq!(ended.operation_state, OperationState::Completed, "{:?}", ended.error);
    let instance = lcm.instance(&lab.id).await.unwrap();
    assert_eq!(instance.instantiation_state, InstantiationState::NotInstantiated);
    assert_eq!((lab.vim.count("delete"), lab.vim.count("find")), (1, 0));
    lcm.delete(&lab.id).await.unwrap();
}

/// As the service of packages does it: disabled, not in use, gone at that revision.
async fn is_deleted(store: &dyn Store, id: &str, vnfd: &str) -> bool {
    let mut package = store.vnf_package(&id.parse().unwrap()).await.unwrap().unwrap();
    package.operational_state = PackageOperationalState::Disabled;
    let revision = store.put_vnf_package(&package, package.revision).await.unwrap();
    let on_their_way = vnfds_on_their_way(store).await.unwrap();
    let is_awaited = on_their_way.iter().any(|awaited| awaited.as_str() == vnfd);
    let is_free = !is_awaited && !store.package_in_use(&package.id).await.unwrap();
    is_free && store.delete_vnf_package(&package.id, revision).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_made_or_its_package_deleted_and_never_both() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    for round in 0..50 {
        let (id, vnfd) = (format!("pkg-{round}"), format!("vnfd-{round}"));
        lab.store.put_vnf_package(&package(&id, &vnfd), 0).await.unwrap();
        let create = lcm.create(parsed(json!({"vnfdId": vnfd})));
        let (created, is_deleted) = tokio::join!(create, is_deleted(&*lab.store, &id, &vnfd));
        assert!(created.is_err() || !is_deleted, "{created:?}");
        let is_used = lab.store.package_in_use(&id.parse().unwrap()).await.unwrap();
        assert_eq!(is_used, created.is_ok(), "{created:?}");
        if let Err(error) = created {
            assert!(matches!(error, EngineError::Unprocessable { .. }), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_brought_to_a_package_or_that_is_deleted_and_never_both() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    let made = lab.instantiate().await;
    assert_eq!(made.operation_state, OperationState::Completed, "{:?}", made.error);
    for round in 0..40 {
        let (id, vnfd) = (format!("pkg-{round}"), format!("vnfd-{round}"));
        lab.store.put_vnf_package(&package(&id, &vnfd), 0).await.unwrap();
        let change = async {
            // It takes longer than a modification.
            if round % 5 == 0 {
                let rolled = json!({"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]});
                let request = json!({"vnfdId": vnfd, "additionalParams": rolled});
                lcm.change_vnfpkg(&lab.id, parsed(request)).await
            } else {
                lcm.modify(&lab.id, parsed(json!({"vnfdId": vnfd}))).await
            }
        };
        let (begun, is_deleted) = tokio::join!(change, is_deleted(&*lab.store, &id, &vnfd));
        let is_brought = match begun {
            Ok(op_occ) => {
                let over = lab.over(&op_occ).await;
                if over.operation_state == OperationState::FailedTemp {
                    lcm.rollback(&op_occ).await.unwrap();
                    let state = lab.over(&op_occ).await.operation_state;
                    assert_eq!(state, OperationState::RolledBack);
                }
                over.operation_state == OperationState::Completed
            }
            Err(error) => {
                assert!(matches!(error, EngineError::Unprocessable { .. }), "{error:?}");
                false
            }
        };
        assert!(!is_brought || !is_deleted, "{id}");
        let instance = lcm.instance(&lab.id).await.unwrap();
        assert_eq!(instance.own.package.as_str() == id, is_brought);
        let used = lab.store.vnf_package(&instance.own.package).await.unwrap();
        assert!(used.is_some(), "{id}: the package of the instance is gone");
    }
}

#[tokio::test]
async fn a_failed_instantiation_is_retried_by_an_update_of_its_stack() {
    let lab = Lab::new().await;
    lab.vim.0.lock().unwrap().failing = true;
    let failed = lab.instantiate().await;
    assert_eq!(failed.operation_state, OperationState::FailedTemp);
    let problem = failed.error.unwrap();
    assert_eq!((problem.status, problem.detail.as_str()), (422, "no host"));
    lab.engine.lcm().retry(&failed.id).await.unwrap();
    let done = lab.over(&failed.id).await;
    assert_eq!(done.operation_state, OperationState::Completed, "{:?}", done.error);
    assert_eq!((lab.vim.count("create"), lab.vim.count("update")), (1, 1));
}

/// A record that is too large, for instance: the same would be refused again.
#[tokio::test]
async fn an_operation_whose_record_is_refused_fails_and_can_be_undone_or_tried_again() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    let file = rusqlite::Connection::open(lab.dir.path().join("vimhost.db")).unwrap();
    file.busy_timeout(DEADLINE).unwrap();
    let refusing = "CREATE TRIGGER refusing BEFORE UPDATE ON vnf_op_occ WHEN NEW.state = 'COMPLETED'
        BEGIN SELECT RAISE(ABORT, 'it is too large'); END";
    file.execute_batch(refusing).unwrap();
    let failed = lab.instantiate().await;
    assert_eq!(failed.operation_state, OperationState::FailedTemp);
    let problem = failed.error.unwrap();
    assert!(problem.detail.contains("too large"), "{}", problem.detail);
    lcm.retry(&failed.id).await.unwrap();
    let again = lab.over(&failed.id).await;
    assert_eq!(again.operation_state, OperationState::FailedTemp);
    file.execute_batch("DROP TRIGGER refusing").unwrap();
    lcm.retry(&failed.id).await.unwrap();
    let done = lab.over(&failed.id).await;
    assert_eq!(done.operation_state, OperationState::Completed, "{:?}", done.error);
    assert_eq!(lab.vim.count("create"), 1);
}

#[tokio::test]
async fn a_failed_instantiation_is_rolled_back_or_given_up() {
    let lab = Lab::new().await;
    for rolled_back in [true, false] {
        lab.vim.0.lock().unwrap().failing = true;
        let failed = lab.instantiate().await;
        if rolled_back {
            lab.engine.lcm().rollback(&failed.id).await.unwrap();
            let state = lab.over(&failed.id).await.operation_state;
            assert_eq!(state, OperationState::RolledBack);
            assert!(lab.vim.0.lock().unwrap().stacks.is_empty());
        } else {
            let given_up = lab.engine.lcm().fail(&failed.id).await.unwrap();
            assert_eq!(given_up.operation_state, OperationState::Failed);
        }
    }
    // What the one that was given up has left goes before the next stack is made.
    let made = lab.instantiate().await;
    assert_eq!(made.operation_state, OperationState::Completed, "{:?}", made.error);
    assert_eq!(lab.vim.0.lock().unwrap().stacks.len(), 1);
}

/// A host that looks around all the time.
fn restless() -> LeaseTerms {
    LeaseTerms {
        length: Duration::from_secs(10),
        heartbeat: Duration::from_millis(5),
        grace: Duration::from_millis(100),
    }
}

/// A PATCH as a host has left it that is not there any more.
async fn left(lab: &Lab, params: Value) -> VnfLcmOpOccId {
    left_on(lab, &lab.id, |op_occ| op_occ.operation_params = Some(params)).await
}

/// A PATCH of an instance that nothing was done to, changed into what the host has left of it.
async fn left_on(lab: &Lab, instance: &VnfInstanceId, change: impl FnOnce(&mut VnfLcmOpOcc)) -> VnfLcmOpOccId {
    let mut left = VnfLcmOpOcc {
        id: VnfLcmOpOccId::random(),
        operation_state: OperationState::Processing,
        state_entered_time: Timestamp(0),
        start_time: Timestamp(0),
        vnf_instance_id: instance.clone(),
        grant_id: None,
        operation: LcmOperation::ModifyInfo,
        is_automatic_invocation: false,
        operation_params: Some(json!({})),
        is_cancel_pending: false,
        error: None,
        resource_changes: None,
        changed_info: None,
        changed_ext_connectivity: None,
        modifications_triggered_by_vnf_pkg_change: None,
        own: OpOccOwn {
            revision: 0,
            target: None,
            attempt: 0,
            work: Value::Null,
        },
    };
    change(&mut left);
    lab.store.begin_operation(&left, 1, &[]).await.unwrap();
    left.id
}

#[tokio::test]
async fn a_modification_that_another_host_has_left_is_taken_up() {
    let lab = Lab::of(Some(restless())).await;
    let id = left(&lab, json!({"vnfInstanceName": "renamed"})).await;
    let done = lab.over(&id).await;
    assert_eq!(done.operation_state, OperationState::Completed, "{:?}", done.error);
    let instance = lab.engine.lcm().instance(&lab.id).await.unwrap();
    assert_eq!(
        (instance.vnf_instance_name.as_deref(), instance.own.operation),
        (Some("renamed"), None)
    );
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_is_not_in_the_way_of_others_that_are_taken_up() {
    let lab = Lab::of(Some(restless())).await;
    let lcm = lab.engine.lcm();
    let other = lcm.create(parsed(json!({"vnfdId": "vnfd"}))).await.unwrap().id;
    // A date in a year of five digits is written and not read again.
    let too_late = Timestamp(1_000_000_000_000_000);
    let unreadable = left_on(&lab, &other, |op_occ| op_occ.start_time = too_late).await;
    let id = left(&lab, json!({"vnfInstanceName": "renamed"})).await;
    assert_eq!(lab.over(&id).await.operation_state, OperationState::Completed);
    let read = lcm.op_occ(&unreadable).await;
    assert!(matches!(read, Err(EngineError::Internal { .. })), "{read:?}");
    assert_eq!(lcm.instance(&other).await.unwrap().own.operation, Some(unreadable));
}

#[tokio::test]
async fn a_modification_that_is_to_go_to_an_account_which_cannot_be_read_fails_and_says_so() {
    let lab = Lab::of(Some(restless())).await;
    let lcm = lab.engine.lcm();
    let id = left_on(&lab, &lab.id, |op_occ| op_occ.own.work = json!({"target": 5})).await;
    let failed = lab.over(&id).await;
    assert_eq!(failed.operation_state, OperationState::FailedTemp);
    let problem = failed.error.unwrap();
    assert_eq!(problem.status, 500);
    assert!(problem.detail.contains("cannot be read"), "{}", problem.detail);
    lcm.rollback(&id).await.unwrap();
    assert_eq!(lab.over(&id).await.operation_state, OperationState::RolledBack);
    assert_eq!(lcm.instance(&lab.id).await.unwrap().own.operation, None);
}

#[tokio::test]
async fn a_modification_whose_package_went_is_not_done_by_half() {
    let lab = Lab::of(Some(restless())).await;
    let lcm = lab.engine.lcm();
    let id = left(&lab, json!({"vnfInstanceName": "renamed", "vnfdId": "gone"})).await;
    let failed = lab.over(&id).await;
    assert_eq!(failed.operation_state, OperationState::FailedTemp);
    assert_eq!(failed.error.unwrap().status, 422);
    assert_eq!(lcm.instance(&lab.id).await.unwrap().vnf_instance_name, None);
    lcm.rollback(&id).await.unwrap();
    assert_eq!(lab.over(&id).await.operation_state, OperationState::RolledBack);
    assert_eq!(lcm.instance(&lab.id).await.unwrap().own.operation, None);
}

#[tokio::test]
async fn an_audit_tells_of_a_stack_that_was_deleted_behind_the_hosts_back() {
    let lab = Lab::new().await;
    lab.instantiate().await;
    let target = lab.engine.lcm().instance(&lab.id).await.unwrap().own.target.unwrap();
    let told = audited(&lab.engine, &target).await;
    assert!(told.is_empty(), "{told:?}");
    lab.vim.0.lock().unwrap().stacks.clear();
    let told = audited(&lab.engine, &target).await;
    let told: Vec<_> = told
        .iter()
        .map(|finding| (finding.verdict, finding.kind, finding.id.as_ref()))
        .collect();
    let id: VimId = "s1".parse().unwrap();
    assert_eq!(told, [(Verdict::Missing, ElementKind::Stack, Some(&id))]);
}

async fn audited(engine: &Engine, target: &TargetId) -> Vec<Finding> {
    let mut audit = engine.audit_vim(target).await.unwrap();
    let mut findings = Vec::new();
    while let Some(page) = audit.step().await.unwrap() {
        findings.extend(page.findings);
    }
    findings
}

/// What only an instance knows of is not forgotten with it, whether its id is known or its creation was never answered.
#[tokio::test]
async fn a_stack_that_was_given_up_goes_before_its_instance_does() {
    for is_lost in [false, true] {
        let lab = Lab::new().await;
        let lcm = lab.engine.lcm();
        {
            let mut state = lab.vim.0.lock().unwrap();
            (state.failing, state.losing) = (!is_lost, is_lost);
        }
        let failed = lab.instantiate().await;
        assert_eq!(failed.operation_state, OperationState::FailedTemp);
        let target = failed.own.target.clone().unwrap();
        let removed = lab.engine.remove_account(&target, None).await;
        assert!(matches!(removed, Err(EngineError::Conflict { .. })), "{removed:?}");
        lcm.fail(&failed.id).await.unwrap();

        let other: NewAccount = parsed(json!({"id": "y", "name": "y", "vim_type": "memory", "url": "memory:"}));
        lab.engine.add_account(other).await.unwrap();
        let elsewhere = json!({"flavourId": "simple", "vimConnectionInfo": {"v": {"vimId": "y", "vimType": "memory"}}});
        let refused = lcm.instantiate(&lab.id, parsed(elsewhere)).await.unwrap_err();
        assert!(
            matches!(&refused, EngineError::Conflict { reason } if reason.contains("'x'")),
            "{refused:?}"
        );
        let refused = lcm.delete(&lab.id).await.unwrap_err();
        assert!(
            matches!(&refused, EngineError::Conflict { reason } if reason.contains("terminate")),
            "{refused:?}"
        );

        assert_eq!(lab.vim.0.lock().unwrap().stacks.len(), 1);
        let end = parsed(json!({"terminationType": "FORCEFUL"}));
        let ended = lab.over(&lcm.terminate(&lab.id, end).await.unwrap()).await;
        assert_eq!(ended.operation_state, OperationState::Completed, "{:?}", ended.error);
        assert!(lab.vim.0.lock().unwrap().stacks.is_empty());
        lcm.delete(&lab.id).await.unwrap();
    }
}

/// A VIM may make a stack long after the answer was lost: later than a client gives up and goes on.
#[tokio::test]
async fn a_stack_that_appears_after_its_creation_was_given_up_does_not_stay_behind() {
    for goes_on_with in ["rollback", "terminate", "instantiate"] {
        let lab = Lab::new().await;
        let lcm = lab.engine.lcm();
        lab.vim.0.lock().unwrap().late = Some(2);
        let failed = lab.instantiate().await;
        assert_eq!(failed.operation_state, OperationState::FailedTemp);
        let ended = match goes_on_with {
            "rollback" => {
                lcm.rollback(&failed.id).await.unwrap();
                lab.over(&failed.id).await
            }
            "terminate" => {
                lcm.fail(&failed.id).await.unwrap();
                let end = parsed(json!({"terminationType": "FORCEFUL"}));
                lab.over(&lcm.terminate(&lab.id, end).await.unwrap()).await
            }
            _ => {
                lcm.fail(&failed.id).await.unwrap();
                lab.instantiate().await
            }
        };
        let (state, made) = match goes_on_with {
            "rollback" => (OperationState::RolledBack, 0),
            "terminate" => (OperationState::Completed, 0),
            _ => (OperationState::Completed, 1),
        };
        assert_eq!(ended.operation_state, state, "{goes_on_with}: {:?}", ended.error);
        {
            let vim = lab.vim.0.lock().unwrap();
            assert!(vim.coming.is_none(), "{goes_on_with}");
            assert_eq!(vim.stacks.len(), made, "{goes_on_with}");
        }
        let after = lcm.instance(&lab.id).await.unwrap();
        assert_eq!(after.own.stack.get("begun"), None, "{goes_on_with}");
    }
}

/// A request may follow its announcement late in the call, and the VIM has its time from there.
#[tokio::test]
async fn what_may_still_appear_is_waited_for_from_the_end_of_the_call_that_asked_for_it() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    let slow = Duration::from_millis(200);
    {
        let mut state = lab.vim.0.lock().unwrap();
        (state.late, state.slow) = (Some(2), slow);
    }
    let failed = lab.instantiate().await;
    lcm.fail(&failed.id).await.unwrap();
    let end = parsed(json!({"terminationType": "FORCEFUL"}));
    let ended = lab.over(&lcm.terminate(&lab.id, end).await.unwrap()).await;
    assert_eq!(ended.operation_state, OperationState::Completed, "{:?}", ended.error);
    let ages = lab.vim.0.lock().unwrap().ages.clone();
    assert!(ages.len() >= 3, "{ages:?}");
    assert!(ages.iter().all(|(age, ago)| *age + slow <= *ago), "{ages:?}");
    // Nor does a call that only looks begin it anew.
    assert!(ages.is_sorted_by_key(|(age, _)| *age), "{ages:?}");
}

#[tokio::test]
async fn what_may_have_been_left_is_known_until_it_was_deleted_however_often_that_is_given_up() {
    let lab = Lab::new().await;
    let lcm = lab.engine.lcm();
    let end = || parsed(json!({"terminationType": "FORCEFUL"}));
    lab.vim.0.lock().unwrap().late = Some(1);
    let failed = lab.instantiate().await;
    lcm.fail(&failed.id).await.unwrap();
    for _ in 0..2 {
        lab.vim.0.lock().unwrap().refusing = true;
        let failed = lab.over(&lcm.terminate(&lab.id, end()).await.unwrap()).await;
        assert_eq!(failed.operation_state, OperationState::FailedTemp);
        lcm.fail(&failed.id).await.unwrap();
        let refused = lcm.delete(&lab.id).await;
        assert!(matches!(refused, Err(EngineError::Conflict { .. })), "{refused:?}");
    }
    let ended = lab.over(&lcm.terminate(&lab.id, end()).await.unwrap()).await;
    assert_eq!(ended.operation_state, OperationState::Completed, "{:?}", ended.error);
    {
        let vim = lab.vim.0.lock().unwrap();
        assert!(vim.coming.is_none() && vim.stacks.is_empty());
    }
    lcm.delete(&lab.id).await.unwrap();
}
