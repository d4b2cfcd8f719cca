//! One poller an account: all stacks that are waited for are looked at by one call.
//!
//! Each is looked at at once and then often while it may be one that is made in seconds, so that nobody waits half a second longer than it
//! takes; after that in pauses that grow to five seconds. What is due soon is looked at with what is due now, and looks keep a distance that
//! grows with the number of stacks, so that those of one account fall into step: a minute of waiting costs forty requests for one stack,
//! and less than twenty for a hundred together.

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
/// Longest pause while a stack may be one that is made in seconds, which is for so long.
const SOON: Duration = Duration::from_millis(400);
const SECONDS: Duration = Duration::from_secs(10);
/// Afterwards a pause is this part of what was waited, and no longer than that.
const PART: u32 = 4;
const LONGEST: Duration = Duration::from_secs(5);
/// Distance of looks for each stack beside the first, between these: where many wait, one look more or less a second is nothing to each of
/// them, and much to the VIM.
const DISTANCE: Duration = Duration::from_millis(150);
const SHORTEST_DISTANCE: Duration = Duration::from_millis(200);
const LONGEST_DISTANCE: Duration = Duration::from_secs(6);
/// Pause after a look that failed; doubled up to [`FAILED_CAP`].
const FAILED: Duration = Duration::from_millis(500);
const FAILED_CAP: Duration = Duration::from_secs(30);
/// Stacks of one call.
const BATCH: usize = 500;
/// Pages of one answer that are read in a row.
const MOST_PAGES: usize = 1000;

/// How often it is told that looks fail.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// After that long without a look nobody knows how long a VIM was away: nothing was waited for, or by another host.
const FORGET: Duration = Duration::from_secs(90);

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
    /// When a look failed last.
    last: Option<Instant>,
}

impl Told {
    /// A look failed. If that is to be told: how many failures were left out.
    fn failed(&mut self, now: Instant) -> Option<u64> {
        self.forget_old(now);
        self.last = Some(now);
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
    fn went_well(&mut self, now: Instant) -> Option<(Instant, u64)> {
        self.forget_old(now);
        self.away.take()
    }

    fn forget_old(&mut self, now: Instant) {
        let old = |last: Instant| now.saturating_duration_since(last) > FORGET;
        if self.last.is_some_and(old) {
            self.away = None;
        }
    }
}

/// A stack that is waited for.
struct Watched {
    /// Which wait it is: a look that was begun for an earlier one, before the step at hand, says nothing about this one.
    number: u64,
    stack: StackRef,
    since: Instant,
    due: Instant,
    tell: mpsc::UnboundedSender<Sight>,
}

/// The pause after a look at a stack that was waited for so long.
fn pause(waited: Duration) -> Duration {
    if waited < SECONDS {
        waited.clamp(FIRST, SOON)
    } else {
        (waited / PART).min(LONGEST)
    }
}

#[derive(Default)]
struct State {
    watched: HashMap<VnfLcmOpOccId, Watched>,
    last: u64,
    runs: bool,
    /// When the last look was begun.
    looked: Option<Instant>,
}

impl State {
    /// A wait, if it is still that one.
    fn of(&mut self, op_occ: &VnfLcmOpOccId, number: u64) -> Option<&mut Watched> {
        self.watched.get_mut(op_occ).filter(|watched| watched.number == number)
    }

    /// Begins a wait. Answers its number.
    fn begin(
        &mut self,
        op_occ: &VnfLcmOpOccId,
        stack: StackRef,
        tell: mpsc::UnboundedSender<Sight>,
        now: Instant,
    ) -> u64 {
        self.last = self.last.saturating_add(1);
        let watched = Watched {
            number: self.last,
            stack,
            since: now,
            due: now,
            tell,
        };
        self.watched.insert(op_occ.clone(), watched);
        self.last
    }

    /// How far looks are from each other now. Never more than three quarters of what the oldest has waited, so that stacks which are made fast
    /// are seen fast, however many they are.
    fn distance(&self, now: Instant) -> Duration {
        let others = u32::try_from(self.watched.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let waited = self
            .watched
            .values()
            .map(|watched| now.saturating_duration_since(watched.since));
        let oldest = waited.max().unwrap_or_default();
        let most = (oldest * 3 / 4).clamp(SHORTEST_DISTANCE, LONGEST_DISTANCE);
        DISTANCE.saturating_mul(others).min(most)
    }

    /// When the next look is; none when nothing is waited for.
    fn next(&self, now: Instant) -> Option<Instant> {
        let due = self.watched.values().map(|watched| watched.due).min()?;
        let earliest = self.looked.and_then(|looked| looked.checked_add(self.distance(now)));
        Some(earliest.map_or(due, |earliest| earliest.max(due)))
    }

    /// What is due, and what will be before half of its pause or the distance to the next look is over.
    fn take(&mut self, now: Instant) -> Vec<Look> {
        let distance = self.distance(now);
        self.looked = Some(now);
        let mut taken = Vec::new();
        for (op_occ, watched) in &mut self.watched {
            let pause = pause(now.saturating_duration_since(watched.since));
            let early = distance.max(pause / 2);
            if watched.due.saturating_duration_since(now) > early {
                continue;
            }
            if let Some(due) = now.checked_add(pause) {
                watched.due = due;
            }
            taken.push(Look {
                op_occ: op_occ.clone(),
                number: watched.number,
                stack: watched.stack.clone(),
            });
        }
        taken
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
    /// Outlives the runs: one ends whenever nothing is waited for, perhaps a moment before the next wait.
    told: Mutex<Told>,
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
        let number = state.begin(op_occ, stack.clone(), tell, Instant::now());
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
    loop {
        let due = {
            let mut state = lock(&poller.state);
            let Some(due) = state.next(Instant::now()) else {
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
        let taken = lock(&poller.state).take(Instant::now());
        for batch in taken.chunks(BATCH) {
            match look(&schedule, &right, batch).await {
                Ok(observed) => {
                    failed = FAILED;
                    let back = lock(&poller.told).went_well(Instant::now());
                    if let Some((since, looks)) = back {
                        let away_ms = since.elapsed().as_millis();
                        tracing::info!(target_id = %target, away_ms, failed = looks, "stacks observed again");
                    }
                    spread(&poller, batch, observed);
                }
                Err(error) => {
                    let tell = lock(&poller.told).failed(Instant::now());
                    if let Some(suppressed) = tell {
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
    // Whoever is told has a moment to end the wait: where a look takes longer than its pause, the next one would be due already.
    let earliest = Instant::now().checked_add(FIRST);
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
        watched.due = earliest.map_or(watched.due, |earliest| earliest.max(watched.due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at stacks that are begun one after the other and made for so long, and the longest that one which was made was not seen.
    fn looks(stacks: u32, apart: Duration, made_for: Duration) -> (usize, Duration) {
        let start = Instant::now();
        let (mut state, mut begun, mut looks, mut late) = (State::default(), 0, 0, Duration::ZERO);
        loop {
            let begins = (begun < stacks).then(|| start + apart * begun);
            let at = match (begins, state.next(state.looked.unwrap_or(start))) {
                (Some(begins), Some(next)) if next < begins => next,
                (None, Some(next)) => next,
                (Some(begins), Some(_) | None) => {
                    let (tell, _) = mpsc::unbounded_channel();
                    let op_occ: VnfLcmOpOccId = format!("op-{begun}").parse().unwrap();
                    let stack = StackRef {
                        name: format!("vnf-{begun}"),
                        id: None,
                    };
                    state.begin(&op_occ, stack, tell, begins);
                    begun += 1;
                    continue;
                }
                (None, None) => return (looks, late),
            };
            looks += 1;
            for look in state.take(at) {
                let waited = at - state.watched[&look.op_occ].since;
                if waited >= made_for {
                    late = late.max(waited - made_for);
                    state.watched.remove(&look.op_occ);
                }
            }
        }
    }

    #[test]
    fn a_minute_of_waiting_costs_forty_looks_and_less_than_twenty_where_many_wait() {
        let minute = Duration::from_secs(60);
        for (stacks, apart, most) in [
            (1, 0, 40),
            (2, 0, 40),
            (20, 10, 40),
            (100, 0, 19),
            (100, 20, 19),
            (500, 4, 19),
        ] {
            let (looks, late) = looks(stacks, Duration::from_millis(apart), minute);
            assert!((13..=most).contains(&looks), "{looks} for {stacks}");
            assert!(late <= LONGEST_DISTANCE, "{late:?} for {stacks}");
        }
    }

    #[test]
    fn a_stack_that_is_made_in_seconds_is_seen_within_half_a_second() {
        for tenths in 1..100 {
            let (_, late) = looks(1, Duration::ZERO, Duration::from_millis(100 * tenths));
            assert!(
                late <= Duration::from_millis(450),
                "{late:?} for {tenths} tenths of a second"
            );
        }
    }

    #[test]
    fn stacks_that_are_made_fast_are_seen_fast_however_many_wait() {
        let second = Duration::from_secs(1);
        for stacks in [1, 2, 20, 100] {
            let (_, late) = looks(stacks, Duration::from_millis(2), second);
            assert!(late <= second, "{late:?} for {stacks}");
        }
    }

    #[test]
    fn a_vim_that_is_away_is_told_once_a_minute_and_once_when_it_is_back() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!(told.went_well(now), None, "it was never away");
        assert_eq!(told.failed(now), Some(0));
        assert_eq!(told.failed(now + TELL_EVERY / 2), None);
        assert_eq!(told.failed(now + TELL_EVERY), Some(1));
        assert_eq!(told.went_well(now + TELL_EVERY), Some((now, 3)));
        assert_eq!(told.went_well(now + TELL_EVERY), None);
        // What was not told to be away is not told to be back.
        assert_eq!(told.failed(now + TELL_EVERY), None);
        assert_eq!(told.went_well(now + TELL_EVERY), None);
        assert_eq!(told.failed(now + TELL_EVERY * 2), Some(1));
        assert_eq!(told.went_well(now + TELL_EVERY * 2), Some((now + TELL_EVERY * 2, 1)));
        // Nor is it told to be back after an hour in which nobody looked.
        assert_eq!(told.failed(now + TELL_EVERY * 3), Some(0));
        assert_eq!(told.went_well(now + TELL_EVERY * 63), None);
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
        let now = Instant::now();
        lock(&poller.state).begin(&op_occ, stack.clone(), tell, now);
        let looks = lock(&poller.state).take(now);
        // The step ends, the next one begins, and the look that was under way is answered.
        let (tell, mut after) = mpsc::unbounded_channel();
        lock(&poller.state).begin(&op_occ, stack.clone(), tell, now);
        let gone = || ObservedStacks {
            gone: vec![stack.clone()],
            ..ObservedStacks::default()
        };
        spread(&poller, &looks, gone());
        assert!(before.try_recv().is_err() && after.try_recv().is_err());
        let looks = lock(&poller.state).take(now);
        spread(&poller, &looks, gone());
        assert_eq!(after.try_recv().ok(), Some(Sight::Gone));
    }
}
