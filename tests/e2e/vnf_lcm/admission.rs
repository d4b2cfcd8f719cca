//! Which requests are accepted, and which are refused with what.

use mock_vim::Faults;
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::instantiate_request;

use super::{LIMIT, World, held};

#[tokio::test(flavor = "multi_thread")]
async fn of_many_scales_at_once_one_is_accepted_and_the_others_are_conflicts() {
    let world = World::new(Faults::default()).await;
    let id = world.instantiated("at-once").await;
    let path = format!("/vnflcm/v2/vnf_instances/{id}/scale");
    let out = json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"});
    // Not over before the last of them is asked for.
    world.vim.set_faults(held()).unwrap();
    let ask = || world.client.ask(Method::POST, &path, Some(&out));
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    let answers = [a.unwrap(), b.unwrap(), c.unwrap(), d.unwrap()];
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409]);
    world.release();
    let accepted = answers.iter().find(|answer| answer.status == 202).unwrap();
    let op_occ = accepted.location.as_deref().unwrap().rsplit('/').next().unwrap();
    let over = world.client.settled(op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "COMPLETED");
    // Seen as over, it is free: no moment in between.
    let next = world.client.ask(Method::POST, &path, Some(&out)).await.unwrap();
    assert_eq!(next.status, 202, "{}", next.text);
}

/// Status of what is asked of an instance.
async fn status(world: &World, id: &str, operation: &str, body: Value) -> (u16, String) {
    let path = format!("/vnflcm/v2/vnf_instances/{id}/{operation}");
    let answer = world.client.ask(Method::POST, &path, Some(&body)).await.unwrap();
    let detail = answer.json["detail"].as_str().unwrap_or_default().to_owned();
    if answer.status >= 400 {
        assert_eq!(answer.json["status"], answer.status, "{}", answer.text);
        assert!(!detail.is_empty(), "{}", answer.text);
    }
    (answer.status, detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_code_and_says_why() {
    let world = World::new(Faults::default()).await;
    let id = world.created("refused").await;
    let forceful = json!({"terminationType": "FORCEFUL"});
    let out = json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"});

    // Nothing is instantiated.
    for (operation, body) in [
        ("terminate", forceful.clone()),
        ("scale", out.clone()),
        ("heal", json!({})),
    ] {
        assert_eq!(status(&world, &id, operation, body).await.0, 409, "{operation}");
    }
    // Nobody has heard of it.
    for (operation, body) in [
        ("instantiate", instantiate_request("mock")),
        ("terminate", forceful.clone()),
        ("scale", out.clone()),
        ("heal", json!({})),
    ] {
        assert_eq!(
            status(&world, "no-such-instance", operation, body).await.0,
            404,
            "{operation}"
        );
    }
    let (code, why) = status(&world, &id, "instantiate", json!({})).await;
    assert!(code == 400 && why.contains("flavourId"), "{code} {why}");
    let (code, why) = status(&world, &id, "instantiate", instantiate_request("no-such-vim")).await;
    assert!(code == 404 && why.contains("no-such-vim"), "{code} {why}");
    let unknown = world
        .client
        .ask(
            Method::POST,
            "/vnflcm/v2/vnf_instances",
            Some(&json!({"vnfdId": "no-such-vnfd"})),
        )
        .await
        .unwrap();
    assert_eq!(unknown.status, 422, "{}", unknown.text);

    world
        .client
        .complete(&id, "instantiate", &instantiate_request("mock"))
        .await
        .unwrap();
    assert_eq!(
        status(&world, &id, "instantiate", instantiate_request("mock")).await.0,
        409
    );
    for (operation, body, says) in [
        ("scale", json!({"type": "SCALE_OUT", "aspectId": "nothing"}), "nothing"),
        ("scale", json!({"type": "SIDEWAYS", "aspectId": "VDU1_scale"}), "type"),
        (
            "scale",
            json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale", "numberOfSteps": 3}),
            "VDU1_scale",
        ),
        (
            "scale",
            json!({"type": "SCALE_IN", "aspectId": "VDU1_scale"}),
            "VDU1_scale",
        ),
        (
            "scale",
            json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale", "numberOfSteps": 0}),
            "numberOfSteps",
        ),
        ("heal", json!({"vnfcInstanceId": ["VDU1-nobody"]}), "VDU1-nobody"),
        ("heal", json!({"additionalParams": {"all": "yes"}}), "all"),
        ("terminate", json!({"terminationType": "SOON"}), "terminationType"),
        (
            "terminate",
            json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 0}),
            "gracefulTerminationTimeout",
        ),
    ] {
        let (code, why) = status(&world, &id, operation, body.clone()).await;
        assert!(code == 400 && why.contains(says), "{operation} {body}: {code} {why}");
    }
    let log = world.host.stop().unwrap();
    assert!(
        !log.contains("ERROR"),
        "what a client got wrong is no error of the host: {log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flavour_nobody_has_is_accepted_and_rolled_back() {
    let world = World::new(Faults::default()).await;
    let id = world.created("flavour").await;
    let mut request = instantiate_request("mock");
    request["flavourId"] = json!("nothing");
    let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "ROLLED_BACK");
    assert!(over["error"]["detail"].as_str().unwrap().contains("nothing"));
    let instance = world.client.instance(&id).await.unwrap();
    assert_eq!(instance["instantiationState"], "NOT_INSTANTIATED");
}
