//! `cargo xtask bench`: builds everything for release and measures it.
//!
//! The measuring is a program of the workspace (`tests/bench`), so that it is built with the same options as what it measures.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::workspace::{Workspace, cargo};
use crate::{mongod, plugins};

/// Options of the measuring program; `cargo xtask bench -- --help` lists them.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What is measured and how; everything when nothing is given.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    eprintln!("==> building the connectors");
    plugins::build(&["mock".to_owned()])?;
    mongod::ensure_there()?;
    eprintln!("==> building vimhost for release");
    let status = cargo()
        .args([
            "build",
            "--release",
            "--workspace",
            "--bin",
            "vimhost",
            "--bin",
            "vimhost-bench",
        ])
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "vimhost does not build; the compiler says why above");
    eprintln!("==> measuring");
    let program = Workspace::load()?.target_directory.join("release/vimhost-bench");
    let status = Command::new(&program)
        .args(&arguments.options)
        .status()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    ensure!(status.success(), "the measuring ended with {status}");
    Ok(())
}
