//! Connecting: look a name up, drop every address that is not permitted, dial exactly what was checked.
//!
//! TLS is wrapped around it with the name, so the certificate is verified against the name while the address was chosen here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::fence::{Fenced, Gate};
use super::policy::Policy;
use super::resolve::Resolve;

tokio::task_local! {
    /// The time a request leaves for connecting. A local of the task, because the client shares one dialler among all requests
    /// and calls it from the task of the request that needs the connection.
    pub(super) static CONNECT_LIMIT: Duration;
}

/// Why there is no connection. Found again by walking the causes of the client's error.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("{0}")]
    Prohibited(String),
    #[error("{host} cannot be resolved: {reason}")]
    Unknown { host: String, reason: String },
    #[error("{host} does not accept connections: {source}")]
    Unreachable {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} cannot be connected to within {limit:?}")]
    Slow { host: String, limit: Duration },
}

/// Dials for one account.
#[derive(Clone)]
pub(super) struct Dial {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
    gate: Gate,
    limit: Duration,
}

impl Dial {
    pub(super) fn new(policy: Arc<Policy>, resolver: Arc<dyn Resolve>, gate: Gate, limit: Duration) -> Self {
        Self {
            policy,
            resolver,
            gate,
            limit,
        }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Fenced<TcpStream>>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (policy, resolver) = (Arc::clone(&self.policy), Arc::clone(&self.resolver));
        let gate = self.gate.clone();
        let limit = CONNECT_LIMIT
            .try_with(|limit| *limit)
            .unwrap_or(self.limit)
            .min(self.limit);
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
            let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
            let stream = tokio::time::timeout(limit, connect(&policy, &*resolver, host, port))
                .await
                .unwrap_or_else(|_| {
                    Err(DialError::Slow {
                        host: host.to_owned(),
                        limit,
                    })
                })?;
            Ok(TokioIo::new(Fenced::new(stream, gate)))
        })
    }
}

async fn connect(policy: &Policy, resolver: &dyn Resolve, host: &str, port: u16) -> Result<TcpStream, DialError> {
    let addresses = resolver.resolve(host, port).await.map_err(|error| DialError::Unknown {
        host: host.to_owned(),
        reason: error.to_string(),
    })?;
    let mut failure = DialError::Unknown {
        host: host.to_owned(),
        reason: "it has no address".into(),
    };
    let mut dialled = false;
    for address in addresses {
        if let Err(reason) = policy.check_address(host, address.ip()) {
            // The refusal of one address is no news when another was dialled.
            if !dialled {
                failure = DialError::Prohibited(reason);
            }
            continue;
        }
        dialled = true;
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests are written whole; waiting for more only delays them. A socket that refuses is still a connection.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(source) => {
                failure = DialError::Unreachable {
                    host: host.to_owned(),
                    source,
                };
            }
        }
    }
    Err(failure)
}
