//! The project's own interface, `/v1/…`: accounts of VIMs, WIMs and SDN controllers, plugins, records, network
//! services, actions; and the probes.
//!
//! JSON out, JSON or YAML in. Every error is a problem detail (RFC 9457). Listings are paged by cursors. Accounts and records carry
//! their revision as `ETag`, and changes honour `If-Match`. A request for work answers 202 with the place to look, and takes
//! an `Idempotency-Key`, which becomes the id of the action.
//!
//! `auth` says who asks: bearer tokens, or nobody but loopback while there are none. `table` lists the endpoints, each with the least
//! role that may ask for it; routes, the description (`openapi`) and the audit log (`audit`) follow from it.

mod accounts;
mod actions;
mod audit;
mod auth;
mod events;
mod health;
mod input;
mod keys;
mod leases;
mod openapi;
mod output;
mod plugins;
mod problem;
mod records;
mod services;
mod stream_event;
mod table;
mod tokens;
mod view;
mod vim_audit;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vimhost_engine::Engine;

use crate::RequestLimits;
use crate::exchange::{self, Exchange};

pub use auth::{TokenDigest, TokenDigestError};
pub use openapi::{endpoint_list, json as description};
pub use vimhost_model::Role;

/// Settings of the interface.
#[derive(Clone)]
pub struct Options {
    /// Bounds of a request.
    pub limits: RequestLimits,
    /// Who may use it, beside the tokens in the store. While there are neither: loopback only, without a token, as administrator.
    pub tokens: Vec<TokenDigest>,
    /// Streams of events at a time; one more is answered with 503.
    pub watchers: usize,
    /// Writes the metrics of `/metrics`; without it there are none.
    pub metrics: Option<RenderMetrics>,
    /// How many entries of the audit log are kept, and up to a thousand more until the next look.
    pub audit_entries: usize,
    /// Largest component that is taken by upload.
    pub component_bytes: usize,
    /// Ends the streams of events, which would otherwise hold a shutdown up.
    pub shutdown: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: RequestLimits::default(),
            tokens: Vec::new(),
            watchers: 256,
            metrics: None,
            audit_entries: 100_000,
            // A connector in Rust has one or two megabytes, one in Python some forty.
            component_bytes: 64 << 20,
            shutdown: CancellationToken::new(),
        }
    }
}

/// What handlers share.
struct Shared {
    engine: Arc<Engine>,
    limits: RequestLimits,
    watchers: Arc<Semaphore>,
    audit_entries: usize,
    component_bytes: usize,
    /// Requests that changed something since the start.
    changes: AtomicU64,
    shutdown: CancellationToken,
    metrics: Option<RenderMetrics>,
}

/// What writes all metrics in Prometheus' text form.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

type Admin = Arc<Shared>;

fn share(engine: Arc<Engine>, options: Options) -> Admin {
    Arc::new(Shared {
        engine,
        limits: options.limits,
        watchers: Arc::new(Semaphore::new(options.watchers)),
        audit_entries: options.audit_entries,
        component_bytes: options.component_bytes,
        changes: AtomicU64::new(0),
        shutdown: options.shutdown,
        metrics: options.metrics,
    })
}

/// The interface as a router. It needs the peer's address ([`crate::serve()`] gives it).
pub fn router(engine: Arc<Engine>, options: Options) -> Router {
    let exchange = Exchange {
        dialect: "admin",
        limits: options.limits,
        write_refusal: problem::write,
    };
    let gate = Arc::new(auth::Gate::new(options.tokens.clone(), engine.clone()));
    let shared = share(engine, options);
    let v1 = table::router(&shared)
        .route("/metrics", get(health::metrics))
        .fallback(problem::no_such_path)
        .layer(from_fn_with_state(gate, auth::authenticate))
        .with_state(shared.clone());
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(shared)
        .merge(v1)
        .layer(from_fn(problem::no_store))
        .layer(from_fn_with_state(exchange, exchange::serve))
}

/// Probes and metrics alone, for whoever reaches the listener.
pub fn probes(engine: Arc<Engine>, options: Options) -> Router {
    let exchange = Exchange {
        dialect: "probes",
        limits: options.limits,
        write_refusal: problem::write,
    };
    let shared = share(engine, options);
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(shared)
        .layer(from_fn(problem::no_store))
        .layer(from_fn_with_state(exchange, exchange::serve))
}
