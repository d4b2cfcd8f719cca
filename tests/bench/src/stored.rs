//! What services that are stored already cost those that come: nothing, if every query finds what it needs by an index.

use std::slice;

use crate::figure::{Aim, Figures, Times, Unit};
use crate::harness::{ACCOUNT, BenchHost, Place, Wave};

/// The store that the larger one is compared with.
const FEW: usize = 10;

/// Services whose memory is told.
const SOME: usize = 1_000;

/// Services that are deployed at the same time.
const AT_ONCE: usize = 250;

/// Deploys that are timed.
const TIMED: usize = 200;

pub(crate) async fn measure(figures: &mut Figures, many: usize) -> anyhow::Result<()> {
    let place = Place::sqlite()?;
    let host = BenchHost::start(&place).await?;
    host.one_by_one("warm", 20).await?;
    let mut stored = fill(&host, 20, FEW).await?;
    let few = Times::new(host.one_by_one("few", TIMED).await?);
    figures.add(
        format!("stored.{FEW}.post_to_done.p50"),
        Unit::Milliseconds.of(few.at(50)),
        "ms",
        None,
    );
    stored = fill(&host, stored + TIMED, SOME).await?;
    figures.add(format!("memory.{stored}_services"), host.resident()?, "MB", None);
    stored = fill(&host, stored, many).await?;
    let full = Times::new(host.one_by_one("many", TIMED).await?);
    figures.add(
        format!("stored.{many}.post_to_done.p50"),
        Unit::Milliseconds.of(full.at(50)),
        "ms",
        None,
    );
    figures.add(
        format!("stored.{many}_to_{FEW}"),
        full.at(50).as_secs_f64() / few.at(50).as_secs_f64(),
        "×",
        Some(Aim::AtMost(1.2)),
    );
    figures.add(
        format!("memory.{}_services", stored + TIMED),
        host.resident()?,
        "MB",
        None,
    );
    Ok(())
}

/// Deploys services until so many are stored; answers how many are.
async fn fill(host: &BenchHost, mut stored: usize, until: usize) -> anyhow::Result<usize> {
    while stored < until {
        let services = AT_ONCE.min(until - stored);
        let wave = Wave {
            hosts: slice::from_ref(host),
            accounts: vec![ACCOUNT.to_owned()],
            prefix: format!("fill-{stored}"),
            services,
            vms: 1,
        };
        wave.run().await?;
        stored += services;
    }
    Ok(stored)
}
