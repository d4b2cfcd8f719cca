//! Waiting for what a cloud is at, and not for ever.
//!
//! What counts is the time in which calls looked and saw the same: it is kept in the state of the `pending`. The age of what was
//! begun would not do, since a host that was down for an hour has not waited. A state that is lost only lets the waiting begin
//! anew.

use serde::{Deserialize, Serialize};
use vimhost_sdk::prelude::{Call, Pending};

/// How long something is waited for that gets no further: what OSM's own connector waits for volumes and servers.
pub(crate) const LONGEST_MS: u64 = 1_800_000;

/// First and longest time between two looks at something that a cloud is at.
pub(crate) const FIRST_LOOK_MS: u32 = 500;

/// See [`FIRST_LOOK_MS`]; what OSM's own connector polls at.
pub(crate) const LONGEST_LOOK_MS: u32 = 5000;

/// What the last call waited for.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    reason: String,
    again_ms: u32,
    /// For this reason, as long as calls were asked for; the host may have let more pass.
    waited_ms: u64,
}

/// Asks to be called again. `None` when this reason has been waited for long enough.
pub(crate) fn wait(call: &Call, reason: &str) -> Option<Pending> {
    let before = call.state_as::<Waiting>().filter(|before| before.reason == reason);
    let (waited_ms, again_ms) = match before {
        Some(before) => (before.waited_ms, before.again_ms.saturating_mul(2).min(LONGEST_LOOK_MS)),
        None => (0, FIRST_LOOK_MS),
    };
    if waited_ms >= LONGEST_MS {
        return None;
    }
    let next = Waiting {
        reason: reason.to_owned(),
        again_ms,
        waited_ms: waited_ms + u64::from(again_ms),
    };
    Some(Pending::new(reason, again_ms).with_state(&next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pending: &Pending) -> Call {
        Call {
            state: pending.state.clone(),
            ..Call::default()
        }
    }

    #[test]
    fn what_stays_the_same_is_waited_for_half_an_hour() {
        let (mut call, mut waited) = (Call::default(), 0);
        while let Some(pending) = wait(&call, "server s is in status BUILD") {
            waited += u64::from(pending.again_in_ms);
            call = after(&pending);
        }
        assert!((LONGEST_MS..LONGEST_MS + 5000).contains(&waited), "{waited}");
    }

    #[test]
    fn what_gets_further_is_waited_for_anew() {
        let first = wait(&Call::default(), "volume v is in status creating").unwrap();
        let second = wait(&after(&first), "volume v is in status creating").unwrap();
        assert_eq!((first.again_in_ms, second.again_in_ms), (500, 1000));
        let other = wait(&after(&second), "volume v is in status downloading").unwrap();
        assert_eq!(other.again_in_ms, 500);
    }
}
