//! Log lines to stderr: for people, or as JSON, one object a line.
//!
//! A JSON line has `timestamp` (UTC, microseconds), `level`, `target`, `fields` with the constant `message`, and `spans` from the
//! outermost in. Where the span is part of a trace that is collected, `trace_id` and `span_id` come first, by which the line and
//! the trace find each other.

use std::fmt;
use std::io::IsTerminal as _;

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::{Event, Subscriber, dispatcher};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt as lines};
use vimhost_telemetry::trace;

/// The layer that writes lines to what ends at the standard error output.
pub(super) fn layer<S, W>(json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> lines::MakeWriter<'w> + Send + Sync + 'static,
{
    if json {
        return Box::new(json_to(writer));
    }
    let colours = std::io::stderr().is_terminal();
    Box::new(lines::layer().with_writer(writer).with_ansi(colours))
}

fn json_to<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> lines::MakeWriter<'w> + Send + Sync + 'static,
{
    lines::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine(lines::format().json().with_current_span(false)))
        .with_writer(writer)
        .with_ansi(false)
}

/// JSON with the ids of the trace in front.
struct JsonLine(Format<Json>);

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::with_capacity(512);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // The dispatcher is the process's: there is no other while the host runs.
        let ids = context
            .lookup_current()
            .filter(|_| trace::is_on())
            .and_then(|span| dispatcher::get_default(|dispatch| get_otel_context(&span.id(), dispatch)))
            .map(|context| context.span().span_context().clone())
            .filter(SpanContext::is_valid)
            .map(|context| (context.trace_id(), context.span_id()));
        match (ids, line.strip_prefix('{')) {
            (Some((trace, span)), Some(rest)) => {
                write!(writer, "{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\",{rest}")
            }
            (Some(_), None) | (None, Some(_) | None) => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry().with(json_to(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn one_of_each() {
        tracing::info!(path = "/x", "alone");
        let span = tracing::info_span!("http_request", route = "/v1/vims", status = tracing::field::Empty);
        span.record("status", 200);
        let _entered = span.enter();
        tracing::error!(error = "two\nlines \"quoted\"", elapsed_ms = 5, "inside");
    }

    #[test]
    fn each_event_is_one_object_a_line_with_its_fields_and_spans() {
        let lines = logged(one_of_each);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["fields"]["message"], "alone");
        assert_eq!(lines[0]["level"], "INFO");
        let inside = &lines[1];
        assert_eq!(inside["fields"]["error"], "two\nlines \"quoted\"");
        assert_eq!(inside["fields"]["elapsed_ms"], 5);
        assert_eq!(inside["spans"][0]["name"], "http_request");
        assert_eq!(inside["spans"][0]["status"], 200);
        assert_eq!(inside["span"], Value::Null, "the innermost is not said twice");
        assert_eq!(inside["trace_id"], Value::Null);
        let time = inside["timestamp"].as_str().unwrap();
        assert!(
            time.ends_with('Z') && time.len() == "2026-01-01T00:00:00.000000Z".len(),
            "{time}"
        );
    }
}
