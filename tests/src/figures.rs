//! Figures of tests that pass: libtest keeps what such a test prints to itself, so they are in files too.

use anyhow::{Context as _, ensure};

use crate::host::target_dir;

/// Prints what a test measured or counted, and keeps it as the only line of `figures/<test>.txt` in the target directory.
///
/// # Errors
/// When it is more than a line, or cannot be written.
pub fn note(test: &str, line: &str) -> anyhow::Result<()> {
    ensure!(!line.contains('\n'), "the figures of {test} are one line, not {line:?}");
    println!("{test}: {line}");
    let dir = target_dir()?.join("figures");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = dir.join(format!("{test}.txt"));
    std::fs::write(&file, format!("{line}\n")).with_context(|| format!("cannot write {}", file.display()))
}
