//! The trait on the two queues: prepare on the caller's side, hand over, wait.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::broadcast;
use vimhost_model::{
    ActionHeader, ActionId, Collection, HostId, Item, JournalEntry, NsrId, Record, RecordChange, RecordId, Resource,
    ResourceId, Revision, TargetId, Timestamp,
};
use vimhost_store::{
    ActionCommit, Change, Claim, Committed, Error, JournalWrite, KeyPair, Lease, LeftOut, ObservedElement, Page, Store,
    StoredAccount, TextDigest,
};

use crate::actions::{Basis, PreparedCommit};
use crate::connection::{first, run};
use crate::fault::{Outcome, encode};
use crate::lock::{self, FileLock};
use crate::open::{self, OpenError, Options};
use crate::reader::Readers;
use crate::records::Parts;
use crate::resources::Prepared;
use crate::stats::{Counters, Stats};
use crate::writer::{Done, Writer};
use crate::{accounts, actions, forget, journal, leases, records, resources, sql};

/// Hints a slow listener may lag behind before it loses some.
const HINTS: usize = 4096;

/// What an operation without documents weighs in a batch: its row and its share of an index page.
pub(crate) const SMALL: usize = 256;

/// The embedded store. Dropping it finishes what is queued and lets the file go.
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
    hints: broadcast::Sender<Change>,
    others: broadcast::Sender<Change>,
    counters: Arc<Counters>,
    left_out: Arc<LeftOut>,
    // Last, so that it is let go after both kinds of threads have ended.
    _lock: FileLock,
}

impl SqliteStore {
    /// Opens a file, which is made when it does not exist. Blocks while the schema is brought up to date.
    ///
    /// # Errors
    /// When another process has it, when it is no store or a newer one, or when the file system or SQLite refuses.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let lock = lock::take(path)?;
        let connections = open::connections(path, options)?;
        let counters = Arc::new(Counters::default());
        let (hints, _) = broadcast::channel(HINTS);
        let writer = Writer::start(connections.writing, path, options, Arc::clone(&counters), hints.clone())?;
        let readers = Readers::start(connections.reading, Arc::clone(&counters))?;
        Ok(Self {
            readers,
            writer,
            hints,
            others: broadcast::channel(1).0,
            counters,
            left_out: Arc::default(),
            _lock: lock,
        })
    }

    /// What it has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    {
        self.readers.read(work).await
    }

    pub(crate) async fn write<T, F>(&self, bytes: usize, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Outcome<Done<T>> + Send + 'static,
    {
        self.writer.write(bytes, work).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_account(&self, account: StoredAccount, expected: Option<Revision>) -> Result<Revision, Error> {
        let document = encode("an account", &account)?;
        self.write(document.len(), move |connection| {
            Ok(Done {
                answer: accounts::put(connection, &account.target, &document, expected)?,
                hints: vec![Change::Account(account.target)],
            })
        })
        .await
    }

    async fn account(&self, target: &TargetId) -> Result<Option<StoredAccount>, Error> {
        let target = target.to_string();
        self.read(move |connection| accounts::get(connection, &target)).await
    }

    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Page<StoredAccount>, Error> {
        let after = after.map(str::to_owned);
        self.read(move |connection| accounts::page(connection, after.as_deref(), limit))
            .await
    }

    async fn delete_account(&self, target: &TargetId, expected: Revision) -> Result<(), Error> {
        let target = target.clone();
        self.write(SMALL, move |connection| {
            accounts::delete(connection, &target.to_string(), expected)?;
            Ok(Done {
                answer: (),
                hints: vec![Change::Account(target)],
            })
        })
        .await
    }

    async fn claim_account(
        &self,
        target: &TargetId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, Error> {
        let (target, host) = (target.clone(), host.clone());
        self.write(SMALL, move |connection| {
            leases::claim(connection, &target, &host, now, until).map(Done::quietly)
        })
        .await
    }

    async fn renew_claims(&self, host: &HostId, until: Timestamp) -> Result<Vec<Claim>, Error> {
        let host = host.clone();
        self.write(SMALL, move |connection| {
            leases::renew(connection, &host, until).map(Done::quietly)
        })
        .await
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), Error> {
        let claim = claim.clone();
        self.write(SMALL, move |connection| {
            leases::release(connection, &claim).map(Done::quietly)
        })
        .await
    }

    async fn leases(&self) -> Result<Vec<Lease>, Error> {
        self.read(leases::list).await
    }

    async fn record(&self, collection: Collection, id: &RecordId) -> Result<Option<Record>, Error> {
        let id = id.clone();
        self.read(move |connection| records::get(connection, collection, &id))
            .await
    }

    async fn vnfrs_of(&self, nsr: &NsrId) -> Result<Vec<Record>, Error> {
        let nsr = nsr.clone();
        self.read(move |connection| records::vnfrs_of(connection, nsr.as_str()))
            .await
    }

    async fn services(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, String)>, Error> {
        let after = after.map(str::to_owned);
        self.read(move |connection| records::services(connection, after.as_deref(), limit))
            .await
    }

    async fn put_record(
        &self,
        collection: Collection,
        id: &RecordId,
        document: serde_json::Value,
        expected: Option<Revision>,
    ) -> Result<Revision, Error> {
        let id = id.clone();
        let parts = Parts::of(collection, &id, document)?;
        self.write(parts.bytes(), move |connection| {
            records::put(connection, collection, &id, &parts, expected).map(Done::quietly)
        })
        .await
    }

    async fn put_records(&self, records: Vec<(Collection, RecordId, serde_json::Value)>) -> Result<(), Error> {
        let parts = records
            .into_iter()
            .map(|(collection, id, document)| {
                let parts = Parts::of(collection, &id, document)?;
                Ok((collection, id, parts))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let bytes = parts.iter().map(|(_, _, parts)| parts.bytes()).sum();
        self.write(bytes, move |connection| {
            for (collection, id, parts) in &parts {
                records::put(connection, *collection, id, parts, None)?;
            }
            Ok(Done::quietly(()))
        })
        .await
    }

    async fn delete_record(&self, collection: Collection, id: &RecordId) -> Result<bool, Error> {
        let id = id.clone();
        self.write(SMALL, move |connection| {
            records::delete(connection, collection, &id).map(Done::quietly)
        })
        .await
    }

    async fn service_revision(&self, nsr: &NsrId) -> Result<Revision, Error> {
        let nsr = nsr.clone();
        self.read(move |connection| actions::service_revision(connection, nsr.as_str()))
            .await
    }

    async fn resources_of(&self, nsr: &NsrId) -> Result<Vec<Resource>, Error> {
        let nsr = nsr.clone();
        self.read(move |connection| resources::of_service(connection, nsr.as_str()))
            .await
    }

    async fn shared_resource(&self, target: &TargetId, item: Item, common_id: &str) -> Result<Option<Resource>, Error> {
        let (target, common_id) = (target.to_string(), common_id.to_owned());
        self.read(move |connection| resources::shared(connection, &target, item, &common_id))
            .await
    }

    async fn commit_action(&self, commit: ActionCommit) -> Result<Committed, Error> {
        let basis = if commit.updates.is_empty() {
            Vec::new()
        } else {
            let (header, updates) = (commit.header.clone(), commit.updates.clone());
            let basis = self.read(move |connection| actions::basis(connection, &header, &updates));
            match basis.await? {
                Basis::Exists(header) => return Ok(Committed::Exists(header)),
                Basis::Resources(resources) => resources,
            }
        };
        let (nsr, action) = (commit.header.nsr_id.clone(), commit.header.id.clone());
        let hints = {
            let new = commit
                .new_resources
                .iter()
                .map(|new| (new.target.clone(), new.id.clone()));
            let updated = basis.iter().map(|old| (old.target.clone(), old.id.clone()));
            let resources = new.chain(updated).map(|(target, id)| Change::Resource(target, id));
            std::iter::once(Change::Action(nsr, action)).chain(resources).collect()
        };
        let commit = PreparedCommit::of(commit, basis)?;
        let left_out = Arc::clone(&self.left_out);
        self.write(commit.bytes(), move |connection| {
            let answer = actions::commit(connection, &commit, &left_out)?;
            let hints = match &answer {
                Committed::Accepted => hints,
                Committed::Exists(_) => Vec::new(),
            };
            Ok(Done { answer, hints })
        })
        .await
    }

    async fn action(&self, nsr: &NsrId, action: &ActionId) -> Result<Option<ActionHeader>, Error> {
        let (nsr, action) = (nsr.clone(), action.clone());
        self.read(move |connection| actions::get(connection, nsr.as_str(), action.as_str()))
            .await
    }

    async fn actions(
        &self,
        nsr: Option<&NsrId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ActionHeader>, Error> {
        let (nsr, after) = (nsr.cloned(), after.map(str::to_owned));
        self.read(move |connection| actions::page(connection, nsr.as_ref(), after.as_deref(), limit))
            .await
    }

    async fn resources_of_action(&self, nsr: &NsrId, action: &ActionId) -> Result<Vec<Resource>, Error> {
        let (nsr, action) = (nsr.clone(), action.clone());
        self.read(move |connection| resources::of_action(connection, nsr.as_str(), action.as_str()))
            .await
    }

    async fn forget_service(&self, nsr: &NsrId) -> Result<bool, Error> {
        let nsr = nsr.clone();
        self.write(SMALL, move |connection| {
            let (answer, hints) = forget::service(connection, &nsr)?;
            Ok(Done { answer, hints })
        })
        .await
    }

    async fn text(&self, digest: &TextDigest) -> Result<Option<String>, Error> {
        let digest = digest.clone();
        self.read(move |connection| actions::text(connection, &digest)).await
    }

    async fn key_pair(&self, nsr: &NsrId) -> Result<Option<KeyPair>, Error> {
        let nsr = nsr.clone();
        self.read(move |connection| actions::key_pair(connection, nsr.as_str()))
            .await
    }

    async fn keep_key_pair(&self, nsr: &NsrId, pair: KeyPair) -> Result<KeyPair, Error> {
        let nsr = nsr.clone();
        self.write(SMALL, move |connection| {
            actions::keep_key_pair(connection, nsr.as_str(), &pair).map(Done::quietly)
        })
        .await
    }

    async fn resource(&self, id: &ResourceId) -> Result<Option<Resource>, Error> {
        let id = id.clone();
        self.read(move |connection| resources::get(connection, id.as_str()))
            .await
    }

    async fn unsettled(&self, target: &TargetId, after: Option<&str>, limit: usize) -> Result<Page<Resource>, Error> {
        let (target, after) = (target.to_string(), after.map(str::to_owned));
        self.read(move |connection| resources::unsettled(connection, &target, after.as_deref(), limit))
            .await
    }

    async fn targets_with_work(&self) -> Result<Vec<TargetId>, Error> {
        self.read(resources::targets_with_work).await
    }

    async fn save_resource(
        &self,
        claim: &Claim,
        resource: &Resource,
        record_changes: &[RecordChange],
        journal: &[JournalWrite],
    ) -> Result<Revision, Error> {
        if claim.target != resource.target {
            return Err(leases::fenced(&resource.target));
        }
        let prepared = Prepared::of(resource)?;
        let hints = resources::hints(resource);
        let (claim, id) = (claim.clone(), resource.id.clone());
        let (record_changes, writes) = (record_changes.to_vec(), journal.to_vec());
        let left_out = Arc::clone(&self.left_out);
        self.write(prepared.bytes(), move |connection| {
            let revision = resources::save(connection, &claim, &prepared, &id, &record_changes, writes, &left_out)?;
            Ok(Done {
                answer: revision,
                hints,
            })
        })
        .await
    }

    async fn write_journal(
        &self,
        claim: &Claim,
        resource: &ResourceId,
        writes: &[JournalWrite],
    ) -> Result<Option<JournalEntry>, Error> {
        let (claim, resource, writes) = (claim.clone(), resource.clone(), writes.to_vec());
        self.write(SMALL, move |connection| {
            journal::write(connection, &claim, &resource, writes).map(Done::quietly)
        })
        .await
    }

    async fn journal(&self, resource: &ResourceId) -> Result<Vec<JournalEntry>, Error> {
        let resource = resource.clone();
        self.read(move |connection| journal::of_resource(connection, &resource))
            .await
    }

    async fn elements(
        &self,
        target: &TargetId,
        item: Item,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ObservedElement>, Error> {
        let (target, after) = (target.to_string(), after.map(str::to_owned));
        self.read(move |connection| resources::elements(connection, &target, item, after.as_deref(), limit))
            .await
    }

    async fn holds_elements(&self, target: &TargetId) -> Result<bool, Error> {
        let target = target.to_string();
        self.read(move |connection| resources::any_made(connection, &target))
            .await
    }

    async fn users_of(&self, id: &ResourceId) -> Result<Vec<ResourceId>, Error> {
        let id = id.clone();
        self.read(move |connection| resources::users_of(connection, id.as_str()))
            .await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.hints.subscribe()
    }

    fn changes_of_others(&self) -> broadcast::Receiver<Change> {
        // The file is locked: there are no others. The channel stays open, so that whoever listens waits.
        self.others.subscribe()
    }

    async fn installation(&self) -> Result<String, Error> {
        self.read(|connection| {
            let letters = first(connection, sql::INSTALLATION, [], |row| row.get(0))?;
            letters.ok_or_else(|| Error::missing("the letters of the installation".to_owned()).into())
        })
        .await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.write(SMALL, |connection| {
            run(connection, sql::PROBE, [])?;
            Ok(Done::quietly(()))
        })
        .await
    }
}
