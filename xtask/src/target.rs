//! The target components are built for.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::rustup;

/// The target of all components.
pub(crate) const WASM: &str = "wasm32-wasip2";

/// Makes sure that the target can be built for; adds it when it is missing.
///
/// The compiler is asked rather than rustup, because a distribution's Rust has the target without rustup knowing of it.
pub(crate) fn ensure() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    ensure_with(&rustc, &rustup::program())
}

fn ensure_with(rustc: &OsStr, rustup: &OsStr) -> Result<()> {
    if is_installed(rustc)? {
        return Ok(());
    }
    eprintln!("adding the target {WASM}");
    let why = match rustup::run(rustup, &["target", "add", WASM]) {
        Ok(()) if is_installed(rustc)? => return Ok(()),
        Ok(()) => "rustup has added it to another toolchain".to_owned(),
        Err(why) => why,
    };
    bail!(
        "the compiler has no target {WASM} ({why}); install it with `rustup target add {WASM}` for the toolchain in use, \
         then repeat"
    );
}

fn is_installed(rustc: &OsStr) -> Result<bool> {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", WASM])
        .output()
        .with_context(|| {
            format!(
                "the Rust compiler cannot be run; install Rust from https://rustup.rs, then `rustup target add {WASM}`"
            )
        })?;
    // An old compiler that has never heard of the target fails here.
    Ok(output.status.success() && PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_cannot_be_added_is_one_line_that_says_how_to_add_it() {
        // `false` and `true` are compilers that do not know the target, and rustups that do not and do say that they have added it.
        for (rustc, rustup) in [
            ("/nowhere/rustc", "/nowhere/rustup"),
            ("false", "/nowhere/rustup"),
            ("false", "false"),
            ("false", "true"),
        ] {
            let error = ensure_with(OsStr::new(rustc), OsStr::new(rustup)).unwrap_err();
            let told = format!("{error:#}");
            assert!(
                told.contains("`rustup target add wasm32-wasip2`"),
                "{rustc}, {rustup}: {told}"
            );
            assert_eq!(told.lines().count(), 1, "{rustc}, {rustup}: {told}");
        }
    }
}
