//! Deploying, on SQLite and on MongoDB: one service, many at once, and what the store is asked for each task.

use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::try_join_all;

use crate::figure::{Aim, Figures, Times, Unit, number};
use crate::harness::{ACCOUNT, BenchHost, Place, Wave};

/// Requests that only accept: enough to see beyond one group of writes.
const ACCEPTED: usize = 400;

/// Clients that ask at the same time.
const CLIENTS: usize = 8;

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let sqlite = of_store(figures, "sqlite", &Place::sqlite()?).await?;
    let mongo = of_store(figures, "mongodb", &Place::mongo("bench").await?).await?;
    figures.add("tasks.mongodb_to_sqlite", mongo / sqlite, "×", None);
    Ok(())
}

/// Answers tasks a second.
async fn of_store(figures: &mut Figures, store: &str, place: &Place) -> anyhow::Result<f64> {
    // Aims are those of the embedded store.
    let aim = |aim: Aim| (store == "sqlite").then_some(aim);
    let host = BenchHost::start(place).await?;
    host.one_by_one("warm", 5).await?;
    let times = Times::new(host.one_by_one("one", 100).await?);
    figures.add_times(
        &format!("post_to_done.{store}"),
        &times,
        Unit::Milliseconds,
        aim(Aim::AtMost(50.0)),
        None,
    );
    figures.add(format!("accepted.{store}"), accepted(&host).await?, "deploys/s", None);

    let wave = |prefix: &str, services, vms| Wave {
        hosts: slice::from_ref(&host),
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
    figures.add(
        format!("tasks.{store}.40x50"),
        rate,
        "tasks/s",
        aim(Aim::AtLeast(2000.0)),
    );
    let after = host.counters().await?;
    let tasks = number(many.tasks());
    let per_task = |family: &str| (after.sum(family) - before.sum(family)) / tasks;
    if store == "sqlite" {
        figures.add(
            "writes_per_task.sqlite",
            per_task("vimhost_store_operations_total"),
            "writes",
            None,
        );
        figures.add(
            "syncs_per_task.sqlite",
            per_task("vimhost_store_commits_total"),
            "syncs",
            None,
        );
    } else {
        let trips = per_task("vimhost_store_commands_total");
        figures.add("round_trips_per_task.mongodb", trips, "commands", None);
    }
    figures.add(
        format!("calls_per_task.{store}"),
        per_task("vimhost_connector_calls_total"),
        "calls",
        None,
    );
    let large = wave("large", 4, 500);
    figures.add(
        format!("tasks.{store}.4x500"),
        large.rate().await?,
        "tasks/s",
        aim(Aim::AtLeast(2000.0)),
    );
    let times = status_under_load(&host, &wave("load", 40, 50)).await?;
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
