//! Does what the machine asks for: one task for each operation that runs, nothing for those that do not.
//!
//! What must always hold:
//! * What was decided is on disk before it is acted on; the last state and the release of the instance are one write.
//! * Nothing is called or observed for an account that this host does not hold. Whoever gains it takes up what runs on it.
//! * While an operation runs only its driver writes its document, its calls' journal included.

mod modify;
mod refused;
mod set_aside;
mod told;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::Instrument as _;
use vimhost_connector::{Call, operation_token};
use vimhost_model::vnf::{
    ChangeCurrentVnfPkgRequest, LcmEvent, LcmOperation, OperationState, ProblemDetails, VnfInstance, VnfLcmOpOcc,
    VnfPackage,
};
use vimhost_model::{Revision, TargetId, VnfLcmOpOccId};
use vimhost_store::{Error as StoreError, InstanceWrite};

use super::call::make;
use super::finish::{self, Ended};
use super::journal::{Document, OpOccJournal};
use super::machine::{self, Around, Event, Request, Todo};
use super::plan::{self, Given};
use super::poll::Watch;
use super::work::{StackNow, Work};
use super::{Lcm, events, lock};
use crate::schedule::{Calling, OpOccHint, Right};
use told::{Cause, announce, not_begun};

/// How long a write waits before it is tried again when the store is away; doubled up to [`STORE_PAUSE_CAP`].
const STORE_PAUSE: Duration = Duration::from_millis(50);
const STORE_PAUSE_CAP: Duration = Duration::from_secs(2);

/// Operations that are read at once.
const PAGE: usize = 200;

/// Why the work on an operation ends here.
enum Over {
    /// It is over, or a client decides.
    Settled,
    /// Another host has the account, or nobody yet.
    Elsewhere,
    /// It was changed by somebody else: from what is stored.
    Again,
    /// The store will never take what was to be written; why.
    Refused(String),
    /// It cannot be gone on with; why.
    SetAside(String),
    /// The host stops.
    Stopping,
}

/// What a driver has in hand.
struct Hand {
    instance: VnfInstance,
    package: VnfPackage,
    document: Arc<Mutex<Document>>,
    right: Right,
    target: TargetId,
}

impl Lcm {
    /// Hears what is to be taken up, until the host ends.
    pub(super) async fn hear(self: Arc<Self>, mut hints: tokio::sync::mpsc::UnboundedReceiver<OpOccHint>) {
        self.clone().take_up(None).await;
        let stopping = self.parts.schedule.stopping().clone();
        loop {
            let hint = tokio::select! {
                () = stopping.cancelled() => return,
                hint = hints.recv() => hint,
            };
            match hint {
                Some(OpOccHint::TakeUp(target)) => self.clone().take_up(target).await,
                // Without an account it is done by whoever accepted it; by others when it is left over at their next look around.
                Some(OpOccHint::Changed(None, _)) => {}
                Some(OpOccHint::Changed(Some(target), id)) => {
                    if self.parts.schedule.right(&target).is_some() {
                        self.wake(&id);
                    }
                }
                None => return,
            }
        }
    }

    /// Wakes what runs on an account, or without one.
    async fn take_up(self: Arc<Self>, target: Option<TargetId>) {
        let mut after: Option<String> = None;
        let mut pause = STORE_PAUSE;
        loop {
            let page = self
                .parts
                .store
                .running_op_occs(target.as_ref(), after.as_deref(), PAGE);
            match page.await {
                Ok(page) => {
                    page.entries.iter().for_each(|id| self.wake(id));
                    after = page.next;
                    if after.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    if self
                        .store_failed("reading operations", &error, &mut pause)
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
    }

    /// Somebody is to look at an operation.
    pub(super) fn wake(self: &Arc<Self>, id: &VnfLcmOpOccId) {
        if self.parts.schedule.stopping().is_cancelled() {
            return;
        }
        let mut live = lock(&self.live);
        if let Some(again) = live.get_mut(id) {
            *again = true;
            return;
        }
        live.insert(id.clone(), false);
        drop(live);
        self.parts.schedule.run(self.clone().drive(id.clone()));
    }

    /// Works on an operation until nothing is left to do for it.
    async fn drive(self: Arc<Self>, id: VnfLcmOpOccId) {
        loop {
            let over = match Box::pin(self.work_on(&id)).await {
                Ok(()) => Over::Settled,
                Err(over) => over,
            };
            if matches!(over, Over::Again) {
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
            if let Over::SetAside(reason) = &over {
                self.leave_aside(&id, reason);
            }
            let mut live = lock(&self.live);
            let again = live.get_mut(&id).is_some_and(std::mem::take);
            if !again || matches!(over, Over::Stopping) {
                live.remove(&id);
                return;
            }
        }
    }

    async fn work_on(self: &Arc<Self>, id: &VnfLcmOpOccId) -> Result<(), Over> {
        let Some(op_occ) = self
            .read("reading an operation", || self.parts.store.op_occ(id))
            .await?
        else {
            return Err(Over::Settled);
        };
        if !op_occ.operation_state.is_running() {
            return Ok(());
        }
        let of = &op_occ.vnf_instance_id;
        let instance = self
            .read("reading an instance", || self.parts.store.vnf_instance(of))
            .await?;
        let Some(instance) = instance else {
            return Err(Over::SetAside(format!("its instance {of} is missing")));
        };
        let span = tracing::info_span!(
            parent: None, "lcm_op", op_occ_id = %id, vnf_instance_id = %of, vnfd_id = %instance.vnfd_id,
            operation = op_occ.operation.as_str(), attempt = op_occ.own.attempt,
            state = tracing::field::Empty, elapsed_ms = tracing::field::Empty
        );
        match Box::pin(self.begin(op_occ, instance)).instrument(span.clone()).await {
            Err(Over::Refused(reason)) => Box::pin(self.end_refused(id, &reason)).instrument(span).await,
            ended => ended,
        }
    }

    async fn begin(self: &Arc<Self>, op_occ: VnfLcmOpOcc, instance: VnfInstance) -> Result<(), Over> {
        let Some(target) = op_occ.own.target.clone() else {
            return self.modify_now(op_occ, instance).await;
        };
        let Some(right) = self.parts.schedule.right(&target) else {
            self.parts.schedule.needed(&target);
            return Err(Over::Elsewhere);
        };
        let package = self.package_for(&op_occ, &instance).await?;
        let (op_occ, work) = if op_occ.operation_state == OperationState::Starting {
            self.plan_now(op_occ, &instance, package.as_ref(), &right).await?
        } else {
            match serde_json::from_value::<Work>(op_occ.own.work.clone()) {
                Ok(work) => (op_occ, work),
                Err(error) => return Err(Over::SetAside(format!("reading its work: {error}"))),
            }
        };
        let Some(package) = package else {
            // Not left running: a client can roll it back to the package of the instance, which is in use and stays.
            let problem = ProblemDetails::new(422, "the package of the operation does not exist any more");
            return self
                .fail_now(op_occ, &instance, Some(&right), problem, Cause::Conflict)
                .await;
        };
        let hand = Hand {
            instance,
            package,
            document: Arc::new(Mutex::new(Document { op_occ, work })),
            right,
            target,
        };
        self.steps(hand).await
    }

    /// The package that an operation needs: that of the instance, or the one a change brings.
    async fn package_for(
        self: &Arc<Self>,
        op_occ: &VnfLcmOpOcc,
        instance: &VnfInstance,
    ) -> Result<Option<VnfPackage>, Over> {
        let params = op_occ.operation_params.clone().unwrap_or_default();
        let changed = (op_occ.operation == LcmOperation::ChangeVnfpkg)
            .then(|| serde_json::from_value::<ChangeCurrentVnfPkgRequest>(params).ok())
            .flatten();
        // A change that is undone is undone to the package of the instance.
        let changed = changed.filter(|_| op_occ.operation_state != OperationState::RollingBack);
        match changed {
            Some(request) => {
                let read = || self.parts.store.vnf_package_of(&request.vnfd_id);
                let package = self.read("reading a package", read).await?;
                // Whoever deletes a package disables it first and looks for operations then: either this one is found, or it is seen here that
                // the package is not enabled any more. What has begun keeps it.
                let begins = op_occ.operation_state == OperationState::Starting;
                Ok(package.filter(|package| !begins || package.is_usable()))
            }
            None => self.own_package(instance).await,
        }
    }

    async fn own_package(self: &Arc<Self>, instance: &VnfInstance) -> Result<Option<VnfPackage>, Over> {
        let read = || self.parts.store.vnf_package(&instance.own.package);
        self.read("reading a package", read).await
    }

    /// STARTING: makes the plan. The grant is the host's own.
    async fn plan_now(
        self: &Arc<Self>,
        mut op_occ: VnfLcmOpOcc,
        instance: &VnfInstance,
        package: Option<&VnfPackage>,
        right: &Right,
    ) -> Result<(VnfLcmOpOcc, Work), Over> {
        let own;
        let before = if op_occ.operation == LcmOperation::ChangeVnfpkg {
            own = self.own_package(instance).await?;
            own.as_ref()
        } else {
            package
        };
        let vnfd = package.and_then(|package| package.vnfd.as_ref());
        let vnfd_before = before.and_then(|package| package.vnfd.as_ref());
        let planned = match vnfd.zip(vnfd_before) {
            Some((vnfd, vnfd_before)) => plan::plan(Given {
                op_occ: &op_occ,
                instance,
                vnfd,
                vnfd_before,
                installation: &self.parts.installation,
            }),
            None => Err(ProblemDetails::new(
                422,
                "the package of the VNFD does not exist any more, or is not enabled",
            )),
        };
        let now = self.parts.clock.now();
        match planned {
            Ok(work) => {
                self.entered(op_occ.enter(OperationState::Processing, now));
                let document = Document { op_occ, work };
                let mut op_occ = self.written(&document)?;
                let events = [events::entered(instance, &op_occ)];
                op_occ.own.revision = self.save(Some(right), &op_occ, InstanceWrite::None, &events).await?;
                announce(&op_occ, None);
                Ok((op_occ, document.work))
            }
            Err(problem) => {
                self.entered(op_occ.enter(OperationState::RolledBack, now));
                op_occ.error = Some(problem);
                let events = [events::entered(instance, &op_occ)];
                self.save(Some(right), &op_occ, InstanceWrite::Release, &events).await?;
                if let Some(problem) = &op_occ.error {
                    not_begun(problem, Cause::Schema);
                }
                announce(&op_occ, None);
                Err(Over::Settled)
            }
        }
    }

    /// FAILED_TEMP for want of what a step would need: a client decides.
    async fn fail_now(
        self: &Arc<Self>,
        mut op_occ: VnfLcmOpOcc,
        instance: &VnfInstance,
        right: Option<&Right>,
        problem: ProblemDetails,
        cause: Cause,
    ) -> Result<(), Over> {
        self.entered(op_occ.enter(OperationState::FailedTemp, self.parts.clock.now()));
        op_occ.error = Some(problem);
        let events = [events::entered(instance, &op_occ)];
        self.save(right, &op_occ, InstanceWrite::None, &events).await?;
        announce(&op_occ, Some(cause));
        Ok(())
    }

    /// Does the steps of a plan.
    async fn steps(self: &Arc<Self>, hand: Hand) -> Result<(), Over> {
        let mut event = Event::Go;
        let mut watch: Option<Watch> = None;
        let op_occ_id = {
            let mut document = hand.document.lock().await;
            machine::taken_up(&mut document.work, self.parts.clock.now());
            document.op_occ.id.clone()
        };
        loop {
            let around = Around {
                now: self.parts.clock.now(),
                timeout_minutes: self.timeout_minutes(),
                rollback_on_failure: self.config.rollback_on_failure,
                installation: &self.parts.installation,
                op_occ: &op_occ_id,
            };
            let cause = Cause::of(&event);
            let todo = {
                let mut document = hand.document.lock().await;
                let before = document.work.clone();
                let todo = machine::apply(&mut document.work, event, &around);
                if !matches!(todo, Todo::Observe(..)) {
                    // Before anything is written, which may take longer than the pause to the next look: nobody needs that one.
                    watch = None;
                }
                if document.work != before && !matches!(todo, Todo::Done(_) | Todo::Failed(_)) {
                    let op_occ = self.written(&document)?;
                    let revision = self.save(Some(&hand.right), &op_occ, InstanceWrite::None, &[]).await?;
                    document.op_occ = op_occ;
                    document.op_occ.own.revision = revision;
                }
                todo
            };
            let is_over = matches!(todo, Todo::Done(_) | Todo::Failed(_));
            if !is_over && hand.right.over().is_cancelled() {
                return self.given_up(&hand);
            }
            event = match todo {
                Todo::Call(request) => match self.call(&hand, request).await {
                    Some(event) => event,
                    None => return self.given_up(&hand),
                },
                Todo::Rest(until) => tokio::select! {
                    () = hand.right.over().cancelled() => return self.given_up(&hand),
                    () = tokio::time::sleep(until.since(self.parts.clock.now())) => Event::Go,
                },
                Todo::Observe(stack, until) => {
                    let same = watch.take().filter(|watch| watch.is_of(&stack));
                    let mut sights = same.unwrap_or_else(|| {
                        let schedule = &self.parts.schedule;
                        self.pollers
                            .watch(schedule, &hand.right, &hand.target, &op_occ_id, stack)
                    });
                    let sight = tokio::select! {
                        () = hand.right.over().cancelled() => return self.given_up(&hand),
                        sight = sights.next() => sight,
                        () = tokio::time::sleep(until.since(self.parts.clock.now())) => None,
                    };
                    match sight {
                        Some(sight) => {
                            watch = Some(sights);
                            Event::Seen(sight)
                        }
                        // The poller has ended, or the time is over.
                        None => Event::Go,
                    }
                }
                Todo::Done(resources) => return self.end(&hand, Ended::Done(resources), None).await,
                Todo::Failed(problem) => return self.end(&hand, Ended::Failed(problem), Some(cause)).await,
            };
        }
    }

    fn given_up(&self, hand: &Hand) -> Result<(), Over> {
        if self.parts.schedule.stopping().is_cancelled() {
            return Err(Over::Stopping);
        }
        self.parts.schedule.needed(&hand.target);
        Err(Over::Elsewhere)
    }

    /// The last write of a run.
    async fn end(self: &Arc<Self>, hand: &Hand, ended: Ended, cause: Option<Cause>) -> Result<(), Over> {
        let document = hand.document.lock().await;
        let account = self
            .read("reading an account", || self.parts.store.account(&hand.target))
            .await?;
        let tenant = account.and_then(|account| account.tenant);
        let (op_occ, write) = finish::ended(finish::Run {
            document: &document,
            instance: &hand.instance,
            package: &hand.package,
            target: &hand.target,
            tenant: tenant.as_deref(),
            now: self.parts.clock.now(),
            ended,
        })
        .map_err(|error| Over::SetAside(format!("ending it: {error}")))?;
        let events = [events::entered(&hand.instance, &op_occ)];
        self.save(Some(&hand.right), &op_occ, write, &events).await?;
        announce(&op_occ, cause);
        Ok(())
    }

    /// Makes a call. None: the right to do so is over.
    async fn call(self: &Arc<Self>, hand: &Hand, request: Request) -> Option<Event> {
        let connector = match self.parts.schedule.connector_of(&hand.right).await {
            Ok(connector) => connector,
            Err(error) => return Some(Event::Answered(Err(error))),
        };
        let turn = hand.right.turn().await?;
        let lapses = hand.right.lapses();
        let calling = hand.right.calling();
        let call = self.surroundings(hand, calling.clone()).await;
        tracing::debug!(token = call.token, attempt = call.attempt, "stack call");
        let until_over = calling.until_over();
        let answer = make(&*connector, call, request).await;
        drop(until_over);
        drop(turn);
        tracing::debug!(?answer, "stack answer");
        if answer.is_err() && hand.right.lapses() != lapses {
            // Refused for want of a lease, which says nothing about the VIM: once more.
            return Some(Event::Go);
        }
        Some(Event::Answered(answer))
    }

    async fn surroundings(&self, hand: &Hand, calling: Arc<Calling>) -> Call {
        let document = hand.document.lock().await;
        let (op_occ, work) = (&document.op_occ, &document.work);
        let way = match op_occ.operation_state {
            OperationState::RollingBack => 'r',
            OperationState::Starting
            | OperationState::Processing
            | OperationState::Completed
            | OperationState::FailedTemp
            | OperationState::Failed
            | OperationState::RolledBack => 'p',
        };
        // A digest, because a token is at most 60 characters.
        let step = format!("{}:{way}:{}:{}", op_occ.id, op_occ.own.attempt, work.at);
        let letters: String = Sha256::digest(step)
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let StackNow { token, .. } = &work.stack;
        let now = self.parts.clock.now();
        Call {
            operation: Some(operation_token(token, &letters)),
            token: token.clone(),
            attempt: work.failed,
            state: work.state.clone(),
            entries: calling.dated(work.journal.iter(), token, now),
            now,
            journal: Arc::new(OpOccJournal {
                store: self.parts.store.clone(),
                claim: hand.right.claim().clone(),
                clock: self.parts.clock.clone(),
                document: hand.document.clone(),
                calling,
            }),
        }
    }

    fn written(&self, document: &Document) -> Result<VnfLcmOpOcc, Over> {
        document.to_write().map_err(|error| {
            tracing::error!(error = %error, "the work of an operation cannot be written; it is left as it is");
            Over::Settled
        })
    }

    /// A move that the table does not have is a fault of this program; what is stored then says so.
    fn entered(&self, moved: Result<(), vimhost_model::vnf::IllegalStateMove>) {
        if let Err(error) = moved {
            tracing::error!(error = %error, "an operation was to make an illegal move");
        }
    }

    async fn save(
        self: &Arc<Self>,
        right: Option<&Right>,
        op_occ: &VnfLcmOpOcc,
        instance: InstanceWrite,
        events: &[LcmEvent],
    ) -> Result<Revision, Over> {
        let mut pause = STORE_PAUSE;
        loop {
            let claim = right.map(Right::claim);
            match self
                .parts
                .store
                .save_op_occ(claim, op_occ, instance.clone(), events)
                .await
            {
                Ok(revision) => return Ok(revision),
                Err(StoreError::Conflict { .. }) => return Err(Over::Again),
                Err(StoreError::Missing { .. }) => return Err(Over::Settled),
                Err(StoreError::Fenced { .. }) => {
                    if let Some(right) = right {
                        self.parts.schedule.lost(right);
                    }
                    return Err(Over::Elsewhere);
                }
                // The same again would be refused again.
                Err(error @ StoreError::Corrupt { .. }) => return Err(Over::Refused(error.to_string())),
                Err(error @ StoreError::Unavailable { .. }) => {
                    self.store_failed("writing an operation", &error, &mut pause).await?;
                }
            }
        }
    }

    async fn read<T, F>(&self, doing: &str, read: impl Fn() -> F) -> Result<T, Over>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = STORE_PAUSE;
        loop {
            match read().await {
                Ok(read) => return Ok(read),
                // The same would be read again.
                Err(error @ StoreError::Corrupt { .. }) => return Err(Over::SetAside(format!("{doing}: {error}"))),
                Err(error) => self.store_failed(doing, &error, &mut pause).await?,
            }
        }
    }

    async fn store_failed(&self, doing: &str, error: &StoreError, pause: &mut Duration) -> Result<(), Over> {
        tracing::warn!(error = %error, doing, "the store did not answer as it should; operations wait");
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = self.parts.schedule.stopping().cancelled() => return Err(Over::Stopping),
        }
        *pause = pause.saturating_mul(2).min(STORE_PAUSE_CAP);
        Ok(())
    }
}

/// From when it was accepted until it entered its state.
pub(super) fn elapsed_ms(op_occ: &VnfLcmOpOcc) -> u64 {
    let elapsed = op_occ.state_entered_time.since(op_occ.start_time);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
