//! Removal of accounts.
//!
//! An account that is used is not removed: nobody could delete any more what is on it. Looking alone does not tell, because a request that
//! has found the account there may be accepted after the look. So the account is marked first; the store accepts nothing on one that
//! is marked or gone; then it is looked at again, and removed at the revision of the mark.
//!
//! ```text
//! look ──used──► refused          mark ──► look ──used──► mark taken away, refused
//!   └─────────not used──────────►            └──────────► removed
//! ```
//!
//! A host that dies in between leaves the mark: requests are refused with what to do about it, which is to remove the account again or
//! to edit it.

use std::sync::Arc;

use tracing::Instrument;
use vimhost_model::{Revision, TargetId};
use vimhost_store::{Store, StoredAccount};

use crate::accounts::internal;
use crate::held::{Held, held_on};
use crate::{Engine, Error};

/// Why nothing is accepted on an account that is marked.
pub(crate) fn in_the_way(target: &TargetId) -> Error {
    Error::Conflict {
        reason: format!(
            "account '{}' is being removed; where that was broken off, remove it again, or edit it to keep it",
            target.account
        ),
    }
}

impl Engine {
    /// Removes an account. Refused while elements on it are known, since nobody could delete them any more. `expected` is the revision
    /// the client saw, none for any.
    ///
    /// # Errors
    /// When there is none, it was changed meanwhile, or it is in use.
    pub async fn remove_account(&self, target: &TargetId, expected: Option<Revision>) -> Result<(), Error> {
        let account = self.stored_account(target).await?;
        let revision = expected.unwrap_or(account.revision);
        if revision != account.revision {
            return Err(Error::PreconditionFailed {
                what: format!("account '{}'", target.account),
            });
        }
        // An account in use is refused without a mark, which would refuse requests for a moment.
        refuse_if_used(&*self.store, target).await?;
        // A task of its own: a client that hangs up must not leave the mark behind.
        let removing = tokio::spawn(remove(self.store.clone(), account).in_current_span());
        removing
            .await
            .map_err(|error| internal("removing an account", error))??;
        self.forget_connector(target).await;
        Ok(())
    }
}

/// Marks, looks again, removes.
async fn remove(store: Arc<dyn Store>, mut account: StoredAccount) -> Result<(), Error> {
    let of_store = |error| Error::of_store("removing an account", error);
    let (target, read_at) = (account.target.clone(), account.revision);
    account.removing = true;
    let marked = match store.put_account(account, Some(read_at)).await {
        Ok(marked) => marked,
        Err(error) => {
            if matches!(error, vimhost_store::Error::Unavailable { .. }) {
                keep(&*store, &target, None).await;
            }
            return Err(of_store(error));
        }
    };
    let removed = match refuse_if_used(&*store, &target).await {
        Ok(()) => store.delete_account(&target, marked).await.map_err(of_store),
        Err(error) => Err(error),
    };
    if removed.is_err() {
        keep(&*store, &target, Some(marked)).await;
    }
    removed
}

/// Takes the mark away again.
async fn keep(store: &dyn Store, target: &TargetId, marked: Option<Revision>) {
    if let Err(error) = unmark(store, target, marked).await {
        tracing::warn!(
            target_id = %target, error = %error,
            "an account stays marked as being removed; remove it again, or edit it to keep it"
        );
    }
}

/// Takes the mark away, unless somebody has changed the account since: then it is theirs. `marked`: the revision of the mark, where that
/// is known.
async fn unmark(store: &dyn Store, target: &TargetId, marked: Option<Revision>) -> Result<(), vimhost_store::Error> {
    let Some(mut account) = store.account(target).await? else {
        return Ok(());
    };
    let revision = account.revision;
    if !account.removing || marked.is_some_and(|marked| marked != revision) {
        return Ok(());
    }
    account.removing = false;
    match store.put_account(account, Some(revision)).await {
        Ok(_) | Err(vimhost_store::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Refuses when anything on an account is known that could be deleted by nobody without it.
async fn refuse_if_used(store: &dyn Store, target: &TargetId) -> Result<(), Error> {
    let account = &target.account;
    let reason = match held_on(store, target).await?.first() {
        None => return Ok(()),
        Some(Held::Elements) => format!("account '{account}' still has elements; terminate the services on it first"),
        Some(Held::Tasks) => format!("account '{account}' has tasks that are not over"),
        Some(Held::Instances | Held::Operations) => {
            format!("account '{account}' still has VNF instances; terminate them first")
        }
        Some(Held::FailedOperations) => format!(
            "account '{account}' has an operation of a VNF instance that is FAILED_TEMP; roll it back, or give it up and terminate the \
             instance, first"
        ),
    };
    Err(Error::Conflict { reason })
}
