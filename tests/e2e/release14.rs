//! What releases 14 and later of OSM ask for, in LCM's form of the body.

use mock_vim::Faults;
use mock_vim::elements::VolumeStatus;
use serde_json::{Value, json};
use vimhost_tests::{Lcm, Records};

use crate::deployed::{Deployed, TARGET, tasks};

/// What NBI makes of the storage's id and the descriptor's.
const VOLUME: &str = "shared-data-k8s_proxy_charm-vnf";

/// A volume that all VMs attach, as NBI writes it into the records.
fn with_a_shared_volume(records: &mut Records) {
    let storage = |id: &str| {
        json!({"id": id, "type-of-storage": "persistent-storage", "size-of-storage": "3",
               "vdu-storage-requirements": [{"key": "multiattach", "value": "True"}]})
    };
    records.nsr["shared-volumes"] = json!([storage(VOLUME)]);
    for vnfr in &mut records.vnfrs {
        vnfr["vdur"][0]["virtual-storages"] = json!([{"id": "root"}, storage("data")]);
        vnfr["vdur"][0]["shared-volumes-id"] = json!(["data"]);
    }
}

fn body(deployed: &Deployed, action: &str) -> Value {
    let mut body = deployed.body(action);
    let mut volumes = deployed.records.nsr["shared-volumes"].clone();
    volumes[0]["vim_info"] = json!({TARGET: {}});
    body["shared-volumes"] = volumes;
    body
}

async fn deploy(deployed: &Deployed, body: &Value) -> Value {
    let action = deployed.lcm().deploy(&deployed.nsr, body).await.unwrap();
    deployed.done(&action).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_volume_is_made_once_attached_by_all_and_goes_with_the_last() {
    let slow = Faults {
        volume_delay_ms: 50,
        ..Faults::default()
    };
    let mut deployed = Deployed::prepared(slow, with_a_shared_volume).await;
    let status = deploy(&deployed, &body(&deployed, "instantiate")).await;
    let task = tasks(&status)
        .iter()
        .find(|task| task["item"] == "shared-volumes")
        .unwrap();
    assert_eq!(
        task["params"],
        json!({"name": VOLUME, "size": 3, "type": "persistent-storage", "keep": false})
    );
    let reference = format!("nsrs:{}:shared-volumes.{VOLUME}", deployed.nsr);
    assert_eq!(task["target_record_id"], reference.as_str());
    let vms: Vec<&Value> = tasks(&status).iter().filter(|task| task["item"] == "vdu").collect();
    assert_eq!(vms.len(), 2);
    for vm in vms {
        assert!(vm["depends_on"].as_array().unwrap().contains(&json!(reference)), "{vm}");
        let disk = json!([{"name": VOLUME, "multiattach": true, "size": 3, "keep": false}]);
        assert_eq!(vm["params"]["disk_list"], disk);
    }
    let inventory = deployed.vim.inventory();
    assert_eq!(inventory.volumes.len(), 1, "{:#?}", inventory.volumes);
    let volume = &inventory.volumes[0];
    assert_eq!(
        (
            volume.meta.name.as_str(),
            volume.size,
            volume.servers.len(),
            volume.status
        ),
        (VOLUME, 3, 2, VolumeStatus::InUse)
    );
    let nsr = deployed.record("nsrs", &deployed.nsr).await;
    let info = &nsr["shared-volumes"][0]["vim_info"][TARGET];
    assert_eq!(
        (&info["vim_id"], &info["vim_status"], &info["vim_name"]),
        (&json!(volume.meta.id), &json!("ACTIVE"), &json!(VOLUME))
    );

    // One VNF goes, the volume stays with the other.
    let mut less = body(&deployed, "less");
    less["vnf"].as_array_mut().unwrap().pop();
    deploy(&deployed, &less).await;
    let volumes = deployed.vim.inventory().volumes;
    assert_eq!((volumes.len(), volumes[0].servers.len()), (1, 1));
    deploy(&deployed, &body(&deployed, "more")).await;
    let volumes = deployed.vim.inventory().volumes;
    assert_eq!((volumes.len(), volumes[0].servers.len()), (1, 2));

    // A VM that is made anew attaches the same one.
    let heal = json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(0)}]});
    deployed.run("recreate", &heal).await;
    let healed = deployed.vim.inventory().volumes;
    assert_eq!((healed.len(), healed[0].servers.len()), (1, 2));
    assert_eq!(healed[0].meta.id, volume.meta.id);

    // LCM of release 14 and later ends it with a list that is empty, earlier ones without.
    let mut end = Lcm::terminate_body("terminate");
    end["shared-volumes"] = json!([]);
    deploy(&deployed, &end).await;
    assert_eq!(deployed.vim.inventory().created(), 0, "{:#?}", deployed.vim.inventory());

    // One that is to be kept outlives the service.
    let requirement = json!({"key": "keep-volume", "value": "true"});
    let requirements = &mut deployed.records.nsr["shared-volumes"][0]["vdu-storage-requirements"];
    requirements.as_array_mut().unwrap().push(requirement);
    deploy(&deployed, &body(&deployed, "again")).await;
    deployed.terminate_as("end").await;
    let inventory = deployed.vim.inventory();
    assert_eq!((inventory.created(), inventory.volumes.len()), (1, 1), "{inventory:#?}");
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_flavours_and_security_groups_of_a_vdu_reach_the_vim() {
    let deployed = Deployed::prepared(Faults::default(), |_| {}).await;
    let flavour = json!({"name": "big", "vcpus": 8, "ram": 16384, "disk": 1});
    let flavour = deployed.create_in_the_vim("flavours", &flavour).await;
    let mut body = deployed.body("instantiate");
    let osm = &mut body["vnf"][0]["vdur"][0]["additionalParams"]["OSM"];
    osm["instance_name"] = json!("edge-router");
    osm["security-group-name"] = json!("open");
    osm["vim_flavor_id"] = json!(flavour);
    let mut replica = body["vnf"][0]["vdur"][0].clone();
    replica["id"] = json!("replica");
    replica["count-index"] = json!(1);
    body["vnf"][0]["vdur"].as_array_mut().unwrap().push(replica);
    deploy(&deployed, &body).await;
    let servers = deployed.vim.inventory().servers;
    let named = |name: &str| servers.iter().find(|server| server.meta.name == name).unwrap();
    for name in ["edge-router", "edge-router-1"] {
        let server = named(name);
        assert_eq!(server.meta.metadata["security_groups"], json!(["open"]));
        assert_eq!(server.flavour, flavour);
    }
    let other = named("k8s-ns-vnf2-mgmtVM-0");
    assert_eq!(other.meta.metadata["security_groups"], json!([]));
    assert_ne!(other.flavour, flavour, "one VDU's flavour is its own");
    deployed.terminate().await;
    let inventory = deployed.vim.inventory();
    assert_eq!(
        (inventory.created(), inventory.flavours.len()),
        (1, 1),
        "the operator's flavour stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ip_profiles_of_both_dialects_make_the_same_network() {
    let profiles = [
        json!({"ip-version": "ipv4", "subnet-address": "10.77.0.0/24", "gateway-address": "10.77.0.1",
               "dns-server": [{"address": "8.8.8.8"}, {"address": "8.8.4.4"}],
               "dhcp-params": {"enabled": true, "start-address": "10.77.0.10", "count": 50}}),
        json!({"ip_version": "IPv4", "subnet_address": "10.77.0.0/24", "gateway_address": "10.77.0.1",
               "dns_address": "8.8.8.8;8.8.4.4", "dhcp_enabled": "true", "dhcp_start_address": "10.77.0.10", "dhcp_count": 50}),
    ];
    let deployed = Deployed::prepared(Faults::default(), |_| {}).await;
    let mut made = Vec::new();
    for (number, profile) in profiles.into_iter().enumerate() {
        let mut body = deployed.body(&format!("deploy-{number}"));
        for vld in body["ns"]["vld"].as_array_mut().unwrap() {
            if vld["id"] == "datanet" {
                vld["vim_info"][TARGET]["ip_profile"] = profile.clone();
            }
        }
        deploy(&deployed, &body).await;
        let networks = deployed.vim.inventory().networks;
        let network = networks.iter().find(|network| !network.meta.preset).unwrap();
        made.push((network.subnet.to_string(), network.ip_profile.clone()));
        deployed.terminate_as(&format!("terminate-{number}")).await;
    }
    assert_eq!(made[0], made[1]);
    assert_eq!(
        (made[0].0.as_str(), &made[0].1["dhcp_enabled"]),
        ("10.77.0.0/24", &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn service_function_chains_are_refused_with_the_reason() {
    let deployed = Deployed::prepared(Faults::default(), |_| {}).await;
    let mut body = deployed.body("chains");
    body["vnffg"] = json!([{"sfp": [{"id": "a"}]}]);
    let path = format!("ns/v1/deploy/{}", deployed.nsr);
    let (status, answer) = deployed.lcm().call("POST", &path, Some(&body)).await.unwrap();
    assert_eq!(status, 422);
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("service function chains are not served"),
        "{answer}"
    );
    assert_eq!(deployed.vim.inventory().created(), 0);
}

/// LCM never sends them: NG-RO reads them from the descriptor that the NS record has.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_descriptor_has_chains_is_refused_instead_of_being_made_without() {
    let deployed = Deployed::prepared(Faults::default(), |records| {
        records.nsr["nsd"] = json!({"vnffgd": [{"id": "vnffg1", "nfpd": [{"id": "forward"}]}]});
    })
    .await;
    let path = format!("ns/v1/deploy/{}", deployed.nsr);
    let body = deployed.body("chains");
    let (status, answer) = deployed.lcm().call("POST", &path, Some(&body)).await.unwrap();
    assert_eq!(status, 422, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("'vnffgd' of the descriptor"), "{answer}");
    assert_eq!(deployed.vim.inventory().created(), 0);
    let end = Lcm::terminate_body("end");
    let (status, answer) = deployed.lcm().call("POST", &path, Some(&end)).await.unwrap();
    assert_eq!(status, 200, "what wants nothing wants no chains: {answer}");
}
