//! Connecting to a callback: look its name up, drop every address that is not permitted, dial exactly what was checked.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::NotifyOptions;

/// What a connection may take: longer than a lost packet that is sent again, shorter than what a whole notification may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no connection. Found again among the causes of the client's error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{0}")]
    Prohibited(String),
    #[error("{host} cannot be resolved: {source}")]
    Unknown {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} has no address")]
    Nowhere { host: String },
    #[error("{host} does not accept connections: {source}")]
    Unreachable {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} cannot be connected to within {limit:?}")]
    Slow { host: String, limit: Duration },
}

/// Dials what the options permit.
#[derive(Clone)]
pub(crate) struct Dial(pub(crate) Arc<NotifyOptions>);

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let options = Arc::clone(&self.0);
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
            let tls = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
            let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
            let dialled = tokio::time::timeout(CONNECT, connect(&options, host, port)).await;
            dialled
                .unwrap_or_else(|_| {
                    Err(DialError::Slow {
                        host: host.to_owned(),
                        limit: CONNECT,
                    })
                })
                .map(TokioIo::new)
        })
    }
}

async fn connect(options: &NotifyOptions, host: &str, port: u16) -> Result<TcpStream, DialError> {
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| DialError::Unknown {
            host: host.to_owned(),
            source,
        })?;
    let mut failure = DialError::Nowhere { host: host.to_owned() };
    let mut dialled = false;
    for address in addresses {
        if let Err(reason) = options.check_address(address.ip()) {
            // The refusal of one address is no news when another was dialled.
            if !dialled {
                failure = DialError::Prohibited(reason);
            }
            continue;
        }
        dialled = true;
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests are written whole. A socket that refuses is still a connection.
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
