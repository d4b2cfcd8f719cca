//! The only way out: HTTP requests of guests, through one pooled client per account.
//!
//! One client per account and not one for all: the pool is keyed by authority, so a shared one would hand a connection that was
//! dialled under one account's addresses and certificate authorities to another. The client follows no redirects, reads no proxy
//! variables and unpacks nothing, so each hop is a request of its own that is checked.
//!
//! What is refused reaches the guest as "denied" and is kept for the call's error, with the command that would grant it. What was sent never
//! does: a guest that reads "denied" knows that nothing was done, and forgets what it has announced.

mod body;
mod dial;
mod failure;
mod fence;
mod fill;
pub(crate) mod needles;
pub(crate) mod policy;
mod tls;
pub(crate) mod vault;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, IF_RANGE, RANGE};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tracing::{Instrument as _, Span};
use vimhost_connector::{AnswerCredential, ErrorKind};
use vimhost_dial::Resolve;
use vimhost_model::{Origin, VimAccount};
use vimhost_telemetry::trace;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::Limits;
use crate::account::AccountState;
use crate::context::{Breach, Shared};
use crate::text::safe;
use body::Guarded;
use dial::{CONNECT_LIMIT, Dial};
use fence::Gate;
use fill::Target;
use policy::Policy;

/// How long an unused connection is kept: common servers close theirs after 60 to 75 seconds.
const IDLE: Duration = Duration::from_secs(55);
/// What is shown of a path in errors.
const SHOWN_PATH: usize = 256;

/// The client of one account.
#[derive(Clone)]
pub(crate) struct Client(Pool<HttpsConnector<Dial>, Full<Bytes>>);

impl Client {
    /// # Errors
    /// When the account's TLS settings cannot be used.
    pub(crate) fn new(
        account: &VimAccount,
        policy: &Arc<Policy>,
        resolver: &Arc<dyn Resolve>,
        lease: watch::Receiver<Option<Instant>>,
        limits: &Limits,
    ) -> Result<Self, String> {
        let tls = tls::config(account.ca_certificates.as_deref(), account.insecure_tls)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(Dial::new(
                Arc::clone(policy),
                Arc::clone(resolver),
                Gate::new(lease, limits.send_margin),
                limits.connect,
            ));
        let pool = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(limits.idle_connections)
            .build(connector);
        Ok(Self(pool))
    }
}

/// The way out as one call sees it. Only shared parts: each request is a task of its own.
#[derive(Clone)]
pub(crate) struct Egress {
    account: Option<Arc<AccountState>>,
    shared: Arc<Shared>,
    limits: Arc<Limits>,
}

/// A request that was not sent: the guest's code, and the text for the call's error.
struct Refusal(Error, String);

impl Refusal {
    /// Not sent. A guest takes back what it has announced for such a request.
    fn denied(reason: impl Into<String>) -> Self {
        Self(Error::HttpRequestDenied, reason.into())
    }

    /// Sent and answered, and the guest may not have the answer: what was asked for may have been done, so this must not look like a
    /// request that was not sent.
    fn unusable(reason: impl Into<String>) -> Self {
        Self(UNUSABLE, reason.into())
    }
}

/// What a guest is told of an answer that it may not have.
const UNUSABLE: Error = Error::HttpProtocolError;

type Answer = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Egress {
    fn set_host_header(&mut self) -> bool {
        // The pooled client sets it, and HTTP/2 has none.
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let egress = self.clone();
        let span = span_of(&request);
        let sending = async move {
            let answer = egress.send(request, options.unwrap_or_default()).await;
            let answer = answer.inspect_err(|code| mark_failed(&Span::current(), code))?;
            Ok((answer, Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>))
        };
        Box::new(sending.instrument(span))
    }
}

impl Egress {
    pub(crate) fn new(account: Option<Arc<AccountState>>, shared: Arc<Shared>, limits: Arc<Limits>) -> Self {
        Self {
            account,
            shared,
            limits,
        }
    }

    async fn send(self, request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        let what = format!("{} {}", request.method(), shown(request.uri()));
        let refused = |Refusal(code, reason)| {
            let account = self.account.as_ref().map_or("", |account| account.id());
            tracing::debug!(account, request = what, reason, "request refused");
            self.shared.refuse(format!("{what}: {reason}"));
            if let Some(account) = &self.account {
                account.metrics().refused(&code);
            }
            code
        };
        let Some(account) = &self.account else {
            return Err(refused(Refusal::denied(
                "there is no network while a plugin describes itself",
            )));
        };
        let origin = self.admit(account, &request).map_err(refused)?;
        let permit = Arc::clone(&self.shared.open).try_acquire_owned().map_err(|_| {
            let limit = self.limits.open_requests;
            refused(Refusal(
                Error::ConnectionLimitReached,
                format!("limit of {limit} open requests exceeded"),
            ))
        })?;
        let mut request = self.prepare(account, &origin, request).await.map_err(refused)?;
        trace::hand_on(&Span::current(), request.headers_mut());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let target = Target {
            method: &method,
            path: &path,
            origin: &origin,
            policy: account.policy(),
        };

        let answer = self.exchange(account, request, &options, &what, refused).await?;
        let (mut head, incoming) = answer.into_parts();
        self.check_answer(account, target, &mut head, &incoming)
            .map_err(refused)?;
        let pace = smaller(self.limits.between_bytes, options.between_bytes_timeout);
        let guarded = Guarded::new(
            incoming,
            self.limits.response_body,
            pace,
            Arc::clone(account.vault()),
            Arc::clone(&self.shared),
            what.clone(),
            permit,
        );
        Ok(Response::from_parts(head, guarded.boxed_unsync()))
    }

    /// Whether a request may go out at all; answers where to.
    fn admit(&self, account: &AccountState, request: &Request<WasiBody>) -> Result<Origin, Refusal> {
        if let Some(breach) = self.shared.breach() {
            return Err(Refusal::denied(format!(
                "the call has failed already: {}",
                breach.message
            )));
        }
        self.check_lease(account)?;
        if self.shared.count_request() > self.limits.requests {
            let limit = self.limits.requests;
            return Err(Refusal(
                Error::ConnectionLimitReached,
                format!("limit of {limit} requests of one call exceeded"),
            ));
        }
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(Refusal::denied("this method is not available to plugins"));
        }
        if request
            .uri()
            .authority()
            .is_none_or(|authority| authority.as_str().contains('@'))
        {
            return Err(Refusal::denied("its authority is missing or names a user"));
        }
        let origin = Origin::of_url(&request.uri().to_string())
            .map_err(|error| Refusal(Error::HttpRequestUriInvalid, error.to_string()))?;
        account.policy().check_origin(&origin).map_err(Refusal::denied)?;
        Ok(origin)
    }

    /// How long a request may still be sent, where a lease on the account says so.
    ///
    /// # Errors
    /// When too little of it is left. The whole call fails then, as one that is worth repeating: nobody has done anything wrong,
    /// and whoever holds the account next goes on.
    fn check_lease(&self, account: &AccountState) -> Result<Option<Duration>, Refusal> {
        Gate::new(account.fence(), self.limits.send_margin)
            .left()
            .map_err(|over| self.lease_over(&over.to_string()))
    }

    fn lease_over(&self, reason: &str) -> Refusal {
        self.shared.break_off(Breach {
            kind: ErrorKind::Timeout,
            message: reason.to_owned(),
        });
        Refusal::denied(reason)
    }

    /// The request as it is sent: to the origin that was checked, body whole, secrets in.
    async fn prepare(
        &self,
        account: &AccountState,
        origin: &Origin,
        request: Request<WasiBody>,
    ) -> Result<Request<Full<Bytes>>, Refusal> {
        let (mut head, body) = request.into_parts();
        let limit = self.limits.request_body;
        let body = match Limited::new(body, limit).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(Refusal(
                    Error::HttpRequestBodySize(u64::try_from(limit).ok()),
                    format!("its body is larger than the limit of {limit} bytes"),
                ));
            }
            Err(error) => {
                return Err(Refusal(
                    Error::HttpProtocolError,
                    format!("its body broke off: {error}"),
                ));
            }
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("{origin}{path}")
            .parse::<Uri>()
            .map_err(|error| Refusal(Error::HttpRequestUriInvalid, error.to_string()))?;
        // An answer in pieces or packed could not be searched for secrets, and the body is sent at once.
        for name in [ACCEPT_ENCODING, RANGE, IF_RANGE, EXPECT, CONTENT_LENGTH] {
            head.headers.remove(name);
        }
        let path = head.uri.path().to_owned();
        let target = Target {
            method: &head.method,
            path: &path,
            origin,
            policy: account.policy(),
        };
        let body = fill::fill(target, &head.uri, &mut head.headers, body, account.vault()).map_err(Refusal::denied)?;
        if body.is_empty() && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
            // hyper takes an empty body for none, and some servers insist on a length.
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(Request::from_parts(head, Full::new(body)))
    }

    async fn exchange(
        &self,
        account: &AccountState,
        request: Request<Full<Bytes>>,
        options: &RequestOptions,
        what: &str,
        refused: impl Fn(Refusal) -> Error,
    ) -> Result<Response<Incoming>, Error> {
        let mut fence = account.fence();
        let mut until = *fence.borrow_and_update();
        let mut connect = smaller(self.limits.connect, options.connect_timeout);
        if let Some(left) = self.check_lease(account).map_err(&refused)? {
            connect = connect.min(left);
        }
        let call = self.shared.deadline.saturating_duration_since(Instant::now());
        let wait = smaller(self.limits.first_byte, options.first_byte_timeout).min(call);
        let mut patience = pin!(tokio::time::sleep(wait));
        self.shared.sent();
        let begun = Instant::now();
        let mut sending = pin!(CONNECT_LIMIT.scope(connect, account.client().0.request(request)));
        let result = loop {
            tokio::select! {
                biased;
                result = &mut sending => break result,
                () = &mut patience => {
                    account.metrics().requested(None, begun.elapsed());
                    self.shared.failed(format!("{what}: no answer within {wait:?}"));
                    return Err(Error::ConnectionReadTimeout);
                }
                // Before the look at the time: a thread that has stood still finds both the end of the lease it knew and the heartbeat
                // that came meanwhile.
                Ok(()) = fence.changed() => until = *fence.borrow_and_update(),
                () = at(until) => {
                    account.metrics().requested(None, begun.elapsed());
                    let reason = "the time in which this host may send for the account ended before an answer came";
                    self.lease_over(reason);
                    self.shared.failed(format!("{what}: {reason}"));
                    // No refusal: the VIM may have it.
                    return Err(Error::ConnectionReadTimeout);
                }
            }
        };
        match result {
            Ok(answer) => {
                self.shared.settled();
                let status = answer.status().as_u16();
                account.metrics().requested(Some(status), begun.elapsed());
                Span::current().record("http.response.status_code", status);
                tracing::trace!(
                    account = account.id(),
                    request = what,
                    status = answer.status().as_u16(),
                    "answer"
                );
                Ok(answer)
            }
            Err(error) => {
                account.metrics().requested(None, begun.elapsed());
                // Whatever it failed at: it was the connection that may not write any more, or it does not matter.
                let over = self.check_lease(account).err();
                if failure::was_never_sent(&error) {
                    self.shared.settled();
                    if let Some(over) = over {
                        return Err(refused(over));
                    }
                }
                let (code, text) = failure::of_request(&error);
                if matches!(code, Error::DestinationIpProhibited) {
                    account.metrics().refused(&code);
                    self.shared.refuse(format!("{what}: {text}"));
                } else {
                    self.shared.failed(format!("{what}: {text}"));
                }
                Err(code)
            }
        }
    }

    /// Takes credentials out of the head, and refuses an answer that holds a secret or cannot be searched for one.
    fn check_answer(
        &self,
        account: &AccountState,
        target: Target<'_>,
        head: &mut http::response::Parts,
        incoming: &Incoming,
    ) -> Result<(), Refusal> {
        let rules: &[AnswerCredential] = account.answer_credentials();
        fill::swap_answer(target, &mut head.headers, rules, account.vault()).map_err(Refusal::unusable)?;
        // Before anything else is refused: what follows repeats parts of the head to the guest and in errors.
        let needles = account.vault().needles();
        for (name, value) in &head.headers {
            if needles.found_in(name.as_str().as_bytes()) {
                return Err(Refusal::unusable(
                    "the name of a header of its answer holds a secret of the account",
                ));
            }
            if needles.found_in(value.as_bytes()) {
                return Err(Refusal::unusable(format!(
                    "the header '{name}' of its answer holds a secret of the account"
                )));
            }
        }
        let limit = self.limits.response_body;
        if incoming.size_hint().lower() > limit {
            return Err(Refusal(
                Error::HttpResponseBodySize(Some(limit)),
                format!("its answer is larger than the limit of {limit} bytes"),
            ));
        }
        let coding = head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        if let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
            let coding = safe(coding, 32);
            let reason = format!("its answer is packed ({coding}) although that was not asked for");
            return Err(Refusal(Error::HttpResponseContentCoding(Some(coding)), reason));
        }
        Ok(())
    }
}

/// The span of a request, in the words of OpenTelemetry. Taken while the guest asks, since what follows is a task of its own.
fn span_of(request: &Request<WasiBody>) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    let uri = request.uri();
    tracing::debug_span!(
        "http_client_request",
        otel.name = %request.method(),
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        http.request.method = %request.method(),
        http.response.status_code = tracing::field::Empty,
        server.address = uri.host(),
        server.port = uri.port_u16(),
        url.full = shown(uri),
    )
}

/// Says in a span that there was no answer, or none the guest may see.
fn mark_failed(span: &Span, code: &Error) {
    span.record("otel.status_code", "ERROR");
    // The code's name without what it holds, which the guest chose.
    let name = format!("{code:?}");
    let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
    span.record("error.type", name.get(..end).unwrap_or_default());
}

/// Ends at that time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn smaller(host: Duration, guest: Option<Duration>) -> Duration {
    guest.map_or(host, |guest| guest.min(host))
}

/// A URL as errors show it: without user and query, where tokens tend to stand, and bounded.
fn shown(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    safe(
        &format!("{}://{host}{}", uri.scheme_str().unwrap_or("?"), uri.path()),
        SHOWN_PATH,
    )
}

/// What a guest learns of an error inside of an answer's body, where wasmtime looks for another type than it stores.
pub(crate) fn error_code(error: &Error) -> wasmtime_wasi_http::p2::bindings::http::types::ErrorCode {
    use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open; these are what a body of ours ends with"
    )]
    match error {
        Error::HttpResponseBodySize(size) => ErrorCode::HttpResponseBodySize(*size),
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpRequestDenied => ErrorCode::HttpRequestDenied,
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::TlsProtocolError => ErrorCode::TlsProtocolError,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}
