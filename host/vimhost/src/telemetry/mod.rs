//! What the host tells: log lines, metrics, traces.
//!
//! Started before anything else, since a handle of a metric that was looked up earlier counts nothing.

mod lines;
mod metrics;
mod otlp;
mod process;
mod queue;

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, reload};

use crate::settings::{LogFilter, Settings};
use queue::{Dropped, Queue};

pub use metrics::Metrics;
pub use otlp::Traces;

/// What has to be kept as long as the host runs.
pub struct Telemetry {
    /// What was counted.
    pub metrics: Metrics,
    /// Where spans go; none: nowhere.
    pub traces: Option<Traces>,
    /// Which lines are logged.
    pub filter: Filter,
    /// Dropped last: writes the lines that wait.
    pub lines: Lines,
}

/// Which lines are logged; another filter can be set while the host runs.
pub struct Filter(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl Filter {
    /// Sets another filter.
    ///
    /// # Errors
    /// When the log is gone.
    pub fn set(&self, filter: &LogFilter) -> anyhow::Result<()> {
        (self.0)(filter.filter()).context("cannot change the filter of the log")
    }
}

/// Lines on their way to the output. When dropped, those that wait are written: the cause of an end is among the last.
pub struct Lines(Queue);

impl Drop for Lines {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Starts logs, metrics, and traces where a collector is set.
///
/// # Errors
/// When the exporter of traces cannot be made, or the thread that writes lines cannot be started.
pub fn start(settings: &Settings) -> anyhow::Result<Telemetry> {
    let metrics = Metrics::install()?;
    let traces = settings.otlp_endpoint.as_ref().map(Traces::new).transpose()?;
    let queue = Queue::for_stderr(say_dropped).context("cannot start the thread that writes log lines")?;
    let filter = match &traces {
        // A layer that is `None` is none of no effect: beside it, whoever asks whether a line would be written is told that it
        // would be, and the line after that is lost.
        None => {
            let (lines, filter) = filtered_lines(settings, queue.clone());
            tracing_subscriber::registry().with(lines).init();
            filter
        }
        Some(traces) => {
            let (lines, filter) = filtered_lines(settings, queue.clone());
            // Spans of our own and no events: those may carry what a VIM said, and are in the log.
            let own = FilterFn::new(|metadata| metadata.is_span() && metadata.target().starts_with("vimhost"));
            tracing_subscriber::registry()
                .with(traces.layer().with_filter(own))
                .with(lines)
                .init();
            filter
        }
    };
    Ok(Telemetry {
        metrics,
        traces,
        filter,
        lines: Lines(queue),
    })
}

/// Lines by the filter that is set, and the way to set another.
fn filtered_lines<S>(settings: &Settings, queue: Queue) -> (impl Layer<S> + Send + Sync + use<S>, Filter)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    // The filter alone is exchanged: a layer that has one is known to the registry by its place, which another would not have.
    let (filter, handle) = reload::Layer::new(settings.log.filter());
    let lines = lines::layer(settings.log_json, move || queue.clone()).with_filter(filter);
    (lines, Filter(Box::new(move |filter| handle.reload(filter))))
}

/// Says that lines were dropped, in the log itself: it goes again.
fn say_dropped(dropped: Dropped) {
    let Dropped { lines, total } = dropped;
    tracing::warn!(
        dropped = lines,
        total,
        "log lines were dropped; the output was too slow"
    );
}

/// Logging of commands that are no host: as `RUST_LOG` says, `info` otherwise.
pub fn start_simple() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry()
        .with(lines::layer(false, std::io::stderr).with_filter(filter))
        .init();
}
