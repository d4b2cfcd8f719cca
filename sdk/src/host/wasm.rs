//! In a component: the imports of the contract and of WASI.

use std::time::Duration;

pub(crate) use super::wasi_http::send;
use crate::bindings::shared::vimhost::connector::{cache, journal, log};
use crate::log::Level;
use crate::types::Error;

/// Called at the beginning of every exported function.
///
/// A panic must leave its last words on stderr, where the host collects them. std's own hook would do, but reads the
/// environment first and adds advice about it that no operator can follow.
pub(crate) fn start() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
    }));
}

pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
    log::write(level, message, fields);
}

pub(crate) fn journal_begin(kind: &str, token: &str) -> Result<u64, Error> {
    journal::begin(kind, token)
}

pub(crate) fn journal_commit(entry: u64, element: &str) -> Result<(), Error> {
    journal::commit(entry, element)
}

pub(crate) fn journal_forget(entry: u64) -> Result<(), Error> {
    journal::forget(entry)
}

pub(crate) fn cache_get(key: &str) -> Option<Vec<u8>> {
    cache::get(key)
}

pub(crate) fn cache_obtain(key: &str, stale: Option<&[u8]>) -> Option<Vec<u8>> {
    cache::obtain(key, stale)
}

pub(crate) fn cache_set(key: &str, value: &[u8], lifetime_ms: u64) {
    cache::set(key, value, lifetime_ms);
}

pub(crate) fn cache_remove(key: &str) {
    cache::remove(key);
}

pub(crate) fn now() -> Duration {
    let now = wasip2::clocks::wall_clock::now();
    Duration::new(now.seconds, now.nanoseconds)
}

pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    wasip2::random::random::get_random_bytes(count as u64)
}
