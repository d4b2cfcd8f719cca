//! Keystone, for the connectors of OpenStack: one log in for all calls, the service catalogue, versions, and requests to the
//! services behind it.
//!
//! ```no_run
//! # fn example(account: &vimhost_sdk::prelude::Account) -> Result<(), vimhost_sdk::prelude::Failure> {
//! use vimhost_keystone::{Cloud, Microversion, Service};
//!
//! let cloud = Cloud::of(account)?;                                   // sends nothing
//! let nova = cloud.api(Service::Compute)?.speaking(Microversion::new(2, 90))?;
//! let server: serde_json::Value = nova.read(nova.get(["servers", "17"]).doing("looking at server 17"))?;
//! # Ok(()) }
//! ```
//!
//! * [`Access`] is what an account says about itself, checked; [`Cloud`] is the connection.
//! * The token, the catalogue and the versions live in the host's cache; each can be obtained again at any time.
//! * Nothing that a service says leads anywhere: the host part of links and version documents is ignored, only the catalogue
//!   names origins, and the host lets a request out only to those that the operator granted.
//! * [`declare`] has what a connector's descriptor says about all of it.
//!
//! Keystone v3 only. Version 2 has been gone from Keystone since its release Queens.

#![forbid(unsafe_code)]

mod access;
mod api;
mod catalogue;
mod cloud;
pub mod declare;
mod failure;
mod login;
mod service;
pub mod time;
pub mod told;
mod version;

pub use access::{Access, ApplicationCredential, Domain, Identity, Interface, Named, Project};
pub use api::Api;
pub use catalogue::{Catalogue, Endpoint};
pub use cloud::Cloud;
pub use login::Scope;
pub use service::Service;
pub use version::{Microversion, Versions};
