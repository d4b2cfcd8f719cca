//! The host is killed in each state of a change of networks or of the package: it goes on from there, and nothing is asked of the VIM twice.

use mock_vim::Faults;
use reqwest::Method;
use serde_json::json;
use vimhost_tests::wait_until;

use super::changes::{
    NEXT, assert_changed, both, content, decide, failed, failing, shown, to_network, to_package, updates, with_next,
};
use super::{LIMIT, World, at, at_work, ends, held};

/// Dies while an operation is in a state, and comes back.
fn killed_in(world: &mut World, op_occ: &str, state: &str) {
    world.change_stored(|database| assert_eq!(database.state_of(op_occ), state));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_accepted_and_not_begun_is_begun() {
    let mut world = with_next(Faults::default()).await;
    for (operation, body) in both() {
        let id = world.instantiated(operation).await;
        let before = content(&world, &id).await;
        let busy = json!({"fail": [{"kind": "stacks", "operation": "update", "status": 503}]});
        world.vim.set_faults(serde_json::from_value(busy).unwrap()).unwrap();
        let refused = |world: &World| world.vim.requests().of("PATCH stacks update 503");
        let refused_before = refused(&world);
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        wait_until("a refusal", LIMIT, async || Ok(refused(&world) > refused_before))
            .await
            .unwrap();
        world.host.kill();
        world.vim.set_faults(Faults::default()).unwrap();
        world.change_stored(|database| database.back_to_starting(&op_occ));
        ends(&world, &op_occ, "COMPLETED").await;
        assert_changed(operation, &before, &content(&world, &id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_right_after_its_202_makes_the_change_it_accepted() {
    let mut world = with_next(Faults::default()).await;
    let first = world.package.vnfd_id.clone();
    let id = world.instantiated("accepted").await;
    let mut states = Vec::new();
    for (operation, body, asked) in [
        ("change_ext_conn", to_network("net-a"), 1),
        ("change_vnfpkg", to_package(NEXT), 2),
        ("change_ext_conn", to_network("net-b"), 1),
        ("change_vnfpkg", to_package(&first), 2),
    ] {
        let before = updates(&world);
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        world.change_stored(|database| states.push(database.state_of(&op_occ)));
        ends(&world, &op_occ, "COMPLETED").await;
        // One that was on its way when the host died may have been done and not counted.
        let sent = updates(&world) - before;
        assert!(sent <= asked, "{operation}, killed in {states:?}: {sent} updates");
    }
    let now = content(&world, &id).await;
    assert_eq!(at(&now, "/parameters/nfv/CP/VDU1_CP1/network"), "net-b");
    assert_eq!(world.client.instance(&id).await.unwrap()["vnfdId"], first);
    println!("it was killed in {states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_in_each_update_of_a_change_waits_on_after_its_restart() {
    let mut world = with_next(Faults::default()).await;
    for ((operation, body), in_all) in both().into_iter().zip([1, 2]) {
        world.vim.set_faults(Faults::default()).unwrap();
        let id = world.instantiated(operation).await;
        let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
        world.vim.set_faults(held()).unwrap();
        let asked = updates(&world);
        let op_occ = world.client.begin(&id, operation, &body).await.unwrap();
        for update in 1..=in_all {
            wait_until("the update", LIMIT, async || Ok(updates(&world) - asked >= update))
                .await
                .unwrap();
            at_work(&world).await;
            killed_in(&mut world, &op_occ, "PROCESSING");
            assert_eq!(
                shown(&world, &id).await,
                old,
                "{operation}: nothing is known of it before it is complete"
            );
            at_work(&world).await;
            world.vim.hurry();
        }
        let over = ends(&world, &op_occ, "COMPLETED").await;
        assert_eq!(
            updates(&world) - asked,
            in_all,
            "{operation}: nothing is asked for twice"
        );
        assert_changed(operation, &before, &content(&world, &id).await);

        // What is over is not looked at again.
        let new = shown(&world, &id).await;
        world.restart();
        let again = world.client.op_occ(&op_occ).await.unwrap();
        for key in ["operationState", "stateEnteredTime", "operationParams"] {
            assert_eq!(again[key], over[key], "{operation}");
        }
        assert_eq!(shown(&world, &id).await, new, "{operation}");
        assert_eq!(updates(&world) - asked, in_all, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_failed_waits_for_its_client_over_a_restart() {
    let mut world = with_next(Faults::default()).await;
    for (operation, body) in both() {
        for (verb, end) in [("retry", "COMPLETED"), ("rollback", "ROLLED_BACK"), ("fail", "FAILED")] {
            let id = world.instantiated(&format!("{operation}-{verb}")).await;
            let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
            let op_occ = failed(&world, &id, operation, &body, &[1]).await;
            let told = world.client.op_occ(&op_occ).await.unwrap();
            let asked = updates(&world);
            killed_in(&mut world, &op_occ, "FAILED_TEMP");
            let again = world.client.op_occ(&op_occ).await.unwrap();
            for key in ["operationState", "stateEnteredTime", "error"] {
                assert_eq!(again[key], told[key], "{operation}: nobody decided anything");
            }
            let path = format!("/vnflcm/v2/vnf_instances/{id}/{operation}");
            world
                .client
                .expect(409, Method::POST, &path, Some(&body))
                .await
                .unwrap();
            assert_eq!(updates(&world), asked, "{operation}: nothing is done by itself");

            decide(&world, &op_occ, verb).await;
            ends(&world, &op_occ, end).await;
            let after = content(&world, &id).await;
            match verb {
                "retry" => assert_changed(operation, &before, &after),
                "rollback" => assert_eq!(after, before, "{operation}"),
                _ => assert_eq!(shown(&world, &id).await, old, "{operation}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_a_change_goes_on_after_a_restart() {
    let mut world = with_next(Faults::default()).await;
    for ((operation, body), fails) in both().into_iter().zip([1, 2]) {
        world.vim.set_faults(Faults::default()).unwrap();
        let id = world.instantiated(operation).await;
        let (old, before) = (shown(&world, &id).await, content(&world, &id).await);
        let op_occ = failed(&world, &id, operation, &body, &[fails]).await;
        world.vim.set_faults(held()).unwrap();
        let asked = updates(&world);
        decide(&world, &op_occ, "rollback").await;
        at_work(&world).await;
        killed_in(&mut world, &op_occ, "ROLLING_BACK");
        at_work(&world).await;
        world.release();
        let over = ends(&world, &op_occ, "ROLLED_BACK").await;
        assert!(at(&over, "/error/detail").is_string(), "the reason stays: {over:#}");
        assert_eq!(updates(&world) - asked, 1, "{operation}: it is undone once");
        assert_eq!(content(&world, &id).await, before, "{operation}");
        assert_eq!(shown(&world, &id).await, old, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_a_change_that_failed_waits_for_its_client_over_a_restart() {
    let mut world = with_next(Faults::default()).await;
    for (operation, body) in both() {
        let id = world.instantiated(operation).await;
        let before = content(&world, &id).await;
        let op_occ = failed(&world, &id, operation, &body, &[1]).await;
        world.vim.set_faults(failing(&[1])).unwrap();
        decide(&world, &op_occ, "rollback").await;
        ends(&world, &op_occ, "FAILED_TEMP").await;
        killed_in(&mut world, &op_occ, "FAILED_TEMP");
        decide(&world, &op_occ, "rollback").await;
        ends(&world, &op_occ, "ROLLED_BACK").await;
        assert_eq!(content(&world, &id).await, before, "{operation}");
    }
}
