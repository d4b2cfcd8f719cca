//! `cargo xtask test`: everything CI runs, each part named, none passed over in silence.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace::cargo;
use crate::{mongod, plugins, schemathesis};

/// Options of the test run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only the tests, without format, lints, docs and dependency check.
    #[arg(long)]
    only_tests: bool,
}

/// How a part ended.
enum End {
    Passed,
    Failed(String),
    /// It could not run, and why.
    NotRun(String),
}

/// Runs everything.
///
/// Every part runs, whatever became of the others, so that one run tells all; the summary is the last thing printed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut ends: Vec<(&str, End, Duration)> = Vec::new();
    let mut part = |name: &'static str, run: &mut dyn FnMut() -> Result<End>| -> Result<()> {
        eprintln!("==> {name}");
        let begun = Instant::now();
        let end = run()?;
        ends.push((name, end, begun.elapsed()));
        Ok(())
    };
    // Without connectors no test is worth running, so this one ends the run.
    part("connectors", &mut || plugins::build(&[]).map(|_| End::Passed))?;
    // First, because it fails fastest; the tests' own build follows, whose artifacts nothing else replaces.
    if !arguments.only_tests {
        part("format", &mut || cargo_part(&["fmt", "--all", "--check"], &[]))?;
    }
    // Without it the tests that need it fail and say so; the others are still worth running.
    part("MongoDB server", &mut || {
        Ok(match mongod::ensure_there() {
            Ok(_) => End::Passed,
            Err(error) => End::Failed(format!("{error:#}")),
        })
    })?;
    part("tests", &mut || {
        cargo_part(&["test", "--workspace", "--no-fail-fast"], &[])
    })?;
    // After the tests, which have built the host.
    part("admin interface by its description", &mut || {
        Ok(match schemathesis::against_built(&schemathesis::Arguments::default()) {
            Ok(()) => End::Passed,
            Err(error) => End::Failed(format!("{error:#}")),
        })
    })?;
    if !arguments.only_tests {
        part("lints", &mut || {
            cargo_part(
                &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"],
                &[],
            )
        })?;
        part("documentation", &mut || {
            cargo_part(
                &["doc", "--workspace", "--no-deps", "--lib"],
                &[("RUSTDOCFLAGS", "--deny warnings")],
            )
        })?;
        part("dependencies", &mut dependencies)?;
    }
    let mut failed = Vec::new();
    println!();
    for (name, end, elapsed) in &ends {
        let elapsed = elapsed.as_secs();
        match end {
            End::Passed => println!("passed   {name} ({elapsed} s)"),
            End::Failed(why) => {
                println!("FAILED   {name} ({elapsed} s): {why}");
                failed.push(*name);
            }
            End::NotRun(why) => println!("NOT RUN  {name}: {why}"),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

fn cargo_part(arguments: &[&str], environment: &[(&str, &str)]) -> Result<End> {
    let status = cargo()
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cargo cannot be run")?;
    Ok(if status.success() {
        End::Passed
    } else {
        End::Failed(format!("cargo {} ended with {status}", arguments.join(" ")))
    })
}

/// Licences, sources, duplicate versions. Advisories need a database from the network and have a command of their own.
fn dependencies() -> Result<End> {
    let installed = Command::new("cargo-deny")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    if !installed {
        return Ok(End::NotRun(
            "cargo-deny is not installed; `cargo install cargo-deny --locked` installs it".to_owned(),
        ));
    }
    cargo_part(&["deny", "--offline", "check", "bans", "licenses", "sources"], &[])
}
