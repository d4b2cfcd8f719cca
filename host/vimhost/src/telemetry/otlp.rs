//! Traces to a collector: OTLP over HTTP in protobuf, in batches, never in the way of the work.
//!
//! The exporter has a thread of its own and sends with a client of this module, which does the sending on the host's runtime. A
//! collector that does not answer costs spans, and a line in the log when that begins and when it ends; nothing waits for it except
//! the end of the host, and that for [`FLUSH`] at most.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;
use vimhost_telemetry::trace;

use crate::settings::HttpUrl;

/// How long the end of the host waits for the last spans. Longer than a collector nearby needs, shorter than patience.
const FLUSH: Duration = Duration::from_secs(3);

/// One batch, sent and answered; the standard's default.
const SENDING: Duration = Duration::from_secs(10);

/// An answer of a collector has some bytes.
const LARGEST_ANSWER: usize = 64 << 10;

/// Where the path of a collector's traces goes by the standard.
const PATH: &str = "v1/traces";

/// The way to a collector.
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Makes the exporter. Needs a runtime to be running.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the exporter refuses its settings.
    pub fn new(endpoint: &HttpUrl) -> anyhow::Result<Self> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new()?)
            .with_endpoint(traces_url(endpoint))
            .with_protocol(Protocol::HttpBinary)
            .build()
            .context("the exporter of traces cannot be made; --otlp-endpoint names the collector")?;
        let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
        let mut resource = Resource::builder();
        if !named {
            resource = resource.with_service_name("vimhost");
        }
        let resource = resource
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        trace::switch_on();
        Ok(Self { provider })
    }

    /// The layer that collects spans.
    pub fn layer<S>(&self) -> OpenTelemetryLayer<S, Tracer>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("vimhost"))
            // Files, lines and threads say nothing to an operator and are most of a span's bytes.
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what is left, for a short time.
    pub async fn stop(self) {
        let flushing = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH));
        match tokio::time::timeout(FLUSH.saturating_mul(2), flushing).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not sent"),
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not sent"),
            Err(_) => tracing::warn!("the last spans were not sent in time"),
        }
    }
}

/// The collector's address for traces: its base with the standard's path, unless it has that already.
fn traces_url(endpoint: &HttpUrl) -> String {
    let mut url = endpoint.url().clone();
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(PATH) {
        url.set_path(&format!("{path}/{PATH}"));
    }
    url.to_string()
}

/// Sends batches on the host's runtime, since the exporter's thread has none.
#[derive(Debug)]
struct Sender {
    runtime: tokio::runtime::Handle,
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    failing: AtomicBool,
}

impl Sender {
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().context("traces need the runtime")?;
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .context("TLS of the exporter of traces cannot be set up")?
            .with_webpki_roots()
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            runtime,
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            failing: AtomicBool::new(false),
        })
    }

    /// Says in the log when sending begins to fail and when it works again: a line per batch would be one every five seconds.
    fn note(&self, sent: &Result<Response<Bytes>, HttpError>) {
        let error = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let failed = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed => tracing::warn!(error, "spans cannot be sent to the collector and are lost"),
            None if failed => tracing::info!("spans can be sent to the collector again"),
            Some(_) | None => {}
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let pool = self.pool.clone();
        let sending = async move {
            let answer = pool.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        // Inside of a task of the runtime, since a timer is the runtime's too.
        let limited = async move { tokio::time::timeout(SENDING, sending).await };
        let sent = match self.runtime.spawn(limited).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err(format!("no answer within {SENDING:?}").into()),
            Err(error) => Err(error.into()),
        };
        self.note(&sent);
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Value as _;

    #[test]
    fn the_path_of_traces_is_added_once() {
        for (given, sent) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://c.example/otlp/", "https://c.example/otlp/v1/traces"),
            ("https://c.example/v1/traces", "https://c.example/v1/traces"),
        ] {
            assert_eq!(traces_url(&HttpUrl::read(given).unwrap()), sent);
        }
    }
}
