//! The trait: each intention to the module that knows it, and the hints of what was changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use tokio::sync::{broadcast, watch};
use tokio::task::{AbortHandle, JoinSet};
use vimhost_model::{
    ActionHeader, ActionId, Collection, HostId, Item, JournalEntry, NsrId, Record, RecordChange, RecordId, Resource,
    ResourceId, Revision, TargetId, Timestamp,
};
use vimhost_store::{
    ActionCommit, Change, Claim, Committed, Error, JournalWrite, KeyPair, Lease, LeftOut, ObservedElement, Page,
    PlanBase, SealedText, Store, StoredAccount, TextDigest,
};

use crate::db::{Db, Statement};
use crate::fault::{Fault, Outcome};
use crate::fields::text_of;
use crate::hints::{self, Hints};
use crate::lanes::Lanes;
use crate::open::{self, Hold, OpenError, Opened, Options, Topology};
use crate::outbox::Done;
use crate::records::Whole;
use crate::shapes::{self, KEY_PAIRS};
use crate::stats::{Counters, Stats};

/// How often what other hosts left half done is looked for. Whoever needs it done does not wait for this.
const SWEEP: Duration = Duration::from_secs(5);

/// Between two tries to open a database whose set elects another primary, which takes it some seconds.
const OPEN_AGAIN: Duration = Duration::from_millis(250);

/// Sweeps between two looks for commits of hosts that died before deciding: what they left is in nobody's way.
const SWEEPS_PER_CLEANING: u32 = 120;

/// What every operation works with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) db: Db,
    pub(crate) hints: Hints,
    pub(crate) done: Done,
    pub(crate) lanes: Lanes,
    pub(crate) left_out: LeftOut,
    pub(crate) topology: Topology,
    letters: String,
    instance: String,
}

/// Sixteen characters that nobody else has.
pub(crate) fn unique() -> String {
    let mut text = HostId::random().to_string();
    text.retain(|digit| digit != '-');
    text.truncate(16);
    text
}

/// The store on MongoDB. Dropping it ends its tasks; [`MongoStore::close`] also lets a standalone go.
#[derive(Debug)]
pub struct MongoStore {
    pub(crate) core: Arc<Core>,
    counters: Arc<Counters>,
    hold: Option<watch::Receiver<Hold>>,
    tasks: Vec<AbortHandle>,
}

impl MongoStore {
    /// Opens a database: makes the indexes, and carries out what a host that died has decided.
    ///
    /// # Errors
    /// When the server is not reached or too old, the database is from a newer version, or another host has a standalone:
    /// one that showed no sign of life at first is given the time to show one. A set that elects another primary is given
    /// [`Options::deadline`].
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let until = Instant::now() + options.deadline;
        let mut is_told = false;
        loop {
            match Self::open_now(&options).await {
                Err(error) if error.may_pass() && Instant::now() < until => {
                    if !is_told {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "the database cannot be opened now; again until its time is over");
                        is_told = true;
                    }
                    tokio::time::sleep(OPEN_AGAIN).await;
                }
                opened => return opened,
            }
        }
    }

    async fn open_now(options: &Options) -> Result<Self, OpenError> {
        let counters = Arc::new(Counters::default());
        let opened = open::open(options, Arc::clone(&counters)).await?;
        let alone_until = opened.alone_until;
        let mut store = Self::of(opened, counters);
        let core = &store.core;
        let mut tasks = JoinSet::new();
        let mut handles = Vec::new();
        // First of all: what follows may take longer than a standalone is kept without a sign of life.
        if let Some(until) = alone_until {
            let (tell, hold) = watch::channel(Hold::Until(until));
            handles.push(tasks.spawn(show_life(Arc::clone(core), options.host_lease, tell)));
            store.hold = Some(hold);
        }
        let ready = async {
            if alone_until.is_some() {
                core.end_leases().await?;
            }
            core.complete_outstanding().await?;
            core.complete_instances().await?;
            core.discard_abandoned().await
        };
        ready.await.map_err(|fault| OpenError::Prepare {
            database: options.database.clone(),
            source: fault.into(),
        })?;
        handles.push(tasks.spawn(sweep(Arc::clone(core))));
        if core.topology == Topology::ReplicaSet {
            handles.push(tasks.spawn(core.hints.clone().watch(core.db.driver().clone())));
        }
        // They end with the store, not with this function.
        tasks.detach_all();
        store.tasks = handles;
        Ok(store)
    }

    /// Looks at a database without making anything in it: no index, no schema, no hold on a standalone. For whoever only reads; hosts
    /// may be at work on it. What a host that died has decided is carried out by reading it, as by any reader. None where no host ever was.
    ///
    /// # Errors
    /// When the server is not reached or too old, or the database is from a newer version.
    pub async fn look(options: &Options) -> Result<Option<Self>, OpenError> {
        let counters = Arc::new(Counters::default());
        let Some(opened) = open::look(options, Arc::clone(&counters)).await? else {
            return Ok(None);
        };
        Ok(Some(Self::of(opened, counters)))
    }

    /// What was opened, without tasks.
    fn of(opened: Opened, counters: Arc<Counters>) -> Self {
        let core = Core {
            db: opened.db,
            hints: Hints::new(opened.instance.clone()),
            done: Done::default(),
            lanes: Lanes::default(),
            left_out: LeftOut::default(),
            topology: opened.topology,
            letters: opened.letters,
            instance: opened.instance,
        };
        Self {
            core: Arc::new(core),
            counters,
            hold: None,
            tasks: Vec::new(),
        }
    }

    /// What kind of server it is.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.core.topology
    }

    /// For how long this process has a standalone for itself. None where hosts share the database, and for whoever only looks. It changes
    /// until the store is closed, or another process has the database.
    #[must_use]
    pub fn hold(&self) -> Option<watch::Receiver<Hold>> {
        self.hold.clone()
    }

    /// What it has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Ends its tasks, lets a standalone go for the next host, and closes the connections.
    pub async fn close(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        if self.core.topology == Topology::Standalone
            && let Err(fault) = self.core.db.delete(shapes::host_held(&self.core.instance)).await
        {
            tracing::debug!(?fault, "the database is let go by time");
        }
        self.core.db.close().await;
    }
}

impl Drop for MongoStore {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn sweep(core: Arc<Core>) {
    let mut round = 0_u32;
    loop {
        tokio::time::sleep(SWEEP).await;
        round = round.wrapping_add(1);
        let mut swept = core.complete_outstanding().await.map(|_| ());
        if swept.is_ok() {
            swept = core.complete_instances().await;
        }
        if swept.is_ok() {
            swept = core.tell_unread().await;
        }
        if swept.is_ok() && round.is_multiple_of(SWEEPS_PER_CLEANING) {
            swept = core.discard_abandoned().await;
        }
        if let Err(fault) = swept {
            tracing::debug!(?fault, "what others left half done waits for the next sweep");
        }
    }
}

/// Signs of life of the one process that has a standalone, until another one has it.
async fn show_life(core: Arc<Core>, lease: Duration, tell: watch::Sender<Hold>) {
    let between = lease / 3;
    loop {
        tokio::time::sleep(between).await;
        // Counted from before: whoever waits for the end counts from when it arrives.
        let begun = Instant::now();
        let sign = open::sign_of_life(&core.db, &core.instance, lease);
        match tokio::time::timeout(between, sign).await {
            Ok(Ok(true)) => {
                tell.send_replace(Hold::Until(begun + lease));
            }
            Ok(Ok(false)) => {
                tell.send_replace(Hold::Lost);
                return;
            }
            Ok(Err(fault)) => tracing::debug!(?fault, "the database is not reached for a sign of life"),
            Err(_) => tracing::debug!(waited = ?between, "the database does not answer a sign of life"),
        }
    }
}

pub(crate) fn pair_of(document: &Document) -> KeyPair {
    KeyPair {
        public_key: text_of(document, "public_key").to_owned(),
        private_key: SealedText(text_of(document, "private_key").to_owned()),
    }
}

impl Core {
    /// This process among all that ever opened the database.
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    async fn pair(&self, nsr: &NsrId) -> Outcome<Option<KeyPair>> {
        let found = self.db.first(shapes::key_pair(nsr.as_str())).await?;
        Ok(found.as_ref().map(pair_of))
    }

    async fn keep_pair(&self, nsr: &NsrId, pair: &KeyPair) -> Outcome<KeyPair> {
        let new = doc! {"_id": nsr.as_str(), "public_key": &pair.public_key, "private_key": &pair.private_key.0};
        match self.db.insert(KEY_PAIRS, new).await {
            Ok(()) => return Ok(pair.clone()),
            Err(Fault::Duplicate(_)) => {}
            Err(fault) => return Err(fault),
        }
        let kept = self.pair(nsr).await?;
        kept.ok_or_else(|| Error::corrupt("a key pair", "it is not there after it was kept").into())
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn put_account(&self, account: StoredAccount, expected: Option<Revision>) -> Result<Revision, Error> {
        let revision = self.core.write_account(&account, expected).await?;
        self.core.hints.tell([Change::Account(account.target)]);
        Ok(revision)
    }

    async fn account(&self, target: &TargetId) -> Result<Option<StoredAccount>, Error> {
        Ok(self.core.get_account(target).await?)
    }

    async fn accounts(&self, after: Option<&str>, limit: usize) -> Result<Page<StoredAccount>, Error> {
        Ok(self.core.account_page(after, limit).await?)
    }

    async fn delete_account(&self, target: &TargetId, expected: Revision) -> Result<(), Error> {
        self.core.remove_account(target, expected).await?;
        self.core.hints.tell([Change::Account(target.clone())]);
        Ok(())
    }

    async fn claim_account(
        &self,
        target: &TargetId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claim, Error> {
        Ok(self.core.claim(target, host, now, until).await?)
    }

    async fn renew_claims(&self, host: &HostId, until: Timestamp) -> Result<Vec<Claim>, Error> {
        Ok(self.core.renew(host, until).await?)
    }

    async fn release_claim(&self, claim: &Claim) -> Result<(), Error> {
        Ok(self.core.release(claim).await?)
    }

    async fn leases(&self) -> Result<Vec<Lease>, Error> {
        Ok(self.core.all_leases().await?)
    }

    async fn record(&self, collection: Collection, id: &RecordId) -> Result<Option<Record>, Error> {
        Ok(self.core.get_record(collection, id).await?)
    }

    async fn vnfrs_of(&self, nsr: &NsrId) -> Result<Vec<Record>, Error> {
        Ok(self.core.vnf_records(nsr).await?)
    }

    async fn services(&self, after: Option<&str>, limit: usize) -> Result<Page<(NsrId, String)>, Error> {
        Ok(self.core.service_page(after, limit).await?)
    }

    async fn put_record(
        &self,
        collection: Collection,
        id: &RecordId,
        document: serde_json::Value,
        expected: Option<Revision>,
    ) -> Result<Revision, Error> {
        let whole = Whole::of(collection, id, document)?;
        Ok(self.core.write_record(whole, expected).await?)
    }

    async fn put_records(&self, records: Vec<(Collection, RecordId, serde_json::Value)>) -> Result<(), Error> {
        let wholes = records
            .into_iter()
            .map(|(collection, id, document)| Whole::of(collection, &id, document));
        let wholes = wholes.collect::<Result<Vec<_>, _>>()?;
        Ok(self.core.write_records(wholes).await?)
    }

    async fn delete_record(&self, collection: Collection, id: &RecordId) -> Result<bool, Error> {
        Ok(self.core.remove_record(collection, id).await?)
    }

    async fn service_revision(&self, nsr: &NsrId) -> Result<Revision, Error> {
        Ok(self.core.planning_revision(nsr.as_str()).await?)
    }

    async fn plan_base(&self, nsr: &NsrId) -> Result<PlanBase, Error> {
        Ok(self.core.planning_base(nsr.as_str()).await?)
    }

    async fn resources_of(&self, nsr: &NsrId) -> Result<Vec<Resource>, Error> {
        Ok(self.core.resources_of_service(nsr).await?)
    }

    async fn shared_resource(&self, target: &TargetId, item: Item, common_id: &str) -> Result<Option<Resource>, Error> {
        Ok(self.core.find_shared(&target.to_string(), item, common_id).await?)
    }

    async fn commit_action(&self, commit: ActionCommit) -> Result<Committed, Error> {
        let (committed, hints) = Box::pin(self.core.accept(commit)).await?;
        self.core.hints.tell(hints);
        Ok(committed)
    }

    async fn action(&self, nsr: &NsrId, action: &ActionId) -> Result<Option<ActionHeader>, Error> {
        Ok(self.core.get_action(nsr.as_str(), action.as_str()).await?)
    }

    async fn actions(
        &self,
        nsr: Option<&NsrId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ActionHeader>, Error> {
        Ok(self.core.action_page(nsr.map(NsrId::as_str), after, limit).await?)
    }

    async fn resources_of_action(&self, nsr: &NsrId, action: &ActionId) -> Result<Vec<Resource>, Error> {
        Ok(self.core.resources_of_one_action(nsr.as_str(), action.as_str()).await?)
    }

    async fn forget_service(&self, nsr: &NsrId) -> Result<bool, Error> {
        let forgotten = self.core.forget(nsr).await?;
        self.core.hints.tell(forgotten.hints);
        Ok(forgotten.changed)
    }

    async fn text(&self, digest: &TextDigest) -> Result<Option<String>, Error> {
        let found = self.core.db.first(shapes::text(digest)).await?;
        Ok(found.map(|found| text_of(&found, "content").to_owned()))
    }

    async fn key_pair(&self, nsr: &NsrId) -> Result<Option<KeyPair>, Error> {
        Ok(self.core.pair(nsr).await?)
    }

    async fn keep_key_pair(&self, nsr: &NsrId, pair: KeyPair) -> Result<KeyPair, Error> {
        Ok(self.core.keep_pair(nsr, &pair).await?)
    }

    async fn resource(&self, id: &ResourceId) -> Result<Option<Resource>, Error> {
        Ok(self.core.get_resource(id).await?)
    }

    async fn unsettled(&self, target: &TargetId, after: Option<&str>, limit: usize) -> Result<Page<Resource>, Error> {
        Ok(self.core.unsettled_page(&target.to_string(), after, limit).await?)
    }

    async fn targets_with_work(&self) -> Result<Vec<TargetId>, Error> {
        Ok(self.core.unsettled_targets().await?)
    }

    async fn save_resource(
        &self,
        claim: &Claim,
        resource: &Resource,
        record_changes: &[RecordChange],
        journal: &[JournalWrite],
    ) -> Result<Revision, Error> {
        let revision = self.core.save(claim, resource, record_changes, journal).await?;
        self.core.hints.tell(hints::of_resource(resource));
        Ok(revision)
    }

    async fn write_journal(
        &self,
        claim: &Claim,
        resource: &ResourceId,
        writes: &[JournalWrite],
    ) -> Result<Option<JournalEntry>, Error> {
        Ok(self.core.journal_write(claim, resource, writes).await?)
    }

    async fn journal(&self, resource: &ResourceId) -> Result<Vec<JournalEntry>, Error> {
        Ok(self.core.journal_of(resource).await?)
    }

    async fn elements(
        &self,
        target: &TargetId,
        item: Item,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ObservedElement>, Error> {
        Ok(self.core.element_page(&target.to_string(), item, after, limit).await?)
    }

    async fn holds_elements(&self, target: &TargetId) -> Result<bool, Error> {
        Ok(self.core.any_made(&target.to_string()).await?)
    }

    async fn users_of(&self, id: &ResourceId) -> Result<Vec<ResourceId>, Error> {
        Ok(self.core.users(id.as_str()).await?)
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.core.hints.listen()
    }

    fn changes_of_others(&self) -> broadcast::Receiver<Change> {
        self.core.hints.listen_to_others()
    }

    async fn installation(&self) -> Result<String, Error> {
        Ok(self.core.letters.clone())
    }

    async fn ping(&self) -> Result<(), Error> {
        let probe = Statement {
            upsert: true,
            ..Statement::of(shapes::meta("probe"), doc! {"$inc": {"count": 1_i64}})
        };
        self.core.db.update(probe).await?;
        Ok(())
    }
}
