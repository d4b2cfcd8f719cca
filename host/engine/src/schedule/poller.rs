//! The shared poller of an account: everything that is due is observed by one call per kind of element.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vimhost_connector::{ElementKind, Error as CallError, Observed};
use vimhost_model::{Item, ResourceId, VimId};
use vimhost_telemetry::metric;

use super::Scheduler;
use super::account::{Account, Due, Hold};
use crate::machine::{Event, Sight};

/// What falls due within this time is observed with what is due: fewer, larger requests.
const TOGETHER: Duration = Duration::from_millis(5);

/// Elements of one call. More would make an answer that is near the bound on answers.
const BATCH: usize = 500;

/// Pause after a failed observation; doubled up to [`FAILED_CAP`].
const FAILED_PAUSE: Duration = Duration::from_millis(500);
const FAILED_CAP: Duration = Duration::from_secs(30);

/// Periods between two full looks at idle elements: what an incremental view misses (a VIM that forgets what it deleted, changes
/// that do not move a server's time) is found by then.
const FULL_LOOK_EVERY: u32 = 30;

/// Pages of one incremental answer that are read in a row.
const MAX_PAGES: usize = 1000;

impl Scheduler {
    /// Observes what is due, for as long as the host holds the account.
    pub(super) async fn poll(self: Arc<Self>, account: Arc<Account>, hold: Arc<Hold>) {
        let mut failed_pause = FAILED_PAUSE;
        loop {
            let next_due = account.next_due();
            tokio::select! {
                () = hold.over.cancelled() => return,
                // What falls due earlier changes the time to wait.
                () = account.due_changed.notified() => {}
                () = until_or_forever(next_due) => {}
            }
            if !hold.good().await {
                return;
            }
            let due = account.take_due(Instant::now() + TOGETHER);
            if due.is_empty() {
                continue;
            }
            let mut by_kind: HashMap<ElementKind, Vec<Due>> = HashMap::new();
            for wish in due {
                by_kind.entry(wish.kind).or_default().push(wish);
            }
            for (kind, wishes) in by_kind {
                for batch in wishes.chunks(BATCH) {
                    match self.observe_batch(&account, kind, batch).await {
                        Ok(()) => failed_pause = FAILED_PAUSE,
                        Err(error) => {
                            tracing::warn!(
                                target_id = %account.target, ?kind, elements = batch.len(), error = %error.message,
                                retry_ms = failed_pause.as_millis(), "observation failed"
                            );
                            let at = Instant::now() + failed_pause;
                            batch
                                .iter()
                                .for_each(|wish| account.observe(Due { at, ..wish.clone() }));
                            failed_pause = failed_pause.saturating_mul(2).min(FAILED_CAP);
                        }
                    }
                }
            }
        }
    }

    async fn observe_batch(
        self: &Arc<Self>,
        account: &Account,
        kind: ElementKind,
        batch: &[Due],
    ) -> Result<(), CallError> {
        let mut wanted: HashMap<VimId, Vec<ResourceId>> = HashMap::new();
        for wish in batch {
            wanted
                .entry(wish.vim_id.clone())
                .or_default()
                .push(wish.resource.clone());
        }
        let ids: Vec<VimId> = wanted.keys().cloned().collect();
        let opened = account.open(&*self.store, &*self.connectors, &self.keys).await?;
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let observed = counted(
                kind,
                ids.len(),
                opened.connector.observe(kind, &ids, cursor.take()).await,
            )?;
            let more = observed.more && observed.cursor.is_some();
            cursor = self.spread(observed, |id| wanted.remove(id).unwrap_or_default());
            if !more {
                break;
            }
        }
        // What the connector said nothing about is neither there nor gone: later again.
        let at = Instant::now() + FAILED_PAUSE;
        for wish in batch.iter().filter(|wish| wanted.contains_key(&wish.vim_id)) {
            account.observe(Due { at, ..wish.clone() });
        }
        Ok(())
    }

    /// Hands sights to the resources they are of; answers the cursor.
    fn spread(
        self: &Arc<Self>,
        observed: Observed,
        mut owners: impl FnMut(&VimId) -> Vec<ResourceId>,
    ) -> Option<Vec<u8>> {
        for observation in observed.changed {
            let observation = Box::new(observation);
            for owner in owners(&observation.id) {
                self.deliver(&owner, Event::Observed(Sight::Present(observation.clone())));
            }
        }
        for id in observed.gone {
            for owner in owners(&id) {
                self.deliver(&owner, Event::Observed(Sight::Gone(id.clone())));
            }
        }
        observed.cursor
    }

    /// Observes the idle elements of an account, one batched incremental call a kind and period.
    pub(super) async fn observe_idle(self: Arc<Self>, account: Arc<Account>, hold: Arc<Hold>, period: Duration) {
        let mut views: HashMap<ElementKind, View> = HashMap::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = hold.over.cancelled() => return,
            }
            if !hold.good().await {
                return;
            }
            for item in [Item::Net, Item::Vdu, Item::SdnNet] {
                let Some(kind) = ElementKind::of_item(item) else {
                    continue;
                };
                let view = views.remove(&kind).filter(|view| view.looks < FULL_LOOK_EVERY);
                match self.observe_idle_kind(&account, item, kind, view).await {
                    Ok(view) => {
                        views.extend(view.map(|view| (kind, view)));
                    }
                    // A look that failed says nothing; the whole picture is taken next time.
                    Err(error) => {
                        tracing::warn!(target_id = %account.target, ?kind, error, "idle elements not observed");
                    }
                }
            }
        }
    }

    /// Observes the idle elements of one kind; answers the view to go on from.
    async fn observe_idle_kind(
        self: &Arc<Self>,
        account: &Account,
        item: Item,
        kind: ElementKind,
        view: Option<View>,
    ) -> Result<Option<View>, String> {
        let mut owners: HashMap<VimId, Vec<ResourceId>> = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self
                .store
                .elements(&account.target, item, after.as_deref(), BATCH)
                .await
                .map_err(|error| error.to_string())?;
            for element in page.entries {
                owners.entry(element.vim_id).or_default().push(element.resource);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if owners.is_empty() {
            return Ok(None);
        }
        let (mut cursor, seen, looks) = match view {
            Some(view) => (Some(view.cursor), view.seen, view.looks + 1),
            None => (None, HashSet::new(), 0),
        };
        // A cursor says nothing about an element that was not asked for when it was made: such a one is looked at in full.
        let (old, new): (Vec<VimId>, Vec<VimId>) = owners.keys().cloned().partition(|id| seen.contains(id));
        let mut incremental = true;
        if let Some(from) = cursor.take().filter(|_| !old.is_empty()) {
            cursor = self.look(account, kind, &old, Some(from), &owners).await?;
            incremental = cursor.is_some();
        }
        for batch in new.chunks(BATCH) {
            let made = self.look(account, kind, batch, None, &owners).await?;
            // The oldest one misses nothing of what was looked at later.
            cursor = cursor.or(made);
        }
        Ok(cursor.filter(|_| incremental).map(|cursor| View {
            cursor,
            seen: owners.into_keys().collect(),
            looks,
        }))
    }

    /// One look, page by page; answers the cursor behind it.
    async fn look(
        self: &Arc<Self>,
        account: &Account,
        kind: ElementKind,
        ids: &[VimId],
        mut cursor: Option<Vec<u8>>,
        owners: &HashMap<VimId, Vec<ResourceId>>,
    ) -> Result<Option<Vec<u8>>, String> {
        let opened = account
            .open(&*self.store, &*self.connectors, &self.keys)
            .await
            .map_err(|error| error.message)?;
        for _ in 0..MAX_PAGES {
            let observed = opened.connector.observe(kind, ids, cursor.take()).await;
            let observed = counted(kind, ids.len(), observed).map_err(|error| error.message)?;
            let more = observed.more && observed.cursor.is_some();
            cursor = self.spread(observed, |id| owners.get(id).cloned().unwrap_or_default());
            if !more {
                break;
            }
        }
        Ok(cursor)
    }
}

/// Counts an observation of so many elements.
fn counted(kind: ElementKind, elements: usize, observed: Result<Observed, CallError>) -> Result<Observed, CallError> {
    let kind = kind.as_str();
    let outcome = if observed.is_ok() { "ok" } else { "failed" };
    metric::POLLER_OBSERVATIONS.counter(&[kind, outcome]).increment(1);
    let elements = u64::try_from(elements).unwrap_or(u64::MAX);
    metric::POLLER_ELEMENTS.counter(&[kind]).increment(elements);
    observed
}

/// An incremental view of the idle elements of a kind.
struct View {
    cursor: Vec<u8>,
    /// Elements that were asked for when the cursor was made.
    seen: HashSet<VimId>,
    /// Looks since the last full one.
    looks: u32,
}

async fn until_or_forever(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
