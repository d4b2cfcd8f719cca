//! The description of the VNF LCM interface: it is what the code says, it is whole, and it is what a listener serves.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Host, is_up_to_date};
use vimhost_api::vnf_lcm;

/// Whatever a client may ask by.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// The operations of the description by path and method.
fn operations() -> BTreeMap<String, BTreeMap<String, Value>> {
    let description = vnf_lcm::description();
    let paths = description["paths"].as_object().unwrap();
    let of_path = |item: &Value| -> BTreeMap<String, Value> {
        let operations = item.as_object().unwrap().iter();
        operations
            .map(|(method, operation)| (method.to_uppercase(), operation.clone()))
            .collect()
    };
    paths.iter().map(|(path, item)| (path.clone(), of_path(item))).collect()
}

#[test]
fn the_description_is_up_to_date() {
    let description = serde_json::to_string_pretty(&vnf_lcm::description()).unwrap() + "\n";
    is_up_to_date("vnf-lcm-openapi.json", &description, "vnf_lcm");
}

#[test]
fn every_operation_is_described_whole() {
    let description = vnf_lcm::description();
    assert_eq!(description["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, operations) in operations() {
        for (method, operation) in operations {
            let what = format!("{method} {path}");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{what}: id used twice");
            assert!(
                operation["summary"].as_str().is_some_and(|text| text.len() > 10),
                "{what}"
            );
            let responses = operation["responses"].as_object().unwrap();
            let good = responses.keys().any(|status| status.starts_with('2'));
            assert!(good || id == "uploadPackageFromUri", "{what}");
            for refusal in ["400", "403", "500", "503"] {
                assert!(responses.contains_key(refusal), "{what} {refusal}");
            }
            // Which versions there are is told to anybody.
            let needs_token = !path.ends_with("/api_versions");
            assert_eq!(responses.contains_key("401"), needs_token, "{what}");
            for (status, response) in responses {
                if status.starts_with('4') || status.starts_with('5') {
                    let content = &response["content"]["application/problem+json"];
                    let shape = &content["schema"]["$ref"];
                    assert_eq!(shape, "#/components/schemas/ProblemDetails", "{what} {status}");
                }
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let has = |name: &str, place: &str| parameters.iter().any(|p| p["name"] == name && p["in"] == place);
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let name = part.trim_end_matches('}');
                assert!(has(name, "path"), "{what}: {name}");
                assert!(responses.contains_key("404"), "{what}");
            }
            let versioned = path.starts_with("/vnflcm/") && !path.ends_with("/api_versions");
            assert_eq!(has("Version", "header"), versioned, "{what}");
            if let Some(body) = operation.get("requestBody") {
                assert_eq!(body["required"], true, "{what}");
                assert!(responses.contains_key("413") && responses.contains_key("415"), "{what}");
            }
        }
    }
    assert!(ids.len() > 30, "only {} operations", ids.len());
    // Every reference leads somewhere.
    let schemas = description["components"]["schemas"].as_object().unwrap();
    for reference in description.to_string().split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[test]
fn no_secret_is_shown_by_what_is_described_as_an_answer() {
    let description = vnf_lcm::description();
    let subscription = &description["components"]["schemas"]["LccnSubscription"]["properties"];
    assert_eq!(subscription["authentication"], json!(null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_described_is_served_and_no_other_method_of_it() {
    let host = Host::start().await;
    for (path, described) in operations() {
        let concrete: Vec<&str> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "nothing" } else { part })
            .collect();
        let url = format!("{}{}", host.vnf_lcm, concrete.join("/"));
        let version = if path.starts_with("/vnflcm/v1/") {
            "1.3.0"
        } else {
            "2.0.0"
        };
        for method in METHODS {
            let what = format!("{method} {path}");
            let request = host.client.request(method.clone(), &url).header("Version", version);
            let answer = request.timeout(support::PATIENCE).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert!(!text.contains("there is nothing at this path"), "{what}");
            match described.get(method.as_str()) {
                None => assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{what}"),
                Some(operation) => {
                    assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{what}");
                    let responses = operation["responses"].as_object().unwrap();
                    assert!(responses.contains_key(status.as_str()), "{what}: {status} {text}");
                }
            }
        }
    }
}
