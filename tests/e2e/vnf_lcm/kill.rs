//! The host is killed in each operation, again and again: operations go on, nothing is made twice, nothing is left.

use std::time::Duration;

use mock_vim::Faults;
use serde_json::{Value, json};
use vimhost_tests::{Kills, figures, instantiate_request};

use super::{World, forceful, scale_out, vm_count};

/// Kills of a host at work, in all and at least in each operation.
const KILLS: usize = 16;
const OF_EACH: usize = 2;

/// Kills of one operation at most, each at most so long after the start of the host: several fall into the time that a stack takes.
const MOST: usize = 4;
const SPAN: Duration = Duration::from_millis(300);
const STACK_MS: u64 = 800;

/// Instances at most. One has two or three kills in each operation, two have enough of them; eight have if there is but one.
const LIVES: usize = 8;

const LIMIT: Duration = Duration::from_secs(60);

/// Does an operation to its end while the host dies on the way; answers how often it did.
async fn with_kills(world: &mut World, id: &str, operation: &str, body: &Value, kills: &mut Kills) -> usize {
    let op_occ = world.client.begin(id, operation, body).await.unwrap();
    let mut killed = 0;
    while killed < MOST && kills.hits(SPAN, world.client.is_running(&op_occ)).await.unwrap() {
        world.restart();
        killed += 1;
    }
    let over = world.client.settled(&op_occ, LIMIT).await.unwrap();
    assert_eq!(over["operationState"], "COMPLETED", "{operation}: {over:#}");
    killed
}

/// An instance from its instantiation to its termination; answers the kills of each operation.
async fn live(world: &mut World, name: &str, kills: &mut Kills) -> [usize; 4] {
    let id = world.created(name).await;
    let instantiated = with_kills(world, &id, "instantiate", &instantiate_request("mock"), kills).await;
    assert_eq!(world.vim.inventory().stacks.len(), 1);
    let scaled = with_kills(world, &id, "scale", &scale_out(), kills).await;
    let instance = world.client.instance(&id).await.unwrap();
    assert_eq!(vm_count(&instance), 3, "two of VDU1 and one of VDU2: scaled once");
    let healed = with_kills(world, &id, "heal", &json!({}), kills).await;
    let terminated = with_kills(world, &id, "terminate", &forceful(), kills).await;
    assert_eq!(world.vim.inventory().stacks.len(), 0);
    [instantiated, scaled, healed, terminated]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_goes_on_with_what_it_had_accepted() {
    let test = "a_host_that_is_killed_goes_on_with_what_it_had_accepted";
    let mut kills = Kills::seeded(test);
    let slow = Faults {
        latency_ms: 30,
        stack_delay_ms: STACK_MS,
        stack_delete_delay_ms: STACK_MS,
        ..Faults::default()
    };
    let mut world = World::new(slow).await;
    let mut killed = [0_usize; 4];
    let mut lives = 0;
    while kills.counted() < KILLS || killed.iter().any(|kills| *kills < OF_EACH) {
        assert!(
            lives < LIVES,
            "{LIVES} lives are too few for {KILLS} kills of a host at work, and {OF_EACH} in each operation: {killed:?} (seed {})",
            kills.seed()
        );
        let in_life = live(&mut world, &format!("killed-{lives}"), &mut kills).await;
        for (sum, kills) in killed.iter_mut().zip(in_life) {
            *sum += kills;
        }
        lives += 1;
    }
    let line = format!(
        "seed {}: {} kills of a host at work, {killed:?} in instantiate, scale, heal and terminate of {lives} lives",
        kills.seed(),
        kills.counted()
    );
    figures::note(test, &line).unwrap();
}
