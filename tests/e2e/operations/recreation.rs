//! Recreate: VMs that are made anew as they were.

use std::sync::Arc;
use std::time::Duration;

use mock_vim::Faults;
use mock_vim::elements::Port;
use serde_json::{Value, json};
use vimhost_tests::{Host, Random, wait_until};

use crate::deployed::{Deployed, LIMIT, TARGET, tasks, with_group, with_volumes};

/// What a VM keeps when it is made anew.
#[derive(Debug, PartialEq)]
struct Kept {
    name: String,
    addresses: Vec<(String, String, String)>,
    group: Option<String>,
    volumes: Vec<String>,
    flavour: String,
    user_data: Option<String>,
}

fn kept(deployed: &Deployed, id: &Value) -> Kept {
    let server = deployed.server(id);
    let address = |port: &Arc<Port>| (port.network.clone(), port.mac.clone(), port.ip.to_string());
    Kept {
        name: server.meta.name.clone(),
        addresses: deployed.ports(&server).iter().map(address).collect(),
        group: server.group.clone(),
        volumes: server.volumes.clone(),
        flavour: server.flavour.clone(),
        user_data: server.user_data.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_vm_keeps_addresses_groups_volumes_and_user_data() {
    let deployed = Deployed::new(
        Faults {
            build_delay_ms: 50,
            volume_delay_ms: 50,
            ..Faults::default()
        },
        |records| {
            with_volumes(records);
            with_group(records);
        },
    )
    .await;
    let vnfr = deployed.vnfr(0).await;
    let old = vnfr["vdur"][0]["vim-id"].clone();
    let before = kept(&deployed, &old);
    assert_eq!((before.volumes.len(), before.group.is_some()), (2, true));
    assert!(before.user_data.as_ref().unwrap().contains("hostname: vnf1-mgmtVM"));
    let neighbour = deployed.vnfr(1).await;

    // One VDU. LCM's whole body; the name of the VDU and its count say which.
    let body = json!({"action_id": "op:heal", "lcmOperationType": "heal", "nsInstanceId": deployed.nsr, "timeout_ns_heal": 600,
        "healVnfData": [{"vnfInstanceId": deployed.vnf(0), "cause": "default",
            "additionalParams": {"run-day1": false, "vdu": [{"vdu-id": "mgmtVM", "count-index": 0, "run-day1": false}]}}]});
    assert_eq!(
        deployed.lcm().operate("recreate", &deployed.nsr, &body).await.unwrap(),
        "op:heal"
    );
    let status = deployed.done("op:heal").await;
    let path = format!("ns/v1/recreate/{}/op%3Aheal", deployed.nsr);
    assert_eq!(deployed.lcm().call("GET", &path, None).await.unwrap().1, status);
    assert_eq!(status["details"], "progress 2/2");
    let (deletion, creation) = (&tasks(&status)[0], &tasks(&status)[1]);
    assert_eq!(
        (&deletion["action"], &deletion["status"]),
        (&json!("DELETE"), &json!("FINISHED"))
    );
    assert_eq!(
        (&deletion["vim_id"], &deletion["volumes_to_hold"]),
        (&old, &json!(before.volumes))
    );
    assert_eq!(
        (&creation["action"], &creation["status"]),
        (&json!("CREATE"), &json!("DONE"))
    );
    assert_eq!(creation["depends_on"], json!(["op:heal:0"]));
    assert!(!creation["params"].to_string().contains("TASK-"), "{creation}");
    let previous = creation["previous_created_volumes"].as_object().unwrap();
    assert_eq!(previous.len(), 2);

    let vnfr = deployed.vnfr(0).await;
    let shown = &vnfr["vdur"][0];
    assert_ne!(shown["vim-id"], old);
    assert_eq!(kept(&deployed, &shown["vim-id"]), before);
    assert_eq!(
        (&shown["status"], &shown["vim_info"][TARGET]["vim_status"]),
        (&json!("ACTIVE"), &json!("ACTIVE"))
    );
    assert_eq!(shown["vim_info"][TARGET]["vim_id"], shown["vim-id"]);
    for (index, (_, mac, ip)) in before.addresses.iter().enumerate() {
        assert_eq!(
            (
                &shown["interfaces"][index]["ip-address"],
                &shown["interfaces"][index]["mac-address"]
            ),
            (&json!(ip), &json!(mac))
        );
    }
    assert_eq!(vnfr["ip-address"], before.addresses[0].2.as_str());
    assert_eq!(deployed.vnfr(1).await, neighbour, "nobody else is touched");
    let inventory = deployed.vim.inventory();
    assert_eq!(
        (inventory.servers.len(), inventory.ports.len(), inventory.volumes.len()),
        (2, 4, 4)
    );
    // Earlier actions keep their history.
    let earlier = deployed.lcm().status(&deployed.nsr, "instantiate").await.unwrap();
    assert_eq!(tasks(&earlier).len(), 7);
    assert_eq!(earlier["status"], "DONE");

    // Several VNFs, all VDUs of each, twice in a row.
    for _ in 0..2 {
        let body = json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(0)}, {"vnfInstanceId": deployed.vnf(1), "additionalParams": {}}]});
        let status = deployed.run("recreate", &body).await;
        assert_eq!(tasks(&status).len(), 4);
        assert_eq!(kept(&deployed, &deployed.vnfr(0).await["vdur"][0]["vim-id"]), before);
    }
    // The next deploy finds everything as wanted.
    let again = deployed.deploy("again").await;
    assert_eq!(tasks(&again).len(), 0, "{again:#}");
    deployed.terminate().await;
    let inventory = deployed.vim.inventory();
    assert_eq!(
        (inventory.created(), inventory.volumes.len()),
        (2, 2),
        "what was to be kept is kept, and nothing else: {inventory:#?}"
    );
    assert!(inventory.volumes.iter().all(|volume| volume.meta.name.ends_with("-v1")));
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_somebody_deleted_comes_back_with_its_volumes() {
    let mut deployed = Deployed::prepared(Faults::default(), with_volumes).await;
    // Idle VMs are looked at each second: the loss is seen without anybody asking.
    deployed.host.kill();
    deployed.setup.arguments = vec!["--idle-period".to_owned(), "1".to_owned()];
    deployed.host = Host::start(&deployed.setup).unwrap();
    deployed.deploy("instantiate").await;
    let vnfr = deployed.vnfr(0).await;
    let before = kept(&deployed, &vnfr["vdur"][0]["vim-id"]);
    let id = vnfr["vdur"][0]["vim-id"].as_str().unwrap().to_owned();
    deployed.delete_in_the_vim("servers", &id).await;
    wait_until("the loss to be seen", LIMIT, async || {
        let vnfr = deployed.vnfr(0).await;
        Ok(vnfr["vdur"][0]["vim_info"][TARGET]["vim_status"] == "DELETED")
    })
    .await
    .unwrap();
    deployed
        .run(
            "recreate",
            &json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(0)}]}),
        )
        .await;
    let vnfr = deployed.vnfr(0).await;
    assert_eq!(kept(&deployed, &vnfr["vdur"][0]["vim-id"]), before);
    assert_eq!(vnfr["vdur"][0]["status"], "ACTIVE");
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 2, "the kept volumes of two VMs");
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreation_that_fails_loses_nothing_and_can_be_asked_for_again() {
    let deployed = Deployed::new(Faults::default(), with_volumes).await;
    let vnfr = deployed.vnfr(0).await;
    let before = kept(&deployed, &vnfr["vdur"][0]["vim-id"]);
    let faults = json!({"server_error": [{"name": "*vnf1*", "message": "no valid host"}]});
    deployed
        .vim
        .set_faults(serde_json::from_value(faults).unwrap())
        .unwrap();
    let heal = json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(0)}]});
    let action = deployed.lcm().operate("recreate", &deployed.nsr, &heal).await.unwrap();
    let failed = deployed.failed(&action).await;
    assert!(failed.contains("Error at create vdu: no valid host"), "{failed}");
    let vnfr = deployed.vnfr(0).await;
    assert_eq!(vnfr["vdur"][0]["vim_info"][TARGET]["vim_message"], "no valid host");
    deployed.vim.set_faults(Faults::default()).unwrap();
    deployed.run("recreate", &heal).await;
    let vnfr = deployed.vnfr(0).await;
    assert_eq!(kept(&deployed, &vnfr["vdur"][0]["vim-id"]), before);
    assert_eq!(vnfr["vdur"][0]["status"], "ACTIVE");
    assert!(vnfr["vdur"][0]["vim_info"][TARGET]["vim_message"].is_null());
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 2, "the kept volumes of two VMs");
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_dies_at_any_point_of_a_recreation_goes_on_with_it() {
    let mut random = Random::seeded("deaths during recreations");
    let mut deployed = Deployed::new(
        Faults {
            latency_ms: 10,
            build_delay_ms: 100,
            ..Faults::default()
        },
        with_volumes,
    )
    .await;
    let first: Vec<Kept> = [deployed.vnfr(0).await, deployed.vnfr(1).await]
        .iter()
        .map(|vnfr| kept(&deployed, &vnfr["vdur"][0]["vim-id"]))
        .collect();
    for round in 0..6 {
        let action = format!("heal-{round}");
        let body = json!({"action_id": action, "healVnfData": [
            {"vnfInstanceId": deployed.vnf(0)}, {"vnfInstanceId": deployed.vnf(1)}]});
        deployed.lcm().operate("recreate", &deployed.nsr, &body).await.unwrap();
        let pause = Duration::from_millis(random.below(600));
        // Where it dies is what is drawn here, not what is waited for.
        tokio::time::sleep(pause).await;
        deployed.host.kill();
        deployed.host = Host::start(&deployed.setup).unwrap();
        deployed.done(&action).await;
        for (index, before) in first.iter().enumerate() {
            let vnfr = deployed.vnfr(index).await;
            assert_eq!(
                kept(&deployed, &vnfr["vdur"][0]["vim-id"]),
                *before,
                "round {round}, killed after {pause:?}"
            );
        }
        let inventory = deployed.vim.inventory();
        assert_eq!(
            (inventory.servers.len(), inventory.ports.len(), inventory.volumes.len()),
            (2, 4, 4)
        );
    }
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 2, "the kept volumes of two VMs");
    deployed.vim.stop().await.unwrap();
}
