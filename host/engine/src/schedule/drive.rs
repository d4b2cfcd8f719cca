//! Works on one resource: load, decide, write down, act, again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::{Instrument as _, Span};
use vimhost_connector::{ElementKind, Error as CallError};
use vimhost_model::{JournalEntry, Resource, ResourceId, TargetId, Task, TaskAction, TaskId};
use vimhost_store::{Error as StoreError, JournalWrite};

use super::account::{Account, Due, Hold, Opened};
use super::inject::Served;
use super::{Scheduler, call, lock};
use crate::machine::{self, Effect, Event, Location, Outcome, Request, Standing, Surroundings};

/// How long a write waits before it is tried again when the store is away; doubled up to [`STORE_PAUSE_CAP`].
pub(super) const STORE_PAUSE: Duration = Duration::from_millis(50);
const STORE_PAUSE_CAP: Duration = Duration::from_secs(2);

/// Why the work on a resource ends here.
enum Over {
    /// Nothing to do until something happens.
    Idle,
    /// The document is gone: its service was forgotten.
    Gone,
    /// Another host drives the account, or nobody yet.
    Elsewhere,
    /// The host stops.
    Stopping,
}

/// The event that follows at once, and what is known of the journal then.
struct Next {
    event: Event,
    journal: Journal,
    /// What is still to be written to the journal.
    commits: Vec<JournalWrite>,
}

impl Next {
    fn at_once(event: Event) -> Self {
        Self {
            event,
            journal: Journal::AsItWas,
            commits: Vec::new(),
        }
    }

    /// From what the store has.
    fn look_anew(commits: Vec<JournalWrite>) -> Self {
        Self {
            event: Event::Look,
            journal: Journal::Unknown,
            commits,
        }
    }
}

/// The journal of the document in hand, after what was done.
enum Journal {
    AsItWas,
    Now(Vec<JournalEntry>),
    /// It has to be read.
    Unknown,
}

/// Documents kept in memory between two rounds of work, so that a round need not read what the last one wrote.
const MOST_KEPT: usize = 20_000;

impl Scheduler {
    /// Works on a resource until nothing is left to do for it.
    pub(super) async fn drive(self: Arc<Self>, id: ResourceId) {
        let mut known: Option<Resource> = lock(&self.state).kept.remove(&id);
        loop {
            let events = lock(&self.state).live.get_mut(&id).map(|live| {
                live.again = false;
                std::mem::take(&mut live.events)
            });
            let mut over = Over::Idle;
            for event in events.into_iter().flatten().chain(std::iter::once(Event::Look)) {
                over = self.step(&id, event, &mut known).await;
                if matches!(over, Over::Gone | Over::Elsewhere | Over::Stopping) {
                    break;
                }
            }
            if matches!(over, Over::Elsewhere) {
                known = None;
            }
            let mut state = lock(&self.state);
            let again = state
                .live
                .get(&id)
                .is_some_and(|live| live.again || !live.events.is_empty());
            if !again || matches!(over, Over::Gone | Over::Stopping) {
                let stale = state.live.remove(&id).is_some_and(|live| live.stale);
                if matches!(over, Over::Gone) {
                    let waiters = state.gone(&id);
                    drop(state);
                    for waiter in waiters {
                        self.wake(&waiter);
                    }
                } else if let Some(known) = known.filter(|known| !stale && is_unsettled(known))
                    && state.kept.len() < MOST_KEPT
                    // Asked while the map is locked: who loses the account clears it afterwards.
                    && self.holds(&known.target)
                {
                    state.kept.insert(id, known);
                }
                return;
            }
            // A committed action may have changed the document while this round ran.
            if state
                .live
                .get_mut(&id)
                .is_some_and(|live| std::mem::take(&mut live.stale))
            {
                known = None;
            }
        }
    }

    /// Applies an event and everything that follows from it at once.
    async fn step(self: &Arc<Self>, id: &ResourceId, event: Event, known: &mut Option<Resource>) -> Over {
        let mut event = event;
        let mut commits = Vec::new();
        loop {
            // An answer or a sight is still taken in: it was paid for, and asking again is for those who cannot.
            if self.stopping.is_cancelled() && matches!(event, Event::Look) {
                return Over::Stopping;
            }
            let resource = match known.take() {
                Some(resource) => resource,
                None => match self.load(id).await {
                    Ok(Some(resource)) => resource,
                    Ok(None) => return Over::Gone,
                    Err(over) => return over,
                },
            };
            let account = self.account(&resource.target);
            let Some(hold) = account.hold() else {
                self.want(&account.target);
                return Over::Elsewhere;
            };
            // Without a connector there is no configuration; the call that needs it will say why.
            let opened = account.open(&*self.store, &*self.connectors, &self.keys).await;
            let outcome = match self.decide(opened.as_ref().ok(), &resource, event.clone()).await {
                Ok(outcome) => outcome,
                Err(over) => return over,
            };
            let along = std::mem::take(&mut commits);
            let Some((after, effects)) = (match self.write_down(&account, &hold, &resource, outcome, along).await {
                Ok(written) => written,
                Err(over) => return over,
            }) else {
                // Somebody wrote meanwhile: the same event, on what is there now.
                self.overtaken(id);
                continue;
            };
            match self.act(&account, opened, &hold, &after, effects).await {
                // What was answered to a host that has lost the account is for the next one to find out.
                _ if hold.over.is_cancelled() && !self.stopping.is_cancelled() => {
                    self.want(&account.target);
                    return Over::Elsewhere;
                }
                Some(Next { event: Event::Look, .. }) if self.stopping.is_cancelled() => return Over::Stopping,
                Some(next) => {
                    event = next.event;
                    commits = next.commits;
                    if matches!(next.journal, Journal::Unknown)
                        && let Err(over) = self.confirm(&account, &hold, id, std::mem::take(&mut commits)).await
                    {
                        return over;
                    }
                    *known = match next.journal {
                        Journal::AsItWas => Some(after),
                        Journal::Now(journal) => Some(Resource { journal, ..after }),
                        Journal::Unknown => None,
                    };
                }
                None => {
                    *known = Some(after);
                    return Over::Idle;
                }
            }
        }
    }

    async fn load(&self, id: &ResourceId) -> Result<Option<Resource>, Over> {
        let mut pause = STORE_PAUSE;
        loop {
            match self.store.resource(id).await {
                Ok(resource) => return Ok(resource),
                Err(error) => self.store_failed("reading a resource", &error, &mut pause).await?,
            }
        }
    }

    /// Asks the machine.
    async fn decide(
        self: &Arc<Self>,
        opened: Option<&Opened>,
        resource: &Resource,
        event: Event,
    ) -> Result<Outcome, Over> {
        let looking = matches!(event, Event::Look);
        let others = if looking {
            self.standings(resource).await?
        } else {
            HashMap::new()
        };
        let texts = if looking {
            self.texts(resource).await?
        } else {
            HashMap::new()
        };
        let vim_configs = self.vim_configs(&others).await?;
        let none = Map::new();
        let around = Surroundings {
            now: self.clock.now(),
            others: &others,
            config: opened.map_or(&none, |opened| &*opened.config),
            vim_configs: &vim_configs,
            texts: &texts,
        };
        machine::apply(resource, event, &around).map_err(|error| {
            tracing::error!(resource = %resource.id, error = %error, "task machine refused a move; the resource is left as it is");
            Over::Idle
        })
    }

    /// How the elements stand that open tasks wait for. Registers before it looks, so that no move is missed, and takes back what
    /// need not be waited for, so that nobody is woken in vain years later.
    ///
    /// An element of the same account that is known to be usable, or to be worked on, is not read: only this host writes it.
    async fn standings(self: &Arc<Self>, resource: &Resource) -> Result<HashMap<ResourceId, Standing>, Over> {
        let mut others = HashMap::new();
        let made = resource.vim.vim_id.is_some();
        let open = |task: &&Task| task.status.is_open() && (!made || task.action != TaskAction::Create);
        let mut awaited = HashSet::new();
        for dependency in resource.tasks.iter().filter(open).flat_map(|task| &task.depends_on) {
            let on = &dependency.resource;
            if !others.contains_key(on) {
                let known = lock(&self.state).standing_or_register(resource, on, dependency.until);
                if let Some(standing) = known {
                    others.insert(on.clone(), standing);
                } else if let Some(other) = self.load(on).await? {
                    others.insert(on.clone(), Standing::of(&other));
                }
            }
            if others.get(on).is_some_and(|other| other.is_awaited(dependency.until)) {
                awaited.insert(on);
            }
        }
        let mut state = lock(&self.state);
        for dependency in resource.tasks.iter().filter(open).flat_map(|task| &task.depends_on) {
            if !awaited.contains(&dependency.resource) {
                state.unregister(&resource.id, &dependency.resource);
            }
        }
        // One that moved since it was read may have counted on another one that is not waited for after all.
        let missed = awaited.iter().any(|on| !state.awaits(&resource.id, on));
        drop(state);
        if missed {
            self.wake(&resource.id);
        }
        Ok(others)
    }

    /// Settings of the accounts of VMs whose interfaces are to be joined.
    async fn vim_configs(
        &self,
        others: &HashMap<ResourceId, Standing>,
    ) -> Result<HashMap<TargetId, Map<String, Value>>, Over> {
        let mut configs = HashMap::new();
        let mut targets: Vec<TargetId> = Vec::new();
        for other in others.values() {
            if let Location::Known(ports) = &other.location {
                targets.extend(ports.iter().map(|port| port.target.clone()));
            }
        }
        targets.sort();
        targets.dedup();
        for target in targets {
            let mut pause = STORE_PAUSE;
            let account = loop {
                match self.store.account(&target).await {
                    Ok(account) => break account,
                    Err(error) => self.store_failed("reading an account", &error, &mut pause).await?,
                }
            };
            let config = account.map(|account| account.config).unwrap_or_default();
            configs.insert(target, config);
        }
        Ok(configs)
    }

    /// Large texts that a creating call may need now.
    async fn texts(&self, resource: &Resource) -> Result<HashMap<String, String>, Over> {
        let mut texts = HashMap::new();
        if resource.vim.vim_id.is_some() {
            return Ok(texts);
        }
        let creating = resource
            .tasks
            .iter()
            .filter(|task| task.action == TaskAction::Create && task.status.is_open());
        for digest in creating
            .filter_map(|task| task.params.as_ref())
            .flat_map(crate::plan::text_digests)
        {
            let mut pause = STORE_PAUSE;
            let text = loop {
                match self.store.text(&digest).await {
                    Ok(text) => break text,
                    Err(error) => self.store_failed("reading a large text", &error, &mut pause).await?,
                }
            };
            match text {
                Some(text) => {
                    texts.insert(digest, text);
                }
                None => tracing::error!(resource = %resource.id, digest, "a large text is missing in the store"),
            }
        }
        Ok(texts)
    }

    /// Writes an outcome down, and what is still to be written to the journal. Answers what follows from it; none when it was decided on something that is no
    /// longer so.
    async fn write_down(
        self: &Arc<Self>,
        account: &Arc<Account>,
        hold: &Arc<Hold>,
        before: &Resource,
        outcome: Outcome,
        commits: Vec<JournalWrite>,
    ) -> Result<Option<(Resource, Vec<Effect>)>, Over> {
        let mut pause = STORE_PAUSE;
        let Outcome {
            resource: mut after,
            changed,
            records,
            effects,
        } = outcome;
        if !changed && records.is_empty() {
            self.confirm(account, hold, &after.id, commits).await?;
            return Ok(Some((after, effects)));
        }
        let journal = journal_writes(before, &after, &commits);
        loop {
            let passed = self.gates.pass(before).await;
            let saved = self.store.save_resource(&hold.claim, &after, &records, &journal).await;
            drop(passed);
            match saved {
                Ok(revision) => {
                    after.revision = revision;
                    self.open_actions.moved(before, &after);
                    let standing = Standing::of(&after);
                    if Standing::of(before) != standing {
                        self.moved(&after, standing);
                    }
                    return Ok(Some((after, effects)));
                }
                Err(StoreError::Conflict { .. }) => {
                    self.confirm(account, hold, &before.id, commits).await?;
                    return Ok(None);
                }
                Err(error) => {
                    self.not_written(account, hold, "writing a resource", error, &mut pause)
                        .await?
                }
            }
        }
    }

    /// Writes commits to the journal that no other write takes along.
    async fn confirm(
        self: &Arc<Self>,
        account: &Arc<Account>,
        hold: &Arc<Hold>,
        id: &ResourceId,
        commits: Vec<JournalWrite>,
    ) -> Result<(), Over> {
        let mut pause = STORE_PAUSE;
        while !commits.is_empty() {
            match self.store.write_journal(&hold.claim, id, &commits).await {
                Ok(_) => break,
                Err(error) => {
                    self.not_written(account, hold, "writing a journal", error, &mut pause)
                        .await?
                }
            }
        }
        Ok(())
    }

    /// A write was refused or failed. Comes back when it is worth another try.
    async fn not_written(
        self: &Arc<Self>,
        account: &Arc<Account>,
        hold: &Arc<Hold>,
        doing: &str,
        error: StoreError,
        pause: &mut Duration,
    ) -> Result<(), Over> {
        match error {
            StoreError::Missing { .. } => Err(Over::Gone),
            StoreError::Fenced { .. } => {
                self.lose(account, hold);
                self.want(&account.target);
                Err(Over::Elsewhere)
            }
            error @ (StoreError::Conflict { .. } | StoreError::Unavailable { .. } | StoreError::Corrupt { .. }) => {
                self.store_failed(doing, &error, pause).await
            }
        }
    }

    /// Does what the machine asked for. Answers the event that follows at once, if any.
    async fn act(
        self: &Arc<Self>,
        account: &Arc<Account>,
        opened: Result<Opened, CallError>,
        hold: &Hold,
        resource: &Resource,
        effects: Vec<Effect>,
    ) -> Option<Next> {
        let mut next = None;
        let mut opened = Some(opened);
        for effect in effects {
            match effect {
                Effect::LookAgain => next = next.or(Some(Next::at_once(Event::Look))),
                Effect::WakeAt(at) => self.wake_at(resource.id.clone(), at),
                // Registered when the standings were read.
                Effect::Wait(_) => {}
                Effect::Observe => self.observe(account, resource),
                Effect::Call(task, request) => {
                    if let Some(opened) = opened.take() {
                        next = self.call(account, opened, hold, resource, task, *request).await;
                    }
                }
                Effect::Inject(task, request) => {
                    let served = self.inject(hold, &resource.id, &task, *request).await;
                    next = served.map(|served| match served {
                        Served::Answered(answer) => Next::at_once(Event::Answered(task, answer)),
                        Served::Changed => Next::look_anew(Vec::new()),
                    });
                }
            }
        }
        next
    }

    /// Makes a call, with the connector whose configuration the request was made from. None when the host stops first or loses the
    /// account.
    async fn call(
        self: &Arc<Self>,
        account: &Account,
        opened: Result<Opened, CallError>,
        hold: &Hold,
        resource: &Resource,
        task: TaskId,
        request: Request,
    ) -> Option<Next> {
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return Some(Next::at_once(Event::Answered(task, call::not_made(&request, error)))),
        };
        let permit = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            permit = account.calls.acquire() => permit,
        };
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            good = hold.good() => if !good { return None },
        }
        // Somebody may have cancelled the task, or planned anew, while it waited for its turn.
        if lock(&self.state).take_change(&resource.id) {
            return Some(Next::look_anew(Vec::new()));
        }
        let lapses = hold.lapses();
        let step = resource.tasks.iter().find(|other| other.id == task);
        let span = step.map_or_else(Span::none, |task| self.open_actions.step_span(task));
        let made = call::make(self, account, hold, &*opened.connector, resource, &task, request)
            .instrument(span)
            .await;
        drop(permit);
        if made.answer.is_error() && hold.lapses() != lapses {
            // Its requests may have been refused for want of a lease, which says nothing about the VIM: once more.
            return Some(Next::look_anew(made.commits));
        }
        Some(Next {
            event: Event::Answered(task, made.answer),
            journal: made.journal.map_or(Journal::Unknown, Journal::Now),
            commits: made.commits,
        })
    }

    fn observe(&self, account: &Account, resource: &Resource) {
        let wish = (
            resource.observe_at,
            ElementKind::of_item(resource.item),
            &resource.vim.vim_id,
        );
        if let (Some(at), Some(kind), Some(vim_id)) = wish {
            account.observe(Due {
                at: tokio::time::Instant::now() + at.left(self.clock.now(), machine::LONGEST_UNSEEN),
                kind,
                vim_id: vim_id.clone(),
                resource: resource.id.clone(),
            });
        }
    }

    /// The store did not do it: wait, unless the host stops.
    async fn store_failed(&self, doing: &str, error: &StoreError, pause: &mut Duration) -> Result<(), Over> {
        tracing::warn!(error = %error, doing, "the store did not answer as it should; work waits");
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = self.stopping.cancelled() => return Err(Over::Stopping),
        }
        *pause = pause.saturating_mul(2).min(STORE_PAUSE_CAP);
        Ok(())
    }
}

/// Whether somebody will work on it again soon.
fn is_unsettled(resource: &Resource) -> bool {
    resource.has_open_tasks() || resource.observe_at.is_some()
}

/// What a step does to the journal: it confirms what stays of what was made, and drops the entries that end with it, which are those
/// of an operation that is over, and what outlives a deleted VM.
fn journal_writes(before: &Resource, after: &Resource, commits: &[JournalWrite]) -> Vec<JournalWrite> {
    let kept: HashSet<u64> = after.journal.iter().map(|entry| entry.id).collect();
    let stays = |write: &&JournalWrite| write.entry().is_some_and(|entry| kept.contains(&entry));
    let over = before.journal.iter().filter(|entry| !kept.contains(&entry.id));
    let dropped = over.map(|entry| JournalWrite::Drop { entry: entry.id });
    commits.iter().filter(stays).cloned().chain(dropped).collect()
}
