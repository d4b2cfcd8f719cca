//! Cancelling an action, and finding it.

use reqwest::Method;
use serde_json::json;

use crate::support::{Host, PATIENCE, service};
use crate::{json_of, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_is_cancelled_as_far_as_it_has_not_begun() {
    let host = Host::start().await;
    host.add_vim().await;
    let path = "/v1/network-services/shop";
    let mut wanted = service();
    // More VMs than calls at a time: four calls are held, two VMs wait for their turn.
    wanted["vms"]["web"]["count"] = json!(6);
    json_of(host.admin(Method::PUT, path).json(&wanted), 201).await;
    host.vim.hold_servers();
    let accepted = json_of(host.admin(Method::POST, &format!("{path}/deploy")), 202).await;
    let action = format!("{path}/actions/{}", accepted["action_id"].as_str().unwrap());
    refused(
        host.admin(Method::POST, &format!("{path}/actions/nothing/cancel")),
        404,
        "not-found",
    )
    .await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while host.vim.held() < 4 {
        assert!(
            std::time::Instant::now() < deadline,
            "{} calls are held",
            host.vim.held()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let told = json_of(host.admin(Method::POST, &format!("{action}/cancel")), 200).await;
    assert_eq!((&told["cancelled"], &told["going_on"]), (&json!([]), &json!([])));
    assert_eq!(told["undecided"].as_array().unwrap().len(), 6, "{told:#}");
    for _ in 0..4 {
        host.vim.let_one_server_go();
    }
    // One that failed makes the action a failed one while others are open.
    let shown = loop {
        let shown = json_of(host.admin(Method::GET, &action), 200).await;
        let tasks = shown["tasks"].as_array().unwrap();
        if tasks
            .iter()
            .all(|task| task["status"] != "SCHEDULED" && task["status"] != "BUILD")
        {
            break shown;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "what had begun does not end: {shown:#}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((host.vim.held(), &shown["done"]), (0, &json!(7)), "{shown:#}");
    let cancelled = shown["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|task| (&task["status"], &task["message"]) == (&json!("FAILED"), &json!("cancelled by request")));
    assert_eq!(
        (cancelled.count(), &shown["status"]),
        (2, &json!("FAILED")),
        "{shown:#}"
    );
    // Cancelling what is over cancels nothing, and every task is told once in the listing by state.
    let again = json_of(host.admin(Method::POST, &format!("{action}/cancel")), 200).await;
    assert_eq!(again, json!({"cancelled": [], "going_on": [], "undecided": []}));
    let state = shown["status"].as_str().unwrap();
    let of_state = json_of(
        host.admin(Method::GET, &format!("/v1/actions?state={state}&service=shop")),
        200,
    )
    .await;
    assert_eq!(
        (&of_state["items"][0]["id"], &of_state["items"][0]["status"]),
        (&shown["id"], &shown["status"])
    );
    for query in [
        "state=BUILD",
        "kind=migrate",
        "since=2999-01-01T00:00:00Z",
        "service=other",
    ] {
        let none = json_of(host.admin(Method::GET, &format!("/v1/actions?{query}")), 200).await;
        assert_eq!(none["items"], json!([]), "{query}");
    }
    for query in ["state=CANCELLED", "kind=x", "since=x", "cursor=x"] {
        let wrong = host.admin(Method::GET, &format!("/v1/actions?{query}"));
        refused(wrong, 400, "bad-request").await;
    }
}
