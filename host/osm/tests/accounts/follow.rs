//! The loop: what is heard, what is looked for, and that one account costs the others nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use vimhost_model::AccountState;
use vimhost_osm::{Follower, Pace};

use crate::world::{Dies, VIM, World, created};

/// Longer than anything here takes, on a machine that does other things besides.
const DEADLINE: Duration = Duration::from_secs(60);

fn pace(sweep: Duration) -> Pace {
    Pace {
        poll: Duration::from_millis(10),
        sweep,
        backoff: (Duration::from_millis(1), Duration::from_millis(10)),
        at_once: 2,
    }
}

/// So long that only hints bring a look.
const NEVER: Duration = Duration::from_secs(3600);

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn follow(world: &Arc<World>, pace: Pace) -> Running {
    let stop = CancellationToken::new();
    let follower = Follower::new(world.host("one", Dies::Never), pace);
    let task = tokio::spawn(follower.run(stop.clone()));
    Running { stop, task }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn is(world: &Arc<World>, target: &str, state: &str) -> bool {
    world.told(target).0 == state
}

async fn an_account_lives(world: Arc<World>, sweep: Duration) {
    world.create("vim:before", "right");
    let running = follow(&world, pace(sweep));
    until("the account that was there", || is(&world, "vim:before", "ENABLED")).await;
    world.create(VIM, "wrong");
    until("the creation", || is(&world, VIM, "ERROR")).await;
    world.edit(VIM, |document| document["vim_password"] = json!("right"));
    until("the edit", || is(&world, VIM, "ENABLED")).await;
    world.mark_for_deletion(VIM);
    until("the deletion", || world.kept(VIM).is_none()).await;
    world.remove(VIM);
    world.remove("vim:before");
    until("the removal", || world.kept("vim:before").is_none()).await;
    running.end().await;
}

#[tokio::test]
async fn what_a_replica_set_tells_is_looked_at() {
    an_account_lives(World::new(), NEVER).await;
}

#[tokio::test]
async fn a_standalone_is_asked() {
    an_account_lives(World::standalone(), NEVER).await;
}

#[tokio::test]
async fn d22_accounts_that_hang_panic_or_make_no_sense_cost_the_others_nothing() {
    let world = World::new();
    for (target, name) in [("vim:hang", "hang"), ("vim:panic", "panic")] {
        let mut document = created("right");
        document["name"] = json!(name);
        world.write(target, document);
    }
    world.write("vim:nonsense", json!({"_id": 5, "_admin": "nothing", "config": []}));
    let running = follow(&world, pace(NEVER));
    for n in 0..10 {
        let target = format!("vim:{n}");
        world.create(&target, "right");
        until("an account beside the others", || is(&world, &target, "ENABLED")).await;
    }
    running.end().await;
}

#[tokio::test]
async fn what_an_operator_checks_by_hand_is_told_to_osm() {
    let world = World::new();
    world.create(VIM, "wrong");
    let running = follow(&world, pace(NEVER));
    until("the creation", || is(&world, VIM, "ERROR")).await;
    world.set_state(VIM, AccountState::Enabled);
    until("the check", || is(&world, VIM, "ENABLED")).await;
    running.end().await;
}

#[tokio::test]
async fn a_database_that_was_away_is_followed_again() {
    let world = World::new();
    world.away(true);
    world.create(VIM, "right");
    let running = follow(&world, pace(Duration::from_millis(20)));
    until("a few attempts", || world.refusals() > 5).await;
    assert_eq!(world.checks(), 0);
    world.away(false);
    until("the creation", || is(&world, VIM, "ENABLED")).await;
    running.end().await;
}

#[tokio::test]
async fn an_account_in_use_is_removed_when_it_is_free_although_nobody_tells() {
    let world = World::new();
    world.create(VIM, "right");
    let running = follow(&world, pace(Duration::from_millis(20)));
    until("the creation", || is(&world, VIM, "ENABLED")).await;
    world.use_account(VIM, true);
    world.remove(VIM);
    until("the refusal", || world.refusals() > 1).await;
    world.use_account(VIM, false);
    until("the removal", || world.kept(VIM).is_none()).await;
    running.end().await;
}
