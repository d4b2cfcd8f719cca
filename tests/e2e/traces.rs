//! Traces, from the caller's `traceparent` to the request that the VIM receives, at a receiver that reads OTLP.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use mock_vim::Faults;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};
use vimhost_tests::{Host, PASSWORD, Setup, start_vim, wait_until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The trace of the last request.
const LAST: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What a collector received.
#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    /// The service's name of each batch.
    services: Vec<String>,
    bytes: Vec<u8>,
}

/// Starts a collector; its base URL and what it has received.
async fn collector() -> (String, Arc<Mutex<Received>>) {
    let received = Arc::new(Mutex::new(Received::default()));
    let kept = received.clone();
    let receive = move |body: Bytes| async move {
        let batch = ExportTraceServiceRequest::decode(body.clone()).unwrap();
        let mut kept = kept.lock().unwrap();
        kept.bytes.extend_from_slice(&body);
        for resource in batch.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let name = attributes.iter().find(|pair| pair.key == "service.name");
            kept.services.push(format!("{:?}", name.unwrap().value));
            kept.spans
                .extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        ExportTraceServiceResponse::default().encode_to_vec()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(receive));
    tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    (url, received)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        AnyValue::StringValue(text) => Some(text.clone()),
        AnyValue::IntValue(number) => Some(number.to_string()),
        AnyValue::BoolValue(_)
        | AnyValue::DoubleValue(_)
        | AnyValue::ArrayValue(_)
        | AnyValue::KvlistValue(_)
        | AnyValue::BytesValue(_)
        | AnyValue::StringValueStrindex(_) => None,
    }
}

/// The one child of a span for which something holds.
fn child<'s>(spans: &'s [Span], parent: &str, what: &str, holds: impl Fn(&Span) -> bool) -> &'s Span {
    let children: Vec<&Span> = spans
        .iter()
        .filter(|span| hex(&span.trace_id) == TRACE && hex(&span.parent_span_id) == parent)
        .collect();
    let found = children.iter().find(|span| holds(span));
    found.unwrap_or_else(|| panic!("no {what} below {parent}: {children:#?}"))
}

async fn deploy(host: &Host, vim: &mock_vim::Server, headers: &[(&str, String)]) {
    host.add_vim("mock", &vim.url()).await.unwrap();
    let service = json!({
        "name": "one", "vim": "mock",
        "networks": {"data": {"subnet": "10.9.0.0/24"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"image": "ubuntu18.04", "flavour": "small", "interfaces": [{"network": "data"}]}},
    });
    host.admin_ok("PUT", "/v1/network-services/one", Some(service))
        .await
        .unwrap();
    let mut request = host
        .http
        .post(format!("{}/v1/network-services/one/deploy", host.admin))
        .header("Idempotency-Key", "act")
        .json(&json!({}));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    assert!(request.send().await.unwrap().status().is_success());
    wait_until("the end of the action", Duration::from_secs(60), async || {
        let action = host
            .admin_ok("GET", "/v1/network-services/one/actions/act", None)
            .await?;
        Ok(action["status"] == "DONE")
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_from_the_caller_through_the_connector_to_the_vim() {
    let (url, received) = collector().await;
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.arguments = vec!["--otlp-endpoint".to_owned(), url, "--log-json".to_owned()];
    let host = Host::start(&setup).unwrap();
    let parent = format!("00-{TRACE}-{CALLER}-01");
    deploy(
        &host,
        &vim,
        &[
            ("traceparent", parent),
            ("cookie", "session=never-in-a-trace".to_owned()),
        ],
    )
    .await;
    // The end of the host has three seconds for spans, which may be too few here. What is looked at below is sent before, by and by.
    wait_until("the spans of the action", Duration::from_secs(60), async || {
        let received = received.lock().unwrap();
        // An action's span ends after all below it.
        let ended = |span: &Span| span.name == "lcm_op" && hex(&span.trace_id) == TRACE;
        let answered = |span: &Span| hex(&span.parent_span_id) == CALLER;
        Ok(received.spans.iter().any(ended) && received.spans.iter().any(answered))
    })
    .await
    .unwrap();
    let last = host.http.get(format!("{}/v1/network-services/one", host.admin));
    let last = last.header("traceparent", format!("00-{LAST}-{CALLER}-01"));
    assert_eq!(last.send().await.unwrap().status(), 200);
    let log = host.stop().unwrap();

    // The host has stopped: nothing comes any more.
    let received = std::mem::take(&mut *received.lock().unwrap());
    let spans = &received.spans;
    assert!(
        spans.iter().any(|span| hex(&span.trace_id) == LAST) || log.contains("the last spans were not sent"),
        "the last request is neither sent at the end nor missed: {log}"
    );
    let request = child(spans, CALLER, "request", |_| true);
    assert_eq!(request.name, "POST /v1/network-services/{name}/deploy");
    assert_eq!(request.kind, 2, "a server's span");
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("202"));
    assert_eq!(
        attribute(request, "http.route").as_deref(),
        Some("/v1/network-services/{name}/deploy")
    );
    let action = child(spans, &hex(&request.span_id), "action", |span| span.name == "lcm_op");
    assert_eq!(attribute(action, "action_id").as_deref(), Some("act"));
    assert!(
        action.end_time_unix_nano >= request.end_time_unix_nano,
        "the action outlives the request"
    );
    let step = child(spans, &hex(&action.span_id), "step of the VM", |span| {
        span.name == "task_step" && attribute(span, "item").as_deref() == Some("vdu")
    });
    let call = child(spans, &hex(&step.span_id), "call", |span| {
        attribute(span, "call").as_deref() == Some("create-server")
    });
    assert_eq!(
        (call.name.as_str(), attribute(call, "plugin").as_deref()),
        ("vim_call", Some("mock"))
    );
    let sent = child(spans, &hex(&call.span_id), "request to the VIM", |span| {
        attribute(span, "url.full").is_some_and(|url| url.ends_with("/v1/servers")) && span.name == "POST"
    });
    assert_eq!(sent.kind, 3, "a client's span");
    assert_eq!(attribute(sent, "http.response.status_code").as_deref(), Some("201"));
    assert_eq!(attribute(sent, "server.address").as_deref(), Some("127.0.0.1"));
    let seen = vim.requests().traceparents["POST servers create"].clone();
    assert_eq!(seen, format!("00-{TRACE}-{}-01", hex(&sent.span_id)));

    assert!(
        received.services.iter().all(|name| name.contains("vimhost")),
        "{:?}",
        received.services
    );
    for secret in [PASSWORD, "never-in-a-trace"] {
        let found = received
            .bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in a span");
    }
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let accepted = lines
        .iter()
        .find(|line| line["fields"]["message"] == "action accepted")
        .unwrap();
    assert_eq!(accepted["trace_id"], TRACE, "{accepted}");
    assert_eq!(accepted["span_id"], hex(&request.span_id));
    let started = lines
        .iter()
        .find(|line| line["fields"]["message"] == "listening")
        .unwrap();
    assert_eq!(started["trace_id"], Value::Null);
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_of_a_trace_goes_out() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    deploy(&host, &vim, &[("traceparent", format!("00-{TRACE}-{CALLER}-01"))]).await;
    assert!(vim.requests().total > 3);
    assert!(
        vim.requests().traceparents.is_empty(),
        "{:?}",
        vim.requests().traceparents
    );
    assert!(!host.log().contains(TRACE));
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_neither_work_nor_the_end_up() {
    // Accepts and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let vim = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.arguments = vec![format!("--otlp-endpoint=http://{}", silent.local_addr().unwrap())];
    let host = Host::start(&setup).unwrap();
    deploy(&host, &vim, &[]).await;
    let begun = Instant::now();
    let log = host.stop().unwrap();
    // Three seconds for the spans, what the rest of an orderly end takes, and what the machine may be busy with.
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert!(log.contains("the last spans were not sent"), "{log}");
    vim.stop().await.unwrap();
}
