//! A plugin that only fails is left alone for a while.
//!
//! Every call of a plugin that spins, traps or answers rubbish costs its whole budget of compute time, and the tasks that need it are
//! tried again. After some faults in a row, without a single good answer in between, its calls are refused at once, with the time
//! after which one of them is let through. That one decides: a good answer ends the quarantine, another fault doubles it.
//!
//! What a VIM answers is no fault of the plugin: only what the host itself reports (`ErrorKind::Plugin`) counts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vimhost_connector::{Error, ErrorKind};

use crate::text::cut;

/// Characters of the last fault that are shown.
const SHOWN: usize = 300;

/// When a plugin is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantine {
    /// Faults in a row that lead to it.
    pub faults: u32,
    /// How long the first one lasts.
    pub first: Duration,
    /// How long it lasts at most.
    pub longest: Duration,
}

impl Default for Quarantine {
    /// Twenty faults in a row; half a minute, at most ten.
    fn default() -> Self {
        Self {
            faults: 20,
            first: Duration::from_secs(30),
            longest: Duration::from_secs(600),
        }
    }
}

/// How a plugin has behaved.
#[derive(Debug)]
pub(crate) struct Conduct {
    rules: Quarantine,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    /// Faults since the last good answer.
    faults: u32,
    last: String,
    sentence: Option<Sentence>,
}

#[derive(Debug)]
struct Sentence {
    lasts: Duration,
    until: Instant,
    /// One call is under way to find out.
    tried: bool,
}

impl Conduct {
    pub(crate) fn new(rules: Quarantine) -> Self {
        Self {
            rules,
            record: Mutex::default(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through or refuses it. What is let through has to be judged.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), Error> {
        let mut record = self.record();
        let text = record.text(now);
        let Some(sentence) = &mut record.sentence else {
            return Ok(());
        };
        if now >= sentence.until && !sentence.tried {
            sentence.tried = true;
            return Ok(());
        }
        // Whoever comes while one call finds out waits as long as a first sentence would let it.
        let wait = sentence.until.saturating_duration_since(now);
        Err(Error {
            retry_after: Some(wait.max(Duration::from_secs(1))),
            ..Error::new(ErrorKind::RateLimited, format!("the plugin is in quarantine: {text}"))
        })
    }

    /// Takes the outcome of a call that was let through. True when the plugin is in quarantine from now on.
    pub(crate) fn judge(&self, outcome: Result<(), &Error>, now: Instant) -> bool {
        let mut record = self.record();
        let fault = outcome.err().filter(|error| error.kind == ErrorKind::Plugin);
        let Some(fault) = fault else {
            *record = Record::default();
            return false;
        };
        record.faults = record.faults.saturating_add(1);
        record.last = cut(&fault.message, SHOWN);
        let lasts = match &record.sentence {
            // Calls that began before it tell nothing new.
            Some(sentence) if !sentence.tried => return false,
            Some(sentence) => sentence.lasts.saturating_mul(2).min(self.rules.longest),
            None if record.faults < self.rules.faults => return false,
            None => self.rules.first,
        };
        record.sentence = Some(Sentence {
            lasts,
            until: now + lasts,
            tried: false,
        });
        true
    }

    /// A call that was let through ended without an outcome: its caller has gone away.
    pub(crate) fn withdraw(&self) {
        if let Some(sentence) = &mut self.record().sentence {
            sentence.tried = false;
        }
    }

    /// An operator says that it is mended.
    pub(crate) fn forget(&self) {
        *self.record() = Record::default();
    }

    /// Why the plugin is in quarantine, if it is.
    pub(crate) fn quarantined(&self, now: Instant) -> Option<String> {
        let record = self.record();
        record.sentence.as_ref().map(|_| record.text(now))
    }
}

impl Record {
    fn text(&self, now: Instant) -> String {
        let left = self
            .sentence
            .as_ref()
            .map_or(Duration::ZERO, |sentence| sentence.until.saturating_duration_since(now));
        let next = if left.is_zero() {
            "the next call decides".to_owned()
        } else {
            format!("it is called again in {} s", left.as_secs().max(1))
        };
        format!(
            "{} calls in a row failed by its fault; {next}. The last one: {}",
            self.faults, self.last
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Quarantine = Quarantine {
        faults: 3,
        first: Duration::from_secs(30),
        longest: Duration::from_secs(100),
    };

    fn fault() -> Error {
        Error::new(ErrorKind::Plugin, "it panicked")
    }

    #[test]
    fn faults_in_a_row_lead_to_it_and_answers_and_errors_of_the_vim_do_not() {
        let (conduct, now) = (Conduct::new(RULES), Instant::now());
        let vim = Error::new(ErrorKind::Quota, "too many servers");
        for good in [Ok(()), Err(&vim)] {
            for _ in 0..2 {
                conduct.admit(now).unwrap();
                assert!(!conduct.judge(Err(&fault()), now));
            }
            conduct.judge(good, now);
        }
        assert_eq!(conduct.quarantined(now), None);
        let entered: Vec<_> = (0..3).map(|_| conduct.judge(Err(&fault()), now)).collect();
        assert_eq!(entered, [false, false, true]);
        let refused = conduct.admit(now).unwrap_err();
        assert_eq!(refused.retry_after, Some(RULES.first));
        assert!(
            refused.message.contains("3 calls in a row failed by its fault"),
            "{refused}"
        );
        assert!(refused.message.ends_with("it panicked"), "{refused}");
    }

    #[test]
    fn one_call_decides_when_it_is_over() {
        let (conduct, begun) = (Conduct::new(RULES), Instant::now());
        for _ in 0..3 {
            conduct.judge(Err(&fault()), begun);
        }
        let mut now = begun;
        for lasts in [30, 60, 100, 100] {
            let over = now + Duration::from_secs(lasts);
            assert!(conduct.admit(over - Duration::from_millis(1)).is_err());
            now = over;
            conduct.admit(now).unwrap();
            assert!(conduct.admit(now).is_err(), "one at a time");
            assert!(conduct.judge(Err(&fault()), now));
        }
        now += Duration::from_secs(100);
        conduct.admit(now).unwrap();
        conduct.withdraw();
        conduct.admit(now).unwrap();
        conduct.judge(Ok(()), now);
        assert_eq!(conduct.quarantined(now), None);
        conduct.admit(now).unwrap();
        conduct.admit(now).unwrap();
    }

    #[test]
    fn a_fault_of_a_call_that_began_earlier_does_not_lengthen_it() {
        let (conduct, now) = (Conduct::new(RULES), Instant::now());
        let entered = (0..10).filter(|_| conduct.judge(Err(&fault()), now)).count();
        assert_eq!(entered, 1);
        assert!(conduct.admit(now + RULES.first).is_ok());
    }
}
