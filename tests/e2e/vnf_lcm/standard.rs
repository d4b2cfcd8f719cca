//! An instance of `StandardUserData`: a resource of the template for each VM, one kind of them in stacks of its own.

use std::collections::BTreeSet;

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::{SamplePackage, instantiate_request};

use super::{LIMIT, World, at, ends, forceful, scale_in, scale_out};

fn package(vnfd: &str, flavour: &str) -> SamplePackage {
    SamplePackage {
        vnfd_id: vnfd.to_owned(),
        flavour: flavour.to_owned(),
        is_standard: true,
        ..SamplePackage::default()
    }
}

fn script() -> Value {
    json!({"lcm-operation-user-data": SamplePackage::STANDARD, "lcm-operation-user-data-class": "StandardUserData"})
}

/// VMs of a VDU, newest first: number, id, flavour.
fn vms(instance: &Value, vdu: &str) -> Vec<(u64, String, String)> {
    let list = at(instance, "/instantiatedVnfInfo/vnfcResourceInfo");
    let of_vdu = list.as_array().unwrap().iter().filter(|vnfc| vnfc["vduId"] == vdu);
    of_vdu
        .map(|vnfc| {
            (
                at(vnfc, "/metadata/vdu_idx").as_u64().unwrap(),
                vnfc["id"].as_str().unwrap().to_owned(),
                at(vnfc, "/metadata/flavor").as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn numbers(instance: &Value, vdu: &str) -> Vec<u64> {
    vms(instance, vdu).into_iter().map(|(number, _, _)| number).collect()
}

fn ids(instance: &Value, vdu: &str) -> Vec<String> {
    vms(instance, vdu).into_iter().map(|(_, id, _)| id).collect()
}

/// Ids of VMs that an operation has changed in a way.
fn affected(op_occ: &Value, change: &str) -> BTreeSet<String> {
    let affected = at(op_occ, "/resourceChanges/affectedVnfcs").as_array().unwrap();
    let changed = affected.iter().filter(|vnfc| vnfc["changeType"] == change);
    changed.map(|vnfc| vnfc["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_a_resource_for_each_vm_lives_like_any_other() {
    let world = World::new(Faults::default()).await;
    let client = &world.client;
    let small = package("4f1b2c9e-8a35-4d2a-9d5e-6a0c1b7f3e11", "small");
    let large = package("4f1b2c9e-8a35-4d2a-9d5e-6a0c1b7f3e12", "large");
    client.onboard(&small).await.unwrap();
    client.onboard(&large).await.unwrap();
    let id = client.create(&small.vnfd_id, "standard").await.unwrap();

    let mut request = instantiate_request("mock");
    request["additionalParams"] = script();
    client.complete(&id, "instantiate", &request).await.unwrap();
    let one = client.instance(&id).await.unwrap();
    assert_eq!((numbers(&one, "VDU1"), numbers(&one, "VDU2")), (vec![0], vec![0]));
    assert_eq!(
        at(&one, "/instantiatedVnfInfo/metadata/nfv/VDU/VDU1-0/computeFlavourId"),
        "small"
    );
    for vnfc in at(&one, "/instantiatedVnfInfo/vnfcResourceInfo").as_array().unwrap() {
        assert_eq!(vnfc["vnfcCpInfo"].as_array().map(Vec::len), Some(2), "{vnfc:#}");
    }

    let scaled = client.complete(&id, "scale", &scale_out()).await.unwrap();
    let two = client.instance(&id).await.unwrap();
    assert_eq!(numbers(&two, "VDU1"), [1, 0]);
    assert_eq!(
        ids(&two, "VDU1")[1..],
        ids(&one, "VDU1"),
        "the VM that was there is still there"
    );
    assert_eq!(
        affected(&scaled, "ADDED"),
        BTreeSet::from([ids(&two, "VDU1")[0].clone()])
    );

    let victim = ids(&two, "VDU1")[1].clone();
    let heal = json!({"vnfcInstanceId": [format!("VDU1-{victim}")], "additionalParams": script()});
    client.complete(&id, "heal", &heal).await.unwrap();
    let healed = client.instance(&id).await.unwrap();
    assert_eq!(numbers(&healed, "VDU1"), [1, 0]);
    assert!(!ids(&healed, "VDU1").contains(&victim));
    assert_eq!(
        ids(&healed, "VDU1")[0],
        ids(&two, "VDU1")[0],
        "nobody asked for the other"
    );
    assert_eq!(ids(&healed, "VDU2"), ids(&two, "VDU2"));

    // Another package, which the VIM fails once.
    let failing = json!({"stack_error": [{"operation": "update", "nth": 1, "message": "no room"}]});
    world.vim.set_faults(serde_json::from_value(failing).unwrap()).unwrap();
    let rolled = json!([{"vdu_id": "VDU1"}, {"vdu_id": "VDU2"}]);
    let change = json!({"vnfdId": large.vnfd_id,
        "additionalParams": {"upgrade_type": "RollingUpdate", "vdu_params": rolled}});
    let op_occ = client.begin(&id, "change_vnfpkg", &change).await.unwrap();
    ends(&world, &op_occ, "FAILED_TEMP").await;
    let rollback = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/rollback");
    client.expect(202, Method::POST, &rollback, None).await.unwrap();
    ends(&world, &op_occ, "ROLLED_BACK").await;
    let back = client.instance(&id).await.unwrap();
    assert_eq!(back["vnfdId"], small.vnfd_id.as_str());
    assert_eq!(
        at(&back, "/instantiatedVnfInfo/vnfcResourceInfo"),
        at(&healed, "/instantiatedVnfInfo/vnfcResourceInfo")
    );

    let changed = client.complete(&id, "change_vnfpkg", &change).await.unwrap();
    let other = client.instance(&id).await.unwrap();
    assert_eq!(other["vnfdId"], large.vnfd_id.as_str());
    let all = [vms(&other, "VDU1"), vms(&other, "VDU2")].concat();
    assert!(all.iter().all(|(_, _, flavour)| flavour == "large"), "{all:?}");
    let all: BTreeSet<String> = all.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(affected(&changed, "MODIFIED"), all, "{changed:#}");

    let newest = ids(&other, "VDU1")[0].clone();
    let scaled = client.complete(&id, "scale", &scale_in()).await.unwrap();
    let one = client.instance(&id).await.unwrap();
    assert_eq!(numbers(&one, "VDU1"), [0]);
    assert_eq!(
        affected(&scaled, "REMOVED"),
        BTreeSet::from([newest]),
        "the newest goes"
    );

    client.complete(&id, "terminate", &forceful()).await.unwrap();
    assert_eq!(world.vim.inventory().stacks.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_names_a_script_that_is_not_run_changes_nothing() {
    let world = World::new(Faults::default()).await;
    let id = world.instantiated("default").await;
    let before = world.client.instance(&id).await.unwrap();
    let mut scale = scale_out();
    scale["additionalParams"] = script();
    let coordinated = json!({"upgrade_type": "RollingUpdate", "vdu_params": [{"vdu_id": "VDU1"}],
        "lcm-operation-coordinate-new-vnf": "Scripts/coordinate.py"});
    let change = json!({"vnfdId": world.package.vnfd_id, "additionalParams": coordinated});
    for (operation, body, says) in [
        ("scale", scale, SamplePackage::STANDARD),
        ("change_vnfpkg", change, "Scripts/coordinate.py"),
    ] {
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
        assert_eq!(over["operationState"], "ROLLED_BACK", "{over:#}");
        assert_eq!(at(&over, "/error/status"), 400);
        assert!(at(&over, "/error/detail").as_str().unwrap().contains(says), "{over:#}");
        assert_eq!(world.client.instance(&id).await.unwrap(), before);
    }
}
