//! Many operations whose stacks the VIM makes at the same time: what they cost while they wait, and how a host takes them up again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use vimhost_tests::{start_vim, wait_until};

use super::{LIMIT, ON_VIM, World, making};
use crate::figure::{Aim, Figures, number};
use crate::harness::Place;

/// Operations that wait at the same time.
const AT_ONCE: usize = 500;

/// How long the VIM makes a stack of the same number of operations that come before: they log in, and pools, caches and the allocator's heap
/// grow to what so many take, whose share is told apart from what waiting takes.
const FIRST_STACK_MS: u64 = 5_000;

/// How long the VIM makes a stack that is waited for: long enough for what is watched below.
const LONG_STACK_MS: u64 = 60_000;

/// After it pauses between looks are at their longest.
const SETTLING: Duration = Duration::from_secs(15);

/// How long requests are counted.
const WATCHED: Duration = Duration::from_secs(20);

/// How long the VIM makes a stack that a restart comes between.
const STACK_MS: u64 = 10_000;

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    at_once(figures).await?;
    restart(figures).await
}

async fn at_once(figures: &mut Figures) -> anyhow::Result<()> {
    let vim = start_vim(making(FIRST_STACK_MS)).await?;
    let place = Place::sqlite()?;
    let world = World::new(&place, |_| {}).await?;
    world.bench.host.add_vim(ON_VIM, &vim.url()).await?;
    let first = world.create("first", AT_ONCE).await?;
    let at_first = world.bench.resident()?;
    world.instantiate(&first, ON_VIM).await?;
    world.settled(AT_ONCE).await?;
    let ids = world.create("waiting", AT_ONCE).await?;
    vim.set_faults(making(LONG_STACK_MS))?;

    let before = world.bench.resident()?;
    let begun = Instant::now();
    world.instantiate(&ids, ON_VIM).await?;
    wait_until("the beginning of all stacks", LIMIT, async || {
        Ok(vim.inventory().stacks.len() == 2 * AT_ONCE)
    })
    .await?;
    let name = |what: &str| format!("vnf.waiting.{AT_ONCE}.{what}");
    figures.add(name("begun"), begun.elapsed().as_secs_f64(), "s", None);
    tokio::time::sleep(SETTLING).await;
    let (first, since) = (vim.requests().total, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let requests = usize::try_from(vim.requests().total.saturating_sub(first))?;
    let rate = number(requests) / since.elapsed().as_secs_f64();
    let waiting = world.operations("PROCESSING").await?;
    let now = world.bench.resident()?;
    let each_since = |before: f64| (now - before) * 1e3 / number(AT_ONCE);
    let none_capped = Some(Aim::AtLeast(number(AT_ONCE)));
    figures.add(name("at_once"), number(waiting), "operations", none_capped);
    figures.add(name("requests"), rate, "requests/s", None);
    figures.add(name("memory_each"), each_since(before), "KB", None);
    figures.add(name("memory_each_with_pools"), each_since(at_first), "KB", None);
    world.settled(2 * AT_ONCE).await?;
    let beyond = begun.elapsed().saturating_sub(Duration::from_millis(LONG_STACK_MS));
    figures.add(name("settled_beyond_the_stack"), beyond.as_secs_f64(), "s", None);
    Ok(())
}

async fn restart(figures: &mut Figures) -> anyhow::Result<()> {
    let vim = start_vim(making(STACK_MS)).await?;
    let place = Place::sqlite()?;
    let mut world = World::new(&place, |_| {}).await?;
    world.bench.host.add_vim(ON_VIM, &vim.url()).await?;
    let ids = world.create("in-flight", AT_ONCE).await?;
    world.instantiate(&ids, ON_VIM).await?;
    world.bench.host.kill();
    let begun = Instant::now();
    let world = World::again(&place, |_| {})?;
    let ready = begun.elapsed();
    let running = world.operations("STARTING,PROCESSING").await?;
    ensure!(running > 0, "the VIM was faster than the host's restart");
    world.settled(AT_ONCE).await?;
    let name = |what: &str| format!("vnf.restart.{AT_ONCE}.{what}");
    figures.add(name("in_flight"), number(running), "operations", None);
    figures.add(name("ready"), ready.as_secs_f64(), "s", None);
    figures.add(name("settled"), begun.elapsed().as_secs_f64(), "s", None);
    // None is made twice.
    let stacks = vim.inventory().stacks.len();
    ensure!(stacks == AT_ONCE, "{stacks} stacks instead of {AT_ONCE}");
    Ok(())
}
