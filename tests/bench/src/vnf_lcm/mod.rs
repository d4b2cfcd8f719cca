//! SOL003: creating, listing and operating VNF instances, telling subscribers, and taking up what was under way.

mod lists;
mod subscribers;
mod waiting;

use std::time::{Duration, Instant};

use anyhow::ensure;
use mock_vim::Faults;
use serde::de::IgnoredAny;
use tokio::task::JoinHandle;
use vimhost_tests::{Host, SamplePackage, Setup, VnfLcm, instantiate_request, start_vim, wait_until};

use crate::figure::{Aim, Figures, Times, Unit, number};
use crate::harness::{BenchHost, Kind, Place};

/// Clients that ask at the same time.
const CLIENTS: usize = 64;

/// Instantiations that are timed, one after the other.
const TIMED: usize = 20;

/// How long the VIM makes their stacks.
const STACK_MS: u64 = 1_000;

/// The account on a mock VIM.
const ON_VIM: &str = "mock-vim";

/// How long many operations may take together.
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) async fn measure(figures: &mut Figures, only: Option<Kind>) -> anyhow::Result<()> {
    for kind in [Kind::Sqlite, Kind::Mongodb] {
        if only.is_none_or(|only| only == kind) {
            creates(figures, kind).await?;
            instantiates(figures, kind).await?;
        }
    }
    if only.is_none_or(|only| only == Kind::Sqlite) {
        lists::measure(figures).await?;
        waiting::measure(figures).await?;
        subscribers::measure(figures).await?;
    }
    Ok(())
}

/// Instances created a second, by many clients at the same time.
async fn creates(figures: &mut Figures, kind: Kind) -> anyhow::Result<()> {
    let count = match kind {
        Kind::Sqlite => 5_000,
        Kind::Mongodb => 1_000,
    };
    let place = Place::of(kind, "vnf-creates").await?;
    let world = World::new(&place, |_| {}).await?;
    world.create("warm", 200).await?;
    let begun = Instant::now();
    world.create("timed", count).await?;
    let rate = number(count) / begun.elapsed().as_secs_f64();
    let least = kind.aim(Aim::AtLeast(1000.0));
    figures.add(format!("vnf.created.{}", kind.name()), rate, "instances/s", least);
    Ok(())
}

/// From the request to COMPLETED, less the time that the VIM takes for a stack.
async fn instantiates(figures: &mut Figures, kind: Kind) -> anyhow::Result<()> {
    let vim = start_vim(making(STACK_MS)).await?;
    let place = Place::of(kind, "vnf-instantiates").await?;
    let world = World::new(&place, |_| {}).await?;
    world.bench.host.add_vim(ON_VIM, &vim.url()).await?;
    let request = instantiate_request(ON_VIM);
    let mut beyond = vec![];
    // The first one logs in.
    for (n, id) in world.create("timed", TIMED + 1).await?.iter().enumerate() {
        let begun = Instant::now();
        world.client.complete(id, "instantiate", &request).await?;
        if n > 0 {
            beyond.push(begun.elapsed().saturating_sub(Duration::from_millis(STACK_MS)));
        }
    }
    let name = format!("vnf.instantiate.beyond_the_stack.{}", kind.name());
    let most = kind.aim(Aim::AtMost(500.0));
    figures.add_times(&name, &Times::new(beyond), Unit::Milliseconds, most, None);
    Ok(())
}

/// A VIM that makes each stack for so long.
fn making(stack_delay_ms: u64) -> Faults {
    Faults {
        stack_delay_ms,
        ..Faults::default()
    }
}

/// A host with the sample package, and a client of it.
struct World {
    bench: BenchHost,
    client: VnfLcm,
    vnfd: String,
}

impl World {
    /// The first host of a place.
    async fn new(place: &Place, change: impl FnOnce(&mut Setup)) -> anyhow::Result<Self> {
        let world = Self::again(place, change)?;
        world.client.onboard(&SamplePackage::default()).await?;
        Ok(world)
    }

    /// A host of a place that has the package.
    fn again(place: &Place, change: impl FnOnce(&mut Setup)) -> anyhow::Result<Self> {
        let mut setup = place.setup("bench");
        change(&mut setup);
        let host = Host::start(&setup)?;
        let client = VnfLcm::new(&host.vnf_lcm)?;
        Ok(Self {
            bench: BenchHost { host },
            client,
            vnfd: SamplePackage::default().vnfd_id,
        })
    }

    /// Creates instances, by many clients at the same time; answers their ids.
    async fn create(&self, prefix: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let mut clients = vec![];
        for first in 0..CLIENTS {
            let (client, vnfd, prefix) = (self.client.clone(), self.vnfd.clone(), prefix.to_owned());
            clients.push(tokio::spawn(async move {
                let mut made = vec![];
                for n in (first..count).step_by(CLIENTS) {
                    made.push(client.create(&vnfd, &format!("{prefix}-{n}")).await?);
                }
                anyhow::Ok(made)
            }));
        }
        all_of(clients).await
    }

    /// Begins to instantiate instances, by many clients at the same time; answers the operations.
    async fn instantiate(&self, ids: &[String], account: &str) -> anyhow::Result<Vec<String>> {
        let mut clients = vec![];
        for first in 0..CLIENTS {
            let (client, request) = (self.client.clone(), instantiate_request(account));
            let share: Vec<String> = ids.iter().skip(first).step_by(CLIENTS).cloned().collect();
            clients.push(tokio::spawn(async move {
                let mut begun = vec![];
                for id in &share {
                    begun.push(client.begin(id, "instantiate", &request).await?);
                }
                anyhow::Ok(begun)
            }));
        }
        all_of(clients).await
    }

    /// What a GET answers.
    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}{path}", self.client.base);
        let request = self.bench.host.http.get(url).header("Version", "2.0.0");
        let answer = request.header("Accept", "application/json").send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        ensure!(status == 200, "GET {path} answered {status}: {text}");
        Ok(text)
    }

    /// Operations that are in one of these states, separated by commas.
    async fn operations(&self, states: &str) -> anyhow::Result<usize> {
        let path = format!("/vnflcm/v2/vnf_lcm_op_occs?filter=(in,operationState,{states})");
        entries(&self.get(&path).await?)
    }

    /// Waits until no operation runs and expects so many to be COMPLETED, and none to be anything else.
    async fn settled(&self, completed: usize) -> anyhow::Result<()> {
        wait_until("the end of all operations", LIMIT, async || {
            Ok(self.operations("STARTING,PROCESSING,ROLLING_BACK").await? == 0)
        })
        .await?;
        let well = self.operations("COMPLETED").await?;
        ensure!(well == completed, "{well} of {completed} operations are COMPLETED");
        Ok(())
    }
}

/// How many entries a list has.
fn entries(list: &str) -> anyhow::Result<usize> {
    Ok(serde_json::from_str::<Vec<IgnoredAny>>(list)?.len())
}

async fn all_of(clients: Vec<JoinHandle<anyhow::Result<Vec<String>>>>) -> anyhow::Result<Vec<String>> {
    let mut ids = vec![];
    for client in clients {
        ids.extend(client.await??);
    }
    Ok(ids)
}
