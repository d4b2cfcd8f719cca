//! Who may use the admin interface, what they changed, and the sealed texts that a new key is to seal anew.

use async_trait::async_trait;
use vimhost_model::{AccessToken, AuditEntry, NsrId, Resource, Revision, Timestamp, TokenId};

use crate::{Error, KeyPair, Page, SealedText};

/// Which entries of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Of this one only.
    pub who: Option<String>,
    /// Of this operation only.
    pub operation: Option<String>,
}

/// The part of a store that the engine's tasks do not need.
#[async_trait]
pub trait Access {
    /// Keeps a token.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its id is taken.
    async fn add_token(&self, token: &AccessToken) -> Result<(), Error>;

    /// A token, whatever its state.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn token(&self, id: &TokenId) -> Result<Option<AccessToken>, Error>;

    /// Tokens by id, whatever their state, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn tokens(&self, after: Option<&str>, limit: usize) -> Result<Page<AccessToken>, Error>;

    /// Revokes a token; the time of the first revocation stays. Answers it as it is then.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none.
    async fn revoke_token(&self, id: &TokenId, at: Timestamp) -> Result<AccessToken, Error>;

    /// Writes an entry of the audit log, in the place of the one of its id.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn write_audit(&self, entry: &AuditEntry) -> Result<(), Error>;

    /// Entries of the audit log, newest first, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn audit(&self, filter: &AuditFilter, after: Option<&str>, limit: usize) -> Result<Page<AuditEntry>, Error>;

    /// Removes all but the newest `keep` entries of the audit log.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn trim_audit(&self, keep: usize) -> Result<(), Error>;

    /// Writes a resource (its journal excepted) on behalf of somebody who does not drive its account: a mark on a task that its driver
    /// acts on. `resource.revision` is the revision it was read at; the answer is the new one.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision or while a commit has it, [`Error::Missing`] when there is none.
    async fn mark_resource(&self, resource: &Resource) -> Result<Revision, Error>;

    /// Key pairs of services, by service, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn key_pairs(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, KeyPair)>, Error>;

    /// Puts `to` in the place of the sealed private key `from`. False when that is not there (any more), and nothing is changed.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn reseal_key_pair(&self, nsr: &NsrId, from: &SealedText, to: &SealedText) -> Result<bool, Error>;
}
