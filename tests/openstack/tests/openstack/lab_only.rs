//! What only a lab lets itself be asked for: hosts that fail.

use serde_json::json;
use vimhost_openstack_tests::{Cloud, Inventory, cloud};
use vimhost_tests::Records;

use crate::service::{ACCOUNT, LIMIT, Service, assert_as_before, turn};

/// The lab; on any other cloud these tests have no business.
pub(crate) fn lab() -> &'static Cloud {
    let cloud = cloud();
    assert!(
        cloud.is_lab(),
        "NOT RUN: this needs the lab; `--skip lab_only --skip refused --skip elements` leaves such tests out"
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
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
