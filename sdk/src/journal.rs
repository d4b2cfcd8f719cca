//! The journal: what a connector does so that no crash, trap or lost answer leaves an element nobody knows of.
//!
//! ```text
//! no entry ──► begin ──► create ─┬─ answered ─► commit          an entry committed: its id, nothing else happens
//!                                ├─ refused ──► forget          an entry begun: find by token ─┬─ found ─► commit
//!                                └─ unknown ──► stays begun                                    └─ none ──► create, once
//!                                                                                                        it is old enough:
//!                                                                                                        begun anew
//! ```
//!
//! [`Call::create_once`] is this picture; [`Call::delete_journalled`] is its mirror. Both take the VIM's side as closures:
//! how an element is found by its token, made, and deleted.

use std::time::Duration;

use crate::error::{Failure, Outcome};
use crate::host;
use crate::types::{Call, DeleteStep, Error, ErrorKind, JournalEntry, JournalStatus, Token, VimId};

/// How far a deletion came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The VIM has confirmed that the element does not exist.
    Gone,
    /// The VIM has accepted it and takes its time: the host observes the element and calls again when it is gone. For the call's
    /// main element only.
    Accepted,
    /// Something must happen first, or the VIM shows nothing that could be observed; for people.
    Waiting(String),
}

impl Removal {
    /// Both: gone when both are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Gone, other) => other,
            (waiting @ Self::Waiting(_), _) | (_, waiting @ Self::Waiting(_)) => waiting,
            (Self::Accepted, Self::Gone | Self::Accepted) => Self::Accepted,
        }
    }

    /// The answer of a deleting function; what is waited for is asked about after a growing time.
    #[must_use]
    pub fn into_step(self, call: &Call, first_ms: u32, longest_ms: u32) -> DeleteStep {
        match self {
            Self::Gone => DeleteStep::Done,
            Self::Accepted => DeleteStep::Accepted,
            Self::Waiting(reason) => DeleteStep::Pending(call.wait(reason, first_ms, longest_ms)),
        }
    }
}

impl Call {
    /// The token of the call's main element (no suffix) or of a child of it.
    #[must_use]
    pub fn sub_token(&self, suffix: &str) -> Token {
        if suffix.is_empty() {
            self.token.clone()
        } else {
            format!("{}.{suffix}", self.token)
        }
    }

    /// The token under which the call announces what it does to an element that exists: the operation's, for calls that have one.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.operation.as_deref().unwrap_or(&self.token)
    }

    /// What an earlier call noted about an element.
    #[must_use]
    pub fn entry(&self, kind: &str, token: &str) -> Option<&JournalEntry> {
        self.journal
            .iter()
            .find(|entry| entry.kind == kind && entry.token == token)
    }

    /// Makes an element exactly once, however often the call is repeated, and answers its id.
    ///
    /// `suffix` names the child (`p0`); empty for the call's main element. `find` looks for elements that carry a token, oldest
    /// first, `create` makes one that carries it. `find` is only called when an earlier try did not learn its outcome.
    ///
    /// `settled` is how long after a lost answer the VIM may still bring the element about: its own time limits for one
    /// request. Until then a search that finds nothing proves nothing, and the call fails with a time-out that names when to
    /// try again. Each announcement begins that time anew, because a request follows it; and the host counts it from the end of the
    /// call that announced, so that it does not matter what `create` does before its request.
    ///
    /// # Errors
    ///
    /// What `find`, `create` or the host's journal failed with. After a refusal the announcement is taken back; after an
    /// unknown outcome it stays, and the next call resolves it.
    pub fn create_once(
        &self,
        kind: &str,
        suffix: &str,
        settled: Duration,
        find: impl FnOnce(&str) -> Result<Vec<VimId>, Failure>,
        create: impl FnOnce(&str) -> Result<VimId, Failure>,
    ) -> Result<VimId, Failure> {
        self.once(kind, &self.sub_token(suffix), settled, find, create)
    }

    fn once(
        &self,
        kind: &str,
        token: &str,
        settled: Duration,
        find: impl FnOnce(&str) -> Result<Vec<VimId>, Failure>,
        create: impl FnOnce(&str) -> Result<VimId, Failure>,
    ) -> Result<VimId, Failure> {
        if let Some(entry) = self.entry(kind, token) {
            if let (JournalStatus::Committed, Some(id)) = (entry.status, &entry.element) {
                return Ok(id.clone());
            }
            let found = find(token).map_err(|failure| failure.while_doing("looking for what an earlier try began"))?;
            if let Some(id) = single(kind, token, found) {
                host::journal_commit(entry.id, &id)?;
                return Ok(id);
            }
            if let Some(left) = unsettled(entry, settled) {
                return Err(may_still_appear(kind, token, left));
            }
        }
        let entry = host::journal_begin(kind, token)?;
        match create(token) {
            Ok(id) => {
                host::journal_commit(entry, &id)?;
                Ok(id)
            }
            Err(failure) => {
                if failure.outcome == Outcome::NotDone {
                    host::journal_forget(entry)?;
                }
                Err(failure)
            }
        }
    }

    /// Does something to an existing element once: a reboot, an update. For what leaves no trace a token could be found by.
    ///
    /// It is announced under the operation's token, so a repetition of this operation does nothing, and the next operation of
    /// the same kind is done. A try whose outcome is unknown is done again, unless `happened` can see that it was done.
    ///
    /// # Errors
    ///
    /// As [`Call::create_once`].
    pub fn do_once(
        &self,
        kind: &str,
        element: &str,
        happened: impl FnOnce() -> Result<bool, Failure>,
        act: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let id = || element.to_owned();
        self.once(
            kind,
            self.operation(),
            Duration::ZERO,
            |_| Ok(if happened()? { vec![id()] } else { Vec::new() }),
            |_| act().map(|()| id()),
        )
        .map(drop)
    }

    /// Deletes everything the journal names whose kind `which` chooses, newest first, and takes each entry out once the VIM
    /// has confirmed.
    ///
    /// All of them are tried, also when one fails. An entry that was begun and never committed is looked for by its token, and
    /// for as long as `settled` what was not found is waited for ([`Call::create_once`]).
    ///
    /// # Errors
    ///
    /// The first failure, after the others were tried.
    pub fn delete_journalled(
        &self,
        which: impl Fn(&str) -> bool,
        settled: Duration,
        find: impl Fn(&str, &str) -> Result<Vec<VimId>, Failure>,
        delete: impl Fn(&str, &str) -> Result<Removal, Failure>,
    ) -> Result<Removal, Failure> {
        let mut removal = Removal::Gone;
        let mut first_failure = None;
        for entry in self.journal.iter().rev().filter(|entry| which(&entry.kind)) {
            match delete_entry(entry, settled, &find, &delete) {
                Ok(one) => removal = removal.and(one),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        first_failure.map_or(Ok(removal), Err)
    }

    /// Takes out entries without deleting anything: for what was to be kept, and for kinds that stand for no element.
    ///
    /// # Errors
    ///
    /// When the host's journal refuses.
    pub fn forget(&self, which: impl Fn(&JournalEntry) -> bool) -> Result<(), Error> {
        self.journal
            .iter()
            .filter(|entry| which(entry))
            .try_for_each(|entry| host::journal_forget(entry.id))
    }
}

fn delete_entry(
    entry: &JournalEntry,
    settled: Duration,
    find: &impl Fn(&str, &str) -> Result<Vec<VimId>, Failure>,
    delete: &impl Fn(&str, &str) -> Result<Removal, Failure>,
) -> Result<Removal, Failure> {
    let ids = match (entry.status, &entry.element) {
        (JournalStatus::Committed, Some(id)) => vec![id.clone()],
        (JournalStatus::Committed, None) | (JournalStatus::Begun, _) => find(&entry.kind, &entry.token)?,
    };
    let mut removal = Removal::Gone;
    if ids.is_empty()
        && let Some(left) = unsettled(entry, settled)
    {
        let what = format!(
            "{} {} may still appear for {} ms",
            entry.kind,
            entry.token,
            left.as_millis()
        );
        return Ok(Removal::Waiting(what));
    }
    for id in ids {
        removal = removal.and(delete(&entry.kind, &id)?);
    }
    if removal == Removal::Gone {
        host::journal_forget(entry.id)?;
    }
    Ok(removal)
}

/// How long an announced element that was not found may still appear.
fn unsettled(entry: &JournalEntry, settled: Duration) -> Option<Duration> {
    let left = settled.saturating_sub(Duration::from_millis(entry.age_ms));
    (entry.status == JournalStatus::Begun && !left.is_zero()).then_some(left)
}

fn may_still_appear(kind: &str, token: &str, left: Duration) -> Failure {
    let message = format!("{kind} {token} was asked for, the answer was lost, and the VIM may still make it");
    let mut failure = Failure::new(ErrorKind::Timeout, Outcome::Unknown, message);
    failure.error.retry_after_ms = Some(u32::try_from(left.as_millis()).unwrap_or(u32::MAX));
    failure
}

/// The element of a token. More than one means that somebody else used the token too; the oldest is taken and the rest is
/// left for an audit, because deleting on a guess is worse than an orphan.
fn single(kind: &str, token: &str, found: Vec<VimId>) -> Option<VimId> {
    if found.len() > 1 {
        crate::warn!(
            "several elements carry one token",
            kind = kind,
            token = token,
            count = found.len()
        );
    }
    found.into_iter().next()
}
