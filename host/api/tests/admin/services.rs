//! Network services and what is done with them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Host, VIM, service};
use crate::{json_of, refused, status_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_service_is_kept_planned_deployed_and_terminated() {
    let host = Host::start().await;
    host.add_vim().await;
    let path = "/v1/network-services/shop";
    let put = |body: &Value| host.admin(Method::PUT, path).json(body);
    refused(put(&json!({"name": "other", "vim": VIM})), 400, "wrong-shape").await;
    let mut wrong = service();
    wrong["vms"]["web"]["flavour"] = json!("huge");
    let shape = refused(put(&wrong), 400, "wrong-shape").await;
    assert_eq!(shape["errors"][0]["pointer"], "/vms/web/flavour");
    wrong["vms"]["web"]["flavour"] = json!("small");
    wrong["flavours"]["small"]["vcpus"] = json!("two");
    let shape = refused(put(&wrong), 400, "wrong-shape").await;
    assert_eq!(shape["errors"][0]["pointer"], "/flavours/small/vcpus");
    refused(put(&json!({"vim": "nobody"})), 404, "not-found").await;

    // A plan of a document keeps nothing, and neither does a document that could not be deployed.
    let plan = |body: &Value| host.admin(Method::POST, &format!("{path}/plan")).json(body);
    assert_eq!(json_of(plan(&service()), 200).await["tasks"], 4);
    let mut undefined = service();
    undefined["vms"]["web"]["user-data"] = json!("{{ nobody_said }}");
    for request in [plan(&undefined), put(&undefined)] {
        let problem = refused(request, 400, "bad-request").await;
        assert!(problem["detail"].as_str().unwrap().contains("nobody_said"), "{problem}");
    }
    refused(plan(&json!({})), 404, "not-found").await;
    refused(host.admin(Method::GET, path), 404, "not-found").await;

    let kept = json_of(put(&service()), 201).await;
    assert_eq!(
        (&kept["id"], &kept["spec"]["vms"]["web"]["image"]),
        (&json!("shop"), &json!("ubuntu"))
    );
    assert!(kept["nsr"].get("vimhost-spec").is_none());
    json_of(put(&service()), 200).await;
    let list = json_of(host.admin(Method::GET, "/v1/network-services"), 200).await;
    assert_eq!(list, json!({"items": [{"id": "shop", "name": "shop"}], "next": null}));

    let plan = json_of(plan(&json!({})), 200).await;
    assert_eq!(plan["tasks"], 4, "{plan:#}");
    assert!(
        plan["changes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|change| change["change"] == "create"),
        "{plan:#}"
    );
    assert_eq!(host.vim.count(), 0);

    // What is deployed is the document that is kept; one beside the request would not count.
    let with_body = host.admin(Method::POST, &format!("{path}/deploy")).json(&service());
    refused(with_body, 400, "bad-request").await;
    let deploy = || {
        host.admin(Method::POST, &format!("{path}/deploy"))
            .header("Idempotency-Key", "first try/1")
    };
    let answer = deploy().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(place, format!("{path}/actions/first%20try%2F1"));
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"nsr_id": "shop", "action_id": "first try/1", "repeated": false})
    );
    let again = json_of(deploy(), 202).await;
    assert_eq!(
        (&again["action_id"], &again["repeated"]),
        (&json!("first try/1"), &json!(true))
    );

    host.settled("shop", "first%20try%2F1").await;
    let action = json_of(host.admin(Method::GET, &place), 200).await;
    assert_eq!(
        (&action["status"], &action["done"], &action["total"]),
        (&json!("DONE"), &json!(4), &json!(4)),
        "{action:#}"
    );
    let vm = action["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["item"] == "vdu")
        .unwrap();
    assert_eq!(
        (&vm["vim_status"], &vm["target"]),
        (&json!("ACTIVE"), &json!(format!("vim:{VIM}")))
    );
    assert!(action["created_at"].as_str().unwrap().ends_with('Z'));
    let shown = json_of(host.admin(Method::GET, path), 200).await;
    assert_eq!(shown["vnfrs"][0]["ip-address"], "10.9.0.5", "{shown:#}");

    // A key stands for one request.
    refused(
        host.admin(Method::POST, &format!("{path}/terminate"))
            .header("Idempotency-Key", "first try/1"),
        409,
        "conflict",
    )
    .await;
    refused(host.admin(Method::DELETE, path), 409, "conflict").await;
    refused(host.admin(Method::DELETE, &format!("/v1/vims/{VIM}")), 409, "conflict").await;

    let accepted = json_of(host.admin(Method::POST, &format!("{path}/terminate")), 202).await;
    let settled = host.settled("shop", accepted["action_id"].as_str().unwrap()).await;
    assert_eq!(settled["status"], "DONE", "{settled:#}");

    // Two actions, one a page, newest first; each listing knows them.
    for listing in [format!("{path}/actions"), "/v1/actions".to_owned()] {
        let first = json_of(host.admin(Method::GET, &format!("{listing}?limit=1")), 200).await;
        assert_eq!(first["items"][0]["id"], accepted["action_id"]);
        let request = host
            .admin(Method::GET, &listing)
            .query(&[("limit", "1"), ("cursor", first["next"].as_str().unwrap())]);
        let second = json_of(request, 200).await;
        assert_eq!(
            (&second["items"][0]["id"], &second["items"][0]["kind"]),
            (&json!("first try/1"), &json!("deploy"))
        );
    }
    assert_eq!(
        status_of(host.admin(Method::DELETE, path)).await,
        StatusCode::NO_CONTENT
    );
    refused(host.admin(Method::GET, path), 404, "not-found").await;
}
