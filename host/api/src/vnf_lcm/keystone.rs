//! Who asks: Keystone's tokens, validated by Keystone and remembered for a while; or nobody is asked, which is for loopback only.
//!
//! A token is known by its SHA-256 and kept nowhere. Requests with one token that come while it is being validated wait for that one
//! validation. A refusal is remembered for some seconds too, so that a client with an old token does not ask Keystone with every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use vimhost_model::date_time::parse_rfc3339;

use super::problem::Problem;
use super::versions;
use crate::failure::{Cause, Failure};
use crate::source;

/// One validation.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a refused token is refused without asking again.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How long those who waited for a validation that failed are told the same. Short: the next request tries again.
const AWAY_FOR: Duration = Duration::from_millis(500);

/// Tokens remembered; some hundred bytes each.
const MOST: usize = 10_000;

/// A token with its catalogue has some tens of kilobytes.
const LARGEST_ANSWER: usize = 4 << 20;

/// Fernet tokens have some hundred bytes, PKI ones had some thousand.
const LONGEST_TOKEN: usize = 16 << 10;

/// Who may use the interface.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// Everybody who reaches it, web pages excepted: for loopback.
    None,
    /// Who has a token of this Keystone.
    Keystone(Arc<Keystone>),
}

/// Keystone cannot be asked with these settings.
#[derive(Debug, thiserror::Error)]
pub enum KeystoneError {
    /// The CA is no PEM of certificates.
    #[error("the CA of Keystone is no PEM of certificates: {0}")]
    Ca(String),
    /// TLS cannot be set up.
    #[error("TLS toward Keystone cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The URL is none.
    #[error("'{0}' is no URL of Keystone")]
    Url(String),
}

/// A Keystone, with what it said of tokens.
pub struct Keystone {
    tokens: http::Uri,
    pool: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    remembered: Duration,
    /// Of which a token has to have one; empty: any token will do.
    roles: Vec<String>,
    known: Mutex<HashMap<[u8; 32], Arc<Known>>>,
}

impl std::fmt::Debug for Keystone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystone")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// What is known of one token; locked while it is being found out.
#[derive(Default)]
struct Known(tokio::sync::Mutex<Option<(Said, Instant)>>);

/// What Keystone says of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Valid {
        project: Option<Arc<str>>,
    },
    /// It is valid, and has none of the roles that are asked for.
    WithoutRole,
    Refused,
    /// It says nothing, and why not.
    Away(Arc<str>),
}

#[derive(Deserialize)]
struct Answer {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    expires_at: String,
    #[serde(default)]
    project: Option<Project>,
    /// A token without a project has none.
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

#[derive(Deserialize)]
struct Project {
    id: String,
}

impl Keystone {
    /// A Keystone at its URL (`https://keystone.example:5000/v3`). `ca`: PEM of the authorities trusted instead of the public ones.
    ///
    /// # Errors
    /// When the URL or the CA cannot be read.
    pub fn new(url: &str, ca: Option<&[u8]>, remembered: Duration) -> Result<Self, KeystoneError> {
        let tokens = format!("{}/auth/tokens", versioned(url));
        let tokens = tokens.parse().map_err(|_| KeystoneError::Url(url.to_owned()))?;
        let builder = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(KeystoneError::Tls)?;
        let tls = match ca {
            None => builder.with_webpki_roots().with_no_client_auth(),
            Some(pem) => builder.with_root_certificates(roots(pem)?).with_no_client_auth(),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            tokens,
            pool: Client::builder(TokioExecutor::new()).build(connector),
            remembered,
            roles: Vec::new(),
            known: Mutex::default(),
        })
    }

    /// Has tokens refused that have none of these roles, by their names. Without any, as with Tacker, a token is enough.
    #[must_use]
    pub fn for_roles(self, roles: Vec<String>) -> Self {
        Self { roles, ..self }
    }

    /// Whether a token with these roles may use the interface. Keystone's own names do not differ by case.
    fn admits(&self, roles: &[Role]) -> bool {
        let is_wanted = |role: &Role| self.roles.iter().any(|wanted| wanted.eq_ignore_ascii_case(&role.name));
        self.roles.is_empty() || roles.iter().any(is_wanted)
    }

    /// What is known of a token; asks when nothing is.
    async fn look(&self, token: &HeaderValue) -> Said {
        let known = self.entry(Sha256::digest(token.as_bytes()).into());
        let mut known = known.0.lock().await;
        if let Some((said, until)) = known.as_ref()
            && *until > Instant::now()
        {
            return said.clone();
        }
        let (said, lasts) = match tokio::time::timeout(PATIENCE, self.ask(token)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => (Said::Away(why.into()), AWAY_FOR),
            Err(_) => (Said::Away("no answer in time".into()), AWAY_FOR),
        };
        *known = Some((said.clone(), Instant::now() + lasts));
        said
    }

    /// Where what is known of a token stands.
    fn entry(&self, digest: [u8; 32]) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST && !known.contains_key(&digest) {
            let now = Instant::now();
            // What is being found out is locked and stays.
            known.retain(|_, known| match known.0.try_lock() {
                Ok(known) => known.as_ref().is_some_and(|(_, until)| *until > now),
                Err(_) => true,
            });
            if known.len() >= MOST {
                // All are in use: asking again costs a request each, and memory stays bounded.
                known.clear();
            }
        }
        known.entry(digest).or_default().clone()
    }

    /// Asks Keystone: the token vouches for itself.
    async fn ask(&self, token: &HeaderValue) -> Result<(Said, Duration), String> {
        let (mut own, mut subject) = (token.clone(), token.clone());
        own.set_sensitive(true);
        subject.set_sensitive(true);
        let request = http::Request::get(self.tokens.clone())
            .header("x-auth-token", own)
            .header("x-subject-token", subject)
            .header(http::header::ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = match self.pool.request(request.clone()).await {
            // A connection that was kept may have been closed by Keystone at that very moment, which says nothing about the token.
            Err(error) if !error.is_connect() => self.pool.request(request).await,
            first => first,
        };
        let answer = answer.map_err(|error| chain(&error))?;
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::OK => {}
            // Unknown, expired, revoked, or not allowed to look at itself.
            StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Ok((Said::Refused, REFUSED_FOR));
            }
            status => return Err(format!("it answered {status}")),
        }
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| "its answer describes no token".to_owned())?;
        let expires = parse_rfc3339(&answer.token.expires_at).ok_or("its answer says no time of expiry")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let left = u64::try_from(expires.0.saturating_sub(now)).unwrap_or(0);
        if left == 0 {
            return Ok((Said::Refused, REFUSED_FOR));
        }
        let said = if self.admits(&answer.token.roles) {
            let project = answer.token.project.map(|project| project.id.into());
            Said::Valid { project }
        } else {
            Said::WithoutRole
        };
        Ok((said, self.remembered.min(Duration::from_millis(left))))
    }
}

/// A URL with the version of the API, which many write without. Left as it is, Keystone would answer 404 to every token, as it does to one that
/// it does not know.
fn versioned(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let last = url.rsplit('/').next().and_then(|last| last.strip_prefix('v'));
    let is_version = last.is_some_and(|number| {
        number.starts_with('3') && number.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
    });
    if is_version {
        url.to_owned()
    } else {
        format!("{url}/v3")
    }
}

fn roots(pem: &[u8]) -> Result<rustls::RootCertStore, KeystoneError> {
    let wrong = |why: String| KeystoneError::Ca(why);
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(roots)
}

/// An error with what it came from.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    causes.join(": ")
}

/// What the middleware needs.
pub(super) struct Gate(Authentication);

impl Gate {
    pub(super) fn new(authentication: Authentication) -> Self {
        Self(authentication)
    }

    async fn admit(&self, parts: &Parts) -> Result<(), Problem> {
        let keystone = match &self.0 {
            Authentication::Keystone(keystone) => keystone,
            Authentication::None if source::from_a_page(&parts.headers) => {
                return Err(Problem::new(403, "requests of web pages are not served"));
            }
            Authentication::None => return Ok(()),
        };
        // Versions are asked for before anything else, by whoever.
        if versions::are_at(parts.uri.path()) {
            return Ok(());
        }
        let token = parts
            .headers
            .get("x-auth-token")
            .filter(|token| !token.is_empty() && token.len() <= LONGEST_TOKEN)
            .ok_or_else(|| Problem::new(401, "a token of Keystone is needed in 'X-Auth-Token'"))?;
        match keystone.look(token).await {
            Said::Valid { project } => {
                if let Some(project) = project {
                    tracing::Span::current().record("project", &*project);
                }
                Ok(())
            }
            Said::Refused => Err(Problem::new(
                401,
                "Keystone does not accept the token in 'X-Auth-Token'",
            )),
            Said::WithoutRole => Err(Problem::new(
                403,
                "the token in 'X-Auth-Token' has none of the roles that may use this interface",
            )),
            Said::Away(why) => {
                let detail = "Keystone, which validates tokens, cannot be asked now";
                Err(Problem::from(Failure {
                    cause: Some(Box::new(Cause {
                        error: "keystone cannot be asked about a token".to_owned(),
                        chain: why.as_ref().to_owned(),
                    })),
                    ..Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
                }))
            }
        }
    }
}

/// The middleware that refuses who is not known.
pub(super) async fn authenticate(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match gate.admit(&parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests;
