//! What it costs a VIM that many operations wait: looks at stacks are asked for together, with one token.

use std::time::{Duration, Instant};

use mock_vim::Faults;
use vimhost_tests::{instantiate_request, wait_until};

use super::{LIMIT, World, held};

/// How long all stacks are in the making together.
const WAIT: Duration = Duration::from_secs(6);

/// Looks a second, however many stacks are looked at: a young stack is looked at after a tenth of a second, and then ever later.
const LOOKS_A_SECOND: u128 = 10;

/// Requests for the status of stacks in a time, which is longer on a machine that is slow.
struct Looks {
    count: u64,
    time: Duration,
}

impl Looks {
    /// What they are at most, beside some.
    fn bound(&self) -> u128 {
        LOOKS_A_SECOND * self.time.as_millis() / 1000
    }
}

/// Instantiates so many at once; answers the looks while all wait, and in all.
async fn looks(world: &World, operations: usize) -> (Looks, Looks) {
    let lists = || world.vim.requests().of("GET stacks list 200");
    let request = instantiate_request("mock");
    let known = world.vim.inventory().stacks.len();
    let mut ids = Vec::new();
    for n in 0..operations {
        ids.push(world.created(&format!("of-{operations}-{n}")).await);
    }
    world.vim.set_faults(held()).unwrap();
    let (begun, first) = (Instant::now(), lists());
    let mut op_occs = Vec::new();
    for id in &ids {
        op_occs.push(world.client.begin(id, "instantiate", &request).await.unwrap());
    }
    wait_until("all stacks to be made", LIMIT, async || {
        Ok(world.vim.inventory().stacks.len() == known + operations)
    })
    .await
    .unwrap();
    let (waiting, before) = (Instant::now(), lists());
    // A span of the wait, to be measured.
    tokio::time::sleep(WAIT).await;
    let in_wait = Looks {
        count: lists() - before,
        time: waiting.elapsed(),
    };
    let shown = world.client.op_occ(op_occs.last().unwrap()).await.unwrap();
    assert_eq!(shown["operationState"], "PROCESSING", "measured in the wait");
    world.release();
    for op_occ in &op_occs {
        let over = world.client.settled(op_occ, LIMIT).await.unwrap();
        assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
    }
    let in_all = Looks {
        count: lists() - first,
        time: begun.elapsed(),
    };
    println!(
        "{operations} operations: {} looks in {:.1?}, {} in {:.1?} in all",
        in_wait.count, in_wait.time, in_all.count, in_all.time
    );
    (in_wait, in_all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_operations_that_wait_are_looked_at_together_with_one_token() {
    let world = World::new(Faults::default()).await;
    world.instantiated("warm").await;
    let log_ins = || {
        let requests = world.vim.requests().requests;
        let of_session = requests.iter().filter(|(what, _)| what.starts_with("POST session "));
        of_session.map(|(_, count)| *count).sum::<u64>()
    };
    let tokens = log_ins();
    let (_, of_five) = looks(&world, 5).await;
    let (in_wait, of_hundred) = looks(&world, 100).await;
    assert!(
        u128::from(in_wait.count) <= in_wait.bound(),
        "{} looks in {:?}",
        in_wait.count,
        in_wait.time
    );
    // One at its beginning each at most, and then together. By themselves they would be some two thousand.
    assert!(
        u128::from(of_hundred.count) <= 100 + of_hundred.bound(),
        "{} looks for a hundred operations in {:?}, {} for five",
        of_hundred.count,
        of_hundred.time,
        of_five.count
    );
    assert_eq!(log_ins(), tokens, "no operation logged in again");
    assert_eq!(world.vim.inventory().sessions, usize::try_from(tokens).unwrap());
    let log = world.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
