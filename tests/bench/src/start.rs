//! Starting a host, and what it needs while nobody asks anything of it.

use std::time::{Duration, Instant};

use crate::figure::{Aim, Figures, Times, Unit};
use crate::harness::{BenchHost, Place};

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let place = Place::sqlite()?;
    let cold = start(&place)?;
    figures.add("start.cold", Unit::Milliseconds.of(cold), "ms", None);
    let mut warm = vec![];
    for _ in 0..10 {
        warm.push(start(&place)?);
    }
    figures.add(
        "start.warm",
        Unit::Milliseconds.of(Times::new(warm).at(50)),
        "ms",
        Some(Aim::AtMost(200.0)),
    );
    let host = BenchHost::start(&place).await?;
    figures.add("memory.idle", host.resident()?, "MB", Some(Aim::AtMost(80.0)));
    Ok(())
}

fn start(place: &Place) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let host = vimhost_tests::Host::start(&place.setup("bench"))?;
    let took = begun.elapsed();
    host.stop()?;
    Ok(took)
}
