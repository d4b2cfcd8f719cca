//! What every request has to fulfil before its handler sees it, in Tacker's order: the path, the method, a body that is JSON, `Accept`,
//! `Version`; and the headers that every answer has.
//!
//! Packages (`/vnfpkgm`) are another interface: no `Version` is asked for there, and bodies are archives that are not read here.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::body::{self, Parsed};
use super::problem::Problem;
use super::versions::{self, V1, V2};
use crate::RequestLimits;

/// Longest body of a request of the LCM interface. It is kept with what it asks for, in one document of the store, for which MongoDB has room
/// for 16 MB.
const LARGEST_BODY: usize = 4 << 20;

const VERSION: HeaderName = HeaderName::from_static("version");

/// The routes by their templates (names of ids left out), and their methods. Every other method is refused, `HEAD`
/// included, which the framework would serve wherever it serves `GET`.
pub(super) const ROUTES: &[(&str, &[&str])] = &[
    ("/vnflcm/api_versions", &["GET"]),
    ("/vnflcm/v1/api_versions", &["GET"]),
    ("/vnflcm/v2/api_versions", &["GET"]),
    ("/vnflcm/v2/vnf_instances", &["GET", "POST"]),
    ("/vnflcm/v2/vnf_instances/{}", &["DELETE", "GET", "PATCH"]),
    ("/vnflcm/v2/vnf_instances/{}/instantiate", &["POST"]),
    ("/vnflcm/v2/vnf_instances/{}/terminate", &["POST"]),
    ("/vnflcm/v2/vnf_instances/{}/scale", &["POST"]),
    ("/vnflcm/v2/vnf_instances/{}/heal", &["POST"]),
    ("/vnflcm/v2/vnf_instances/{}/change_ext_conn", &["POST"]),
    ("/vnflcm/v2/vnf_instances/{}/change_vnfpkg", &["POST"]),
    ("/vnflcm/v2/vnf_lcm_op_occs", &["GET"]),
    ("/vnflcm/v2/vnf_lcm_op_occs/{}", &["GET"]),
    ("/vnflcm/v2/vnf_lcm_op_occs/{}/retry", &["POST"]),
    ("/vnflcm/v2/vnf_lcm_op_occs/{}/rollback", &["POST"]),
    ("/vnflcm/v2/vnf_lcm_op_occs/{}/fail", &["POST"]),
    ("/vnflcm/v1/subscriptions", &["GET", "POST"]),
    ("/vnflcm/v1/subscriptions/{}", &["DELETE", "GET"]),
    ("/vnflcm/v2/subscriptions", &["GET", "POST"]),
    ("/vnflcm/v2/subscriptions/{}", &["DELETE", "GET"]),
    ("/vnfpkgm/v1/vnf_packages", &["GET", "POST"]),
    ("/vnfpkgm/v1/vnf_packages/{}", &["DELETE", "GET", "PATCH"]),
    ("/vnfpkgm/v1/vnf_packages/{}/package_content", &["GET", "PUT"]),
    ("/vnfpkgm/v1/vnf_packages/{}/package_content/upload_from_uri", &["POST"]),
    ("/vnfpkgm/v1/vnf_packages/{}/vnfd", &["GET"]),
    ("/vnfpkgm/v1/vnf_packages/{}/artifacts/{}", &["GET"]),
];

/// Which interface a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interface {
    /// `api_versions`: asked without a version.
    Versions,
    V1,
    V2,
    Packages,
}

impl Interface {
    fn of(path: &str) -> Self {
        if versions::are_at(path) {
            Self::Versions
        } else if path.starts_with("/vnfpkgm/") {
            Self::Packages
        } else if path.starts_with("/vnflcm/v1/") {
            Self::V1
        } else {
            Self::V2
        }
    }
}

/// For paths that no route has.
pub(super) async fn no_such_path() -> Problem {
    Problem::new(404, "there is nothing at this path")
}

/// The middleware that refuses.
pub(super) async fn check(State(limits): State<RequestLimits>, request: Request, next: Next) -> Response {
    match checked(limits, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn checked(limits: RequestLimits, request: Request) -> Result<Request, Problem> {
    let Some(route) = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| template(path.as_str()))
    else {
        // The fallback says so.
        return Ok(request);
    };
    if is_unserved_v1(&route) {
        // Whatever the client says of itself, it is told which version to use.
        return Ok(request);
    }
    let interface = Interface::of(request.uri().path());
    served(&route, request.method())?;
    let mut request = request;
    if interface != Interface::Packages {
        let (mut parts, body) = request.into_parts();
        let bytes = if takes_body(&parts.method) {
            crate::body::read(&parts.headers, body, limits.body.min(LARGEST_BODY)).await?
        } else {
            // A client may announce JSON and send none.
            Bytes::new()
        };
        let parsed = body::parse(&parts.method, &parts.headers, &bytes)?;
        if let Some(value) = parsed {
            parts.extensions.insert(Parsed(Arc::new(value)));
        }
        request = Request::from_parts(parts, axum::body::Body::from(bytes));
        accept(request.headers())?;
    }
    version(interface, request.headers())?;
    Ok(request)
}

/// The rest of version 1, where a handler says what is served instead.
fn is_unserved_v1(route: &str) -> bool {
    let served = |known: &str| route == known;
    route.starts_with("/vnflcm/v1/")
        && !served("/vnflcm/v1/api_versions")
        && !served("/vnflcm/v1/subscriptions")
        && !served("/vnflcm/v1/subscriptions/{}")
}

fn takes_body(method: &Method) -> bool {
    [Method::POST, Method::PATCH, Method::PUT].contains(method)
}

/// A template without the names of its ids.
pub(super) fn template(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect();
    parts.join("/")
}

/// Refuses methods that a route does not serve. Of routes that are not in the table the framework knows the methods, all but `HEAD`.
fn served(route: &str, method: &Method) -> Result<(), Problem> {
    let known = ROUTES
        .iter()
        .find(|(path, _)| *path == route)
        .map(|(_, methods)| *methods);
    let good = match known {
        Some(methods) => methods.contains(&method.as_str()),
        None => method != Method::HEAD,
    };
    if good {
        return Ok(());
    }
    let problem = Problem::new(405, format!("this path does not serve {method}"));
    Err(match known.map(|methods| HeaderValue::from_str(&methods.join(", "))) {
        Some(Ok(allowed)) => problem.with_header(header::ALLOW, allowed),
        Some(Err(_)) | None => problem,
    })
}

/// `Accept` has to admit JSON.
fn accept(headers: &HeaderMap) -> Result<(), Problem> {
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    if given.peek().is_none() {
        return Ok(());
    }
    let admitted = given.filter_map(|value| value.to_str().ok()).any(admits_json);
    if admitted {
        Ok(())
    } else {
        Err(Problem::new(
            406,
            "answers are 'application/json', which 'Accept' does not admit",
        ))
    }
}

fn admits_json(accept: &str) -> bool {
    accept.trim().is_empty()
        || accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            matches!(kind.as_str(), "*/*" | "application/*" | "application/json") && !refused
        })
}

/// `Version` has to name what is served.
fn version(interface: Interface, headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(VERSION).map(|value| value.to_str().unwrap_or_default());
    let (required, served): (bool, fn(&str) -> bool) = match interface {
        Interface::Versions | Interface::Packages => return Ok(()),
        // Any minor version of the first: what its clients say changed with the years, and some say nothing.
        Interface::V1 => (false, |version| version.starts_with("1.")),
        Interface::V2 => (true, |version| version == V2),
    };
    let Some(given) = given else {
        return if required {
            Err(Problem::new(400, "the header 'Version' is missing; it is '2.0.0'"))
        } else {
            Ok(())
        };
    };
    let version = given.split("-impl:").next().unwrap_or_default().trim();
    if !is_version(version) {
        return Err(Problem::new(400, "the header 'Version' is not of the form '2.0.0'"));
    }
    if !served(version) {
        let only = if interface == Interface::V1 { V1 } else { V2 };
        return Err(Problem::new(406, format!("this version is not served; '{only}' is")));
    }
    Ok(())
}

/// `M.m.p`
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number)
}

/// The middleware that gives every answer its headers, refusals included, whoever made them.
pub(super) async fn of_answers(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let lcm = path.starts_with("/vnflcm");
    let version = if path.starts_with("/vnflcm/v1/") { V1 } else { V2 };
    let mut response = next.run(request).await;
    if lcm {
        let headers = response.headers_mut();
        headers.insert(VERSION, HeaderValue::from_static(version));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("none"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: HeaderName, value: Option<&'static str>) -> HeaderMap {
        let value = value.map(|value| (name, HeaderValue::from_static(value)));
        value.into_iter().collect()
    }

    fn status(result: Result<(), Problem>) -> u16 {
        result.map_or_else(|problem| problem.status(), |()| 200)
    }

    #[test]
    fn a_version_is_asked_for_where_the_standard_does() {
        for (given, v2, v1) in [
            (None, 400, 200),
            (Some("2.0.0"), 200, 406),
            (Some("2.0.0-impl:acme:prod:1"), 200, 406),
            (Some("1.3.0"), 406, 200),
            (Some("2.1.0"), 406, 406),
            (Some("2"), 400, 400),
            (Some("2.0.0.0"), 400, 400),
            (Some("2.0.x"), 400, 400),
            (Some(""), 400, 400),
        ] {
            let headers = asked(VERSION, given);
            assert_eq!(status(version(Interface::V2, &headers)), v2, "{given:?}");
            assert_eq!(status(version(Interface::V1, &headers)), v1, "{given:?}");
            assert_eq!(status(version(Interface::Versions, &headers)), 200);
            assert_eq!(status(version(Interface::Packages, &headers)), 200);
        }
    }

    #[test]
    fn accept_has_to_admit_json() {
        for (given, expected) in [
            (None, 200),
            (Some("*/*"), 200),
            (Some("application/json"), 200),
            (Some("application/*;q=0.1"), 200),
            (Some("text/html, application/json;q=0.5"), 200),
            (Some("application/xml"), 406),
            (Some("application/json;q=0"), 406),
            (Some("text/*"), 406),
        ] {
            assert_eq!(status(accept(&asked(header::ACCEPT, given))), expected, "{given:?}");
        }
    }

    #[test]
    fn every_method_that_a_route_does_not_have_is_refused() {
        for (route, methods) in ROUTES {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let method: Method = method.parse().unwrap();
                let expected = if methods.contains(&method.as_str()) { 200 } else { 405 };
                assert_eq!(status(served(route, &method)), expected, "{method} {route}");
            }
        }
        assert_eq!(status(served("/vnfpkgm/v1/vnf_packages", &Method::HEAD)), 405);
        assert_eq!(template("/a/{vnf_instance_id}/b"), "/a/{}/b");
    }

    #[test]
    fn a_path_belongs_to_one_interface() {
        assert_eq!(Interface::of("/vnflcm/api_versions"), Interface::Versions);
        assert_eq!(Interface::of("/vnflcm/v2/vnf_instances/x"), Interface::V2);
        assert_eq!(Interface::of("/vnflcm/v1/subscriptions"), Interface::V1);
        assert_eq!(Interface::of("/vnfpkgm/v1/vnf_packages"), Interface::Packages);
        assert_eq!(Interface::of("/vnflcm/v2/api_versions"), Interface::Versions);
        // What only ends like that is what it is.
        assert_eq!(Interface::of("/vnflcm/v2/vnf_instances/api_versions"), Interface::V2);
        assert_eq!(Interface::of("/vnflcm/v1/subscriptions/api_versions"), Interface::V1);
        let file = "/vnfpkgm/v1/vnf_packages/p/artifacts/api_versions";
        assert_eq!(Interface::of(file), Interface::Packages);
    }
}
