//! Serves key injections: opens what lets in, and has the injector do the rest.
//!
//! They take no part in what bounds an account's calls: a VM that does not answer says nothing about its VIM, and its VIM's work is not to
//! wait for it. A bound of their own keeps a service of a thousand VMs that boot from opening a thousand connections.

use vimhost_connector::{InjectionError, KeyInjection};
use vimhost_model::{NsrId, ResourceId, Secret, TaskId};

use super::account::Hold;
use super::{Scheduler, lock};
use crate::keys;
use crate::machine::{Answer, InjectRequest};

/// Logins on VMs at the same time. Each costs a socket and a millisecond of computing, and mostly waits: with 128, a thousand
/// VMs that do not answer for ten seconds are through in eighty, well within LCM's ten minutes.
pub(super) const LOGINS_AT_ONCE: usize = 128;

/// What came of an injection.
pub(super) enum Served {
    /// It was tried.
    Answered(Answer),
    /// Somebody has changed the document while it waited for its turn.
    Changed,
}

impl Scheduler {
    /// Lets a key in. None when the host stops first or loses the account: whoever drives it next tries again.
    pub(super) async fn inject(
        &self,
        hold: &Hold,
        resource: &ResourceId,
        task: &TaskId,
        request: InjectRequest,
    ) -> Option<Served> {
        let serving = async {
            let _turn = self.logins.acquire().await.ok()?;
            if lock(&self.state).take_change(resource) {
                return Some(Served::Changed);
            }
            tracing::debug!(task_id = %task, %resource, address = %request.address, "key injection");
            let answer = self.try_to_inject(request).await;
            match &answer {
                Ok(()) => tracing::debug!(task_id = %task, %resource, "key let in"),
                Err(error) => tracing::debug!(task_id = %task, %resource, %error, "key not let in"),
            }
            Some(Served::Answered(Answer::Injected(answer)))
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => None,
            () = hold.over.cancelled() => None,
            served = serving => served,
        }
    }

    async fn try_to_inject(&self, request: InjectRequest) -> Result<(), InjectionError> {
        let private_key = self.private_key(&request.nsr_id).await?;
        let password = self.password(&request)?;
        if private_key.is_none() && password.is_none() {
            let why = "the service has no key pair, and the request no password";
            return Err(InjectionError::Lasting(why.to_owned()));
        }
        let injection = KeyInjection {
            address: request.address,
            user: request.user,
            public_key: request.key,
            private_key,
            password,
        };
        self.injector.inject(&injection).await
    }

    /// The private half of the service's key pair, if it has one.
    async fn private_key(&self, nsr: &NsrId) -> Result<Option<Secret>, InjectionError> {
        let pair = self.store.key_pair(nsr).await;
        let away = |error| InjectionError::Passing(format!("the service's key pair cannot be read: {error}"));
        let Some(pair) = pair.map_err(away)? else {
            return Ok(None);
        };
        let opened = self.keys.open(&pair.private_key, &keys::seal_context(nsr));
        let shut = |error| InjectionError::Lasting(format!("the service's private key cannot be opened: {error}"));
        opened.map(Some).map_err(shut)
    }

    fn password(&self, request: &InjectRequest) -> Result<Option<Secret>, InjectionError> {
        let Some(sealed) = &request.password else {
            return Ok(None);
        };
        let context = keys::password_context(&request.nsr_id, &request.action_id);
        // Its key may have been rotated out meanwhile: rotation knows accounts and key pairs only, since a task needs its for minutes.
        let shut = |error| InjectionError::Lasting(format!("the password cannot be opened; ask again: {error}"));
        self.keys.open(sealed, &context).map(Some).map_err(shut)
    }
}
