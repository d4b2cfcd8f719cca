//! Leases on accounts, as one host sees them. Pure.
//!
//! An account is driven by one host at a time. The holder extends its lease at each heartbeat; a host that wants the account watches
//! the lease and takes it when it has not changed for longer than it lasts, by the watcher's own clock. So nobody compares the clocks
//! of two hosts, and a host whose clock is wrong takes nothing too early.
//!
//! ```text
//! holder   ├─ heartbeat ─┤─ heartbeat ─┤ dies
//!                                      │◄──── length ────►│          its requests have ended by then
//! watcher             sees it ────────►│◄────── length + grace ──────►│ claims, resolves what was begun
//! ```
//!
//! A VIM knows nothing of leases, so the holder itself has to stop: the runtime refuses to send when too little of the lease is left
//! and breaks off what waits for an answer at its end, and that end is counted from before the heartbeat was sent.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use vimhost_model::{HostId, TargetId, Timestamp};
use vimhost_store::Lease;

/// How long leases last and how they are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How long a lease lasts after a heartbeat.
    pub length: Duration,
    /// Between two heartbeats, and between two looks at the leases of others.
    pub heartbeat: Duration,
    /// What a watcher waits beyond `length`: two clocks do not run alike, and a heartbeat takes its time through the store.
    pub grace: Duration,
}

impl Default for LeaseTerms {
    /// A dead host's accounts are taken over after eight seconds at most, and four heartbeats may get lost before a host stops.
    fn default() -> Self {
        Self {
            length: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            grace: Duration::from_millis(500),
        }
    }
}

/// How an account may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freedom {
    /// Nobody has it, as far as was seen.
    Free,
    /// Its holder has not extended its lease, which was to end then.
    Ended(Timestamp),
    /// Another host has it.
    Held,
    /// This host has it in the store: from before a restart, or a claim whose answer got lost.
    Own,
}

struct Seen {
    host: HostId,
    fence: u64,
    expires_at: Timestamp,
    /// When it was seen first as it is now.
    since: Instant,
}

/// The leases of all hosts, each with the time at which it was seen to change last.
#[derive(Default)]
pub(super) struct Sights {
    leases: HashMap<TargetId, Seen>,
    /// Accounts there are, whoever has them.
    known: HashSet<TargetId>,
}

impl Sights {
    /// Takes in all leases there are.
    pub(super) fn look(&mut self, leases: Vec<Lease>, now: Instant) {
        let mut before = std::mem::take(&mut self.leases);
        for lease in leases {
            let same = before.remove(&lease.target).filter(|seen| {
                seen.host == lease.host && seen.fence == lease.fence && seen.expires_at == lease.expires_at
            });
            let seen = same.unwrap_or(Seen {
                host: lease.host,
                fence: lease.fence,
                expires_at: lease.expires_at,
                since: now,
            });
            self.leases.insert(lease.target, seen);
        }
    }

    /// There is an account.
    pub(super) fn know(&mut self, target: TargetId) {
        self.known.insert(target);
    }

    /// An account is no more.
    pub(super) fn forget(&mut self, target: &TargetId) {
        self.known.remove(target);
    }

    /// Whether a host may claim an account now. Without terms it is the only host there is, so whoever else has a lease is no more.
    pub(super) fn freedom(
        &self,
        target: &TargetId,
        host: &HostId,
        terms: Option<&LeaseTerms>,
        now: Instant,
    ) -> Freedom {
        let Some(seen) = self.leases.get(target) else {
            return Freedom::Free;
        };
        match terms {
            _ if seen.host == *host => Freedom::Own,
            None => Freedom::Ended(seen.expires_at),
            Some(terms) if now.duration_since(seen.since) > terms.length.saturating_add(terms.grace) => {
                Freedom::Ended(seen.expires_at)
            }
            Some(_) => Freedom::Held,
        }
    }

    /// Accounts that no other host has, in an order that differs from host to host: those that take over share them.
    pub(super) fn claimable(&self, host: &HostId, terms: Option<&LeaseTerms>, now: Instant) -> Vec<TargetId> {
        let mut targets: Vec<TargetId> = self
            .known
            .iter()
            .filter(|target| self.freedom(target, host, terms, now) != Freedom::Held)
            .cloned()
            .collect();
        targets.sort_by_cached_key(|target| order(host, target));
        targets
    }
}

fn order(host: &HostId, target: &TargetId) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (host, target).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vimhost_store::contract::sample::target;

    const TERMS: LeaseTerms = LeaseTerms {
        length: Duration::from_secs(5),
        heartbeat: Duration::from_secs(1),
        grace: Duration::from_secs(1),
    };

    fn host(name: &str) -> HostId {
        name.parse().unwrap()
    }

    fn lease(expires_at: i64) -> Lease {
        Lease {
            target: target("a"),
            host: host("one"),
            fence: 3,
            expires_at: Timestamp(expires_at),
        }
    }

    fn freedom(sights: &Sights, now: Instant) -> Freedom {
        sights.freedom(&target("a"), &host("two"), Some(&TERMS), now)
    }

    #[test]
    fn a_lease_ends_when_it_was_not_extended_for_longer_than_it_lasts_whatever_its_time_says() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut sights = Sights::default();
        // By its time it has ended long ago: the holder's clock is wrong, the holder is alive.
        sights.look(vec![lease(0)], start);
        assert_eq!(freedom(&sights, after(6)), Freedom::Held);
        sights.look(vec![lease(1)], after(5));
        sights.look(vec![lease(1)], after(10));
        assert_eq!(freedom(&sights, after(11)), Freedom::Held);
        assert_eq!(freedom(&sights, after(12)), Freedom::Ended(Timestamp(1)));
        // Its own lease a host need not wait for.
        assert_eq!(
            sights.freedom(&target("a"), &host("one"), Some(&TERMS), after(5)),
            Freedom::Own
        );
    }

    #[test]
    fn to_the_only_host_every_lease_of_another_name_has_ended() {
        let mut sights = Sights::default();
        sights.know(target("a"));
        let now = Instant::now();
        sights.look(vec![lease(9)], now);
        let of = |name| sights.freedom(&target("a"), &host(name), None, now);
        assert_eq!((of("two"), of("one")), (Freedom::Ended(Timestamp(9)), Freedom::Own));
        assert_eq!(sights.claimable(&host("two"), None, now), [target("a")]);
    }

    #[test]
    fn a_lease_that_was_given_up_is_free_at_once() {
        let mut sights = Sights::default();
        sights.know(target("a"));
        let now = Instant::now();
        sights.look(vec![lease(9)], now);
        assert_eq!(sights.claimable(&host("two"), Some(&TERMS), now), []);
        sights.look(vec![], now);
        assert_eq!(freedom(&sights, now), Freedom::Free);
        assert_eq!(sights.claimable(&host("two"), Some(&TERMS), now), [target("a")]);
        sights.forget(&target("a"));
        assert_eq!(sights.claimable(&host("two"), Some(&TERMS), now), []);
    }

    #[test]
    fn hosts_that_take_over_begin_with_different_accounts() {
        let mut sights = Sights::default();
        (0..50).for_each(|n| sights.know(target(&format!("a{n}"))));
        let now = Instant::now();
        assert_ne!(
            sights.claimable(&host("one"), Some(&TERMS), now),
            sights.claimable(&host("two"), Some(&TERMS), now)
        );
    }
}
