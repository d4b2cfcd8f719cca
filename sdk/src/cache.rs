//! Small values that outlive an instance: a catalogue, versions, a session. Per account, in the host's memory.
//!
//! The host may drop a value at any time, so everything kept here must be obtainable again.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::host;

/// A value, unless it ended, was dropped, or is not understood (another version of the connector wrote it).
#[must_use]
pub fn get<T: DeserializeOwned>(key: &str) -> Option<T> {
    host::cache_get(key).and_then(|value| serde_json::from_slice(&value).ok())
}

/// Keeps a value for at most `lifetime`.
pub fn set<T: Serialize>(key: &str, value: &T, lifetime: Duration) {
    // What cannot be written is not kept, which a cache may do.
    if let Ok(value) = serde_json::to_vec(value) {
        host::cache_set(key, &value, u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX));
    }
}

/// Drops a value.
pub fn remove(key: &str) {
    host::cache_remove(key);
}

/// The value of a key, obtained when it is not there; of many calls that want it at the same time, one obtains it.
///
/// # Errors
///
/// What `obtain` failed with.
pub fn get_or<T: Serialize + DeserializeOwned>(
    key: &str,
    lifetime: Duration,
    obtain: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(value) = get_or_claim(key, None) {
        return Ok(value);
    }
    let value = obtain().inspect_err(|_| remove(key))?;
    set(key, &value, lifetime);
    Ok(value)
}

/// The value of a key that is not `stale`. None: this call has to obtain it, and to [`set`] or [`remove`] it, for which others wait.
#[must_use]
pub fn get_or_claim<T: Serialize + DeserializeOwned>(key: &str, stale: Option<&T>) -> Option<T> {
    // What could not be written was not kept, so it is not what is there.
    let stale = stale.and_then(|stale| serde_json::to_vec(stale).ok());
    host::cache_obtain(key, stale.as_deref()).and_then(|value| serde_json::from_slice(&value).ok())
}
