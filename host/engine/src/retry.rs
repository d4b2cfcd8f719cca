//! Which failed calls are made again, when, and how often: one table.
//!
//! Times grow by doubling up to a cap; the VIM's own `retry-after` counts when it is longer. Jitter is added by the scheduler, so
//! that this table stays pure.

use std::time::Duration;

use vimhost_connector::{Error, ErrorKind, Outcome};
use vimhost_model::TaskAction;

/// No call is put off for longer, whoever asks for it: what the runtime lets a VIM's `retry-after` be. A stored time further ahead is of
/// a clock that was wrong ([`vimhost_model::Timestamp::left`]).
pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// How many repetitions, after the first try.
    tries: u32,
    /// The first pause.
    first: Duration,
    /// The longest pause.
    cap: Duration,
}

const fn rule(tries: u32, first_ms: u64, cap_ms: u64) -> Option<Rule> {
    Some(Rule {
        tries,
        first: Duration::from_millis(first_ms),
        cap: Duration::from_millis(cap_ms),
    })
}

/// For calls of unknown outcome whose kind is not repeated otherwise: a few tries, since the repetition asks by token only.
const RESOLVE: Rule = Rule {
    tries: 4,
    first: Duration::from_millis(250),
    cap: Duration::from_secs(5),
};

/// The table. `None`: the call is not made again.
fn rule_for(action: TaskAction, kind: ErrorKind) -> Option<Rule> {
    let deleting = action == TaskAction::Delete;
    match kind {
        // About a quarter of an hour: a VIM that is upgraded or restarted comes back within it, and LCM waits two hours.
        ErrorKind::Unreachable | ErrorKind::Timeout => rule(32, 250, 30_000),
        // As long as the VIM says; a busy project can take minutes.
        ErrorKind::RateLimited => rule(60, 1000, 30_000),
        // Fault of the VIM: often passes, and repeating a request that crashes a service for hours helps nobody.
        ErrorKind::Internal => rule(6, 500, 10_000),
        // A trap may be an unlucky limit; a plugin that traps three times in a row traps always.
        ErrorKind::Plugin => rule(2, 100, 1000),
        // What is in use is released in a moment: ports of a VM that is just going.
        ErrorKind::Conflict if deleting => rule(20, 250, 5000),
        ErrorKind::Quota | ErrorKind::Auth | ErrorKind::Other if deleting => rule(5, 1000, 15_000),
        ErrorKind::Conflict
        | ErrorKind::Quota
        | ErrorKind::Auth
        | ErrorKind::NotFound
        | ErrorKind::Unsupported
        | ErrorKind::BadRequest
        | ErrorKind::NotGranted
        | ErrorKind::Other => None,
    }
}

/// How long to wait before the call is made again; none when it is given up. `attempt` counts the failed tries before this one.
#[must_use]
pub fn pause(action: TaskAction, error: &Error, attempt: u32) -> Option<Duration> {
    // Whatever a call of unknown outcome began is resolved by its repetition, so it is never the last one at once.
    let unknown = (error.outcome == Outcome::Unknown).then_some(RESOLVE);
    let rule = rule_for(action, error.kind).or(unknown)?;
    if attempt >= rule.tries {
        return None;
    }
    let grown = rule
        .first
        .saturating_mul(1u32.checked_shl(attempt.min(16)).unwrap_or(u32::MAX))
        .min(rule.cap);
    Some(grown.max(error.retry_after.unwrap_or_default()).min(LONGEST_PAUSE))
}

/// How long to wait before a key injection is tried again that has failed so often; none when it is given up (as in NG-RO: 20
/// tries, every 30 s). Not doubled: LCM gives up after ten minutes, and what it waits for is a VM that comes up at some time.
#[must_use]
pub fn injection_pause(failed: u32) -> Option<Duration> {
    const TRIES: u32 = 20;
    const PAUSE: Duration = Duration::from_secs(30);
    (failed < TRIES).then_some(PAUSE)
}

/// How long to wait before an element that is still building is looked at again: at once, then growing by half, at most 5 s.
#[must_use]
pub fn observation_pause(unchanged: u32) -> Duration {
    const FIRST_MS: f64 = 20.0;
    const CAP_MS: f64 = 5000.0;
    let exponent = f64::from(unchanged.min(20));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 20 and 5000"
    )]
    let ms = (FIRST_MS * 1.5f64.powf(exponent)).min(CAP_MS) as u64;
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_end() {
        let error = Error::new(ErrorKind::Unreachable, "no route");
        let pauses: Vec<_> = (0..)
            .map_while(|attempt| pause(TaskAction::Create, &error, attempt))
            .collect();
        assert_eq!(pauses[0], Duration::from_millis(250));
        assert_eq!(pauses[1], Duration::from_millis(500));
        assert_eq!(pauses.len(), 32);
        assert_eq!(*pauses.last().unwrap(), Duration::from_secs(30));
        assert!(pauses.iter().sum::<Duration>() > Duration::from_secs(600));
    }

    #[test]
    fn the_vims_own_word_counts_when_it_is_longer() {
        let mut error = Error::new(ErrorKind::RateLimited, "slow down");
        error.retry_after = Some(Duration::from_secs(7));
        assert_eq!(pause(TaskAction::Create, &error, 0), Some(Duration::from_secs(7)));
        error.retry_after = Some(Duration::MAX);
        assert_eq!(pause(TaskAction::Create, &error, 0), Some(LONGEST_PAUSE));
    }

    #[test]
    fn a_wrong_request_is_never_made_again() {
        for kind in [ErrorKind::BadRequest, ErrorKind::Unsupported] {
            for action in [TaskAction::Create, TaskAction::Delete] {
                assert_eq!(pause(action, &Error::new(kind, "no"), 0), None);
            }
        }
    }

    #[test]
    fn a_call_of_unknown_outcome_is_made_again_to_resolve_it() {
        let mut error = Error::new(ErrorKind::Other, "ended without an answer");
        error.outcome = Outcome::Unknown;
        assert!(pause(TaskAction::Create, &error, 0).is_some());
        assert_eq!(pause(TaskAction::Create, &error, 4), None);
    }

    #[test]
    fn observation_starts_quickly_and_stays_below_five_seconds() {
        assert_eq!(observation_pause(0), Duration::from_millis(20));
        assert_eq!(observation_pause(100), Duration::from_secs(5));
    }
}
