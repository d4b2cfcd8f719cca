//! What the host tells: log lines, metrics, traces.
//!
//! Started before anything else, since a handle of a metric that was looked up earlier counts nothing.

mod lines;
mod metrics;
mod otlp;
mod process;

use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::settings::Settings;

pub use metrics::Metrics;
pub use otlp::Traces;

/// What has to be kept as long as the host runs.
pub struct Telemetry {
    /// What was counted.
    pub metrics: Metrics,
    /// Where spans go; none: nowhere.
    pub traces: Option<Traces>,
}

/// Starts logs, metrics, and traces where a collector is set.
///
/// # Errors
/// When the exporter of traces cannot be made.
pub fn start(settings: &Settings) -> anyhow::Result<Telemetry> {
    let metrics = Metrics::install()?;
    let traces = settings.otlp_endpoint.as_ref().map(Traces::new).transpose()?;
    match &traces {
        // A layer that is `None` is none of no effect: beside it, whoever asks whether a line would be written is told that it
        // would be, and the line after that is lost.
        None => {
            let lines = lines::layer(settings.log_json).with_filter(settings.log.filter());
            tracing_subscriber::registry().with(lines).init();
        }
        Some(traces) => {
            let lines = lines::layer(settings.log_json).with_filter(settings.log.filter());
            // Spans of our own and no events: those may carry what a VIM said, and are in the log.
            let own = FilterFn::new(|metadata| metadata.is_span() && metadata.target().starts_with("vimhost"));
            tracing_subscriber::registry()
                .with(traces.layer().with_filter(own))
                .with(lines)
                .init();
        }
    }
    Ok(Telemetry { metrics, traces })
}

/// Logging of commands that are no host: as `RUST_LOG` says, `info` otherwise.
pub fn start_simple() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry()
        .with(lines::layer(false).with_filter(filter))
        .init();
}
