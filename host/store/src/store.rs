//! The trait.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use vimhost_model::{
    ActionHeader, ActionId, Collection, HostId, Item, JournalEntry, NsrId, Record, RecordChange, RecordId, Resource,
    ResourceId, Revision, TargetId, Timestamp, VimId, VnfLcmOpOccId,
};

use crate::{ActionCommit, Committed, Error, PlanBase, SealedText, StoredAccount, TextDigest};

/// The revision of a resource that a commit has made.
pub const FIRST_REVISION: Revision = 1;

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// Where the next page starts; none on the last one.
    pub next: Option<String>,
}

/// The right to drive an account, as granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The account.
    pub target: TargetId,
    /// Grows with each change of owner; every write for the account carries it.
    pub fence: u64,
}

/// Who drives an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The account.
    pub target: TargetId,
    /// The host.
    pub host: HostId,
    /// Number of the claim.
    pub fence: u64,
    /// When it ends unless renewed.
    pub expires_at: Timestamp,
}

/// A write to the journal of a resource. Each can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalWrite {
    /// Announce an element. The same kind and token again answers the same entry, whatever became of it; one that was forgotten
    /// is back as begun, under its number, because a request follows and what it makes must be known. One that is begun is begun
    /// anew: another request of it follows, and the time is that of the last. One that is committed stays as it is.
    Begin {
        /// Kind, the connector's word.
        kind: String,
        /// Token the element carries.
        token: String,
        /// Now: when the entry is begun.
        at: Timestamp,
    },
    /// The VIM has made it.
    Commit {
        /// The entry.
        entry: u64,
        /// The element's id.
        element: VimId,
    },
    /// It does not exist. Forgetting what is forgotten is no error.
    Forget {
        /// The entry.
        entry: u64,
    },
    /// Its operation is over: it goes for good, and what was forgotten before goes with it. One that is not there is no error.
    Drop {
        /// The entry.
        entry: u64,
    },
}

impl JournalWrite {
    /// The entry it writes to; none when it announces one.
    #[must_use]
    pub fn entry(&self) -> Option<u64> {
        match self {
            Self::Begin { .. } => None,
            Self::Commit { entry, .. } | Self::Forget { entry } | Self::Drop { entry } => Some(*entry),
        }
    }
}

/// An element to be observed while idle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedElement {
    /// Its resource document.
    pub resource: ResourceId,
    /// Its id in the VIM.
    pub vim_id: VimId,
}

/// The key pair of a network service (`ro_nsrs`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    /// OpenSSH text.
    pub public_key: String,
    /// Private key in OpenSSH form, sealed.
    pub private_key: SealedText,
}

/// Something changed. A hint to look, never the truth itself: hints can be lost when a listener is slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An action was committed, or one of its tasks moved.
    Action(NsrId, ActionId),
    /// A resource was changed.
    Resource(TargetId, ResourceId),
    /// An account was added, edited or removed.
    Account(TargetId),
    /// A service was forgotten.
    Forgotten(NsrId),
    /// An action was committed that touches more resources of an account than are told one by one.
    Work(TargetId),
    /// An operation occurrence was accepted, retried, rolled back or moved, on an account or without one.
    OpOcc(Option<TargetId>, VnfLcmOpOccId),
    /// There are events that nobody has decided on.
    Events,
    /// Subscriptions were added or removed, or something is to be sent to one.
    Subscriptions,
}

/// What vimhost keeps.
#[async_trait]
pub trait Store:
    crate::Access + crate::Takeovers + crate::VnfLcm + crate::VnfPackages + crate::Subscriptions + Send + Sync + 'static
{
    // --- accounts -----------------------------------------------------------------------------------------------------

    /// Adds or replaces an account. `expected` is the revision it replaces, none for a new one.
    ///
    /// When one that is being removed ([`StoredAccount::removing`]) was written, no action that names it and no operation on it is accepted
    /// any more, and whatever was accepted is there to be found.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it exists (or not) at another revision.
    async fn put_account(&self, account: StoredAccount, expected: Option<Revision>) -> Result<Revision, Error>;

    /// An account.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn account(&self, target: &TargetId) -> Result<Option<StoredAccount>, Error>;

    /// Accounts by target, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Page<StoredAccount>, Error>;

    /// Removes an account. Its resources stay.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision, [`Error::Missing`] when there is none.
    async fn delete_account(&self, target: &TargetId, expected: Revision) -> Result<(), Error>;

    // --- leases -------------------------------------------------------------------------------------------------------

    /// Claims an account for a host until `until`. Granted when nobody holds it, when the holder's lease ended before `now`, or
    /// when the host holds it already (the fence then stays).
    ///
    /// # Errors
    /// [`Error::Fenced`] when another host holds it.
    async fn claim_account(
        &self,
        target: &TargetId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, Error>;

    /// Extends every claim of a host, and answers which they are: a claim that is not among them is over.
    ///
    /// One that ended without anybody having taken it is extended as well: nobody else has written under it.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn renew_claims(&self, host: &HostId, until: Timestamp) -> Result<Vec<Claim>, Error>;

    /// Gives a claim up. Giving up what is over is no error.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn release_claim(&self, claim: &Claim) -> Result<(), Error>;

    /// Who drives what.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn leases(&self) -> Result<Vec<Lease>, Error>;

    // --- records ------------------------------------------------------------------------------------------------------

    /// A record with its lists.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn record(&self, collection: Collection, id: &RecordId) -> Result<Option<Record>, Error>;

    /// The VNF records of a service (`nsr-id-ref`), in the order they were made.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn vnfrs_of(&self, nsr: &NsrId) -> Result<Vec<Record>, Error>;

    /// Ids and names of the service records, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn services(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, String)>, Error>;

    /// Writes a whole record, for the program that owns it. `expected` none: whatever is there.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision; [`Error::Corrupt`] when the document is no map or two items of a list have one id.
    async fn put_record(
        &self,
        collection: Collection,
        id: &RecordId,
        document: serde_json::Value,
        expected: Option<Revision>,
    ) -> Result<Revision, Error>;

    /// Several whole records at once, all or none, whatever is there.
    ///
    /// # Errors
    /// As for [`Store::put_record`].
    async fn put_records(&self, records: Vec<(Collection, RecordId, serde_json::Value)>) -> Result<(), Error>;

    /// Removes a record, for the program that owns it. True when there was one.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delete_record(&self, collection: Collection, id: &RecordId) -> Result<bool, Error>;

    // --- planning -----------------------------------------------------------------------------------------------------

    /// Planning revision of a service: 0 before its first action, one more with each commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn service_revision(&self, nsr: &NsrId) -> Result<Revision, Error>;

    /// What a plan that is made from what is read after this stands on.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn plan_base(&self, nsr: &NsrId) -> Result<PlanBase, Error> {
        Ok(PlanBase {
            revision: self.service_revision(nsr).await?,
            life: None,
        })
    }

    /// The resources that hold any task of a service, journals included.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn resources_of(&self, nsr: &NsrId) -> Result<Vec<Resource>, Error>;

    /// The resource that is shared under `common_id` on a target and to be joined ([`crate::is_shared`]).
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn shared_resource(&self, target: &TargetId, item: Item, common_id: &str) -> Result<Option<Resource>, Error>;

    /// Accepts an action. The whole of it is on disk when this answers, or nothing.
    ///
    /// Record changes whose record does not exist are left out; the rest of the commit is made. A new resource has
    /// [`FIRST_REVISION`].
    ///
    /// # Errors
    /// [`Error::Conflict`] when the service's planning revision or a resource's revision is not as expected, or when an element is to be
    /// made under a common id ([`crate::made_under`]) and another one is there to be joined that the commit does not update, or when one
    /// of its accounts is gone or being removed: plan again.
    async fn commit_action(&self, commit: ActionCommit) -> Result<Committed, Error>;

    /// An action's header.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn action(&self, nsr: &NsrId, action: &ActionId) -> Result<Option<ActionHeader>, Error>;

    /// Headers of a service's actions, or of all, newest first, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn actions(
        &self,
        nsr: Option<&NsrId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ActionHeader>, Error>;

    /// The resources that hold a task of an action, journals included.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn resources_of_action(&self, nsr: &NsrId, action: &ActionId) -> Result<Vec<Resource>, Error>;

    /// Drops a service's tasks, headers, key pair and planning revision. A resource that holds nothing of anybody else is dropped
    /// whole, unless it may still exist in the VIM or has open tasks: then it stays, so that nothing is orphaned silently.
    /// True when there was anything.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn forget_service(&self, nsr: &NsrId) -> Result<bool, Error>;

    /// A large text.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn text(&self, digest: &TextDigest) -> Result<Option<String>, Error>;

    /// The service's key pair, if one was made.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn key_pair(&self, nsr: &NsrId) -> Result<Option<KeyPair>, Error>;

    /// Keeps a key pair, unless the service has one; answers the one that is kept.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn keep_key_pair(&self, nsr: &NsrId, pair: KeyPair) -> Result<KeyPair, Error>;

    // --- execution ----------------------------------------------------------------------------------------------------

    /// A resource with its journal.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn resource(&self, id: &ResourceId) -> Result<Option<Resource>, Error>;

    /// Resources of a target with open tasks or an observation due, by id, from after `after`: what a host takes up at start.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn unsettled(&self, target: &TargetId, after: Option<&str>, limit: usize) -> Result<Page<Resource>, Error>;

    /// Targets that have unsettled resources.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn targets_with_work(&self) -> Result<Vec<TargetId>, Error>;

    /// Writes a resource (its journal excepted) together with the record fields that show its state and what else is to be
    /// written to its journal: all or nothing. `resource.revision` is the revision it was decided on; the answer is the new
    /// one. An entry of the journal that is not there is no error.
    ///
    /// # Errors
    /// [`Error::Conflict`] at another revision, [`Error::Missing`] when it was dropped, [`Error::Fenced`] when the claim is over.
    async fn save_resource(
        &self,
        claim: &Claim,
        resource: &Resource,
        record_changes: &[RecordChange],
        journal: &[JournalWrite],
    ) -> Result<Revision, Error>;

    /// Writes to the journal of a resource, in this order, all or nothing; does not change its revision. Answers the entry that the
    /// last one writes to as it stands; a forgotten one as it was, none where it is dropped or nothing is written.
    ///
    /// # Errors
    /// [`Error::Missing`] for an unknown resource or entry, [`Error::Fenced`] when the claim is over.
    async fn write_journal(
        &self,
        claim: &Claim,
        resource: &ResourceId,
        writes: &[JournalWrite],
    ) -> Result<Option<JournalEntry>, Error>;

    /// The journal of a resource, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn journal(&self, resource: &ResourceId) -> Result<Vec<JournalEntry>, Error>;

    /// Live elements of a kind on a target: those with a `vim_id` and a CREATE that is DONE, by resource id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn elements(
        &self,
        target: &TargetId,
        item: Item,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ObservedElement>, Error>;

    /// Whether anything of ours on a target may exist in the VIM, made or only announced, by what each resource was when it was
    /// saved last. What has open tasks is told by [`Store::unsettled`].
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn holds_elements(&self, target: &TargetId) -> Result<bool, Error>;

    /// Resources that were made with this one and may still exist: those that must go first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn users_of(&self, id: &ResourceId) -> Result<Vec<ResourceId>, Error>;

    /// Hints of what changes from now on, whoever changes it.
    fn changes(&self) -> tokio::sync::broadcast::Receiver<Change>;

    /// Hints of what other hosts change from now on. Never any where one host has the store.
    fn changes_of_others(&self) -> tokio::sync::broadcast::Receiver<Change>;

    /// The letters that begin every token of this installation, five of `a` to `z`: drawn when the store was made, never changed,
    /// so that two installations on one VIM can tell what is whose.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn installation(&self) -> Result<String, Error>;

    /// Whether the store can be written, for the readiness probe.
    ///
    /// # Errors
    /// When it cannot.
    async fn ping(&self) -> Result<(), Error>;
}
