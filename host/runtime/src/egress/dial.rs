//! Connecting for one account: to what its policy permits, and behind its lease.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use vimhost_dial::{DialError, Resolve, dial};

use super::fence::{Fenced, Gate};
use super::policy::Policy;

tokio::task_local! {
    /// The time a request leaves for connecting. A local of the task, because the client shares one dialler among all requests
    /// and calls it from the task of the request that needs the connection.
    pub(super) static CONNECT_LIMIT: Duration;
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
            let permit = |host: &str, address| policy.check_address(host, address);
            let stream = dial(&uri, &*resolver, &permit, limit).await?;
            Ok(TokioIo::new(Fenced::new(stream, gate)))
        })
    }
}
