//! What fails, and what a client then decides: retry, rollback, fail.

use std::num::NonZeroU64;

use mock_vim::{Faults, StackError};
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::instantiate_request;

use super::{LIMIT, World, at};

const WORDS: &str = "Resource CREATE failed: no valid host was found";

/// The VIM fails the first of some operation on a stack.
fn failing(operation: &str) -> Faults {
    let error = json!({"operation": operation, "nth": 1, "message": WORDS});
    Faults {
        stack_error: vec![serde_json::from_value::<StackError>(error).unwrap()],
        ..Faults::default()
    }
}

async fn decide(world: &World, op_occ: &str, verb: &str) -> u16 {
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/{verb}");
    world.client.ask(Method::POST, &path, None).await.unwrap().status
}

async fn failed(world: &World, id: &str, operation: &str, body: &Value) -> String {
    let op_occ = world.client.begin(id, operation, body).await.unwrap();
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "FAILED_TEMP", "{over:#}");
    assert!(at(&over, "/error/detail").as_str().unwrap().contains(WORDS), "{over:#}");
    assert_eq!(at(&over, "/error/status"), 422);
    op_occ
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_instantiation_is_retried_or_rolled_back() {
    let world = World::new(failing("create")).await;
    let id = world.created("first").await;
    let request = instantiate_request("mock");
    let op_occ = failed(&world, &id, "instantiate", &request).await;
    // Nothing else may begin until somebody has decided.
    let path = format!("/vnflcm/v2/vnf_instances/{id}");
    world
        .client
        .expect(409, Method::POST, &format!("{path}/instantiate"), Some(&request))
        .await
        .unwrap();
    world.client.expect(409, Method::DELETE, &path, None).await.unwrap();
    assert_eq!(world.vim.inventory().stacks.len(), 1, "FAILED_TEMP: nothing was undone");

    assert_eq!(decide(&world, &op_occ, "retry").await, 202);
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
    assert!(over.get("error").is_none(), "{over:#}");
    assert_eq!(
        world.client.instance(&id).await.unwrap()["instantiationState"],
        "INSTANTIATED"
    );
    for verb in ["retry", "rollback", "fail"] {
        assert_eq!(decide(&world, &op_occ, verb).await, 409, "{verb}");
        assert_eq!(decide(&world, "nobody", verb).await, 404, "{verb}");
    }

    world.vim.set_faults(failing("create")).unwrap();
    let other = world.created("second").await;
    let op_occ = failed(&world, &other, "instantiate", &request).await;
    assert_eq!(decide(&world, &op_occ, "rollback").await, 202);
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "ROLLED_BACK", "{over:#}");
    assert!(over["error"]["detail"].is_string(), "the reason stays: {over:#}");
    let instance = world.client.instance(&other).await.unwrap();
    assert_eq!(instance["instantiationState"], "NOT_INSTANTIATED");
    assert_eq!(world.vim.inventory().stacks.len(), 1, "only the first instance's");
    let path = format!("/vnflcm/v2/vnf_instances/{other}");
    world.client.expect(204, Method::DELETE, &path, None).await.unwrap();
    // The cause is in the log once for each failure, at error.
    let log = world.host.stop().unwrap();
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("ERROR") && line.contains(WORDS))
            .count(),
        2,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_scale_out_is_rolled_back_and_a_failed_heal_is_given_up() {
    let world = World::new(Faults::default()).await;
    let id = world.instantiated("vnf").await;
    let before = world.client.instance(&id).await.unwrap();

    world.vim.set_faults(failing("update")).unwrap();
    let out = json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"});
    let op_occ = failed(&world, &id, "scale", &out).await;
    assert_eq!(
        world.client.instance(&id).await.unwrap(),
        before,
        "nothing is known of it before it is complete"
    );
    assert_eq!(decide(&world, &op_occ, "rollback").await, 202);
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "ROLLED_BACK", "{over:#}");
    let after = world.client.instance(&id).await.unwrap();
    assert_eq!(
        at(&after, "/instantiatedVnfInfo/scaleStatus"),
        at(&before, "/instantiatedVnfInfo/scaleStatus")
    );

    world.vim.set_faults(failing("update")).unwrap();
    let op_occ = failed(&world, &id, "heal", &json!({})).await;
    assert_eq!(decide(&world, &op_occ, "rollback").await, 422, "a heal is not undone");
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/fail");
    let given_up = world.client.expect(200, Method::POST, &path, None).await.unwrap();
    assert_eq!(given_up.json["operationState"], "FAILED");
    // Free again.
    world
        .client
        .complete(&id, "terminate", &json!({"terminationType": "FORCEFUL"}))
        .await
        .unwrap();
    assert_eq!(world.vim.inventory().stacks.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    let world = World::new(Faults::default()).await;
    for operation in ["create", "update", "delete"] {
        let lost = json!({"answer_lost": [{"kind": "stacks", "operation": operation, "nth": NonZeroU64::MIN}]});
        world.vim.set_faults(serde_json::from_value(lost).unwrap()).unwrap();
        let id = world.instantiated(operation).await;
        let out = json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"});
        world.client.complete(&id, "scale", &out).await.unwrap();
        assert_eq!(world.vim.inventory().stacks.len(), 1, "{operation}");
        world
            .client
            .complete(&id, "terminate", &json!({"terminationType": "FORCEFUL"}))
            .await
            .unwrap();
        assert_eq!(world.vim.inventory().stacks.len(), 0, "{operation}");
    }
}
