//! Deploying, on SQLite and on MongoDB: one service, many at once, and what the store is asked for each task.

use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::try_join_all;

use crate::figure::{Aim, Figures, Times, Unit, number};
use crate::harness::{ACCOUNT, BenchHost, Kind, Place, Wave};

/// Requests that only accept: enough to see beyond one group of writes.
const ACCEPTED: usize = 400;

/// Clients that ask at the same time.
const CLIENTS: usize = 8;

pub(crate) async fn measure(figures: &mut Figures, only: Option<Kind>) -> anyhow::Result<()> {
    let mut rates = vec![];
    for kind in [Kind::Sqlite, Kind::Mongodb] {
        if only.is_none_or(|only| only == kind) {
            let place = Place::of(kind, "deploys").await?;
            let host = BenchHost::start(&place).await?;
            one(figures, kind, &host).await?;
            rates.push(many(figures, kind, &host).await?);
        }
    }
    if let [sqlite, mongodb] = rates[..] {
        figures.add("tasks.mongodb_to_sqlite", mongodb / sqlite, "×", None);
    }
    Ok(())
}

/// One service after the other.
async fn one(figures: &mut Figures, kind: Kind, host: &BenchHost) -> anyhow::Result<()> {
    let store = kind.name();
    host.one_by_one("warm", 5).await?;
    let times = Times::new(host.one_by_one("one", 100).await?);
    let aim = kind.aim(Aim::AtMost(50.0));
    figures.add_times(&format!("post_to_done.{store}"), &times, Unit::Milliseconds, aim, None);
    figures.add(format!("accepted.{store}"), accepted(host).await?, "deploys/s", None);
    Ok(())
}

/// Many at the same time; answers tasks a second.
async fn many(figures: &mut Figures, kind: Kind, host: &BenchHost) -> anyhow::Result<f64> {
    let store = kind.name();
    let wave = |prefix: &str, services, vms| Wave {
        hosts: slice::from_ref(host),
        accounts: vec![ACCOUNT.to_owned()],
        prefix: prefix.to_owned(),
        services,
        vms,
    };
    // Warm, and larger than any group of writes.
    wave("warm-up", 4, 50).run().await?;
    let before = host.counters().await?;
    let many = wave("many", 40, 50);
    let rate = many.rate().await?;
    let least = kind.aim(Aim::AtLeast(2000.0));
    figures.add(format!("tasks.{store}.40x50"), rate, "tasks/s", least);
    let after = host.counters().await?;
    let tasks = number(many.tasks());
    let mut per_task = |name: &str, family: &str, unit| {
        let count = after.sum(family) - before.sum(family);
        figures.add(format!("{name}_per_task.{store}"), count / tasks, unit, None);
    };
    match kind {
        Kind::Sqlite => {
            per_task("writes", "vimhost_store_operations_total", "writes");
            per_task("reads", "vimhost_store_reads_total", "reads");
            per_task("syncs", "vimhost_store_commits_total", "syncs");
        }
        Kind::Mongodb => per_task("round_trips", "vimhost_store_commands_total", "commands"),
    }
    per_task("calls", "vimhost_connector_calls_total", "calls");
    let large = wave("large", 4, 500).rate().await?;
    figures.add(format!("tasks.{store}.4x500"), large, "tasks/s", least);
    let times = status_under_load(host, &wave("load", 40, 50)).await?;
    figures.add_times(
        &format!("status_under_load.{store}"),
        &times,
        Unit::Milliseconds,
        None,
        None,
    );
    Ok(rate)
}

/// Deploys accepted a second, by clients at the same time.
async fn accepted(host: &BenchHost) -> anyhow::Result<f64> {
    let names: Vec<String> = (0..ACCEPTED).map(|number| format!("accepted-{number}")).collect();
    for name in &names {
        host.put(name, ACCOUNT, 1).await?;
    }
    let share = |client: usize| names.iter().skip(client).step_by(CLIENTS);
    let begun = Instant::now();
    let clients = (0..CLIENTS).map(|client| async move {
        let mut actions = vec![];
        for name in share(client) {
            actions.push((name, host.deploy(name).await?));
        }
        anyhow::Ok(actions)
    });
    let actions = try_join_all(clients).await?;
    let took = begun.elapsed();
    for (name, action) in actions.into_iter().flatten() {
        host.follow(name, &action).await?;
    }
    Ok(number(ACCEPTED) / took.as_secs_f64())
}

/// How long the status of an action takes to be read while others are deployed.
async fn status_under_load(host: &BenchHost, load: &Wave<'_>) -> anyhow::Result<Times> {
    host.put("watched", ACCOUNT, 5).await?;
    let action = host.deploy("watched").await?;
    host.done("watched", &action).await?;
    let path = format!("/v1/network-services/watched/actions/{action}");
    let over = AtomicBool::new(false);
    let reading = async {
        let mut times = vec![];
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            host.host.admin_ok("GET", &path, None).await?;
            times.push(begun.elapsed());
        }
        anyhow::Ok(Times::new(times))
    };
    let loading = async {
        let outcome = load.run().await;
        over.store(true, Ordering::Relaxed);
        outcome
    };
    let (times, outcome) = tokio::join!(reading, loading);
    outcome?;
    times
}
