//! Subscriptions, and what is to be sent to them.
//!
//! Numbers of events are SQLite's; outside they are texts of one length, so that they sort alike.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use vimhost_model::vnf::Subscription;
use vimhost_model::{HostId, SubscriptionId, Timestamp};
use vimhost_store::paging::{cut, rows};
use vimhost_store::{
    Change, Delivery, Error, Page, PendingEvent, SubscriptionPage, Subscriptions, Unreadable, no_hold_is_beyond,
};

use crate::connection::{all, first, run};
use crate::fault::{Outcome, decode, encode, from_sql, parse};
use crate::sql;
use crate::store::{SMALL, SqliteStore};
use crate::writer::Done;

fn text(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

fn key(row: &Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

/// Twenty digits hold every number.
fn number_text(number: i64) -> String {
    format!("{number:020}")
}

fn number_of(text: &str) -> Result<i64, Error> {
    parse("the number of an event", text)
}

/// A delivery as its row has it; `body` is the place of its body among those of the event.
struct Prepared {
    subscription: String,
    body: usize,
    attempt: u32,
    due_at: i64,
}

/// An event that was decided on.
struct Decided {
    number: i64,
    bodies: Vec<String>,
    deliveries: Vec<Prepared>,
}

impl Decided {
    fn of(number: &str, deliveries: Vec<Delivery>) -> Result<Self, Error> {
        let mut decided = Self {
            number: number_of(number)?,
            bodies: Vec::new(),
            deliveries: Vec::with_capacity(deliveries.len()),
        };
        let mut bodies: Vec<Arc<serde_json::Value>> = Vec::new();
        for delivery in deliveries {
            // An event has a body per version and verbosity: a handful, each made text once.
            let body = match bodies.iter().position(|body| *body == delivery.body) {
                Some(known) => known,
                None => {
                    decided.bodies.push(encode("a notification", &*delivery.body)?);
                    bodies.push(delivery.body);
                    bodies.len() - 1
                }
            };
            decided.deliveries.push(Prepared {
                subscription: delivery.subscription.to_string(),
                body,
                attempt: delivery.attempt,
                due_at: delivery.due_at.0,
            });
        }
        Ok(decided)
    }

    fn bytes(&self) -> usize {
        let bodies: usize = self.bodies.iter().map(String::len).sum();
        bodies
            .saturating_add(self.deliveries.len().saturating_mul(SMALL))
            .saturating_add(SMALL)
    }

    fn write(&self, connection: &Connection) -> Outcome<()> {
        if run(connection, sql::LCM_EVENT_DELETE, [self.number])? == 0 {
            return Ok(());
        }
        let mut keys = Vec::with_capacity(self.bodies.len());
        for body in &self.bodies {
            let made = first(connection, sql::DELIVERY_BODY_INSERT, [body], key)?;
            keys.push(made.ok_or_else(|| Error::corrupt("a notification", "it has no key"))?);
        }
        for delivery in &self.deliveries {
            let Some(body) = keys.get(delivery.body) else { continue };
            // Whoever has left since is not told.
            if first(connection, sql::SUBSCRIPTION_GET, [&delivery.subscription], |_| Ok(()))?.is_some() {
                let values = (
                    &delivery.subscription,
                    self.number,
                    body,
                    delivery.attempt,
                    delivery.due_at,
                );
                run(connection, sql::DELIVERY_INSERT, values)?;
            }
        }
        drop_bodies(connection, keys)
    }
}

/// Drops those that no delivery has any more.
fn drop_bodies(connection: &Connection, mut keys: Vec<i64>) -> Outcome<()> {
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        run(connection, sql::DELIVERY_BODY_DELETE_UNUSED, [key])?;
    }
    Ok(())
}

fn deliveries(
    connection: &Connection,
    subscription: &SubscriptionId,
    after: i64,
    limit: i64,
) -> Outcome<Vec<Result<Delivery, Unreadable>>> {
    let row = |row: &Row<'_>| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, u32>(2)?,
            row.get::<_, i64>(3)?,
        ))
    };
    let values = (subscription.as_str(), after, limit);
    let found = all(connection, sql::DELIVERY_PAGE, values, row)?;
    let read = |(number, body, attempt, due_at): (i64, String, u32, i64)| {
        let number = number_text(number);
        match decode("a notification", &body) {
            Ok(body) => Ok(Delivery {
                subscription: subscription.clone(),
                number,
                body: Arc::new(body),
                attempt,
                due_at: Timestamp(due_at),
            }),
            Err(error) => Err(Unreadable {
                id: number,
                reason: error.to_string(),
            }),
        }
    };
    Ok(found.into_iter().map(read).collect())
}

/// One seek per subscriber, however much it is to be sent.
fn waiting(connection: &Connection, after: String, limit: usize) -> Outcome<Page<SubscriptionId>> {
    let wanted = usize::try_from(rows(limit)).unwrap_or(usize::MAX);
    let (mut found, mut after) = (Vec::new(), after);
    while found.len() < wanted {
        let Some(next) = first(connection, sql::DELIVERY_NEXT_SUBSCRIBER, [&after], text)? else {
            break;
        };
        found.push(parse("a subscription's id", &next)?);
        after = next;
    }
    Ok(cut(found, limit, SubscriptionId::to_string))
}

fn changed<T>(answer: T) -> Done<T> {
    Done {
        answer,
        hints: vec![Change::Subscriptions],
    }
}

#[async_trait]
impl Subscriptions for SqliteStore {
    async fn add_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        let kept = Subscription {
            revision: vimhost_store::FIRST_REVISION,
            ..subscription.clone()
        };
        let (id, document) = (kept.id.to_string(), encode("a subscription", &kept)?);
        self.write(document.len(), move |connection| {
            if run(connection, sql::SUBSCRIPTION_INSERT, (&id, &document))? == 0 {
                return Err(Error::conflict(format!("subscription {id}")).into());
            }
            run(connection, sql::SUBSCRIPTION_CHANGED, [])?;
            Ok(changed(()))
        })
        .await
    }

    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Error> {
        let id = id.clone();
        self.read(move |connection| {
            let found = first(connection, sql::SUBSCRIPTION_GET, [id.as_str()], text)?;
            let found = found.map(|document| decode("a subscription", &document));
            Ok(found.transpose()?)
        })
        .await
    }

    async fn subscriptions(&self, after: Option<&str>, limit: usize) -> Result<SubscriptionPage, Error> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| {
            let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let found = all(connection, sql::SUBSCRIPTION_PAGE, (after, rows(limit)), row)?;
            let read = |(id, document): (String, String)| (id, decode("a subscription", &document));
            let read: Vec<(String, Result<Subscription, Error>)> = found.into_iter().map(read).collect();
            Ok(SubscriptionPage::of(cut(read, limit, |(id, _)| id.clone())))
        })
        .await
    }

    async fn has_subscriptions(&self, count: usize) -> Result<bool, Error> {
        let Some(others) = count.checked_sub(1) else {
            return Ok(true);
        };
        let others = i64::try_from(others).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let found = first(connection, sql::SUBSCRIPTION_AFTER_OTHERS, [others], |_| Ok(()))?;
            Ok(found.is_some())
        })
        .await
    }

    async fn delete_subscription(&self, id: &SubscriptionId) -> Result<bool, Error> {
        let id = id.clone();
        self.write(SMALL, move |connection| {
            let bodies = all(connection, sql::DELIVERY_DELETE_OF_SUBSCRIBER, [id.as_str()], key)?;
            drop_bodies(connection, bodies)?;
            if run(connection, sql::SUBSCRIPTION_DELETE, [id.as_str()])? == 0 {
                return Ok(Done::quietly(false));
            }
            run(connection, sql::SUBSCRIPTION_CHANGED, [])?;
            Ok(changed(true))
        })
        .await
    }

    async fn reseal_subscription(
        &self,
        id: &SubscriptionId,
        from: &serde_json::Value,
        to: &serde_json::Value,
    ) -> Result<bool, Error> {
        let (id, from, to) = (id.clone(), from.clone(), to.clone());
        self.write(SMALL, move |connection| {
            let found = first(connection, sql::SUBSCRIPTION_GET, [id.as_str()], text)?;
            let found = found.map(|document| decode("a subscription", &document)).transpose()?;
            let Some(mut kept) = found.filter(|kept: &Subscription| kept.authentication == from) else {
                return Ok(Done::quietly(false));
            };
            kept.authentication = to;
            let document = encode("a subscription", &kept)?;
            run(connection, sql::SUBSCRIPTION_RESEAL, (id.as_str(), &document))?;
            Ok(Done::quietly(true))
        })
        .await
    }

    async fn subscriptions_version(&self) -> Result<u64, Error> {
        self.read(|connection| {
            let version = first(connection, sql::SUBSCRIPTION_VERSION, [], key)?;
            from_sql(version.unwrap_or_default())
        })
        .await
    }

    async fn pending_events(&self, limit: usize) -> Result<Vec<PendingEvent>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
            let found = all(connection, sql::LCM_EVENT_PAGE, (0_i64, limit), row)?;
            let pending = found.into_iter().map(|(number, document)| PendingEvent {
                number: number_text(number),
                event: decode("an event", &document).map_err(|error| error.to_string()),
            });
            Ok(pending.collect())
        })
        .await
    }

    async fn hand_out(&self, decided: Vec<(String, Vec<Delivery>)>) -> Result<(), Error> {
        let decided = decided
            .into_iter()
            .map(|(number, deliveries)| Decided::of(&number, deliveries))
            .collect::<Result<Vec<_>, Error>>()?;
        let bytes = decided.iter().map(Decided::bytes).sum();
        self.write(bytes, move |connection| {
            for event in &decided {
                event.write(connection)?;
            }
            Ok(changed(()))
        })
        .await
    }

    async fn deliveries(
        &self,
        subscription: &SubscriptionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Result<Delivery, Unreadable>>, Error> {
        let (subscription, limit) = (subscription.clone(), i64::try_from(limit).unwrap_or(i64::MAX));
        let after = after.map_or(Ok(0), number_of)?;
        self.read(move |connection| deliveries(connection, &subscription, after, limit))
            .await
    }

    async fn subscribers_waiting(&self, after: Option<&str>, limit: usize) -> Result<Page<SubscriptionId>, Error> {
        let after = after.unwrap_or_default().to_owned();
        self.read(move |connection| waiting(connection, after, limit)).await
    }

    async fn hold_subscriber(
        &self,
        subscription: &SubscriptionId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let (subscription, host) = (subscription.clone(), host.clone());
        self.write(SMALL, move |connection| {
            let beyond = no_hold_is_beyond(now, until);
            let values = (subscription.as_str(), host.as_str(), now.0, until.0, beyond.0);
            Ok(Done::quietly(run(connection, sql::SUBSCRIPTION_HOLD, values)? > 0))
        })
        .await
    }

    async fn end_delivery(&self, subscription: &SubscriptionId, number: &str) -> Result<(), Error> {
        let (subscription, number) = (subscription.clone(), number_of(number)?);
        self.write(SMALL, move |connection| {
            let bodies = all(connection, sql::DELIVERY_DELETE, (subscription.as_str(), number), key)?;
            drop_bodies(connection, bodies)?;
            Ok(Done::quietly(()))
        })
        .await
    }

    async fn delay_delivery(
        &self,
        subscription: &SubscriptionId,
        number: &str,
        attempt: u32,
        due_at: Timestamp,
    ) -> Result<(), Error> {
        let (subscription, number) = (subscription.clone(), number_of(number)?);
        self.write(SMALL, move |connection| {
            let values = (subscription.as_str(), number, attempt, due_at.0);
            run(connection, sql::DELIVERY_DELAY, values)?;
            Ok(Done::quietly(()))
        })
        .await
    }
}
