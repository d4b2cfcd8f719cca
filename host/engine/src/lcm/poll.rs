//! One poller an account: all stacks that are waited for are looked at by one call.
//!
//! Each is looked at at once, then after growing pauses up to five seconds. What is due soon is looked at with what is due now, so that the
//! stacks of one account fall into step; a minute of waiting costs less than twenty requests, however many stacks there are.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use vimhost_connector::{ObservedStacks, StackObservation, StackRef};
use vimhost_model::{TargetId, VnfLcmOpOccId};

use super::machine::Sight;
use crate::schedule::{Right, Scheduler};

/// Pause after the first look.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(5);
/// Pause after a look that failed; doubled up to [`FAILED_CAP`].
const FAILED: Duration = Duration::from_millis(500);
const FAILED_CAP: Duration = Duration::from_secs(30);
/// Stacks of one call.
const BATCH: usize = 500;
/// Pages of one answer that are read in a row.
const MOST_PAGES: usize = 1000;

/// How often it is told that looks fail.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What is told of looks that fail: that they do, once a minute; and that they go well again, where the first was told. So a VIM that
/// comes and goes adds no more than two lines a minute.
#[derive(Default)]
struct Told {
    /// When a failure was told last.
    at: Option<Instant>,
    /// Failures since then.
    suppressed: u64,
    /// While the VIM is away: since when, and how many looks have failed.
    away: Option<(Instant, u64)>,
}

impl Told {
    /// A look failed. If that is to be told: how many failures were left out.
    fn failed(&mut self, now: Instant) -> Option<u64> {
        if let Some((_, looks)) = &mut self.away {
            *looks = looks.saturating_add(1);
        }
        if self.at.is_some_and(|at| now.saturating_duration_since(at) < TELL_EVERY) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.at = Some(now);
        self.away.get_or_insert((now, 1));
        Some(std::mem::take(&mut self.suppressed))
    }

    /// A look went well. If that is to be told: since when none did, and how many failed.
    fn went_well(&mut self) -> Option<(Instant, u64)> {
        self.away.take()
    }
}

/// A stack that is waited for.
struct Watched {
    /// Which wait it is: a look that was begun for an earlier one, before the step at hand, says nothing about this one.
    number: u64,
    stack: StackRef,
    looks: u32,
    due: Instant,
    tell: mpsc::UnboundedSender<Sight>,
}

/// The pause after so many looks.
fn pause(looks: u32) -> Duration {
    let doubled = 1_u32.checked_shl(looks.min(16)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(doubled).min(LONGEST)
}

#[derive(Default)]
struct State {
    watched: HashMap<VnfLcmOpOccId, Watched>,
    last: u64,
    runs: bool,
}

impl State {
    /// A wait, if it is still that one.
    fn of(&mut self, op_occ: &VnfLcmOpOccId, number: u64) -> Option<&mut Watched> {
        self.watched.get_mut(op_occ).filter(|watched| watched.number == number)
    }

    /// Begins a wait. Answers its number.
    fn begin(&mut self, op_occ: &VnfLcmOpOccId, stack: StackRef, tell: mpsc::UnboundedSender<Sight>) -> u64 {
        self.last = self.last.saturating_add(1);
        let watched = Watched {
            number: self.last,
            stack,
            looks: 0,
            due: Instant::now(),
            tell,
        };
        self.watched.insert(op_occ.clone(), watched);
        self.last
    }
}

/// A wait whose stack is looked at.
struct Look {
    op_occ: VnfLcmOpOccId,
    number: u64,
    stack: StackRef,
}

/// What is looked at on an account.
#[derive(Default)]
struct Poller {
    state: Mutex<State>,
    changed: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pollers of all accounts.
#[derive(Default)]
pub(crate) struct Pollers(Mutex<HashMap<TargetId, Arc<Poller>>>);

/// Ends the watch when it is dropped.
pub(crate) struct Watch {
    poller: Arc<Poller>,
    op_occ: VnfLcmOpOccId,
    number: u64,
    sights: mpsc::UnboundedReceiver<Sight>,
    stack: StackRef,
}

impl Watch {
    /// The next look at the stack.
    pub(crate) async fn next(&mut self) -> Option<Sight> {
        self.sights.recv().await
    }

    /// Whether it is this stack that is watched.
    pub(crate) fn is_of(&self, stack: &StackRef) -> bool {
        self.stack == *stack
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = lock(&self.poller.state);
        if state.of(&self.op_occ, self.number).is_some() {
            state.watched.remove(&self.op_occ);
        }
    }
}

impl Pollers {
    /// Has a stack looked at, from now on.
    pub(crate) fn watch(
        &self,
        schedule: &Arc<Scheduler>,
        right: &Right,
        target: &TargetId,
        op_occ: &VnfLcmOpOccId,
        stack: StackRef,
    ) -> Watch {
        let poller = lock(&self.0).entry(target.clone()).or_default().clone();
        let (tell, sights) = mpsc::unbounded_channel();
        let mut state = lock(&poller.state);
        let number = state.begin(op_occ, stack.clone(), tell);
        let begins = !std::mem::replace(&mut state.runs, true);
        drop(state);
        if begins {
            schedule.run(run(poller.clone(), schedule.clone(), right.clone(), target.clone()));
        } else {
            poller.changed.notify_one();
        }
        Watch {
            poller,
            op_occ: op_occ.clone(),
            number,
            sights,
            stack,
        }
    }
}

/// Looks for as long as anything is waited for.
async fn run(poller: Arc<Poller>, schedule: Arc<Scheduler>, right: Right, target: TargetId) {
    let mut failed = FAILED;
    let mut told = Told::default();
    loop {
        let due = {
            let mut state = lock(&poller.state);
            let Some(due) = state.watched.values().map(|watched| watched.due).min() else {
                state.runs = false;
                return;
            };
            due
        };
        tokio::select! {
            () = right.over().cancelled() => break,
            () = poller.changed.notified() => continue,
            () = tokio::time::sleep_until(due) => {}
        }
        if !right.good().await {
            break;
        }
        let taken = take(&poller);
        for batch in taken.chunks(BATCH) {
            match look(&schedule, &right, batch).await {
                Ok(observed) => {
                    failed = FAILED;
                    if let Some((since, looks)) = told.went_well() {
                        let away_ms = since.elapsed().as_millis();
                        tracing::info!(target_id = %target, away_ms, failed = looks, "stacks observed again");
                    }
                    spread(&poller, batch, observed);
                }
                Err(error) => {
                    if let Some(suppressed) = told.failed(Instant::now()) {
                        tracing::warn!(
                            target_id = %target, stacks = batch.len(), error = %error, retry_ms = failed.as_millis(), suppressed,
                            "stacks not observed"
                        );
                    }
                    let at = Instant::now().checked_add(failed);
                    let mut state = lock(&poller.state);
                    for look in batch {
                        if let (Some(watched), Some(at)) = (state.of(&look.op_occ, look.number), at) {
                            watched.due = at;
                        }
                    }
                    drop(state);
                    failed = failed.saturating_mul(2).min(FAILED_CAP);
                }
            }
        }
    }
    let mut state = lock(&poller.state);
    state.runs = false;
    // Whoever waits sees the right end too.
    state.watched.clear();
}

/// What is due, and what will be before half of its pause is over.
fn take(poller: &Poller) -> Vec<Look> {
    let now = Instant::now();
    let mut state = lock(&poller.state);
    let mut taken = Vec::new();
    for (op_occ, watched) in &mut state.watched {
        let early = pause(watched.looks.saturating_sub(1)) / 2;
        if watched.due.saturating_duration_since(now) > early {
            continue;
        }
        if let Some(due) = now.checked_add(pause(watched.looks)) {
            watched.due = due;
        }
        watched.looks = watched.looks.saturating_add(1);
        taken.push(Look {
            op_occ: op_occ.clone(),
            number: watched.number,
            stack: watched.stack.clone(),
        });
    }
    taken
}

async fn look(schedule: &Scheduler, right: &Right, batch: &[Look]) -> Result<ObservedStacks, vimhost_connector::Error> {
    let connector = schedule.connector_of(right).await?;
    let stacks: Vec<StackRef> = batch.iter().map(|look| look.stack.clone()).collect();
    let mut all = ObservedStacks::default();
    let mut cursor = None;
    for _ in 0..MOST_PAGES {
        let observed = connector.observe_stacks(&stacks, cursor.take()).await?;
        all.changed.extend(observed.changed);
        all.gone.extend(observed.gone);
        if !observed.more || observed.cursor.is_none() {
            break;
        }
        cursor = observed.cursor;
    }
    Ok(all)
}

/// Hands sights to those who wait for them.
fn spread(poller: &Poller, batch: &[Look], observed: ObservedStacks) {
    let gone: HashSet<&StackRef> = observed.gone.iter().collect();
    let by_id: HashMap<_, &StackObservation> = observed
        .changed
        .iter()
        .filter_map(|seen| Some((seen.stack.id.as_ref()?, seen)))
        .collect();
    let by_name: HashMap<&str, &StackObservation> = observed
        .changed
        .iter()
        .map(|seen| (seen.stack.name.as_str(), seen))
        .collect();
    let mut state = lock(&poller.state);
    for Look { op_occ, number, stack } in batch {
        let Some(watched) = state.of(op_occ, *number) else {
            continue;
        };
        let of_id = stack.id.as_ref().and_then(|id| by_id.get(id));
        let seen = of_id.or_else(|| by_name.get(stack.name.as_str()));
        let sight = match seen {
            _ if gone.contains(stack) => Sight::Gone,
            Some(seen) => Sight::Present((*seen).clone()),
            // Neither there nor gone: later again.
            None => continue,
        };
        tracing::debug!(op_occ_id = %op_occ, stack = stack.name, ?sight, "stack observed");
        let _ = watched.tell.send(sight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_waiting_costs_less_than_twenty_looks() {
        let (mut waited, mut looks) = (Duration::ZERO, 0);
        while waited < Duration::from_secs(60) {
            waited += pause(looks);
            looks += 1;
        }
        assert!((13..20).contains(&looks), "{looks}");
    }

    #[test]
    fn a_vim_that_is_away_is_told_once_a_minute_and_once_when_it_is_back() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!(told.went_well(), None, "it was never away");
        assert_eq!(told.failed(now), Some(0));
        assert_eq!(told.failed(now + TELL_EVERY / 2), None);
        assert_eq!(told.failed(now + TELL_EVERY), Some(1));
        assert_eq!(told.went_well(), Some((now, 3)));
        assert_eq!(told.went_well(), None);
        // What was not told to be away is not told to be back.
        assert_eq!(told.failed(now + TELL_EVERY), None);
        assert_eq!(told.went_well(), None);
        assert_eq!(told.failed(now + TELL_EVERY * 2), Some(1));
        assert_eq!(told.went_well(), Some((now + TELL_EVERY * 2, 1)));
    }

    #[test]
    fn a_look_that_was_begun_before_a_step_says_nothing_of_it() {
        let poller = Poller::default();
        let op_occ: VnfLcmOpOccId = "op".parse().unwrap();
        let stack = StackRef {
            name: "vnf-i".to_owned(),
            id: None,
        };
        let (tell, mut before) = mpsc::unbounded_channel();
        lock(&poller.state).begin(&op_occ, stack.clone(), tell);
        let looks = take(&poller);
        // The step ends, the next one begins, and the look that was under way is answered.
        let (tell, mut after) = mpsc::unbounded_channel();
        lock(&poller.state).begin(&op_occ, stack.clone(), tell);
        let gone = || ObservedStacks {
            gone: vec![stack.clone()],
            ..ObservedStacks::default()
        };
        spread(&poller, &looks, gone());
        assert!(before.try_recv().is_err() && after.try_recv().is_err());
        spread(&poller, &take(&poller), gone());
        assert_eq!(after.try_recv().ok(), Some(Sight::Gone));
    }
}
