//! What subscribers that an event does not concern cost an operation: nothing, if they are found by what they ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vimhost_tests::{instantiate_request, wait_until};

use super::{LIMIT, World};
use crate::figure::{Figures, number};
use crate::harness::{ACCOUNT, Place};

/// Subscriptions that match.
const MATCHING: usize = 10;

/// Subscriptions in the end.
const ALL: usize = 1_000;

/// Operations that are measured each time.
const OPERATIONS: usize = 100;

/// Operations before them.
const WARM_UP: usize = 20;

/// States an instantiation enters.
const STATES: usize = 3;

pub(super) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let place = Place::sqlite()?;
    let world = World::new(&place, |setup| "info".clone_into(&mut setup.log)).await?;
    world.bench.add_account(ACCOUNT).await?;
    let listener = Listener::start().await?;
    let ids = world.create("told", WARM_UP + 2 * OPERATIONS).await?;
    for _ in 0..MATCHING {
        listener.subscribe(&world, &world.vnfd).await?;
    }
    let (warm, timed) = ids.split_at(WARM_UP);
    let (first, second) = timed.split_at(OPERATIONS);
    cost(&world, &listener, warm).await?;
    let few = cost(&world, &listener, first).await?;
    for n in MATCHING..ALL {
        listener.subscribe(&world, &format!("another-{n}")).await?;
    }
    let many = cost(&world, &listener, second).await?;
    for (count, cost) in [(MATCHING, &few), (ALL, &many)] {
        let name = |what: &str| format!("vnf.subscribers.{count}.{what}");
        figures.add(name("processor"), cost.processor * 1e3, "ms", None);
        figures.add(name("lines"), cost.lines, "lines", None);
    }
    let name = |what: &str| format!("vnf.subscribers.{what}.{ALL}_to_{MATCHING}");
    figures.add(name("processor"), many.processor / few.processor, "×", None);
    figures.add(name("lines"), many.lines / few.lines, "×", None);
    Ok(())
}

/// What one operation costs with the notifications of it.
struct Cost {
    /// Seconds of a processor.
    processor: f64,
    /// Lines of the log at `info`.
    lines: f64,
}

/// Instantiates instances one after the other and waits until all who asked were told.
async fn cost(world: &World, listener: &Listener, ids: &[String]) -> anyhow::Result<Cost> {
    let request = instantiate_request(ACCOUNT);
    let expected = listener.told() + ids.len() * MATCHING * STATES;
    let lines = || number(world.bench.host.log().lines().count());
    let before = (processor(world)?, lines());
    for id in ids {
        world.client.complete(id, "instantiate", &request).await?;
    }
    wait_until("the notifications", LIMIT, async || Ok(listener.told() >= expected)).await?;
    let after = (processor(world)?, lines());
    let operations = number(ids.len());
    Ok(Cost {
        processor: (after.0 - before.0) / operations,
        lines: (after.1 - before.1) / operations,
    })
}

/// Seconds of a processor that the host has used.
fn processor(world: &World) -> anyhow::Result<f64> {
    /// Of the kernel's accounts, on every machine with Linux.
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", world.bench.host.pid()))?;
    // Behind the program's name, which may hold anything: from the state on, the 12th and 13th are user and system time.
    let (_, fields) = stat
        .rsplit_once(')')
        .context("the kernel tells nothing of the process")?;
    let mut ticks = 0.0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_A_SECOND)
}

/// A subscriber that counts what it is told.
struct Listener {
    url: String,
    told: Arc<AtomicUsize>,
}

impl Listener {
    async fn start() -> anyhow::Result<Self> {
        async fn hear(State(told): State<Arc<AtomicUsize>>, method: Method, _body: Bytes) -> StatusCode {
            if method == Method::POST {
                told.fetch_add(1, Ordering::Relaxed);
            }
            StatusCode::NO_CONTENT
        }
        let told = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(hear).with_state(told.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, told })
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }

    /// Asks to be told of the operations on instances of a VNFD.
    async fn subscribe(&self, world: &World, vnfd: &str) -> anyhow::Result<()> {
        let body: Value = json!({
            "callbackUri": format!("{}/told", self.url),
            "filter": {
                "vnfInstanceSubscriptionFilter": {"vnfdIds": [vnfd]},
                "notificationTypes": ["VnfLcmOperationOccurrenceNotification"],
            },
        });
        let url = format!("{}/vnflcm/v2/subscriptions", world.client.base);
        let request = world.bench.host.http.post(url).header("Version", "2.0.0");
        let answer = request.json(&body).send().await?;
        let status = answer.status().as_u16();
        ensure!(
            status == 201,
            "a subscription answered {status}: {}",
            answer.text().await?
        );
        Ok(())
    }
}
