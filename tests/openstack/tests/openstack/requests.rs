//! How much is asked of the VIM, and what becomes of answers that are lost.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use http_proxy::{Effect, Fault, Proxies};
use serde_json::{Value, json};
use vimhost_openstack_tests::{Cloud, Inventory, cloud};
use vimhost_tests::{Host, Setup, wait_until};

use crate::service::{
    ACCOUNT, LIMIT, Service, THREE_VMS, assert_as_before, assert_made, image, network, three_vms, turn,
};

/// Enough that a request for each VM shows, few enough for a lab on two cores; `VIMHOST_TEST_VMS` asks for more.
const MANY: usize = 15;
const FEW: usize = 4;

async fn proxies(cloud: &Cloud) -> Proxies {
    Proxies::before(&cloud.services().unwrap()).await.unwrap()
}

pub(crate) fn vms(name: &str, count: usize) -> Value {
    json!({
        "name": name, "vim": ACCOUNT,
        "networks": {"mgmt": {"existing": network()}, "data": {"subnet": "10.62.0.0/22"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 256, "disk-gb": 1}},
        "vms": {"vm": {"count": count, "image": image(), "flavour": "small",
                       "interfaces": [{"network": "mgmt", "management": true}, {"network": "data"}]}},
    })
}

pub(crate) async fn act(host: &Host, name: &str, verb: &str, body: Option<Value>) {
    if let Some(service) = body {
        host.admin_ok("PUT", &format!("/v1/network-services/{name}"), Some(service))
            .await
            .unwrap();
    }
    let accepted = host
        .admin_ok("POST", &format!("/v1/network-services/{name}/{verb}"), Some(json!({})))
        .await
        .unwrap();
    let action = accepted["action_id"].as_str().unwrap().to_owned();
    wait_until(&format!("the end of {verb}"), LIMIT, async || {
        let action = host
            .admin_ok("GET", &format!("/v1/network-services/{name}/actions/{action}"), None)
            .await?;
        assert_ne!(action["status"], "FAILED", "{action:#}");
        Ok(action["status"] == "DONE")
    })
    .await
    .unwrap();
}

/// What the poller reads of elements, whether they are being made or idle: as often as a deployment takes long.
const LOOKS: [&str; 6] = [
    "GET compute /servers/detail",
    "GET compute /servers/{id}",
    "GET network /v2.0/floatingips",
    "GET network /v2.0/networks",
    "GET network /v2.0/ports",
    "GET network /v2.0/subnets",
];

/// What one deployment asks, beside looks.
fn asked(counts: &BTreeMap<String, u64>) -> u64 {
    counts
        .iter()
        .filter(|(what, _)| !LOOKS.contains(&what.as_str()))
        .map(|(_, count)| count)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn a_vm_costs_at_most_four_requests_an_account_one_token_and_many_vms_no_more_looks_than_few() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let proxies = proxies(cloud).await;
    let dir = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(dir.path());
    setup.arguments = vec!["--idle-period".to_owned(), "1".to_owned()];
    let host = Host::start(&setup).unwrap();
    cloud
        .account_through(ACCOUNT, &proxies)
        .unwrap()
        .add(&host)
        .await
        .unwrap();
    let many = std::env::var("VIMHOST_TEST_VMS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(MANY);
    let name = format!("requests-{}", std::process::id());

    act(&host, &name, "deploy", Some(vms(&name, 1))).await;
    let counts = proxies.counts();
    assert_eq!(counts.get("POST identity /auth/tokens"), Some(&1), "{counts:#?}");
    let created = |counts: &BTreeMap<String, u64>| counts.get("POST compute /servers").copied().unwrap_or_default();
    assert_eq!(created(&counts), 1, "{counts:#?}");

    // What more VMs cost is what each of them costs: what is shared is there.
    let _of_the_first = proxies.take_counts();
    act(&host, &name, "deploy", Some(vms(&name, FEW))).await;
    let counts = proxies.take_counts();
    let more = u64::try_from(FEW - 1).unwrap();
    assert_eq!(created(&counts), more);
    assert!(
        asked(&counts) <= 4 * more,
        "{} requests for {more} VMs: {counts:#?}",
        asked(&counts)
    );

    let few = looks(&proxies).await;
    act(&host, &name, "deploy", Some(vms(&name, many))).await;
    let counts = proxies.take_counts();
    assert_eq!(created(&counts), u64::try_from(many - FEW).unwrap());
    let lots = looks(&proxies).await;
    println!("looks in the same time: {few} at {FEW} VMs, {lots} at {many}");
    // A round takes a little longer with more VMs, so there may be fewer.
    assert!(lots <= few + few / 4 + 1, "{lots} looks at {many} VMs, {few} at {FEW}");
    assert_eq!(
        proxies.counts().get("POST identity /auth/tokens"),
        None,
        "the token is kept"
    );
    act(&host, &name, "terminate", None).await;
    assert_as_before(cloud, &before, 0).await;
}

/// Requests while nothing but looking happens.
async fn looks(proxies: &Proxies) -> u64 {
    let _before = proxies.take_counts();
    // A span to count in, not a wait for anything.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let counts = proxies.take_counts();
    assert!(counts.keys().all(|what| what.starts_with("GET ")), "{counts:#?}");
    let looks = counts.values().sum();
    assert!(looks > 0, "nothing was observed");
    looks
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an OpenStack; `cargo xtask test --lab` has one"]
async fn answers_that_are_lost_and_services_that_go_away_make_nothing_twice() {
    let _turn = turn().await;
    let cloud = cloud();
    let before = Inventory::of(cloud).unwrap();
    let proxies = proxies(cloud).await;
    let account = cloud.account_through(ACCOUNT, &proxies).unwrap();
    let service = Service::new("lost", &account, &[], three_vms).await;
    let lose = |name: &str, path: &str| {
        proxies.inject(
            Fault::new(Effect::LoseAnswer)
                .service(name)
                .request(Method::POST, path)
                .times(1),
        );
    };
    lose("compute", "/servers");
    lose("compute", "/os-server-groups");
    lose("compute", "/flavors");
    lose("network", "/v2.0/networks");
    lose("network", "/v2.0/subnets");
    lose("network", "/v2.0/ports");
    lose("network", "/v2.0/floatingips");
    lose("volumev3", "/volumes");
    lose("block-storage", "/volumes");
    let busy = Effect::Refuse {
        status: StatusCode::SERVICE_UNAVAILABLE,
        retry_after: Some(1),
    };
    proxies.inject(Fault::new(busy.clone()).service("compute").after(5).times(3));
    proxies.inject(Fault::new(busy).service("network").after(7).times(3));
    service.deploy("instantiate").await;
    assert_made(cloud, &before, &THREE_VMS);

    // Deletions whose answers are lost, and a network service that is gone for a while.
    for (name, path) in [
        ("compute", "/servers/{id}"),
        ("network", "/v2.0/ports/{id}"),
        ("network", "/v2.0/networks/{id}"),
    ] {
        proxies.inject(
            Fault::new(Effect::LoseAnswer)
                .service(name)
                .request(Method::DELETE, path)
                .times(1),
        );
    }
    let action = service
        .lcm()
        .deploy(&service.nsr, &vimhost_tests::Lcm::terminate_body("terminate"))
        .await
        .unwrap();
    proxies.cut("network");
    let refused = Fault::new(Effect::Delay(Duration::from_millis(300))).service("compute");
    proxies.inject(refused);
    // How long the service is away is what is tested; what is waited for comes after.
    tokio::time::sleep(Duration::from_secs(5)).await;
    proxies.mend();
    service.done(&action).await;
    assert_as_before(cloud, &before, 1).await;
}
