//! What the store cannot read: told once, passed over, and left where it is. A newer host may have written it, which reads it again.

use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;
use vimhost_model::SubscriptionId;
use vimhost_store::Unreadable;

use crate::callback::quoted;

/// What is remembered, some hundred bytes each. With more, what was met longest ago is forgotten, and told again.
const REMEMBERED: usize = 10_000;

/// What was told of: a subscription, or one of its notifications.
#[derive(Debug)]
pub(crate) struct SetAside(Mutex<LruCache<(String, Option<String>), ()>>);

impl Default for SetAside {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl SetAside {
    /// Nobody is told anything by this subscription.
    pub(crate) fn subscription(&self, id: &str, reason: &str) {
        if self.is_first(id, None) {
            tracing::error!(
                subscription_id = id,
                error = quoted(reason),
                error.kind = "schema",
                "subscription cannot be read and is set aside"
            );
        }
    }

    /// This notification is not sent.
    pub(crate) fn notification(&self, subscription: &SubscriptionId, unreadable: &Unreadable) {
        if self.is_first(subscription.as_str(), Some(&unreadable.id)) {
            tracing::error!(
                subscription_id = %subscription,
                event_number = unreadable.id,
                error = quoted(&unreadable.reason),
                error.kind = "schema",
                "notification cannot be read and is set aside"
            );
        }
    }

    fn is_first(&self, subscription: &str, number: Option<&str>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert((subscription.to_owned(), number.map(str::to_owned)), ())
            .is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subscription_and_each_notification_is_told_of_once() {
        let set_aside = SetAside::default();
        for first in [true, false] {
            assert_eq!(set_aside.is_first("a", None), first);
            assert_eq!(set_aside.is_first("a", Some("1")), first);
            assert_eq!(set_aside.is_first("b", Some("1")), first);
        }
    }
}
