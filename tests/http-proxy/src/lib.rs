//! Stands before the services of a VIM in tests: counts requests by method, service and path, and loses, delays or refuses them.
//!
//! A VIM tells its clients where its services are: in a catalogue, in links, in `Location`. So one proxy stands before each origin, and
//! in every answer the address of each origin is replaced by that of its proxy. A client that is given the first address then
//! goes through the proxies everywhere, and nothing of the VIM has to be changed for it.
//!
//! Origins are plain HTTP: whoever wants to look into TLS would have to be trusted by the client.

#![forbid(unsafe_code)]

mod fault;
mod front;
mod path;
mod places;
mod proxies;

pub use fault::{Effect, Fault};
pub use places::Service;
pub use proxies::{Error, Proxies};
