//! What an orchestrator is told wrong, or not at all: ids that are lost or false, stacks that others delete and make again, tokens that are
//! revoked, a VIM that is away, answers that never come. The operation ends right, and the log says why.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use mock_vim::{Config, Credentials, Faults, Server};
use reqwest::Method;
use serde_json::{Value, json};
use vimhost_tests::{HeldPort, PASSWORD, VimUser, instantiate_request, start_vim, wait_until};

use super::{LIMIT, World, at, at_work, ends, forceful, held, log_to_end, scale_in, scale_out, vm_count};

const FALSE_ID: &str = "00000000-0000-4000-8000-000000000000";
const LOST: &str = "stack_id lost";

fn faults(script: Value) -> Faults {
    serde_json::from_value(script).unwrap()
}

fn stack_id(instance: &Value) -> String {
    let id = at(instance, "/instantiatedVnfInfo/metadata/stack_id");
    id.as_str().unwrap().to_owned()
}

/// Ids of the stacks that exist.
fn stacks(world: &World) -> Vec<String> {
    let stacks = world.vim.inventory().stacks;
    stacks.iter().map(|stack| stack.meta.id.clone()).collect()
}

/// Lines of warnings with some words.
fn warnings(log: &str, words: &str) -> usize {
    let warned = |line: &&str| line.contains("WARN") && line.contains(words);
    log.lines().filter(warned).count()
}

/// How often the host has looked a stack's name up.
async fn look_ups(world: &World) -> f64 {
    let of_function = "vimhost_connector_calls_total{plugin=\"mock\",function=\"find-stack\"";
    world.host.counted(of_function).await.unwrap()
}

/// Deletes a stack and makes another one of the same name and content; answers its id.
async fn made_again(user: &VimUser, id: &str) -> String {
    let get = async |path: String| user.expect(200, Method::GET, &path, None).await.unwrap();
    let name = get(format!("stacks/{id}")).await["name"].clone();
    let content = get(format!("stacks/{id}/content")).await;
    user.delete("stacks", id).await.unwrap();
    let mut body = json!({"name": name});
    for part in ["template", "files", "parameters", "environment"] {
        if let Some(value) = content.get(part) {
            body[part] = value.clone();
        }
    }
    user.make("stacks", &body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_lost_or_false_between_operations_is_found_by_the_name() {
    let mut world = World::new(Faults::default()).await;
    for (name, told, warned) in [("erased", Value::Null, 0), ("false", json!(FALSE_ID), 1)] {
        let id = world.instantiated(name).await;
        let right = stack_id(&world.client.instance(&id).await.unwrap());
        world.change_stored(|database| database.set_stack_of_instance(&id, &told));
        let over = world.client.complete(&id, "scale", &scale_out()).await.unwrap();
        let instance = world.client.instance(&id).await.unwrap();
        assert_eq!((stack_id(&instance), vm_count(&instance)), (right, 3), "{name}");
        let log = log_to_end(&world, &over).await;
        assert_eq!(warnings(&log, LOST), warned, "{name}: {log}");
        let looked_up = look_ups(&world).await;
        assert!(looked_up > 0.0, "{name}: {looked_up} look-ups");

        // Found again, it is stored again: nothing is to be looked up for the next operation.
        let over = world.client.complete(&id, "heal", &json!({})).await.unwrap();
        assert_eq!(look_ups(&world).await, looked_up, "{name}: no look-up");
        let log = log_to_end(&world, &over).await;
        assert_eq!(warnings(&log, LOST), warned, "{name}: {log}");

        world.change_stored(|database| database.set_stack_of_instance(&id, &told));
        world.client.complete(&id, "terminate", &forceful()).await.unwrap();
        assert_eq!(stacks(&world), Vec::<String>::new(), "{name}: nothing is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_lost_or_false_in_an_operation_is_found_by_the_name() {
    let mut world = World::new(Faults::default()).await;
    for (name, told, warned) in [("erased", Value::Null, 0), ("false", json!(FALSE_ID), 1)] {
        let id = world.created(name).await;
        let request = instantiate_request("mock");
        for (operation, body) in [("instantiate", &request), ("scale", &scale_out())] {
            world.vim.set_faults(held()).unwrap();
            let op_occ = world.client.begin(&id, operation, body).await.unwrap();
            at_work(&world).await;
            world.change_stored(|database| database.set_stack_of_operation(&op_occ, &told));
            at_work(&world).await;
            world.release();
            let over = ends(&world, &op_occ, "COMPLETED").await;
            let log = log_to_end(&world, &over).await;
            assert_eq!(warnings(&log, LOST), warned, "{operation}, {name}: {log}");
            let instance = world.client.instance(&id).await.unwrap();
            assert_eq!(stacks(&world), [stack_id(&instance)], "{operation}, {name}");
        }
        world.client.complete(&id, "terminate", &forceful()).await.unwrap();
        assert_eq!(stacks(&world), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_others_made_again_is_used_and_one_that_they_deleted_is_said_to_be_gone() {
    let world = World::new(Faults::default()).await;
    let user = VimUser::log_in(&world.vim).await.unwrap();
    let id = world.instantiated("again").await;
    let before = stack_id(&world.client.instance(&id).await.unwrap());
    let made = made_again(&user, &before).await;
    let over = world.client.complete(&id, "scale", &scale_out()).await.unwrap();
    let instance = world.client.instance(&id).await.unwrap();
    assert_eq!((stack_id(&instance), vm_count(&instance)), (made.clone(), 3));
    let log = log_to_end(&world, &over).await;
    let told = |line: &&str| line.contains(LOST) && line.contains(&before) && line.contains(&made);
    assert_eq!(
        log.lines().filter(told).count(),
        1,
        "which was known and which was found: {log}"
    );

    user.delete("stacks", &made).await.unwrap();
    let op_occ = world.client.begin(&id, "scale", &scale_in()).await.unwrap();
    let failed = ends(&world, &op_occ, "FAILED_TEMP").await;
    let detail = at(&failed, "/error/detail").as_str().unwrap();
    assert!(detail.contains("does not exist"), "{detail}");
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/fail");
    world.client.expect(200, Method::POST, &path, None).await.unwrap();
    world.client.complete(&id, "terminate", &forceful()).await.unwrap();
    let over = world.client.instance(&id).await.unwrap();
    assert_eq!(over["instantiationState"], "NOT_INSTANTIATED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_is_deleted_while_it_is_made_fails_and_a_retry_makes_it() {
    let being_made = Faults {
        stack_delete_delay_ms: 0,
        ..held()
    };
    let world = World::new(being_made).await;
    let user = VimUser::log_in(&world.vim).await.unwrap();
    let id = world.created("deleted").await;
    let request = instantiate_request("mock");
    let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
    at_work(&world).await;
    user.delete("stacks", &stacks(&world)[0]).await.unwrap();
    let failed = ends(&world, &op_occ, "FAILED_TEMP").await;
    assert!(at(&failed, "/error/detail").is_string());
    world.vim.set_faults(Faults::default()).unwrap();
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{op_occ}/retry");
    world.client.expect(202, Method::POST, &path, None).await.unwrap();
    ends(&world, &op_occ, "COMPLETED").await;
    let instance = world.client.instance(&id).await.unwrap();
    assert_eq!(stacks(&world), [stack_id(&instance)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_in_a_wait_costs_one_log_in_and_nothing_else() {
    let world = World::new(Faults::default()).await;
    world.instantiated("warm").await;
    let log_ins = || world.vim.requests().of("POST session session 201");
    let id = world.created("revoked").await;
    world.vim.set_faults(held()).unwrap();
    let request = instantiate_request("mock");
    let op_occ = world.client.begin(&id, "instantiate", &request).await.unwrap();
    at_work(&world).await;
    let before = log_ins();
    let revoked = Faults {
        expire_tokens: true,
        ..held()
    };
    world.vim.set_faults(revoked).unwrap();
    wait_until("a log-in", LIMIT, async || Ok(log_ins() > before))
        .await
        .unwrap();
    world.release();
    ends(&world, &op_occ, "COMPLETED").await;
    // Looks at idle elements and the poller may have found out at the same time.
    let more = log_ins() - before;
    assert!((1..=2).contains(&more), "{more}");
    let log = world.host.log();
    assert!(!log.contains("ERROR"), "{log}");
}

/// How many calls have to find nobody before a VIM comes back: enough for the pauses between them to have grown.
const IN_VAIN: f64 = 3.0;

/// Calls of a function of the connector that found nobody at the VIM's address.
async fn in_vain(world: &World, function: &str) -> f64 {
    let of_function =
        format!("vimhost_connector_calls_total{{plugin=\"mock\",function=\"{function}\",outcome=\"unreachable\"}}");
    world.host.counted(&of_function).await.unwrap()
}

/// Waits until so many more than `before` have.
async fn missed(world: &World, function: &str, before: f64) {
    wait_until(
        &format!("{function} that finds nobody, {IN_VAIN} times"),
        LIMIT,
        async || Ok(in_vain(world, function).await >= before + IN_VAIN),
    )
    .await
    .unwrap();
}

/// A VIM that keeps its state, so that it can go and come back. Its port is nobody else's meanwhile.
async fn lasting(dir: &tempfile::TempDir, port: &HeldPort, faults: Faults) -> Server {
    let config = Config {
        credentials: Credentials {
            password: PASSWORD.to_owned(),
            ..Credentials::default()
        },
        state_file: Some(dir.path().join("vim.json")),
        faults,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port.port())),
        ..Config::default()
    };
    Server::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vim_that_is_away_for_some_seconds_is_waited_for() {
    let state = tempfile::tempdir().unwrap();
    let port = HeldPort::any().unwrap();
    let mut world = World::on(lasting(&state, &port, held()).await).await;
    let id = world.created("away").await;
    let request = instantiate_request("mock");
    let begun = Instant::now();
    for (operation, body) in [
        ("instantiate", &request),
        ("scale", &scale_out()),
        ("terminate", &forceful()),
    ] {
        let op_occ = world.client.begin(&id, operation, body).await.unwrap();
        at_work(&world).await;
        let nowhere = start_vim(Faults::default()).await.unwrap();
        let before = in_vain(&world, "observe-stacks").await;
        let old = std::mem::replace(&mut world.vim, nowhere);
        old.abort().await.unwrap();
        missed(&world, "observe-stacks", before).await;
        world.vim = lasting(&state, &port, held()).await;
        world.vim.hurry();
        ends(&world, &op_occ, "COMPLETED").await;
        let log = world.host.log();
        assert!(!log.contains("operation failed"), "{operation}: {log}");
    }
    // Once a minute, however often nobody answers; and then once that it is back.
    let log = world.host.log();
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    let warned = warnings(&log, "stacks not observed");
    assert!((1..=1 + minutes).contains(&warned), "{warned} warnings: {log}");
    let back = log.matches("stacks observed again").count();
    assert!((1..=warned).contains(&back), "{back} times back: {log}");
    assert_eq!(stacks(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vim_that_is_away_when_an_operation_begins_is_waited_for() {
    let state = tempfile::tempdir().unwrap();
    let port = HeldPort::any().unwrap();
    let slow = || Faults {
        stack_delay_ms: 1000,
        stack_delete_delay_ms: 1000,
        ..Faults::default()
    };
    let mut world = World::on(lasting(&state, &port, slow()).await).await;
    let id = world.created("away").await;
    let request = instantiate_request("mock");
    for (operation, body, call, left) in [
        ("instantiate", &request, "create-stack", 1),
        ("scale", &scale_out(), "update-stack", 1),
        ("terminate", &forceful(), "delete-stack", 0),
    ] {
        let nowhere = start_vim(Faults::default()).await.unwrap();
        let before = in_vain(&world, call).await;
        let old = std::mem::replace(&mut world.vim, nowhere);
        old.abort().await.unwrap();
        let op_occ = world.client.begin(&id, operation, body).await.unwrap();
        missed(&world, call, before).await;
        let shown = world.client.op_occ(&op_occ).await.unwrap();
        assert_eq!(shown["operationState"], "PROCESSING", "{operation}: it waits");
        world.vim = lasting(&state, &port, slow()).await;
        ends(&world, &op_occ, "COMPLETED").await;
        assert_eq!(stacks(&world).len(), left, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_of_any_call_changes_nothing() {
    let world = World::new(Faults::default()).await;
    let lost_so_far = || -> u64 {
        let requests = world.vim.requests().requests;
        let lost = requests.iter().filter(|(what, _)| what.ends_with(" lost"));
        lost.map(|(_, count)| *count).sum()
    };
    for operation in ["create", "list", "update", "resources", "mark", "delete"] {
        let before = lost_so_far();
        let script = json!({"answer_lost": [{"kind": "stacks", "operation": operation, "nth": 1}]});
        world.vim.set_faults(faults(script)).unwrap();
        let id = world.instantiated(operation).await;
        world.client.complete(&id, "scale", &scale_out()).await.unwrap();
        let scaled = world.client.instance(&id).await.unwrap();
        assert_eq!(vm_count(&scaled), 3, "{operation}");
        world.client.complete(&id, "scale", &scale_in()).await.unwrap();
        world.client.complete(&id, "heal", &json!({})).await.unwrap();
        let healed = world.client.instance(&id).await.unwrap();
        assert_eq!(vm_count(&healed), 2, "{operation}");
        assert_eq!(stacks(&world), [stack_id(&healed)], "{operation}: nothing twice");
        world.client.complete(&id, "terminate", &forceful()).await.unwrap();
        assert_eq!(stacks(&world), Vec::<String>::new(), "{operation}: nothing left");
        assert_eq!(lost_so_far() - before, 1, "{operation}: one answer was lost");
    }
    let log = world.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
