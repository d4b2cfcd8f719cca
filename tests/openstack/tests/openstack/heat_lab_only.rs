//! Instances of SOL003 on a Heat that goes away, and on hosts that fail: only a lab lets itself be asked for it.

use std::time::Duration;

use serde_json::json;
use vimhost_openstack_tests::Inventory;

use crate::heat::{AtLast, World, package, request, waiting};
use crate::lab_only::lab;
use crate::service::{assert_as_before, turn};

/// How long Heat is away: some tries fail, and a daemon that is restarted takes as long.
const AWAY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn heat_may_be_away_while_a_stack_is_waited_for() {
    let _turn = turn().await;
    let world = World::new(lab(), &waiting(20), None).await;
    let id = world.created("away").await;
    let op_occ = world.begun(&id).await;
    let back = AtLast(|| lab().daemons("start", &["heat-api"]));
    world.cloud.daemons("stop", &["heat-api"]).unwrap();
    // How long it is away is what is tested; what is waited for comes after.
    tokio::time::sleep(AWAY).await;
    let nobody = "vimhost_connector_calls_total{plugin=\"heat\",function=\"observe-stacks\",outcome=\"unreachable\"}";
    let in_vain = world.host.counted(nobody).await.unwrap();
    assert!(in_vain > 0.0, "Heat was away and nobody noticed");
    drop(back);
    world.ends(&op_occ, "COMPLETED").await;
    assert_eq!(world.stacks(&id).len(), 1);
    world.terminated(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn an_instantiation_that_failed_on_heat_is_retried_or_rolled_back() {
    let _turn = turn().await;
    let before = Inventory::of(lab()).unwrap();
    let world = World::new(lab(), &package(), None).await;
    let body = request(world.cloud);
    let none = json!([]);
    // Heat shortens names of servers, so the script is for all of them.
    let spawn = json!([{"server": "*", "fail": ["spawn"]}]);
    let _healed = AtLast(|| lab().set_faults(&json!([])));

    for (verb, state, servers) in [("retry", "COMPLETED", 2), ("rollback", "ROLLED_BACK", 0)] {
        world.cloud.set_faults(&spawn).unwrap();
        let id = world.created(verb).await;
        let op_occ = world.client.begin(&id, "instantiate", &body).await.unwrap();
        let over = world.ends(&op_occ, "FAILED_TEMP").await;
        println!("Heat's words: {}", over["error"]["detail"]);
        assert_eq!(world.stacks(&id).len(), 1, "FAILED_TEMP: nothing was undone");
        world.cloud.set_faults(&none).unwrap();
        world.decide(&op_occ, verb).await;
        world.ends(&op_occ, state).await;
        let made = Inventory::of(world.cloud).unwrap().without(&before);
        assert_eq!(made.count("server"), servers, "{made}");
        if servers > 0 {
            world.terminated(&id).await;
        }
        assert_eq!(world.stacks(&id), Vec::<String>::new());
        assert_as_before(world.cloud, &before, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab; `cargo xtask test --lab` has it"]
async fn an_instantiation_that_heat_undoes_by_itself_fails_with_what_had_failed() {
    let _turn = turn().await;
    let before = Inventory::of(lab()).unwrap();
    let arguments = ["--vnf-lcm-rollback-on-failure=true"];
    let world = World::with(lab(), &package(), None, &arguments).await;
    let id = world.created("undone").await;
    let healed = AtLast(|| lab().set_faults(&json!([])));
    world
        .cloud
        .set_faults(&json!([{"server": "*", "fail": ["spawn"]}]))
        .unwrap();
    let body = request(world.cloud);
    let op_occ = world.client.begin(&id, "instantiate", &body).await.unwrap();
    let over = world.ends(&op_occ, "FAILED_TEMP").await;
    drop(healed);
    let told = over["error"]["detail"].as_str().unwrap();
    assert!(told.contains("CREATE failed") && !told.contains("ROLLBACK"), "{told}");
    let name = format!("vnf-{id}");
    let stack = world.cloud.openstack(&["stack", "show", &name]).unwrap();
    // Heat stumbles over a nested stack of a group that is gone already, now and then, and leaves the rest of its undoing undone.
    let undone = match stack["stack_status"].as_str() {
        Some("ROLLBACK_COMPLETE") => true,
        Some("ROLLBACK_FAILED") => false,
        _ => panic!("{stack:#}"),
    };
    println!("undone by Heat: {undone}");
    if undone {
        let made = Inventory::of(world.cloud).unwrap().without(&before);
        assert_eq!((made.count("server"), made.count("port")), (0, 0), "{made}");
    }
    world.decide(&op_occ, "rollback").await;
    world.ends(&op_occ, "ROLLED_BACK").await;
    assert_eq!(world.stacks(&id), Vec::<String>::new());
    assert_as_before(world.cloud, &before, 0).await;
}
