//! Connections to hosts that others name, plugins and subscribers: look the name up, drop every address that is not permitted, dial
//! exactly what was checked. A name that is looked up once to be checked and once more to be dialled can mean two addresses.
//!
//! Which addresses are permitted is the caller's; TLS too, around the connection and with the name, so the certificate is verified
//! against the name while the address was chosen here.

#![forbid(unsafe_code)]

mod resolve;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use tokio::net::TcpStream;

pub use resolve::{Resolve, SystemResolver};

/// Whether a host may be dialled at an address; if not, why.
pub type Permit<'a> = &'a (dyn Fn(&str, IpAddr) -> Result<(), String> + Sync);

/// Why there is no connection. HTTP clients wrap it: it is found again by walking the causes of theirs.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// None of its addresses may be dialled; why the last one may not.
    #[error("{0}")]
    Prohibited(String),
    /// Its name leads nowhere.
    #[error("{host} cannot be resolved: {source}")]
    Unknown {
        /// The name.
        host: String,
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// No address takes a connection.
    #[error("{host} does not accept connections: {source}")]
    Unreachable {
        /// The name.
        host: String,
        /// What the last address says.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("{host} cannot be connected to within {limit:?}")]
    Slow {
        /// The name.
        host: String,
        /// What it may take.
        limit: Duration,
    },
}

/// Connects to the host of a URI, at the first of its permitted addresses that takes the connection.
///
/// # Errors
/// When there is no such address, or not within the limit.
pub async fn dial(
    uri: &Uri,
    resolver: &dyn Resolve,
    permit: Permit<'_>,
    limit: Duration,
) -> Result<TcpStream, DialError> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let tls = uri.scheme() == Some(&Scheme::HTTPS);
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    tokio::time::timeout(limit, connect(host, port, resolver, permit))
        .await
        .unwrap_or_else(|_| {
            Err(DialError::Slow {
                host: host.to_owned(),
                limit,
            })
        })
}

async fn connect(host: &str, port: u16, resolver: &dyn Resolve, permit: Permit<'_>) -> Result<TcpStream, DialError> {
    let unknown = |source| DialError::Unknown {
        host: host.to_owned(),
        source,
    };
    let addresses = resolver.resolve(host, port).await.map_err(unknown)?;
    let mut failure = unknown(io::Error::other("it has no address"));
    let mut dialled = false;
    for address in addresses {
        if let Err(reason) = permit(host, address.ip()) {
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use async_trait::async_trait;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// Every name has these addresses.
    #[derive(Debug)]
    struct Names(Vec<IpAddr>);

    #[async_trait]
    impl Resolve for Names {
        async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            Ok(self.0.iter().map(|address| SocketAddr::new(*address, port)).collect())
        }
    }

    /// Loopback, without its first address.
    fn permit(host: &str, address: IpAddr) -> Result<(), String> {
        if address.is_loopback() && address != IpAddr::V4(Ipv4Addr::LOCALHOST) {
            return Ok(());
        }
        Err(format!("{host} may not be {address}"))
    }

    async fn dialled(uri: &str, addresses: &[[u8; 4]]) -> Result<SocketAddr, String> {
        let names = Names(addresses.iter().map(|address| IpAddr::from(*address)).collect());
        let stream = dial(&uri.parse().unwrap(), &names, &permit, Duration::from_secs(10)).await;
        stream
            .map(|stream| stream.peer_addr().unwrap())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn only_a_permitted_address_is_dialled_and_the_error_says_what_mattered() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let uri = format!("http://vim.example:{}/v3", there.port());
        assert_eq!(dialled(&uri, &[[127, 0, 0, 1], [127, 0, 0, 2]]).await, Ok(there));
        assert_eq!(
            dialled(&uri, &[[127, 0, 0, 1], [10, 0, 0, 1]]).await,
            Err("vim.example may not be 10.0.0.1".to_owned())
        );
        // Bound and not listening: nobody else can take the port and answer at it.
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let uri = format!("http://vim.example:{}/v3", closed.local_addr().unwrap().port());
        let refused = dialled(&uri, &[[127, 0, 0, 2], [127, 0, 0, 1]]).await.unwrap_err();
        assert!(
            refused.starts_with("vim.example does not accept connections: "),
            "{refused}"
        );
        assert_eq!(
            dialled(&uri, &[]).await,
            Err("vim.example cannot be resolved: it has no address".to_owned())
        );
    }
}
