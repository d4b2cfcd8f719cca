//! The target components are built for.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The target of all components.
pub(crate) const WASM: &str = "wasm32-wasip2";

/// Makes sure that the target can be built for; adds it when it is missing.
///
/// The compiler is asked rather than rustup, because a distribution's Rust has the target without rustup knowing of it.
pub(crate) fn ensure() -> Result<()> {
    if is_installed()? {
        return Ok(());
    }
    eprintln!("adding the target {WASM}");
    let added = Command::new("rustup")
        .args(["target", "add", WASM])
        .stdin(Stdio::null())
        .output();
    let why = match added {
        Ok(output) if output.status.success() && is_installed()? => return Ok(()),
        Ok(output) => last_line(&output.stderr).unwrap_or_else(|| "rustup did not add it".to_owned()),
        Err(error) => format!("rustup cannot be run: {error}"),
    };
    bail!(
        "the compiler has no target {WASM} ({why}); install it with `rustup target add {WASM}` for the toolchain in use, \
         then repeat"
    );
}

fn is_installed() -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", WASM])
        .output()
        .context("the Rust compiler cannot be run; install Rust from https://rustup.rs")?;
    // An old compiler that has never heard of the target fails here.
    Ok(output.status.success() && PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn last_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map(str::to_owned)
}
