//! Connectivity services of SDN controllers and WIMs between data-plane interfaces of VMs, from LCM's calls to the controller.

use std::collections::BTreeSet;
use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, Random, Records, Setup, start_vim};

use crate::deployed::{ACCOUNT, Deployed, TARGET, tasks};

const CONTROLLER: &str = "5d1d2c2e-7d5d-4d9a-9a3b-7f1f0c0c0c01";

/// Every host and function of the mock VIM's network cards.
fn mapping() -> Value {
    let ports = |switch: &str| json!([{"pci": "0000:af:1[0-9a-f].[0-7]", "switch_id": switch, "switch_port": 1}]);
    json!([{"compute_node": "compute1", "ports": ports("of:1")}, {"compute_node": "compute2", "ports": ports("of:2")}])
}

async fn map_ports(host: &Host, account: &str, mapping: Value) {
    let config = json!({"config": {"sdn-port-mapping": mapping}});
    let path = format!("/v1/vims/{account}");
    host.admin_ok("PATCH", &path, Some(config)).await.unwrap();
}

/// The second interface of each VM is at the data plane.
fn at_the_data_plane(records: &mut Records) {
    for vnfr in &mut records.vnfrs {
        vnfr["vdur"][0]["interfaces"][1]["type"] = json!("SR-IOV");
    }
}

/// A service that a controller joins, prepared; nothing is mapped yet.
async fn prepared(faults: Faults) -> (Deployed, mock_vim::Server) {
    let mut deployed = Deployed::prepared(faults, at_the_data_plane).await;
    let controller = start_vim(Faults::default()).await.unwrap();
    deployed
        .host
        .add_account("sdns", CONTROLLER, &controller.url())
        .await
        .unwrap();
    // As LCM writes it for a VIM account with an SDN controller.
    let info = json!({"sdn": true, "target_vim": TARGET, "vlds": [format!("nsrs:{}:vld.datanet", deployed.nsr)], "type": "ELAN"});
    deployed.joined_by = Some((format!("sdn:{CONTROLLER}"), info));
    (deployed, controller)
}

async fn joined(faults: Faults) -> (Deployed, mock_vim::Server) {
    let (deployed, controller) = prepared(faults).await;
    map_ports(&deployed.host, ACCOUNT, mapping()).await;
    deployed.deploy("instantiate").await;
    (deployed, controller)
}

/// The ends of the one service of a controller.
fn ends(controller: &mock_vim::Server) -> BTreeSet<String> {
    let services = controller.inventory().connectivity_services;
    assert_eq!(services.len(), 1, "{services:#?}");
    let end = |end: &Value| end["service_endpoint_id"].as_str().unwrap().to_owned();
    services[0].endpoints.iter().map(end).collect()
}

/// Where interfaces at the data plane are.
fn interfaces(vim: &mock_vim::Server) -> BTreeSet<String> {
    let ports = vim.inventory().ports;
    let place = |port: &std::sync::Arc<mock_vim::elements::Port>| {
        Some(format!("{}:{}", port.host.as_ref()?, port.pci.as_ref()?))
    };
    ports.iter().filter_map(place).collect()
}

/// The controller's service has so many ends, and they are where the VMs are.
#[track_caller]
fn assert_joined(controller: &mock_vim::Server, deployed: &Deployed, count: usize) {
    let ends = ends(controller);
    assert_eq!((ends.len(), ends), (count, interfaces(&deployed.vim)));
}

#[track_caller]
fn assert_nothing_left(controller: &mock_vim::Server, deployed: &Deployed) {
    assert_eq!(
        (controller.inventory().created(), deployed.vim.inventory().created()),
        (0, 0)
    );
}

async fn shown(deployed: &Deployed) -> Value {
    let nsr = deployed.record("nsrs", &deployed.nsr).await;
    let vlds = nsr["vld"].as_array().unwrap();
    let data = vlds.iter().find(|vld| vld["id"] == "datanet").unwrap();
    data["vim_info"][format!("sdn:{CONTROLLER}")].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_follows_its_vms_from_instantiation_to_the_end() {
    let slow = Faults {
        build_delay_ms: 100,
        ..Faults::default()
    };
    let (mut deployed, controller) = joined(slow).await;
    assert_joined(&controller, &deployed, 2);
    let service = controller.inventory().connectivity_services[0].clone();
    let port = deployed
        .vim
        .inventory()
        .ports
        .into_iter()
        .find(|port| port.pci.is_some())
        .unwrap();
    let id = format!("{}:{}", port.host.as_ref().unwrap(), port.pci.as_ref().unwrap());
    let end = service
        .endpoints
        .iter()
        .find(|end| end["service_endpoint_id"] == id)
        .unwrap();
    let switch = if port.host.as_deref() == Some("compute1") {
        "of:1"
    } else {
        "of:2"
    };
    assert_eq!(
        (&end["switch_dpid"], &end["switch_port"], &end["vlan"], &end["mac"]),
        (&json!(switch), &json!("1"), &json!(port.vlan), &json!(port.mac))
    );
    assert_eq!(end["service_endpoint_encapsulation_type"], "dot1q");
    let record = shown(&deployed).await;
    assert_eq!(
        (&record["vim_id"], &record["vim_status"], &record["sdn"]),
        (&json!(service.meta.id), &json!("ACTIVE"), &json!(true))
    );
    let status = deployed.lcm().status(&deployed.nsr, "instantiate").await.unwrap();
    let task = tasks(&status).iter().find(|task| task["item"] == "sdn_net").unwrap();
    let reference = format!("nsrs:{}:vld.datanet", deployed.nsr);
    assert_eq!(task["target_record_id"], format!("{reference}.sdn"));
    assert_eq!(
        task["params"],
        json!({"target_vim": TARGET, "vlds": [reference], "type": "ELAN"})
    );
    assert_eq!(task["depends_on"][0], format!("{TARGET} {reference}"));

    deployed.scale_out(2).await;
    assert_joined(&controller, &deployed, 4);
    assert_eq!(
        shown(&deployed).await["vim_id"],
        service.meta.id.as_str(),
        "it is the same service"
    );
    deployed.scale_in("scaled-1").await;
    assert_joined(&controller, &deployed, 3);
    let again = deployed.deploy("again").await;
    assert_eq!(tasks(&again).len(), 0, "{again:#}");

    deployed.terminate().await;
    assert_nothing_left(&controller, &deployed);
    assert!(shown(&deployed).await.is_null());
    let log = deployed.host.stop().unwrap();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    controller.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_migrates_or_is_made_anew_is_joined_where_it_is() {
    let (deployed, controller) = joined(Faults::default()).await;
    let before = ends(&controller);
    deployed
        .run("migrate", &json!({"vnfInstanceId": deployed.vnf(0)}))
        .await;
    assert_ne!(ends(&controller), before);
    assert_eq!(ends(&controller), interfaces(&deployed.vim));
    let heal = json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(1)}]});
    let status = deployed.run("recreate", &heal).await;
    assert_eq!(tasks(&status).len(), 3, "the VM twice, and its service: {status:#}");
    assert_joined(&controller, &deployed, 2);
    let again = deployed.deploy("again").await;
    assert_eq!(tasks(&again).len(), 0, "{again:#}");
    deployed.terminate().await;
    assert_nothing_left(&controller, &deployed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_nobody_has_mapped_is_told_and_joined_once_it_is_mapped() {
    let (deployed, controller) = prepared(Faults::default()).await;
    let action = deployed
        .lcm()
        .deploy(&deployed.nsr, &deployed.body("unmapped"))
        .await
        .unwrap();
    let failed = deployed.failed(&action).await;
    assert!(
        failed.contains("Error at create sdn_net: Port mapping not found for compute_node=compute")
            && failed.contains("'sdn-port-mapping'"),
        "{failed}"
    );
    assert_eq!(
        deployed.vim.inventory().servers.len(),
        2,
        "the VMs are there all the same"
    );
    map_ports(&deployed.host, ACCOUNT, mapping()).await;
    // And the controller refuses once.
    let faults = json!({"fail": [{"kind": "connectivity-services", "operation": "create", "nth": 1, "status": 503}]});
    controller.set_faults(serde_json::from_value(faults).unwrap()).unwrap();
    deployed.deploy("mapped").await;
    assert_eq!(ends(&controller), interfaces(&deployed.vim));
    deployed.terminate().await;
    assert_eq!(controller.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_interface_is_nothing_to_join_until_there_are_two() {
    let (mut deployed, controller) = prepared(Faults::default()).await;
    map_ports(&deployed.host, ACCOUNT, mapping()).await;
    let ordinary = |deployed: &mut Deployed| {
        deployed.records.vnfrs[1]["vdur"][0]["interfaces"][1]["type"] = json!("PARAVIRT");
    };
    ordinary(&mut deployed);
    deployed.deploy("one").await;
    assert_eq!(controller.inventory().created(), 0);
    assert_eq!(shown(&deployed).await["vim_status"], "ACTIVE");
    deployed.scale_out(1).await;
    assert_joined(&controller, &deployed, 2);
    deployed.scale_in("scaled-1").await;
    assert_eq!(controller.inventory().created(), 0, "a service needs two ends");
    let record = shown(&deployed).await;
    assert!(
        record["vim_id"].is_null() && record["vim_status"] == "ACTIVE",
        "{record}"
    );
    deployed.terminate().await;
    assert_nothing_left(&controller, &deployed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wim_joins_a_network_that_spans_two_vims() {
    let second = "0c7f6a52-9a0d-4f43-8f6c-0a1f5b7f0002";
    let wim = "0c7f6a52-9a0d-4f43-8f6c-0a1f5b7f0003";
    let deployed = Deployed::prepared(Faults::default(), at_the_data_plane).await;
    let (other, controller) = (
        start_vim(Faults::default()).await.unwrap(),
        start_vim(Faults::default()).await.unwrap(),
    );
    deployed.host.add_vim(second, &other.url()).await.unwrap();
    deployed.host.add_account("wims", wim, &controller.url()).await.unwrap();
    for account in [ACCOUNT, second] {
        map_ports(&deployed.host, account, mapping()).await;
    }
    let there = format!("vim:{second}");
    let mut body = deployed.body("instantiate");
    for list in ["image", "flavor"] {
        body[list][0]["vim_info"][&there] = json!({});
    }
    for vld in body["ns"]["vld"].as_array_mut().unwrap() {
        vld["vim_info"][&there] = vld["vim_info"][TARGET].clone();
        if vld["id"] == "datanet" {
            // LCM says nothing more when a WIM is asked for.
            vld["vim_info"][format!("wim:{wim}")] = json!({});
        }
    }
    body["vnf"][1]["vdur"][0]["vim_info"] = json!({&there: {}});
    let action = deployed.lcm().deploy(&deployed.nsr, &body).await.unwrap();
    deployed.done(&action).await;
    let here: BTreeSet<String> = interfaces(&deployed.vim);
    let all: BTreeSet<String> = here.union(&interfaces(&other)).cloned().collect();
    assert_eq!((interfaces(&other).len(), here.len()), (1, 1));
    let services = controller.inventory().connectivity_services;
    assert_eq!((services.len(), services[0].endpoints.len()), (1, 2));
    assert_eq!(ends(&controller), all);
    deployed.terminate().await;
    for vim in [&deployed.vim, &other, &controller] {
        assert_eq!(vim.inventory().created(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_dies_at_any_point_has_one_service_with_the_right_ends() {
    let mut random = Random::seeded("deaths while services are made");
    for round in 0..4 {
        let slow = Faults {
            latency_ms: 10,
            build_delay_ms: 60,
            ..Faults::default()
        };
        let (mut deployed, controller) = prepared(slow).await;
        map_ports(&deployed.host, ACCOUNT, mapping()).await;
        for (action, terminates) in [("instantiate", false), ("terminate", true)] {
            let body = if terminates {
                vimhost_tests::Lcm::terminate_body(action)
            } else {
                deployed.body(action)
            };
            deployed.lcm().deploy(&deployed.nsr, &body).await.unwrap();
            // Where it dies is what is drawn here, not what is waited for.
            tokio::time::sleep(Duration::from_millis(random.below(500))).await;
            deployed.host.kill();
            deployed.host = Host::start(&deployed.setup).unwrap();
            deployed.done(action).await;
            if terminates {
                assert_nothing_left(&controller, &deployed);
            } else {
                assert_eq!(
                    (ends(&controller).len(), ends(&controller)),
                    (2, interfaces(&deployed.vim)),
                    "{round}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_are_added_listed_granted_and_removed_on_the_command_line() {
    let controller = start_vim(Faults::default()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(vimhost_tests::binary().unwrap())
            .args(["--server", &host.admin])
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), text)
    };
    let password = dir.path().join("password");
    std::fs::write(&password, vimhost_tests::PASSWORD).unwrap();
    for kind in ["sdn", "wim"] {
        let url = controller.url();
        let file = password.to_str().unwrap();
        let (done, text) = run(&[
            "vim",
            "add",
            "wan",
            "--kind",
            kind,
            "--type",
            "mock",
            "--url",
            &url,
            "--user",
            "mock",
            "--tenant",
            "mock",
            "--password-file",
            file,
        ]);
        assert!(done && text.contains("account wan works"), "{text}");
        let (done, text) = run(&["vim", "--kind", kind, "list"]);
        assert!(done && text.contains("ENABLED"), "{text}");
        let (done, text) = run(&["vim", "allow", "wan", "--kind", kind, "--address", "127.0.0.1"]);
        assert!(
            done && text.contains(&format!("{kind}:wan")) && text.contains("127.0.0.1/32"),
            "{text}"
        );
        let (_, text) = run(&["vim", "list"]);
        assert!(!text.contains("wan"), "no VIM: {text}");
        let (done, text) = run(&["vim", "rm", "wan", "--kind", kind]);
        assert!(done, "{text}");
    }
}
