//! `cache`: small values that outlive an instance, per account and plugin, in memory.
//!
//! Bounded in number and size. When full, the value that ends first makes room: what lives longest was worth most to its
//! connector.
//!
//! A hundred calls that find no token would log in a hundred times. So a value can be asked for by a call that is going to
//! obtain it; the others wait for that one. A call that ends, however it ends, makes nobody wait any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::Limits;
use crate::account::AccountState;
use crate::bindings::host::cache::Host;
use crate::context::Ctx;

/// Longest lifetime: a host runs for months, and nothing cached is true for longer than a day.
const LIFETIME: Duration = Duration::from_hours(24);

/// How long a call waits for what another one obtains. Longer than any log in takes; so short that a connector which waits for itself
/// (two calls, two keys, in opposite order) only loses time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cache of an account.
pub(crate) struct Cache {
    values: HashMap<String, Value>,
    /// What is being obtained, by which call.
    obtained: HashMap<String, CallId>,
    /// Something of `values` or `obtained` has changed.
    changed: Arc<Notify>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

struct Value {
    bytes: Vec<u8>,
    ends: Instant,
}

impl Cache {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            values: HashMap::new(),
            obtained: HashMap::new(),
            changed: Arc::default(),
            bytes: 0,
            max_entries: limits.cache_entries,
            max_bytes: limits.cache_bytes,
        }
    }

    fn get(&mut self, key: &str, now: Instant) -> Option<Vec<u8>> {
        if self.values.get(key)?.ends <= now {
            self.remove(key);
            return None;
        }
        self.values.get(key).map(|value| value.bytes.clone())
    }

    /// What a call that would obtain a value gets; none: it has to wait.
    fn obtain(&mut self, key: &str, stale: Option<&[u8]>, by: CallId, now: Instant) -> Option<Obtained> {
        match self.get(key, now) {
            Some(value) if stale != Some(&*value) => return Some(Obtained::Value(value)),
            Some(_refused) => self.drop_value(key),
            None => {}
        }
        match self.obtained.get(key) {
            Some(other) if *other != by => return None,
            Some(_itself) => {}
            // More than can be kept is obtained by everybody.
            None if self.obtained.len() < self.max_entries && key.len() <= self.max_bytes => {
                self.obtained.insert(key.to_owned(), by);
            }
            None => {}
        }
        Some(Obtained::ByCaller)
    }

    /// A call has ended.
    fn ended(&mut self, call: CallId) {
        self.obtained.retain(|_, by| *by != call);
        self.changed.notify_waiters();
    }

    fn set(&mut self, key: String, bytes: Vec<u8>, lifetime: Duration, now: Instant) {
        self.remove(&key);
        let size = key.len().saturating_add(bytes.len());
        if size > self.max_bytes || self.max_entries == 0 || lifetime.is_zero() {
            return;
        }
        while self.values.len() >= self.max_entries || self.bytes.saturating_add(size) > self.max_bytes {
            let Some(first) = self
                .values
                .iter()
                .min_by_key(|(_, value)| value.ends)
                .map(|(key, _)| key.clone())
            else {
                return;
            };
            self.remove(&first);
        }
        self.bytes += size;
        let ends = now + lifetime.min(LIFETIME);
        self.values.insert(key, Value { bytes, ends });
    }

    fn remove(&mut self, key: &str) {
        self.drop_value(key);
        self.obtained.remove(key);
        self.changed.notify_waiters();
    }

    fn drop_value(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.bytes = self.bytes.saturating_sub(key.len() + value.bytes.len());
        }
    }
}

/// One call, as the cache of its account tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallId(u64);

/// Answer to a call that would obtain a value.
#[derive(Debug, PartialEq, Eq)]
enum Obtained {
    /// It is there.
    Value(Vec<u8>),
    /// It is not, and the caller obtains it.
    ByCaller,
}

/// What a call obtains for others, until it ends.
pub(crate) struct Obtaining {
    account: Arc<AccountState>,
    call: CallId,
    /// It may be obtaining something. Most calls never do, and their end concerns nobody.
    has_claimed: bool,
}

impl Obtaining {
    pub(crate) fn new(account: Arc<AccountState>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let call = CallId(NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            account,
            call,
            has_claimed: false,
        }
    }

    async fn obtain(&mut self, key: &str, stale: Option<&[u8]>) -> Option<Vec<u8>> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let changed = Arc::clone(&self.account.cache().changed);
        loop {
            let waited = changed.notified();
            tokio::pin!(waited);
            // Before the look, so that no change falls between the two.
            waited.as_mut().enable();
            match self.account.cache().obtain(key, stale, self.call, Instant::now()) {
                Some(Obtained::Value(value)) => return Some(value),
                Some(Obtained::ByCaller) => {
                    self.has_claimed = true;
                    return None;
                }
                None => {}
            }
            if timeout_at(until, waited).await.is_err() {
                return None;
            }
        }
    }
}

impl Drop for Obtaining {
    fn drop(&mut self) {
        if self.has_claimed {
            self.account.cache().ended(self.call);
        }
    }
}

impl Host for Ctx {
    async fn obtain(&mut self, key: String, stale: Option<Vec<u8>>) -> wasmtime::Result<Option<Vec<u8>>> {
        let Some(obtaining) = &mut self.obtaining else {
            return Ok(None);
        };
        Ok(obtaining.obtain(&key, stale.as_deref()).await)
    }

    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self
            .account
            .as_ref()
            .and_then(|account| account.cache().get(&key, Instant::now())))
    }

    async fn set(&mut self, key: String, value: Vec<u8>, lifetime_ms: u64) -> wasmtime::Result<()> {
        if let Some(account) = &self.account {
            account
                .cache()
                .set(key, value, Duration::from_millis(lifetime_ms), Instant::now());
        }
        Ok(())
    }

    async fn remove(&mut self, key: String) -> wasmtime::Result<()> {
        if let Some(account) = &self.account {
            account.cache().remove(&key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_obtains_a_value_and_others_wait_until_it_is_there_or_the_call_has_ended() {
        let mut cache = Cache::new(&Limits::default());
        let (one, two, now) = (CallId(1), CallId(2), Instant::now());
        let value = |bytes: &[u8]| Some(Obtained::Value(bytes.to_vec()));
        assert_eq!(cache.obtain("token", None, one, now), Some(Obtained::ByCaller));
        assert_eq!(
            cache.obtain("token", None, one, now),
            Some(Obtained::ByCaller),
            "it does not wait for itself"
        );
        assert_eq!(cache.obtain("token", None, two, now), None);
        assert_eq!(cache.obtain("catalogue", None, two, now), Some(Obtained::ByCaller));
        cache.set("token".into(), vec![1], LIFETIME, now);
        assert_eq!(cache.obtain("token", None, two, now), value(&[1]));

        assert_eq!(
            cache.obtain("token", Some(&[1]), two, now),
            Some(Obtained::ByCaller),
            "it was refused"
        );
        assert_eq!(cache.obtain("token", Some(&[1]), one, now), None);
        cache.set("token".into(), vec![2], LIFETIME, now);
        assert_eq!(
            cache.obtain("token", Some(&[1]), one, now),
            value(&[2]),
            "another one has been obtained meanwhile"
        );

        cache.remove("token");
        assert_eq!(cache.obtain("token", None, one, now), Some(Obtained::ByCaller));
        cache.ended(two);
        assert_eq!(cache.obtain("token", None, two, now), None);
        cache.ended(one);
        assert_eq!(cache.obtain("token", None, two, now), Some(Obtained::ByCaller));
        assert_eq!(cache.obtained.len(), 1, "what has ended is not kept");
    }

    #[test]
    fn what_is_obtained_is_bounded() {
        let mut cache = Cache::new(&Limits {
            cache_entries: 2,
            ..Limits::default()
        });
        for n in 0..100 {
            let asked = cache.obtain(&n.to_string(), None, CallId(1), Instant::now());
            assert_eq!(asked, Some(Obtained::ByCaller));
        }
        assert_eq!(cache.obtained.len(), 2);
    }

    #[test]
    fn a_value_ends_with_its_lifetime_and_the_first_to_end_makes_room() {
        let limits = Limits {
            cache_entries: 2,
            cache_bytes: 100,
            ..Limits::default()
        };
        let mut cache = Cache::new(&limits);
        let now = Instant::now();
        let second = Duration::from_secs(1);
        cache.set("short".into(), vec![1], second, now);
        cache.set("long".into(), vec![2], second * 10, now);
        assert_eq!(cache.get("short", now), Some(vec![1]));
        assert_eq!(cache.get("short", now + second), None);
        cache.set("a".into(), vec![3], second, now);
        cache.set("b".into(), vec![4], second * 5, now);
        assert_eq!(cache.get("a", now), None, "it would have ended first");
        assert_eq!(cache.get("long", now), Some(vec![2]));
        cache.set("huge".into(), vec![0; 101], second, now);
        assert_eq!(cache.get("huge", now), None);
        cache.set("long".into(), vec![0; 96], second, now);
        assert_eq!(cache.get("b", now), None, "bytes are bounded too");
        assert!(cache.bytes <= 100);
    }
}
