//! What only a lab lets itself be asked for: hosts that fail, quotas, a catalogue that lacks something.

use serde_json::{Value, json};
use vimhost_openstack_tests::{Account, Cloud, Inventory, cloud};
use vimhost_tests::{Host, Records, Setup};

use crate::service::{ACCOUNT, LIMIT, Service, TARGET, assert_as_before, turn};

/// The lab; on any other cloud these tests have no business.
pub(crate) fn lab() -> &'static Cloud {
    let cloud = cloud();
    assert!(
        cloud.is_lab(),
        "NOT RUN: this needs the lab; `--skip lab_only` leaves it out"
    );
    cloud
}

/// One VM with one interface; an ordinary user finds a flavour for it.
pub(crate) fn one_vm(records: &mut Records) {
    records.nsr["vld"].as_array_mut().unwrap().truncate(1);
    records.nsr["flavor"][0]["memory-mb"] = json!(512);
    records.nsr["flavor"][0]["storage-gb"] = json!("1");
    records.vnfrs.truncate(1);
    let vdur = &mut records.vnfrs[0]["vdur"][0];
    vdur["interfaces"].as_array_mut().unwrap().truncate(1);
}

/// An account that cannot work, and words of the reason it is told with.
async fn assert_check_fails(account: &Account, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    account.add(&host).await.unwrap();
    let path = format!("/v1/vims/{ACCOUNT}/check");
    let (status, answer) = host.admin("POST", &path, Some(json!({}))).await.unwrap();
    assert!(status >= 400, "{answer}");
    let told = answer.to_string();
    for word in words {
        assert!(
            told.to_lowercase().contains(&word.to_lowercase()),
            "no {word:?} in {told}"
        );
    }
    let account = host
        .admin_ok("GET", &format!("/v1/vims/{ACCOUNT}"), None)
        .await
        .unwrap();
    assert_eq!(account["state"], "ERROR", "{account:#}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test` has it"]
async fn an_account_that_cannot_work_says_why() {
    let _turn = turn().await;
    let cloud = lab();
    let good = cloud.account(ACCOUNT).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut account = good.clone();
        *account.body.pointer_mut(pointer).unwrap() = value;
        account
    };
    assert_check_fails(
        &with("/credentials/password", json!("a-password-that-is-wrong")),
        &["401"],
    )
    .await;
    assert_check_fails(&with("/user", json!("nobody")), &["401"]).await;
    assert_check_fails(&with("/tenant", json!("no-such-project")), &["401"]).await;
    assert_check_fails(&good.clone().setting("region_name", json!("Nowhere")), &["Nowhere"]).await;
    let url = good.body["url"].as_str().unwrap().replace("/v3", "/nothing/v3");
    assert_check_fails(&with("/url", json!(url)), &["404"]).await;

    // A region that has but Keystone.
    let region = format!("lonely-{}", std::process::id());
    let url = cloud.auth_url.as_str();
    cloud.openstack(&["region", "create", &region]).unwrap();
    let endpoint = cloud
        .openstack(&["endpoint", "create", "--region", &region, "identity", "public", url])
        .unwrap();
    assert_check_fails(
        &good.clone().setting("region_name", json!(region)),
        &["compute", &region],
    )
    .await;
    cloud
        .openstack_do(&["endpoint", "delete", endpoint["id"].as_str().unwrap()])
        .unwrap();
    cloud.openstack_do(&["region", "delete", &region]).unwrap();
}

/// A deployment that cannot succeed: who asks, what is changed, and words of the reason.
async fn assert_deploy_fails(
    name: &str,
    cloud: &Cloud,
    change: impl FnOnce(&mut Records),
    edit: impl FnOnce(&mut Value),
    words: &[&str],
) {
    let before = Inventory::of(cloud).unwrap();
    let account = cloud.account(ACCOUNT).unwrap();
    let service = Service::new("bad", &account, &[], |records| {
        one_vm(records);
        change(records);
    })
    .await;
    let mut body = service.body(name);
    edit(&mut body);
    let told = service.fails(name, &body).await;
    for word in words {
        assert!(
            told.to_lowercase().contains(&word.to_lowercase()),
            "{name}: no {word:?} in {told}"
        );
    }
    service.terminate().await;
    assert_as_before(cloud, &before, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test` has it"]
async fn what_the_vim_does_not_have_or_not_give_is_told_and_leaves_nothing() {
    let _turn = turn().await;
    let admin = lab();
    // Apart from the tests of the administrator, whose quotas stay as they are.
    let user = admin.of("lab-user").unwrap();
    let as_it_is = |_: &mut Value| {};

    for (option, elements) in [("--instances", "instance"), ("--ports", "port")] {
        admin
            .openstack_do(&["quota", "set", option, "0", &user.project])
            .unwrap();
        assert_deploy_fails("quota", &user, |_| {}, as_it_is, &["quota", elements]).await;
        admin
            .openstack_do(&["quota", "set", option, "-1", &user.project])
            .unwrap();
    }
    let huge = |records: &mut Records| records.nsr["flavor"][0]["memory-mb"] = json!(100_000_000);
    assert_deploy_fails("no-valid-host", admin, huge, as_it_is, &["No valid host"]).await;
    // Only administrators make flavours.
    let odd = |records: &mut Records| records.nsr["flavor"][0]["memory-mb"] = json!(777);
    assert_deploy_fails("flavour", &user, odd, as_it_is, &["flav"]).await;

    let no_image = |records: &mut Records| records.nsr["image"][0]["image"] = json!("no-such-image");
    assert_deploy_fails("no-image", &user, no_image, as_it_is, &["no-such-image"]).await;
    let network = |name: &'static str| {
        move |body: &mut Value| body["ns"]["vld"][0]["vim_info"][TARGET]["vim_network_name"] = json!(name)
    };
    assert_deploy_fails(
        "no-network",
        &user,
        |_| {},
        network("no-such-network"),
        &["no-such-network"],
    )
    .await;

    let twins: Vec<Value> = (0..2)
        .map(|_| user.openstack(&["network", "create", "twins"]).unwrap())
        .collect();
    assert_deploy_fails("networks", &user, |_| {}, network("twins"), &["twins"]).await;
    for twin in &twins {
        user.openstack_do(&["network", "delete", twin["id"].as_str().unwrap()])
            .unwrap();
    }
    // Any file: an image without bytes is not one yet.
    let image = [
        "image",
        "create",
        "--disk-format",
        "raw",
        "--container-format",
        "bare",
        "--file",
        "/etc/hostname",
        "twins",
    ];
    let twins: Vec<Value> = (0..2).map(|_| user.openstack(&image).unwrap()).collect();
    let ambiguous = |records: &mut Records| records.nsr["image"][0]["image"] = json!("twins");
    assert_deploy_fails("images", &user, ambiguous, as_it_is, &["twins"]).await;
    for twin in &twins {
        user.openstack_do(&["image", "delete", twin["id"].as_str().unwrap()])
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test` has it"]
async fn an_empty_pool_of_floating_addresses_fails_the_vm_that_needs_one() {
    let _turn = turn().await;
    let admin = lab();
    let pool = format!("empty-{}", std::process::id());
    let pool = pool.as_str();
    let network = [
        "network",
        "create",
        "--external",
        "--provider-network-type",
        "flat",
        "--provider-physical-network",
        pool,
        pool,
    ];
    admin.openstack(&network).unwrap();
    // One address, which is then taken.
    let subnet = [
        "subnet",
        "create",
        "--subnet-range",
        "192.0.2.0/29",
        "--no-dhcp",
        "--gateway",
        "none",
        "--allocation-pool",
        "start=192.0.2.2,end=192.0.2.2",
        "--network",
        pool,
        pool,
    ];
    admin.openstack(&subnet).unwrap();
    let taken = admin.openstack(&["floating", "ip", "create", pool]).unwrap();
    let wanted = |records: &mut Records| records.vnfrs[0]["vdur"][0]["interfaces"][0]["floating_ip"] = json!(pool);
    assert_deploy_fails("floating", admin, wanted, |_| {}, &["No more IP addresses"]).await;
    admin
        .openstack_do(&["floating", "ip", "delete", taken["id"].as_str().unwrap()])
        .unwrap();
    admin.openstack_do(&["network", "delete", pool]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test` has it"]
async fn a_host_that_fails_fails_the_vm_and_the_next_deployment_makes_it() {
    let _turn = turn().await;
    let cloud = lab();
    let before = Inventory::of(cloud).unwrap();
    let account = cloud.account(ACCOUNT).unwrap();
    let service = Service::new("failing", &account, &[], one_vm).await;
    cloud
        .set_faults(&json!([{"server": "failing-*", "fail": ["spawn"]}]))
        .unwrap();
    let told = service.fails("first", &service.body("first")).await;
    assert!(told.contains("Error at create vdu"), "{told}");
    cloud.set_faults(&json!([{"server": "failing-*", "delay": 3}])).unwrap();
    service.deploy("second").await;
    let made = Inventory::of(cloud).unwrap().without(&before);
    assert_eq!((made.count("server"), made.count("port")), (1, 1), "{made}");
    cloud
        .set_faults(&json!([{"server": "failing-*", "fail": ["power_off"]}]))
        .unwrap();
    let stop = service.operate("stop", 0, 0).await;
    let action = service.lcm().operate("stop", &service.nsr, &stop).await.unwrap();
    let refused = service
        .lcm()
        .wait_done(&service.nsr, &action, LIMIT)
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("FAILED"), "{refused}");
    cloud.set_faults(&json!([])).unwrap();
    service.terminate().await;
    assert_as_before(cloud, &before, 0).await;
}
