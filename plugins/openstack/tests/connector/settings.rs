//! What an account's settings do to what is asked of the services.

use serde_json::{Value, json};
use vimhost_plugin_openstack::OpenStack;
use vimhost_sdk::prelude::*;

use crate::cloud::Cloud;
use crate::network_lab::{Lab, TOKEN};

fn network(config: Value, kind: Option<NetworkKind>) -> Value {
    let lab = Lab::with(config);
    let request = NetworkRequest {
        name: "net".into(),
        kind,
        ..NetworkRequest::default()
    };
    OpenStack::create_network(&lab.account, &lab.kit.call(TOKEN), request).unwrap();
    lab.neutron.all("networks").remove(0)
}

#[test]
fn networks_are_made_as_the_account_says() {
    let plain = network(json!({}), None);
    for key in [
        "port_security_enabled",
        "availability_zone_hints",
        "provider:network_type",
        "shared",
    ] {
        assert!(plain.get(key).is_none(), "{key}: {plain}");
    }
    let set = json!({"disable_network_port_security": true, "neutron_availability_zone_hints": "z1"});
    let hinted = network(set, None);
    assert_eq!(
        (&hinted["port_security_enabled"], &hinted["availability_zone_hints"]),
        (&json!(false), &json!(["z1"]))
    );
    // A Neutron without the extension hears of it no more than of anything else.
    let set = json!({"disable_network_port_security": true, "no_port_security_extension": true});
    assert!(network(set, None).get("port_security_enabled").is_none());
    let set = json!({"dataplane_network_type": "vxlan"});
    let data = network(set, Some(NetworkKind::Data));
    assert_eq!(data["provider:network_type"], "vxlan");
    assert!(data.get("provider:physical_network").is_none(), "{data}");
}

#[test]
fn servers_and_volumes_are_made_as_the_account_says() {
    let cloud = Cloud::with(
        r#"{"availability_zone": ["z1", "z2"], "storage_availability_zone": "disks", "keypair": "ops", "microversion": "2.40"}"#,
    );
    let mut request = cloud.request();
    request.cloud_config = Some(CloudConfig {
        boot_data_drive: Some(true),
        ..CloudConfig::default()
    });
    request.groups = vec!["group-1".into()];
    let created = cloud.create_server("t1", &request).unwrap();
    let asked = cloud.nova().server(&created.id).unwrap()["_asked"].clone();
    assert_eq!(
        (&asked["availability_zone"], &asked["key_name"], &asked["config_drive"]),
        (&json!("z1"), &json!("ops"), &json!(true))
    );
    // Tags with the creation came with 2.52.
    assert!(asked.get("tags").is_none(), "{asked}");
    assert_eq!(cloud.nova().volumes()[0]["availability_zone"], "disks");
    let sent = cloud.kit.exchanges();
    let creation = sent
        .iter()
        .find(|sent| sent.target.path.ends_with("/v2.1/servers"))
        .unwrap();
    assert_eq!(creation.header("openstack-api-version"), Some("compute 2.40"));
    let body: Value = serde_json::from_slice(creation.body.as_deref().unwrap()).unwrap();
    assert_eq!(body["os:scheduler_hints"], json!({"group": "group-1"}));
}

#[test]
fn a_zone_that_is_asked_for_goes_before_the_accounts() {
    let cloud = Cloud::with(r#"{"availability_zone": "z1"}"#);
    let mut request = cloud.request();
    request.availability_zone = Some("z9".into());
    let created = cloud.create_server("t1", &request).unwrap();
    let server = cloud.nova().server(&created.id).unwrap();
    assert_eq!(server["_asked"]["availability_zone"], "z9");
    assert_eq!(cloud.nova().volumes()[0]["availability_zone"], "z9");
}

#[test]
fn the_interface_of_the_catalogue_is_the_one_that_is_set() {
    for (config, host) in [
        (json!({}), "nova.example:8774"),
        (json!({"use_internal_endpoint": true}), "inside.example:8774"),
        (json!({"interface": "internal"}), "inside.example:8774"),
    ] {
        let lab = Lab::with(config);
        for service in lab.keystone.catalogue.borrow_mut().as_array_mut().unwrap() {
            let mut inside = service["endpoints"][0].clone();
            inside["interface"] = json!("internal");
            // The stubs are where the public ones are: only Nova has moved, and what has moved is not granted.
            let url = inside["url"]
                .as_str()
                .unwrap()
                .replace("nova.example", "inside.example");
            inside["url"] = json!(url);
            service["endpoints"].as_array_mut().unwrap().push(inside);
        }
        lab.fault("inside.example:8774", vimhost_sdk::http::Fault::Denied);
        let report = OpenStack::check(&lab.account).unwrap();
        let origins: Vec<&str> = report.origins.iter().map(|origin| origin.origin.as_str()).collect();
        assert!(origins.contains(&format!("http://{host}").as_str()), "{origins:?}");
        assert_eq!(origins.len(), 5, "{origins:?}");
    }
}
