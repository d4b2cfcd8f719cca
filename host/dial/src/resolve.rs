//! From names to addresses.
//!
//! A trait, because what a name resolves to decides whether it may be dialled, and no test can make the system's resolver answer
//! an address of a metadata service.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;

/// Looks names up. Every address of an answer is checked before one is dialled.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of a host, with the port. A literal address is its own answer.
    ///
    /// # Errors
    /// When the name cannot be resolved.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}
