//! Shapes of the description that have no type: what is written without one, and examples of bodies.

use serde_json::{Map, Value, json};

use super::limits::{IP_CHOICES, IP_TYPES, LAYER_PROTOCOL};
use super::links::{self, Links};

/// All but those of [`links_of_instance`] and [`links_of_op_occ`], which stand where they are used.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("Link", link()),
        ("ApiVersionInformation", versions()),
        ("IpAddresses", ip_addresses()),
        ("LccnSubscription", subscription()),
        ("LccnSubscriptionList", list_of("LccnSubscription")),
        ("VnfPkgInfo", package()),
        ("VnfPkgInfoList", json!({"type": "array", "items": package_entry()})),
        ("Archive", archive()),
        ("Artifact", artifact()),
    ]
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn list_of(name: &str) -> Value {
    json!({"type": "array", "items": reference(name)})
}

fn link() -> Value {
    json!({
        "type": "object", "description": "Where something is.", "required": ["href"],
        "properties": {"href": {"type": "string"}},
    })
}

/// Links by name, of which some are always there.
fn links_named<'a>(names: impl IntoIterator<Item = &'a str>, always: &[&str]) -> Value {
    let links: Map<String, Value> = names
        .into_iter()
        .map(|name| (name.to_owned(), reference("Link")))
        .collect();
    json!({"type": "object", "description": "What may be asked for next.", "required": always, "properties": links})
}

/// The names of links as they are written.
fn names_of(links: &Links) -> Vec<String> {
    // Writing texts to memory does not fail.
    let written = serde_json::to_value(links).unwrap_or_default();
    written.as_object().into_iter().flat_map(Map::keys).cloned().collect()
}

pub(super) fn links_of_instance() -> Value {
    let mut names = names_of(&links::of_instance("", "", false));
    names.extend(names_of(&links::of_instance("", "", true)));
    links_named(names.iter().map(String::as_str), &["self"])
}

pub(super) fn links_of_op_occ() -> Value {
    let names = names_of(&links::of_op_occ("", "", ""));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    links_named(names.iter().copied(), &names)
}

fn versions() -> Value {
    let version = json!({
        "type": "object", "required": ["version", "isDeprecated"],
        "properties": {"version": {"type": "string"}, "isDeprecated": {"type": "boolean"}},
    });
    json!({
        "type": "object", "description": "Versions of the interface.", "required": ["uriPrefix", "apiVersions"],
        "properties": {"uriPrefix": {"type": "string"}, "apiVersions": {"type": "array", "items": version}},
    })
}

/// Attributes of a connection point's protocol.
pub(super) fn protocol() -> Vec<(String, Value)> {
    let addresses = json!({
        "type": ["object", "null"], "description": "Addresses.",
        "properties": {
            "macAddress": {"type": "string", "minLength": 1, "maxLength": 255},
            "segmentationId": {"description": "Of the network."},
            "ipAddresses": {"type": "array", "items": reference("IpAddresses")},
        },
    });
    vec![
        (
            "layerProtocol".to_owned(),
            json!({"type": "string", "enum": [LAYER_PROTOCOL]}),
        ),
        ("ipOverEthernet".to_owned(), addresses),
    ]
}

fn ip_addresses() -> Value {
    let address = || json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]});
    let ways: Vec<Value> = IP_CHOICES.iter().map(|name| json!({"required": [name]})).collect();
    json!({
        "type": "object", "description": "Addresses of one kind, said in exactly one of three ways.",
        "required": ["type"], "oneOf": ways,
        "properties": {
            "type": {"type": "string", "enum": IP_TYPES},
            "fixedAddresses": {"type": "array", "minItems": 1, "items": address()},
            "numDynamicAddresses": {"type": "integer", "minimum": 1},
            "addressRange": {
                "type": "object", "required": ["min", "max"], "properties": {"min": address(), "max": address()},
            },
            "subnetId": {"type": "string", "minLength": 1, "maxLength": 255},
        },
    })
}

fn subscription() -> Value {
    json!({
        "type": "object", "description": "A subscription; its credentials are never shown.",
        "required": ["id", "callbackUri", "_links"],
        "properties": {
            "id": reference("SubscriptionId"),
            "filter": reference("LifecycleChangeFilter"),
            "callbackUri": {"type": "string"},
            "verbosity": {"$ref": "#/components/schemas/Verbosity", "description": "Not in version 1."},
            "_links": links_named(["self"], &["self"]),
        },
    })
}

fn checksum() -> Value {
    json!({
        "type": "object", "required": ["algorithm", "hash"],
        "properties": {"algorithm": {"type": ["string", "null"]}, "hash": {"type": "string"}},
    })
}

/// Attributes of a package that are always there.
fn package_states() -> Map<String, Value> {
    [
        ("id", reference("VnfPkgId")),
        ("onboardingState", reference("PackageOnboardingState")),
        ("operationalState", reference("PackageOperationalState")),
        ("usageState", reference("PackageUsageState")),
        (
            "_links",
            links_named(["self", "packageContent", "vnfd"], &["self", "packageContent"]),
        ),
    ]
    .into_iter()
    .map(|(name, shape)| (name.to_owned(), shape))
    .collect()
}

fn package() -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer", "minimum": 0});
    let image = json!({
        "type": "object", "description": "An image of a VM.", "required": ["id", "name", "provider", "version", "createdAt"],
        "properties": {
            "id": text(), "name": text(), "provider": text(), "version": text(), "checksum": checksum(), "containerFormat": text(),
            "diskFormat": text(), "createdAt": {"type": "string", "format": "date-time"}, "minDisk": number(), "size": number(),
            "imagePath": text(),
        },
    });
    let file = json!({
        "type": "object", "description": "Another file.", "required": ["artifactPath", "checksum"],
        "properties": {"artifactPath": text(), "checksum": checksum(), "metadata": {"type": "object"}},
    });
    let mut properties = package_states();
    for (name, shape) in [
        ("vnfdId", reference("VnfdId")),
        ("vnfProvider", text()),
        ("vnfProductName", text()),
        ("vnfSoftwareVersion", text()),
        ("vnfdVersion", text()),
        ("vnfmInfo", json!({"type": "array", "items": text()})),
        ("softwareImages", json!({"type": "array", "items": image})),
        ("additionalArtifacts", json!({"type": "array", "items": file})),
        ("checksum", checksum()),
        ("userDefinedData", json!({"type": "object"})),
        ("onboardingFailureDetails", reference("ProblemDetails")),
    ] {
        properties.insert(name.to_owned(), shape);
    }
    json!({
        "type": "object", "description": "A VNF package. What it describes is there once it is ONBOARDED.",
        "required": crate::vnf_packages::ATTRIBUTES.mandatory, "properties": properties,
    })
}

fn package_entry() -> Value {
    json!({
        "type": "object", "required": crate::vnf_packages::ATTRIBUTES.mandatory, "properties": package_states(),
        "description": "What is always shown; the other attributes as the selector says, in whole or in part.",
    })
}

fn archive() -> Value {
    json!({
        "type": "string", "format": "binary", "contentMediaType": "application/zip",
        "description": "A zip archive of SOL004, at most 64 MiB.",
    })
}

fn artifact() -> Value {
    json!({"type": "string", "format": "binary", "description": "A file of a package."})
}

/// A body that an operation takes. The names are those of the sample package that docs/vnf-lcm.md is about.
pub(super) fn example(operation: &str) -> Option<Value> {
    let vnfd = "4f1b2c9e-8a35-4d2a-9d5e-6a0c1b7f3e10";
    let external = |id: &str, network: &str, cpd: &str| {
        let config = json!({"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET"}]});
        json!({"id": id, "resourceId": network, "extCps": [{"cpdId": cpd, "cpConfig": {cpd: config}}]})
    };
    Some(match operation {
        "createInstance" => json!({"vnfdId": vnfd, "vnfInstanceName": "sample", "metadata": {"site": "a"}}),
        "modifyInstance" => {
            json!({"vnfInstanceName": "renamed", "vnfInstanceDescription": null, "metadata": {"site": "b"}})
        }
        "instantiate" => json!({
            "flavourId": "simple",
            "vimConnectionInfo": {"vim1": {"vimId": "mock", "vimType": "mock"}},
            "extVirtualLinks": [external("one", "net-one", "VDU1_CP1"), external("two", "net-two", "VDU2_CP1")],
        }),
        "terminate" => json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 10}),
        "scale" => json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale", "numberOfSteps": 1}),
        "heal" => json!({"cause": "it does not answer", "additionalParams": {"all": false}}),
        "changeExtConn" => json!({"extVirtualLinks": [external("one", "net-three", "VDU1_CP1")]}),
        "changeVnfPkg" => json!({
            "vnfdId": vnfd,
            "additionalParams": {"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}]},
        }),
        "createSubscription" | "createSubscriptionV1" => json!({
            "callbackUri": "http://127.0.0.1:9891/notifications",
            "filter": {
                "notificationTypes": ["VnfLcmOperationOccurrenceNotification"],
                "operationTypes": ["INSTANTIATE", "TERMINATE"],
                "vnfInstanceSubscriptionFilter": {"vnfdIds": [vnfd]},
            },
            "verbosity": "SHORT",
        }),
        "createPackage" => json!({"userDefinedData": {"owner": "lab"}}),
        "updatePackage" => json!({"operationalState": "DISABLED", "userDefinedData": {"owner": null}}),
        _ => return None,
    })
}
