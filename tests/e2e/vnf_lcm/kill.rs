//! The host is killed in each operation, again and again: operations go on, nothing is made twice, nothing is left.

use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Random, instantiate_request};

use super::World;

const KILLS: usize = 4;
const SPAN_MS: u64 = 400;
const LIMIT: Duration = Duration::from_secs(60);

/// Does an operation to its end while the host dies on the way.
async fn with_kills(world: &mut World, id: &str, operation: &str, body: &Value, random: &mut Random) -> Value {
    let op_occ = world.client.begin(id, operation, body).await.unwrap();
    for _ in 0..KILLS {
        // Where it dies is what is drawn here, not what is waited for.
        tokio::time::sleep(Duration::from_millis(random.below(SPAN_MS))).await;
        world.restart();
    }
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "COMPLETED", "{operation}: {over:#}");
    over
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_goes_on_with_what_it_had_accepted() {
    let mut random = Random::seeded("killed in operations");
    let slow = Faults {
        latency_ms: 30,
        stack_delay_ms: 300,
        stack_delete_delay_ms: 300,
        ..Faults::default()
    };
    let mut world = World::new(slow).await;
    let id = world.created("killed").await;
    with_kills(
        &mut world,
        &id,
        "instantiate",
        &instantiate_request("mock"),
        &mut random,
    )
    .await;
    assert_eq!(world.vim.inventory().stacks.len(), 1);
    let out = json!({"type": "SCALE_OUT", "aspectId": "VDU1_scale"});
    with_kills(&mut world, &id, "scale", &out, &mut random).await;
    let instance = world.client.instance(&id).await.unwrap();
    let vms = instance["instantiatedVnfInfo"]["vnfcResourceInfo"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(vms, 3, "two of VDU1 and one of VDU2: scaled once");
    with_kills(&mut world, &id, "heal", &json!({}), &mut random).await;
    let forceful = json!({"terminationType": "FORCEFUL"});
    with_kills(&mut world, &id, "terminate", &forceful, &mut random).await;
    assert_eq!(world.vim.inventory().stacks.len(), 0);
}
