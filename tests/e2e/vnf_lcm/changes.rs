//! Other networks and another package: what becomes of the instance and of its stack, where it goes well, and what a client decides where
//! it does not.

use std::collections::BTreeSet;

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::{SamplePackage, VimUser};

use super::{World, at, ends, scale_out, texts, vm_count};

/// The network that is changed to.
pub(super) const NETWORK: &str = "net-external-3";

/// The VNFD of the package that is changed to.
pub(super) const NEXT: &str = "9d0c7a52-1b6e-4f0a-8c53-2e7f4b9a6d31";
const VERSION: &str = "2.0";
const FLAVOUR: &str = "large";

const WORDS: &str = "no valid host was found";

/// The external connection point of VDU1 on another network.
pub(super) fn to_network(network: &str) -> Value {
    json!({"extVirtualLinks": [
        {"id": format!("link-to-{network}"), "resourceId": network,
         "extCps": [{"cpdId": "VDU1_CP1", "cpConfig": {"VDU1_CP1": {"cpProtocolData": [
            {"layerProtocol": "IP_OVER_ETHERNET"}]}}}]},
    ]})
}

/// The package of a VNFD, rolled out VDU by VDU: an update of the stack for each.
pub(super) fn to_package(vnfd: &str) -> Value {
    json!({"vnfdId": vnfd, "additionalParams": {
        "upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}, {"vdu_id": "VDU2"}]}})
}

/// Both changes, by the operations that make them.
pub(super) fn both() -> [(&'static str, Value); 2] {
    [
        ("change_ext_conn", to_network(NETWORK)),
        ("change_vnfpkg", to_package(NEXT)),
    ]
}

/// A world with a package to change to.
pub(super) async fn with_next(faults: Faults) -> World {
    let world = World::new(faults).await;
    let next = SamplePackage {
        vnfd_id: NEXT.to_owned(),
        software_version: VERSION.to_owned(),
        flavour: FLAVOUR.to_owned(),
        ..SamplePackage::default()
    };
    world.client.onboard(&next).await.unwrap();
    world
}

/// The VIM fails some updates of stacks, counted from now on.
pub(super) fn failing(updates: &[u64]) -> Faults {
    let errors: Vec<Value> = updates
        .iter()
        .map(|nth| json!({"operation": "update", "nth": nth, "message": WORDS}))
        .collect();
    serde_json::from_value(json!({"stack_error": errors})).unwrap()
}

/// Updates of stacks that were begun.
pub(super) fn updates(world: &World) -> u64 {
    world.vim.requests().of("PATCH stacks update 202")
}

/// What the stack of an instance is made from: template, files, parameters.
pub(super) async fn content(world: &World, id: &str) -> Value {
    let user = VimUser::log_in(&world.vim).await.unwrap();
    let path = format!("stacks/vnf-{id}/content");
    user.expect(200, Method::GET, &path, None).await.unwrap()
}

/// An instance without its links, which name the port that the host was given.
pub(super) async fn shown(world: &World, id: &str) -> Value {
    let mut instance = world.client.instance(id).await.unwrap();
    instance.as_object_mut().unwrap().remove("_links");
    instance
}

/// Flavours of both VDUs as the stack was told of them.
fn flavours(content: &Value) -> [&Value; 2] {
    ["VDU1", "VDU2"].map(|vdu| at(content, &format!("/parameters/nfv/VDU/{vdu}/computeFlavourId")))
}

/// Whether the template is that of a version.
fn is_of(content: &Value, version: &str) -> bool {
    let template = at(content, "/template").as_str().unwrap();
    template.contains(&format!("network, version {version}"))
}

/// That a stack is what an operation was to make of it, and no more.
pub(super) fn assert_changed(operation: &str, before: &Value, after: &Value) {
    let mut wanted = before.clone();
    match operation {
        "change_ext_conn" => {
            *wanted.pointer_mut("/parameters/nfv/CP/VDU1_CP1/network").unwrap() = json!(NETWORK);
        }
        "change_vnfpkg" => {
            for vdu in ["VDU1", "VDU2"] {
                let flavour = format!("/parameters/nfv/VDU/{vdu}/computeFlavourId");
                *wanted.pointer_mut(&flavour).unwrap() = json!(FLAVOUR);
            }
            assert!(is_of(after, VERSION), "{after:#}");
            wanted["template"] = after["template"].clone();
        }
        other => panic!("{other} is no change of these"),
    }
    assert_eq!(*after, wanted, "{operation}");
}

pub(super) async fn decide(world: &World, op_occ: &str, verb: &str) {
    let status = if verb == "fail" { 200 } else { 202 };
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/{verb}");
    world.client.expect(status, Method::POST, &path, None).await.unwrap();
}

/// Begins a change of which the VIM fails an update; answers its occurrence.
pub(super) async fn failed(world: &World, id: &str, operation: &str, body: &Value, fails: &[u64]) -> String {
    world.vim.set_faults(failing(fails)).unwrap();
    let op_occ = world.client.begin(id, operation, body).await.unwrap();
    has_failed(world, &op_occ).await;
    op_occ
}

async fn has_failed(world: &World, op_occ: &str) {
    let over = ends(world, op_occ, "FAILED_TEMP").await;
    let detail = at(&over, "/error/detail").as_str().unwrap();
    assert!(detail.contains(WORDS), "{over:#}");
    assert_eq!(at(&over, "/error/status"), 422, "{over:#}");
    assert_eq!(at(&over, "/error/title"), "Stack update failed", "{over:#}");
    for key in [
        "resourceChanges",
        "changedExtConnectivity",
        "modificationsTriggeredByVnfPkgChange",
    ] {
        assert!(over.get(key).is_none(), "nothing of it is so: {over:#}");
    }
}

/// Networks of the ports of a connection point, as the VIM has them.
fn networks_of(world: &World, cp: &str) -> Vec<String> {
    let resources = world.vim.inventory().stack_resources;
    let ports = resources.values().flatten();
    let ports = ports.filter(|port| port.resource_type == "OS::Neutron::Port" && port.name == cp);
    ports
        .map(|port| port.properties["network"].as_str().unwrap().to_owned())
        .collect()
}

/// Ids of all VMs.
fn vms(instance: &Value) -> BTreeSet<&str> {
    let vms = texts(at(instance, "/instantiatedVnfInfo/vnfcResourceInfo"), "id");
    vms.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_point_is_taken_to_another_network_and_the_rest_stays() {
    let world = World::new(Faults::default()).await;
    let id = world.instantiated("moved").await;
    let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
    let request = to_network(NETWORK);
    let asked = updates(&world);
    let over = world.client.complete(&id, "change_ext_conn", &request).await.unwrap();
    assert_eq!(updates(&world) - asked, 1);
    assert_eq!(over["operation"], "CHANGE_EXT_CONN");
    assert_eq!(over["operationParams"], request, "as it was asked");
    let changed = at(&over, "/changedExtConnectivity").as_array().unwrap();
    let link = changed
        .iter()
        .find(|link| link["id"] == "link-to-net-external-3")
        .unwrap_or_else(|| panic!("the link is not told of: {over:#}"));
    assert_eq!(at(link, "/resourceHandle/resourceId"), NETWORK);
    assert_eq!(at(link, "/currentVnfExtCpData/0/cpdId"), "VDU1_CP1");
    assert_eq!(at(link, "/extLinkPorts").as_array().unwrap().len(), 1, "{link:#}");

    assert_changed("change_ext_conn", &before, &content(&world, &id).await);
    assert_eq!(networks_of(&world, "VDU1_CP1"), [NETWORK]);
    assert_eq!(networks_of(&world, "VDU2_CP1"), ["net-external-2"]);
    let new = shown(&world, &id).await;
    assert_eq!(vms(&new), vms(&old), "no VM is another one");
    let links = at(&new, "/instantiatedVnfInfo/extVirtualLinkInfo").as_array().unwrap();
    let links: BTreeSet<(&str, &str)> = links
        .iter()
        .map(|link| {
            let network = at(link, "/resourceHandle/resourceId").as_str().unwrap();
            (link["id"].as_str().unwrap(), network)
        })
        .collect();
    let wanted = [("external-2", "net-external-2"), ("link-to-net-external-3", NETWORK)];
    assert_eq!(
        links,
        BTreeSet::from(wanted),
        "a link without a connection point is none"
    );
    let points = at(&new, "/instantiatedVnfInfo/extCpInfo");
    let points: BTreeSet<&str> = texts(points, "cpdId").into_iter().collect();
    assert_eq!(points, BTreeSet::from(["VDU1_CP1", "VDU2_CP1"]));
    assert_eq!(
        at(&new, "/instantiatedVnfInfo/metadata/nfv"),
        at(&content(&world, &id).await, "/parameters/nfv")
    );

    // What comes later is there too.
    world.client.complete(&id, "scale", &scale_out()).await.unwrap();
    assert_eq!(networks_of(&world, "VDU1_CP1"), [NETWORK; 2]);
    let log = world.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

/// Whether there are instances of the package of a VNFD.
async fn usage(world: &World, vnfd: &str) -> Value {
    let path = "/vnfpkgm/v1/vnf_packages";
    let listed = world.client.expect(200, Method::GET, path, None).await.unwrap().json;
    let mut packages = listed.as_array().unwrap().iter();
    let found = packages.find(|package| package["vnfdId"] == vnfd);
    found.unwrap_or_else(|| panic!("no package of {vnfd} in {listed:#}"))["usageState"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_taken_to_another_package_vdu_by_vdu_and_back() {
    let world = with_next(Faults::default()).await;
    let first = world.package.vnfd_id.clone();
    let id = world.instantiated("upgraded").await;
    world.client.complete(&id, "scale", &scale_out()).await.unwrap();
    let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
    assert!(is_of(&before, "1.0"), "{before:#}");
    let asked = updates(&world);
    let over = world
        .client
        .complete(&id, "change_vnfpkg", &to_package(NEXT))
        .await
        .unwrap();
    assert_eq!(updates(&world) - asked, 2, "one for each VDU");
    assert_eq!(over["operation"], "CHANGE_VNFPKG");
    let modified = at(&over, "/modificationsTriggeredByVnfPkgChange");
    assert_eq!(
        (&modified["vnfdId"], &modified["vnfSoftwareVersion"]),
        (&json!(NEXT), &json!(VERSION)),
        "{over:#}"
    );
    let affected = at(&over, "/resourceChanges/affectedVnfcs").as_array().unwrap();
    let told: BTreeSet<[&str; 3]> = affected
        .iter()
        .map(|vnfc| [&vnfc["id"], &vnfc["changeType"], at(vnfc, "/metadata/flavor")].map(|text| text.as_str().unwrap()))
        .collect();

    let new = shown(&world, &id).await;
    assert_eq!(vms(&new), vms(&old), "each VM is the one it was");
    let wanted: BTreeSet<[&str; 3]> = vms(&new).into_iter().map(|vm| [vm, "MODIFIED", FLAVOUR]).collect();
    assert_eq!(told, wanted);
    assert_eq!(
        (&new["vnfdId"], &new["vnfSoftwareVersion"], vm_count(&new)),
        (&json!(NEXT), &json!(VERSION), 3),
        "{new:#}"
    );
    for pointer in [
        "/instantiatedVnfInfo/metadata/stack_id",
        "/instantiatedVnfInfo/scaleStatus/0/scaleLevel",
        "/vimConnectionInfo",
    ] {
        assert_eq!(at(&new, pointer), at(&old, pointer), "{pointer}");
    }
    assert_changed("change_vnfpkg", &before, &content(&world, &id).await);
    assert_eq!(
        (usage(&world, NEXT).await, usage(&world, &first).await),
        (json!("IN_USE"), json!("NOT_IN_USE"))
    );

    world
        .client
        .complete(&id, "change_vnfpkg", &to_package(&first))
        .await
        .unwrap();
    assert_eq!(content(&world, &id).await, before);
    assert_eq!(shown(&world, &id).await, old);
    let log = world.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_failed_is_retried_from_the_update_that_failed() {
    let world = with_next(Faults::default()).await;
    // Of a package that is rolled out the last update fails.
    for ((operation, body), fails) in both().into_iter().zip([1, 2]) {
        let id = world.instantiated(operation).await;
        let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
        let asked = updates(&world);
        let op_occ = failed(&world, &id, operation, &body, &[fails]).await;
        assert_eq!(updates(&world) - asked, fails, "{operation}");
        assert_eq!(
            shown(&world, &id).await,
            old,
            "{operation}: nothing is known of it before it is complete"
        );
        decide(&world, &op_occ, "retry").await;
        let over = ends(&world, &op_occ, "COMPLETED").await;
        assert!(over.get("error").is_none(), "{over:#}");
        assert_eq!(
            updates(&world) - asked,
            fails + 1,
            "{operation}: what was done is not done again"
        );
        assert_changed(operation, &before, &content(&world, &id).await);
        assert_ne!(shown(&world, &id).await, old, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_failed_is_rolled_back_to_the_stack_that_was() {
    let world = with_next(Faults::default()).await;
    let [network, package] = both();
    for (fails, (operation, body)) in [(1, &network), (1, &package), (2, &package)] {
        let id = world.instantiated(&format!("{operation}-{fails}")).await;
        let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
        let op_occ = failed(&world, &id, operation, body, &[fails]).await;
        let midway = content(&world, &id).await;
        assert_ne!(midway, before, "{operation}: it was begun");
        if *operation == "change_vnfpkg" {
            // The first VDU has its turn with the new template; the second one has what it had until its own.
            assert!(is_of(&midway, VERSION), "{midway:#}");
            let second = if fails == 1 { "small" } else { FLAVOUR };
            assert_eq!(flavours(&midway), [&json!(FLAVOUR), &json!(second)]);
        }
        decide(&world, &op_occ, "rollback").await;
        let over = ends(&world, &op_occ, "ROLLED_BACK").await;
        let detail = at(&over, "/error/detail").as_str().unwrap();
        assert!(detail.contains(WORDS), "the reason stays: {over:#}");
        assert_eq!(content(&world, &id).await, before, "{operation}, {fails}");
        assert_eq!(shown(&world, &id).await, old, "{operation}, {fails}");

        // It is free, and the same change may be made.
        world.client.complete(&id, operation, body).await.unwrap();
        assert_changed(operation, &before, &content(&world, &id).await);
    }
    assert_eq!(usage(&world, NEXT).await, "IN_USE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_is_tried_again_or_goes_forward_from_the_beginning() {
    let world = with_next(Faults::default()).await;
    for (operation, body) in both() {
        for verb in ["rollback", "retry"] {
            let id = world.instantiated(&format!("{operation}-{verb}")).await;
            let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
            let op_occ = failed(&world, &id, operation, &body, &[1, 2]).await;
            decide(&world, &op_occ, "rollback").await;
            has_failed(&world, &op_occ).await;
            assert_eq!(shown(&world, &id).await, old, "{operation}");
            decide(&world, &op_occ, verb).await;
            if verb == "rollback" {
                ends(&world, &op_occ, "ROLLED_BACK").await;
                assert_eq!(content(&world, &id).await, before, "{operation}");
                assert_eq!(shown(&world, &id).await, old, "{operation}");
            } else {
                ends(&world, &op_occ, "COMPLETED").await;
                assert_changed(operation, &before, &content(&world, &id).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_failed_and_is_given_up_leaves_the_instance_as_it_was_and_free() {
    let world = with_next(Faults::default()).await;
    for (operation, body) in both() {
        let id = world.instantiated(operation).await;
        let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
        let op_occ = failed(&world, &id, operation, &body, &[1]).await;
        let asked = updates(&world);
        decide(&world, &op_occ, "fail").await;
        let over = world.client.op_occ(&op_occ).await.unwrap();
        assert_eq!(over["operationState"], "FAILED", "{over:#}");
        assert!(at(&over, "/error/detail").as_str().unwrap().contains(WORDS), "{over:#}");
        assert_eq!(shown(&world, &id).await, old, "{operation}");
        assert_eq!(updates(&world), asked, "{operation}: nothing is undone");
        for verb in ["retry", "rollback", "fail"] {
            let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/{verb}");
            world.client.expect(409, Method::POST, &path, None).await.unwrap();
        }

        // The stack is whatever became of it; the next change makes what it is to be.
        world.client.complete(&id, operation, &body).await.unwrap();
        assert_changed(operation, &before, &content(&world, &id).await);
        let stacks = world.vim.inventory().stacks;
        let of_it = stacks.iter().filter(|stack| stack.meta.name == format!("vnf-{id}"));
        assert_eq!(of_it.count(), 1, "{operation}");
    }
}
