//! `cargo xtask lab`: a real OpenStack on loopback, for tests.
//!
//! The work is done by `tests/lab/lab`, which is written in Python because OpenStack is: its plug-ins, its clients and its
//! configuration are Python's. This file says where a lab is and what becomes of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::workspace::Workspace;

/// How `tests/lab/lab` ends where this machine cannot do it; the reason is on the line that begins so.
const CANNOT_RUN: i32 = 3;
const NOT_RUN: &str = "NOT RUN: ";

/// Which services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Keystone and Heat.
    Heat,
    /// Keystone, Glance, Placement, Nova, Neutron, Cinder and Heat.
    Openstack,
}

impl Profile {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Heat => "heat",
            Self::Openstack => "openstack",
        }
    }
}

/// Which lab, and where it is.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Which services; each profile has a lab of its own.
    #[arg(default_value = "openstack")]
    profile: Profile,
    /// Where all that it writes goes; `lab/<profile>` in the target directory when absent.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What is done with a lab.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Installs what a lab runs, from the packages of Debian 12. Needs root, asks nothing.
    Install,
    /// Brings a lab up and prints where it is. One that is up stays.
    Up {
        #[command(flatten)]
        which: Which,
        /// First of twenty ports in a row; a block that is free when absent.
        #[arg(long)]
        ports: Option<u16>,
        /// Forgets what an earlier lab in the same place had written.
        #[arg(long)]
        fresh: bool,
    },
    /// Stops a lab; what it has written stays.
    Down {
        #[command(flatten)]
        which: Which,
        /// Removes what it has written, too.
        #[arg(long)]
        wipe: bool,
    },
    /// Lists the daemons of a lab; fails when one does not run.
    Status {
        #[command(flatten)]
        which: Which,
    },
}

/// Arguments of `cargo xtask lab`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// How it went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// This machine cannot, and why.
    CannotRun(String),
}

/// A lab with the profile `openstack` that the test run owns: it goes down with this process, however that ends.
pub(crate) struct Owned {
    workspace: Workspace,
    dir: PathBuf,
}

impl Owned {
    /// In the place where tests look for it.
    pub(crate) fn new(workspace: Workspace) -> Self {
        let dir = workspace.target_directory.join("lab").join(Profile::Openstack.as_str());
        Self { workspace, dir }
    }

    pub(crate) fn install(&self) -> Result<End> {
        run(program(&self.workspace).arg("install"))
    }

    pub(crate) fn up(&self) -> Result<End> {
        let owner = std::process::id().to_string();
        let mut command = program(&self.workspace);
        command.args(["up", Profile::Openstack.as_str(), "--owner", &owner, "--dir"]);
        run(command.arg(&self.dir))
    }

    pub(crate) fn down(&self) -> Result<End> {
        run(program(&self.workspace).args(["down", "--dir"]).arg(&self.dir))
    }

    pub(crate) fn clouds(&self) -> PathBuf {
        self.dir.join("clouds.yaml")
    }

    /// The workspace whose tests it is for.
    pub(crate) fn root(&self) -> &Path {
        &self.workspace.root
    }
}

pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut command = program(&workspace);
    let dir = |which: &Which| {
        let default = workspace.target_directory.join("lab").join(which.profile.as_str());
        which.dir.clone().unwrap_or(default)
    };
    match &arguments.verb {
        Verb::Install => {
            command.arg("install");
        }
        Verb::Up { which, ports, fresh } => {
            command
                .arg("up")
                .arg(which.profile.as_str())
                .arg("--dir")
                .arg(dir(which));
            if let Some(first) = ports {
                command.arg("--ports").arg(first.to_string());
            }
            if *fresh {
                command.arg("--fresh");
            }
        }
        Verb::Down { which, wipe } => {
            command.arg("down").arg("--dir").arg(dir(which));
            if *wipe {
                command.arg("--wipe");
            }
        }
        Verb::Status { which } => {
            command.arg("status").arg("--dir").arg(dir(which));
        }
    }
    match run(&mut command)? {
        End::Done => Ok(()),
        // Its line is on stdout already.
        End::CannotRun(why) => bail!("this machine cannot run the lab: {why}"),
    }
}

fn program(workspace: &Workspace) -> Command {
    Command::new(workspace.root.join("tests/lab/lab"))
}

/// Runs it, passes on what it prints, and tells a machine that cannot from a lab that has failed.
fn run(command: &mut Command) -> Result<End> {
    let mut lab = match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
        Ok(lab) => lab,
        // The program begins with the interpreter of Debian's own Python.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(End::CannotRun("there is no /usr/bin/python3".to_owned()));
        }
        Err(error) => return Err(error).context("tests/lab/lab cannot be run"),
    };
    let mut why = None;
    if let Some(output) = lab.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("the lab's words broke off")?;
            println!("{line}");
            if let Some(reason) = line.strip_prefix(NOT_RUN) {
                why = Some(reason.to_owned());
            }
        }
    }
    let status = lab.wait().context("the lab was lost")?;
    match (status.code(), why) {
        (Some(0), _) => Ok(End::Done),
        (Some(CANNOT_RUN), Some(why)) => Ok(End::CannotRun(why)),
        _ => bail!("the lab ended with {status}; what went wrong stands above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_cannot_is_told_from_a_lab_that_fails() {
        let shell = |script: &str| run(Command::new("sh").args(["-c", script]));
        assert_eq!(shell("true").unwrap(), End::Done);
        let cannot = shell("echo 'NOT RUN: no root'; exit 3").unwrap();
        assert_eq!(cannot, End::CannotRun("no root".to_owned()));
        assert!(shell("echo 'NOT RUN: no root'; exit 1").is_err());
        assert!(shell("exit 3").is_err());
        let nowhere = run(&mut Command::new("/nowhere/at/all")).unwrap();
        assert!(matches!(nowhere, End::CannotRun(_)));
    }
}
