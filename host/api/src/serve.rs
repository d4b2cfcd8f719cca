//! The listener: connections, and limits against slow and many clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::received::{self, Times};

/// Limits of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// Connections at a time; one more waits in the kernel's queue. LCM opens one per request, a watcher holds one.
    pub connections: usize,
    /// Longest time for the head of a request, the wait for the next one on an open connection included.
    pub header_time: Duration,
    /// Bytes of a request's head. Ids have at most 1 KiB.
    pub header_bytes: usize,
    /// Longest time for the body, from the end of the head. Shorter than an answer may take, so that a slow client is told so.
    pub body_time: Duration,
    /// How long the rest of a body is taken and thrown away after its request was refused, so that a client that sends all
    /// before it reads gets the answer.
    pub discard_time: Duration,
    /// After the signal to stop: how long answers that have begun may take.
    pub patience: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections: 512,
            header_time: Duration::from_secs(30),
            header_bytes: 32 << 10,
            body_time: Duration::from_secs(110),
            discard_time: Duration::from_secs(10),
            patience: Duration::from_secs(10),
        }
    }
}

/// How long to wait when no connection can be accepted: the process is out of file descriptors, which takes others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a router until `shutdown`: then accepts nothing more, lets answers that have begun end within the patience, and returns.
pub async fn serve(listener: TcpListener, router: Router, options: ServeOptions, shutdown: CancellationToken) {
    let connections = Arc::new(Semaphore::new(options.connections));
    let tasks = TaskTracker::new();
    let abort = CancellationToken::new();
    while let Some((stream, peer, permit)) = accept(&listener, &connections, &shutdown).await {
        let (router, shutdown, abort) = (router.clone(), shutdown.clone(), abort.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = connection(stream, peer, router, options, shutdown) => {}
                () = abort.cancelled() => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(options.patience, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections cut off at shutdown");
        abort.cancel();
        tasks.wait().await;
    }
}

/// The next connection; none at shutdown.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let next = async {
        let permit = connections.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return Some((stream, peer, permit)),
                Err(error) => {
                    tracing::debug!(%error, "no connection accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => None,
        accepted = next => accepted,
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
) {
    // Answers are small and whole: waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let times = Times {
        read: options.body_time,
        discard: options.discard_time,
    };
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        let (parts, incoming) = request.into_parts();
        let body = received::body(incoming, &parts, times);
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move { Ok::<_, Infallible>(call(router, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_time)
        .max_buf_size(options.header_bytes.max(8192))
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut stopping = false;
    loop {
        tokio::select! {
            result = serving.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// One request through a router.
pub(crate) async fn call(router: Router, request: Request<Body>) -> axum::response::Response {
    use hyper::service::Service as _;
    match hyper_util::service::TowerToHyperService::new(router)
        .call(request)
        .await
    {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
