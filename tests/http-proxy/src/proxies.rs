//! The proxies of a VIM: listening, and what tests do with them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fault::{Effect, Fault};
use crate::front::Front;
use crate::places::{Places, Service};

/// Why proxies did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody can stand before this endpoint.
    #[error("{url}, the endpoint of {service}, is not at an origin of plain HTTP")]
    Endpoint {
        /// The service.
        service: String,
        /// Where it is.
        url: String,
    },
    /// A port of loopback could not be had.
    #[error("cannot listen on loopback")]
    Listen(#[source] io::Error),
}

/// One proxy before each origin of the services. Dropping it closes them.
#[derive(Debug)]
pub struct Proxies {
    front: Arc<Front>,
    stop: CancellationToken,
}

impl Proxies {
    /// Stands before services, each on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When an endpoint is not plain HTTP, or no port is free.
    pub async fn before(services: &[Service]) -> Result<Self, Error> {
        let mut places = Places::new(services)?;
        let mut listeners = Vec::new();
        for _ in places.origins() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .map_err(Error::Listen)?;
            listeners.push(listener);
        }
        let addresses: Result<Vec<SocketAddr>, _> = listeners.iter().map(TcpListener::local_addr).collect();
        places.served_by(&addresses.map_err(Error::Listen)?);
        let front = Arc::new(Front::new(places));
        let stop = CancellationToken::new();
        for (origin, listener) in listeners.into_iter().enumerate() {
            tokio::spawn(accept(listener, origin, Arc::clone(&front), stop.clone()));
        }
        Ok(Self { front, stop })
    }

    /// Where a client finds what is at this URL: through the proxy.
    #[must_use]
    pub fn translate(&self, url: &str) -> String {
        self.front.places().translate(url)
    }

    /// How often what was asked, by method, service and path: `POST compute /servers`.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.front.held().counts.clone()
    }

    /// The same, and starts anew.
    #[must_use]
    pub fn take_counts(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.front.held().counts)
    }

    /// Lets something go wrong, besides what already does.
    pub fn inject(&self, fault: Fault) {
        self.front.held().faults.push(fault);
    }

    /// Cuts a service away: connections to it are closed without an answer, until [`Proxies::mend`].
    pub fn cut(&self, service: &str) {
        self.inject(Fault::new(Effect::Cut).service(service));
    }

    /// Nothing goes wrong any more.
    pub fn mend(&self) {
        self.front.held().faults.clear();
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn accept(listener: TcpListener, origin: usize, front: Arc<Front>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            tokio::spawn(converse(stream, origin, Arc::clone(&front), stop.clone()));
        } else {
            // No file descriptors are left; at once it would fail again, and spin.
            tokio::task::yield_now().await;
        }
    }
}

async fn converse(stream: TcpStream, origin: usize, front: Arc<Front>, stop: CancellationToken) {
    // A socket that refuses the option only answers later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| front.serve(origin, request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // Also how an answer that is not given ends, and a client that hangs up.
        _ended = connection => {}
    }
}
