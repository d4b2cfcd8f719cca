//! `cargo xtask demo`: from a fresh machine to a deployed network service, with commands to go on with.
//!
//! A mock VIM and a host are left running in the background; their logs, their process ids and the host's data are in the
//! `demo` folder of the target directory. Running it again starts over.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::plugins;
use crate::workspace::{Workspace, cargo};

/// Ports of the demo: the product's own defaults, so that the commands it prints need no options.
const VIM: &str = "127.0.0.1:9500";

/// Password of the demo's VIM. Not a word that a VIM might answer with by chance: the host refuses answers that hold it.
const PASSWORD: &str = "demo-password";

/// How long a server may take to be ready; the first start compiles the connectors.
const READY: Duration = Duration::from_secs(60);

/// Runs the demo.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    step("building the connectors");
    plugins::build(&["mock".to_owned()])?;
    step("building vimhost");
    let status = cargo()
        // Of the whole workspace, as the tests build it: of one package alone, crates shared with others would have fewer features, and
        // wasmtime would be compiled once for the demonstration and once for the tests.
        .args(["build", "--workspace", "--bin", "vimhost"])
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "vimhost does not build; the compiler says why above");
    let workspace = Workspace::load()?;
    let demo = Demo {
        binary: workspace.target_directory.join("debug/vimhost"),
        plugins: workspace.target_directory.join("plugins"),
        folder: workspace.target_directory.join("demo"),
        example: workspace.root.join("docs/examples/web.yaml"),
    };
    demo.start_over()?;
    step("starting a mock VIM and the host");
    demo.start(
        "mock-vim",
        &[
            "mock-vim",
            "--listen",
            VIM,
            "--password",
            PASSWORD,
            "--build-delay",
            "1500",
            "--latency",
            "20",
        ],
    )?;
    let (data, plugins) = (demo.folder.join("data"), demo.plugins.clone());
    demo.start(
        "serve",
        &[
            "serve",
            "--data-dir",
            path_text(&data)?,
            "--plugin-dir",
            path_text(&plugins)?,
        ],
    )?;
    step("adding the VIM account");
    let url = format!("http://{VIM}");
    demo.vimhost_with_stdin(
        &[
            "vim",
            "add",
            "mock",
            "--type",
            "mock",
            "--url",
            &url,
            "--user",
            "mock",
            "--tenant",
            "mock",
            "--password-stdin",
        ],
        &format!("{PASSWORD}\n"),
    )?;
    step("deploying docs/examples/web.yaml");
    let example = path_text(&demo.example)?;
    demo.vimhost(&["plan", example])?;
    demo.vimhost(&["deploy", example, "--wait"])?;
    demo.vimhost(&["status", "web"])?;
    println!("{}", demo.next_commands(begun.elapsed())?);
    Ok(())
}

fn step(what: &str) {
    eprintln!("==> {what}");
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

struct Demo {
    binary: PathBuf,
    plugins: PathBuf,
    folder: PathBuf,
    example: PathBuf,
}

impl Demo {
    /// Stops what an earlier demo left running and drops its data.
    fn start_over(&self) -> Result<()> {
        for name in ["serve", "mock-vim"] {
            let Ok(pid) = std::fs::read_to_string(self.pid_file(name)) else {
                continue;
            };
            // The number may belong to another program by now: only a vimhost is stopped.
            let command = std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains("vimhost") {
                let status = Command::new("kill")
                    .arg(pid.trim())
                    .status()
                    .context("cannot run kill")?;
                ensure!(
                    status.success(),
                    "the {name} of an earlier demo (process {}) cannot be stopped",
                    pid.trim()
                );
                wait_for_end(pid.trim());
            }
        }
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", self.folder.display()));
            }
            _ => {}
        }
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pid"))
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Starts a server that outlives this program, and waits until it says that it is ready.
    fn start(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let log = self.log_file(name);
        let out = self.folder.join(format!("{name}.out"));
        let open = |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let mut child = Command::new(&self.binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(open(&out)?)
            .stderr(open(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        std::fs::write(self.pid_file(name), child.id().to_string()).context("cannot write a process id")?;
        self.wait_until_ready(name, &mut child, &out, &log)
    }

    fn wait_until_ready(&self, name: &str, child: &mut Child, out: &Path, log: &Path) -> Result<()> {
        let deadline = Instant::now() + READY;
        let mut file = File::open(out).with_context(|| format!("cannot read {}", out.display()))?;
        loop {
            file.seek(SeekFrom::Start(0))
                .context("cannot read what a server printed")?;
            if BufReader::new(&file)
                .lines()
                .map_while(Result::ok)
                .any(|line| line == "ready")
            {
                return Ok(());
            }
            if let Some(status) = child.try_wait().context("cannot look after a server")? {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                bail!("vimhost {name} ended with {status}:\n{log}");
            }
            ensure!(
                Instant::now() < deadline,
                "vimhost {name} is not ready after {READY:?}; its log: {}",
                log.display()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn vimhost(&self, arguments: &[&str]) -> Result<()> {
        self.vimhost_with_stdin(arguments, "")
    }

    fn vimhost_with_stdin(&self, arguments: &[&str], input: &str) -> Result<()> {
        eprintln!("$ vimhost {}", arguments.join(" "));
        let mut child = Command::new(&self.binary)
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(input.as_bytes())
                .or_else(ignore_broken_pipe)
                .context("cannot write to vimhost")?;
        }
        let status = child.wait().context("cannot wait for vimhost")?;
        ensure!(
            status.success(),
            "`vimhost {}` ended with {status}",
            arguments.join(" ")
        );
        Ok(())
    }

    fn next_commands(&self, elapsed: Duration) -> Result<String> {
        let binary = path_text(&self.binary)?;
        let pids: Result<Vec<String>> = ["serve", "mock-vim"]
            .iter()
            .map(|name| std::fs::read_to_string(self.pid_file(name)).context("cannot read a process id"))
            .collect();
        Ok(format!(
            "\nThe service 'web' is deployed on the mock VIM ({:.0} s in all). Host and VIM go on running. To go on:\n\n\
             \x20 alias vimhost={binary}\n\
             \x20 vimhost status web                         what there is\n\
             \x20 vimhost deploy docs/examples/database.yaml --wait\n\
             \x20 vimhost terminate web --wait\n\
             \x20 curl http://127.0.0.1:9090/ro/version      what OSM's LCM sees\n\
             \x20 curl http://127.0.0.1:9191/v1/actions      the admin interface\n\
             \x20 curl http://127.0.0.1:9890/vnflcm/api_versions   what clients of Tacker see; docs/vnf-lcm.md goes on from here\n\
             \x20 kill {}                             stop both\n\n\
             Logs and data: {}",
            elapsed.as_secs_f64(),
            pids?.join(" "),
            self.folder.display(),
        ))
    }
}

/// A command that reads no stdin may be over before anything is written.
fn ignore_broken_pipe(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(error)
    }
}

fn wait_for_end(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Path::new("/proc").join(pid).exists() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
