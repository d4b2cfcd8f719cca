//! Which accounts this host drives: claims them, extends the claims, takes over what nobody drives, gives up what it lost.
//!
//! Where one host has the store a claim is for ever and made once, whoever had the account before; calls may have an end all the same,
//! where the store could be another host's one day ([`Scheduler::alone_until`]). Where several share it, one task heeds the leases of all
//! ([`super::lease`]); whoever needs an account says so ([`Scheduler::want`]) and is woken when the account is this host's. An account
//! that another host drives is left alone: that host hears of the work by the store's hints.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use vimhost_model::{TargetId, Timestamp};
use vimhost_store::{Change, Error as StoreError};

use super::account::{Account, Hold};
use super::lease::{Freedom, LeaseTerms};
use super::stacks::OpOccHint;
use super::{FOREVER, PAGE, Scheduler, lock};
use crate::Error;

/// Heartbeats between two looks at all that is stored as unsettled: what a lost hint would have told.
const RESCAN_EVERY: u32 = 30;

/// Accounts that are claimed at the same time. A claim is a few small writes; all at once would be a burst after each death.
pub(super) const CLAIMS_AT_ONCE: usize = 16;

impl Scheduler {
    /// Claims the accounts that are free and takes up what is not settled on them.
    pub(super) async fn recover(self: &Arc<Self>) -> Result<(), Error> {
        let doing = |error| Error::of_store("taking up unsettled resources", error);
        self.learn_accounts().await.map_err(doing)?;
        self.look_at_leases().await.map_err(doing)?;
        let mut claims = tokio::task::JoinSet::new();
        let (mut accounts, mut resources) = (0_usize, 0_usize);
        let mut take = |joined: Option<Result<Result<usize, StoreError>, _>>| match joined {
            Some(Ok(Ok(taken))) => {
                accounts += usize::from(taken > 0);
                resources += taken;
                Ok(())
            }
            Some(Ok(Err(error))) => Err(doing(error)),
            Some(Err(error)) => Err(crate::accounts::internal("taking up unsettled resources", error)),
            None => Ok(()),
        };
        for target in self.claimable() {
            if claims.len() >= CLAIMS_AT_ONCE {
                take(claims.join_next().await)?;
            }
            claims.spawn(self.clone().gain(target));
        }
        while !claims.is_empty() {
            take(claims.join_next().await)?;
        }
        if resources > 0 {
            tracing::info!(accounts, resources, "recovery: unsettled resources taken up");
        }
        Ok(())
    }

    /// Heeds the leases until everything was given up.
    pub(super) async fn keep(self: Arc<Self>) {
        let Some(terms) = self.config.leases else {
            return self.keep_alone().await;
        };
        let mut heartbeat = tokio::time::interval(terms.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = 0_u32;
        loop {
            tokio::select! {
                () = self.released.cancelled() => return,
                () = self.asked.notified() => self.claim_wanted(),
                _ = heartbeat.tick() => {
                    self.renew(&terms).await;
                    if self.stopping.is_cancelled() {
                        continue;
                    }
                    beats = beats.wrapping_add(1);
                    let rescan = beats.is_multiple_of(RESCAN_EVERY);
                    if let Err(error) = self.look_around(rescan).await {
                        tracing::debug!(error = %error, "leases of other hosts not read; again at the next heartbeat");
                    }
                }
            }
        }
    }

    /// Claims what is asked for, where no other host is to be heeded.
    async fn keep_alone(self: &Arc<Self>) {
        loop {
            tokio::select! {
                () = self.released.cancelled() => return,
                () = self.asked.notified() => self.claim_wanted(),
            }
        }
    }

    async fn look_around(self: &Arc<Self>, rescan: bool) -> Result<(), StoreError> {
        if rescan {
            self.learn_accounts().await?;
        }
        self.look_at_leases().await?;
        for target in self.claimable() {
            self.gain_soon(target);
        }
        if rescan {
            self.rescan_all();
        }
        Ok(())
    }

    /// Somebody has work for an account that this host does not drive.
    pub(super) fn want(&self, target: &TargetId) {
        if lock(&self.wanted).insert(target.clone()) {
            self.asked.notify_one();
        }
    }

    fn claim_wanted(self: &Arc<Self>) {
        for target in std::mem::take(&mut *lock(&self.wanted)) {
            self.gain_soon(target);
        }
    }

    /// Accounts and whatever else has work.
    async fn learn_accounts(&self) -> Result<(), StoreError> {
        let mut targets = self.store.targets_with_work().await?;
        targets.extend(self.store.targets_with_op_occs().await?);
        let mut after: Option<String> = None;
        loop {
            let page = self.store.accounts(after.as_deref(), PAGE).await?;
            targets.extend(page.entries.into_iter().map(|account| account.target));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut sights = lock(&self.sights);
        targets.into_iter().for_each(|target| sights.know(target));
        Ok(())
    }

    async fn look_at_leases(&self) -> Result<(), StoreError> {
        let leases = self.store.leases().await?;
        lock(&self.sights).look(leases, Instant::now());
        Ok(())
    }

    /// Accounts that this host may drive and does not.
    fn claimable(&self) -> Vec<TargetId> {
        let terms = self.config.leases.as_ref();
        let mut targets = lock(&self.sights).claimable(&self.config.host, terms, Instant::now());
        let accounts = lock(&self.accounts);
        let held = |target: &TargetId| accounts.get(target).is_some_and(|account| account.hold().is_some());
        targets.retain(|target| !held(target));
        targets
    }

    /// Claims an account, beside everything else: a heartbeat does not wait for it.
    fn gain_soon(self: &Arc<Self>, target: TargetId) {
        if self.stopping.is_cancelled() {
            return;
        }
        let scheduler = self.clone();
        self.tasks.spawn(async move {
            let Ok(_permit) = scheduler.gains.acquire().await else {
                return;
            };
            if let Err(error) = scheduler.clone().gain(target.clone()).await {
                tracing::warn!(target_id = %target, error = %error, "account not claimed; it is tried again");
                tokio::select! {
                    () = tokio::time::sleep(super::drive::STORE_PAUSE) => scheduler.want(&target),
                    () = scheduler.stopping.cancelled() => {}
                }
            }
        });
    }

    /// Claims an account, if no other host has it, and takes up what is not settled on it. Answers how much that is.
    async fn gain(self: Arc<Self>, target: TargetId) -> Result<usize, StoreError> {
        let account = self.account(&target);
        let _gaining = account.gaining.lock().await;
        if account.hold().is_some() || self.stopping.is_cancelled() {
            return Ok(0);
        }
        let terms = self.config.leases;
        let begun = Instant::now();
        let freedom = lock(&self.sights).freedom(&target, &self.config.host, terms.as_ref(), begun);
        let ended_before = match freedom {
            Freedom::Held => return Ok(0),
            // Granted only if nobody has it.
            Freedom::Free | Freedom::Own => Timestamp(0),
            Freedom::Ended(at) => Timestamp(at.0.saturating_add(1)),
        };
        let until = terms.map_or(FOREVER, |terms| self.lease_end(&terms));
        let claim = match self
            .store
            .claim_account(&target, &self.config.host, ended_before, until)
            .await
        {
            Ok(claim) => claim,
            Err(StoreError::Fenced { .. }) => return Ok(0),
            Err(error) => return Err(error),
        };
        if freedom != Freedom::Own && terms.is_some() {
            tracing::info!(target_id = %target, fence = claim.fence, taken_over = freedom != Freedom::Free, "account claimed");
        }
        // Nothing of an earlier time counts.
        lock(&self.state).forget_account(&target);
        let good_until = match terms {
            Some(terms) => begun.checked_add(terms.length),
            None => *lock(&self.alone_until),
        };
        self.connectors.set_send_deadline(&target, good_until);
        let hold = Arc::new(Hold::new(claim, good_until, self.stopping.child_token()));
        account.set_hold(Some(hold.clone()));
        self.tasks.spawn(self.clone().poll(account.clone(), hold.clone()));
        if let Some(period) = self.config.idle_period {
            self.tasks
                .spawn(self.clone().observe_idle(account.clone(), hold.clone(), period));
        }
        match self.take_up(&target).await {
            Ok(taken) => Ok(taken),
            Err(error) => {
                // Claimed, but its work is not known: as if it were not this host's, and again.
                self.lose(&account, &hold);
                Err(error)
            }
        }
    }

    /// Wakes what is not settled on an account, except what this host has in hand as it is stored.
    async fn take_up(self: &Arc<Self>, target: &TargetId) -> Result<usize, StoreError> {
        self.tell(OpOccHint::TakeUp(Some(target.clone())));
        let mut taken = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.store.unsettled(target, after.as_deref(), PAGE).await?;
            for resource in page.entries {
                self.open_actions.found(&resource);
                if !lock(&self.state).has(&resource) {
                    taken += 1;
                    self.changed(&resource.id);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(taken);
            }
        }
    }

    /// When a lease that is extended now ends. Each time is later than the one before, whatever the clock does: a watcher sees by it
    /// that the lease was extended.
    fn lease_end(&self, terms: &LeaseTerms) -> Timestamp {
        let mut last = lock(&self.last_lease_end);
        *last = Timestamp(self.clock.now().plus(terms.length).0.max(last.0.saturating_add(1)));
        *last
    }

    async fn renew(self: &Arc<Self>, terms: &LeaseTerms) {
        // Counted from before: whoever watches counts from later.
        let begun = Instant::now();
        let until = self.lease_end(terms);
        let renewing = self.store.renew_claims(&self.config.host, until);
        let claims = match tokio::time::timeout(terms.length, renewing).await {
            Ok(Ok(claims)) => claims,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "leases not extended");
                return;
            }
            Err(_) => {
                tracing::warn!(waited = ?terms.length, "leases not extended: the store does not answer");
                return;
            }
        };
        let good_until = begun.checked_add(terms.length);
        let accounts: Vec<Arc<Account>> = lock(&self.accounts).values().cloned().collect();
        for account in accounts {
            // What was claimed meanwhile may not be among them.
            let Some(hold) = account.hold().filter(|hold| hold.since < begun) else {
                continue;
            };
            if claims.contains(&hold.claim) {
                hold.extend(good_until);
                self.connectors.set_send_deadline(&account.target, good_until);
            } else {
                self.lose(&account, &hold);
            }
        }
    }

    /// No other host has the store until then: calls may be made until shortly before.
    pub(crate) fn alone_until(&self, until: Instant) {
        *lock(&self.alone_until) = Some(until);
        let accounts: Vec<Arc<Account>> = lock(&self.accounts).values().cloned().collect();
        for account in accounts {
            if let Some(hold) = account.hold() {
                hold.extend(Some(until));
            }
            // Also where there is no hold at this moment: an operator may have the account checked.
            self.connectors.set_send_deadline(&account.target, Some(until));
        }
    }

    /// Another host has the store: nothing is begun and nothing is sent any more, and what waits for an answer is broken off.
    pub(crate) fn cut_off(&self) {
        self.stopping.cancel();
        self.alone_until(Instant::now());
    }

    /// Another host may drive the account now: nothing is sent any more, and nothing in memory counts.
    pub(super) fn lose(self: &Arc<Self>, account: &Arc<Account>, hold: &Arc<Hold>) {
        if !account.end_hold(hold) {
            return;
        }
        tracing::warn!(target_id = %account.target, fence = hold.claim.fence, "account lost: its lease is over");
        lock(&self.state).forget_account(&account.target);
        self.open_actions.lost(&account.target);
        if self.config.leases.is_none() {
            self.want(&account.target);
            return;
        }
        self.connectors.set_send_deadline(&account.target, Some(Instant::now()));
        // When the calls of that time are over, an operator may have this host check the account.
        let (scheduler, account) = (self.clone(), account.clone());
        self.tasks.spawn(async move {
            let calls = tokio::select! {
                calls = account.all_calls() => calls,
                () = scheduler.stopping.cancelled() => return,
            };
            let _gaining = account.gaining.lock().await;
            if account.hold().is_none() {
                scheduler.connectors.set_send_deadline(&account.target, None);
            }
            drop(calls);
        });
    }

    /// Gives up every account, those excepted on which calls are in flight: they are taken over when the requests have ended.
    pub(super) async fn release_all(&self) {
        let accounts: Vec<Arc<Account>> = lock(&self.accounts).values().cloned().collect();
        for account in accounts {
            let Some(hold) = account.hold() else { continue };
            if self.config.leases.is_some() && !account.is_idle() {
                self.connectors.set_send_deadline(&account.target, Some(Instant::now()));
                continue;
            }
            account.end_hold(&hold);
            if let Err(error) = self.store.release_claim(&hold.claim).await {
                tracing::warn!(target_id = %account.target, error = %error, "account not given up; its lease ends by itself");
            }
        }
    }

    /// Hears what other hosts write, until everything was given up.
    pub(super) async fn hear_others(self: Arc<Self>, mut others: tokio::sync::broadcast::Receiver<Change>) {
        loop {
            let change = tokio::select! {
                () = self.released.cancelled() => return,
                change = others.recv() => change,
            };
            match change {
                Ok(Change::Resource(target, id)) => {
                    if self.holds(&target) {
                        self.changed(&id);
                        continue;
                    }
                    let waiters = lock(&self.state).waiters_of(&id);
                    waiters.iter().for_each(|waiter| self.wake(waiter));
                    self.want_if_free(&target);
                }
                Ok(Change::Work(target)) => {
                    if self.holds(&target) {
                        self.rescan(target);
                    } else {
                        self.want_if_free(&target);
                    }
                }
                Ok(Change::Account(target)) => self.account_changed(&target),
                Ok(Change::OpOcc(target, id)) => {
                    if let Some(target) = target.as_ref().filter(|target| !self.holds(target)) {
                        self.want_if_free(target);
                    }
                    self.tell(OpOccHint::Changed(target, id));
                }
                Ok(Change::Action(..) | Change::Forgotten(_) | Change::Events | Change::Subscriptions) => {}
                Err(RecvError::Lagged(_)) => self.rescan_all(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Whether this host drives an account.
    pub(super) fn holds(&self, target: &TargetId) -> bool {
        lock(&self.accounts)
            .get(target)
            .is_some_and(|account| account.hold().is_some())
    }

    /// Somebody has work for an account; if another host drives it, that host hears of it.
    pub(super) fn want_if_free(&self, target: &TargetId) {
        let terms = self.config.leases.as_ref();
        let freedom = lock(&self.sights).freedom(target, &self.config.host, terms, Instant::now());
        if freedom != Freedom::Held {
            self.want(target);
        }
    }

    /// Looks through what is unsettled on an account: a hint may have been lost.
    fn rescan(self: &Arc<Self>, target: TargetId) {
        let scheduler = self.clone();
        self.tasks.spawn(async move {
            if let Err(error) = scheduler.take_up(&target).await {
                tracing::warn!(target_id = %target, error = %error, "unsettled resources not read; again later");
            }
        });
    }

    fn rescan_all(self: &Arc<Self>) {
        for target in self.driven() {
            self.rescan(target);
        }
        // No claim tells that whoever accepted it has died. Two hosts that take it up do no harm: the first write counts.
        self.tell(OpOccHint::TakeUp(None));
        // What waits for elements that another host makes.
        let waiters = lock(&self.state).all_waiters();
        waiters.iter().for_each(|waiter| self.wake(waiter));
    }

    /// An account was added, edited or removed, here or by another host.
    pub(crate) fn account_changed(self: &Arc<Self>, target: &TargetId) {
        if let Some(account) = lock(&self.accounts).get(target) {
            account.forget_connector();
        }
        let (scheduler, target) = (self.clone(), target.clone());
        self.tasks.spawn(async move {
            let there = match scheduler.store.account(&target).await {
                Ok(account) => account.is_some(),
                // Found at the next look at all accounts.
                Err(error) => {
                    tracing::debug!(target_id = %target, error = %error, "edited account not read");
                    return;
                }
            };
            if there {
                lock(&scheduler.sights).know(target.clone());
                scheduler.want_if_free(&target);
            } else {
                scheduler.account_removed(&target).await;
            }
        });
    }

    /// Stops driving an account that was removed, unless there is work left on it.
    async fn account_removed(self: &Arc<Self>, target: &TargetId) {
        let account = lock(&self.accounts).get(target).cloned();
        // Whoever drives it anew waits: it would have the same claim, which is given up here.
        let _gaining = match &account {
            Some(account) => Some(account.gaining.lock().await),
            None => None,
        };
        let unsettled = self.store.unsettled(target, None, 1).await;
        let running = self.store.running_op_occs(Some(target), None, 1).await;
        if unsettled.is_ok_and(|page| page.entries.is_empty()) && running.is_ok_and(|page| page.entries.is_empty()) {
            lock(&self.sights).forget(target);
            if let Some(account) = &account
                && let Some(hold) = account.hold()
                && account.end_hold(&hold)
            {
                lock(&self.state).forget_account(target);
                if let Err(error) = self.store.release_claim(&hold.claim).await {
                    tracing::debug!(target_id = %target, error = %error, "removed account not given up");
                }
            }
            // It may have been added again since it was looked for, and have work that was begun under what has just ended. One that is not
            // read may be there.
            if !matches!(self.store.account(target).await, Ok(None)) {
                lock(&self.sights).know(target.clone());
                self.want_if_free(target);
            }
        }
    }
}
