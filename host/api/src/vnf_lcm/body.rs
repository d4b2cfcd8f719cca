//! Bodies: JSON by its content type, then the schema.
//!
//! What is no JSON is refused before anything else is looked at, so the middleware reads the body of a request of the LCM interface and
//! hands it on as [`Parsed`]; [`read_json`] takes it from there, or reads it itself where the middleware leaves bodies alone (packages).

use std::borrow::Borrow;
use std::sync::Arc;

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::Problem;
use crate::RequestLimits;
use crate::body;
use crate::wording::plain;

/// A body that was read. Shared, because what travels with a request has to be clonable.
#[derive(Clone)]
pub(super) struct Parsed(pub Arc<Value>);

/// The body as a typed thing. 415 when it is not announced as JSON, 413 when it is too long, 400 when it is no JSON object or breaks the
/// schema: then the detail names the field.
pub(crate) async fn read_json<T: DeserializeOwned>(
    mut request: Request,
    limits: impl Borrow<RequestLimits>,
) -> Result<T, Problem> {
    let limits: &RequestLimits = limits.borrow();
    let limit = limits.body;
    let value = match request.extensions_mut().remove::<Parsed>() {
        Some(Parsed(value)) => Arc::unwrap_or_clone(value),
        None => {
            let (parts, body) = request.into_parts();
            let bytes = body::read(&parts.headers, body, limit).await?;
            parse(&parts.method, &parts.headers, &bytes)?
                .ok_or_else(|| Problem::new(400, "the request has no body; it wants a JSON object"))?
        }
    };
    if !value.is_object() {
        // A list would be read too, its elements taken for the attributes in the order of their declaration.
        return Err(Problem::field("", "the body is no JSON object"));
    }
    typed(value)
}

/// A body as JSON; none when there is none.
pub(super) fn parse(method: &Method, headers: &HeaderMap, bytes: &Bytes) -> Result<Option<Value>, Problem> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let announced = headers
        .get(header::CONTENT_TYPE)
        .and_then(|text| text.to_str().ok())
        .unwrap_or_default();
    let kind = announced.split(';').next().unwrap_or_default().trim();
    let is = |word: &str| kind.eq_ignore_ascii_case(word);
    let patch = method == Method::PATCH && is("application/merge-patch+json");
    // Text is taken for JSON, as Tacker does.
    if !(is("application/json") || is("text/plain") || patch) {
        return Err(Problem::new(
            415,
            "the body has to be announced as 'Content-Type: application/json'",
        ));
    }
    body::from_json(bytes).map(Some).map_err(Problem::from)
}

/// A value as a typed thing; the refusal names the field.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path: Vec<String> = error.path().iter().map(ToString::to_string).collect();
        let path = path.join("/").replace(['[', ']'], "");
        // A missing field of the whole has no path; its name stands in the reason.
        let path = if path == "." { String::new() } else { path };
        Problem::field(path, plain(&error.into_inner().to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Asked {
        #[serde(default)]
        ext_cps: Vec<Point>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Point {
        cpd_id: String,
    }

    fn request(method: Method, kind: Option<&str>, body: &'static str) -> Request {
        let mut builder = http::Request::builder().method(method);
        if let Some(kind) = kind {
            builder = builder.header(header::CONTENT_TYPE, kind);
        }
        builder.body(axum::body::Body::from(body)).unwrap()
    }

    async fn status(request: Request) -> u16 {
        match read_json::<Value>(request, RequestLimits::default()).await {
            Ok(_) => 200,
            Err(problem) => problem.status(),
        }
    }

    #[tokio::test]
    async fn the_content_type_decides_before_the_text() {
        for (method, kind, body, expected) in [
            (Method::POST, Some("application/json"), "{}", 200),
            (Method::POST, Some("application/json; charset=utf-8"), "{}", 200),
            (Method::POST, Some("text/plain"), "{}", 200),
            (Method::POST, Some("application/merge-patch+json"), "{}", 415),
            (Method::PATCH, Some("application/merge-patch+json"), "{}", 200),
            (Method::POST, Some("application/xml"), "{", 415),
            (Method::POST, None, "{}", 415),
            (Method::POST, Some("application/json"), "{", 400),
            (Method::POST, Some("application/json"), "", 400),
            (Method::POST, None, "", 400),
        ] {
            let asked = request(method.clone(), kind, body);
            assert_eq!(status(asked).await, expected, "{method} {kind:?} {body}");
        }
    }

    #[tokio::test]
    async fn a_broken_schema_names_the_field() {
        let asked = request(
            Method::POST,
            Some("application/json"),
            r#"{"extCps": [{"cpdId": "a"}, {"cpdId": 1}]}"#,
        );
        let limits = RequestLimits::default();
        let problem = read_json::<Asked>(asked, &limits).await.unwrap_err();
        assert_eq!(problem.status(), 400);
        assert!(
            problem.detail().starts_with("extCps/1/cpdId: invalid type"),
            "{}",
            problem.detail()
        );
        let asked = request(Method::POST, Some("application/json"), r#"{"extCps": [{}]}"#);
        let problem = read_json::<Asked>(asked, limits).await.unwrap_err();
        assert!(
            problem.detail().contains("extCps/0") && problem.detail().contains("cpdId"),
            "{}",
            problem.detail()
        );
    }

    #[tokio::test]
    async fn a_body_is_an_object() {
        for body in ["[]", "null", "1", "\"a\"", "true"] {
            let asked = request(Method::POST, Some("application/json"), body);
            let problem = read_json::<Asked>(asked, RequestLimits::default()).await.unwrap_err();
            assert_eq!(
                (problem.status(), problem.detail()),
                (400, "the body is no JSON object"),
                "{body}"
            );
        }
    }

    #[test]
    fn fields_are_read() {
        let asked: Asked = typed(serde_json::json!({"extCps": [{"cpdId": "VDU1_CP1"}]})).unwrap();
        assert_eq!(asked.ext_cps[0].cpd_id, "VDU1_CP1");
    }
}
