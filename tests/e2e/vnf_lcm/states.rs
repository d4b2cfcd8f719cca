//! The host is killed in each state that an operation has: it goes on from there, and nothing is decided in the client's stead.

use std::time::Duration;

use mock_vim::Faults;
use reqwest::Method;
use serde_json::json;
use vimhost_tests::{Random, instantiate_request, wait_until};

use super::{LIMIT, World, at, at_work, ends, forceful, held, scale_in, scale_out, vm_count};

/// How long stacks take where a host dies at any moment: long enough to die in.
const SLOW: u64 = 1000;

/// Quick, but for deletions and updates that fail once.
fn failing(operation: &str) -> Faults {
    let error = json!([{"operation": operation, "nth": 1, "message": "no valid host was found"}]);
    Faults {
        stack_error: serde_json::from_value(error).unwrap(),
        ..Faults::default()
    }
}

async fn decide(world: &World, op_occ: &str, verb: &str) {
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/{verb}");
    world.client.expect(202, Method::POST, &path, None).await.unwrap();
}

fn stack_count(world: &World) -> usize {
    world.vim.inventory().stacks.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_begun_is_begun() {
    let busy = json!({"fail": [{"kind": "stacks", "operation": "create", "status": 503}]});
    let mut world = World::new(serde_json::from_value(busy).unwrap()).await;
    let id = world.created("starting").await;
    let op_occ = world
        .client
        .begin(&id, "instantiate", &instantiate_request("mock"))
        .await
        .unwrap();
    wait_until("a refusal", LIMIT, async || {
        Ok(world.vim.requests().of("POST stacks create 503") > 0)
    })
    .await
    .unwrap();
    world.host.kill();
    world.vim.set_faults(Faults::default()).unwrap();
    world.change_stored(|database| database.back_to_starting(&op_occ));
    ends(&world, &op_occ, "COMPLETED").await;
    assert_eq!(stack_count(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_right_after_its_202_does_what_it_accepted() {
    let mut world = World::new(Faults::default()).await;
    let request = instantiate_request("mock");
    let mut states = Vec::new();
    for n in 0..4 {
        let id = world.created(&format!("accepted-{n}")).await;
        let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
        world.change_stored(|database| states.push(database.state_of(&op_occ)));
        ends(&world, &op_occ, "COMPLETED").await;
        assert_eq!(stack_count(&world), n + 1);
    }
    println!("it was killed in {states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_while_the_vim_works_waits_on_after_its_restart() {
    let mut world = World::new(Faults::default()).await;
    let id = world.created("processing").await;
    for (operation, body, vms) in [
        ("instantiate", instantiate_request("mock"), 2),
        ("scale", scale_out(), 3),
        ("scale", scale_in(), 2),
        ("heal", json!({}), 2),
        ("heal", json!({"additionalParams": {"all": true}}), 2),
        ("terminate", forceful(), 0),
    ] {
        world.vim.set_faults(held()).unwrap();
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        at_work(&world).await;
        let asked = |world: &World| {
            let requests = world.vim.requests();
            [
                "POST stacks create 201",
                "PATCH stacks update 202",
                "DELETE stacks delete 202",
            ]
            .map(|what| requests.of(what))
        };
        let before = asked(&world);
        world.change_stored(|database| assert_eq!(database.state_of(&op_occ), "PROCESSING"));
        at_work(&world).await;
        world.release();
        ends(&world, &op_occ, "COMPLETED").await;
        if body.get("additionalParams").is_none() {
            assert_eq!(asked(&world), before, "{operation} {body}: nothing is asked for twice");
        }
        let instance = world.client.instance(&id).await.unwrap();
        if operation == "terminate" {
            assert_eq!(instance["instantiationState"], "NOT_INSTANTIATED");
        } else {
            assert_eq!(
                (vm_count(&instance), stack_count(&world)),
                (vms, 1),
                "{operation} {body}"
            );
        }
    }
    assert_eq!(stack_count(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_operation_waits_for_its_client_over_a_restart_and_is_then_retried() {
    let mut world = World::new(Faults::default()).await;
    let id = world.created("failed").await;
    for (fails, operation, body) in [
        ("create", "instantiate", instantiate_request("mock")),
        ("update", "scale", scale_out()),
        ("update", "heal", json!({})),
        ("delete", "terminate", forceful()),
    ] {
        world.vim.set_faults(failing(fails)).unwrap();
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        let failed = ends(&world, &op_occ, "FAILED_TEMP").await;
        world.restart();
        let shown = world.client.op_occ(&op_occ).await.unwrap();
        for key in ["operationState", "stateEnteredTime", "error"] {
            assert_eq!(shown[key], failed[key], "{operation}: nobody decided anything");
        }
        let path = format!("/vnflcm/v2/vnf_instances/{id}");
        world.client.expect(409, Method::DELETE, &path, None).await.unwrap();
        decide(&world, &op_occ, "retry").await;
        let over = ends(&world, &op_occ, "COMPLETED").await;
        assert!(over.get("error").is_none(), "{operation}: {over:#}");
    }
    assert_eq!(stack_count(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_on_after_a_restart() {
    let mut world = World::new(failing("create")).await;
    let id = world.created("rolled-back").await;
    let request = instantiate_request("mock");
    let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
    ends(&world, &op_occ, "FAILED_TEMP").await;
    world.vim.set_faults(held()).unwrap();
    decide(&world, &op_occ, "rollback").await;
    at_work(&world).await;
    world.change_stored(|database| assert_eq!(database.state_of(&op_occ), "ROLLING_BACK"));
    at_work(&world).await;
    world.release();
    let over = ends(&world, &op_occ, "ROLLED_BACK").await;
    assert!(at(&over, "/error/detail").is_string());
    assert_eq!(stack_count(&world), 0);

    world.vim.set_faults(failing("update")).unwrap();
    world.client.complete(&id, "instantiate", &request).await.unwrap();
    let op_occ = world.client.begin(&id, "scale", &scale_out()).await.unwrap();
    ends(&world, &op_occ, "FAILED_TEMP").await;
    world.vim.set_faults(held()).unwrap();
    decide(&world, &op_occ, "rollback").await;
    at_work(&world).await;
    world.change_stored(|database| assert_eq!(database.state_of(&op_occ), "ROLLING_BACK"));
    at_work(&world).await;
    world.release();
    ends(&world, &op_occ, "ROLLED_BACK").await;
    let instance = world.client.instance(&id).await.unwrap();
    assert_eq!(at(&instance, "/instantiatedVnfInfo/scaleStatus/0/scaleLevel"), 0);
    let resources = world.vim.inventory().stack_resources;
    let servers = resources.values().flatten();
    let servers = servers.filter(|resource| resource.resource_type == "OS::Nova::Server");
    assert_eq!(servers.count(), 2, "the VM that was made is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_instances_at_once_come_and_go_while_the_host_dies_again_and_again() {
    const INSTANCES: usize = 50;
    let mut random = Random::seeded("fifty instances");
    let mut world = World::new(Faults {
        latency_ms: 5,
        stack_delay_ms: SLOW,
        stack_delete_delay_ms: SLOW,
        ..Faults::default()
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..INSTANCES {
        ids.push(world.created(&format!("many-{n}")).await);
    }
    for (operation, body, left) in [
        ("instantiate", instantiate_request("mock"), INSTANCES),
        ("terminate", forceful(), 0),
    ] {
        let mut op_occs = Vec::new();
        for id in &ids {
            op_occs.push(world.client.begin(id, operation, &body).await.unwrap());
        }
        for _ in 0..3 {
            // At any moment: where it hits is up to the seed.
            tokio::time::sleep(Duration::from_millis(random.below(400))).await;
            world.restart();
        }
        for op_occ in &op_occs {
            ends(&world, op_occ, "COMPLETED").await;
        }
        let mut names: Vec<String> = world
            .vim
            .inventory()
            .stacks
            .iter()
            .map(|stack| stack.meta.name.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), stack_count(&world)), (left, left), "{operation}");
    }
    let created = world.vim.requests().of("POST stacks create 201");
    assert!(created <= 50, "no stack was made twice: {created}");
}
