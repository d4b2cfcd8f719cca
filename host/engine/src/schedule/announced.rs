//! How old announcements are.
//!
//! A connector that finds nothing by a token asks how long ago the last request with that token can have left: until the VIM's own time
//! limits are over its element may still appear. A time of day does not tell. It was written by another host, or before somebody set
//! the clock; and a request may follow its announcement only minutes later. So no clock is compared with another one:
//!
//! ```text
//! announced by this host       ├─ call ── begin ── request ─┤─────── age ──────►
//! announced by an earlier one   … ── request ─┤ its right ends   ├─ this host has the account ── age ──►
//! ```
//!
//! No request outlives its call, and none of an earlier holder outlives its right ([`super::lease`]), so the age is never more than the
//! time since the last request. It is less where a host dies: what it left unresolved is waited for anew, from the claim.
//!
//! What an operation announces is another matter. It is no element with a token; a connector looks whether the VIM shows that it has
//! happened *since it was announced*. That age counts from the announcement, and must not be less. Of an announcement by an earlier holder
//! only the time of day is known; it is as old as the claim at least.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vimhost_connector::is_of_any_operation;
use vimhost_model::{JournalEntry, Timestamp};

use super::lock;

/// How long it is remembered when a call ended. Connectors wait for two minutes at most; what is forgotten counts from the claim, which
/// is longer ago.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Kind and token: the entry of a volume that a VM made anew takes over has another number in another journal.
type Key = (String, String);

#[derive(Debug, Clone, Copy)]
struct Times {
    begun: Instant,
    /// When the call ended.
    over: Instant,
}

/// What calls of an account announced and did not resolve.
#[derive(Debug, Default)]
pub(super) struct Announced(Mutex<HashMap<Key, Times>>);

impl Announced {
    /// The age of an entry as a call at `at` is told it, by a host that has held the account since `held`; `element` is the call's token.
    fn age(&self, entry: &JournalEntry, element: &str, held: Instant, (at, now): (Instant, Timestamp)) -> Duration {
        let since = |earlier: Instant| at.saturating_duration_since(earlier);
        let key = (entry.kind.clone(), entry.token.clone());
        // What ended before that may have been announced again by another host.
        let known = lock(&self.0).get(&key).copied().filter(|times| times.over >= held);
        if is_of_any_operation(&entry.token, element) {
            return known.map_or_else(
                || now.since(entry.begun_at).max(since(held)),
                |times| since(times.begun),
            );
        }
        since(known.map_or(held, |times| times.over))
    }

    fn ended(&self, open: impl IntoIterator<Item = (Key, Instant)>, over: Instant) {
        let mut known = lock(&self.0);
        known.retain(|_, times| over.saturating_duration_since(times.over) < REMEMBERED);
        let open = open.into_iter();
        known.extend(open.map(|(key, begun)| (key, Times { begun, over })));
    }
}

/// What one call announces.
#[derive(Debug)]
pub(crate) struct Calling {
    announced: Arc<Announced>,
    held: Instant,
    /// By number, as long as it is not resolved.
    open: Mutex<HashMap<u64, (Key, Instant)>>,
}

impl Calling {
    /// A call of a host that has held the account since then.
    pub(super) fn new(announced: &Arc<Announced>, held: Instant) -> Arc<Self> {
        Arc::new(Self {
            announced: announced.clone(),
            held,
            open: Mutex::default(),
        })
    }

    /// The entries as the call is shown them: each with a time that is as long before `now` as it is old.
    pub(crate) fn dated<'e>(
        &self,
        entries: impl Iterator<Item = &'e JournalEntry>,
        element: &str,
        now: Timestamp,
    ) -> Vec<JournalEntry> {
        let moment = (Instant::now(), now);
        let dated = |entry: &JournalEntry| JournalEntry {
            begun_at: now.minus(self.announced.age(entry, element, self.held, moment)),
            ..entry.clone()
        };
        entries.map(dated).collect()
    }

    /// The call has announced it; a request may follow.
    pub(crate) fn begun(&self, entry: u64, kind: &str, token: &str) {
        let key = (kind.to_owned(), token.to_owned());
        lock(&self.open).insert(entry, (key, Instant::now()));
    }

    /// It is known what became of it.
    pub(crate) fn resolved(&self, entry: u64) {
        lock(&self.open).remove(&entry);
    }

    /// To be kept until the call has ended, in whichever way.
    pub(crate) fn until_over(self: &Arc<Self>) -> UntilOver {
        UntilOver(self.clone())
    }
}

/// Notes when the call ended.
pub(crate) struct UntilOver(Arc<Calling>);

impl Drop for UntilOver {
    fn drop(&mut self) {
        let open = std::mem::take(&mut *lock(&self.0.open));
        if !open.is_empty() {
            self.0.announced.ended(open.into_values(), Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vimhost_model::JournalStatus;

    /// What the clock shows at the moment that tests look at.
    const NOW: Timestamp = Timestamp(10_000_000);

    fn entry(token: &str, begun_at: Timestamp) -> JournalEntry {
        JournalEntry {
            id: 1,
            kind: "server".to_owned(),
            token: token.to_owned(),
            status: JournalStatus::Begun,
            begun_at,
            element: None,
        }
    }

    fn key(token: &str) -> Key {
        ("server".to_owned(), token.to_owned())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_another_host_announced_is_as_old_as_the_claim_whatever_its_clock_showed() {
        let (announced, held) = (Announced::default(), Instant::now());
        for begun_at in [
            Timestamp(0),
            NOW.minus(seconds(120)),
            NOW.minus(seconds(7)),
            NOW.plus(seconds(113)),
            NOW.plus(seconds(10_000_000)),
        ] {
            for since in [0, 7, 119, 120] {
                let moment = (held + seconds(since), NOW.plus(seconds(since)));
                let age = announced.age(&entry("t", begun_at), "t", held, moment);
                assert_eq!(age, seconds(since), "{begun_at:?}");
            }
        }
    }

    #[test]
    fn what_this_host_announced_counts_from_the_end_of_the_call_and_no_clock_is_asked() {
        let (announced, held) = (Announced::default(), Instant::now());
        announced.ended([(key("t.p0"), held + seconds(10))], held + seconds(70));
        let own = entry("t.p0", NOW);
        for clock in [Timestamp(0), NOW, NOW.plus(seconds(3600))] {
            let age = |at| announced.age(&own, "t", held, (held + seconds(at), clock));
            assert_eq!((age(70), age(190)), (seconds(0), seconds(120)));
        }
        // Announced again.
        announced.ended([(key("t.p0"), held + seconds(200))], held + seconds(201));
        let age = |token| announced.age(&entry(token, NOW), "t", held, (held + seconds(261), NOW));
        assert_eq!(age("t.p0"), seconds(60));
        assert_eq!(age("t.p1"), seconds(261));
    }

    #[test]
    fn what_was_announced_before_the_account_was_lost_counts_from_when_it_was_gained_again() {
        let (announced, first) = (Announced::default(), Instant::now());
        announced.ended([(key("t"), first)], first + seconds(1));
        let held = first + seconds(100);
        let age = announced.age(&entry("t", NOW), "t", held, (held + seconds(3), NOW));
        assert_eq!(age, seconds(3));
    }

    #[test]
    fn what_an_operation_announced_counts_from_there() {
        let (announced, held) = (Announced::default(), Instant::now());
        announced.ended([(key("t.op-1"), held + seconds(10))], held + seconds(70));
        let age = |token, begun_at| announced.age(&entry(token, begun_at), "t", held, (held + seconds(71), NOW));
        assert_eq!(age("t.op-1", NOW), seconds(61));
        // An earlier holder's is as old as its clock says, and older than the claim.
        assert_eq!(age("t.op-2", NOW.minus(seconds(80))), seconds(80));
        assert_eq!(age("t.op-2", NOW.plus(seconds(80))), seconds(71));
    }

    #[test]
    fn a_call_remembers_what_it_left_open_and_nothing_for_ever() {
        let (announced, held) = (Arc::new(Announced::default()), Instant::now());
        let calling = Calling::new(&announced, held);
        let until_over = calling.until_over();
        for (number, token) in [(1, "t.p0"), (2, "t.p1"), (3, "t")] {
            calling.begun(number, "server", token);
        }
        calling.resolved(1);
        assert!(lock(&announced.0).is_empty());
        drop(until_over);
        let mut known: Vec<Key> = lock(&announced.0).keys().cloned().collect();
        known.sort();
        assert_eq!(known, [key("t"), key("t.p1")]);

        announced.ended([(key("u"), held)], Instant::now() + REMEMBERED);
        assert_eq!(lock(&announced.0).len(), 1);
    }

    #[test]
    fn a_call_is_shown_times_by_its_own_clock() {
        let announced = Arc::new(Announced::default());
        let calling = Calling::new(&announced, Instant::now());
        let ahead = entry("t", NOW.plus(seconds(113)));
        let shown = calling.dated([&ahead].into_iter(), "t", NOW);
        let age = NOW.since(shown[0].begun_at);
        assert!(age < seconds(100) && shown[0].begun_at <= NOW, "{age:?}");
        assert_eq!((shown[0].id, &shown[0].token), (ahead.id, &ahead.token));
    }
}
