//! The face: subscriptions, and the task that hands events out.
//!
//! It looks when it is told that there are events, and from time to time for what nobody told it of: what a host that died left behind, and
//! subscribers that another host had in hand.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use vimhost_model::vnf::{ApiVersion, Subscription};
use vimhost_model::{SubscriptionId, Timestamp};
use vimhost_store::seal::KeyRing;
use vimhost_store::{Change, Page, Store};

use crate::authentication::Credentials;
use crate::callback::Target;
use crate::deliver::{Courier, now};
use crate::outbox::Outbox;
use crate::request::{LccnSubscriptionRequest, bounded, http_url};
use crate::set_aside::SetAside;
use crate::{Error, NotifyOptions, notification, pause};

/// Between two looks without being told.
const RESCAN: Duration = Duration::from_secs(15);

/// Subscribers read at a time.
const PAGE: usize = 200;

/// The longest pause while the store cannot be reached.
const LONGEST_STORE_PAUSE: Duration = Duration::from_secs(15);

/// Tells subscribers.
pub struct Notifier {
    store: Arc<dyn Store>,
    keys: Arc<KeyRing>,
    options: Arc<NotifyOptions>,
    courier: Arc<Courier>,
}

impl Notifier {
    /// Starts to tell subscribers what happens. Must be called within the runtime.
    pub async fn start(store: Arc<dyn Store>, keys: Arc<KeyRing>, options: NotifyOptions) -> Arc<Self> {
        let options = Arc::new(options);
        let set_aside = Arc::new(SetAside::default());
        let courier = Arc::new(Courier::new(
            Arc::clone(&store),
            Arc::clone(&keys),
            Arc::clone(&options),
            Arc::clone(&set_aside),
        ));
        if let Err(reason) = &courier.client {
            tracing::error!(
                target: "vimhost_notify::critical",
                critical = true,
                error = reason,
                error.kind = "io",
                "nobody can be notified"
            );
        }
        let watch = Watch {
            store: Arc::clone(&store),
            outbox: Outbox::new(Arc::clone(&store), options.endpoint.clone(), set_aside),
            courier: Arc::clone(&courier),
        };
        courier.tasks.spawn(watch.run());
        Arc::new(Self {
            store,
            keys,
            options,
            courier,
        })
    }

    /// Ends: what is under way is finished if it is within `patience`, what waits stays in the store.
    pub async fn stop(&self, patience: Duration) {
        self.courier.stop.cancel();
        self.courier.tasks.close();
        if tokio::time::timeout(patience, self.courier.tasks.wait()).await.is_err() {
            tracing::warn!("notifications under way were not finished in time and are sent again");
        }
    }

    /// Adds a subscription, after its callback has answered a test.
    ///
    /// # Errors
    /// [`Error::BadRequest`] for a callback or credentials that cannot be used, [`Error::Unprocessable`] when the test failed or there are
    /// too many subscriptions.
    pub async fn subscribe(
        &self,
        request: LccnSubscriptionRequest,
        version: ApiVersion,
    ) -> Result<Subscription, Error> {
        if let Some(filter) = &request.filter {
            bounded(filter)?;
        }
        let target = Target {
            id: SubscriptionId::random(),
            url: http_url("callbackUri", &request.callback_uri)?,
            version,
            credentials: request.authentication.map(Credentials::of).transpose()?,
        };
        if let Some(Credentials::Client { token_endpoint, .. }) = &target.credentials {
            http_url("tokenEndpoint", token_endpoint)?;
        }
        let most = self.options.most_subscriptions;
        if self.store.has_subscriptions(most).await? {
            return Err(Error::Unprocessable(format!(
                "there are {most} subscriptions, which is all that this host keeps; remove those that are of no use"
            )));
        }
        if self.options.test_notification {
            self.test(&target).await?;
        }
        let authentication = match &target.credentials {
            Some(credentials) => credentials.seal(&self.keys, &target.id)?,
            None => Value::Null,
        };
        let subscription = Subscription {
            id: target.id,
            filter: request.filter,
            callback_uri: request.callback_uri,
            verbosity: request.verbosity.unwrap_or_default(),
            api_version: version,
            authentication,
            created_at: now(),
            revision: 0,
        };
        self.store.add_subscription(&subscription).await?;
        Ok(subscription)
    }

    async fn test(&self, target: &Target) -> Result<(), Error> {
        let tested = match &self.courier.client {
            Ok(client) => client.test(target, self.options.test_limit).await,
            Err(reason) => Err(reason.clone()),
        };
        tested.map_err(|reason| {
            let host = target.url.host_str();
            tracing::error!(callback_host = host, error = reason, "test notification failed");
            Error::Unprocessable(format!("the test of callbackUri failed: {reason}"))
        })
    }

    /// A subscription of a version of the interface.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn subscription(&self, id: &SubscriptionId, version: ApiVersion) -> Result<Subscription, Error> {
        let found = self.store.subscription(id).await?;
        found
            .filter(|found| found.api_version == version)
            .ok_or_else(|| Error::NotFound(id.to_string()))
    }

    /// Subscriptions of all versions by id, from after `after`, without those that cannot be read.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn subscriptions(&self, after: Option<&str>, limit: usize) -> Result<Page<Subscription>, Error> {
        let page = self.store.subscriptions(after, limit).await?;
        Ok(Page {
            entries: page.entries,
            next: page.next,
        })
    }

    /// Removes a subscription of a version of the interface, with what was to be sent to it.
    ///
    /// # Errors
    /// [`Error::NotFound`]
    pub async fn unsubscribe(&self, id: &SubscriptionId, version: ApiVersion) -> Result<(), Error> {
        self.subscription(id, version).await?;
        let removed = self.store.delete_subscription(id).await?;
        self.courier.forget(id);
        if removed {
            Ok(())
        } else {
            Err(Error::NotFound(id.to_string()))
        }
    }

    /// A subscription as the interface shows it: without credentials.
    #[must_use]
    pub fn view(&self, subscription: &Subscription) -> Value {
        let version = subscription.api_version;
        let href = notification::subscription_href(&self.options.endpoint, version, &subscription.id);
        let mut view = Map::new();
        view.insert("id".to_owned(), json!(subscription.id));
        if let Some(filter) = &subscription.filter {
            view.insert("filter".to_owned(), json!(filter));
        }
        view.insert("callbackUri".to_owned(), json!(subscription.callback_uri));
        match version {
            ApiVersion::V1 => {}
            ApiVersion::V2 => {
                view.insert("verbosity".to_owned(), json!(subscription.verbosity));
            }
        }
        view.insert("_links".to_owned(), json!({"self": {"href": href}}));
        Value::Object(view)
    }
}

/// Hands events out for as long as the host runs.
struct Watch {
    store: Arc<dyn Store>,
    outbox: Outbox,
    courier: Arc<Courier>,
}

impl Watch {
    async fn run(self) {
        // Before the first look, so that nothing falls between.
        let mut changes = self.store.changes();
        let mut told = true;
        let mut failures = 0;
        let mut scan_at = Instant::now();
        while !self.courier.stop.is_cancelled() {
            let scan = Instant::now() >= scan_at;
            match self.look(scan, now()).await {
                Ok(()) => {
                    failures = 0;
                    if scan {
                        scan_at = Instant::now() + RESCAN;
                    }
                }
                Err(error) => {
                    self.courier.tell_store_failed(&error);
                    failures += 1;
                    tokio::select! {
                        () = self.courier.stop.cancelled() => return,
                        () = tokio::time::sleep(pause::after(failures).min(LONGEST_STORE_PAUSE)) => {}
                    }
                    continue;
                }
            }
            loop {
                tokio::select! {
                    () = self.courier.stop.cancelled() => return,
                    () = tokio::time::sleep_until(scan_at) => break,
                    change = changes.recv(), if told => match change {
                        Ok(change) => if change == Change::Events { break },
                        Err(RecvError::Lagged(_)) => break,
                        // By time alone, then.
                        Err(RecvError::Closed) => told = false,
                    },
                }
            }
        }
    }

    /// Hands out what is pending; with `scan` also looks for subscribers that wait.
    async fn look(&self, scan: bool, at: Timestamp) -> Result<(), vimhost_store::Error> {
        while let Some(told) = self.outbox.hand_out(at).await? {
            for subscriber in &told {
                self.courier.kick(subscriber);
            }
            if self.courier.stop.is_cancelled() {
                return Ok(());
            }
        }
        if !scan {
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = self.store.subscribers_waiting(after.as_deref(), PAGE).await?;
            for subscriber in &page.entries {
                self.courier.kick(subscriber);
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
