//! What handlers take out of a request, with refusals in one form.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::IntoParams;
use vimhost_model::{ActionId, Revision};

use super::Admin;
use crate::body::{self, Reading};
use crate::failure::Failure;
use crate::wording::plain;

/// Entries of a page unless the client asks for fewer or more.
const PAGE: usize = 100;

/// Entries of a page at most: an action's header is some hundred bytes.
const MAX_PAGE: usize = 1000;

/// Bytes of a cursor: it holds an id at most, and encoded it has to fit the head of a request.
const MAX_CURSOR: usize = 1200;

/// Ids of the path.
pub(super) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(rejection) => Err(Failure::bad_request(rejection.body_text())),
        }
    }
}

/// The body as a value: JSON, or YAML.
pub(super) struct Document(pub Value);

impl FromRequest<Admin> for Document {
    type Rejection = Failure;
    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.headers, body, admin.limits.body).await?;
        body::decode(&parts.headers, bytes, Reading::Strict).await.map(Self)
    }
}

/// No body, or an empty map. Whoever sends something expects that it counts: a document to a deploy, a component to a reload.
pub(super) struct NoBody;

impl FromRequest<Admin> for NoBody {
    type Rejection = Failure;
    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.headers, body, admin.limits.body).await?;
        match bytes.trim_ascii() {
            b"" | b"{}" | b"null" => Ok(Self),
            _ => Err(Failure::bad_request(
                "this request takes no body; what it is about is kept by a PUT before it",
            )),
        }
    }
}

/// The body as a typed thing.
pub(super) struct Typed<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Admin> for Typed<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Failure> {
        let Document(value) = Document::from_request(request, admin).await?;
        typed(value).map(Self)
    }
}

/// A value as a typed thing; the refusal names the field.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path: Vec<String> = error.path().iter().map(ToString::to_string).collect();
        let path = path.join(":").replace(['[', ']'], "");
        Failure::shape(path, plain(&error.into_inner().to_string()))
    })
}

/// Which page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paging {
    pub after: Option<String>,
    pub limit: usize,
}

/// Which page of a listing, as it is asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PagingParams {
    /// `next` of the page before; the first page without it.
    #[param(max_length = 1200)]
    cursor: Option<String>,
    /// Entries of the page, at most 1000.
    #[param(minimum = 1, default = 100)]
    limit: Option<usize>,
}

/// Other parameters of the query.
pub(super) struct Queried<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Queried<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Failure::bad_request(rejection.body_text())),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Queried(raw) = Queried::<PagingParams>::from_request_parts(parts, state).await?;
        if raw.limit == Some(0) || raw.cursor.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR) {
            return Err(Failure::bad_request(
                "'limit' is at least 1, and 'cursor' is one of this interface's own",
            ));
        }
        Ok(Self {
            after: raw.cursor.filter(|cursor| !cursor.is_empty()),
            limit: raw.limit.unwrap_or(PAGE).min(MAX_PAGE),
        })
    }
}

/// `If-Match` as it is described.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read as [`IfMatch`]; this describes it")]
pub(super) struct IfMatchParams {
    /// The `ETag` of what was read, or `*`: it has to exist. Refused with 412 when it was changed since.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// `Idempotency-Key` as it is described.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read as [`IdempotencyKey`]; this describes it")]
pub(super) struct IdempotencyParams {
    /// Becomes the id of the action: the same request again under the same key answers the same action.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
}

/// What the client decided on (`If-Match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// It did not say.
    Anything,
    /// `*`: it has to exist.
    Existing,
    /// This revision.
    Revision(Revision),
}

impl IfMatch {
    /// Checks what is there; none when there is nothing.
    pub(super) fn check(self, what: &str, present: Option<Revision>) -> Result<(), Failure> {
        match (self, present) {
            (Self::Anything, _) | (Self::Existing, Some(_)) => Ok(()),
            (Self::Revision(wanted), Some(present)) if wanted == present => Ok(()),
            (Self::Existing | Self::Revision(_), _) => Err(Failure::changed_meanwhile(what)),
        }
    }

    /// The revision a change is made to, given what is there.
    pub(super) fn expected(self, present: Option<Revision>) -> Option<Revision> {
        match self {
            Self::Anything => None,
            Self::Existing => present,
            Self::Revision(revision) => Some(revision),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Existing);
        }
        let quoted = text.trim().strip_prefix('"')?.strip_suffix('"')?;
        quoted.parse().ok().map(Self::Revision)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Some(text) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self::Anything);
        };
        text.to_str()
            .ok()
            .and_then(Self::parse)
            .ok_or_else(|| Failure::bad_request("'If-Match' is '*' or one entity tag as an answer's 'ETag' gave it"))
    }
}

/// `Idempotency-Key`: the id of the action that the request makes.
pub(super) struct IdempotencyKey(pub Option<ActionId>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Some(text) = header_text(&parts.headers, "idempotency-key")? else {
            return Ok(Self(None));
        };
        // The draft standard writes it as a quoted string; people write it bare.
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        if bare.len() > 255 {
            return Err(Failure::bad_request("'Idempotency-Key' has more than 255 bytes"));
        }
        match ActionId::new(bare) {
            Ok(id) => Ok(Self(Some(id))),
            Err(error) => Err(Failure::bad_request(format!("'Idempotency-Key': {error}"))),
        }
    }
}

/// A header as text; absent is none.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some)
        .map_err(|_| Failure::bad_request(format!("header '{name}' is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_is_any_existing_or_one_revision() {
        assert_eq!(IfMatch::parse("*"), Some(IfMatch::Existing));
        assert_eq!(IfMatch::parse(" \"12\" "), Some(IfMatch::Revision(12)));
        for text in ["12", "W/\"12\"", "\"a\"", "\"1\", \"2\"", ""] {
            assert_eq!(IfMatch::parse(text), None, "{text}");
        }
        assert!(IfMatch::Existing.check("x", None).is_err());
        assert!(IfMatch::Revision(1).check("x", Some(2)).is_err());
        assert!(IfMatch::Revision(2).check("x", Some(2)).is_ok());
        assert!(IfMatch::Anything.check("x", None).is_ok());
    }
}
