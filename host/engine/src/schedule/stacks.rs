//! What the life cycle of VNF instances shares with tasks: the right to drive an account, its connector and its bound on calls.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use vimhost_connector::{Connector, Error as CallError};
use vimhost_model::{TargetId, VnfLcmOpOccId};
use vimhost_store::Claim;

use super::Scheduler;
use super::account::{Account, Hold};
use super::announced::Calling;

/// Something for whoever drives operation occurrences.
#[derive(Debug)]
pub(crate) enum OpOccHint {
    /// This host has an account, or a hint may have been lost: what runs on it is taken up; without an account, what needs none.
    TakeUp(Option<TargetId>),
    /// Another host has changed an occurrence.
    Changed(Option<TargetId>, VnfLcmOpOccId),
}

/// The right to drive an account.
#[derive(Clone)]
pub(crate) struct Right {
    account: Arc<Account>,
    hold: Arc<Hold>,
}

impl Right {
    /// Which every write carries.
    pub(crate) fn claim(&self) -> &Claim {
        &self.hold.claim
    }

    /// Ends with the right.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.hold.over
    }

    /// Grows when there was a time in which requests were refused for want of a lease.
    pub(crate) fn lapses(&self) -> u64 {
        self.hold.lapses()
    }

    /// Waits for a turn among the account's calls. None: the right is over.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let permit = tokio::select! {
            biased;
            () = self.hold.over.cancelled() => return None,
            permit = self.account.calls.acquire() => permit.ok()?,
        };
        self.hold.good().await.then_some(permit)
    }

    /// For what a call announces.
    pub(crate) fn calling(&self) -> Arc<Calling> {
        Calling::new(&self.account.announced, self.hold.since)
    }

    /// Waits until calls may be made. False: the right is over.
    pub(crate) async fn good(&self) -> bool {
        self.hold.good().await
    }
}

impl Scheduler {
    /// This host's right to drive an account, if it has it.
    pub(crate) fn right(&self, target: &TargetId) -> Option<Right> {
        let account = self.account(target);
        let hold = account.hold()?;
        Some(Right { account, hold })
    }

    /// Somebody has operations on an account: it is claimed, unless another host drives it, which hears of them.
    pub(crate) fn needed(&self, target: &TargetId) {
        self.want_if_free(target);
    }

    /// The connector of an account.
    pub(crate) async fn connector_of(&self, right: &Right) -> Result<Arc<dyn Connector>, CallError> {
        let opened = right.account.open(&*self.store, &*self.connectors, &self.keys).await?;
        Ok(opened.connector)
    }

    /// A write was refused since another host drives the account.
    pub(crate) fn lost(self: &Arc<Self>, right: &Right) {
        self.lose(&right.account, &right.hold);
        self.want(&right.account.target);
    }

    /// Ends when nothing new is to begin.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Runs something whose end a stop waits for.
    pub(crate) fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.executor);
    }

    /// Tells whoever drives occurrences.
    pub(super) fn tell(&self, hint: OpOccHint) {
        // Nobody listens any more only when the host ends.
        let _ = self.op_occs.send(hint);
    }
}
