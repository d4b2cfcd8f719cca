//! cargo-deny, which checks licences and sources of dependencies: the one on the path, or one built into the user's cache when it is
//! asked for first.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::python::{cache, last_line};
use crate::workspace::cargo;

/// The version `deny.toml` was written for.
const VERSION: &str = "0.20.2";

/// The program.
pub(crate) fn ensure_there() -> Result<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if answers(&installed) {
        return Ok(installed);
    }
    let home = cache()?.join("cargo-deny").join(VERSION);
    let program = home.join("bin/cargo-deny");
    if answers(&program) {
        return Ok(program);
    }
    eprintln!("building cargo-deny {VERSION} for tests; this is done once and takes some minutes");
    let build = home.join("build");
    // With what others leave of the processors: a test run has it built beside parts that wait more than they compute.
    let ended = Command::new("nice")
        .arg(cargo().get_program())
        // Unoptimised: it runs for seconds. Its artifacts are not for the workspace's target directory.
        .args([
            "install",
            "cargo-deny",
            "--locked",
            "--debug",
            "--force",
            "--version",
            VERSION,
        ])
        .arg("--root")
        .arg(&home)
        .arg("--target-dir")
        .arg(&build)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .stdin(Stdio::null())
        .output()
        .context("nice, which runs cargo, cannot be run")?;
    ensure!(
        ended.status.success(),
        "cargo-deny is not installed, and `cargo install cargo-deny --locked` does not do it: {}",
        last_line(&ended.stdout, &ended.stderr)
    );
    std::fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))?;
    Ok(program)
}

fn answers(program: &Path) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}
