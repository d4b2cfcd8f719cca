//! `cargo xtask schemathesis`: thousands of requests made from the descriptions of the admin and the VNF LCM interface, against a real host.
//!
//! The host runs on SQLite with the built connectors and listens on free ports of loopback. Schemathesis reads a description, the
//! admin interface's from the host and the VNF LCM interface's from `docs/`, and makes requests that fit it and requests that do not; none
//! may be answered with a server error, and every answer must be as the description says. It is a Python program, put into the user's
//! cache, and no part of the product.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use crate::plugins;
use crate::python::Program;
use crate::workspace::{Workspace, cargo};

const VERSION: &str = "4.32.5";

const SCHEMATHESIS: Program = Program {
    name: "schemathesis",
    environment: "schemathesis/4.32.5",
    packages: &["schemathesis==4.32.5"],
    file: "schemathesis",
};

/// What an answer is held against.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Phases that make requests on their own. Stateful testing is left out: an account that it has made may rightly fail its check with
/// 502, which is the VIM's error and not the host's.
const PHASES: &str = "examples,coverage,fuzzing";

/// Who asks the admin interface: an administrator of the configuration, since tokens that are made on the way would shut loopback out.
const TOKEN: &str = "schemathesis";

/// Password of the mock VIM.
const PASSWORD: &str = "schemathesis-mock-vim";

/// What schemathesis is taught of the VNF LCM interface: zip archives, and ids of things that are there.
const HOOKS: &str = include_str!("schemathesis_hooks.py");

/// An interface that describes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Interface {
    /// `/v1/…`
    Admin,
    /// `/vnflcm/…` and `/vnfpkgm/…`
    VnfLcm,
}

impl Interface {
    /// The option's value, which is also part of the name of a directory.
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::VnfLcm => "vnf-lcm",
        }
    }
}

/// Options of the run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seed of the requests; the same seed makes the same ones.
    #[arg(long, default_value_t = 20_300_131)]
    seed: u64,
    /// Requests of the fuzzing phase per operation.
    #[arg(long, default_value_t = 25)]
    examples: u32,
    /// Only this interface; without it one after the other.
    #[arg(long, value_enum)]
    interface: Option<Interface>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            seed: 20_300_131,
            examples: 25,
            interface: None,
        }
    }
}

/// Builds the connector and the host, and runs against them.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    plugins::build(&["mock".to_owned()])?;
    let status = cargo()
        .args([
            "build",
            "--workspace",
            "--bin",
            "vimhost",
            "--example",
            "sample_package",
        ])
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "the host cannot be built");
    for interface in [Interface::Admin, Interface::VnfLcm] {
        if arguments.interface.is_none_or(|wanted| wanted == interface) {
            against_built(arguments, interface)?;
        }
    }
    Ok(())
}

/// Runs against the host that is built.
pub(crate) fn against_built(arguments: &Arguments, interface: Interface) -> Result<()> {
    let workspace = Workspace::load()?;
    let program = SCHEMATHESIS.ensure_there()?;
    let work = workspace
        .target_directory
        .join(format!("schemathesis-{}-{}", interface.name(), std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let outcome = against_host(&workspace, &program, &work, arguments, interface);
    if outcome.is_ok() {
        let _removed = std::fs::remove_dir_all(&work);
    }
    outcome.with_context(|| format!("the host's log is {}", work.join("host.log").display()))
}

fn against_host(
    workspace: &Workspace,
    program: &Path,
    work: &Path,
    arguments: &Arguments,
    interface: Interface,
) -> Result<()> {
    let host = host(workspace, work)?;
    let url = host.url(interface.name())?;
    let vim = match interface {
        Interface::Admin => None,
        Interface::VnfLcm => Some(mock_vim(workspace, work)?),
    };
    eprintln!("schemathesis {VERSION} with seed {} against {url}", arguments.seed);
    let mut command = Command::new(program);
    command.arg("run");
    match &vim {
        None => {
            command
                .arg(format!("{url}/v1/openapi.json"))
                .args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
        }
        Some(vim) => {
            let hooks = work.join("hooks.py");
            std::fs::write(&hooks, HOOKS).with_context(|| format!("cannot write {}", hooks.display()))?;
            let description = workspace.root.join("docs/vnf-lcm-openapi.json");
            command
                .arg(&description)
                .env("SCHEMATHESIS_HOOKS", hooks)
                .env("VIMHOST_DESCRIPTION", description)
                .env("VIMHOST_VNF_LCM", url)
                .env("VIMHOST_ADMIN", host.url("admin")?)
                .env("VIMHOST_ADMIN_TOKEN", TOKEN)
                .env("VIMHOST_MOCK_VIM", vim.url("mock-vim")?)
                .env("VIMHOST_MOCK_PASSWORD", PASSWORD)
                .env("VIMHOST_SAMPLE_PACKAGE", sample_package(workspace, work)?);
        }
    }
    let status = command
        .args(["--url", url, "--checks", CHECKS, "--phases", PHASES])
        .args(["--seed", &arguments.seed.to_string()])
        .args(["--max-examples", &arguments.examples.to_string()])
        // One worker: in a thread beside it, Python 3.11 cannot parse its own sources (it counts a depth of recursion wrongly).
        .args([
            "--workers",
            "1",
            "--request-timeout",
            "60",
            "--suppress-health-check",
            "all",
            "--no-color",
        ])
        // It keeps a database of what it has seen where it runs.
        .current_dir(work)
        .stdin(Stdio::null())
        .status()
        .context("schemathesis cannot be run")?;
    ensure!(host.is_alive(), "the host ended while it was asked");
    ensure!(
        status.success(),
        "schemathesis ended with {status}; `cargo xtask schemathesis --interface {} --seed {}` asks the same again",
        interface.name(),
        arguments.seed
    );
    Ok(())
}

/// Writes the package that the tests upload.
fn sample_package(workspace: &Workspace, work: &Path) -> Result<PathBuf> {
    let program = workspace.target_directory.join("debug/examples/sample_package");
    let file = work.join("sample.zip");
    let status = Command::new(&program)
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .with_context(|| {
            format!(
                "{} cannot be run: `cargo xtask schemathesis` builds it",
                program.display()
            )
        })?;
    ensure!(status.success(), "the sample package cannot be written");
    Ok(file)
}

/// The built program.
fn vimhost(workspace: &Workspace) -> Command {
    Command::new(workspace.target_directory.join("debug/vimhost"))
}

/// Starts a host with the mock connector.
fn host(workspace: &Workspace, work: &Path) -> Result<Running> {
    let plugins = workspace.target_directory.join("plugins");
    ensure!(
        plugins.join("mock.wasm").is_file(),
        "{} has no mock.wasm: run `cargo xtask plugins`",
        plugins.display()
    );
    // A directory of its own, since requests may load and replace plugins.
    let own = work.join("plugins");
    std::fs::create_dir_all(&own)?;
    std::fs::copy(plugins.join("mock.wasm"), own.join("mock.wasm"))?;
    let digest: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = vimhost(workspace);
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(work.join("data"))
        .arg("--plugin-dir")
        .arg(own)
        .args(["--admin-listen", "127.0.0.1:0", "--ng-ro-listen", "127.0.0.1:0"])
        .args(["--vnf-lcm-listen", "127.0.0.1:0"])
        // Callbacks are made up: no subscriber is asked whether it is there, and whoever is told of something is on this machine.
        .arg("--vnf-lcm-test-notification=false")
        .args(["--vnf-lcm-callback-address", "127.0.0.0/8"])
        .arg("--admin-token")
        .arg(format!("admin:{digest}"));
    Running::start("the host", &mut command, &work.join("host.log"))
}

/// Starts a VIM for instances to be on.
fn mock_vim(workspace: &Workspace, work: &Path) -> Result<Running> {
    let mut command = vimhost(workspace);
    command.args(["mock-vim", "--listen", "127.0.0.1:0", "--password", PASSWORD]);
    Running::start("the mock VIM", &mut command, &work.join("mock-vim.log"))
}

/// A child process that has said where it listens.
struct Running {
    child: std::cell::RefCell<Child>,
    /// What it said: names with URLs.
    told: Vec<(String, String)>,
}

impl Running {
    fn start(what: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let log = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{what} cannot be run"))?;
        let out = child.stdout.take().with_context(|| format!("{what} has no output"))?;
        let mut running = Self {
            child: child.into(),
            told: Vec::new(),
        };
        for line in BufReader::new(out).lines() {
            let line = line?;
            if line == "ready" {
                return Ok(running);
            }
            if let Some((name, url)) = line.split_once(' ') {
                running.told.push((name.to_owned(), url.to_owned()));
            }
        }
        bail!("{what} did not become ready")
    }

    fn url(&self, name: &str) -> Result<&str> {
        let told = self.told.iter().find(|(known, _)| known == name);
        told.map(|(_, url)| url.as_str())
            .with_context(|| format!("nobody said where {name} listens"))
    }

    fn is_alive(&self) -> bool {
        matches!(self.child.borrow_mut().try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // Already gone is what was wanted.
        let _ = child.kill();
        let _ = child.wait();
    }
}
