//! What surrounds every request, whichever dialect: its number, its span, its time limit, its one line in the log, and the form
//! of a refusal.
//!
//! A request is served by a task of its own. What a client asked for is thus carried through when the client goes away or the
//! time limit passes in the middle of it (an accepted action is always handed to the scheduler), and a panic ends in a 500.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tracing::Instrument as _;
use vimhost_telemetry::metric::{self, status_class};
use vimhost_telemetry::trace;

use crate::failure::{Cause, Failure, Refused};

/// Header of an answer that names the request in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whose answer it is. Without a version, which would only help whoever looks for an old one.
const SERVER: HeaderValue = HeaderValue::from_static("vimhost");

const KNOWN_METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Untrusted text in one field of the log.
const MAX_LOGGED: usize = 1024;

/// Bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Longest body in bytes; beyond it 413. A deploy of LCM has some kilobytes per VM.
    pub body: usize,
    /// Longest time until the answer begins; beyond it 503, while the work goes on. LCM waits 300 s.
    pub time: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body: 16 << 20,
            time: Duration::from_secs(120),
        }
    }
}

/// The number of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The route a response belongs to, where the framework does not know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route(pub &'static str);

/// How a dialect writes a refusal: given what was asked and by which number.
pub(crate) type WriteRefusal = fn(&Failure, &HeaderMap, &RequestId) -> Response;

/// What [`serve`] needs to know of a dialect.
#[derive(Clone, Copy)]
pub(crate) struct Exchange {
    /// Name of the dialect in metrics.
    pub dialect: &'static str,
    pub limits: RequestLimits,
    pub write_refusal: WriteRefusal,
}

/// The middleware.
pub(crate) async fn serve(State(exchange): State<Exchange>, mut request: Request, next: Next) -> Response {
    let id = RequestId(uuid::Uuid::new_v4().simple().to_string().into());
    let (method, asked) = (request.method().clone(), request.headers().clone());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!(
        "http_request",
        method = %method,
        route = tracing::field::Empty,
        request_id = id.as_str(),
        status = tracing::field::Empty,
        elapsed_ms = tracing::field::Empty,
        project = tracing::field::Empty,
        otel.kind = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    if trace::is_on() {
        // Now, because it cannot be said any more once somebody has asked for the span's id.
        span.record("otel.kind", "server");
    }
    trace::continue_from(&span, request.headers());
    request.extensions_mut().insert(id.clone());
    let started = Instant::now();
    let work = tokio::spawn(next.run(request).instrument(span.clone()));
    let response = match tokio::time::timeout(exchange.limits.time, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => refused(Failure::internal(Cause {
            error: "the handler panicked".to_owned(),
            chain: String::new(),
        })),
        Err(_) => refused(Failure::unavailable(
            "the request takes too long; what it began goes on",
        )),
    };
    let route = match (response.extensions().get::<Route>(), &matched) {
        (Some(route), _) => route.0,
        (None, Some(matched)) => matched.as_str(),
        (None, None) => "unmatched",
    };
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.record("route", route);
    span.record("status", response.status().as_u16());
    span.record("elapsed_ms", elapsed_ms);
    record(
        exchange.dialect,
        &method,
        route,
        response.status().as_u16(),
        started.elapsed(),
    );
    if trace::is_on() {
        describe(&span, &method, route, response.status().as_u16());
    }
    let (response, failure) = finish(exchange, response, &asked, &id);
    span.in_scope(|| log(&method, &response, failure.as_deref()));
    response
}

/// Counts a request. The label of a method is one of the known ones: a client may send any word.
fn record(dialect: &str, method: &Method, route: &str, status: u16, took: Duration) {
    let method = KNOWN_METHODS.into_iter().find(|known| *known == method.as_str());
    let method = method.unwrap_or("other");
    // Looked up each time: a request takes a hundred times as long.
    let requests = metric::HTTP_REQUESTS.counter(&[dialect, method, route, status_class(Some(status))]);
    requests.increment(1);
    metric::HTTP_REQUEST_DURATION
        .histogram(&[dialect, method, route])
        .record(took);
}

/// The request in the words of OpenTelemetry.
fn describe(span: &tracing::Span, method: &Method, route: &str, status: u16) {
    trace::rename(span, format!("{method} {route}"));
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
    trace::attribute(span, "http.request.method", method.to_string());
    trace::attribute(span, "http.route", route.to_owned());
    trace::attribute(span, "http.response.status_code", i64::from(status));
}

fn refused(failure: Failure) -> Response {
    axum::response::IntoResponse::into_response(failure)
}

/// Gives a refusal its body and every response its number.
fn finish(
    exchange: Exchange,
    response: Response,
    asked: &HeaderMap,
    id: &RequestId,
) -> (Response, Option<Arc<Failure>>) {
    let failure = match response.extensions().get::<Refused>() {
        Some(refused) => Some(refused.0.clone()),
        None if response.status().as_u16() >= 400 => Some(Arc::new(Failure::of_status(response.status()))),
        None => None,
    };
    let mut response = match &failure {
        None => response,
        Some(failure) => {
            let written = (exchange.write_refusal)(failure, asked, id);
            with_headers_of(&response, written)
        }
    };
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.headers_mut().insert(header::SERVER, SERVER);
    // An answer is data, whatever a browser makes of it.
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (response, failure)
}

/// Keeps the headers that say something about a refusal (`Allow`, `Retry-After`, `WWW-Authenticate`), not those about its body.
fn with_headers_of(original: &Response<Body>, mut written: Response) -> Response {
    for (name, value) in original.headers() {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            written.headers_mut().append(name.clone(), value.clone());
        }
    }
    written
}

fn log(method: &Method, response: &Response, failure: Option<&Failure>) {
    let changes = !(method.is_safe());
    let status = response.status();
    let Some(failure) = failure else {
        if changes {
            tracing::info!("request served");
        } else {
            tracing::debug!("request served");
        }
        return;
    };
    // What is wrong with a body may repeat it, secrets included: the log has only the place.
    let detail = match failure.fields.first() {
        Some(field) => shortened(&format!("wrong body at '{}'", field.path)),
        None => shortened(&failure.detail),
    };
    match &failure.cause {
        Some(cause) => {
            let (error, chain) = (shortened(&cause.error), shortened(&cause.chain));
            tracing::error!(error, error.chain = chain, code = failure.code, "request failed");
        }
        None if status.is_server_error() => tracing::error!(error = detail, code = failure.code, "request failed"),
        None if matches!(status.as_u16(), 401 | 403) => {
            tracing::warn!(error = detail, code = failure.code, "request refused");
        }
        None => tracing::info!(error = detail, code = failure.code, "request refused"),
    }
}

/// Text from outside as a field of the log: bounded, without control characters.
fn shortened(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_LOGGED)
        .collect();
    while short.len() > MAX_LOGGED {
        short.pop();
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::response::IntoResponse;
    use axum::routing::{get, post};
    use http::StatusCode;

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

    impl Lines {
        fn take(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    fn write_refusal(failure: &Failure, _: &HeaderMap, id: &RequestId) -> Response {
        (failure.status, format!("{} {}", failure.detail, id.as_str())).into_response()
    }

    fn router(finished: Arc<AtomicBool>) -> Router {
        let limits = RequestLimits {
            time: Duration::from_millis(100),
            ..RequestLimits::default()
        };
        Router::new()
            .route("/ok/{id}", get(|| async { "ok" }).post(|| async { "ok" }))
            .route("/panic", get(|| async { panic!("canary") as &'static str }))
            .route(
                "/slow",
                post(move || async move {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    finished.store(true, Ordering::SeqCst);
                }),
            )
            .route(
                "/broken",
                get(|| async {
                    let source = std::io::Error::other("disk\nfull");
                    let error = vimhost_engine::Error::Internal {
                        doing: "reading".to_owned(),
                        source: Some(Box::new(source)),
                    };
                    Failure::from(error)
                }),
            )
            .route(
                "/shape",
                get(|| async { Failure::shape("credentials", "invalid type: string canary") }),
            )
            .layer(axum::middleware::from_fn_with_state(
                Exchange {
                    dialect: "test",
                    limits,
                    write_refusal,
                },
                serve,
            ))
    }

    async fn ask(router: &Router, method: Method, path: &str) -> (StatusCode, String, String) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let response = crate::serve::call(router.clone(), request).await;
        let id = response.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap(), id)
    }

    #[tokio::test]
    async fn each_request_has_one_line_of_the_right_level_with_route_and_number() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // As long as there is only one, whether a line is wanted is asked of the thread that comes to it first, for all threads: a test
        // beside this one, which logs nothing, would switch lines off here. Of two, all are asked.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(subscriber);
        let finished = Arc::new(AtomicBool::new(false));
        let router = router(finished.clone());
        for (method, path, status, level, words) in [
            (Method::GET, "/ok/secret-id", 200, "DEBUG", "request served"),
            (Method::POST, "/ok/secret-id", 200, " INFO", "request served"),
            (Method::GET, "/nothing", 404, " INFO", "route=\"unmatched\""),
            (Method::DELETE, "/ok/secret-id", 405, " INFO", "route=\"/ok/{id}\""),
            (Method::GET, "/panic", 500, "ERROR", "the handler panicked"),
            (
                Method::GET,
                "/broken",
                500,
                "ERROR",
                "error=\"internal error while reading\" error.chain=\"disk full\"",
            ),
            (Method::GET, "/shape", 422, " INFO", "wrong body at 'credentials'"),
            (Method::POST, "/slow", 503, "ERROR", "takes too long"),
        ] {
            let (got, body, id) = ask(&router, method, path).await;
            assert_eq!(got.as_u16(), status, "{path}: {body}");
            assert_eq!(status >= 400, body.ends_with(&id), "{body}");
            let logged = lines.take();
            assert_eq!(logged.len(), 1, "{logged:#?}");
            let line = &logged[0];
            for part in [
                level,
                words,
                &format!("request_id=\"{id}\""),
                &format!("status={status}"),
                "elapsed_ms=",
            ] {
                assert!(line.contains(part), "{part}: {line}");
            }
            assert!(!line.contains("secret-id") && !line.contains("canary"), "{line}");
            assert!(
                !body.contains("disk") && (path == "/shape" || !body.contains("canary")),
                "{body}"
            );
        }
        // What was begun goes on after its answer.
        let deadline = Instant::now() + Duration::from_secs(30);
        while !finished.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
