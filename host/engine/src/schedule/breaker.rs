//! Knows when a VIM is away, so that a thousand tasks need not find out one after another, each for as long as a connection takes to
//! fail and with one of the account's few turns in hand.
//!
//! Pure: time comes from outside. What a held back call answers is for the retry table, as if it had been made.

use std::time::{Duration, Instant};

/// So many calls in a row without an answer of the VIM. Above what one service of a VIM that restarts does to calls under way.
const FAILURES: u32 = 10;

/// How long calls are held back first; doubled each time that the one call let through has no answer either, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(500);

/// A VIM that is back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(10);

/// How a call came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The VIM answers, as far as is known.
    Usual,
    /// The VIM is away; this call tries whether it still is.
    Probe,
    /// A look at many elements at once, or what a person asked for: never held back.
    Look,
}

/// Why a call is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldBack {
    /// When another one may be let through.
    pub(super) wait: Duration,
    /// How long the VIM has not answered.
    pub(super) away: Duration,
    /// What came of the last call.
    pub(super) last: String,
}

/// Whether calls are held back now.
#[derive(Debug, Clone)]
struct Shut {
    until: Instant,
    pause: Duration,
    probing: bool,
}

/// What is known of one account's VIM.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Calls in a row that had no answer, and when the first of them ended.
    failures: u32,
    since: Option<Instant>,
    last: String,
    shut: Option<Shut>,
}

impl Breaker {
    /// A call is to be made.
    pub(super) fn ask(&mut self, now: Instant) -> Result<Pass, HeldBack> {
        let Some(shut) = &mut self.shut else {
            return Ok(Pass::Usual);
        };
        if !shut.probing && shut.until <= now {
            shut.probing = true;
            return Ok(Pass::Probe);
        }
        // While one is under way nobody knows when it ends.
        let wait = shut.until.saturating_duration_since(now);
        Err(HeldBack {
            wait: if wait.is_zero() { shut.pause } else { wait },
            away: self
                .since
                .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            last: self.last.clone(),
        })
    }

    /// The VIM answered, be it with an error. True: it had been away.
    pub(super) fn answered(&mut self) -> bool {
        self.failures = 0;
        self.since = None;
        self.shut.take().is_some()
    }

    /// A call had no answer. True: calls are held back from here on.
    pub(super) fn unanswered(&mut self, pass: Pass, words: &str, now: Instant) -> bool {
        self.since.get_or_insert(now);
        words.clone_into(&mut self.last);
        if let Some(shut) = &mut self.shut {
            // One that was under way before says nothing new, and a look has a pace of its own.
            if pass == Pass::Probe {
                shut.pause = shut.pause.saturating_mul(2).min(LONGEST);
                shut.until = now + shut.pause;
                shut.probing = false;
            }
            return false;
        }
        self.failures += 1;
        if self.failures < FAILURES {
            return false;
        }
        self.shut = Some(Shut {
            until: now + FIRST,
            pause: FIRST,
            probing: false,
        });
        true
    }

    /// A call was given up before its end.
    pub(super) fn given_up(&mut self, pass: Pass) {
        if let (Pass::Probe, Some(shut)) = (pass, &mut self.shut) {
            shut.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A breaker that holds calls back since a moment.
    fn shut(at: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for number in 1..=FAILURES {
            assert_eq!(breaker.ask(at), Ok(Pass::Usual));
            assert_eq!(breaker.unanswered(Pass::Usual, "refused", at), number == FAILURES);
        }
        breaker
    }

    #[test]
    fn calls_are_held_back_after_ten_in_a_row_and_say_for_how_long_and_why() {
        let begun = Instant::now();
        let mut breaker = shut(begun);
        let held = breaker.ask(begun + Duration::from_millis(200)).unwrap_err();
        assert_eq!(held.wait, Duration::from_millis(300));
        assert_eq!(held.away, Duration::from_millis(200));
        assert_eq!(held.last, "refused");
    }

    #[test]
    fn an_answer_in_between_begins_the_row_anew() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert!(!breaker.unanswered(Pass::Usual, "refused", now));
        }
        assert!(!breaker.answered(), "it was not held to be away");
        for _ in 1..FAILURES {
            assert!(!breaker.unanswered(Pass::Usual, "refused", now));
        }
        assert_eq!(breaker.ask(now), Ok(Pass::Usual));
    }

    #[test]
    fn one_call_at_a_time_tries_again_and_pauses_grow_up_to_ten_seconds() {
        let mut now = Instant::now();
        let mut breaker = shut(now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let held = breaker.ask(now).unwrap_err();
            pauses.push(held.wait.as_millis());
            now += held.wait;
            assert_eq!(breaker.ask(now), Ok(Pass::Probe));
            assert!(breaker.ask(now).is_err(), "a second one beside it");
            // Those that were under way when it was shut change nothing.
            assert!(!breaker.unanswered(Pass::Usual, "late", now));
            assert!(breaker.ask(now).is_err());
            assert!(!breaker.unanswered(Pass::Probe, "refused", now));
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    }

    #[test]
    fn whoever_is_answered_lets_all_through_again() {
        for pass in [Pass::Probe, Pass::Look, Pass::Usual] {
            let begun = Instant::now();
            let mut breaker = shut(begun);
            if pass == Pass::Probe {
                assert_eq!(breaker.ask(begun + FIRST), Ok(Pass::Probe));
            }
            assert!(breaker.answered(), "{pass:?}");
            assert_eq!(breaker.ask(begun), Ok(Pass::Usual), "{pass:?}");
        }
    }

    #[test]
    fn a_try_that_was_given_up_leaves_room_for_another() {
        let begun = Instant::now();
        let mut breaker = shut(begun);
        assert_eq!(breaker.ask(begun + FIRST), Ok(Pass::Probe));
        breaker.given_up(Pass::Usual);
        assert!(breaker.ask(begun + FIRST).is_err());
        breaker.given_up(Pass::Probe);
        assert_eq!(breaker.ask(begun + FIRST), Ok(Pass::Probe));
    }
}
