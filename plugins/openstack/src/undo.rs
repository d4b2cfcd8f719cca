//! Undoing a creation that has failed for good.
//!
//! A call learns of the entries it made itself only when it is made again, and deleting takes time; so the failure is put into
//! the state of a `pending`, and the calls that follow delete what the journal names until nothing is left. Then the failure is
//! told. A state that is lost on the way does no harm: the creation is tried again, fails in the same way and is undone again.

use serde::{Deserialize, Serialize};
use vimhost_sdk::info;
use vimhost_sdk::prelude::{Call, CreateStep, Error, ErrorKind, Failure, Outcome, Pending, Removal};

use crate::patience::{FIRST_LOOK_MS, LONGEST_LOOK_MS};

/// Rounds of deleting until what is left is left to the journal: with the pauses between them about four minutes.
const MOST_ROUNDS: u32 = 50;

const FORBIDDEN: u16 = 403;

/// A failure that is kept until its traces are gone.
#[derive(Debug, Serialize, Deserialize)]
struct Undoing {
    failed: String,
    message: String,
    rounds: u32,
}

/// Goes on with undoing, if that is what the call is about; `remove` deletes all that the journal names.
pub(crate) fn going_on(
    call: &Call,
    remove: impl FnOnce() -> Result<Removal, Failure>,
) -> Option<Result<CreateStep, Error>> {
    let undoing: Undoing = call.state_as()?;
    let failure = Error::new(kind(&undoing.failed), undoing.message.clone());
    let reason = match remove() {
        Ok(Removal::Gone) => return Some(Err(failure)),
        Ok(Removal::Accepted) => "the server is being deleted".to_owned(),
        Ok(Removal::Waiting(reason)) => reason,
        Err(left) => {
            info!("undoing a failed creation failed", error = left.error.message);
            left.error.message
        }
    };
    if undoing.rounds >= MOST_ROUNDS {
        return Some(Err(failure.while_doing(&format!(
            "what was made could not all be deleted ({reason}) and stays in the journal"
        ))));
    }
    let again = FIRST_LOOK_MS
        .saturating_mul(1 << undoing.rounds.min(8))
        .min(LONGEST_LOOK_MS);
    let next = Undoing {
        rounds: undoing.rounds + 1,
        ..undoing
    };
    let pending = Pending::new(format!("undoing a creation that failed: {reason}"), again);
    Some(Ok(pending.with_state(&next).into()))
}

/// What becomes of a failed creation: it is undone when it has failed for good and something was made, and told otherwise.
pub(crate) fn of(failure: Failure, something_made: bool) -> Result<CreateStep, Error> {
    if !something_made || !is_final(&failure) {
        return Err(failure.error);
    }
    let undoing = Undoing {
        failed: word(failure.error.kind).to_owned(),
        message: failure.error.message,
        rounds: 0,
    };
    let reason = format!("undoing a creation that failed: {}", undoing.message);
    Ok(Pending::new(reason, 0).with_state(&undoing).into())
}

/// Whether the host does not try again, so that nobody comes back for what was made; as far as it can be undone at all.
fn is_final(failure: &Failure) -> bool {
    match failure.error.kind {
        ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Quota
        | ErrorKind::Unsupported
        | ErrorKind::BadRequest
        | ErrorKind::NotGranted => true,
        // A policy of one service; whoever cannot log in cannot delete either, and the journal keeps what was made.
        ErrorKind::Auth => failure.status == Some(FORBIDDEN),
        // A failure that nobody names, but of which it is known that it did nothing.
        ErrorKind::Other => failure.outcome == Outcome::NotDone,
        // What passes.
        ErrorKind::Unreachable | ErrorKind::RateLimited | ErrorKind::Timeout | ErrorKind::Internal => false,
    }
}

const fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not-found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Quota => "quota",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::BadRequest => "bad-request",
        ErrorKind::Auth => "auth",
        ErrorKind::NotGranted => "not-granted",
        ErrorKind::Other
        | ErrorKind::Unreachable
        | ErrorKind::RateLimited
        | ErrorKind::Timeout
        | ErrorKind::Internal => "other",
    }
}

fn kind(word: &str) -> ErrorKind {
    match word {
        "not-found" => ErrorKind::NotFound,
        "conflict" => ErrorKind::Conflict,
        "quota" => ErrorKind::Quota,
        "unsupported" => ErrorKind::Unsupported,
        "bad-request" => ErrorKind::BadRequest,
        "auth" => ErrorKind::Auth,
        "not-granted" => ErrorKind::NotGranted,
        _ => ErrorKind::Other,
    }
}
