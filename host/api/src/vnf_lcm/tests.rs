use super::*;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::problem::Problem;

/// Routes of the interface with handlers that have nothing behind them.
fn served() -> Router {
    let routes = Router::new()
        .route("/vnflcm/api_versions", get(|| async { "{}" }))
        .route(
            "/vnflcm/v2/vnf_instances",
            get(|| async { "[]" }).post(|request: Request| async move {
                let value: Value = body::read_json(request, RequestLimits::default()).await?;
                Ok::<Response, Problem>(answer::created("http://h/1".to_owned(), &value))
            }),
        )
        .route(
            "/vnflcm/v2/vnf_instances/{id}",
            get(|| async { Problem::titled(404, "Gone", "it is not there") })
                .delete(|| async { answer::empty(StatusCode::NO_CONTENT) }),
        )
        .route(
            "/vnflcm/v2/vnf_lcm_op_occs/{id}/retry",
            post(|| async { answer::empty(StatusCode::ACCEPTED) }),
        )
        .route(
            "/vnflcm/v2/vnf_lcm_op_occs",
            get(|| async { panic!("canary") as &'static str }),
        )
        .route("/vnfpkgm/v1/vnf_packages", get(|| async { "[]" }));
    wrapped(
        routes,
        RequestLimits::default(),
        Arc::new(keystone::Gate::new(Authentication::None)),
    )
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

async fn ask(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let request = builder.body(Body::from(body.to_owned())).unwrap();
    let response = crate::serve::call(served(), request).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status, headers, text }
}

const VERSION: (&str, &str) = ("version", "2.0.0");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn the_body_is_looked_at_before_accept_and_accept_before_the_version() {
    let path = "/vnflcm/v2/vnf_instances";
    let xml = ("accept", "application/xml");
    for (headers, text, status) in [
        (&[("content-type", "text/html"), xml][..], "{", 415),
        (&[JSON, xml], "{", 400),
        (&[JSON, xml], "{}", 406),
        (&[JSON], "{}", 400),
        (&[JSON, ("version", "2")], "{}", 400),
        (&[JSON, ("version", "1.3.0")], "{}", 406),
        (&[JSON, VERSION], "{}", 201),
        (&[VERSION], "", 400),
    ] {
        let answer = ask(Method::POST, path, headers, text).await;
        assert_eq!(answer.status, status, "{headers:?} {text} {}", answer.text);
    }
}

#[tokio::test]
async fn a_body_that_no_operation_needs_is_too_large() {
    let text = format!("\"{}\"", "x".repeat(4 << 20));
    let answer = ask(Method::POST, "/vnflcm/v2/vnf_instances", &[JSON, VERSION], &text).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
}

#[tokio::test]
async fn every_answer_says_its_version_and_every_refusal_is_a_problem() {
    for (method, path, headers, status) in [
        (Method::GET, "/vnflcm/api_versions", &[][..], 200),
        (Method::GET, "/vnflcm/v2/vnf_instances", &[VERSION][..], 200),
        (Method::GET, "/vnflcm/v2/vnf_instances", &[], 400),
        (Method::PUT, "/vnflcm/v2/vnf_instances", &[], 405),
        (Method::DELETE, "/vnflcm/v2/vnf_instances/1", &[VERSION, JSON], 204),
        (Method::GET, "/vnflcm/v2/vnf_instances/1", &[VERSION], 404),
        (Method::GET, "/vnflcm/v2/nothing", &[], 404),
        (Method::GET, "/vnflcm/v2/vnf_lcm_op_occs", &[VERSION], 500),
        (Method::POST, "/vnflcm/v2/vnf_lcm_op_occs/1/retry", &[VERSION], 202),
    ] {
        let answer = ask(method, path, headers, "").await;
        assert_eq!(answer.status, status, "{path} {}", answer.text);
        assert_eq!(answer.headers["version"], "2.0.0", "{path}");
        assert_eq!(answer.headers[header::ACCEPT_RANGES], "none", "{path}");
        if status >= 400 {
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
            let problem: Value = serde_json::from_str(&answer.text).unwrap();
            assert_eq!(problem["status"], status, "{path}");
            assert!(
                problem["detail"].is_string() && !answer.text.contains("canary"),
                "{path}"
            );
        }
        if matches!(status, 202 | 204) {
            assert_eq!(answer.text, "");
        }
    }
}

#[tokio::test]
async fn a_head_is_a_wrong_method_and_says_which_are_right() {
    let answer = ask(Method::HEAD, "/vnflcm/v2/vnf_instances", &[VERSION], "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers[header::ALLOW], "GET, POST");
    assert_eq!(
        ask(Method::HEAD, "/vnflcm/v2/nothing", &[VERSION], "").await.status,
        404
    );
}

#[tokio::test]
async fn packages_need_no_version_and_have_none() {
    let answer = ask(Method::GET, "/vnfpkgm/v1/vnf_packages", &[], "").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("version"));
}

#[tokio::test]
async fn a_title_of_its_own_is_shown() {
    let answer = ask(Method::GET, "/vnflcm/v2/vnf_instances/1", &[VERSION], "").await;
    let problem: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(
        problem,
        json!({"title": "Gone", "status": 404, "detail": "it is not there"})
    );
}
