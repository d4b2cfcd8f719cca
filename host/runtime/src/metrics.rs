//! What is counted of a plugin's calls and requests.
//!
//! Handles are looked up at the first use of each function and outcome and kept, since a call takes some microseconds and a look-up
//! would be seen in it.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use vimhost_connector::ErrorKind;
use vimhost_telemetry::metric::{self, Counter, Gauge, Histogram, status_class};
use wasmtime_wasi_http::Error;

/// Counters of one plugin.
pub(crate) struct PluginMetrics {
    plugin: String,
    functions: RwLock<HashMap<&'static str, Function>>,
    in_flight: Gauge,
    compute: Histogram,
    memory: Histogram,
    requests: [OnceLock<Counter>; CLASSES.len()],
    request_duration: Histogram,
}

const CLASSES: [&str; 7] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// Handles of one function of one plugin.
struct Function {
    duration: Histogram,
    ok: Counter,
    failed: RwLock<HashMap<ErrorKind, Counter>>,
}

/// A call in progress, for as long as it lives.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl PluginMetrics {
    pub(crate) fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            functions: RwLock::default(),
            in_flight: metric::CONNECTOR_IN_FLIGHT.gauge(&[plugin]),
            compute: metric::CONNECTOR_COMPUTE.histogram(&[plugin]),
            memory: metric::CONNECTOR_MEMORY_PEAK.histogram(&[plugin]),
            requests: Default::default(),
            request_duration: metric::EGRESS_REQUEST_DURATION.histogram(&[plugin]),
        }
    }

    /// A call begins.
    pub(crate) fn begun(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    /// A call ended: well, or with an error.
    pub(crate) fn ended(&self, function: &'static str, failed: Option<ErrorKind>, took: Duration) {
        self.function(function, |handles| {
            handles.duration.record(took);
            match failed {
                None => handles.ok.increment(1),
                Some(kind) => handles.failed(&self.plugin, function, kind),
            }
        });
    }

    /// What a call used.
    pub(crate) fn used(&self, compute: Duration, memory: usize) {
        self.compute.record(compute);
        // Exact below 2^53 bytes.
        #[expect(clippy::cast_precision_loss, reason = "no memory has so many bytes")]
        self.memory.record(memory as f64);
    }

    /// A request was sent: the status of its answer, none when there was none.
    pub(crate) fn requested(&self, status: Option<u16>, took: Duration) {
        let class = status_class(status);
        let known = CLASSES.iter().position(|known| *known == class);
        if let Some(counter) = known.and_then(|index| self.requests.get(index)) {
            let made = || metric::EGRESS_REQUESTS.counter(&[&self.plugin, class]);
            counter.get_or_init(made).increment(1);
        }
        self.request_duration.record(took);
    }

    /// A request or its answer was refused. Rare, so nothing is kept for it.
    pub(crate) fn refused(&self, code: &Error) {
        metric::EGRESS_REFUSED
            .counter(&[&self.plugin, reason(code)])
            .increment(1);
    }

    fn function(&self, name: &'static str, with: impl FnOnce(&Function)) {
        if let Some(known) = self.functions.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return with(known);
        }
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        with(functions.entry(name).or_insert_with(|| Function {
            duration: metric::CONNECTOR_CALL_DURATION.histogram(&[&self.plugin, name]),
            ok: metric::CONNECTOR_CALLS.counter(&[&self.plugin, name, "ok"]),
            failed: RwLock::default(),
        }));
    }
}

impl Function {
    fn failed(&self, plugin: &str, function: &str, kind: ErrorKind) {
        if let Some(known) = self.failed.read().unwrap_or_else(PoisonError::into_inner).get(&kind) {
            return known.increment(1);
        }
        let mut failed = self.failed.write().unwrap_or_else(PoisonError::into_inner);
        failed
            .entry(kind)
            .or_insert_with(|| metric::CONNECTOR_CALLS.counter(&[plugin, function, kind.as_str()]))
            .increment(1);
    }
}

/// Why a request was refused, in few words.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is open; these are what refusals of ours have"
)]
fn reason(code: &Error) -> &'static str {
    match code {
        Error::HttpRequestDenied => "denied",
        Error::DestinationIpProhibited => "address",
        Error::ConnectionLimitReached => "limit",
        Error::HttpRequestBodySize(_) => "request-size",
        Error::HttpResponseBodySize(_) => "answer-size",
        Error::HttpResponseContentCoding(_) => "answer-coding",
        Error::HttpProtocolError => "answer",
        Error::HttpRequestUriInvalid => "uri",
        _ => "other",
    }
}
