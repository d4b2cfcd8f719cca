//! The project's own interface, `/v1/…`: accounts, plugins, records, network services, actions; and the probes.
//!
//! JSON out, JSON or YAML in. Every error is a problem detail (RFC 9457). Listings are paged by cursors. Accounts and records carry
//! their revision as `ETag`, and changes honour `If-Match`. A request for work answers 202 with the place to look, and takes
//! an `Idempotency-Key`, which becomes the id of the action.
//!
//! `auth` says who may do what: bearer tokens with a role, or nobody but loopback where none are configured.

mod accounts;
mod actions;
mod auth;
mod events;
mod health;
mod input;
mod leases;
mod output;
mod problem;
mod records;
mod services;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vimhost_engine::Engine;

use crate::RequestLimits;
use crate::exchange::{self, Exchange};

pub use auth::{Role, TokenDigest, TokenDigestError};

/// Settings of the interface.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bounds of a request.
    pub limits: RequestLimits,
    /// Who may use it. Empty: loopback only, without a token, as administrator.
    pub tokens: Vec<TokenDigest>,
    /// Streams of events at a time; one more is answered with 503.
    pub watchers: usize,
    /// Ends the streams of events, which would otherwise hold a shutdown up.
    pub shutdown: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: RequestLimits::default(),
            tokens: Vec::new(),
            watchers: 256,
            shutdown: CancellationToken::new(),
        }
    }
}

/// What handlers share.
struct Shared {
    engine: Arc<Engine>,
    limits: RequestLimits,
    watchers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

type Admin = Arc<Shared>;

/// The interface as a router. It needs the peer's address ([`crate::serve()`] gives it).
pub fn router(engine: Arc<Engine>, options: Options) -> Router {
    let exchange = Exchange {
        limits: options.limits,
        write_refusal: problem::write,
    };
    let gate = Arc::new(auth::Gate::new(options.tokens));
    let shared: Admin = Arc::new(Shared {
        engine,
        limits: options.limits,
        watchers: Arc::new(Semaphore::new(options.watchers)),
        shutdown: options.shutdown,
    });
    let v1 = Router::new()
        .route("/v1/vims", get(accounts::list).post(accounts::add))
        .route(
            "/v1/vims/{id}",
            get(accounts::show).patch(accounts::edit).delete(accounts::remove),
        )
        .route("/v1/vims/{id}/check", post(accounts::check))
        .route("/v1/plugins", get(accounts::plugins))
        .route("/v1/leases", get(leases::list))
        .route(
            "/v1/records/{collection}/{id}",
            get(records::show).put(records::put).delete(records::remove),
        )
        .route("/v1/network-services", get(services::list))
        .route(
            "/v1/network-services/{name}",
            get(services::show).put(services::put).delete(services::remove),
        )
        .route("/v1/network-services/{name}/plan", post(services::plan))
        .route("/v1/network-services/{name}/deploy", post(services::deploy))
        .route("/v1/network-services/{name}/terminate", post(services::terminate))
        .route("/v1/network-services/{name}/actions", get(actions::of_service))
        .route("/v1/network-services/{name}/actions/{action}", get(actions::show))
        .route(
            "/v1/network-services/{name}/actions/{action}/events",
            get(events::watch),
        )
        .route("/v1/actions", get(actions::list))
        .fallback(problem::no_such_path)
        .layer(from_fn_with_state(gate, auth::authorise))
        .with_state(shared.clone());
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(shared)
        .merge(v1)
        .layer(from_fn(problem::no_store))
        .layer(from_fn_with_state(exchange, exchange::serve))
}
