//! Defects of NG-RO that a client of the interface meets, by their number in the list of them (docs/ng-ro-compatibility.md). Those
//! of one operation are tested with it.

use mock_vim::Faults;
use serde_json::{Value, json};
use std::fs;
use vimhost_mongod::Kind;
use vimhost_tests::{Cluster, Host, Lcm, Records, Setup, plugin_dir, start_vim, wait_until};

use crate::deployed::{ACCOUNT, Deployed, FIXTURE, LIMIT, TARGET, tasks, vdur};

async fn ready() -> Deployed {
    Deployed::prepared(Faults::default(), |_| {}).await
}

fn faults(script: Value) -> Faults {
    serde_json::from_value(script).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_deploy_without_ns_wants_no_networks() {
    let ready = ready().await;
    let nsr = ready.nsr.clone();
    let body = json!({"action_id": "op", "image": [{"id": "0", "image": "cirros034", "vim_info": {TARGET: {}}}]});
    let action = ready.lcm().deploy(&nsr, &body).await.unwrap();
    let status = ready.lcm().wait_done(&nsr, &action, LIMIT).await.unwrap();
    assert_eq!(status["details"], "progress 1/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_what_does_not_exist_is_404_and_no_answer_shows_internals() {
    let ready = ready().await;
    let good = ready.records.deploy_body("op", ACCOUNT);
    let mut of_nobody = good.clone();
    of_nobody["vnf"][0]["_id"] = json!("00000000-0000-4000-8000-000000000000");
    let nsr = ready.nsr.clone();
    for (path, body) in [
        ("ns/v1/deploy/unknown".to_owned(), &good),
        (format!("ns/v1/deploy/{nsr}"), &of_nobody),
    ] {
        let (status, answer) = ready.lcm().call("POST", &path, Some(body)).await.unwrap();
        assert_eq!((status, &answer["code"]), (404, &json!("NOT_FOUND")), "{answer}");
        let text = answer.to_string();
        for word in ["src/", ".rs", "panicked", "backtrace", "sqlite"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_an_action_that_never_was_is_404_and_a_service_shows_its_own_actions_only() {
    let ready = ready().await;
    let lcm = ready.lcm();
    let nsr = ready.nsr.clone();
    let (status, _) = lcm
        .call("GET", &format!("ns/v1/deploy/{nsr}/never"), None)
        .await
        .unwrap();
    assert_eq!(status, 404);
    let other = json!({"_id": "other", "name": "other"});
    ready
        .host
        .admin_ok("PUT", "/v1/records/nsrs/other", Some(other))
        .await
        .unwrap();
    lcm.deploy(&nsr, &ready.records.deploy_body("same", ACCOUNT))
        .await
        .unwrap();
    lcm.deploy("other", &json!({"action_id": "same", "ns": {"vld": []}}))
        .await
        .unwrap();
    let of_service = lcm.wait_done(&nsr, "same", LIMIT).await.unwrap();
    let of_other = lcm.wait_done("other", "same", LIMIT).await.unwrap();
    let count = |status: &Value| status["tasks"].as_array().unwrap().len();
    assert_eq!((count(&of_service), count(&of_other)), (6, 0));
    assert_eq!(of_other["details"], "progress 0/0");
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_used_action_id_with_another_body_gets_an_id_of_its_own() {
    let ready = ready().await;
    let lcm = ready.lcm();
    let nsr = ready.nsr.clone();
    let body = ready.records.deploy_body("op", ACCOUNT);
    assert_eq!(lcm.deploy(&nsr, &body).await.unwrap(), "op");
    assert_eq!(
        lcm.deploy(&nsr, &body).await.unwrap(),
        "op",
        "the same request is the same action"
    );
    lcm.wait_done(&nsr, "op", LIMIT).await.unwrap();
    let own = lcm.deploy(&nsr, &Lcm::terminate_body("op")).await.unwrap();
    assert_ne!(own, "op");
    let status = lcm.wait_done(&nsr, &own, LIMIT).await.unwrap();
    for task in status["tasks"].as_array().unwrap() {
        assert_eq!(task["action_id"], own.as_str());
        assert!(
            task["task_id"].as_str().unwrap().starts_with(&format!("{own}:")),
            "{task}"
        );
    }
    assert_eq!(ready.vim.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d38_parameters_in_the_query_change_nothing() {
    let ready = ready().await;
    let nsr = ready.nsr.clone();
    let lcm = ready.lcm();
    lcm.deploy(&nsr, &ready.records.deploy_body("op", ACCOUNT))
        .await
        .unwrap();
    lcm.wait_done(&nsr, "op", LIMIT).await.unwrap();
    for query in ["METHOD=DELETE", "x=1", "METHOD=POST&public"] {
        let (status, actions) = lcm
            .call("GET", &format!("ns/v1/deploy/{nsr}?{query}"), None)
            .await
            .unwrap();
        assert_eq!((status, actions), (200, json!(["op"])), "{query}");
    }
    assert_eq!(ready.vim.inventory().servers.len(), 2);
}

/// NG-RO renewed its locks too late, so a call longer than one was made a second time by another process.
#[tokio::test(flavor = "multi_thread")]
async fn d7_a_call_that_takes_longer_than_a_lease_is_made_once() {
    let uri = vimhost_mongod::shared(Kind::ReplicaSet).await.unwrap();
    let cluster = Cluster::new(&uri, &format!("d7-{}", std::process::id())).unwrap();
    // A lease lasts six seconds.
    let slow = json!({"latency": [{"kind": "servers", "operation": "create", "latency_ms": 14_000}]});
    let vim = start_vim(faults(slow)).await.unwrap();
    let hosts = ["one", "two"].map(|name| Host::start(&cluster.setup(name)).unwrap());
    hosts[0].add_vim(ACCOUNT, &vim.url()).await.unwrap();
    let records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
    records.put(&hosts[0]).await.unwrap();
    let lcm = Lcm::new(&hosts[1]);
    let action = lcm
        .deploy(&records.id(), &records.deploy_body("op", ACCOUNT))
        .await
        .unwrap();
    lcm.wait_done(&records.id(), &action, 2 * LIMIT).await.unwrap();
    assert_eq!(vim.inventory().servers.len(), 2);
    assert_eq!(vim.requests().of("POST servers create 201"), 2, "{:?}", vim.requests());
    vim.stop().await.unwrap();
}

/// NG-RO wrote results of operations beside the VM's own fields, and took a record that refused one for a deleted one.
#[tokio::test(flavor = "multi_thread")]
async fn d9_results_stand_where_they_belong_and_a_record_that_cannot_take_them_forgets_no_task() {
    let mut deployed = Deployed::new(Faults::default(), |_| {}).await;
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let before = deployed.vnfr(0).await;
    deployed
        .run("stop", &Lcm::operate_body("stop", &before, &before["vdur"][0]))
        .await;
    deployed
        .run("start", &Lcm::operate_body("start", &before, &before["vdur"][0]))
        .await;
    let after = deployed.vnfr(0).await;
    assert_eq!(keys(&after), keys(&before));
    assert_eq!(keys(&after["vdur"][0]), keys(&before["vdur"][0]));
    assert_eq!(keys(&after["vdur"][0]["vim_info"]), [TARGET]);

    // Somebody writes nonsense where results go while a VM is made, for as long as it takes to write it.
    let slow = json!({"latency": [{"kind": "servers", "operation": "create", "latency_ms": 50_000}]});
    deployed.vim.set_faults(faults(slow)).unwrap();
    let heal = json!({"action_id": "heal", "healVnfData": [{"vnfInstanceId": deployed.vnf(0)}]});
    deployed.lcm().operate("recreate", &deployed.nsr, &heal).await.unwrap();
    wait_until("the end of the old VM", LIMIT, async || {
        Ok(deployed.vim.inventory().servers.len() == 1)
    })
    .await
    .unwrap();
    let mut broken = deployed.vnfr(0).await;
    broken["vdur"][0]["vim_info"] = json!("no map");
    broken["vdur"][0]["interfaces"] = json!(7);
    deployed.put_vnfr(&broken).await;
    deployed.vim.set_faults(Faults::default()).unwrap();
    deployed.vim.hurry();
    let status = deployed.done("heal").await;
    assert_eq!(tasks(&status).len(), 2, "{status:#}");
    assert_eq!(deployed.vim.inventory().servers.len(), 2);
    deployed.records.vnfrs[0] = deployed.vnfr(0).await;
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0, "{:#?}", deployed.vim.inventory());
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_a_plugin_that_cannot_be_loaded_is_told_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let plugins = dir.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::copy(plugin_dir().unwrap().join("mock.wasm"), plugins.join("mock.wasm")).unwrap();
    fs::write(plugins.join("broken.wasm"), b"this is no component").unwrap();
    let mut setup = Setup::new(&dir.path().join("data"));
    setup.plugin_dir = Some(plugins.clone());
    let mut host = Host::start(&setup).unwrap();
    let account = json!({"id": "x", "name": "x", "vim_type": "broken", "url": "http://127.0.0.1:9", "user": "u", "tenant": "t",
                         "credentials": {"password": "not looked at"}});
    let (code, answer) = host.admin("POST", "/v1/vims", Some(account)).await.unwrap();
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        code == 400 && detail.contains("broken.wasm") && detail.contains("not WebAssembly"),
        "{answer}"
    );

    // One that could be loaded when the account was made.
    host.add_vim(ACCOUNT, "mock:").await.unwrap();
    host.kill();
    fs::write(plugins.join("mock.wasm"), b"this is no component").unwrap();
    // A host whose only connector is broken is up, and not ready.
    let host = Host::start(&setup).unwrap();
    let records = Records::fixture(FIXTURE, ACCOUNT).unwrap();
    records.put(&host).await.unwrap();
    let lcm = Lcm::new(&host);
    let action = lcm
        .deploy(&records.id(), &records.deploy_body("op", ACCOUNT))
        .await
        .unwrap();
    wait_until("the failure", LIMIT, async || {
        Ok(lcm.status(&records.id(), &action).await?["status"] == "FAILED")
    })
    .await
    .unwrap();
    let details = lcm.status(&records.id(), &action).await.unwrap()["details"].to_string();
    assert!(
        details.contains("mock.wasm") && details.contains("not WebAssembly"),
        "{details}"
    );
}

/// NG-RO's monitor ended with its first error; the address of a VNF went to a field of another name.
#[tokio::test(flavor = "multi_thread")]
async fn d22_an_account_that_fails_does_not_keep_others_from_being_watched() {
    let mut deployed = ready().await;
    deployed.host.kill();
    deployed.setup.arguments = vec!["--idle-period".to_owned(), "1".to_owned()];
    deployed.host = Host::start(&deployed.setup).unwrap();
    let other = start_vim(Faults::default()).await.unwrap();
    deployed.host.add_vim("other", &other.url()).await.unwrap();
    let service = json!({
        "name": "small", "vim": "other", "networks": {"mgmt": {"existing": "mgmt"}},
        "flavours": {"small": {"vcpus": 1, "memory-mb": 512, "disk-gb": 5}},
        "vms": {"vm": {"image": "ubuntu18.04", "flavour": "small", "interfaces": [{"network": "mgmt", "management": true}]}},
    });
    deployed
        .host
        .admin_ok("PUT", "/v1/network-services/small", Some(service))
        .await
        .unwrap();
    deployed
        .host
        .admin_ok("POST", "/v1/network-services/small/deploy", Some(json!({})))
        .await
        .unwrap();
    wait_until("a VM on the other account", LIMIT, async || {
        Ok(!other.inventory().servers.is_empty())
    })
    .await
    .unwrap();
    deployed.deploy("instantiate").await;
    other.stop().await.unwrap();

    let vnfr = deployed.vnfr(0).await;
    let address = vnfr["vdur"][0]["interfaces"][0]["ip-address"].clone();
    assert_eq!((&vnfr["ip-address"], address.is_string()), (&address, true));
    assert_eq!(vnfr.get(deployed.vnf(0)), None);
    let id = vnfr["vdur"][0]["vim-id"].as_str().unwrap().to_owned();
    deployed.delete_in_the_vim("servers", &id).await;
    wait_until("the loss to be seen", LIMIT, async || {
        Ok(deployed.vnfr(0).await["vdur"][0]["vim_info"][TARGET]["vim_status"] == "DELETED")
    })
    .await
    .unwrap();
    deployed
        .run(
            "recreate",
            &json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(0)}]}),
        )
        .await;
    let shown = deployed.vnfr(0).await["vdur"][0].clone();
    assert_eq!(shown["status"], "ACTIVE");
    assert!(
        shown["vim_info"][TARGET]["vim_message"].is_null(),
        "what failed once is not told for ever"
    );
}

/// NG-RO wrote the records after its workers could see the tasks, whole items, over their results.
#[tokio::test(flavor = "multi_thread")]
async fn d25_records_and_tasks_are_there_together_and_no_result_is_written_over() {
    let deployed = ready().await;
    deployed
        .lcm()
        .deploy(&deployed.nsr, &deployed.body("op"))
        .await
        .unwrap();
    // At the moment of the answer, however far the work is.
    for record in [deployed.vnfr(0).await, deployed.vnfr(1).await] {
        assert!(record["vdur"][0]["vim_info"][TARGET].is_object(), "{record:#}");
    }
    deployed.done("op").await;
    let nsr = deployed.record("nsrs", &deployed.nsr).await;
    for item in [
        &nsr["vld"][0],
        &nsr["image"][0],
        &nsr["flavor"][0],
        &deployed.vnfr(1).await["vdur"][0],
    ] {
        assert!(item["vim_info"][TARGET]["vim_id"].is_string(), "{item:#}");
    }
}

/// NG-RO left a null among the tasks of what a forgotten service shared, and fell over it afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn d27_what_a_forgotten_service_shared_goes_on_for_the_others() {
    let ready = ready().await;
    let lcm = ready.lcm();
    let net = json!({"id": "net", "name": "net", "common_id": "shared"});
    for nsr in ["one", "two"] {
        let record = json!({"_id": nsr, "name": nsr, "vld": [net]});
        ready
            .host
            .admin_ok("PUT", &format!("/v1/records/nsrs/{nsr}"), Some(record))
            .await
            .unwrap();
        let mut wanted = net.clone();
        wanted["vim_info"] = json!({TARGET: {}});
        let body = json!({"action_id": "make", "name": nsr, "ns": {"vld": [wanted]}});
        let action = lcm.deploy(nsr, &body).await.unwrap();
        lcm.wait_done(nsr, &action, LIMIT).await.unwrap();
    }
    assert_eq!(ready.vim.inventory().created(), 1, "one network for both");
    let end = lcm.deploy("one", &Lcm::terminate_body("end")).await.unwrap();
    lcm.wait_done("one", &end, LIMIT).await.unwrap();
    assert_eq!(lcm.call("DELETE", "ns/v1/deploy/one", None).await.unwrap().0, 204);
    assert_eq!(ready.vim.inventory().created(), 1, "the other one has it");
    let status = lcm.status("two", "make").await.unwrap();
    assert_eq!((&status["status"], tasks(&status).len()), (&json!("DONE"), 1));
    let end = lcm.deploy("two", &Lcm::terminate_body("end")).await.unwrap();
    lcm.wait_done("two", &end, LIMIT).await.unwrap();
    assert_eq!(ready.vim.inventory().created(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn d28_a_deletion_that_fails_is_tried_again() {
    let deployed = Deployed::new(Faults::default(), |_| {}).await;
    let failing = json!({"fail": [
        {"kind": "servers", "operation": "delete", "nth": 1, "status": 503, "message": "try later"},
        {"kind": "servers", "operation": "delete", "nth": 2, "status": 500, "message": "internal"}]});
    deployed.vim.set_faults(faults(failing)).unwrap();
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0);
    let refused = ["503", "500"].map(|code| deployed.vim.requests().of(&format!("DELETE servers delete {code}")));
    assert_eq!(refused, [1, 1], "{:?}", deployed.vim.requests());
}

/// NG-RO never removed a service's private key, and showed secrets in the status.
#[tokio::test(flavor = "multi_thread")]
async fn d33_keys_go_with_their_service_and_are_in_no_status() {
    let deployed = ready().await;
    let key_of = async |action: &str| {
        let status = deployed.deploy(action).await;
        let text = status.to_string();
        assert!(!text.contains("PRIVATE KEY"), "{text}");
        let keys = tasks(&status)
            .iter()
            .find_map(|task| task["params"]["cloud_config"].get("key-pairs").cloned());
        deployed.terminate_as(&format!("{action}-end")).await;
        keys.unwrap().to_string()
    };
    let first = key_of("first").await;
    let again = key_of("again").await;
    assert_eq!(first, again, "one pair as long as the service is known");
    let forget = format!("ns/v1/deploy/{}", deployed.nsr);
    assert_eq!(deployed.lcm().call("DELETE", &forget, None).await.unwrap().0, 204);
    assert_ne!(key_of("anew").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn d36_an_image_that_is_gone_is_told_by_the_vm_that_needs_it() {
    let deployed = Deployed::new(Faults::default(), |_| {}).await;
    let nsr = deployed.record("nsrs", &deployed.nsr).await;
    let image = nsr["image"][0]["vim_info"][TARGET]["vim_id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The images of the mock VIM cannot be deleted, so it is told what to answer when one is gone.
    let gone = json!({"fail": [
        {"kind": "servers", "operation": "create", "status": 400, "message": format!("image {image} does not exist")}]});
    deployed.vim.set_faults(faults(gone)).unwrap();
    let heal = json!({"action_id": "heal", "healVnfData": [{"vnfInstanceId": deployed.vnf(0)}]});
    deployed.lcm().operate("recreate", &deployed.nsr, &heal).await.unwrap();
    let failed = deployed.failed("heal").await;
    assert!(
        failed.contains("Error at create vdu: ") && failed.contains(&image),
        "{failed}"
    );
    let shown = deployed.vnfr(0).await;
    assert_ne!(vdur(&shown, "38912ff7-5bdd-4228-911f-c2bee259c44a")["status"], "ACTIVE");
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0);
}

/// NG-RO left the tasks that it had stored before it met the error, and they ran.
#[tokio::test(flavor = "multi_thread")]
async fn d37_a_request_that_cannot_be_planned_leaves_nothing() {
    let ready = ready().await;
    let mut body = ready.body("op");
    body["vnf"][1]["vdur"][0]["ns-image-id"] = json!("99");
    let path = format!("ns/v1/deploy/{}", ready.nsr);
    let (code, answer) = ready.lcm().call("POST", &path, Some(&body)).await.unwrap();
    assert!((400..500).contains(&code), "{code} {answer}");
    assert!(answer["detail"].as_str().unwrap().contains("99"), "{answer}");
    let (_, actions) = ready.lcm().call("GET", &path, None).await.unwrap();
    assert_eq!(actions, json!([]));
    let record = ready.vnfr(0).await;
    assert_eq!(record["vdur"][0].get("vim_info"), None, "{record:#}");
    // What follows is served after whatever the refused request could have left.
    ready.deploy("good").await;
    assert_eq!(ready.vim.requests().of("POST servers create 201"), 2);
}
