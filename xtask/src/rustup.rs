//! What the toolchain in use lacks, rustup adds: a target, components.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use crate::python::last_line;

/// The program, as a person would call it.
pub(crate) fn program() -> OsString {
    OsString::from("rustup")
}

/// Has rustup do this; why it did not, in one line.
pub(crate) fn run(rustup: &OsStr, arguments: &[&str]) -> Result<(), String> {
    let ended = Command::new(rustup).args(arguments).stdin(Stdio::null()).output();
    match ended {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "rustup has failed: {}",
            last_line(&output.stdout, &output.stderr)
        )),
        Err(error) => Err(format!("rustup cannot be run: {error}")),
    }
}
