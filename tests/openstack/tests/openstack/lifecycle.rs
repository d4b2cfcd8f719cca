//! All that LCM does to a service, and what the VIM says of it.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use vimhost_openstack_tests::{Cloud, Inventory, cloud};
use vimhost_tests::wait_until;

use crate::service::{ACCOUNT, Service, THREE_VMS, assert_as_before, assert_made, three_vms, turn};

fn shown(cloud: &Cloud, server: &str) -> Value {
    // The oldest version that shows user data.
    cloud
        .openstack(&["--os-compute-api-version", "2.3", "server", "show", server])
        .unwrap()
}

fn addresses(server: &Value) -> String {
    server["addresses"].to_string()
}

fn status(cloud: &Cloud, server: &str) -> String {
    shown(cloud, server)["status"].as_str().unwrap().to_owned()
}

/// The guest finds each interface by its port's name. Nova shows that to those who speak a newer version than its client does.
async fn assert_tagged(cloud: &Cloud, service: &Service, server: &str) {
    let token = cloud.openstack(&["token", "issue"]).unwrap();
    let services = cloud.services().unwrap();
    let nova = services.iter().find(|service| service.name == "compute").unwrap();
    let url = format!("{}/servers/{server}/os-interface", nova.url.trim_end_matches('/'));
    let request = service.host.http.get(url);
    let request = request
        .header("X-Auth-Token", token["id"].as_str().unwrap())
        .header("OpenStack-API-Version", "compute 2.70");
    let told = request.send().await.unwrap().text().await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let interfaces = told["interfaceAttachments"].as_array().unwrap();
    assert_eq!(interfaces.len(), 2, "{told}");
    for interface in interfaces {
        let port = interface["port_id"].as_str().unwrap();
        let port = cloud.openstack(&["port", "show", port]).unwrap();
        assert!(port["name"].is_string(), "{port}");
        assert_eq!(interface["tag"], port["name"], "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn a_service_lives_its_whole_life_and_leaves_nothing() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let account = cloud.account(ACCOUNT).unwrap();
    let mut service = Service::new("life", &account, &[], three_vms).await;
    let checked = service
        .host
        .admin_ok("POST", &format!("/v1/vims/{ACCOUNT}/check"), Some(json!({})))
        .await
        .unwrap();
    assert_eq!(checked["state"], "ENABLED", "{checked}");

    service.deploy("instantiate").await;
    let made = assert_made(cloud, &before, &THREE_VMS);
    let first = service.server(0, 0).await;
    let vm = shown(cloud, &first);
    assert_eq!(vm["status"], "ACTIVE");
    assert!(addresses(&vm).contains("10.61.1.11"), "{vm}");
    let floating = cloud.list(&["floating", "ip", "list"]).unwrap();
    let floating = floating
        .iter()
        .find(|one| made.ids("floating address").contains(&one["ID"].as_str().unwrap()));
    let floating = floating.unwrap()["Floating IP Address"].as_str().unwrap().to_owned();
    assert!(addresses(&vm).contains(&floating), "{vm}");
    let user_data = vm["OS-EXT-SRV-ATTR:user_data"].as_str().unwrap();
    let user_data = base64::engine::general_purpose::STANDARD.decode(user_data).unwrap();
    assert!(String::from_utf8(user_data).unwrap().contains("hostname: vnf1-mgmtVM"));
    let vnfr = service.vnfr(0).await;
    assert_eq!(
        vnfr["ip-address"],
        floating.as_str(),
        "LCM reaches the VNF by its floating address"
    );
    assert_eq!(vnfr["vdur"][1]["interfaces"][1]["ip-address"], "10.61.2.11");
    let hosts: Vec<Value> = vnfr["vdur"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vdur| vdur["interfaces"][0]["compute_node"].clone())
        .collect();
    assert_ne!(hosts[0], hosts[1], "the group keeps its members apart");
    assert!(hosts[0].is_string(), "{vnfr:#}");

    // Others may have certificates that this client does not know.
    if cloud.is_lab() {
        assert_tagged(cloud, &service, &first).await;
    }

    // Power.
    let second = service.server(0, 1).await;
    service.run("stop", &service.operate("stop", 0, 1).await).await;
    assert_eq!(status(cloud, &second), "SHUTOFF");
    assert_eq!(service.vnfr(0).await["vdur"][1]["status"], "INACTIVE");
    service.run("start", &service.operate("start", 0, 1).await).await;
    assert_eq!(status(cloud, &second), "ACTIVE");
    service.run("rebuild", &service.operate("rebuild", 0, 1).await).await;
    assert_eq!(
        (status(cloud, &second).as_str(), service.server(0, 1).await),
        ("ACTIVE", second.clone())
    );

    migrated_and_opened(cloud, &service).await;
    healed(cloud, &service, &floating).await;
    scaled(cloud, &mut service, &before).await;
    grown(cloud, &service).await;

    // Volumes were handed from one VM to the next meanwhile, and keep the tokens they were made under.
    let found = service.audited().await;
    assert!(found.is_empty(), "{found:#?}");
    service.terminate().await;
    // The volume that is kept is nobody's from here on.
    let found = service.audited().await;
    assert!(
        matches!(found.as_slice(), [[verdict, kind, _]] if verdict == "orphan" && kind == "volume"),
        "{found:#?}"
    );
    assert_as_before(cloud, &before, 1).await;
    let log = service.host.stop().unwrap();
    assert!(!log.contains(&cloud.password), "the password is in the log");
    assert!(!log.contains("ERROR"), "{log}");
}

async fn migrated_and_opened(cloud: &Cloud, service: &Service) {
    let third = service.server(1, 0).await;
    let host = |server: &str| shown(cloud, server)["OS-EXT-SRV-ATTR:host"].clone();
    let before = host(&third);
    service.run("migrate", &service.migration(1)).await;
    let after = host(&third);
    assert_ne!(before, after);
    assert_eq!(status(cloud, &third), "ACTIVE");
    assert_eq!(
        service.vnfr(1).await["vdur"][0]["interfaces"][0]["compute_node"],
        after,
        "the record shows the new host"
    );

    let action = service.run("console", &service.operate("console", 1, 0).await).await;
    let path = format!("ns/v1/deploy/{}/{action}/viminfo", service.nsr);
    let (code, info) = service.lcm().call("GET", &path, None).await.unwrap();
    assert_eq!(code, 200, "{info}");
    let url = info["vim_info_list"][0]["vim_console_data"]["url"].as_str().unwrap();
    assert!(url.contains("token"), "{url}");
    assert!(!service.host.log().contains(url), "who has the address has the console");
}

/// A VM that is made anew keeps its addresses and its volume.
async fn healed(cloud: &Cloud, service: &Service, floating: &str) {
    let old = service.server(0, 0).await;
    let attached = |server: &str| {
        let rows = cloud.list(&["server", "volume", "list", server]).unwrap();
        let mut ids: Vec<String> = rows
            .iter()
            .map(|row| row["Volume ID"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let (volumes, group) = (
        attached(&old),
        cloud.list(&["server", "group", "list", "--long"]).unwrap(),
    );
    assert!(
        group.iter().any(|group| group["Members"].to_string().contains(&old)),
        "{group:?}"
    );
    service.run("recreate", &service.healing(0)).await;
    let new = service.server(0, 0).await;
    assert_ne!(old, new);
    let vm = shown(cloud, &new);
    assert_eq!(vm["status"], "ACTIVE");
    assert!(addresses(&vm).contains("10.61.1.11"), "{vm}");
    assert_eq!(attached(&new), volumes);
    let vnfr = service.vnfr(0).await;
    assert!(vnfr["vdur"][0]["interfaces"][0]["ip-address"].is_string(), "{vnfr:#}");
    // A floating address may be another one; that there is one is what LCM needs.
    let leads = cloud.list(&["floating", "ip", "list"]).unwrap();
    assert!(
        leads.iter().any(|one| vnfr["ip-address"] == one["Floating IP Address"]),
        "{floating} before, {leads:?}"
    );
    let gone = cloud.openstack(&["server", "show", &old]);
    assert!(gone.is_err(), "{gone:?}");
}

async fn scaled(cloud: &Cloud, service: &mut Service, before: &Inventory) {
    service.add_replica().await;
    service.deploy("scale-out").await;
    assert_made(cloud, before, &[("server", 4), ("port", 9)]);

    service.give_up_replica().await;
    service.deploy("scale-in").await;
    service.forget_replica().await;
    assert_made(cloud, before, &[("server", 3), ("port", 7)]);
}

async fn grown(cloud: &Cloud, service: &Service) {
    let third = service.server(1, 0).await;
    service.run("verticalscale", &service.growth(1)).await;
    let flavour = shown(cloud, &third)["flavor"].to_string();
    let flavours = cloud.list(&["flavor", "list", "--all"]).unwrap();
    let used = flavours
        .iter()
        .find(|row| flavour.contains(row["ID"].as_str().unwrap()));
    let used = used.unwrap_or_else(|| panic!("the flavour {flavour} is not among {flavours:?}"));
    assert_eq!(
        (&used["RAM"], &used["VCPUs"], &used["Disk"]),
        (&json!(2048), &json!(2), &json!(20))
    );
    wait_until("the server to be confirmed", Duration::from_secs(30), async || {
        Ok(status(cloud, &third) == "ACTIVE")
    })
    .await
    .unwrap();
}
