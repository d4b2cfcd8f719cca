//! From events to deliveries.
//!
//! What an event is for is decided in memory, on an index that is built once and again when the subscriptions have changed; then the
//! event is replaced by its deliveries in the store. Whoever comes second finds it gone.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use vimhost_model::vnf::{ApiVersion, LcmEvent, Verbosity};
use vimhost_model::{SubscriptionId, Timestamp};
use vimhost_store::{Delivery, Error, PendingEvent, Store};

use crate::callback::quoted;
use crate::matching::Index;
use crate::notification;
use crate::set_aside::SetAside;

/// Events of one batch: few enough that their deliveries are in one write of the store.
const BATCH: usize = 64;

/// Deliveries of one batch, after which no further event is added to it: a row each, of some hundred bytes, written while others wait.
const DELIVERIES: usize = 2_000;

/// Subscriptions read at a time.
const PAGE: usize = 500;

/// The index is built again after this time whatever the version says: a host may have died between a change and its number.
const OLDEST_INDEX: Duration = Duration::from_secs(600);

/// The index with the version it is of.
#[derive(Debug)]
struct Built {
    version: u64,
    at: Instant,
    index: Arc<Index>,
}

/// Replaces events by deliveries.
pub(crate) struct Outbox {
    store: Arc<dyn Store>,
    endpoint: String,
    set_aside: Arc<SetAside>,
    built: RwLock<Option<Built>>,
}

/// The bodies of one event, each made when the first subscriber needs it.
struct Bodies<'a> {
    event: &'a LcmEvent,
    endpoint: &'a str,
    made: Vec<((ApiVersion, Verbosity), Arc<Value>)>,
}

impl Bodies<'_> {
    fn get(&mut self, version: ApiVersion, verbosity: Verbosity) -> Result<Arc<Value>, String> {
        // Version 1 says all there is.
        let verbosity = match version {
            ApiVersion::V1 => Verbosity::Full,
            ApiVersion::V2 => verbosity,
        };
        let key = (version, verbosity);
        if let Some((_, body)) = self.made.iter().find(|(made, _)| *made == key) {
            return Ok(Arc::clone(body));
        }
        let body = notification::body(self.event, version, verbosity, self.endpoint)
            .map_err(|error| format!("no notification can be made of it: {error}"))?;
        let body = Arc::new(body);
        self.made.push((key, Arc::clone(&body)));
        Ok(body)
    }
}

impl Outbox {
    pub(crate) fn new(store: Arc<dyn Store>, endpoint: String, set_aside: Arc<SetAside>) -> Self {
        Self {
            store,
            endpoint,
            set_aside,
            built: RwLock::default(),
        }
    }

    /// The index of the subscriptions as they are.
    async fn index(&self) -> Result<Arc<Index>, Error> {
        // Read before the subscriptions: what changes in between makes the index older than it is, never newer.
        let version = self.store.subscriptions_version().await?;
        if let Some(built) = &*self.built.read().unwrap_or_else(PoisonError::into_inner)
            && built.version == version
            && built.at.elapsed() < OLDEST_INDEX
        {
            return Ok(Arc::clone(&built.index));
        }
        let (mut subscriptions, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.subscriptions(after.as_deref(), PAGE).await?;
            subscriptions.extend(page.entries);
            for unreadable in page.unreadable {
                self.set_aside.subscription(&unreadable.id, &unreadable.reason);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let index = Arc::new(Index::of(subscriptions));
        tracing::debug!(subscriptions = index.len(), version, "subscriptions read");
        let mut built = self.built.write().unwrap_or_else(PoisonError::into_inner);
        *built = Some(Built {
            version,
            at: Instant::now(),
            index: Arc::clone(&index),
        });
        Ok(index)
    }

    /// Who is to be told of an event, or why nobody can be.
    fn decide(&self, index: &Index, pending: &PendingEvent, now: Timestamp) -> Result<Vec<Delivery>, String> {
        let event = pending.event.as_ref().map_err(String::clone)?;
        let mut bodies = Bodies {
            event,
            endpoint: &self.endpoint,
            made: Vec::new(),
        };
        index
            .matching(event)
            .map(|subscriber| {
                Ok(Delivery {
                    subscription: subscriber.id.clone(),
                    number: pending.number.clone(),
                    body: bodies.get(subscriber.api_version, subscriber.verbosity)?,
                    attempt: 0,
                    due_at: now,
                })
            })
            .collect()
    }

    /// Hands out what is pending, a batch; answers who is to be told, none when nothing was pending.
    pub(crate) async fn hand_out(&self, now: Timestamp) -> Result<Option<Vec<SubscriptionId>>, Error> {
        let events = self.store.pending_events(BATCH).await?;
        if events.is_empty() {
            return Ok(None);
        }
        let index = self.index().await?;
        let mut told = Vec::new();
        let mut decided = Vec::with_capacity(events.len());
        let mut untold = Vec::new();
        for pending in &events {
            // One that nobody can be told of goes, or all that come after it would wait for ever.
            let deliveries = self.decide(&index, pending, now).unwrap_or_else(|reason| {
                untold.push((&pending.number, reason));
                Vec::new()
            });
            told.extend(deliveries.iter().map(|delivery| delivery.subscription.clone()));
            decided.push((pending.number.clone(), deliveries));
            if told.len() >= DELIVERIES {
                // The others stay pending, and are in the next batch.
                break;
            }
        }
        let handed_out = decided.len();
        self.store.hand_out(decided).await?;
        for (number, reason) in untold {
            // A line each: how many there are is a fault's to say, not the load's.
            tracing::error!(
                event_number = number,
                error = quoted(&reason),
                error.kind = "schema",
                "event cannot be told and is left out"
            );
        }
        tracing::debug!(
            events = handed_out,
            subscriptions = index.len(),
            matched = told.len(),
            "events handed out"
        );
        told.sort_unstable();
        told.dedup();
        Ok(Some(told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::tests::creation;

    #[test]
    fn subscribers_of_an_event_share_a_body_per_version_and_verbosity() {
        let event = creation();
        let mut bodies = Bodies {
            event: &event,
            endpoint: "http://here",
            made: Vec::new(),
        };
        let mut get = |version, verbosity| bodies.get(version, verbosity).unwrap();
        let one = get(ApiVersion::V2, Verbosity::Full);
        assert!(Arc::ptr_eq(&one, &get(ApiVersion::V2, Verbosity::Full)));
        assert!(!Arc::ptr_eq(&one, &get(ApiVersion::V2, Verbosity::Short)));
        let old = get(ApiVersion::V1, Verbosity::Full);
        assert!(Arc::ptr_eq(&old, &get(ApiVersion::V1, Verbosity::Short)));
        assert_eq!(bodies.made.len(), 3);
    }
}
