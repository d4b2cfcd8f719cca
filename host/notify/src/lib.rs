//! Subscriptions of SOL003: who is told of what, and telling them.
//!
//! ```text
//! event, written with ──► matching ──► deliveries, one per ──► one task per subscriber: ──► POST callback
//! the change it tells of   (index)      subscriber, kept        in order, one at a time       204, or again later
//! ```
//!
//! * [`matching`] — which subscriptions an event is for, at the price of those it is for.
//! * [`notification`] — what they are told; one body for all of the same version and verbosity.
//! * [`Notifier`] — events to deliveries, deliveries to callbacks, and the subscriptions themselves.
//!
//! **What holds.** An event is in the store with the change it tells of, and becomes its deliveries in one step; so no subscriber is
//! forgotten, whenever a host dies. A notification may come twice, when a host dies between sending it and noting that: it has the same
//! `id` then. To one subscriber notifications come in order, and one that answers slowly or never delays nobody else. Nothing is
//! built for whom an event does not concern.
//!
//! **Several hosts** on one store: whoever sees an event first hands it out; a subscriber is held by one host at a time, for some seconds.

#![forbid(unsafe_code)]

mod authentication;
mod callback;
mod deliver;
mod dial;
mod error;
pub mod matching;
pub mod notification;
mod notifier;
mod options;
mod outbox;
mod pause;
mod quiet;
mod request;
mod set_aside;
mod token;
mod v1;

pub use authentication::{AuthType, AuthenticationRequest, ParamsBasic, ParamsOauth2ClientCredentials};
pub use error::Error;
pub use notifier::Notifier;
pub use options::NotifyOptions;
pub use request::{LONGEST_CALLBACK_URI, LccnSubscriptionRequest};
