//! `cargo xtask schemathesis`: thousands of requests made from the description of the admin interface, against a real host.
//!
//! The host runs on SQLite with the built connectors and listens on free ports of loopback. Schemathesis reads the description
//! from it and makes requests that fit it and requests that do not; none may be answered with a server error, and every answer
//! must be as the description says. It is a Python program, put into the user's cache, and no part of the product.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};

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

/// Who asks: an administrator of the configuration, since tokens that are made on the way would shut loopback out.
const TOKEN: &str = "schemathesis";

/// Options of the run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seed of the requests; the same seed makes the same ones.
    #[arg(long, default_value_t = 20_300_131)]
    seed: u64,
    /// Requests of the fuzzing phase per operation.
    #[arg(long, default_value_t = 25)]
    examples: u32,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            seed: 20_300_131,
            examples: 25,
        }
    }
}

/// Builds the host and runs against it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let status = cargo()
        .args(["build", "--workspace", "--bin", "vimhost"])
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "the host cannot be built");
    against_built(arguments)
}

/// Runs against the host that is built.
pub(crate) fn against_built(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let program = SCHEMATHESIS.ensure_there()?;
    let work = workspace
        .target_directory
        .join(format!("schemathesis-{}", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    let outcome = against_host(&workspace, &program, &work, arguments);
    if outcome.is_ok() {
        let _removed = std::fs::remove_dir_all(&work);
    }
    outcome.with_context(|| format!("the host's log is {}", work.join("host.log").display()))
}

fn against_host(workspace: &Workspace, program: &Path, work: &Path, arguments: &Arguments) -> Result<()> {
    let host = Host::start(workspace, work)?;
    eprintln!(
        "schemathesis {VERSION} with seed {} against {}",
        arguments.seed, host.admin
    );
    let status = Command::new(program)
        .arg("run")
        .arg(format!("{}/v1/openapi.json", host.admin))
        .args(["--url", &host.admin, "--checks", CHECKS, "--phases", PHASES])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
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
        "schemathesis ended with {status}; `cargo xtask schemathesis --seed {}` asks the same again",
        arguments.seed
    );
    Ok(())
}

/// A host as a child process.
struct Host {
    child: std::cell::RefCell<Child>,
    admin: String,
}

impl Host {
    fn start(workspace: &Workspace, work: &Path) -> Result<Self> {
        let binary = workspace.target_directory.join("debug/vimhost");
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
        let log = std::fs::File::create(work.join("host.log"))?;
        let digest: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut child = Command::new(&binary)
            .arg("serve")
            .arg("--data-dir")
            .arg(work.join("data"))
            .arg("--plugin-dir")
            .arg(own)
            .args(["--admin-listen", "127.0.0.1:0", "--ng-ro-listen", "127.0.0.1:0"])
            .args(["--vnf-lcm-listen", "127.0.0.1:0"])
            .arg("--admin-token")
            .arg(format!("admin:{digest}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} cannot be run", binary.display()))?;
        let out = child.stdout.take().context("the host has no output")?;
        let mut host = Self {
            child: child.into(),
            admin: String::new(),
        };
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some(url) = line.strip_prefix("admin ") {
                url.clone_into(&mut host.admin);
            }
            if line == "ready" {
                return Ok(host);
            }
        }
        bail!("the host did not become ready")
    }

    fn is_alive(&self) -> bool {
        matches!(self.child.borrow_mut().try_wait(), Ok(None))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // Already gone is what was wanted.
        let _ = child.kill();
        let _ = child.wait();
    }
}
