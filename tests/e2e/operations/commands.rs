//! Power, console, migration, and scaling between them.

use mock_vim::Faults;
use mock_vim::elements::ServerStatus;
use serde_json::{Value, json};
use vimhost_tests::{Host, Lcm};

use crate::deployed::{Deployed, TARGET, tasks, vdur};

#[tokio::test(flavor = "multi_thread")]
async fn d8_power_operations_reach_the_vm_of_the_vdu_and_not_of_the_index() {
    let mut deployed = Deployed::new(
        Faults {
            action_delay_ms: 50,
            ..Faults::default()
        },
        |_| {},
    )
    .await;
    deployed.scale_out(2).await;
    let vnfr = deployed.vnfr(0).await;
    // The replica whose count is 1 of the second VNF's view would be position 1 here as well; so the order is changed.
    let mut moved = vnfr.clone();
    moved["vdur"].as_array_mut().unwrap().reverse();
    deployed.put_vnfr(&moved).await;
    let wanted = vdur(&moved, "scaled-2");
    let id = wanted["vim-id"].clone();

    // D9, D29: the results go to the VM's own fields, nowhere else, and the VM has not failed because it was stopped.
    let body = Lcm::operate_body("stop", &moved, wanted);
    assert_eq!(body["stop"]["vdu_index"], 2);
    let status = deployed.run("stop", &body).await;
    assert_eq!(deployed.server(&id).status, ServerStatus::Shutoff);
    let others = deployed.vim.inventory().servers;
    assert_eq!(
        others
            .iter()
            .filter(|server| server.status == ServerStatus::Active)
            .count(),
        3
    );
    let stopped = deployed.vnfr(0).await;
    let shown = vdur(&stopped, "scaled-2");
    assert_eq!(
        (
            &shown["status"],
            &shown["vim_info"][TARGET]["vim_status"],
            &shown["vim-id"]
        ),
        (&json!("INACTIVE"), &json!("INACTIVE"), &id)
    );
    assert!(stopped.get("vdu").is_none() && shown.get("vim_id").is_none() && shown.get("vim_status").is_none());
    for other in ["38912ff7-5bdd-4228-911f-c2bee259c44a", "scaled-1"] {
        assert_eq!(vdur(&stopped, other)["status"], "ACTIVE");
    }
    assert_eq!(
        deployed.lcm().status(&deployed.nsr, "scale-out").await.unwrap()["status"],
        "DONE"
    );
    let task = &tasks(&status)[0];
    assert_eq!((tasks(&status).len(), &status["details"]), (1, &json!("progress 1/1")));
    assert_eq!(
        (&task["action"], &task["item"], &task["status"], &task["params"]),
        (
            &json!("EXEC"),
            &json!("update"),
            &json!("FINISHED"),
            &json!({"vim_vm_id": id, "action": "shutoff"})
        )
    );
    let vnf = deployed.vnf(0);
    assert_eq!(task["target_record"], format!("vnfrs:{vnf}:vdur.0"));
    assert_eq!(task["target_record_id"], format!("vnfrs:{vnf}:vdur.scaled-2"));

    // A stop of what is stopped is no error; start brings it back; rebuild keeps the VM.
    deployed.run("stop", &body).await;
    deployed
        .run("start", &Lcm::operate_body("start", &stopped, shown))
        .await;
    assert_eq!(deployed.server(&id).status, ServerStatus::Active);
    assert_eq!(vdur(&deployed.vnfr(0).await, "scaled-2")["status"], "ACTIVE");
    let status = deployed
        .run("rebuild", &Lcm::operate_body("rebuild", &stopped, shown))
        .await;
    assert_eq!(tasks(&status)[0]["params"]["action"], "rebuild");
    assert_eq!(
        deployed.vim.requests().of("POST servers action 202"),
        3,
        "stop, start, rebuild: each once"
    );
    assert_eq!(vdur(&deployed.vnfr(0).await, "scaled-2")["vim-id"], id);

    // D35: the body's key is the operation, and an action id is none.
    let mut named = Lcm::operate_body("stop", &stopped, shown);
    named["action_id"] = json!("op:named");
    assert_eq!(
        deployed.lcm().operate("stop", &deployed.nsr, &named).await.unwrap(),
        "op:named"
    );
    deployed.done("op:named").await;
    // The same request again is the same action.
    assert_eq!(
        deployed.lcm().operate("stop", &deployed.nsr, &named).await.unwrap(),
        "op:named"
    );
    let (_, actions) = deployed
        .lcm()
        .call("GET", &format!("ns/v1/deploy/{}", deployed.nsr), None)
        .await
        .unwrap();
    assert_eq!(actions.as_array().unwrap().len(), 2 + 5, "{actions}");
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0);
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_read_where_lcm_reads_it_and_is_in_no_log() {
    let mut deployed = Deployed::new(Faults::default(), |_| {}).await;
    // Everything that could print the answer.
    deployed.setup.log = "info,vimhost=trace,vimhost_api=trace,vimhost_engine=trace,vimhost_runtime=trace".to_owned();
    deployed.host.kill();
    deployed.host = Host::start(&deployed.setup).unwrap();
    let vnfr = deployed.vnfr(1).await;
    let vdur = vnfr["vdur"][0].clone();
    let action = deployed
        .lcm()
        .operate("console", &deployed.nsr, &Lcm::operate_body("console", &vnfr, &vdur))
        .await
        .unwrap();
    let status = deployed.done(&action).await;
    assert_eq!(
        (&tasks(&status)[0]["item"], &tasks(&status)[0]["action"]),
        (&json!("console"), &json!("EXEC"))
    );
    let path = format!("ns/v1/deploy/{}/{action}/viminfo", deployed.nsr);
    let (code, info) = deployed.lcm().call("GET", &path, None).await.unwrap();
    assert_eq!(code, 200, "{info}");
    assert_eq!(
        (&info["nrs_id"], &info["action_id"]),
        (&json!(deployed.nsr), &json!(action))
    );
    let entry = &info["vim_info_list"][0];
    let server = deployed.server(&vdur["vim-id"]);
    let suffix = format!("vnc_auto.html?token={}", server.meta.id);
    let machine = format!("{}.mock-vim.example", server.host);
    assert_eq!(
        entry["vim_console_data"],
        json!({"protocol": "http", "server": machine, "port": 6080, "suffix": suffix,
               "url": format!("http://{machine}:6080/{suffix}")})
    );
    assert_eq!(
        (&entry["vim_id"], &entry["vim_status"]),
        (&vdur["vim-id"], &json!("ACTIVE"))
    );
    assert!(!status.to_string().contains("?token="), "not in the status");
    // The viminfo of any action.
    let path = format!("ns/v1/deploy/{}/instantiate/viminfo", deployed.nsr);
    let (_, info) = deployed.lcm().call("GET", &path, None).await.unwrap();
    assert_eq!(info["vim_info_list"].as_array().unwrap().len(), 6);
    let path = format!("ns/v1/deploy/{}/unknown/viminfo", deployed.nsr);
    assert_eq!(deployed.lcm().call("GET", &path, None).await.unwrap().0, 404);
    let log = deployed.host.stop().unwrap();
    assert!(
        log.contains("connector answer") && !log.contains("?token="),
        "the way in is kept out of the log"
    );
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_scale_in_of_an_inner_vdu_leaves_nothing() {
    let mut deployed = Deployed::new(Faults::default(), |_| {}).await;
    deployed.scale_out(3).await;
    deployed.scale_in("scaled-1").await;
    let vnfr = deployed.vnfr(0).await;
    assert_eq!(vnfr["vdur"][1]["id"], "scaled-2", "later ones have moved up");
    let last = vdur(&vnfr, "scaled-3");
    // What happens to one that moved goes to its own record.
    deployed.run("stop", &Lcm::operate_body("stop", &vnfr, last)).await;
    let vnfr = deployed.vnfr(0).await;
    let statuses: Vec<&Value> = vnfr["vdur"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vdur| &vdur["status"])
        .collect();
    assert_eq!(statuses, ["ACTIVE", "ACTIVE", "INACTIVE"]);
    let heal = json!({"healVnfData": [{"vnfInstanceId": deployed.vnf(0),
        "additionalParams": {"vdu": [{"vdu-id": "mgmtVM", "count-index": 3}]}}]});
    let old = vdur(&vnfr, "scaled-3")["vim-id"].clone();
    deployed.run("recreate", &heal).await;
    let vnfr = deployed.vnfr(0).await;
    assert_ne!(vdur(&vnfr, "scaled-3")["vim-id"], old);
    assert_eq!(
        deployed.server(&vdur(&vnfr, "scaled-3")["vim-id"]).status,
        ServerStatus::Active
    );
    deployed.scale_in("scaled-2").await;
    assert_eq!(deployed.vim.inventory().servers.len(), 3);
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0, "{:#?}", deployed.vim.inventory());
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_migrate_one_or_all_where_they_are_told_or_where_the_vim_chooses() {
    let deployed = Deployed::new(
        Faults {
            action_delay_ms: 100,
            ..Faults::default()
        },
        |_| {},
    )
    .await;
    let hosts = |vnfr: &Value| -> Vec<String> {
        let of = |vdur: &Value| deployed.server(&vdur["vim-id"]).host.clone();
        vnfr["vdur"].as_array().unwrap().iter().map(of).collect()
    };
    let other = |host: &str| if host == "compute1" { "compute2" } else { "compute1" };
    let vnfr = deployed.vnfr(0).await;
    let before = hosts(&vnfr);
    let body = json!({"lcmOperationType": "migrate", "nsInstanceId": deployed.nsr, "vnfInstanceId": deployed.vnf(0),
        "migrateToHost": other(&before[0]), "vdu": {"vduId": "mgmtVM", "vduCountIndex": 0}});
    let status = deployed.run("migrate", &body).await;
    let task = &tasks(&status)[0];
    assert_eq!(
        (tasks(&status).len(), &task["item"], &task["status"]),
        (1, &json!("migrate"), &json!("FINISHED"))
    );
    assert_eq!(task["params"]["migrate_host"], other(&before[0]));
    assert_eq!(task["params"]["vdu_vim_info"], vnfr["vdur"][0]["vim_info"]);
    let after = deployed.vnfr(0).await;
    assert_eq!(hosts(&after), [other(&before[0])]);
    // When the action is done the record shows the new host.
    let shown = &after["vdur"][0];
    assert_eq!(shown["status"], "ACTIVE");
    for interface in shown["interfaces"].as_array().unwrap() {
        assert_eq!(interface["compute_node"], other(&before[0]));
    }
    assert!(
        shown["vim_info"][TARGET]["vim_details"]
            .as_str()
            .unwrap()
            .contains(other(&before[0]))
    );
    assert_eq!(
        (&shown["ip-address"], &shown["vim-id"]),
        (&vnfr["vdur"][0]["ip-address"], &vnfr["vdur"][0]["vim-id"])
    );
    // All VDUs, and the VIM chooses; asked for by the path that NG-RO forgot (D1).
    let action = deployed
        .lcm()
        .operate("migrate", &deployed.nsr, &json!({"vnfInstanceId": deployed.vnf(0)}))
        .await
        .unwrap();
    deployed.done(&action).await;
    assert_eq!(hosts(&after), before);
    let path = format!("ns/v1/migrate/{}/{action}", deployed.nsr);
    let (code, status) = deployed.lcm().call("GET", &path, None).await.unwrap();
    assert_eq!((code, &status["status"]), (200, &json!("DONE")));

    // D34: what the VIM refuses fails the command in the VIM's words, and the VM is as it was.
    let body = json!({"vnfInstanceId": deployed.vnf(0), "migrateToHost": "nowhere"});
    let action = deployed.lcm().operate("migrate", &deployed.nsr, &body).await.unwrap();
    let failed = deployed.failed(&action).await;
    assert!(
        failed.contains("Error at exec migrate: ") && failed.contains("nowhere"),
        "{failed}"
    );
    let vnfr = deployed.vnfr(0).await;
    assert_eq!(vnfr["vdur"][0]["status"], "ACTIVE");
    assert!(vnfr["vdur"][0]["vim_info"][TARGET]["vim_message"].is_null());
    assert_eq!(
        deployed.lcm().status(&deployed.nsr, "instantiate").await.unwrap()["status"],
        "DONE"
    );
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0);
    deployed.vim.stop().await.unwrap();
}
