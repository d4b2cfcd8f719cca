//! An instance of SOL003 that is taken to another package: what is said of it, and what Heat has of its stack.

use std::collections::BTreeSet;

use http::Method;
use http_proxy::Proxies;
use serde_json::{Value, json};
use vimhost_openstack_tests::cloud;
use vimhost_tests::SamplePackage;

use crate::heat::{World, package, request};
use crate::heat_requests::{Beside, UPDATE, assert_one_token, done};
use crate::service::turn;

/// Of the package that is changed to.
const VNFD: &str = "9d0c7a52-1b6e-4f0a-8c53-2e7f4b9a6d31";
const VERSION: &str = "2.0";
const FLAVOUR: &str = "m1.small";

/// Whether there are instances of the package of a VNFD.
async fn usage(world: &World, vnfd: &str) -> Value {
    let path = "/vnfpkgm/v1/vnf_packages";
    let listed = world.client.expect(200, Method::GET, path, None).await.unwrap().json;
    let mut packages = listed.as_array().unwrap().iter();
    let found = packages.find(|package| package["vnfdId"] == vnfd);
    found.unwrap_or_else(|| panic!("no package of {vnfd} in {listed:#}"))["usageState"].clone()
}

/// What Heat has: the description of the template, and the flavour by VDU in the parameter `nfv`.
fn in_heat(world: &World, id: &str) -> (String, Vec<Value>) {
    let name = format!("vnf-{id}");
    let template = world.cloud.openstack(&["stack", "template", "show", &name]).unwrap();
    let described = template["description"].as_str();
    let described = described.unwrap_or_else(|| panic!("a template without description: {template:#}"));
    let shown = world.cloud.openstack(&["stack", "show", &name]).unwrap();
    let nfv = shown["parameters"]["nfv"].as_str();
    let nfv = nfv.unwrap_or_else(|| panic!("no parameter nfv in {shown:#}"));
    let nfv: Value = serde_json::from_str(nfv).unwrap();
    let flavour = |vdu: &str| nfv["VDU"][vdu]["computeFlavourId"].clone();
    (described.to_owned(), vec![flavour("VDU1"), flavour("VDU2")])
}

/// The server and the VDU of each VM.
fn servers(instance: &Value) -> BTreeSet<(String, String)> {
    let vms = instance["instantiatedVnfInfo"]["vnfcResourceInfo"].as_array();
    let vms = vms.unwrap_or_else(|| panic!("no VMs in {instance:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    vms.iter()
        .map(|vm| (text(&vm["computeResource"]["resourceId"]), text(&vm["vduId"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack with Heat; `cargo xtask test --lab` has one"]
async fn an_instance_taken_to_another_package_is_of_it_and_so_is_its_stack() {
    let _turn = turn().await;
    let proxies = Proxies::before(&cloud().services().unwrap()).await.unwrap();
    let first = package();
    let second = SamplePackage {
        vnfd_id: VNFD.to_owned(),
        software_version: VERSION.to_owned(),
        flavour: FLAVOUR.to_owned(),
        ..package()
    };
    let world = World::new(cloud(), &first, Some(&proxies)).await;
    world.client.onboard(&second).await.unwrap();
    let id = world.created("changed").await;
    world.completed(&id, "instantiate", &request(world.cloud)).await;
    let old = world.client.instance(&id).await.unwrap();
    let (described, flavours) = in_heat(&world, &id);
    assert!(described.ends_with(&first.software_version), "{described}");
    assert_eq!(flavours, [first.flavour.as_str(); 2]);

    let body = json!({"vnfdId": VNFD, "additionalParams": {
        "upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}, {"vdu_id": "VDU2"}]}});
    // An update for each VDU, in turns.
    let beside = Beside {
        sent: UPDATE,
        times: 2,
        marks: 0,
        reads: 1,
    };
    let over = done(&world, &proxies, &id, "change_vnfpkg", &body, beside).await;
    assert_one_token(&proxies);

    let (described, flavours) = in_heat(&world, &id);
    assert!(described.ends_with(VERSION), "the template is the new one: {described}");
    assert_eq!(flavours, [FLAVOUR; 2], "the parameters are the new ones");
    let new = world.client.instance(&id).await.unwrap();
    assert_eq!(
        (&new["vnfdId"], &new["vnfSoftwareVersion"]),
        (&json!(VNFD), &json!(VERSION)),
        "{new:#}"
    );
    assert_eq!(over["modificationsTriggeredByVnfPkgChange"]["vnfdId"], VNFD, "{over:#}");
    assert_eq!(usage(&world, VNFD).await, "IN_USE");
    assert_eq!(usage(&world, &first.vnfd_id).await, "NOT_IN_USE");
    let stack = |instance: &Value| instance["instantiatedVnfInfo"]["metadata"]["stack_id"].clone();
    assert_eq!(stack(&new), stack(&old), "the stack was changed, and no other was made");

    // Heat gives a server another flavour as it is, so each VM is the one it was.
    assert_eq!(servers(&new), servers(&old));
    let affected = over["resourceChanges"]["affectedVnfcs"].as_array();
    let affected = affected.unwrap_or_else(|| panic!("no VNFC is affected: {over:#}"));
    let told: BTreeSet<[&str; 4]> = affected
        .iter()
        .map(|vnfc| {
            let values = [
                &vnfc["vduId"],
                &vnfc["changeType"],
                &vnfc["vnfdId"],
                &vnfc["metadata"]["flavor"],
            ];
            values.map(|value| value.as_str().unwrap_or_default())
        })
        .collect();
    let wanted = ["VDU1", "VDU2"].map(|vdu| [vdu, "MODIFIED", VNFD, FLAVOUR]);
    assert_eq!(told, BTreeSet::from(wanted), "{affected:#?}");
    for (server, vdu) in servers(&new) {
        let shown = world.cloud.openstack(&["server", "show", &server]).unwrap();
        // By its name, or an object with it: as the client's version has it.
        let flavour = shown["flavor"].to_string();
        assert!(flavour.contains(FLAVOUR), "{vdu}: {flavour}");
        assert_eq!(shown["status"], "ACTIVE", "{vdu}: {shown:#}");
    }
    world.terminated(&id).await;
    assert_eq!(usage(&world, VNFD).await, "IN_USE", "it is still an instance of it");
}
