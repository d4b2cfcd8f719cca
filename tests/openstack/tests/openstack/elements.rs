//! Elements that no service of the other tests has, made by the connector in this process: networks on physical networks, of two
//! segments and of IPv6, a flavour with extra specs, a volume of several servers, ports without port security, a configuration drive.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use vimhost_connector::{
    Call, CloudConfig, CreateRequest, Created, DeleteRequest, DeleteStep, ElementKind, FlavourData, InterfaceKind,
    InterfaceUse, IpProfile, Journal, NetworkKind, NetworkRequest, PortSecurityDisableStrategy, ProviderNetwork,
    ServerInterface, ServerRequest, Step, VolumeRequest,
};
use vimhost_model::VimId;
use vimhost_openstack_tests::{Cloud, Inventory};

use crate::direct::{Direct, Notes, now};
use crate::lab_only::lab;
use crate::service::{ACCOUNT, LIMIT, assert_as_before, image, network, turn};

/// An element that was made, and what is needed to delete it.
struct Made {
    kind: ElementKind,
    token: String,
    created: Created,
    notes: Arc<Notes>,
}

impl Made {
    fn id(&self) -> String {
        self.created.id.to_string()
    }
}

fn call(token: &str, notes: &Arc<Notes>, state: Option<Vec<u8>>) -> Call {
    Call {
        token: token.to_owned(),
        operation: None,
        attempt: 0,
        state,
        entries: notes.entries(),
        now: now(),
        journal: Arc::clone(notes) as Arc<dyn Journal>,
    }
}

async fn make(direct: &Direct, kind: ElementKind, name: &str, request: CreateRequest) -> Made {
    let (token, notes) = (format!("direct-{name}"), Arc::new(Notes::default()));
    let (begun, mut state) = (SystemTime::now(), None);
    loop {
        let call = call(&token, &notes, state.take());
        match direct.connector.create(call, request.clone()).await.unwrap() {
            Step::Done(created) => {
                return Made {
                    kind,
                    token,
                    created,
                    notes,
                };
            }
            Step::Pending(pending) => {
                assert!(begun.elapsed().unwrap() < LIMIT, "{token}: {}", pending.reason);
                tokio::time::sleep(pending.again_in).await;
                state = pending.state;
            }
        }
    }
}

async fn unmake(direct: &Direct, made: &Made) {
    let request = DeleteRequest {
        kind: made.kind,
        id: Some(made.created.id.clone()),
        hold: Vec::new(),
    };
    let (begun, mut state) = (SystemTime::now(), None);
    loop {
        let call = call(&made.token, &made.notes, state.take());
        let pause = match direct.connector.delete(call, request.clone()).await.unwrap() {
            DeleteStep::Done => return,
            // An engine would observe it until it is gone.
            DeleteStep::Accepted => Duration::from_secs(1),
            DeleteStep::Pending(pending) => {
                state = pending.state;
                pending.again_in
            }
        };
        assert!(begun.elapsed().unwrap() < LIMIT, "{} does not go", made.token);
        tokio::time::sleep(pause).await;
    }
}

fn of_this_run(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn shown(cloud: &Cloud, kind: &str, id: &str) -> Value {
    cloud.openstack(&[kind, "show", id]).unwrap()
}

fn id_of(cloud: &Cloud, kind: &str, name: &str) -> VimId {
    VimId::new(shown(cloud, kind, name)["id"].as_str().unwrap()).unwrap()
}

fn a_network(name: &str, kind: Option<NetworkKind>) -> NetworkRequest {
    NetworkRequest {
        name: of_this_run(name),
        kind,
        shared: false,
        ip_profile: None,
        provider: None,
    }
}

async fn make_network(direct: &Direct, request: NetworkRequest) -> Made {
    let name = request.name.clone();
    make(direct, ElementKind::Network, &name, CreateRequest::Network(request)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn networks_are_on_the_physical_networks_and_of_the_addresses_that_are_asked_for() {
    let _turn = turn().await;
    let cloud = lab();
    let before = Inventory::of(cloud).unwrap();
    let account = cloud.account(ACCOUNT).unwrap();
    let physical = account.clone().setting("dataplane_physical_net", json!(["physnet1"]));
    let direct = Direct::on(&physical).await;

    // First, because what Neutron chooses could be this one.
    let mut asked = a_network("asked", None);
    asked.provider = Some(ProviderNetwork {
        segmentation_id: Some(177),
        extra: json!({}),
        ..ProviderNetwork::default()
    });
    let asked = make_network(&direct, asked).await;
    let data = make_network(&direct, a_network("data", Some(NetworkKind::Data))).await;
    for (made, vlan) in [(&asked, 177..=177), (&data, 100..=199)] {
        let network = shown(cloud, "network", &made.id());
        assert_eq!(
            (&network["provider:network_type"], &network["provider:physical_network"]),
            (&json!("vlan"), &json!("physnet1"))
        );
        let id = network["provider:segmentation_id"].as_u64().unwrap();
        assert!(vlan.contains(&id), "{network}");
    }

    let mut six = a_network("six", None);
    six.ip_profile = Some(IpProfile {
        ipv6: true,
        ipv6_address_mode: Some("slaac".to_owned()),
        ..IpProfile::default()
    });
    let six = make_network(&direct, six).await;
    let subnets = cloud.list(&["subnet", "list", "--network", &six.id()]).unwrap();
    assert_eq!(subnets.len(), 1, "{subnets:?}");
    let subnet = shown(cloud, "subnet", subnets[0]["ID"].as_str().unwrap());
    assert_eq!(
        (
            &subnet["ip_version"],
            &subnet["ipv6_address_mode"],
            &subnet["ipv6_ra_mode"]
        ),
        (&json!(6), &json!("slaac"), &json!("slaac"))
    );
    assert!(subnet["cidr"].as_str().unwrap().starts_with("fd"), "{subnet}");

    let of_two = account
        .setting("dataplane_physical_net", json!("physnet2"))
        .setting("multisegment_support", json!(true))
        .setting("multisegment_vlan_range", json!(["250 - 259"]));
    let direct_of_two = Direct::on(&of_two).await;
    let double = make_network(&direct_of_two, a_network("double", Some(NetworkKind::Data))).await;
    let segments = cloud
        .list(&["network", "segment", "list", "--network", &double.id()])
        .unwrap();
    let mut types: Vec<&str> = segments
        .iter()
        .map(|segment| segment["Network Type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(types, ["vlan", "vxlan"], "{segments:?}");

    for made in [&asked, &data, &six] {
        unmake(&direct, made).await;
    }
    unmake(&direct_of_two, &double).await;
    assert_as_before(cloud, &before, 0).await;
}

/// A volume type whose volumes can be of several servers, until this is dropped.
struct SharedType<'c> {
    cloud: &'c Cloud,
    name: String,
}

impl<'c> SharedType<'c> {
    fn new(cloud: &'c Cloud) -> Self {
        let name = of_this_run("shared");
        cloud
            .openstack(&["volume", "type", "create", "--property", "multiattach=<is> True", &name])
            .unwrap();
        Self { cloud, name }
    }
}

impl Drop for SharedType<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.cloud.openstack_do(&["volume", "type", "delete", &self.name]) {
            eprintln!("the lab keeps a volume type of this test: {error:#}");
        }
    }
}

fn insecure(network: &VimId, strategy: Option<PortSecurityDisableStrategy>) -> ServerInterface {
    ServerInterface {
        name: None,
        network: network.clone(),
        kind: InterfaceKind::Virtual,
        use_for: InterfaceUse::Bridge,
        model: None,
        vpci: None,
        ip_addresses: Vec::new(),
        mac_address: None,
        port_security: Some(false),
        port_security_disable_strategy: strategy,
        floating_ip: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn flavours_volumes_and_servers_have_the_rarer_things_that_are_asked_for() {
    let _turn = turn().await;
    let cloud = lab();
    let before = Inventory::of(cloud).unwrap();
    let direct = Direct::on(&cloud.account(ACCOUNT).unwrap()).await;

    let name = of_this_run("pinned");
    let pinned = CreateRequest::Flavour(FlavourData {
        name: Some(name.clone()),
        ram: 512,
        vcpus: 2,
        disk: 1,
        extended: Some(json!({"mempage-size": "LARGE", "cpu-pinning-policy": "DEDICATED"})),
        ..FlavourData::default()
    });
    let pinned = make(&direct, ElementKind::Flavour, &name, pinned).await;
    let specs = shown(cloud, "flavor", &pinned.id())["properties"].to_string();
    for word in ["hw:mem_page_size", "large", "hw:cpu_policy", "dedicated"] {
        assert!(specs.contains(word), "no {word} in {specs}");
    }

    let shared_type = SharedType::new(cloud);
    let name = of_this_run("volume");
    let volume = CreateRequest::Volume(VolumeRequest {
        name: name.clone(),
        size: 1,
        multi_attach: true,
        availability_zone: None,
    });
    let volume = make(&direct, ElementKind::Volume, &name, volume).await;
    let told = shown(cloud, "volume", &volume.id());
    assert_eq!(
        (&told["multiattach"], &told["type"]),
        (&json!(true), &json!(shared_type.name))
    );

    let private = id_of(cloud, "network", &network());
    let name = of_this_run("open");
    let open = CreateRequest::Server(Box::new(ServerRequest {
        name: name.clone(),
        description: None,
        start: true,
        image: Some(id_of(cloud, "image", &image())),
        flavour: id_of(cloud, "flavor", "m1.tiny"),
        interfaces: vec![
            insecure(&private, None),
            insecure(&private, Some(PortSecurityDisableStrategy::AllowAddressPairs)),
        ],
        disks: Vec::new(),
        groups: Vec::new(),
        cloud_config: Some(CloudConfig {
            boot_data_drive: Some(true),
            ..CloudConfig::default()
        }),
        availability_zone: None,
        security_groups: Vec::new(),
    }));
    let open = make(&direct, ElementKind::Server, &name, open).await;
    let server = shown(cloud, "server", &open.id());
    assert_eq!(server["status"], "ACTIVE", "its ports are changed when it runs");
    assert_eq!(server["config_drive"], "True", "{server}");
    let ports: Vec<Value> = open
        .created
        .interfaces
        .iter()
        .map(|port| shown(cloud, "port", &port.as_ref().unwrap().to_string()))
        .collect();
    assert_eq!(ports.len(), 2);
    assert_eq!(ports[0]["port_security_enabled"], false, "{}", ports[0]);
    assert_eq!(ports[1]["port_security_enabled"], true, "{}", ports[1]);
    let pairs = ports[1]["allowed_address_pairs"].to_string();
    assert!(pairs.contains("0.0.0.0/0"), "{pairs}");

    for made in [&open, &volume, &pinned] {
        unmake(&direct, made).await;
    }
    drop(shared_type);
    assert_as_before(cloud, &before, 0).await;
}
