//! vimhost's own accounts, as far as OSM's are concerned: a trait, and the engine behind it.

use async_trait::async_trait;
use tokio::sync::broadcast;
use vimhost_engine::{AccountContent, Adopted, Engine, Error};
use vimhost_model::{AccountSource, AccountState, TargetId};
use vimhost_store::Change;

use crate::record::Outcome;

/// vimhost could not do it at the moment; nothing is wrong with the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the account cannot be kept: {reason}")]
pub struct HostError {
    /// Why.
    pub reason: String,
}

/// What became of an account that OSM has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is removed.
    Removed,
    /// There was none that OSM keeps.
    Absent,
    /// It stays for now: nobody could delete what is on it otherwise.
    InUse(String),
}

/// vimhost's accounts.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Keeps an account as OSM has it.
    ///
    /// # Errors
    /// When it cannot be kept at the moment.
    async fn adopt(&self, content: &AccountContent) -> Result<Adopted, HostError>;

    /// How the last check of an account ended; none when there is no such account.
    ///
    /// # Errors
    /// When that cannot be read.
    async fn state(&self, target: &TargetId) -> Result<Option<AccountState>, HostError>;

    /// Tries an account through its connector and keeps how that ended.
    ///
    /// # Errors
    /// When it could not be tried.
    async fn check(&self, target: &TargetId) -> Result<Outcome, HostError>;

    /// Removes an account that OSM keeps, unless something is on it.
    ///
    /// # Errors
    /// When it cannot be removed at the moment.
    async fn remove(&self, target: &TargetId) -> Result<Removal, HostError>;

    /// The accounts that OSM keeps.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn kept(&self) -> Result<Vec<TargetId>, HostError>;

    /// Hints of what changes from now on.
    fn changes(&self) -> broadcast::Receiver<Change>;
}

fn failed(error: &Error) -> HostError {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        reason.push_str(": ");
        reason.push_str(&inner.to_string());
        cause = inner.source();
    }
    HostError { reason }
}

#[async_trait]
impl Accounts for Engine {
    async fn adopt(&self, content: &AccountContent) -> Result<Adopted, HostError> {
        let adopted = self.adopt_account(content, AccountSource::Osm).await;
        adopted.map_err(|error| failed(&error))
    }

    async fn state(&self, target: &TargetId) -> Result<Option<AccountState>, HostError> {
        match self.account(target).await {
            Ok(account) => Ok(Some(account.state)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn check(&self, target: &TargetId) -> Result<Outcome, HostError> {
        match self.check_account(target).await {
            Ok(_) => Ok(Ok(())),
            Err(Error::Account { reason } | Error::Vim { reason }) => Ok(Err(reason)),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn remove(&self, target: &TargetId) -> Result<Removal, HostError> {
        let account = match self.account(target).await {
            Ok(account) if account.source == AccountSource::Osm => account,
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(Removal::Absent),
            Err(error) => return Err(failed(&error)),
        };
        match self.remove_account(target, Some(account.revision)).await {
            Ok(()) => Ok(Removal::Removed),
            Err(Error::NotFound { .. }) => Ok(Removal::Absent),
            Err(Error::Conflict { reason }) => Ok(Removal::InUse(reason)),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn kept(&self) -> Result<Vec<TargetId>, HostError> {
        let accounts = self.accounts_of(AccountSource::Osm).await;
        let accounts = accounts.map_err(|error| failed(&error))?;
        Ok(accounts.into_iter().map(|account| account.target).collect())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        Engine::changes(self)
    }
}
