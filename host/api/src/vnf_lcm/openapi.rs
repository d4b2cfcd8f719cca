//! The description of the interface (OpenAPI 3.1): what handlers and types say of themselves, completed by what holds for every request and by
//! the shapes that have no type ([`shapes`](super::shapes)).
//!
//! Every status that a request can be answered with is named: there is no `default`, so a test that compares answers with the description
//! notices one that nobody thought of.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::listing::{Kind, OWN};
use super::selector::Attributes;
use super::shapes;
use super::table::{self, Endpoint};
use super::versions::{self, V1, V2};

type Object = Map<String, Value>;

const ABOUT: &str = "ETSI NFV-SOL003 VNF lifecycle management, version 2, and VNF packages, as OpenStack Tacker serves them; of version 1 its \
subscriptions. A VNF instance is one stack.\n\n\
Bodies are JSON; `text/plain` is read as JSON too. Refusals are problem details with `status` and `detail`. A request for work is answered \
with 202, the occurrence in `Location` and no body. Attributes that are not described are accepted everywhere.";

/// The document as it is committed.
#[must_use]
pub fn description() -> Value {
    // Writing texts and numbers to memory does not fail.
    let mut document = serde_json::to_value(table::described()).unwrap_or_default();
    if let Some(document) = document.as_object_mut() {
        describe_whole(document);
    }
    document
}

fn describe_whole(document: &mut Object) {
    let license = json!({"name": "Apache-2.0", "identifier": "Apache-2.0"});
    let info = json!({"title": "vimhost VNF LCM interface", "version": V2, "description": ABOUT, "license": license});
    document.insert("info".to_owned(), info);
    let server =
        json!({"url": "http://127.0.0.1:9890", "description": "Where a host listens unless it is told otherwise"});
    document.insert("servers".to_owned(), json!([server]));
    document.insert("security".to_owned(), json!([{}, {"keystone": []}]));
    if let Some(components) = object(document, "components") {
        complete_components(components);
    }
    let Some(paths) = object(document, "paths") else { return };
    for endpoint in table::endpoints() {
        let method = endpoint.method.to_ascii_lowercase();
        let operation = object(paths, &endpoint.path).and_then(|item| object(item, &method));
        if let Some(operation) = operation {
            complete(operation, &endpoint);
        }
    }
}

/// An object in another one.
fn object<'a>(within: &'a mut Object, name: &str) -> Option<&'a mut Object> {
    within.get_mut(name)?.as_object_mut()
}

fn complete_components(components: &mut Object) {
    if let Some(schemas) = object(components, "schemas") {
        let listed = [
            ("VnfInstance", Kind::Instances, shapes::links_of_instance()),
            ("VnfLcmOpOcc", Kind::OpOccs, shapes::links_of_op_occ()),
        ];
        for (name, kind, links) in listed {
            let Some(whole) = object(schemas, name) else { continue };
            show(whole, links);
            let entry = entry_of(whole, kind.attributes().mandatory);
            schemas.insert(format!("{name}List"), json!({"type": "array", "items": entry}));
        }
        for (name, shape) in shapes::all() {
            schemas.insert(name.to_owned(), shape);
        }
        // Kept as they came, and so of no type; what may come is checked by `limits`.
        let protocol = object(schemas, "ExtCpProtocolInfo").and_then(|protocol| object(protocol, "properties"));
        if let Some(properties) = protocol {
            properties.extend(shapes::protocol());
        }
    }
    let keystone = json!({
        "type": "apiKey", "in": "header", "name": "X-Auth-Token",
        "description": "A token of Keystone. A host that listens on loopback asks for none, unless it is told to.",
    });
    components.insert("securitySchemes".to_owned(), json!({"keystone": keystone}));
}

/// Makes of a thing as it is kept the thing as it is shown: with its links, without what is vimhost's own.
fn show(whole: &mut Object, links: Value) {
    if let Some(properties) = object(whole, "properties") {
        properties.remove(OWN);
        properties.insert("_links".to_owned(), links);
    }
    if let Some(required) = whole.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str() != Some(OWN));
        required.push(Value::from("_links"));
    }
}

/// An entry of a list: of what is not mandatory a selector leaves what it wants.
fn entry_of(whole: &Object, mandatory: &[&str]) -> Value {
    let properties = whole.get("properties").and_then(Value::as_object);
    let properties: Object = properties
        .into_iter()
        .flatten()
        .filter(|(name, _)| mandatory.contains(&name.as_str()) || name.as_str() == "_links")
        .map(|(name, property)| (name.clone(), property.clone()))
        .collect();
    let required: Vec<&str> = mandatory.iter().copied().chain(["_links"]).collect();
    json!({
        "type": "object", "required": required, "properties": properties,
        "description": "What is always shown; the other attributes as the selector says, in whole or in part.",
    })
}

/// Adds to an operation its headers and queries, an example of its body, and the refusals that it can lead to.
fn complete(operation: &mut Object, endpoint: &Endpoint) {
    let mut parameters: Vec<Value> = version_of(&endpoint.path).into_iter().collect();
    parameters.extend(query_of(&endpoint.operation));
    if !parameters.is_empty() {
        let known = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(known) = known.as_array_mut() {
            known.extend(parameters);
        }
    }
    let has_body = operation.contains_key("requestBody");
    if let Some(body) = object(operation, "requestBody") {
        body.insert("required".to_owned(), Value::Bool(true));
        if let Some(example) = shapes::example(&endpoint.operation)
            && let Some(contents) = object(body, "content")
        {
            for content in contents.values_mut().filter_map(Value::as_object_mut) {
                content.insert("example".to_owned(), example.clone());
            }
        }
    }
    let Some(responses) = object(operation, "responses") else {
        return;
    };
    for status in refusals(endpoint, has_body) {
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}});
        let refusal = || json!({"description": about(status), "content": content});
        responses.entry(status.to_string()).or_insert_with(refusal);
    }
}

/// The header that names a version, where one is looked at.
fn version_of(path: &str) -> Option<Value> {
    if path.ends_with("/api_versions") {
        return None;
    }
    let (required, schema) = if path.starts_with("/vnflcm/v2/") {
        (true, json!({"type": "string", "enum": [V2]}))
    } else if path.starts_with("/vnflcm/v1/") {
        let minor = json!({"type": "string", "pattern": r"^1\.[0-9]{1,9}\.[0-9]{1,9}$", "example": V1});
        (false, minor)
    } else {
        return None;
    };
    let about = "Version of the interface; what follows `-impl:` is not looked at";
    Some(json!({"name": "Version", "in": "header", "required": required, "description": about, "schema": schema}))
}

/// What may be asked of a list.
fn query_of(operation: &str) -> Vec<Value> {
    let (attributes, example, pages) = match operation {
        "listInstances" => (
            Some(Kind::Instances.attributes()),
            "(eq,instantiationState,NOT_INSTANTIATED)",
            true,
        ),
        "listOpOccs" => (
            Some(Kind::OpOccs.attributes()),
            "(in,operationState,FAILED_TEMP,PROCESSING)",
            true,
        ),
        "listPackages" => (
            Some(crate::vnf_packages::ATTRIBUTES),
            "(eq,onboardingState,ONBOARDED);(neq,usageState,IN_USE)",
            false,
        ),
        "listSubscriptions" | "listSubscriptionsV1" => (None, "(cont,callbackUri,nfvo.example)", true),
        _ => return Vec::new(),
    };
    let filter = json!({"type": "string", "pattern": FILTER, "example": example});
    let mut query = vec![parameter(
        "filter",
        "Conditions that all have to hold (SOL013 5.2)",
        filter,
    )];
    if let Some(attributes) = attributes {
        let names = json!({"type": "string", "pattern": names(&attributes)});
        let flag = json!({"type": "string", "maxLength": 0});
        query.extend([
            parameter("all_fields", "Everything of each; stands alone", flag.clone()),
            parameter("fields", "What is mandatory, and these", names.clone()),
            parameter("exclude_fields", "Everything but these", names),
            parameter("exclude_default", "Also all that is shown by default", flag),
        ]);
    }
    if pages {
        let marker = json!({"type": "string", "format": "uuid"});
        query.push(parameter(
            "nextpage_opaque_marker",
            "Where the page starts: of a `Link`",
            marker,
        ));
    }
    query
}

fn parameter(name: &str, about: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": about, "schema": schema})
}

/// A filter: operator, attribute, values; a value with a comma, a parenthesis or a quote in it stands in quotes.
const FILTER: &str = "^\\((eq|neq|gt|gte|lt|lte|in|nin|cont|ncont),[^,)]+(,([^,)']+|'([^']|'')*'))+\\)\
(;\\((eq|neq|gt|gte|lt|lte|in|nin|cont|ncont),[^,)]+(,([^,)']+|'([^']|'')*'))+\\))*$";

/// A list of paths into the attributes of a thing.
fn names(attributes: &Attributes) -> String {
    let names = [attributes.mandatory, attributes.optional, attributes.excluded].concat();
    let path = format!("({})(/([^,/@~]|~[01ab])+)*", names.join("|"));
    format!("^{path}(,{path})*$")
}

/// The statuses that an operation refuses with.
fn refusals(endpoint: &Endpoint, has_body: bool) -> BTreeSet<u16> {
    let of_lcm = endpoint.path.starts_with("/vnflcm/");
    let mut found = BTreeSet::from([400, 403, 500, 503]);
    if !versions::are_at(&endpoint.path) {
        found.insert(401);
    }
    if of_lcm {
        found.insert(406);
    }
    if endpoint.path.contains('{') {
        found.insert(404);
    }
    // Of the LCM interface a body is read where a method has one, whether it is wanted or not.
    if has_body || (of_lcm && endpoint.method == "POST") {
        found.extend([413, 415]);
    }
    found.extend(endpoint.refusals);
    found
}

/// Why a request is refused with a status.
fn about(status: u16) -> &'static str {
    match status {
        400 => "The request is not understood; `detail` names the field that is wrong",
        401 => "A token is needed, or Keystone does not know it",
        403 => "Whoever asks may not",
        404 => "There is no such thing",
        406 => "The answer is not to be had in the form or the version that is asked for",
        408 => "The body did not come in time",
        409 => "Another operation or the state of the thing stands in the way",
        413 => "The body is too large",
        415 => "The body is of a type that is not read",
        416 => "There is no such part of it",
        422 => "The request cannot be carried out as things are",
        503 => "Not now: the store, Keystone or time is short",
        _ => "A fault of the host; its log has the cause",
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use vimhost_model::vnf::{
        ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, CreateVnfRequest, HealVnfRequest,
        InstantiateVnfRequest, ScaleVnfRequest, TerminateVnfRequest, VnfInfoModificationRequest,
    };
    use vimhost_notify::LccnSubscriptionRequest;

    use super::*;
    use crate::vnf_lcm::body::typed;
    use crate::vnf_lcm::filter::Filter;
    use crate::vnf_lcm::limits::Bounded;
    use crate::vnf_lcm::selector::Selector;

    #[track_caller]
    fn is_taken<T: DeserializeOwned + Bounded>(operation: &str) {
        let request: T = typed(shapes::example(operation).unwrap()).unwrap();
        assert!(request.check().is_ok(), "{operation}");
    }

    #[test]
    fn what_is_given_as_an_example_is_taken() {
        is_taken::<CreateVnfRequest>("createInstance");
        is_taken::<VnfInfoModificationRequest>("modifyInstance");
        is_taken::<InstantiateVnfRequest>("instantiate");
        is_taken::<TerminateVnfRequest>("terminate");
        is_taken::<ScaleVnfRequest>("scale");
        is_taken::<HealVnfRequest>("heal");
        is_taken::<ChangeExtVnfConnectivityRequest>("changeExtConn");
        is_taken::<ChangeCurrentVnfPkgRequest>("changeVnfPkg");
        for operation in ["createSubscription", "createSubscriptionV1"] {
            let request: LccnSubscriptionRequest = typed(shapes::example(operation).unwrap()).unwrap();
            assert!(request.filter.is_some(), "{operation}");
        }
    }

    #[test]
    fn every_body_of_json_has_an_example() {
        let document = description();
        for endpoint in table::endpoints() {
            let method = endpoint.method.to_ascii_lowercase();
            let operation = &document["paths"][&endpoint.path][&method];
            assert_eq!(operation["operationId"], endpoint.operation.as_str());
            for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                let is_json = kind.ends_with("json");
                assert_eq!(content["example"].is_object(), is_json, "{} {kind}", endpoint.operation);
            }
        }
    }

    #[test]
    fn what_is_shown_is_described_without_what_is_kept_beside_it() {
        let document = description();
        let schemas = &document["components"]["schemas"];
        for name in ["VnfInstance", "VnfLcmOpOcc"] {
            let shape = &schemas[name];
            assert!(
                shape["properties"][OWN].is_null() && shape["properties"]["_links"].is_object(),
                "{name}"
            );
            let required = shape["required"].as_array().unwrap();
            assert!(
                required.contains(&json!("id")) && required.contains(&json!("_links")),
                "{name}"
            );
            assert!(!required.contains(&json!(OWN)), "{name}");
            let entry = &schemas[format!("{name}List")]["items"];
            for name in entry["required"].as_array().unwrap() {
                assert!(entry["properties"][name.as_str().unwrap()].is_object(), "{name}");
            }
        }
    }

    #[test]
    fn the_examples_of_queries_are_understood() {
        for operation in ["listInstances", "listOpOccs", "listPackages", "listSubscriptions"] {
            let query = query_of(operation);
            let example = query[0]["schema"]["example"].as_str().unwrap();
            assert!(Filter::parse(example).is_ok(), "{example}");
        }
        assert!(query_of("showInstance").is_empty());
        let attributes = Kind::Instances.attributes();
        let asked = [("fields".to_owned(), "id,instantiatedVnfInfo/vnfcInfo".to_owned())];
        assert!(Selector::of(&asked, &attributes).is_ok());
        assert!(names(&attributes).starts_with("^(id|vnfdId|"));
    }
}
