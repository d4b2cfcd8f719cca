//! Who may do what.
//!
//! With tokens configured, every request below `/v1` carries one as bearer token; only its SHA-256 is known here. Without any, only
//! loopback is served, and not on behalf of a web page: a page a person looks at could otherwise drive the cloud through the
//! person's own machine, hence also the check of `Host`, which a rebound name does not pass.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::source;

/// What a token's bearer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Look; values of keys that name a secret are masked.
    Viewer,
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
    #[error("'{0}' is no role; roles are admin and viewer")]
    Role(String),
}

impl TokenDigest {
    /// A digest of 64 hexadecimal digits with the name of a role.
    ///
    /// # Errors
    /// When either is none.
    pub fn new(digest: &str, role: &str) -> Result<Self, TokenDigestError> {
        let role = match role {
            "admin" => Role::Admin,
            "viewer" => Role::Viewer,
            other => return Err(TokenDigestError::Role(other.chars().take(64).collect())),
        };
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
    tokens: Vec<TokenDigest>,
}

impl Gate {
    pub(super) fn new(tokens: Vec<TokenDigest>) -> Self {
        Self { tokens }
    }

    fn role(&self, request: &Request) -> Result<Role, Failure> {
        if self.tokens.is_empty() {
            return without_tokens(request);
        }
        let token = bearer(request.headers()).ok_or_else(|| unauthorised("a bearer token is needed"))?;
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Every digest is compared to its end, so the time tells nothing about how near a guess came.
        let role = self.tokens.iter().fold(None, |found, known| {
            let differs = known.digest.iter().zip(digest).fold(0, |sum, (a, b)| sum | (a ^ b)) != 0;
            if differs { found } else { Some(known.role) }
        });
        role.ok_or_else(|| unauthorised("the bearer token is not known"))
    }
}

fn without_tokens(request: &Request) -> Result<Role, Failure> {
    if !source::peer(request.extensions()).is_some_and(|peer| peer.is_loopback()) {
        return Err(unauthorised("no tokens are configured, so only loopback is served"));
    }
    if source::from_a_page(request.headers()) || !names_loopback(request.headers()) {
        return Err(Failure::forbidden(
            "no tokens are configured, so requests of web pages are not served",
        ));
    }
    Ok(Role::Admin)
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

/// The middleware: puts the role into the request, or refuses.
pub(super) async fn authorise(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let role = gate.role(&request)?;
    if role == Role::Viewer && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Failure::forbidden("the token's role 'viewer' may only look"));
    }
    request.extensions_mut().insert(role);
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
            Err(TokenDigestError::Role("root".to_owned()))
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
