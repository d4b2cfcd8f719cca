//! What is refused, and what is given up.

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Lcm, wait_until};

use super::scale;
use crate::deployed::{Deployed, LIMIT};

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_is_cancelled_and_what_has_goes_on() {
    let slow = json!({"latency": [{"kind": "networks", "operation": "create", "latency_ms": 50_000}]});
    let deployed = Deployed::prepared(serde_json::from_value(slow).unwrap(), |_| {}).await;
    let action = deployed
        .lcm()
        .deploy(&deployed.nsr, &deployed.body("op"))
        .await
        .unwrap();
    wait_until("all that the network does not hold up", LIMIT, async || {
        let status = deployed.lcm().status(&deployed.nsr, &action).await?;
        Ok(status["details"] == "progress 3/6")
    })
    .await
    .unwrap();
    let path = format!("ns/v1/deploy/{}/{action}/cancel", deployed.nsr);
    let (code, told) = deployed.lcm().call("POST", &path, None).await.unwrap();
    assert_eq!(code, 200, "{told}");
    assert_eq!((&told["status"], &told["action_id"]), (&json!("ok"), &json!(action)));
    assert_eq!(
        told["cancelled"].as_array().unwrap().len(),
        2,
        "the VMs, which wait for the network: {told}"
    );
    deployed.vim.set_faults(Faults::default()).unwrap();
    deployed.vim.hurry();
    let failed = deployed.failed(&action).await;
    assert!(failed.contains("Error at create vdu: cancelled by request"), "{failed}");
    let path_of_nobody = format!("ns/v1/deploy/{}/unknown/cancel", deployed.nsr);
    assert_eq!(deployed.lcm().call("POST", &path_of_nobody, None).await.unwrap().0, 404);
    assert_eq!(deployed.vim.inventory().servers.len(), 0);
    // Cancelling what is over changes nothing.
    let (_, told) = deployed.lcm().call("POST", &path, None).await.unwrap();
    assert_eq!(told["cancelled"], json!([]));
    deployed.terminate().await;
    assert_eq!(deployed.vim.inventory().created(), 0);
    deployed.vim.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_operations_are_refused_with_the_reason_and_leave_nothing() {
    let deployed = Deployed::new(Faults::default(), |_| {}).await;
    let vnfr = deployed.vnfr(0).await;
    let (vnf, vdu) = (deployed.vnf(0), vnfr["vdur"][0].clone());
    let nobody = "00000000-0000-4000-8000-000000000000";
    let operate = |topic: &str, key: &str, value: Value| {
        let mut body = Lcm::operate_body(topic, &vnfr, &vdu);
        body[topic][key] = value;
        body
    };
    let heal =
        |vnf: &str, vdus: Value| json!({"healVnfData": [{"vnfInstanceId": vnf, "additionalParams": {"vdu": vdus}}]});
    let size = |key: &str, value: Value| {
        let mut body = scale(&vnf, 2048);
        body["changeVnfFlavorData"]["additionalParams"][key] = value;
        body
    };
    let table: Vec<(&str, Value, u16, &str)> = vec![
        ("start", json!([]), 422, "start"),
        ("start", json!({}), 422, "'start' is a required property"),
        ("stop", Lcm::operate_body("start", &vnfr, &vdu), 422, "start"),
        ("stop", operate("stop", "vnf_id", json!(nobody)), 404, nobody),
        ("stop", operate("stop", "vdu_id", json!("nobody")), 404, "nobody"),
        ("stop", operate("stop", "vdu_id", Value::Null), 422, "stop:vdu_id"),
        (
            "stop",
            operate("stop", "target_vim", json!("mars")),
            422,
            "stop:target_vim",
        ),
        (
            "stop",
            operate("stop", "target_vim", json!("vim:other")),
            409,
            "not deployed",
        ),
        ("stop", operate("stop", "vim_vm_id", json!("other")), 409, "other"),
        (
            "stop",
            operate("stop", "vdu_index", json!("first")),
            422,
            "stop:vdu_index",
        ),
        ("rebuild", json!({"rebuild": null}), 422, "rebuild"),
        ("console", operate("console", "vdu_id", json!("nobody")), 404, "nobody"),
        ("migrate", json!({"vnfInstanceId": nobody}), 404, nobody),
        (
            "migrate",
            json!({"vnfInstanceId": vnf, "vdu": {"vduId": "nobody"}}),
            404,
            "nobody",
        ),
        (
            "migrate",
            json!({"vnfInstanceId": vnf, "vdu": {"vduId": "mgmtVM", "vduCountIndex": 9}}),
            404,
            "count 9",
        ),
        ("migrate", json!({"vnfInstanceId": vnf, "vdu": []}), 422, "vdu"),
        ("migrate", json!({"vnfInstanceId": vnf, "nonsense": 1}), 422, "nonsense"),
        ("verticalscale", size("vduid", json!("nobody")), 404, "nobody"),
        (
            "verticalscale",
            size("numVirtualCpu", json!("many")),
            422,
            "numVirtualCpu",
        ),
        ("verticalscale", size("virtualMemory", json!(-1)), 422, "virtualMemory"),
        (
            "verticalscale",
            json!({"changeVnfFlavorData": 7}),
            422,
            "changeVnfFlavorData",
        ),
        ("recreate", json!({"healVnfData": []}), 422, "healVnfData"),
        ("recreate", heal(nobody, json!([])), 404, nobody),
        ("recreate", heal(&vnf, json!([{"vdu-id": "nobody"}])), 404, "nobody"),
        (
            "recreate",
            heal(&vnf, json!([{"vdu-id": "mgmtVM", "count-index": 9}])),
            404,
            "count 9",
        ),
        (
            "recreate",
            heal(&vnf, json!([7])),
            422,
            "healVnfData:0:additionalParams:vdu:0",
        ),
        ("recreate", json!({"healVnfData": [], "nonsense": 1}), 422, "nonsense"),
    ];
    for (topic, body, expected, needle) in table {
        let path = format!("ns/v1/{topic}/{}", deployed.nsr);
        let (status, answer) = deployed.lcm().call("POST", &path, Some(&body)).await.unwrap();
        assert_eq!(status, expected, "{topic} {body}: {answer}");
        assert!(
            answer["detail"].as_str().unwrap().contains(needle),
            "{topic} {body}: {answer}"
        );
        assert_eq!(answer["status"], expected);
    }
    for topic in ["start", "stop", "rebuild", "console"] {
        let body = Lcm::operate_body(topic, &vnfr, &vdu);
        let (status, _) = deployed
            .lcm()
            .call("POST", &format!("ns/v1/{topic}/unknown"), Some(&body))
            .await
            .unwrap();
        assert_eq!(status, 404, "{topic}");
        assert_eq!(
            deployed
                .lcm()
                .call("POST", &format!("ns/v1/{topic}"), Some(&body))
                .await
                .unwrap()
                .0,
            404
        );
    }
    let (_, actions) = deployed
        .lcm()
        .call("GET", &format!("ns/v1/deploy/{}", deployed.nsr), None)
        .await
        .unwrap();
    assert_eq!(
        actions,
        json!(["instantiate"]),
        "nothing of the refused requests was stored"
    );
    assert_eq!(deployed.vim.requests().of("POST servers action 202"), 0);

    // While it is being deleted, and afterwards, there is nothing to operate on.
    deployed.terminate().await;
    let (status, answer) = deployed
        .lcm()
        .call(
            "POST",
            &format!("ns/v1/stop/{}", deployed.nsr),
            Some(&Lcm::operate_body("stop", &vnfr, &vdu)),
        )
        .await
        .unwrap();
    assert_eq!(status, 409, "{answer}");
    for (topic, body) in [
        ("migrate", json!({"vnfInstanceId": vnf})),
        ("recreate", json!({"healVnfData": [{"vnfInstanceId": vnf}]})),
    ] {
        let path = format!("ns/v1/{topic}/{}", deployed.nsr);
        let (status, answer) = deployed.lcm().call("POST", &path, Some(&body)).await.unwrap();
        assert_eq!(status, 404, "{topic}: {answer}");
    }
    let log = deployed.host.stop().unwrap();
    for word in ["WARN", "ERROR"] {
        assert!(!log.contains(word), "a refusal is nothing to warn of:\n{log}");
    }
    deployed.vim.stop().await.unwrap();
}
