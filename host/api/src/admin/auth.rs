//! Who asks.
//!
//! Every request below `/v1` carries a bearer token: one of the store, or one whose SHA-256 the configuration has. While there is
//! neither, only loopback is served, and not on behalf of a web page: a page a person looks at could otherwise drive the cloud
//! through the person's own machine, hence also the check of `Host`, which a rebound name does not pass. The first token that is
//! made closes that door for good: ended tokens stay known, so that the end of the last one does not open it again.
//!
//! What the bearer may do is decided where the endpoint is known: [`super::table`].

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use vimhost_engine::Engine;
use vimhost_model::{Role, UnknownRole};

use crate::failure::Failure;
use crate::source;

/// Who asks, as the audit log names it, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub who: String,
    pub role: Role,
}

/// A token as it is configured: its digest and its role.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigest {
    digest: [u8; 32],
    role: Role,
}

/// Why a text is no digest of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenDigestError {
    /// Not 64 hexadecimal digits.
    #[error("a token's digest is its SHA-256 in 64 hexadecimal digits")]
    Digest,
    /// No such role.
    #[error(transparent)]
    Role(#[from] UnknownRole),
}

impl TokenDigest {
    /// A digest of 64 hexadecimal digits with the name of a role.
    ///
    /// # Errors
    /// When either is none.
    pub fn new(digest: &str, role: &str) -> Result<Self, TokenDigestError> {
        let role = role.parse()?;
        let mut bytes = [0; 32];
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenDigestError::Digest);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = digest.get(index * 2..index * 2 + 2).ok_or(TokenDigestError::Digest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| TokenDigestError::Digest)?;
        }
        Ok(Self { digest: bytes, role })
    }

    /// The digest of a token in clear.
    #[must_use]
    pub fn of_token(token: &str, role: Role) -> Self {
        Self {
            digest: Sha256::digest(token.as_bytes()).into(),
            role,
        }
    }

    /// Its name in the audit log: what the digest in the configuration begins with.
    fn name(&self) -> String {
        let head = self.digest.iter().take(4).map(|byte| format!("{byte:02x}"));
        format!("configured-{}", head.collect::<String>())
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenDigest")
            .field("digest", &"***")
            .field("role", &self.role)
            .finish()
    }
}

/// The tokens.
pub(super) struct Gate {
    configured: Vec<TokenDigest>,
    engine: Arc<Engine>,
    /// A token was seen in the store; none ever leaves it.
    stored: AtomicBool,
}

impl Gate {
    pub(super) fn new(configured: Vec<TokenDigest>, engine: Arc<Engine>) -> Self {
        Self {
            configured,
            engine,
            stored: AtomicBool::new(false),
        }
    }

    async fn principal(&self, request: &Parts) -> Result<Principal, Failure> {
        let Some(token) = bearer(&request.headers) else {
            return if self.asks_for_tokens().await? {
                Err(unauthorised("a bearer token is needed"))
            } else {
                without_tokens(request)
            };
        };
        if let Some(known) = self.configured_for(token) {
            return Ok(Principal {
                who: known.name(),
                role: known.role,
            });
        }
        let kept = self.engine.bearer(token).await?;
        let kept =
            kept.ok_or_else(|| unauthorised("the bearer token is not known, was revoked, or is past its time"))?;
        Ok(Principal {
            who: kept.id.to_string(),
            role: kept.role,
        })
    }

    fn configured_for(&self, token: &str) -> Option<&TokenDigest> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Every digest is compared to its end, so the time tells nothing about how near a guess came.
        self.configured.iter().fold(None, |found, known| {
            if bool::from(known.digest.ct_eq(&digest)) {
                Some(known)
            } else {
                found
            }
        })
    }

    async fn asks_for_tokens(&self) -> Result<bool, Failure> {
        if !self.configured.is_empty() || self.stored.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let stored = self.engine.has_tokens().await?;
        self.stored.fetch_or(stored, Ordering::Relaxed);
        Ok(stored)
    }
}

fn without_tokens(request: &Parts) -> Result<Principal, Failure> {
    if !source::peer(&request.extensions).is_some_and(|peer| peer.is_loopback()) {
        return Err(unauthorised(
            "there are no tokens, so only loopback is served; `vimhost token add` on this host makes one",
        ));
    }
    if source::from_a_page(&request.headers) || !names_loopback(&request.headers) {
        return Err(Failure::forbidden(
            "there are no tokens, so requests of web pages are not served",
        ));
    }
    Ok(Principal {
        who: "loopback".to_owned(),
        role: Role::Admin,
    })
}

/// Whether `Host` is loopback by address or by its one well-known name.
fn names_loopback(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    let address: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.to_canonical().is_loopback())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorised(detail: &str) -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "unauthorised", detail).with_header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"vimhost\""),
    )
}

/// The middleware: puts the principal and its role into the request, or refuses.
pub(super) async fn authenticate(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let principal = gate.principal(&parts).await?;
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(principal.role);
    request.extensions_mut().insert(principal);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_the_token_and_does_not_print() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(
            TokenDigest::new(digest, "viewer").unwrap(),
            TokenDigest::of_token("test", Role::Viewer)
        );
        assert_eq!(TokenDigest::new(&digest[1..], "viewer"), Err(TokenDigestError::Digest));
        assert_eq!(
            TokenDigest::new(&"é".repeat(32), "viewer"),
            Err(TokenDigestError::Digest)
        );
        assert_eq!(
            TokenDigest::new(digest, "root"),
            Err(TokenDigestError::Role("root".parse::<Role>().unwrap_err()))
        );
        assert_eq!(
            TokenDigest::of_token("test", Role::Viewer).name(),
            "configured-9f86d081"
        );
        assert!(!format!("{:?}", TokenDigest::new(digest, "admin").unwrap()).contains("9f"));
    }

    #[test]
    fn only_loopback_is_named_loopback() {
        for (host, loopback) in [
            ("localhost:9191", true),
            ("127.0.0.1:9191", true),
            ("[::1]:9191", true),
            ("[::1]", true),
            ("LOCALHOST", true),
            ("evil.example:9191", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            assert_eq!(names_loopback(&headers), loopback, "{host}");
        }
    }
}
