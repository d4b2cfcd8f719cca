//! `cargo xtask test`: everything CI runs, each part named, none passed over in silence.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::figures::Figures;
use crate::lab_record::Sources;
use crate::prerequisites::Scope;
use crate::workspace::{Workspace, cargo};
use crate::{cargo_deny, components, demo, lab, mongod, plugins, prerequisites, schemathesis, tacker_client};

/// Where the tests against OpenStack find one that is not the lab, as `openstack`'s own client does.
const CLOUDS: &str = "VIMHOST_TEST_CLOUDS_YAML";

/// Options of the test run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only the tests, without format, lints, docs and dependency check.
    #[arg(long)]
    only_tests: bool,
    /// Only the tests against a real OpenStack, in the lab or at the one that VIMHOST_TEST_CLOUDS_YAML names.
    #[arg(long, conflicts_with_all = ["only_tests", "lab"])]
    only_lab: bool,
    /// Also the tests against a real OpenStack, in the lab: some forty minutes on two cores. Installs the lab's packages beside the
    /// build, which needs root and Debian 12. An OpenStack that is named in VIMHOST_TEST_CLOUDS_YAML needs no lab.
    #[arg(long, value_name = "WHEN", default_value = "changed", default_missing_value = "always", num_args = 0..=1)]
    lab: When,
}

/// When the lab's tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// When what they prove has changed since they have passed: tests/lab/passed.json tells.
    Changed,
    /// In any case; when they pass, that is recorded.
    Always,
    /// Not at all.
    Never,
}

/// How a part ended.
enum End {
    Passed,
    Failed(String),
    /// It could not run, and why.
    NotRun(String),
}

impl End {
    /// Of a part whose failure leaves the others worth running.
    fn of<T>(outcome: Result<T>) -> Self {
        match outcome {
            Ok(_) => Self::Passed,
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

/// Runs everything.
///
/// Every part runs, whatever became of the others, so that one run tells all; the summary is the last thing printed. A machine that
/// cannot run all of it is told so before anything is built.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    prerequisites::ensure_there(if arguments.only_lab {
        Scope::Lab
    } else {
        Scope::Everything
    })?;
    if !arguments.only_tests && !arguments.only_lab {
        components::ensure()?;
    }
    let figures = Figures::of(&Workspace::load()?);
    figures.forget()?;
    let mut ends: Vec<(&str, End, Duration)> = Vec::new();
    let mut part = |name: &'static str, run: &mut dyn FnMut() -> Result<End>| -> Result<()> {
        eprintln!("==> {name}");
        let begun = Instant::now();
        let end = run()?;
        ends.push((name, end, begun.elapsed()));
        Ok(())
    };
    let openstack = OpenStack::begin(if arguments.only_lab {
        When::Always
    } else {
        arguments.lab
    })?;
    // Without connectors no test is worth running, so this one ends the run.
    part("connectors", &mut || plugins::build(&[]).map(|_| End::Passed))?;
    if arguments.only_lab {
        let mut openstack = openstack.bring_up();
        part("OpenStack", &mut || openstack.tests())?;
        return summary(&ends, &figures);
    }
    // First, because it fails fastest; the tests' own build follows, whose artifacts nothing else replaces.
    if !arguments.only_tests {
        part("format", &mut || cargo_part(&["fmt", "--all", "--check"], &[]))?;
    }
    // Without it the tests that need it fail and say so; the others are still worth running.
    part("MongoDB server", &mut || Ok(End::of(mongod::ensure_there())))?;
    part("tests", &mut || {
        cargo_part(&["test", "--workspace", "--no-fail-fast"], &[])
    })?;
    // After the tests, which have built the host: nothing is compiled for these.
    part("demo", &mut || Ok(End::of(demo::try_out())))?;
    // Built where it is not there, which takes minutes: beside schemathesis, which is fetched first and then asks one request at a time.
    // Not beside the tests, which measure time.
    let mut building = (!arguments.only_tests).then(|| std::thread::spawn(cargo_deny::ensure_there));
    for (name, interface) in [
        ("admin interface by its description", schemathesis::Interface::Admin),
        ("VNF LCM interface by its description", schemathesis::Interface::VnfLcm),
    ] {
        part(name, &mut || {
            let arguments = schemathesis::Arguments::default();
            Ok(End::of(schemathesis::against_built(&arguments, interface)))
        })?;
    }
    // Not before: a lab takes a core and three gigabytes from tests that measure time. It comes up beside the lints.
    let mut openstack = openstack.bring_up();
    if !arguments.only_tests {
        part("lints", &mut || {
            cargo_part(
                &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"],
                &[],
            )
        })?;
        part("documentation", &mut || {
            cargo_part(
                &["doc", "--workspace", "--no-deps", "--lib"],
                &[("RUSTDOCFLAGS", "--deny warnings")],
            )
        })?;
        part("dependencies", &mut || {
            dependencies(building.take().map_or_else(cargo_deny::ensure_there, joined))
        })?;
    }
    part("OpenStack", &mut || openstack.tests())?;
    summary(&ends, &figures)
}

/// The last thing that is printed.
fn summary(ends: &[(&str, End, Duration)], figures: &Figures) -> Result<()> {
    let mut failed = Vec::new();
    println!();
    match figures.lines() {
        Ok(lines) => {
            for line in lines {
                println!("figures  {line}");
            }
        }
        // Not worth losing the summary.
        Err(error) => println!("figures  {error:#}"),
    }
    for (name, end, elapsed) in ends {
        let elapsed = elapsed.as_secs();
        match end {
            End::Passed => println!("passed   {name} ({elapsed} s)"),
            End::Failed(why) => {
                println!("FAILED   {name} ({elapsed} s): {why}");
                failed.push(*name);
            }
            End::NotRun(why) => println!("NOT RUN  {name}: {why}"),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

/// The tests against a real OpenStack: one that is given, else the lab.
///
enum OpenStack {
    /// It does not run, and why.
    NotWanted(String),
    /// Somebody else's.
    Given,
    /// The lab for these sources, and what happens to it beside everything else.
    Lab(Arc<lab::Owned>, Sources, Option<JoinHandle<Result<lab::End>>>),
}

impl OpenStack {
    /// Begins to install the lab's packages, if a lab is wanted.
    fn begin(lab: When) -> Result<Self> {
        if std::env::var_os(CLOUDS).is_some_and(|path| !path.is_empty()) {
            return Ok(Self::Given);
        }
        if lab == When::Never {
            return Ok(Self::NotWanted("not asked for".to_owned()));
        }
        let workspace = Workspace::load()?;
        let sources = Sources::of(&workspace.root)?;
        if lab == When::Changed {
            let passed = Sources::passed(&workspace.root)?;
            let changed = sources.changed_since(&passed);
            if changed.is_empty() {
                let why = "connectors, SDK, contract, sandbox, lab and tests are those that have passed there, by \
                           tests/lab/passed.json; `cargo xtask test --lab` runs them again";
                return Ok(Self::NotWanted(why.to_owned()));
            }
            eprintln!(
                "==> OpenStack: the lab's tests will run, since {} changed",
                changed.join(", ")
            );
        }
        let lab = Arc::new(lab::Owned::new(workspace));
        let installing = {
            let lab = Arc::clone(&lab);
            std::thread::spawn(move || lab.install())
        };
        Ok(Self::Lab(lab, sources, Some(installing)))
    }

    /// Begins to bring the lab up, after its packages are there.
    fn bring_up(self) -> Self {
        let Self::Lab(lab, sources, installing) = self else {
            return self;
        };
        let starting = Arc::clone(&lab);
        let up = std::thread::spawn(move || match installing.map(joined).transpose()? {
            Some(lab::End::CannotRun(why)) => Ok(lab::End::CannotRun(why)),
            Some(lab::End::Done) | None => starting.up(),
        });
        Self::Lab(lab, sources, Some(up))
    }

    /// Runs the tests, and takes down what was brought up.
    fn tests(&mut self) -> Result<End> {
        let tests = |environment: &[(&str, &str)]| {
            // Of the whole workspace, because the features of dependencies, and with them all that is built, depend on what is named.
            let only = [
                "test",
                "--workspace",
                "--no-fail-fast",
                "--test",
                "openstack",
                "--",
                "--ignored",
            ];
            let client = tacker_client::CLIENT.ensure_there()?;
            let client = client.to_str().context("the cache has a name that is no text")?;
            cargo_part(&only, &[environment, &[(tacker_client::VARIABLE, client)]].concat())
        };
        let (lab, sources, up) = match self {
            Self::NotWanted(why) => return Ok(End::NotRun(why.clone())),
            Self::Given => return tests(&[]),
            Self::Lab(lab, sources, up) => (lab, sources, up),
        };
        let end = match up.take().map(joined).transpose() {
            Ok(Some(lab::End::CannotRun(why))) => return Ok(End::NotRun(why)),
            Ok(Some(lab::End::Done)) => {
                let clouds = lab.clouds();
                let clouds = clouds
                    .to_str()
                    .context("the target directory has a name that is no text")?;
                tests(&[(CLOUDS, clouds)])?
            }
            Ok(None) => bail!("the lab was not brought up"),
            Err(error) => End::Failed(format!("{error:#}")),
        };
        lab.down()?;
        if matches!(end, End::Passed) {
            sources.record(lab.root())?;
        }
        Ok(end)
    }
}

fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread
        .join()
        .map_err(|_| anyhow!("a thread beside the parts has panicked"))?
}

fn cargo_part(arguments: &[&str], environment: &[(&str, &str)]) -> Result<End> {
    let status = cargo()
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cargo cannot be run")?;
    Ok(if status.success() {
        End::Passed
    } else {
        End::Failed(format!("cargo {} ended with {status}", arguments.join(" ")))
    })
}

/// Licences, sources, crates that are not wanted. Advisories need a database from the network and have a command of their own.
fn dependencies(program: Result<PathBuf>) -> Result<End> {
    let program = match program {
        Ok(program) => program,
        Err(error) => return Ok(End::NotRun(format!("{error:#}"))),
    };
    // Duplicate versions are warnings, and hundreds of lines: `cargo deny check bans` shows them.
    let status = Command::new(program)
        .args([
            "--locked",
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .status()
        .context("cargo-deny cannot be run")?;
    Ok(if status.success() {
        End::Passed
    } else {
        End::Failed(format!("cargo-deny ended with {status}"))
    })
}
