//! Natively: whatever the test kit of this thread says.

use std::time::Duration;

use crate::http::{Answer, Exchange, Fault};
use crate::log::Level;
use crate::testkit::world::{self, Point};
use crate::types::Error;

/// Nothing: the test harness has a panic hook of its own.
pub(crate) fn start() {}

pub(crate) fn log(level: Level, message: &str, fields: &[(String, String)]) {
    world::with(|world| world.log(level, message, fields));
}

pub(crate) fn journal_begin(kind: &str, token: &str) -> Result<u64, Error> {
    journal(|world| world.begin(kind, token))
}

pub(crate) fn journal_commit(entry: u64, element: &str) -> Result<(), Error> {
    journal(|world| world.commit(entry, element))
}

pub(crate) fn journal_forget(entry: u64) -> Result<(), Error> {
    journal(|world| world.forget(entry))
}

fn journal<T>(write: impl FnOnce(&world::World) -> Result<T, Error>) -> Result<T, Error> {
    world::with(|world| {
        world.pass(Point::Before);
        let result = write(world);
        world.pass(Point::After);
        result
    })
    .unwrap_or_else(|| {
        Err(Error::other(
            "there is no test kit on this thread, so there is no journal",
        ))
    })
}

pub(crate) fn cache_get(key: &str) -> Option<Vec<u8>> {
    world::with(|world| world.cached(key)).flatten()
}

/// One call at a time runs on a thread, so there is nobody to wait for.
pub(crate) fn cache_obtain(key: &str, stale: Option<&[u8]>) -> Option<Vec<u8>> {
    let value = cache_get(key);
    if value.is_some() && value.as_deref() == stale {
        cache_remove(key);
        return None;
    }
    value
}

pub(crate) fn cache_set(key: &str, value: &[u8], lifetime_ms: u64) {
    world::with(|world| world.keep(key, value, Duration::from_millis(lifetime_ms)));
}

pub(crate) fn cache_remove(key: &str) {
    world::with(|world| world.drop_cached(key));
}

pub(crate) fn now() -> Duration {
    world::with(world::World::now).unwrap_or_default()
}

pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    world::with(|world| world.random(count)).unwrap_or_else(|| vec![0; count])
}

pub(crate) fn send(exchange: &Exchange) -> Result<Answer, Fault> {
    world::with(|world| {
        world.pass(Point::Before);
        let result = world.send(exchange);
        world.pass(Point::After);
        result
    })
    .unwrap_or_else(|| Err(Fault::NotReached("there is no test kit on this thread".to_owned())))
}
