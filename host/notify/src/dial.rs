//! Connecting to a callback.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;
use vimhost_dial::{DialError, SystemResolver, dial};

use crate::NotifyOptions;

/// What a connection may take: longer than a lost packet that is sent again, shorter than what a whole notification may take.
const CONNECT: Duration = Duration::from_secs(5);

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
            let permit = |_: &str, address| options.check_address(address);
            dial(&uri, &SystemResolver, &permit, CONNECT).await.map(TokioIo::new)
        })
    }
}
