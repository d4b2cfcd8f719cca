//! What goes wrong on request.
//!
//! [`Faults`] is the script a test writes; [`Armed`] is the script with its counters. Counters start when a script is
//! set, so "the 2nd create" means the second one from then on, whatever happened before. All randomness (jitter) comes
//! from the script's seed: the same script and the same order of calls give the same delays.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::{Call, Kind, Operation};

/// The script of faults; the default is a VIM that works and is quick.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every call to `/v1` waits this long before it is worked on.
    pub latency_ms: u64,
    /// Up to this much is added to the wait, evenly spread.
    pub jitter_ms: u64,
    /// Where jitter comes from.
    pub seed: u64,
    /// Waits for some calls; the first entry that matches replaces `latency_ms` and `jitter_ms`.
    pub latency: Vec<Latency>,
    /// Calls that are refused without being worked on. The first entry that fires decides.
    pub fail: Vec<Fail>,
    /// Calls whose work is done and whose connection is then closed without an answer.
    pub answer_lost: Vec<AnswerLost>,
    /// Servers that end in ERROR.
    pub server_error: Vec<ServerError>,
    /// Stacks that fail to be made, changed or deleted.
    pub stack_error: Vec<StackError>,
    /// How many elements of a kind may exist; presets do not count.
    pub quota: BTreeMap<Kind, u64>,
    /// How long a new server stays in BUILD.
    pub build_delay_ms: u64,
    /// How long a new volume stays in `creating`.
    pub volume_delay_ms: u64,
    /// How long reboot, rebuild, migrate and resize take.
    pub action_delay_ms: u64,
    /// How long a server that is deleted stays in DELETING; the deletion is then answered with 202.
    pub server_delete_delay_ms: u64,
    /// How long a stack is made or changed.
    pub stack_delay_ms: u64,
    /// How long a stack is deleted; the deletion is then answered with 202.
    pub stack_delete_delay_ms: u64,
    /// How long after that the name of a deleted stack is still taken.
    pub stack_purge_delay_ms: u64,
    /// Revokes all tokens at the moment the script is set; never kept.
    pub expire_tokens: bool,
}

/// A wait for the calls of a kind, of an operation, or of both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// Which kind; all when absent.
    pub kind: Option<Kind>,
    /// Which operation; all when absent.
    pub operation: Option<Operation>,
    /// How long such a call waits.
    pub latency_ms: u64,
    /// Up to this much is added.
    pub jitter_ms: u64,
}

/// Refuses calls without working on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fail {
    /// Which kind; all when absent.
    pub kind: Option<Kind>,
    /// Which operation; all when absent.
    pub operation: Option<Operation>,
    /// The call that fails, counted from 1; see [`Fail::every`].
    pub nth: Option<NonZeroU64>,
    /// Every so many calls; with `nth`, from that call on. Neither means every call.
    pub every: Option<NonZeroU64>,
    /// The status of the answer, 400 to 599.
    pub status: u16,
    /// The message of the answer.
    pub message: String,
    /// Sent as `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}

impl Default for Fail {
    fn default() -> Self {
        Self {
            kind: None,
            operation: None,
            nth: None,
            every: None,
            status: 500,
            message: "scripted failure".to_owned(),
            retry_after_s: None,
        }
    }
}

/// Does the work and closes the connection without an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerLost {
    /// Which kind; all when absent.
    pub kind: Option<Kind>,
    /// Which operation; all when absent.
    pub operation: Option<Operation>,
    /// The call whose answer is lost, counted from 1; with `every` the first of them.
    pub nth: Option<NonZeroU64>,
    /// Every so many calls. Neither means every call.
    pub every: Option<NonZeroU64>,
}

/// Lets a server end in ERROR instead of ACTIVE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerError {
    /// Only servers of this name count; `*` stands for any text.
    pub name: Option<String>,
    /// Which of them, counted from 1 in order of creation; with `every` the first of them.
    pub nth: Option<NonZeroU64>,
    /// Every so many of them. Neither means all.
    pub every: Option<NonZeroU64>,
    /// The fault's message.
    pub message: String,
}

impl Default for ServerError {
    fn default() -> Self {
        Self {
            name: None,
            nth: None,
            every: None,
            message: "No valid host was found.".to_owned(),
        }
    }
}

/// Lets a stack fail instead of being complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StackError {
    /// Only stacks of this name count; `*` stands for any text.
    pub name: Option<String>,
    /// What fails: `create`, `update` or `delete`. Any of them when absent.
    pub operation: Option<Operation>,
    /// Which of them, counted from 1 in the order of the requests; with `every` the first of them.
    pub nth: Option<NonZeroU64>,
    /// Every so many of them. Neither means all.
    pub every: Option<NonZeroU64>,
    /// The reason the stack gives.
    pub message: String,
}

impl Default for StackError {
    fn default() -> Self {
        Self {
            name: None,
            operation: None,
            nth: None,
            every: None,
            message: "Went to status ERROR due to \"No valid host was found.\"".to_owned(),
        }
    }
}

/// A script that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFaults {
    /// A refusal must look like one.
    #[error("a scripted failure has status {0}; it must be 400 to 599")]
    Status(u16),
    /// The session is no collection.
    #[error("a quota is of a collection, and the session is none")]
    SessionQuota,
}

impl Faults {
    /// Whether the script can be followed.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), InvalidFaults> {
        if let Some(fail) = self.fail.iter().find(|fail| !(400..600).contains(&fail.status)) {
            return Err(InvalidFaults::Status(fail.status));
        }
        if self.quota.contains_key(&Kind::Session) {
            return Err(InvalidFaults::SessionQuota);
        }
        Ok(())
    }
}

/// What happens to one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    pub(crate) fail: Option<Fail>,
    pub(crate) answer_lost: bool,
}

/// A script and how often each of its entries was met.
#[derive(Debug, Default)]
pub(crate) struct Armed {
    script: Faults,
    calls: u64,
    failed: Vec<u64>,
    lost: Vec<u64>,
    servers: Vec<u64>,
    stacks: Vec<u64>,
}

impl Armed {
    pub(crate) fn new(script: Faults) -> Self {
        let script = Faults {
            expire_tokens: false,
            ..script
        };
        Self {
            calls: 0,
            failed: vec![0; script.fail.len()],
            lost: vec![0; script.answer_lost.len()],
            servers: vec![0; script.server_error.len()],
            stacks: vec![0; script.stack_error.len()],
            script,
        }
    }

    pub(crate) fn script(&self) -> &Faults {
        &self.script
    }

    /// Counts the call in every entry that matches it, also in those that another entry overrules.
    pub(crate) fn judge(&mut self, call: Call) -> Verdict {
        self.calls += 1;
        let mut verdict = Verdict {
            delay: self.delay(call),
            ..Verdict::default()
        };
        for (fail, seen) in self.script.fail.iter().zip(&mut self.failed) {
            if matches(fail.kind, fail.operation, call) && fires(seen, fail.nth, fail.every) && verdict.fail.is_none() {
                verdict.fail = Some(fail.clone());
            }
        }
        for (lost, seen) in self.script.answer_lost.iter().zip(&mut self.lost) {
            if matches(lost.kind, lost.operation, call) && fires(seen, lost.nth, lost.every) {
                verdict.answer_lost = true;
            }
        }
        verdict
    }

    /// The fault a server of this name shall end with. To be called once for each server created.
    pub(crate) fn server_fault(&mut self, name: &str) -> Option<String> {
        let mut message = None;
        for (error, seen) in self.script.server_error.iter().zip(&mut self.servers) {
            if error.name.as_ref().is_none_or(|pattern| glob(pattern, name))
                && fires(seen, error.nth, error.every)
                && message.is_none()
            {
                message = Some(error.message.clone());
            }
        }
        message
    }

    /// Why what is being done to a stack of this name shall fail. To be called once for each creation, update and deletion.
    pub(crate) fn stack_fault(&mut self, name: &str, operation: Operation) -> Option<String> {
        let mut message = None;
        for (error, seen) in self.script.stack_error.iter().zip(&mut self.stacks) {
            if error.name.as_ref().is_none_or(|pattern| glob(pattern, name))
                && error.operation.is_none_or(|wanted| wanted == operation)
                && fires(seen, error.nth, error.every)
                && message.is_none()
            {
                message = Some(error.message.clone());
            }
        }
        message
    }

    fn delay(&self, call: Call) -> Duration {
        let (latency, jitter) = self
            .script
            .latency
            .iter()
            .find(|entry| matches(entry.kind, entry.operation, call))
            .map_or((self.script.latency_ms, self.script.jitter_ms), |entry| {
                (entry.latency_ms, entry.jitter_ms)
            });
        let extra = match jitter.checked_add(1) {
            Some(span) if jitter > 0 => mix(self.script.seed, self.calls) % span,
            _ => 0,
        };
        Duration::from_millis(latency.saturating_add(extra))
    }
}

fn matches(kind: Option<Kind>, operation: Option<Operation>, call: Call) -> bool {
    kind.is_none_or(|kind| kind == call.kind) && operation.is_none_or(|operation| operation == call.operation)
}

fn fires(seen: &mut u64, nth: Option<NonZeroU64>, every: Option<NonZeroU64>) -> bool {
    *seen += 1;
    match (nth, every) {
        (None, None) => true,
        (Some(nth), None) => *seen == nth.get(),
        (None, Some(every)) => *seen % every == 0,
        (Some(nth), Some(every)) => seen.checked_sub(nth.get()).is_some_and(|after| after % every == 0),
    }
}

/// Whether the text fits the pattern, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts = tail.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// SplitMix64: enough to spread delays, and the same on every machine.
fn mix(seed: u64, step: u64) -> u64 {
    let mut z = seed.wrapping_add(step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: Call = Call {
        kind: Kind::Servers,
        operation: Operation::Create,
    };
    const LIST: Call = Call {
        kind: Kind::Servers,
        operation: Operation::List,
    };

    fn rounds(nth: Option<u64>, every: Option<u64>) -> Vec<u64> {
        let mut seen = 0;
        (1..=9)
            .filter(|_| {
                fires(
                    &mut seen,
                    nth.and_then(NonZeroU64::new),
                    every.and_then(NonZeroU64::new),
                )
            })
            .collect()
    }

    #[test]
    fn nth_and_every_choose_calls() {
        assert_eq!(rounds(Some(3), None), [3]);
        assert_eq!(rounds(None, Some(4)), [4, 8]);
        assert_eq!(rounds(Some(2), Some(3)), [2, 5, 8]);
        assert_eq!(rounds(None, None), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn an_entry_counts_only_calls_it_matches() {
        let fail = Fail {
            operation: Some(Operation::Create),
            nth: NonZeroU64::new(2),
            ..Fail::default()
        };
        let mut armed = Armed::new(Faults {
            fail: vec![fail],
            ..Faults::default()
        });
        assert!(armed.judge(CREATE).fail.is_none());
        assert!(armed.judge(LIST).fail.is_none());
        assert!(armed.judge(CREATE).fail.is_some());
        assert!(armed.judge(CREATE).fail.is_none());
    }

    #[test]
    fn jitter_is_bounded_and_repeats_with_its_seed() {
        let script = Faults {
            latency_ms: 10,
            jitter_ms: 5,
            seed: 42,
            ..Faults::default()
        };
        let delays = |mut armed: Armed| (0..50).map(|_| armed.judge(LIST).delay.as_millis()).collect::<Vec<_>>();
        let first = delays(Armed::new(script.clone()));
        assert_eq!(first, delays(Armed::new(script)));
        assert!(first.iter().all(|delay| (10..=15).contains(delay)));
        assert!(first.iter().any(|delay| *delay != first[0]));
    }

    #[test]
    fn the_first_latency_entry_that_matches_replaces_the_general_one() {
        let entry = Latency {
            operation: Some(Operation::Create),
            latency_ms: 70,
            ..Latency::default()
        };
        let mut armed = Armed::new(Faults {
            latency_ms: 3,
            latency: vec![entry],
            ..Faults::default()
        });
        assert_eq!(armed.judge(CREATE).delay, Duration::from_millis(70));
        assert_eq!(armed.judge(LIST).delay, Duration::from_millis(3));
    }

    #[test]
    fn patterns_match_names() {
        assert!(glob("bad", "bad") && !glob("bad", "badly"));
        assert!(glob("bad*", "badly") && glob("*vdu*", "ns-vdu-1") && glob("*", ""));
        assert!(glob("a*b*c", "a-b-b-c") && !glob("a*b*c", "a-c"));
        assert!(!glob("*-1", "vdu-12"));
    }

    #[test]
    fn a_failure_must_have_a_failing_status() {
        let script = Faults {
            fail: vec![Fail {
                status: 200,
                ..Fail::default()
            }],
            ..Faults::default()
        };
        assert_eq!(script.check(), Err(InvalidFaults::Status(200)));
    }
}
