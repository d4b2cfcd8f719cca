//! Subscriptions, and what is to be sent to them.

use std::sync::Arc;

use serde_json::json;
use vimhost_model::vnf::{
    ApiVersion, EventKind, LcmEvent, LifecycleChangeFilter, NotificationType, Subscription, Verbosity,
};
use vimhost_model::{HostId, SubscriptionId, Timestamp};

use super::Subject;
use super::sample::{NOW, id, minutes};
use super::vnf_lcm::data::{instance, op_occ};
use crate::{Delivery, Error, FIRST_REVISION, PendingEvent, Store};

fn subscription(name: &str) -> Subscription {
    Subscription {
        id: id(name),
        filter: Some(LifecycleChangeFilter {
            notification_types: Some(vec![NotificationType::VnfIdentifierCreationNotification]),
            ..LifecycleChangeFilter::default()
        }),
        callback_uri: "https://nfvo.example/notify".to_owned(),
        verbosity: Verbosity::Short,
        api_version: ApiVersion::V2,
        authentication: json!("v1.key.text"),
        created_at: NOW,
        revision: 0,
    }
}

/// As the store answers it.
fn kept(name: &str) -> Subscription {
    Subscription {
        revision: FIRST_REVISION,
        ..subscription(name)
    }
}

fn creation(name: &str) -> LcmEvent {
    LcmEvent::of(&instance(name), NOW, EventKind::IdentifierCreation)
}

/// Makes an instance for each name, each with its event; what is pending then.
async fn happen(store: &dyn Store, names: &[&str]) -> Vec<PendingEvent> {
    for name in names {
        store
            .add_vnf_instance(&instance(name), &[creation(name)])
            .await
            .unwrap();
    }
    store.pending_events(100).await.unwrap()
}

fn delivery(subscriber: &str, event: &PendingEvent) -> Delivery {
    Delivery {
        subscription: id(subscriber),
        number: event.number.clone(),
        body: Arc::new(
            json!({"vnfInstanceId": event.event.as_ref().unwrap().vnf_instance_id.as_str(), "$a.b": [1, null]}),
        ),
        attempt: 0,
        due_at: NOW,
    }
}

/// For each event what these subscribers are to be sent.
fn for_each(events: &[PendingEvent], subscribers: &[&str]) -> Vec<(String, Vec<Delivery>)> {
    let of = |event: &PendingEvent| subscribers.iter().map(|name| delivery(name, event)).collect();
    events.iter().map(|event| (event.number.clone(), of(event))).collect()
}

/// What is to be sent to a subscriber, all of it readable.
async fn queue(store: &dyn Store, subscriber: &str, limit: usize) -> Vec<Delivery> {
    let found = store.deliveries(&id(subscriber), None, limit).await.unwrap();
    found.into_iter().map(Result::unwrap).collect()
}

/// So deep that it is written and not read again.
fn too_deep() -> serde_json::Value {
    (0..200).fold(json!(1), |inner, _| serde_json::Value::Array(vec![inner]))
}

/// Whole, over a restart; a second one of the id is refused.
pub async fn a_subscription_is_kept_until_it_is_removed(subject: &mut dyn Subject) {
    {
        let store = subject.store();
        assert_eq!(store.subscription(&id("a")).await.unwrap(), None);
        store.add_subscription(&subscription("a")).await.unwrap();
        let taken = store
            .add_subscription(&Subscription {
                callback_uri: "https://other.example".to_owned(),
                ..subscription("a")
            })
            .await;
        assert!(matches!(taken, Err(Error::Conflict { .. })), "{taken:?}");
    }
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.subscription(&id("a")).await.unwrap(), Some(kept("a")));
    assert!(store.delete_subscription(&id("a")).await.unwrap());
    assert!(!store.delete_subscription(&id("a")).await.unwrap());
    assert_eq!(store.subscription(&id("a")).await.unwrap(), None);
}

/// Only those that were read, and nothing else of it.
pub async fn credentials_of_a_subscription_are_replaced_once(subject: &mut dyn Subject) {
    let (old, new) = (json!("v1.key.text"), json!("v1.other.text"));
    {
        let store = subject.store();
        store.add_subscription(&subscription("a")).await.unwrap();
        assert!(store.reseal_subscription(&id("a"), &old, &new).await.unwrap());
        assert!(
            !store
                .reseal_subscription(&id("a"), &old, &json!("v1.third"))
                .await
                .unwrap()
        );
        assert!(!store.reseal_subscription(&id("nobody"), &old, &new).await.unwrap());
    }
    subject.reopen().await;
    let expected = Subscription {
        authentication: new,
        ..kept("a")
    };
    assert_eq!(subject.store().subscription(&id("a")).await.unwrap(), Some(expected));
}

/// By id, disjoint, to the end.
pub async fn subscriptions_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "b"] {
        store.add_subscription(&subscription(name)).await.unwrap();
    }
    let first = store.subscriptions(None, 2).await.unwrap();
    assert_eq!(first.entries, [kept("a"), kept("b")]);
    let second = store.subscriptions(first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.entries, second.next), (vec![kept("c")], None));
    for (count, expected) in [(0, true), (1, true), (3, true), (4, false)] {
        assert_eq!(store.has_subscriptions(count).await.unwrap(), expected, "{count}");
    }
}

/// Also over a restart: a number that was seen does not come back for other subscriptions.
pub async fn each_change_of_the_subscriptions_has_a_version_of_its_own(subject: &mut dyn Subject) {
    let mut seen = Vec::new();
    {
        let store = subject.store();
        seen.push(store.subscriptions_version().await.unwrap());
        assert_eq!(store.subscriptions_version().await.unwrap(), seen[0]);
        store.add_subscription(&subscription("a")).await.unwrap();
        seen.push(store.subscriptions_version().await.unwrap());
    }
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.subscriptions_version().await.unwrap(), seen[1]);
    store.delete_subscription(&id("a")).await.unwrap();
    seen.push(store.subscriptions_version().await.unwrap());
    store.add_subscription(&subscription("b")).await.unwrap();
    seen.push(store.subscriptions_version().await.unwrap());
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len(), "{seen:?}");
}

/// What was decided first counts, however often it is decided, and what was delivered does not come back.
pub async fn an_event_becomes_its_deliveries_once(subject: &mut dyn Subject) {
    let events = {
        let store = subject.store();
        for name in ["a", "b"] {
            store.add_subscription(&subscription(name)).await.unwrap();
        }
        happen(&*store, &["one", "two"]).await
    };
    subject.reopen().await;
    let store = subject.store();
    assert_eq!(store.pending_events(100).await.unwrap(), events);
    let happened: Vec<_> = events.iter().map(|pending| pending.event.clone().unwrap()).collect();
    assert_eq!(happened, [creation("one"), creation("two")]);
    assert_eq!(store.pending_events(1).await.unwrap(), events[..1]);

    store.hand_out(for_each(&events[..1], &["a"])).await.unwrap();
    assert_eq!(store.pending_events(100).await.unwrap(), events[1..]);
    // Somebody who read both events before, and other subscriptions.
    store.hand_out(for_each(&events, &["a", "b"])).await.unwrap();
    assert_eq!(store.pending_events(100).await.unwrap(), []);
    let of_a = [delivery("a", &events[0]), delivery("a", &events[1])];
    assert_eq!(queue(&*store, "a", 10).await, of_a);
    assert_eq!(queue(&*store, "b", 10).await, [delivery("b", &events[1])]);

    store.end_delivery(&id("a"), &events[0].number).await.unwrap();
    store.end_delivery(&id("a"), &events[0].number).await.unwrap();
    store.hand_out(for_each(&events, &["a", "b"])).await.unwrap();
    assert_eq!(queue(&*store, "a", 10).await, of_a[1..]);

    // An event that nobody wants goes as well.
    let third = happen(&*store, &["three"]).await;
    store.hand_out(for_each(&third, &[])).await.unwrap();
    assert_eq!(store.pending_events(100).await.unwrap(), []);
}

/// It says why, and goes when it is handed out to nobody.
pub async fn an_event_that_cannot_be_read_is_not_in_the_way_of_others(subject: &mut dyn Subject) {
    let store = subject.store();
    // A date in a year of five digits is written and not read again.
    let mut occurrence = op_occ("op", "one", None);
    occurrence.start_time = Timestamp(1_000_000_000_000_000);
    let what = EventKind::OperationOccurrence {
        op_occ: Box::new(occurrence),
    };
    let unreadable = LcmEvent::of(&instance("one"), NOW, what);
    let events = [unreadable, creation("one")];
    store.add_vnf_instance(&instance("one"), &events).await.unwrap();
    let pending = store.pending_events(100).await.unwrap();
    let reason = pending[0].event.as_ref().unwrap_err();
    assert!(reason.contains("33658-"), "{reason}");
    assert_eq!(pending[1].event, Ok(creation("one")));
    store.hand_out(for_each(&pending[..1], &[])).await.unwrap();
    assert_eq!(store.pending_events(100).await.unwrap(), pending[1..]);
}

/// In the order of the events; one that failed stays the first.
pub async fn deliveries_come_in_order_and_are_tried_again_later(subject: &mut dyn Subject) {
    let events = {
        let store = subject.store();
        store.add_subscription(&subscription("a")).await.unwrap();
        let events = happen(&*store, &["one", "two", "three"]).await;
        let mut decided = for_each(&events, &["a"]);
        decided.reverse();
        store.hand_out(decided).await.unwrap();
        let first = &events[0].number;
        store.delay_delivery(&id("a"), first, 3, minutes(5)).await.unwrap();
        store.end_delivery(&id("a"), &events[1].number).await.unwrap();
        // What is gone is not delayed.
        store.delay_delivery(&id("a"), &events[1].number, 1, NOW).await.unwrap();
        events
    };
    subject.reopen().await;
    let store = subject.store();
    let delayed = Delivery {
        attempt: 3,
        due_at: minutes(5),
        ..delivery("a", &events[0])
    };
    assert_eq!(
        queue(&*store, "a", 10).await,
        [delayed.clone(), delivery("a", &events[2])]
    );
    assert_eq!(queue(&*store, "a", 1).await, [delayed]);
}

/// Neither is in the way of those behind it.
pub async fn a_subscription_or_a_delivery_that_cannot_be_read_is_told_apart_and_stays(subject: &mut dyn Subject) {
    let store = subject.store();
    let unreadable = Subscription {
        authentication: too_deep(),
        ..subscription("a")
    };
    store.add_subscription(&unreadable).await.unwrap();
    store.add_subscription(&subscription("b")).await.unwrap();
    let page = store.subscriptions(None, 10).await.unwrap();
    assert_eq!((page.entries, page.next), (vec![kept("b")], None));
    assert_eq!(page.unreadable.len(), 1);
    assert_eq!(page.unreadable[0].id, "a");
    let read = store.subscription(&id("a")).await;
    assert!(matches!(read, Err(Error::Corrupt { .. })), "{read:?}");
    // A page that ends with it has one behind it.
    let page = store.subscriptions(None, 1).await.unwrap();
    assert_eq!((page.entries, page.next.as_deref()), (vec![], Some("a")));

    let events = happen(&*store, &["one", "two"]).await;
    let mut decided = for_each(&events, &["b"]);
    decided[0].1[0].body = Arc::new(too_deep());
    store.hand_out(decided).await.unwrap();
    let found = store.deliveries(&id("b"), None, 10).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap_err().id, events[0].number);
    assert_eq!(found[1], Ok(delivery("b", &events[1])));
    let behind = store.deliveries(&id("b"), Some(&events[0].number), 1).await.unwrap();
    assert_eq!(behind, [Ok(delivery("b", &events[1]))]);
}

/// Others keep theirs.
pub async fn a_subscriber_that_leaves_takes_what_it_was_to_be_sent_along(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["a", "b"] {
        store.add_subscription(&subscription(name)).await.unwrap();
    }
    let events = happen(&*store, &["one"]).await;
    store.hand_out(for_each(&events, &["a", "b"])).await.unwrap();
    store.delete_subscription(&id("a")).await.unwrap();
    assert_eq!(queue(&*store, "a", 10).await, []);
    assert_eq!(queue(&*store, "b", 10).await, [delivery("b", &events[0])]);
    let waiting = store.subscribers_waiting(None, 10).await.unwrap();
    assert_eq!((waiting.entries, waiting.next), (vec![id("b")], None));
}

/// By id, each once, to the end.
pub async fn subscribers_that_wait_are_listed_a_page_at_a_time(subject: &mut dyn Subject) {
    let store = subject.store();
    for name in ["c", "a", "b", "idle"] {
        store.add_subscription(&subscription(name)).await.unwrap();
    }
    let events = happen(&*store, &["one", "two"]).await;
    store.hand_out(for_each(&events, &["c", "a", "b"])).await.unwrap();
    let first = store.subscribers_waiting(None, 2).await.unwrap();
    let ids = |names: &[&str]| names.iter().map(|name| id(name)).collect::<Vec<SubscriptionId>>();
    assert_eq!(first.entries, ids(&["a", "b"]));
    let second = store.subscribers_waiting(first.next.as_deref(), 2).await.unwrap();
    assert_eq!((second.entries, second.next), (ids(&["c"]), None));
    for event in &events {
        store.end_delivery(&id("b"), &event.number).await.unwrap();
    }
    let waiting = store.subscribers_waiting(None, 10).await.unwrap();
    assert_eq!(waiting.entries, ids(&["a", "c"]));
}

/// Until it gives the subscriber up or is late.
pub async fn one_host_at_a_time_delivers_to_a_subscriber(subject: &mut dyn Subject) {
    let store = subject.store();
    store.add_subscription(&subscription("a")).await.unwrap();
    let (one, two): (HostId, HostId) = (id("one"), id("two"));
    let hold = async |host: &HostId, now: i64, until: i64| {
        let to = id("a");
        let held = store.hold_subscriber(&to, host, minutes(now), minutes(until));
        held.await.unwrap()
    };
    assert!(hold(&one, 0, 5).await);
    assert!(!hold(&two, 1, 6).await);
    assert!(hold(&one, 1, 8).await);
    assert!(!hold(&two, 6, 9).await);
    // Late.
    assert!(hold(&two, 8, 20).await);
    assert!(!hold(&one, 9, 20).await);
    // Given up.
    assert!(hold(&two, 10, 10).await);
    assert!(hold(&one, 10, 20).await);
    // The clock was set back meanwhile: by more than anybody holds it, and by less.
    assert!(hold(&two, -1000, -990).await);
    assert!(!hold(&one, -1009, -999).await);
    assert!(hold(&two, -1000, -1000).await);
    let nobody = store
        .hold_subscriber(&id("nobody"), &one, NOW, minutes(1))
        .await
        .unwrap();
    assert!(!nobody);
}
