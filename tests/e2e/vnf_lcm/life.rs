//! The life of an instance, from package to deletion.

use std::collections::BTreeSet;

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};

use super::{World, at, texts};

/// Ids of the VMs of a VDU, newest first.
fn vms(instance: &Value, vdu: &str) -> Vec<String> {
    let list = at(instance, "/instantiatedVnfInfo/vnfcResourceInfo")
        .as_array()
        .unwrap();
    let of_vdu = list.iter().filter(|vnfc| vnfc["vduId"] == vdu);
    of_vdu.map(|vnfc| vnfc["id"].as_str().unwrap().to_owned()).collect()
}

fn level(instance: &Value) -> i64 {
    let status = at(instance, "/instantiatedVnfInfo/scaleStatus/0");
    assert_eq!(status["aspectId"], "VDU1_scale");
    status["scaleLevel"].as_i64().unwrap()
}

fn changes(op_occ: &Value) -> BTreeSet<(String, String)> {
    let affected = at(op_occ, "/resourceChanges/affectedVnfcs").as_array().unwrap();
    let pair = |vnfc: &Value| {
        (
            vnfc["changeType"].as_str().unwrap().to_owned(),
            vnfc["id"].as_str().unwrap().to_owned(),
        )
    };
    affected.iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_lives_from_its_package_to_its_deletion() {
    let world = World::new(Faults::default()).await;
    let client = &world.client;
    let id = world.created("life").await;
    let path = format!("/vnflcm/v2/vnf_instances/{id}");

    let fresh = client.expect(200, Method::GET, &path, None).await.unwrap();
    assert_eq!(fresh.version.as_deref(), Some("2.0.0"));
    assert_eq!(fresh.json["instantiationState"], "NOT_INSTANTIATED");
    assert_eq!(fresh.json["vnfProvider"], "Sample Provider");
    assert!(fresh.json["_links"].get("instantiate").is_some() && fresh.json["_links"].get("scale").is_none());
    assert!(!fresh.text.contains("_vimhost"), "{}", fresh.text);

    let request = vimhost_tests::instantiate_request("mock");
    let made = client.complete(&id, "instantiate", &request).await.unwrap();
    assert_eq!(made["operation"], "INSTANTIATE");
    let one = client.instance(&id).await.unwrap();
    assert_eq!(one["instantiationState"], "INSTANTIATED");
    assert_eq!(at(&one, "/instantiatedVnfInfo/vnfState"), "STARTED");
    assert!(at(&one, "/instantiatedVnfInfo/metadata/stack_id").is_string());
    assert_eq!(
        (vms(&one, "VDU1").len(), vms(&one, "VDU2").len(), level(&one)),
        (1, 1, 0)
    );
    let added: BTreeSet<_> = [vms(&one, "VDU1"), vms(&one, "VDU2")]
        .concat()
        .into_iter()
        .map(|vm| ("ADDED".to_owned(), vm))
        .collect();
    assert_eq!(changes(&made), added);
    for vnfc in at(&one, "/instantiatedVnfInfo/vnfcResourceInfo").as_array().unwrap() {
        let (vdu, vm) = (vnfc["vduId"].as_str().unwrap(), vnfc["id"].as_str().unwrap());
        let mut cps = texts(&vnfc["vnfcCpInfo"], "id");
        cps.sort_unstable();
        assert_eq!(cps, [format!("{vdu}_CP1-{vm}"), format!("{vdu}_CP2-{vm}")]);
        assert_eq!(at(vnfc, "/computeResource/vimLevelResourceType"), "OS::Nova::Server");
    }
    let external: BTreeSet<&str> = texts(at(&one, "/instantiatedVnfInfo/extCpInfo"), "cpdId")
        .into_iter()
        .collect();
    assert_eq!(external, BTreeSet::from(["VDU1_CP1", "VDU2_CP1"]));
    let links = texts(
        at(&one, "/instantiatedVnfInfo/vnfVirtualLinkResourceInfo"),
        "vnfVirtualLinkDescId",
    );
    assert_eq!(links, ["internalVL1"]);

    let out = json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale", "numberOfSteps": 2});
    let scaled = client.complete(&id, "scale", &out).await.unwrap();
    let three = client.instance(&id).await.unwrap();
    assert_eq!((vms(&three, "VDU1").len(), level(&three)), (3, 2));
    let old = vms(&one, "VDU1");
    assert!(
        vms(&three, "VDU1").contains(&old[0]),
        "the VM that was there is still there"
    );
    assert_eq!(
        changes(&scaled).iter().filter(|(change, _)| change == "ADDED").count(),
        2
    );

    let newest = vms(&three, "VDU1")[0].clone();
    let r#in = json!({"type": "SCALE_IN", "aspectId": "VDU1_scale"});
    let scaled = client.complete(&id, "scale", &r#in).await.unwrap();
    let two = client.instance(&id).await.unwrap();
    assert_eq!((vms(&two, "VDU1").len(), level(&two)), (2, 1));
    assert_eq!(
        changes(&scaled),
        BTreeSet::from([("REMOVED".to_owned(), newest)]),
        "the newest goes"
    );

    let victim = vms(&two, "VDU1")[0].clone();
    let heal = json!({"vnfcInstanceId": [format!("VDU1-{victim}")], "cause": "it is ill"});
    client.complete(&id, "heal", &heal).await.unwrap();
    let healed = client.instance(&id).await.unwrap();
    assert_eq!(vms(&healed, "VDU1").len(), 2);
    assert!(!vms(&healed, "VDU1").contains(&victim));
    assert_eq!(vms(&healed, "VDU2"), vms(&two, "VDU2"), "nobody asked for the others");

    let before = at(&healed, "/instantiatedVnfInfo/metadata/stack_id").clone();
    client
        .complete(&id, "heal", &json!({"additionalParams": {"all": true}}))
        .await
        .unwrap();
    let anew = client.instance(&id).await.unwrap();
    assert_ne!(*at(&anew, "/instantiatedVnfInfo/metadata/stack_id"), before);
    assert_eq!(vms(&anew, "VDU1").len(), 2);

    let patch = json!({"vnfInstanceName": "another", "metadata": {"a": 1}});
    let changed = client.expect(202, Method::PATCH, &path, Some(&patch)).await.unwrap();
    let op_occ = changed.location.unwrap();
    let modified = client
        .settled(op_occ.rsplit('/').next().unwrap(), super::LIMIT)
        .await
        .unwrap();
    assert_eq!(
        (&modified["operation"], &modified["operationState"]),
        (&json!("MODIFY_INFO"), &json!("COMPLETED"))
    );
    assert_eq!(at(&modified, "/changedInfo/vnfInstanceName"), "another");

    let busy = client.expect(409, Method::DELETE, &path, None).await.unwrap();
    assert!(busy.json["detail"].is_string());
    let ended = client
        .complete(&id, "terminate", &json!({"terminationType": "FORCEFUL"}))
        .await
        .unwrap();
    let removed = changes(&ended);
    assert_eq!(removed.len(), super::vm_count(&anew));
    assert!(removed.iter().all(|(change, _)| change == "REMOVED"));
    let over = client.instance(&id).await.unwrap();
    assert_eq!(over["instantiationState"], "NOT_INSTANTIATED");
    assert_eq!(
        at(&over, "/instantiatedVnfInfo"),
        &json!({"flavourId": "simple", "vnfState": "STOPPED"})
    );
    assert!(
        over.get("vimConnectionInfo")
            .is_none_or(|connections| *connections == json!({}))
    );
    client.expect(204, Method::DELETE, &path, None).await.unwrap();
    client.expect(404, Method::GET, &path, None).await.unwrap();
    let log = world.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_termination_waits_and_a_forceful_one_does_not() {
    let world = World::new(Faults::default()).await;
    let id = world.instantiated("graceful").await;
    let begun = std::time::Instant::now();
    let request = json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 1});
    world.client.complete(&id, "terminate", &request).await.unwrap();
    assert!(begun.elapsed().as_millis() >= 1000, "{:?}", begun.elapsed());
}
