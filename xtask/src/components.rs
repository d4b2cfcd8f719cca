//! rustfmt and clippy, which a toolchain of rustup's minimal profile comes without.

use std::ffi::OsStr;

use anyhow::{Result, bail};

use crate::rustup;
use crate::workspace::cargo;

/// The components, and the commands of cargo that are theirs.
static COMPONENTS: [(&str, &str); 2] = [("rustfmt", "fmt"), ("clippy", "clippy")];

/// Makes sure that sources can be formatted and linted; adds what is missing.
///
/// Cargo is asked rather than rustup, because a distribution's Rust has them without rustup knowing of it.
pub(crate) fn ensure() -> Result<()> {
    ensure_with(&answers, &rustup::program())
}

fn ensure_with(answers: &dyn Fn(&str) -> bool, rustup: &OsStr) -> Result<()> {
    let missing = || -> Vec<&'static str> {
        let missing = COMPONENTS.iter().filter(|(_, command)| !answers(command));
        missing.map(|(component, _)| *component).collect()
    };
    let lacking = missing();
    if lacking.is_empty() {
        return Ok(());
    }
    let names = lacking.join(" ");
    eprintln!("adding to the toolchain: {names}");
    let why = match rustup::run(rustup, &[&["component", "add"][..], lacking.as_slice()].concat()) {
        Ok(()) if missing().is_empty() => return Ok(()),
        Ok(()) => "rustup has added to another toolchain".to_owned(),
        Err(why) => why,
    };
    bail!(
        "the toolchain lacks what the format and the lints are checked with ({why}); install it with \
         `rustup component add {names}` for the toolchain in use, or leave those parts out by `cargo xtask test --only-tests`"
    );
}

fn answers(command: &str) -> bool {
    let version = cargo().args([command, "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn components_that_are_there_are_not_asked_for() {
        ensure_with(&|_| true, OsStr::new("/nowhere/rustup")).unwrap();
    }

    #[test]
    fn components_that_are_missing_are_added() {
        let asked = Cell::new(0);
        // Missing when they are asked for first, both; there after rustup has run.
        let answers = |_: &str| {
            asked.set(asked.get() + 1);
            asked.get() > COMPONENTS.len()
        };
        ensure_with(&answers, OsStr::new("true")).unwrap();
    }

    #[test]
    fn components_that_cannot_be_added_are_one_line_that_says_how_to_add_them() {
        for rustup in ["/nowhere/rustup", "false", "true"] {
            let told = |answers: &dyn Fn(&str) -> bool| {
                let error = ensure_with(answers, OsStr::new(rustup)).unwrap_err();
                let told = format!("{error:#}");
                assert_eq!(told.lines().count(), 1, "{rustup}: {told}");
                told
            };
            assert!(told(&|_| false).contains("`rustup component add rustfmt clippy`"));
            assert!(told(&|command| command == "fmt").contains("`rustup component add clippy`"));
        }
    }
}
