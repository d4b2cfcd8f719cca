//! ETSI SOL003 as OpenStack Tacker serves it: VNF instances, their operations and subscriptions below `/vnflcm`, VNF packages below
//! `/vnfpkgm`. `openstack vnflcm` and `openstack vnf package` drive it unchanged.
//!
//! * What every request has to fulfil before its handler sees it stands in `headers`: the route, the method, the body, `Accept`,
//!   `Version`, in Tacker's order. Who asks is decided before that, by `keystone`.
//! * Lists are sent as they are stored: an entry comes from the store as text, its `_links` are written behind it, and nothing is parsed
//!   unless a filter or a selector asks for it (`listing`).
//! * Each endpoint stands once, in `table`: routes and the description (`openapi`) follow from it.
//! * Handlers check the schema and call the engine, which knows all rules of states.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod filter;
mod headers;
mod instances;
mod keystone;
mod limits;
mod links;
mod listing;
mod op_occs;
mod openapi;
mod paging;
pub(crate) mod problem;
pub(crate) mod selector;
mod shapes;
pub(crate) mod subscriptions;
mod table;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use vimhost_engine::Engine;
use vimhost_notify::Notifier;
use vimhost_vnf_package::Packages;

use crate::RequestLimits;
use crate::exchange::{self, Exchange};

pub use keystone::{Authentication, Keystone, KeystoneError};
pub use openapi::description;

/// Entries of a page of each list; 0: lists have no pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageSizes {
    /// VNF instances.
    pub instances: usize,
    /// Operation occurrences.
    pub op_occs: usize,
    /// Subscriptions.
    pub subscriptions: usize,
}

/// Settings of the interface.
#[derive(Debug, Clone)]
pub struct Options {
    /// Base of absolute links, without a slash at the end.
    pub endpoint: String,
    /// Pages of lists.
    pub page_sizes: PageSizes,
    /// Longest list in bytes: one without pages is refused beyond it, one with pages gets a shorter page.
    pub max_content_length: usize,
    /// Bounds of a request.
    pub limits: RequestLimits,
    /// Who may use it.
    pub authentication: Authentication,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:9890".to_owned(),
            page_sizes: PageSizes::default(),
            max_content_length: 1_000_000,
            limits: RequestLimits::default(),
            authentication: Authentication::None,
        }
    }
}

/// What handlers share.
pub(crate) struct Vnf {
    pub engine: Arc<Engine>,
    pub packages: Arc<Packages>,
    pub notifier: Arc<Notifier>,
    pub options: Options,
}

pub(crate) type Shared = Arc<Vnf>;

/// The interface as a router.
pub fn router(engine: Arc<Engine>, packages: Arc<Packages>, notifier: Arc<Notifier>, options: Options) -> Router {
    let limits = options.limits;
    let gate = Arc::new(keystone::Gate::new(options.authentication.clone()));
    let vnf = Arc::new(Vnf {
        engine,
        packages,
        notifier,
        options,
    });
    let routes = table::routes().merge(subscriptions::rest_of_v1()).with_state(vnf);
    wrapped(routes, limits, gate)
}

/// Routes with what surrounds them. From the outside: the headers of every answer, the exchange, who asks, what every request has to
/// fulfil.
fn wrapped(routes: Router, limits: RequestLimits, gate: Arc<keystone::Gate>) -> Router {
    let exchange = Exchange {
        dialect: "vnf-lcm",
        limits,
        write_refusal: problem::write,
    };
    routes
        .fallback(headers::no_such_path)
        .layer(from_fn_with_state(limits, headers::check))
        .layer(from_fn_with_state(gate, keystone::authenticate))
        .layer(from_fn_with_state(exchange, exchange::serve))
        .layer(from_fn(headers::of_answers))
}

#[cfg(test)]
mod tests;
