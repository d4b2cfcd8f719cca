//! What it costs a VIM that many operations wait: looks at stacks are asked for together, with one token.

use std::time::{Duration, Instant};

use mock_vim::Faults;
use vimhost_tests::{instantiate_request, wait_until};

use super::{LIMIT, World};

/// How long a stack is made: longer than it takes to begin all of them, and the time looked at.
const MADE_IN: u64 = 6000;

/// Looks a second, however many stacks are looked at: a young stack is looked at after a tenth of a second, and then ever later.
const LOOKS_A_SECOND: u64 = 10;

/// Instantiates so many at once; answers requests for the status of stacks in one second of the wait, and in all.
async fn looks(world: &World, operations: usize) -> (u64, u64) {
    let lists = || world.vim.requests().of("GET stacks list 200");
    let request = instantiate_request("mock");
    let known = world.vim.inventory().stacks.len();
    let mut ids = Vec::new();
    for n in 0..operations {
        ids.push(world.created(&format!("of-{operations}-{n}")).await);
    }
    let first = lists();
    let mut op_occs = Vec::new();
    for id in &ids {
        op_occs.push(world.client.begin(id, "instantiate", &request).await.unwrap());
    }
    wait_until("all stacks to be made", LIMIT, async || {
        Ok(world.vim.inventory().stacks.len() == known + operations)
    })
    .await
    .unwrap();
    let (begun, before) = (Instant::now(), lists());
    // A span of the wait, to be measured.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let in_span = lists() - before;
    let seconds = begun.elapsed().as_secs_f64();
    let shown = world.client.op_occ(op_occs.last().unwrap()).await.unwrap();
    assert_eq!(shown["operationState"], "PROCESSING", "measured in the wait");
    for op_occ in &op_occs {
        let over = world.client.settled(op_occ, LIMIT).await.unwrap();
        assert_eq!(over["operationState"], "COMPLETED", "{over:#}");
    }
    let in_all = lists() - first;
    println!("{operations} operations: {in_span} looks in {seconds:.1} s, {in_all} in all");
    (in_span, in_all)
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
    world
        .vim
        .set_faults(Faults {
            stack_delay_ms: MADE_IN,
            ..Faults::default()
        })
        .unwrap();
    let (_, of_five) = looks(&world, 5).await;
    let (in_span, of_hundred) = looks(&world, 100).await;
    assert!(in_span <= 2 * LOOKS_A_SECOND, "{in_span} looks in two seconds");
    // One at its beginning each at most, and then together. By themselves they would be some seven hundred.
    let bound = 100 + 2 * LOOKS_A_SECOND * MADE_IN / 1000;
    assert!(
        of_hundred <= bound,
        "{of_hundred} looks for a hundred operations, {of_five} for five"
    );
    assert_eq!(log_ins(), tokens, "no operation logged in again");
    assert_eq!(world.vim.inventory().sessions, usize::try_from(tokens).unwrap());
    let log = world.host.stop().unwrap();
    assert!(!log.contains("ERROR"), "{log}");
}
