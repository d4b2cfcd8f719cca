//! Subscriptions, and the outbox of what is to be told to subscribers.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use vimhost_model::vnf::{LcmEvent, Subscription};
use vimhost_model::{HostId, SubscriptionId, Timestamp};

use crate::{Error, Page};

/// An event that nobody has decided on yet: who is to be told?
#[derive(Debug, Clone, PartialEq)]
pub struct PendingEvent {
    /// Orders events of one instance; unique. Text that sorts.
    pub number: String,
    /// The event; of one that cannot be read, why: a newer version may have written it. It is handed out to nobody like any other, so
    /// that it is not in the way of those behind it.
    pub event: Result<LcmEvent, String>,
}

/// A document that cannot be read: a newer version may have written it. It stays where it is and is not in the way of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its id; of a delivery the number of its event.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// A page of subscriptions.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionPage {
    /// Its entries.
    pub entries: Vec<Subscription>,
    /// Those of the page that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Where the next page starts; none on the last one.
    pub next: Option<String>,
}

impl SubscriptionPage {
    /// Of documents as they were read, each with its id.
    #[must_use]
    pub fn of(page: Page<(String, Result<Subscription, Error>)>) -> Self {
        let mut parted = Self {
            entries: Vec::with_capacity(page.entries.len()),
            unreadable: Vec::new(),
            next: page.next,
        };
        for (id, read) in page.entries {
            match read {
                Ok(subscription) => parted.entries.push(subscription),
                Err(error) => parted.unreadable.push(Unreadable {
                    id,
                    reason: error.to_string(),
                }),
            }
        }
        parted
    }
}

/// What is to be sent to one subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// To whom.
    pub subscription: SubscriptionId,
    /// Number of the event: deliveries of one subscription are sent in this order.
    pub number: String,
    /// The notification, without what is known only when it is sent: one for all whom an event is told the same.
    pub body: Arc<serde_json::Value>,
    /// Failed tries.
    #[serde(default)]
    pub attempt: u32,
    /// When it may be tried next.
    pub due_at: Timestamp,
}

/// A hold that ends after this time is of a clock that was wrong, where one is asked for that ends at `until`: all ask for about as long,
/// and the clocks of hosts differ by less than that. Who gives a hold up takes none from others.
#[must_use]
pub fn no_hold_is_beyond(now: Timestamp, until: Timestamp) -> Timestamp {
    let length = until.since(now);
    if length.is_zero() {
        Timestamp(i64::MAX)
    } else {
        until.plus(length)
    }
}

/// The part of a store that holds subscriptions and their deliveries.
///
/// Events are written by [`crate::VnfLcm`] with the changes they tell of. Whoever matches them replaces each by its deliveries, all or
/// nothing, so that a crash neither forgets a subscriber nor tells one twice of what was told.
#[async_trait]
pub trait Subscriptions {
    /// Adds a subscription.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is one of that id.
    async fn add_subscription(&self, subscription: &Subscription) -> Result<(), Error>;

    /// A subscription.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Error>;

    /// Subscriptions by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn subscriptions(&self, after: Option<&str>, limit: usize) -> Result<SubscriptionPage, Error>;

    /// Whether there are so many subscriptions, or more.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn has_subscriptions(&self, count: usize) -> Result<bool, Error>;

    /// Removes a subscription with what was to be sent to it. True when there was one.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delete_subscription(&self, id: &SubscriptionId) -> Result<bool, Error>;

    /// Replaces the sealed credentials of a subscription by the same under another key, if they are still the ones given. True when they
    /// were.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn reseal_subscription(
        &self,
        id: &SubscriptionId,
        from: &serde_json::Value,
        to: &serde_json::Value,
    ) -> Result<bool, Error>;

    /// A number that changes whenever a subscription is added or removed, whoever does it: what was made of them in memory is old then.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn subscriptions_version(&self) -> Result<u64, Error>;

    /// Events that nobody has decided on, oldest first, at most `limit`; those that cannot be read are among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn pending_events(&self, limit: usize) -> Result<Vec<PendingEvent>, Error>;

    /// Replaces events by deliveries. An event that is gone was decided on by somebody else: its deliveries are left out.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn hand_out(&self, decided: Vec<(String, Vec<Delivery>)>) -> Result<(), Error>;

    /// What is to be sent to a subscriber, in order, from after the number `after`, at most `limit`; those that cannot be read are among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn deliveries(
        &self,
        subscription: &SubscriptionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Result<Delivery, Unreadable>>, Error>;

    /// Subscribers to whom something is to be sent, by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn subscribers_waiting(&self, after: Option<&str>, limit: usize) -> Result<Page<SubscriptionId>, Error>;

    /// Takes the right to deliver to a subscriber until `until`, or gives it up when that is not after `now`. True when nobody has it, when
    /// whoever had it is late, or when `host` has it already; false too when there is no such subscription. Who has it until a time that
    /// [`no_hold_is_beyond`] has it by a clock that was wrong, and is late too.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn hold_subscriber(
        &self,
        subscription: &SubscriptionId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error>;

    /// A delivery was made or given up: it goes. No error when it is gone.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn end_delivery(&self, subscription: &SubscriptionId, number: &str) -> Result<(), Error>;

    /// A delivery failed: it is tried again. No error when it is gone.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delay_delivery(
        &self,
        subscription: &SubscriptionId,
        number: &str,
        attempt: u32,
        due_at: Timestamp,
    ) -> Result<(), Error>;
}
