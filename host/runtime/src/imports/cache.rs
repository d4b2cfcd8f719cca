//! `cache`: small values that outlive an instance, per account and plugin, in memory.
//!
//! Bounded in number and size. When full, the value that ends first makes room: what lives longest was worth most to its
//! connector.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::Limits;
use crate::bindings::host::cache::Host;
use crate::context::Ctx;

/// Longest lifetime: a host runs for months, and nothing cached is true for longer than a day.
const LIFETIME: Duration = Duration::from_hours(24);

/// The cache of an account.
pub(crate) struct Cache {
    values: HashMap<String, Value>,
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
        if let Some(value) = self.values.remove(key) {
            self.bytes = self.bytes.saturating_sub(key.len() + value.bytes.len());
        }
    }
}

impl Host for Ctx {
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
