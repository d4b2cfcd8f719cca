//! Answers in the form the client accepts: YAML unless it says JSON or HTML.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::exchange::RequestId;
use crate::failure::Failure;
use crate::yaml;

/// Form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Html,
    Yaml,
    /// Nothing we have. A success is written as YAML all the same; an error becomes 406.
    Unacceptable,
}

impl Format {
    /// NG-RO looks for words in the header; weights do not count.
    pub(super) fn of_accept(accept: Option<&str>) -> Self {
        let Some(accept) = accept else { return Self::Yaml };
        if accept.contains("application/json") {
            Self::Json
        } else if accept.contains("text/html") {
            Self::Html
        } else if ["application/yaml", "*/*", "text/plain"]
            .iter()
            .any(|word| accept.contains(word))
        {
            Self::Yaml
        } else {
            Self::Unacceptable
        }
    }

    fn of(headers: &HeaderMap) -> Self {
        // A header that is no text names nothing we have.
        Self::of_accept(
            headers
                .get(header::ACCEPT)
                .map(|accept| accept.to_str().unwrap_or_default()),
        )
    }
}

/// 200 with a value.
pub(super) fn success(value: &Value, asked: &HeaderMap) -> Response {
    written(StatusCode::OK, Format::of(asked), value)
}

/// A refusal: `code`, `status` and `detail`.
pub(super) fn refusal(failure: &Failure, asked: &HeaderMap, id: &RequestId) -> Response {
    let format = Format::of(asked);
    let (status, detail) = match format {
        Format::Unacceptable => {
            let detail =
                "Only 'Accept' of type 'application/json' or 'application/yaml' for output format are available";
            (StatusCode::NOT_ACCEPTABLE, detail.to_owned())
        }
        Format::Json | Format::Html | Format::Yaml if failure.cause.is_some() => {
            (failure.status, format!("{} {}", failure.detail, id.as_str()))
        }
        Format::Json | Format::Html | Format::Yaml => (failure.status, failure.detail.clone()),
    };
    written(
        status,
        format,
        &json!({"code": name(status), "status": status.as_u16(), "detail": detail}),
    )
}

/// The name of a status in upper snake case, as Python's `HTTPStatus` has it.
fn name(status: StatusCode) -> String {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return "REQUEST_ENTITY_TOO_LARGE".to_owned();
    }
    let reason = status.canonical_reason().unwrap_or("UNKNOWN");
    reason.to_ascii_uppercase().replace([' ', '-'], "_")
}

fn written(status: StatusCode, format: Format, value: &Value) -> Response {
    let (content_type, text) = match format {
        Format::Json => ("application/json; charset=utf-8", json_text(value)),
        Format::Html => ("text/html; charset=utf-8", html(value)),
        Format::Yaml | Format::Unacceptable => ("application/yaml", yaml::write(value)),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if format == Format::Html {
        // The page shows text of VIMs and clients: whatever slipped through the escaping runs nothing.
        let policy = HeaderValue::from_static("default-src 'none'");
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Four blanks and a final line break, as Python's `json.dumps(…, indent=4)` with a line break.
fn json_text(value: &Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Writing a value of strings and numbers to memory does not fail.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    out.push(b'\n');
    String::from_utf8_lossy(&out).into_owned()
}

fn html(value: &Value) -> String {
    let mut text =
        String::from("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>vimhost</title></head><body><pre>\n");
    for c in yaml::write(value).chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c => text.push(c),
        }
    }
    text.push_str("</pre></body></html>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_chooses_the_form() {
        for (accept, format) in [
            (None, Format::Yaml),
            (Some("application/yaml"), Format::Yaml),
            (Some("*/*"), Format::Yaml),
            (Some("text/plain"), Format::Yaml),
            (Some("application/json, text/html"), Format::Json),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Html),
            (Some("application/xml"), Format::Unacceptable),
        ] {
            assert_eq!(Format::of_accept(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn forms_are_those_of_ng_ro() {
        let value = json!({"b": [1], "a": "<script>'x'&\"</script>"});
        assert_eq!(
            json_text(&value),
            "{\n    \"a\": \"<script>'x'&\\\"</script>\",\n    \"b\": [\n        1\n    ]\n}\n"
        );
        assert!(!html(&value).contains("<script>"));
        assert_eq!(name(StatusCode::UNPROCESSABLE_ENTITY), "UNPROCESSABLE_ENTITY");
        assert_eq!(name(StatusCode::METHOD_NOT_ALLOWED), "METHOD_NOT_ALLOWED");
    }

    /// LCM takes the bytes' Python representation, splits it at blanks, takes the first word with a point, cuts it at a dash and
    /// compares its parts as texts padded with zeros to eight characters.
    #[test]
    fn the_version_passes_lcms_probe() {
        let text = yaml::write(&json!({"date": crate::ng_ro::DIALECT_DATE, "version": crate::ng_ro::DIALECT_VERSION}));
        assert_eq!(text, "---\ndate: '2020-06-29'\nversion: 13.0.0\n");
        let python = format!("b\"{}\"", text.replace('\n', "\\n"));
        let word = python.split(' ').find(|word| word.contains('.')).unwrap();
        let version = word.split('-').next().unwrap();
        let padded = |text: &str| text.split('.').map(|part| format!("{part:0>8}")).collect::<Vec<_>>();
        assert!(padded(version) >= padded("6.0.2"), "{version}");
        assert!(version.split('.').count() >= 3);
    }
}
