//! Where the server program is.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The version that `cargo xtask mongod` fetches.
const VERSION: &str = "6.0.5";

/// The program, which `cargo xtask mongod` puts into the user's cache.
pub(crate) fn path() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let program = cache.join("vimhost/mongod").join(VERSION).join("mongod");
    ensure!(
        program.is_file(),
        "there is no MongoDB server at {}; `cargo xtask mongod` fetches it, and `cargo xtask test` does so before the tests",
        program.display()
    );
    Ok(program)
}
