//! From deliveries to callbacks.
//!
//! Each subscriber that waits has a task: it sends in order, one at a time, and ends when nothing is left. What fails stays the first in the
//! store and is tried again after a pause that grows; when its event is too old, and it was tried for long enough, it is given up. A
//! subscriber is held while it is sent to, so that of several hosts one sends.
//!
//! Those that answer share a number of places, those that failed last have fewer of their own: however many callbacks hang, the others do
//! not wait for them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vimhost_model::vnf::{ApiVersion, Subscription};
use vimhost_model::{HostId, SubscriptionId, Timestamp};
use vimhost_store::seal::KeyRing;
use vimhost_store::{Delivery, Error, Store};

use crate::authentication::Credentials;
use crate::callback::{Client, Target};
use crate::pause::Failed;
use crate::quiet::Quiet;
use crate::request::http_url;
use crate::set_aside::SetAside;
use crate::{NotifyOptions, notification, pause};

/// What a subscriber is held for beyond the time one notification may take. A host that dies keeps its subscribers waiting for so long.
const HOLD_MARGIN: Duration = Duration::from_secs(15);

/// How often a subscriber that another host holds is asked for before it is left to that host: together some 15 seconds, in which
/// an ordinary one is done.
const HELD_TRIES: u32 = 5;

/// Between attempts while the store cannot be reached.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// Now, by the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What becomes of a subscriber's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing is left.
    Done,
    /// The first one is due later.
    Later(Duration),
    /// Another host sends to it.
    Held,
}

/// Sends what is to be sent.
pub(crate) struct Courier {
    store: Arc<dyn Store>,
    keys: Arc<KeyRing>,
    options: Arc<NotifyOptions>,
    set_aside: Arc<SetAside>,
    pub(crate) client: Result<Client, String>,
    host: HostId,
    answering: Semaphore,
    failing_places: Semaphore,
    /// Those that nothing has reached, and since when.
    failing: Mutex<HashMap<SubscriptionId, Instant>>,
    /// Subscribers with a task; true: it is to look again before it ends.
    active: Mutex<HashMap<SubscriptionId, bool>>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    retried: Quiet<()>,
    given_up: Quiet<SubscriptionId>,
    store_failed: Quiet<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Courier {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keys: Arc<KeyRing>,
        options: Arc<NotifyOptions>,
        set_aside: Arc<SetAside>,
    ) -> Self {
        let places = options.concurrency.max(2);
        Self {
            store,
            keys,
            client: Client::new(&options).map_err(|error| error.to_string()),
            options,
            set_aside,
            host: HostId::random(),
            answering: Semaphore::new(places),
            failing_places: Semaphore::new(places / 2),
            failing: Mutex::default(),
            active: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            retried: Quiet::default(),
            given_up: Quiet::default(),
            store_failed: Quiet::default(),
        }
    }

    /// Something may be to be sent to a subscriber.
    pub(crate) fn kick(self: &Arc<Self>, subscriber: &SubscriptionId) {
        if self.stop.is_cancelled() {
            return;
        }
        match locked(&self.active).entry(subscriber.clone()) {
            Entry::Occupied(mut active) => {
                active.insert(true);
                return;
            }
            Entry::Vacant(place) => {
                place.insert(false);
            }
        }
        let (courier, subscriber) = (Arc::clone(self), subscriber.clone());
        self.tasks.spawn(async move { courier.serve(&subscriber).await });
    }

    /// A subscription is gone: what is remembered of it goes too.
    pub(crate) fn forget(&self, subscriber: &SubscriptionId) {
        locked(&self.failing).remove(subscriber);
        if let Ok(client) = &self.client {
            client.tokens.forget(subscriber);
        }
    }

    /// The store failed: one line a minute.
    pub(crate) fn tell_store_failed(&self, error: &Error) {
        if let Some(suppressed) = self.store_failed.pass((), Instant::now()) {
            tracing::warn!(%error, error.kind = "db", suppressed, "notifications wait for the store");
        }
    }

    /// Whether a task goes on; if not, the subscriber has none any more.
    fn goes_on(&self, subscriber: &SubscriptionId) -> bool {
        let mut active = locked(&self.active);
        if let Some(again) = active.get_mut(subscriber)
            && std::mem::take(again)
        {
            return true;
        }
        active.remove(subscriber);
        false
    }

    async fn serve(&self, subscriber: &SubscriptionId) {
        let mut refusals = 0;
        loop {
            let next = self.drain(subscriber).await.unwrap_or_else(|error| {
                self.tell_store_failed(&error);
                Next::Later(STORE_PAUSE)
            });
            let pause = match next {
                Next::Done if self.goes_on(subscriber) => continue,
                Next::Done => return,
                Next::Later(pause) => pause,
                Next::Held if refusals < HELD_TRIES => {
                    refusals += 1;
                    pause::after(refusals)
                }
                Next::Held => {
                    locked(&self.active).remove(subscriber);
                    return;
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {
                    locked(&self.active).remove(subscriber);
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Sends what is due.
    async fn drain(&self, id: &SubscriptionId) -> Result<Next, Error> {
        let found = match self.store.subscription(id).await {
            // It stays where it is, with what is to be sent to it.
            Err(error @ Error::Corrupt { .. }) => {
                self.set_aside.subscription(id.as_str(), &error.to_string());
                return Ok(Next::Done);
            }
            found => found?,
        };
        let Some(subscription) = found else {
            // It went while an event was handed out to it.
            self.store.delete_subscription(id).await?;
            self.forget(id);
            return Ok(Next::Done);
        };
        let target = self.target(&subscription);
        let mut held_until: Option<Timestamp> = None;
        // Those that were set aside stay the first in the store.
        let mut passed: Option<String> = None;
        let next = loop {
            if self.stop.is_cancelled() {
                break Next::Done;
            }
            let places = if locked(&self.failing).contains_key(id) {
                &self.failing_places
            } else {
                &self.answering
            };
            // The semaphore is never closed; without a place it would be sent all the same.
            let _place = places.acquire().await.ok();
            let Some(next) = self.store.deliveries(id, passed.as_deref(), 1).await?.pop() else {
                break Next::Done;
            };
            let delivery = match next {
                Ok(delivery) => delivery,
                Err(unreadable) => {
                    self.set_aside.notification(id, &unreadable);
                    passed = Some(unreadable.id);
                    continue;
                }
            };
            let at = now();
            let left = delivery.due_at.left(at, pause::LONGEST);
            if !left.is_zero() {
                break Next::Later(left);
            }
            if held_until.is_none_or(|until| until < at.plus(self.options.send_limit)) {
                let until = at.plus(self.options.send_limit + HOLD_MARGIN);
                if !self.store.hold_subscriber(id, &self.host, at, until).await? {
                    return Ok(Next::Held);
                }
                // Whoever held it before may have sent what was read above.
                if held_until.replace(until).is_none() {
                    continue;
                }
            }
            if let Some(pause) = self.send(&target, &subscription, delivery).await? {
                break Next::Later(pause);
            }
        };
        if held_until.is_some() {
            let at = now();
            self.store.hold_subscriber(id, &self.host, at, at).await?;
        }
        Ok(next)
    }

    fn target(&self, subscription: &Subscription) -> Result<Target, String> {
        let url = http_url("callbackUri", &subscription.callback_uri).map_err(|error| error.to_string())?;
        let credentials = Credentials::open(&subscription.authentication, &self.keys, &subscription.id)
            .map_err(|error| error.to_string())?;
        Ok(Target {
            id: subscription.id.clone(),
            url,
            version: subscription.api_version,
            credentials,
        })
    }

    async fn post(&self, target: &Result<Target, String>, body: Vec<u8>) -> Result<(), String> {
        match (&self.client, target) {
            (Ok(client), Ok(target)) => client.notify(target, &Bytes::from(body), self.options.send_limit).await,
            (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
        }
    }

    /// Sends one. None: it is over, made or given up; otherwise when it is tried again.
    async fn send(
        &self,
        target: &Result<Target, String>,
        subscription: &Subscription,
        delivery: Delivery,
    ) -> Result<Option<Duration>, Error> {
        let Delivery {
            number, body, attempt, ..
        } = delivery;
        // As it was read, nobody else has it: it is not copied.
        let mut body = Arc::unwrap_or_clone(body);
        let id = &subscription.id;
        let version: ApiVersion = subscription.api_version;
        let notification_id = notification::address(&mut body, &self.options.endpoint, version, id, &number);
        let bytes = serde_json::to_vec(&body).map_err(|error| Error::corrupt("a notification", error))?;
        let begun = Instant::now();
        let sent = self.post(target, bytes).await;
        let host = target.as_ref().ok().and_then(|target| target.url.host_str());
        tracing::debug!(
            subscription_id = %id,
            %notification_id,
            callback_host = host,
            attempt,
            sent = sent.is_ok(),
            elapsed_ms = begun.elapsed().as_millis(),
            "notification tried"
        );
        let Err(reason) = sent else {
            locked(&self.failing).remove(id);
            self.store.end_delivery(id, &number).await?;
            return Ok(None);
        };
        // Nothing has reached it since this try began at the latest.
        let since = *locked(&self.failing).entry(id.clone()).or_insert(begun);
        let attempt = attempt.saturating_add(1);
        let (pause, at) = (pause::after(attempt), now());
        let failed = Failed {
            event: notification::event_time(&body),
            now: at,
            tries: attempt,
            unreached: since.elapsed(),
        };
        if failed.is_given_up(&self.options) {
            if let Some(suppressed) = self.given_up.pass(id.clone(), Instant::now()) {
                tracing::error!(
                    subscription_id = %id,
                    %notification_id,
                    callback_host = host,
                    attempts = attempt,
                    error = reason,
                    error.kind = "io",
                    suppressed,
                    "notification given up"
                );
            }
            self.store.end_delivery(id, &number).await?;
            return Ok(None);
        }
        // Of all subscribers together: how many fail is theirs to say, not the log's.
        if let Some(suppressed) = self.retried.pass((), Instant::now()) {
            tracing::warn!(
                subscription_id = %id,
                callback_host = host,
                attempt,
                error = reason,
                error.kind = "io",
                suppressed,
                "notification failed and is tried again"
            );
        }
        self.store.delay_delivery(id, &number, attempt, at.plus(pause)).await?;
        Ok(Some(pause))
    }
}
