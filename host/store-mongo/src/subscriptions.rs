//! Subscriptions, and what is to be sent to them.
//!
//! | document | form |
//! | --- | --- |
//! | a subscription | `{ _id, doc, holder, held_until }` |
//! | an event | `{ _id: number, doc }`, once decided on with `handed: { bodies, to: [{ s, b, n, d }] }`, then `{ _id, ended }` |
//! | a delivery | `{ _id: subscription/number, subscription, number, doc, attempt, due_at }`, then `{ _id, ended }` |
//!
//! The event decides: one compare-and-set puts into it who is to be told. Whoever reads it then carries that out, the deliveries first and
//! the end of the event after them, and all of it can be repeated. Events and deliveries that are over keep their id for some minutes:
//! somebody who was about to write the same again finds it there, so that nothing that was sent comes back. The server removes them.

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::bson::{Bson, DateTime, Document, doc};
use vimhost_model::vnf::Subscription;
use vimhost_model::{HostId, SubscriptionId, Timestamp};
use vimhost_store::{
    Change, Delivery, Error, FIRST_REVISION, Page, PendingEvent, SubscriptionPage, Subscriptions, Unreadable,
    no_hold_is_beyond,
};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, encode, from_db, parse};
use crate::fields::{list_of, number_of, text_of, texts_of};
use crate::paging::{cut, rows};
use crate::shapes::{self, DELIVERIES, SUBSCRIPTIONS};
use crate::store::{Core, MongoStore};

/// The document that counts changes of the subscriptions.
const VERSION: &str = "subscriptions";

/// No id of a subscription is the beginning of another one's deliveries: their numbers hold no line end, nor does an id.
fn delivery_id(subscription: &str, number: &str) -> String {
    format!("{subscription}\n{number}")
}

fn subscription_of(document: &Document) -> Outcome<Subscription> {
    Ok(decode("a subscription", text_of(document, "doc"))?)
}

fn delivery_of(subscription: &SubscriptionId, document: &Document) -> Result<Delivery, Unreadable> {
    let number = text_of(document, "number").to_owned();
    match decode("a notification", text_of(document, "doc")) {
        Ok(body) => Ok(Delivery {
            subscription: subscription.clone(),
            number,
            body: Arc::new(body),
            attempt: u32::try_from(number_of(document, "attempt")).unwrap_or(u32::MAX),
            due_at: Timestamp(number_of(document, "due_at")),
        }),
        Err(error) => Err(Unreadable {
            id: number,
            reason: error.to_string(),
        }),
    }
}

/// Who is to be told what, as the event keeps it. Subscribers share bodies, so that the document stays small.
fn handed(deliveries: &[Delivery]) -> Outcome<Document> {
    let mut bodies: Vec<&Arc<serde_json::Value>> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let mut to: Vec<Bson> = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        // An event has a body per version and verbosity: a handful, each made text once.
        let body = match bodies.iter().position(|body| **body == delivery.body) {
            Some(known) => known,
            None => {
                texts.push(encode("a notification", &*delivery.body)?);
                bodies.push(&delivery.body);
                bodies.len() - 1
            }
        };
        let body = i64::try_from(body).map_err(|error| Error::corrupt("a notification", error))?;
        to.push(Bson::Document(doc! {
            "s": delivery.subscription.as_str(), "b": body, "n": i64::from(delivery.attempt), "d": delivery.due_at.0,
        }));
    }
    Ok(doc! {"bodies": texts, "to": to})
}

/// The documents of what an event keeps.
fn deliveries_of(number: &str, handed: &Document) -> Outcome<Vec<Document>> {
    let bodies = texts_of(handed, "bodies");
    let told = list_of(handed, "to").iter().filter_map(Bson::as_document);
    told.map(|told| {
        let body = usize::try_from(number_of(told, "b")).ok();
        let body = body
            .and_then(|body| bodies.get(body))
            .ok_or_else(|| Error::corrupt("an event that was decided on", "a body is missing"))?;
        let subscription = text_of(told, "s");
        Ok(doc! {
            "_id": delivery_id(subscription, number),
            "subscription": subscription,
            "number": number,
            "doc": body,
            "attempt": number_of(told, "n"),
            "due_at": number_of(told, "d"),
        })
    })
    .collect()
}

fn over(fields: Document) -> Document {
    doc! {"$set": {"ended": DateTime::now()}, "$unset": fields}
}

impl Core {
    async fn insert_subscription(&self, subscription: &Subscription) -> Outcome<()> {
        let kept = Subscription {
            revision: FIRST_REVISION,
            ..subscription.clone()
        };
        let text = encode("a subscription", &kept)?;
        let new = doc! {"_id": kept.id.as_str(), "doc": &text, "holder": null, "held_until": 0_i64};
        let inserted = match self.db.insert(SUBSCRIPTIONS, new).await {
            Err(Fault::Duplicate(_)) => Err(Error::conflict(format!("subscription {}", kept.id)).into()),
            // Ids are drawn by chance: if the same text is there, it was written by this call.
            Err(fault) if fault.is_lost() => match self.db.first(shapes::subscription(kept.id.as_str())).await? {
                Some(found) if text_of(&found, "doc") == text => Ok(()),
                _ => Err(fault),
            },
            other => other,
        };
        inserted?;
        self.subscriptions_changed().await
    }

    async fn subscriptions_changed(&self) -> Outcome<()> {
        let next = Statement {
            upsert: true,
            ..Statement::of(shapes::meta(VERSION), doc! {"$inc": {"version": 1_i64}})
        };
        match self.db.update(next.clone()).await {
            // Counting twice does no harm.
            Err(fault) if fault.is_lost() || matches!(fault, Fault::Duplicate(_)) => {
                self.db.update(next).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    async fn remove_subscription(&self, id: &SubscriptionId) -> Outcome<bool> {
        let removed = self.db.delete(shapes::subscription(id.as_str())).await;
        let lost = matches!(&removed, Err(fault) if fault.is_lost());
        // Before its deliveries, so that no host goes on making new ones.
        if lost || matches!(removed, Ok(true)) {
            self.subscriptions_changed().await?;
        }
        self.db.delete_all(shapes::deliveries_of(id.as_str())).await?;
        removed
    }

    async fn reseal(&self, id: &SubscriptionId, from: &serde_json::Value, to: &serde_json::Value) -> Outcome<bool> {
        let Some(found) = self.db.first(shapes::subscription(id.as_str())).await? else {
            return Ok(false);
        };
        let mut kept = subscription_of(&found)?;
        if kept.authentication != *from {
            return Ok(false);
        }
        kept.authentication = to.clone();
        let text = encode("a subscription", &kept)?;
        let written = shapes::subscription_written(id.as_str(), text_of(&found, "doc"));
        let statement = Statement::of(written, doc! {"$set": {"doc": &text}});
        match self.db.update(statement).await {
            // No two sealed texts are alike: if the new one is there, this call has put it.
            Err(fault) if fault.is_lost() => match self.db.first(shapes::subscription(id.as_str())).await? {
                Some(found) if text_of(&found, "doc") == text => Ok(true),
                _ => Err(fault),
            },
            other => other,
        }
    }

    async fn subscription_page(&self, after: Option<&str>, limit: usize) -> Outcome<SubscriptionPage> {
        let after = after.unwrap_or_default();
        let found = self.db.all(shapes::subscriptions_after(after), rows(limit)).await?;
        let read = |document: &Document| {
            let read = decode("a subscription", text_of(document, "doc"));
            (text_of(document, "_id").to_owned(), read)
        };
        let read: Vec<(String, Result<Subscription, Error>)> = found.iter().map(read).collect();
        Ok(SubscriptionPage::of(cut(read, limit, |(id, _)| id.clone())))
    }

    async fn events_page(&self, limit: usize) -> Outcome<Vec<PendingEvent>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = self.db.all(shapes::lcm_events_pending(""), limit).await?;
        let pending = |event: &Document| PendingEvent {
            number: text_of(event, "_id").to_owned(),
            event: decode("an event", text_of(event, "doc")).map_err(|error| error.to_string()),
        };
        Ok(found.iter().map(pending).collect())
    }

    /// Decides on an event unless somebody has, and carries out what was decided.
    async fn hand_out_event(&self, number: &str, deliveries: &[Delivery]) -> Outcome<()> {
        let decide = Statement::of(
            shapes::lcm_event_undecided(number),
            doc! {"$set": {"handed": handed(deliveries)?}},
        );
        let decided = match self.db.update_and_read(decide).await {
            Err(fault) if !fault.is_lost() => return Err(fault),
            Ok(Some(decided)) => Some(decided),
            // Somebody else was first, or it is not known who was.
            Ok(None) | Err(_) => self.db.first(shapes::lcm_event(number)).await?,
        };
        let Some(decided) = decided else { return Ok(()) };
        // Neither decided on, when the first command was lost, nor told already.
        let Ok(handed) = decided.get_document("handed") else {
            return if decided.contains_key("doc") {
                Err(Fault::Lost("the decision on an event was lost".to_owned()))
            } else {
                Ok(())
            };
        };
        let new = deliveries_of(number, handed)?;
        for attempt in 0..2 {
            match self.db.insert_all(DELIVERIES, &new).await {
                // What is there was put there by whoever carries out the same.
                Ok(()) | Err(Fault::Duplicate(_)) => break,
                Err(fault) if fault.is_lost() && attempt == 0 => {}
                Err(fault) => return Err(fault),
            }
        }
        let told = over(doc! {"doc": "", "handed": ""});
        self.db.update_all(shapes::lcm_event(number), told).await?;
        Ok(())
    }

    async fn waiting_page(&self, after: Option<&str>, limit: usize) -> Outcome<Page<SubscriptionId>> {
        let wanted = usize::try_from(rows(limit)).unwrap_or(usize::MAX);
        let (mut found, mut after) = (Vec::new(), after.unwrap_or_default().to_owned());
        while found.len() < wanted {
            let next = self.db.all(shapes::subscriber_waiting(&after), 1).await?;
            let Some(next) = next.first() else { break };
            let next = text_of(next, "subscription");
            found.push(parse("a delivery", next)?);
            next.clone_into(&mut after);
        }
        Ok(cut(found, limit, SubscriptionId::to_string))
    }

    async fn hold(&self, id: &SubscriptionId, host: &HostId, now: Timestamp, until: Timestamp) -> Outcome<bool> {
        let hold = Statement::of(
            shapes::subscription_free(id.as_str(), host.as_str(), now.0, no_hold_is_beyond(now, until).0),
            doc! {"$set": {"holder": host.as_str(), "held_until": until.0}},
        );
        match self.db.update(hold.clone()).await {
            // The host itself matches again.
            Err(fault) if fault.is_lost() => self.db.update(hold).await,
            other => other,
        }
    }
}

#[async_trait]
impl Subscriptions for MongoStore {
    async fn add_subscription(&self, subscription: &Subscription) -> Result<(), Error> {
        self.core.insert_subscription(subscription).await?;
        self.core.hints.tell([Change::Subscriptions]);
        Ok(())
    }

    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, Error> {
        let found = self.core.db.first(shapes::subscription(id.as_str())).await?;
        Ok(found.as_ref().map(subscription_of).transpose()?)
    }

    async fn subscriptions(&self, after: Option<&str>, limit: usize) -> Result<SubscriptionPage, Error> {
        Ok(self.core.subscription_page(after, limit).await?)
    }

    async fn has_subscriptions(&self, count: usize) -> Result<bool, Error> {
        if count == 0 {
            return Ok(true);
        }
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let ids = shapes::subscriptions_after("").only(doc! {"_id": 1});
        Ok(self.core.db.all(ids, limit).await?.len() >= count)
    }

    async fn delete_subscription(&self, id: &SubscriptionId) -> Result<bool, Error> {
        let removed = self.core.remove_subscription(id).await?;
        if removed {
            self.core.hints.tell([Change::Subscriptions]);
        }
        Ok(removed)
    }

    async fn reseal_subscription(
        &self,
        id: &SubscriptionId,
        from: &serde_json::Value,
        to: &serde_json::Value,
    ) -> Result<bool, Error> {
        Ok(self.core.reseal(id, from, to).await?)
    }

    async fn subscriptions_version(&self) -> Result<u64, Error> {
        let found = self.core.db.first(shapes::meta(VERSION)).await?;
        let version = found.map_or(0, |found| number_of(&found, "version"));
        Ok(from_db(version)?)
    }

    async fn pending_events(&self, limit: usize) -> Result<Vec<PendingEvent>, Error> {
        Ok(self.core.events_page(limit).await?)
    }

    async fn hand_out(&self, decided: Vec<(String, Vec<Delivery>)>) -> Result<(), Error> {
        // One after the other: what comes later is not to be sent first.
        for (number, deliveries) in decided {
            self.core.hand_out_event(&number, &deliveries).await?;
        }
        self.core.hints.tell([Change::Subscriptions]);
        Ok(())
    }

    async fn deliveries(
        &self,
        subscription: &SubscriptionId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Result<Delivery, Unreadable>>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = shapes::deliveries_after(subscription.as_str(), after.unwrap_or_default());
        let found = self.core.db.all(query, limit).await?;
        let read = |document: &Document| delivery_of(subscription, document);
        Ok(found.iter().map(read).collect())
    }

    async fn subscribers_waiting(&self, after: Option<&str>, limit: usize) -> Result<Page<SubscriptionId>, Error> {
        Ok(self.core.waiting_page(after, limit).await?)
    }

    async fn hold_subscriber(
        &self,
        subscription: &SubscriptionId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        Ok(self.core.hold(subscription, host, now, until).await?)
    }

    async fn end_delivery(&self, subscription: &SubscriptionId, number: &str) -> Result<(), Error> {
        let id = delivery_id(subscription.as_str(), number);
        let ended = over(doc! {"subscription": "", "number": "", "doc": "", "attempt": "", "due_at": ""});
        self.core.db.update_all(shapes::delivery_open(&id), ended).await?;
        Ok(())
    }

    async fn delay_delivery(
        &self,
        subscription: &SubscriptionId,
        number: &str,
        attempt: u32,
        due_at: Timestamp,
    ) -> Result<(), Error> {
        let id = delivery_id(subscription.as_str(), number);
        let delay = doc! {"$set": {"attempt": i64::from(attempt), "due_at": due_at.0}};
        self.core.db.update_all(shapes::delivery_open(&id), delay).await?;
        Ok(())
    }
}
