//! A service of OSM's records, driven with LCM's calls.

use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm, Records, Setup, start_vim, wait_until};

use crate::deployed::tasks;

const FIXTURE: &str = include_str!("data/lcm_deployed_records.json");
const ACCOUNT: &str = "bad7338b-ae46-43d4-a434-c3337a8054ac";
const LIMIT: Duration = Duration::from_secs(60);

async fn record(host: &Host, collection: &str, id: &str) -> Value {
    host.admin_ok("GET", &format!("/v1/records/{collection}/{id}"), None)
        .await
        .unwrap()
}

fn item<'v>(record: &'v Value, list: &str, id: &str) -> &'v Value {
    record[list]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == id)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_lcm_is_deployed_scaled_and_terminated_and_nothing_is_left() {
    let vim = start_vim(Faults {
        build_delay_ms: 50,
        ..Faults::default()
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim(ACCOUNT, &vim.url()).await.unwrap();
    let mut records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
    records.put(&host).await.unwrap();
    let nsr = records.id();
    let lcm = Lcm::new(&host);

    // The version probe, read as LCM reads it.
    let probe = host
        .http
        .get(format!("{}//version", host.ng_ro))
        .header("Accept", "application/yaml")
        .send()
        .await
        .unwrap();
    let text = probe.text().await.unwrap();
    let version = text.split([' ', '\n']).find(|word| word.contains('.')).unwrap();
    assert!(
        version.split('.').count() >= 3 && !version.starts_with(['\'', '"']),
        "{text}"
    );

    // Instantiate. The image id comes as an integer, as LCM sends it for an alternative image.
    let mut body = records.deploy_body("op:instantiate", ACCOUNT);
    body["vnf"][1]["vdur"][0]["ns-image-id"] = json!(0);
    let action = lcm.deploy(&nsr, &body).await.unwrap();
    assert_eq!(action, "op:instantiate");
    let status = lcm.wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(status["nsr_id"], nsr.as_str());
    let tasks = status["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 6, "2 networks, 1 image, 1 flavour, 2 VMs: {tasks:#?}");
    let vm = tasks.iter().find(|task| task["item"] == "vdu").unwrap();
    assert_eq!(vm["action"], "CREATE");
    assert_eq!(vm["status"], "DONE");
    assert_eq!(vm["params"]["image_id"], format!("TASK-nsrs:{nsr}:image.0"));
    assert!(
        vm["target_record"]
            .as_str()
            .unwrap()
            .ends_with(&format!("vdur.0.vim_info.vim:{ACCOUNT}"))
    );
    assert!(
        vm["depends_on"]
            .as_array()
            .unwrap()
            .contains(&json!(format!("nsrs:{nsr}:vld.datanet")))
    );

    let inventory = vim.inventory();
    assert_eq!(
        (inventory.servers.len(), inventory.ports.len(), inventory.flavours.len()),
        (2, 4, 1)
    );
    assert_eq!(
        inventory.networks.iter().filter(|network| !network.meta.preset).count(),
        1
    );

    // NG-RO's fields in the records, path for path.
    let vnfr_id = records.vnfrs[0]["_id"].as_str().unwrap().to_owned();
    let vnfr = record(&host, "vnfrs", &vnfr_id).await;
    let vdur = &vnfr["vdur"][0];
    let info = &vdur["vim_info"][format!("vim:{ACCOUNT}")];
    assert_eq!(info["vim_status"], "ACTIVE");
    assert_eq!(vdur["status"], "ACTIVE");
    assert_eq!(vdur["vim-id"], info["vim_id"]);
    assert_eq!(vdur["name"], "k8s-ns-vnf1-mgmtVM-0");
    assert_eq!(info["vim_name"], "k8s-ns-vnf1-mgmtVM-0");
    assert!(info["vim_details"].is_string() && info["vim_message"].is_null());
    assert_eq!(info["interfaces"].as_array().unwrap().len(), 2);
    assert_eq!(info["interfaces_backup"], info["interfaces"]);
    assert_eq!(info["interfaces"][0]["mgmt_vnf_interface"], true);
    let address = &info["interfaces"][0]["ip_address"];
    assert_eq!(&vdur["interfaces"][0]["ip-address"], address);
    assert_eq!(&vdur["ip-address"], address);
    assert_eq!(&vnfr["ip-address"], address);
    assert!(vdur["interfaces"][0]["mac-address"].is_string());
    assert_eq!(
        vnfr["additionalParamsForVnf"],
        Value::Null,
        "keys that nobody here knows are kept"
    );
    let nsr_record = record(&host, "nsrs", &nsr).await;
    let net = &item(&nsr_record, "vld", "datanet")["vim_info"][format!("vim:{ACCOUNT}")];
    assert_eq!(
        (&net["vim_status"], &net["vim_account_id"]),
        (&json!("ACTIVE"), &json!(ACCOUNT))
    );
    assert_eq!(
        item(&nsr_record, "image", "0")["vim_info"][format!("vim:{ACCOUNT}")]["vim_status"],
        "DONE"
    );

    // The same request again plans nothing.
    assert_eq!(lcm.deploy(&nsr, &body).await.unwrap(), action);
    assert_eq!(vim.inventory().servers.len(), 2);

    // Scale out: LCM appends two VDUs to the record, without vim_info, and sends the whole again.
    let vnfr = record(&host, "vnfrs", &vnfr_id).await;
    records.vnfrs[0] = vnfr;
    for count in 1..=2 {
        let mut vdur = records.vnfrs[0]["vdur"][0].clone();
        for key in ["vim_info", "ip-address", "status", "vim-id", "name"] {
            vdur.as_object_mut().unwrap().remove(key);
        }
        vdur["id"] = json!(format!("scaled-{count}"));
        vdur["_id"] = vdur["id"].clone();
        vdur["count-index"] = json!(count);
        for interface in vdur["interfaces"].as_array_mut().unwrap() {
            interface
                .as_object_mut()
                .unwrap()
                .retain(|key, _| key != "ip-address" && key != "mac-address");
        }
        records.vnfrs[0]["vdur"].as_array_mut().unwrap().push(vdur);
    }
    host.admin_ok(
        "PUT",
        &format!("/v1/records/vnfrs/{vnfr_id}"),
        Some(records.vnfrs[0].clone()),
    )
    .await
    .unwrap();
    let action = lcm
        .deploy(&nsr, &records.deploy_body("op:scale-out", ACCOUNT))
        .await
        .unwrap();
    let status = lcm.wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(
        status["tasks"].as_array().unwrap().len(),
        2,
        "only the new VDUs get tasks"
    );
    assert_eq!(vim.inventory().servers.len(), 4);

    // Scale in of the inner VDU: marked DELETING, sent without it, then removed from the record, so that positions shift.
    let mut vnfr = record(&host, "vnfrs", &vnfr_id).await;
    let gone = vnfr["vdur"][1]["vim-id"].clone();
    vnfr["vdur"][1]["status"] = json!("DELETING");
    host.admin_ok("PUT", &format!("/v1/records/vnfrs/{vnfr_id}"), Some(vnfr.clone()))
        .await
        .unwrap();
    records.vnfrs[0] = vnfr;
    let action = lcm
        .deploy(&nsr, &records.deploy_body("op:scale-in", ACCOUNT))
        .await
        .unwrap();
    let status = lcm.wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(status["tasks"].as_array().unwrap().len(), 1);
    let mut vnfr = record(&host, "vnfrs", &vnfr_id).await;
    assert_eq!(vnfr["vdur"][1]["status"], "DELETED");
    assert_eq!(vnfr["vdur"][1]["vim_info"], json!({}), "an empty vim_info stays");
    vnfr["vdur"].as_array_mut().unwrap().remove(1);
    host.admin_ok("PUT", &format!("/v1/records/vnfrs/{vnfr_id}"), Some(vnfr))
        .await
        .unwrap();
    let inventory = vim.inventory();
    assert_eq!(inventory.servers.len(), 3);
    assert!(!inventory.servers.iter().any(|server| json!(server.meta.id) == gone));

    // Terminate. LCM removes the scaled-in VDU; the VM that moved up is deleted like the others.
    let action = lcm.deploy(&nsr, &Lcm::terminate_body("op:terminate")).await.unwrap();
    lcm.wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(vim.inventory().created(), 0, "{:#?}", vim.inventory());
    let vnfr = record(&host, "vnfrs", &vnfr_id).await;
    assert_eq!(vnfr["vdur"][0]["status"], "DELETED");
    assert_eq!(vnfr["vdur"][1]["status"], "DELETED");
    let (status, _) = lcm.call("DELETE", &format!("ns/v1/deploy/{nsr}"), None).await.unwrap();
    assert_eq!(status, 204);
    let (_, actions) = lcm.call("GET", &format!("ns/v1/deploy/{nsr}"), None).await.unwrap();
    assert_eq!(actions, json!([]));

    let log = host.stop().unwrap();
    for word in ["WARN", "ERROR"] {
        assert!(!log.contains(word), "a good run logs nothing above info:\n{log}");
    }
    vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_a_deploy_after_a_failure_makes_what_is_missing() {
    let vim = start_vim(Faults::default()).await.unwrap();
    let faults = json!({"server_error": [{"name": "*vnf2*", "message": "no valid host"}]});
    vim.set_faults(serde_json::from_value(faults).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start(&Setup::new(dir.path())).unwrap();
    host.add_vim(ACCOUNT, &vim.url()).await.unwrap();
    let records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
    records.put(&host).await.unwrap();
    let lcm = Lcm::new(&host);
    let nsr = records.id();
    let action = lcm.deploy(&nsr, &records.deploy_body("first", ACCOUNT)).await.unwrap();
    let failed = lcm.wait_done(&nsr, &action, LIMIT).await.unwrap_err().to_string();
    assert!(
        failed.contains("FAILED") && failed.contains("no valid host"),
        "{failed}"
    );
    // One failed task is a failed action, even while the other VM is still being made.
    wait_until("the end of what did not fail", LIMIT, async || {
        let status = lcm.status(&nsr, &action).await?;
        let open = |task: &Value| task["status"] == "SCHEDULED" || task["status"] == "BUILD";
        Ok(!tasks(&status).iter().any(open))
    })
    .await
    .unwrap();

    vim.set_faults(Faults::default()).unwrap();
    let action = lcm.deploy(&nsr, &records.deploy_body("second", ACCOUNT)).await.unwrap();
    let done = lcm.wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(
        done["tasks"].as_array().unwrap().len(),
        2,
        "one VM deleted, one made: {done:#}"
    );
    let inventory = vim.inventory();
    assert_eq!((inventory.servers.len(), inventory.ports.len()), (2, 4));
    assert!(inventory.servers.iter().all(|server| server.fault.is_none()));

    let action = lcm.deploy(&nsr, &Lcm::terminate_body("end")).await.unwrap();
    lcm.wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(vim.inventory().created(), 0);
    vim.stop().await.unwrap();
}
