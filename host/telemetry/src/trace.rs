//! The trace that a request belongs to, across the host's edges: W3C `traceparent` in and out.
//!
//! Spans are those of `tracing`; whether anybody collects them is decided by the binary, which says so by [`switch_on`]. Until
//! then everything here is one look at a flag.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName};
use opentelemetry::global;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

static ON: AtomicBool = AtomicBool::new(false);

/// Headers that carry a trace. They are the host's own: what a connector sets is not sent.
pub const HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
];

/// Spans are collected from here on.
pub fn switch_on() {
    ON.store(true, Ordering::Relaxed);
}

/// Whether spans are collected.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Makes a span a part of the trace that a request's headers name. To be called before the span is entered.
pub fn continue_from(span: &Span, headers: &HeaderMap) {
    if !is_on() {
        return;
    }
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)));
    if context.span().span_context().is_valid() {
        // A span that nobody collects has no parent to set.
        let _ = span.set_parent(context);
    }
}

/// Makes a span a part of another's trace, as its child, without keeping that one open: it may end long before. To be called before
/// the span is entered.
pub fn belongs_to(span: &Span, parent: &Span) {
    if is_on() && !parent.is_none() {
        // A span that nobody collects has no parent to set.
        let _ = span.set_parent(parent.context());
    }
}

/// Says something about a span that its log lines need not have.
pub fn attribute(span: &Span, name: &'static str, value: impl Into<opentelemetry::Value>) {
    if is_on() {
        span.set_attribute(name, value);
    }
}

/// Names a span whose name is known only at its end: a route, which is found by serving the request.
pub fn rename(span: &Span, name: String) {
    if is_on() {
        span.context().span().update_name(name);
    }
}

/// Takes what is there of a trace out of a request's headers, and puts in that a span is the request's parent.
pub fn hand_on(span: &Span, headers: &mut HeaderMap) {
    for name in HEADERS {
        headers.remove(name);
    }
    if is_on() {
        let context = span.context();
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut HeaderInjector(headers));
        });
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(parent: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HEADERS[0].clone(), HeaderValue::from_static(parent))])
    }

    // One test, because the switch is the process's.
    #[test]
    fn a_trace_goes_through_the_host_only_when_it_is_switched_on() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        global::set_text_map_propagator(TraceContextPropagator::new());

        let mut sent = headers("00-11111111111111111111111111111111-2222222222222222-01");
        hand_on(&tracing::info_span!("off"), &mut sent);
        assert!(sent.is_empty(), "what a connector set is not sent: {sent:?}");

        switch_on();
        let span = tracing::info_span!("request");
        continue_from(&span, &headers(PARENT));
        let inner = tracing::info_span!(parent: &span, "inner");
        let mut sent = headers("00-11111111111111111111111111111111-2222222222222222-01");
        hand_on(&inner, &mut sent);
        let parent = sent.get("traceparent").unwrap().to_str().unwrap();
        assert!(parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{parent}");
        assert!(
            !parent.contains("b7ad6b7169203331"),
            "the parent is the host's own span: {parent}"
        );

        let span = tracing::info_span!("request");
        continue_from(&span, &headers("rubbish"));
        let mut sent = HeaderMap::new();
        hand_on(&span, &mut sent);
        let parent = sent.get("traceparent").unwrap().to_str().unwrap();
        assert!(!parent.contains("0af7651916cd43dd"), "{parent}");
    }
}
