//! The life cycle of VNF instances in SOL003's words: each is one stack, made and changed by a connector with the `stacks` interface.
//!
//! * [`Lcm`] — the face: what clients ask for. `admit` says what is refused and why.
//! * `plan` — request, VNFD and instance become steps, pure.
//! * `machine` — one operation and one event, pure.
//! * `drive`, `call`, `poll`, `journal` — do what the machine asks for; `finish`, `map`, `changes` say what an instance is afterwards, pure.
//! * `connection`, `inline` — which account a request means.
//!
//! Parameters and template of a stack are kept with the instance, so in a normal life nothing is read back from the VIM but its resources.

mod admit;
mod call;
mod changes;
mod connection;
mod create;
mod drive;
mod events;
mod finish;
mod inline;
mod journal;
mod machine;
mod map;
mod owned;
mod plan;
mod poll;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tracing::Instrument as _;
use vimhost_connector::Connectors;
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, EventKind, HealVnfRequest, InstantiateVnfRequest,
    InstantiationState, LcmEvent, LcmOperation, OpOccOwn, OperationState, ScaleVnfRequest, TerminateVnfRequest,
    VnfInfoModificationRequest, VnfInstance, VnfLcmOpOcc,
};
use vimhost_model::{AccountId, TargetId, VnfInstanceId, VnfLcmOpOccId};
use vimhost_store::{InstanceWrite, ListQuery, Listed, Page, Store, seal::KeyRing};

use crate::schedule::{OpOccHint, Scheduler};
use crate::{Clock, Error};
pub(crate) use owned::{owns_stack, stack_of};
use work::{Kept, Moved, Work};

/// Minutes a VIM has for a stack when nobody says.
const TIMEOUT_MINUTES: u32 = 20;

/// Settings of the life cycle.
#[derive(Debug, Clone, Default)]
pub struct LcmConfig {
    /// Account that is used when a request names none.
    pub default_vim: Option<AccountId>,
    /// Minutes the VIM has for a stack; 0: 20.
    pub stack_timeout_minutes: u32,
    /// The VIM undoes by itself what failed.
    pub rollback_on_failure: bool,
}

/// What the life cycle works with.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) connectors: Arc<dyn Connectors>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) schedule: Arc<Scheduler>,
    pub(crate) installation: String,
}

/// The life cycle of VNF instances.
pub struct Lcm {
    config: LcmConfig,
    parts: Parts,
    /// Operations that are driven; true: looked at again.
    live: Mutex<HashMap<VnfLcmOpOccId, bool>>,
    /// Operations of which it was told that they cannot be gone on with.
    set_aside: Mutex<HashSet<VnfLcmOpOccId>>,
    pollers: poll::Pollers,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_store(doing: &'static str) -> impl Fn(vimhost_store::Error) -> Error {
    move |error| {
        if let vimhost_store::Error::Conflict { what } = error {
            return Error::Conflict {
                reason: format!("{what} is being changed by another operation"),
            };
        }
        Error::of_store(doing, error)
    }
}

/// Whether a write may be on disk: of one that was not answered nobody knows, and whoever looks will see.
fn is_perhaps_written(written: &Result<(), Error>) -> bool {
    matches!(written, Ok(()) | Err(Error::Unavailable { .. }))
}

impl Lcm {
    pub(crate) fn start(
        config: LcmConfig,
        parts: Parts,
        hints: tokio::sync::mpsc::UnboundedReceiver<OpOccHint>,
    ) -> Arc<Self> {
        let lcm = Arc::new(Self {
            config,
            parts,
            live: Mutex::default(),
            set_aside: Mutex::default(),
            pollers: poll::Pollers::default(),
        });
        tokio::spawn(lcm.clone().hear(hints));
        lcm
    }

    fn timeout_minutes(&self) -> u32 {
        match self.config.stack_timeout_minutes {
            0 => TIMEOUT_MINUTES,
            minutes => minutes,
        }
    }

    /// An instance.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn instance(&self, id: &VnfInstanceId) -> Result<VnfInstance, Error> {
        let read = self.parts.store.vnf_instance(id).await;
        let instance = read.map_err(of_store("reading an instance"))?;
        instance.ok_or_else(|| Error::not_found("VNF instance", id))
    }

    /// Instances as they are listed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn instances(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error> {
        let page = self.parts.store.vnf_instances(query, after, limit).await;
        page.map_err(of_store("listing instances"))
    }

    /// Removes an instance that has nothing in a VIM.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::Conflict`] when it is instantiated, an operation has it, or one that was given up
    /// has left a stack: without the instance nobody would know of it.
    pub async fn delete(&self, id: &VnfInstanceId) -> Result<(), Error> {
        let instance = self.instance(id).await?;
        admit::free(&instance)?;
        admit::state(&instance, InstantiationState::NotInstantiated)?;
        admit::nothing_left(&instance)?;
        let event = LcmEvent::of(&instance, self.parts.clock.now(), EventKind::IdentifierDeletion);
        let deleted = self
            .parts
            .store
            .delete_vnf_instance(id, instance.own.revision, &[event])
            .await;
        deleted.map_err(|error| {
            if matches!(error, vimhost_store::Error::Missing { .. }) {
                return Error::not_found("VNF instance", id);
            }
            of_store("removing an instance")(error)
        })
    }

    /// Changes what is known of an instance.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn modify(
        self: &Arc<Self>,
        id: &VnfInstanceId,
        mut request: VnfInfoModificationRequest,
    ) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instance(id).await?;
        admit::free(&instance)?;
        admit::modify(&instance, &request)?;
        if let Some(vnfd) = &request.vnfd_id {
            self.usable_package(vnfd).await?;
        }
        let moved = match &mut request.vim_connection_info {
            Some(connections) => self.moved_by(&instance, connections).await?,
            None => None,
        };
        let work = match moved {
            Some(target) => serde_json::to_value(Moved { target })
                .map_err(|error| crate::accounts::internal("keeping the work of an operation", error))?,
            None => Value::Null,
        };
        self.accept_with(&instance, LcmOperation::ModifyInfo, None, &request, work)
            .await
    }

    /// Makes the stack of an instance.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn instantiate(
        self: &Arc<Self>,
        id: &VnfInstanceId,
        mut request: InstantiateVnfRequest,
    ) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instance(id).await?;
        admit::free(&instance)?;
        admit::state(&instance, InstantiationState::NotInstantiated)?;
        let target = self.target_of(request.vim_connection_info.as_mut()).await?;
        admit::nothing_left_elsewhere(&instance, &target)?;
        self.accept(&instance, LcmOperation::Instantiate, Some(target), &request)
            .await
    }

    /// Deletes the stack of an instance, also one that an operation has left which was given up.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn terminate(
        self: &Arc<Self>,
        id: &VnfInstanceId,
        request: TerminateVnfRequest,
    ) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instance(id).await?;
        admit::free(&instance)?;
        if !admit::has_left_stack(&instance)? {
            admit::state(&instance, InstantiationState::Instantiated)?;
        }
        admit::terminate(&request)?;
        let target = instance.own.target.clone();
        self.accept(&instance, LcmOperation::Terminate, target, &request).await
    }

    /// Adds VNFCs to an instance or takes them away.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn scale(self: &Arc<Self>, id: &VnfInstanceId, request: ScaleVnfRequest) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instantiated(id).await?;
        admit::scale(&instance, &request)?;
        let target = instance.own.target.clone();
        self.accept(&instance, LcmOperation::Scale, target, &request).await
    }

    /// Replaces VNFCs of an instance, or all of it.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn heal(self: &Arc<Self>, id: &VnfInstanceId, request: HealVnfRequest) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instantiated(id).await?;
        admit::heal(&instance, &request)?;
        let target = instance.own.target.clone();
        self.accept(&instance, LcmOperation::Heal, target, &request).await
    }

    /// Joins an instance to other external networks.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn change_ext_conn(
        self: &Arc<Self>,
        id: &VnfInstanceId,
        mut request: ChangeExtVnfConnectivityRequest,
    ) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instantiated(id).await?;
        let target = self.target_with(&instance, request.vim_connection_info.as_mut());
        let target = target.await?;
        self.accept(&instance, LcmOperation::ChangeExtConn, target, &request)
            .await
    }

    /// Takes an instance to another package.
    ///
    /// # Errors
    /// As the checks of the operation say.
    pub async fn change_vnfpkg(
        self: &Arc<Self>,
        id: &VnfInstanceId,
        mut request: ChangeCurrentVnfPkgRequest,
    ) -> Result<VnfLcmOpOccId, Error> {
        let instance = self.instantiated(id).await?;
        admit::change_vnfpkg(&request)?;
        self.usable_package(&request.vnfd_id).await?;
        admit::strip_vdu_passwords(request.additional_params.as_mut());
        let target = self.target_with(&instance, request.vim_connection_info.as_mut());
        let target = target.await?;
        self.accept(&instance, LcmOperation::ChangeVnfpkg, target, &request)
            .await
    }

    async fn instantiated(&self, id: &VnfInstanceId) -> Result<VnfInstance, Error> {
        let instance = self.instance(id).await?;
        admit::free(&instance)?;
        admit::state(&instance, InstantiationState::Instantiated)?;
        Ok(instance)
    }

    async fn accept(
        self: &Arc<Self>,
        instance: &VnfInstance,
        operation: LcmOperation,
        target: Option<TargetId>,
        request: &(impl Serialize + Sync),
    ) -> Result<VnfLcmOpOccId, Error> {
        self.accept_with(instance, operation, target, request, Value::Null)
            .await
    }

    /// Accepts an operation: it is on disk and locks its instance when this answers.
    async fn accept_with(
        self: &Arc<Self>,
        instance: &VnfInstance,
        operation: LcmOperation,
        target: Option<TargetId>,
        request: &(impl Serialize + Sync),
        work: Value,
    ) -> Result<VnfLcmOpOccId, Error> {
        let now = self.parts.clock.now();
        let params = serde_json::to_value(request);
        let mut params = params.map_err(|error| crate::accounts::internal("keeping a request", error))?;
        connection::strip_all(&mut params);
        let op_occ = VnfLcmOpOcc {
            id: VnfLcmOpOccId::random(),
            operation_state: match operation {
                LcmOperation::ModifyInfo => OperationState::Processing,
                LcmOperation::Instantiate
                | LcmOperation::Scale
                | LcmOperation::Terminate
                | LcmOperation::Heal
                | LcmOperation::ChangeExtConn
                | LcmOperation::ChangeVnfpkg => OperationState::Starting,
            },
            state_entered_time: now,
            start_time: now,
            vnf_instance_id: instance.id.clone(),
            grant_id: None,
            operation,
            is_automatic_invocation: false,
            operation_params: Some(params),
            is_cancel_pending: false,
            error: None,
            resource_changes: None,
            changed_info: None,
            changed_ext_connectivity: None,
            modifications_triggered_by_vnf_pkg_change: None,
            own: OpOccOwn {
                revision: 0,
                target,
                attempt: 0,
                work,
            },
        };
        let events = vec![events::entered(instance, &op_occ)];
        let (lcm, revision) = (self.clone(), instance.own.revision);
        // A task of its own: a client that hangs up must not come between accepting and beginning.
        let accepting = async move {
            let begun = lcm.parts.store.begin_operation(&op_occ, revision, &events).await;
            let begun = begun.map_err(|error| {
                if matches!(error, vimhost_store::Error::Missing { .. }) {
                    return Error::not_found("VNF instance", &op_occ.vnf_instance_id);
                }
                of_store("accepting an operation")(error)
            });
            if begun.is_err() && is_perhaps_written(&begun) {
                lcm.begin_soon(&op_occ);
            }
            begun?;
            tracing::info!(
                op_occ_id = %op_occ.id, vnf_instance_id = %op_occ.vnf_instance_id, operation = operation.as_str(),
                "operation accepted"
            );
            lcm.begin_soon(&op_occ);
            Ok::<_, Error>(op_occ.id)
        };
        let accepted = tokio::spawn(accepting.in_current_span()).await;
        accepted.map_err(|error| crate::accounts::internal("accepting an operation", error))?
    }

    /// Has an operation driven: here, or by whoever has its account.
    fn begin_soon(self: &Arc<Self>, op_occ: &VnfLcmOpOcc) {
        match &op_occ.own.target {
            Some(target) if self.parts.schedule.right(target).is_none() => self.parts.schedule.needed(target),
            Some(_) | None => self.wake(&op_occ.id),
        }
    }

    /// An operation.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn op_occ(&self, id: &VnfLcmOpOccId) -> Result<VnfLcmOpOcc, Error> {
        let read = self.parts.store.op_occ(id).await;
        let op_occ = read.map_err(of_store("reading an operation"))?;
        op_occ.ok_or_else(|| Error::not_found("VNF LCM operation occurrence", id))
    }

    /// Operations as they are listed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn op_occs(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error> {
        let page = self.parts.store.op_occs(query, after, limit).await;
        page.map_err(of_store("listing operations"))
    }

    /// Tries an operation that failed again, from the step that failed.
    ///
    /// # Errors
    /// [`Error::Conflict`] unless it is FAILED_TEMP.
    pub async fn retry(self: &Arc<Self>, id: &VnfLcmOpOccId) -> Result<(), Error> {
        let (op_occ, instance) = self.failed(id).await?;
        self.again(op_occ, &instance, OperationState::Processing, |work| {
            machine::retry(work);
            true
        })
        .await
    }

    /// Undoes an operation that failed.
    ///
    /// # Errors
    /// [`Error::Conflict`] unless it is FAILED_TEMP, [`Error::Unprocessable`] when it is none that can be undone.
    pub async fn rollback(self: &Arc<Self>, id: &VnfLcmOpOccId) -> Result<(), Error> {
        let (op_occ, instance) = self.failed(id).await?;
        self.again(op_occ, &instance, OperationState::RollingBack, machine::undo)
            .await
    }

    async fn failed(&self, id: &VnfLcmOpOccId) -> Result<(VnfLcmOpOcc, VnfInstance), Error> {
        let op_occ = self.op_occ(id).await?;
        if op_occ.operation_state != OperationState::FailedTemp {
            return Err(Error::Conflict {
                reason: format!("the operation is {}, not FAILED_TEMP", op_occ.operation_state.as_str()),
            });
        }
        let instance = self.instance(&op_occ.vnf_instance_id).await?;
        Ok((op_occ, instance))
    }

    async fn again(
        self: &Arc<Self>,
        mut op_occ: VnfLcmOpOcc,
        instance: &VnfInstance,
        state: OperationState,
        change: impl FnOnce(&mut Work) -> bool,
    ) -> Result<(), Error> {
        if op_occ.own.target.is_some() {
            let work = serde_json::from_value::<Work>(op_occ.own.work.take());
            let mut work =
                work.map_err(|error| crate::accounts::internal("reading the work of an operation", error))?;
            if !change(&mut work) {
                return Err(Error::Unprocessable {
                    reason: format!("rollback of this {} is not supported", op_occ.operation.as_str()),
                });
            }
            op_occ.own.work = serde_json::to_value(&work)
                .map_err(|error| crate::accounts::internal("keeping the work of an operation", error))?;
        }
        op_occ.own.attempt = op_occ.own.attempt.saturating_add(1);
        let (lcm, instance) = (self.clone(), instance.clone());
        // A task of its own: a client that hangs up must not come between deciding and going on.
        let deciding = async move {
            let decided = lcm.decided(&mut op_occ, &instance, state, InstanceWrite::None).await;
            if is_perhaps_written(&decided) {
                lcm.begin_soon(&op_occ);
            }
            decided
        };
        let decided = tokio::spawn(deciding.in_current_span()).await;
        decided.map_err(|error| crate::accounts::internal("deciding on an operation", error))?
    }

    /// Gives an operation up that failed. Its instance is free; a stack that is there stays known.
    ///
    /// # Errors
    /// [`Error::Conflict`] unless it is FAILED_TEMP.
    pub async fn fail(self: &Arc<Self>, id: &VnfLcmOpOccId) -> Result<VnfLcmOpOcc, Error> {
        let (mut op_occ, mut instance) = self.failed(id).await?;
        let before = instance.clone();
        let mut write = InstanceWrite::Release;
        if op_occ.own.target.is_some() {
            // What cannot be read may name a stack: it is not thrown away.
            let work = serde_json::from_value::<Work>(op_occ.own.work.take())
                .map_err(|error| crate::accounts::internal("reading the work of an operation", error))?;
            let known = admit::kept_of(&instance)?;
            // What an earlier operation has left is there until it was deleted: what comes then has another token.
            let is_still_left = known.may_have_stack() && known.token == work.stack.token;
            let is_left = instance.instantiation_state == InstantiationState::Instantiated
                || work.may_have_stack()
                || is_still_left;
            let kept = if is_left {
                Kept {
                    id: work.stack.id.clone(),
                    token: work.stack.token.clone(),
                    begun: work.begun(),
                    ..known.clone()
                }
            } else {
                Kept::default()
            };
            if kept != known {
                instance.own.stack = if is_left {
                    serde_json::to_value(&kept)
                        .map_err(|error| crate::accounts::internal("keeping the record of a stack", error))?
                } else {
                    Value::Null
                };
                // One that is instantiated stays where its connections lead: those that the operation brought go with it.
                if instance.instantiation_state == InstantiationState::NotInstantiated {
                    instance.own.target = op_occ.own.target.clone().filter(|_| is_left);
                }
                instance.own.operation = None;
                let metadata = instance
                    .instantiated_vnf_info
                    .as_mut()
                    .filter(|_| instance.instantiation_state == InstantiationState::Instantiated)
                    .and_then(|info| info.metadata.as_mut());
                if let Some(metadata) = metadata {
                    match &work.stack.id {
                        Some(id) => metadata.insert("stack_id".to_owned(), Value::from(id.as_str())),
                        None => metadata.remove("stack_id"),
                    };
                }
                write = InstanceWrite::Replace(Box::new(instance));
            }
        }
        self.decided(&mut op_occ, &before, OperationState::Failed, write)
            .await?;
        Ok(op_occ)
    }

    /// Writes what a client decided on an operation of which nothing runs.
    async fn decided(
        &self,
        op_occ: &mut VnfLcmOpOcc,
        instance: &VnfInstance,
        state: OperationState,
        write: InstanceWrite,
    ) -> Result<(), Error> {
        let moved = op_occ.enter(state, self.parts.clock.now());
        moved.map_err(|error| Error::Conflict {
            reason: error.to_string(),
        })?;
        let events = [events::entered(instance, op_occ)];
        let saved = self.parts.store.save_op_occ(None, op_occ, write, &events).await;
        op_occ.own.revision = saved.map_err(of_store("deciding on an operation"))?;
        tracing::info!(
            op_occ_id = %op_occ.id, vnf_instance_id = %op_occ.vnf_instance_id, operation = op_occ.operation.as_str(),
            state = state.as_str(), elapsed_ms = drive::elapsed_ms(op_occ), "operation entered a state"
        );
        Ok(())
    }
}
