//! What vimhost costs, measured on the real binary and the real connectors, with the aims it is held against.
//!
//! `cargo xtask bench` builds everything for release and runs it. Nothing here decides whether a build is good: machines differ,
//! so what is compared is figures of one run. Numbers that only mean something beside another one are ratios.

#![forbid(unsafe_code)]

mod calls;
mod deploys;
mod figure;
mod harness;
mod hosts;
mod plugins;
mod scale;
mod start;
mod stored;
mod vnf_lcm;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};

use figure::Figures;
use harness::Kind;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Calls of a connector.
    Calls,
    /// Compiling and loading a connector.
    Plugins,
    /// Starting a host; its memory.
    Start,
    /// Deploying one service, and many at once.
    Deploys,
    /// What stored services cost those that come.
    Stored,
    /// Large services, and slow VIMs.
    Scale,
    /// One, two and three hosts on one database.
    Hosts,
    /// VNF instances: creating, listing, operating, subscribers, a restart.
    VnfLcm,
}

/// Measures vimhost.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where the figures go as JSON: a list of `{name, value, unit, aim, met}`.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only on this store; on both when it is not given.
    #[arg(long, value_enum)]
    store: Option<Kind>,
    /// Services that are stored in the larger of the two stores that are compared.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    services: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut figures = Figures::default();
    let mut broken = vec![];
    for part in Part::value_variants() {
        if !arguments.parts.is_empty() && !arguments.parts.contains(part) {
            continue;
        }
        eprintln!("{part:?}");
        let measured = match part {
            Part::Calls => calls::measure(&mut figures).await,
            Part::Plugins => plugins::measure(&mut figures).await,
            Part::Start => start::measure(&mut figures).await,
            Part::Deploys => deploys::measure(&mut figures, arguments.store).await,
            Part::Stored => stored::measure(&mut figures, arguments.services).await,
            Part::Scale => scale::measure(&mut figures).await,
            Part::Hosts => hosts::measure(&mut figures).await,
            Part::VnfLcm => vnf_lcm::measure(&mut figures, arguments.store).await,
        };
        if let Err(error) = measured {
            eprintln!("  could not be measured: {error:#}");
            broken.push(format!("{part:?}"));
        }
    }
    println!("{}", figures.table());
    if let Some(file) = &arguments.json {
        let text = figures.json().context("the figures cannot be written as JSON")?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let missed = figures.missed();
    if missed > 0 {
        println!("{missed} aims are missed");
    }
    ensure!(broken.is_empty(), "not measured: {}", broken.join(", "));
    Ok(())
}
