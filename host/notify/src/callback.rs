//! Requests to callbacks: bounded in time and size, to permitted addresses, redirects not followed.

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hashlink::LruCache;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;
use vimhost_model::vnf::ApiVersion;
use vimhost_model::{Secret, SubscriptionId};

use crate::authentication::Credentials;
use crate::dial::Dial;
use crate::notification::version_header;
use crate::token::Tokens;
use crate::{Error, NotifyOptions};

/// How long an unused connection is kept: common servers close theirs after 60 to 75 seconds.
const IDLE: Duration = Duration::from_secs(55);

/// Unused connections kept per origin. Notifications to one subscriber go one at a time, and a host may have several of them.
const IDLE_PER_ORIGIN: usize = 2;

/// Origins of which unused connections are kept: with the above a quarter of the files that a process usually may have open, whatever
/// clients subscribe to. With more of them, those that were not told of anything for the longest time are connected to anew.
const ORIGINS: usize = 128;

/// Bytes of an answer that are read: a token's fits, and nobody needs the rest of any other.
const LARGEST_ANSWER: usize = 64 << 10;

/// What is quoted of texts that others wrote.
const QUOTED: usize = 256;

/// Text from outside for a field of the log or an answer.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(QUOTED).collect();
    short.escape_debug().to_string()
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Whether the connection ended before an answer began.
fn was_closed(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<io::Error>()
            && matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The connections to one origin. Those that are not in use go with it.
type Origin = Pool<HttpsConnector<Dial>, Full<Bytes>>;

/// The client of all callbacks.
pub(crate) struct Client {
    connector: HttpsConnector<Dial>,
    /// A pool for each origin, because one for all bounds what it keeps per origin only.
    pools: Mutex<LruCache<String, Origin>>,
    pub(crate) tokens: Tokens,
}

/// A callback and how to be known there.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: SubscriptionId,
    pub(crate) url: Url,
    pub(crate) version: ApiVersion,
    pub(crate) credentials: Option<Credentials>,
}

/// `Authorization: Basic …`
pub(crate) fn basic(user: &Secret, password: &Secret) -> Result<HeaderValue, String> {
    let pair = Secret::new(format!("{}:{}", user.expose(), password.expose()));
    let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    secret_header(&text)
}

/// A header that does not print.
pub(crate) fn secret_header(text: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| "it cannot be put into a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

impl Client {
    pub(crate) fn new(options: &Arc<NotifyOptions>) -> Result<Self, Error> {
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Internal(format!("TLS of notifications cannot be set up: {error}")))?
            .with_webpki_roots()
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dial(Arc::clone(options)));
        Ok(Self {
            connector,
            pools: Mutex::new(LruCache::new(ORIGINS)),
            tokens: Tokens::default(),
        })
    }

    fn origin_of(&self, uri: &Uri) -> Origin {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let origin = format!("{scheme}://{authority}");
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = pools.get(&origin) {
            return known.clone();
        }
        let made = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_ORIGIN)
            .build(self.connector.clone());
        pools.insert(origin, made.clone());
        made
    }

    /// Sends a request whole and reads the answer; an answer that is too long is cut off with an error. A connection that was kept may be
    /// closed by the other side at that very moment, so what met a connection that ended is sent once more: a notification that comes twice
    /// has the same `id`, and a token that was asked for twice is good.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let origin = self.origin_of(request.uri());
        let answer = match origin.request(request.clone()).await {
            Err(error) if was_closed(&error) => origin.request(request).await,
            first => first,
        };
        let answer = answer.map_err(|error| reason_of(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| format!("its answer cannot be read: {}", quoted(&error.to_string())))?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }

    /// Asks a callback whether it is one.
    pub(crate) async fn test(&self, target: &Target, limit: Duration) -> Result<(), String> {
        self.call_within(target, &Method::GET, &Bytes::new(), limit).await
    }

    /// Sends a notification.
    pub(crate) async fn notify(&self, target: &Target, body: &Bytes, limit: Duration) -> Result<(), String> {
        self.call_within(target, &Method::POST, body, limit).await
    }

    async fn call_within(&self, target: &Target, method: &Method, body: &Bytes, limit: Duration) -> Result<(), String> {
        tokio::time::timeout(limit, self.call(target, method, body))
            .await
            .unwrap_or_else(|_| Err(format!("it did not answer within {limit:?}")))
    }

    async fn call(&self, target: &Target, method: &Method, body: &Bytes) -> Result<(), String> {
        let mut renewed = false;
        loop {
            let authorization = self.authorization(target).await?;
            let request = request(target, method, body, authorization)?;
            let status = self.exchange(request).await?.status;
            match (status, &target.credentials) {
                (StatusCode::NO_CONTENT, _) => return Ok(()),
                // The token may have been taken back before its time: once with another one.
                (StatusCode::UNAUTHORIZED, Some(Credentials::Client { .. })) if !renewed => {
                    self.tokens.forget(&target.id);
                    renewed = true;
                }
                (status, _) => return Err(format!("it answered {}, not 204", status.as_u16())),
            }
        }
    }

    async fn authorization(&self, target: &Target) -> Result<Option<HeaderValue>, String> {
        match &target.credentials {
            None => Ok(None),
            Some(Credentials::Basic { user, password }) => basic(user, password).map(Some),
            Some(Credentials::Client {
                id,
                password,
                token_endpoint,
            }) => {
                let token = self.tokens.get(self, &target.id, id, password, token_endpoint).await?;
                secret_header(&Secret::new(format!("Bearer {}", token.expose()))).map(Some)
            }
        }
    }
}

fn request(
    target: &Target,
    method: &Method,
    body: &Bytes,
    authorization: Option<HeaderValue>,
) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::builder()
        .method(method)
        .uri(without_fragment(&target.url).as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "vimhost")
        .header("version", version_header(target.version));
    if method == Method::POST {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request
        .body(Full::new(body.clone()))
        .map_err(|error| format!("no request can be made for it: {error}"))
}

/// A fragment is not sent.
fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

/// The deepest cause says most: the client's own words are "client error (Connect)".
fn reason_of(error: &hyper_util::client::legacy::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = error.to_string();
        cause = match error.downcast_ref::<vimhost_dial::DialError>() {
            Some(_) => None,
            None => error.source(),
        };
    }
    quoted(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_kept_of_the_origins_that_were_told_last() {
        let client = Client::new(&Arc::new(NotifyOptions::default())).unwrap();
        let told = |origin: &str| {
            client.origin_of(&format!("{origin}/told").parse().unwrap());
        };
        for number in 0..2 * ORIGINS {
            told("http://often.example");
            told(&format!("http://{number}.example:8080"));
        }
        let pools = client.pools.lock().unwrap();
        assert_eq!(pools.len(), ORIGINS);
        assert!(pools.peek("http://often.example").is_some());
        assert!(pools.peek("http://0.example:8080").is_none());
        assert!(
            pools
                .peek(&format!("http://{}.example:8080", 2 * ORIGINS - 1))
                .is_some()
        );
    }
}
