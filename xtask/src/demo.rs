//! `cargo xtask demo`: from a fresh machine to a deployed network service, with commands to go on with.
//!
//! A mock VIM and a host are left running in the background; their logs, their process ids and the host's data are in the
//! `demo` folder of the target directory. Running it again starts over. `cargo xtask test` runs it, too: beside one that somebody has
//! running, and not for longer than it takes to see the service deployed.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::plugins;
use crate::workspace::{Workspace, cargo};

/// Folder of the demo in the target directory.
const FOLDER: &str = "demo";

/// Folder of the one that the tests run.
const TEST_FOLDER: &str = "demo-test";

/// What runs on, in the order in which it is stopped; the names are the commands of vimhost.
const SERVERS: [&str; 2] = ["serve", "mock-vim"];

/// The service in docs/examples/web.yaml.
const SERVICE: &str = "web";

/// Where vimhost's commands look for a host when they are not told.
const ADMIN: &str = "http://127.0.0.1:9191";

/// Password of the demo's VIM. Not a word that a VIM might answer with by chance: the host refuses answers that hold it.
const PASSWORD: &str = "demo-password";

/// How long a server may take to be ready; the first start compiles the connectors, which takes two slow processors a minute.
const READY: Duration = Duration::from_secs(180);

/// How long a server may take to end. A host waits for answers, for calls that are under way and for what it tells, 50 s in all.
const END: Duration = Duration::from_secs(60);

/// Options of the demo.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Listens on free ports, for a machine where somebody else has the product's own.
    #[arg(long)]
    free_ports: bool,
    /// Only stops the host and the VIM that an earlier demo left running; logs and data stay.
    #[arg(long, conflicts_with = "free_ports")]
    stop: bool,
}

/// Where a demo listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// Where the product does by default, so that the commands that are printed need no options.
    Own,
    /// Where nobody else does.
    Free,
}

/// Runs the demo, or ends it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    if arguments.stop {
        let stopped = Demo::new(&Workspace::load()?, FOLDER, Ports::Own).stop()?;
        println!("{}", if stopped { "stopped" } else { "no demo is running" });
        return Ok(());
    }
    build()?;
    let ports = if arguments.free_ports { Ports::Free } else { Ports::Own };
    let demo = Demo::new(&Workspace::load()?, FOLDER, ports);
    let addresses = demo.play()?;
    println!("{}", demo.next_commands(&addresses, begun.elapsed())?);
    Ok(())
}

/// Runs the demo as one of the tests: in a folder of its own and on free ports, so that one that somebody has running is not touched.
/// Afterwards nothing of it runs on.
pub(crate) fn try_out() -> Result<()> {
    let begun = Instant::now();
    build()?;
    let demo = Demo::new(&Workspace::load()?, TEST_FOLDER, Ports::Free);
    let outcome = demo.play().and_then(|addresses| {
        demo.check_done(&addresses)?;
        demo.next_commands(&addresses, begun.elapsed())
    });
    // Whatever became of it.
    let stopped = demo.stop();
    outcome
        .and(stopped)
        .with_context(|| format!("logs and data of the demo are in {}", demo.folder.display()))?;
    std::fs::remove_dir_all(&demo.folder).with_context(|| format!("cannot remove {}", demo.folder.display()))
}

fn build() -> Result<()> {
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
    Ok(())
}

fn step(what: &str) {
    eprintln!("==> {what}");
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Where the host of a demo has said that it listens.
struct Addresses {
    ng_ro: String,
    admin: String,
    vnf_lcm: String,
}

struct Demo {
    binary: PathBuf,
    plugins: PathBuf,
    folder: PathBuf,
    example: PathBuf,
    ports: Ports,
}

impl Demo {
    fn new(workspace: &Workspace, folder: &str, ports: Ports) -> Self {
        Self {
            binary: workspace.target_directory.join("debug/vimhost"),
            plugins: workspace.target_directory.join("plugins"),
            folder: workspace.target_directory.join(folder),
            example: workspace.root.join("docs/examples/web.yaml"),
            ports,
        }
    }

    /// From nothing to a deployed service.
    fn play(&self) -> Result<Addresses> {
        self.start_over()?;
        step("starting a mock VIM and the host");
        let vim = self.start_vim()?;
        let addresses = self.start_host()?;
        let server = addresses.admin.as_str();
        step("adding the VIM account");
        self.vimhost_with_stdin(
            server,
            &[
                "vim",
                "add",
                "mock",
                "--type",
                "mock",
                "--url",
                &vim,
                "--user",
                "mock",
                "--tenant",
                "mock",
                "--password-stdin",
            ],
            &format!("{PASSWORD}\n"),
        )?;
        step("deploying docs/examples/web.yaml");
        let example = path_text(&self.example)?;
        self.vimhost(server, &["plan", example])?;
        self.vimhost(server, &["deploy", example, "--wait"])?;
        self.vimhost(server, &["status", SERVICE])?;
        Ok(addresses)
    }

    /// Stops what an earlier demo left running and drops its data.
    fn start_over(&self) -> Result<()> {
        self.stop()?;
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", self.folder.display()));
            }
            _ => {}
        }
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))
    }

    /// Stops what runs of a demo in this folder; whether anything did.
    fn stop(&self) -> Result<bool> {
        // One that cannot be stopped does not keep the other running.
        let stopped = SERVERS.map(|name| self.stop_server(name));
        let mut any = false;
        for one in stopped {
            any |= one?;
        }
        Ok(any)
    }

    fn stop_server(&self, name: &str) -> Result<bool> {
        let file = self.pid_file(name);
        let Ok(pid) = std::fs::read_to_string(&file) else {
            return Ok(false);
        };
        let pid = pid.trim();
        // The number may belong to another program by now: only a vimhost is stopped.
        let running = runs(pid, name);
        if running {
            let status = Command::new("kill").arg(pid).status().context("cannot run kill")?;
            ensure!(
                status.success() || !runs(pid, name),
                "the {name} of the demo (process {pid}) cannot be stopped"
            );
            if !ends(pid, name) {
                let _killed = Command::new("kill").args(["-KILL", pid]).status();
                bail!("the {name} of the demo (process {pid}) did not end within {END:?} and was killed");
            }
        }
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        Ok(running)
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.pid"))
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Answers the VIM's URL.
    fn start_vim(&self) -> Result<String> {
        let listen = match self.ports {
            Ports::Own => "127.0.0.1:9500",
            Ports::Free => "127.0.0.1:0",
        };
        let said = self.start(
            "mock-vim",
            &[
                "--listen",
                listen,
                "--password",
                PASSWORD,
                "--build-delay",
                "1500",
                "--latency",
                "20",
            ],
        )?;
        address(&said, "mock-vim")
    }

    fn start_host(&self) -> Result<Addresses> {
        let data = self.folder.join("data");
        let mut arguments = vec![
            "--data-dir",
            path_text(&data)?,
            "--plugin-dir",
            path_text(&self.plugins)?,
        ];
        if self.ports == Ports::Free {
            for option in ["--ng-ro-listen", "--admin-listen", "--vnf-lcm-listen"] {
                arguments.extend([option, "127.0.0.1:0"]);
            }
        }
        let said = self.start("serve", &arguments)?;
        Ok(Addresses {
            ng_ro: address(&said, "ng-ro")?,
            admin: address(&said, "admin")?,
            vnf_lcm: address(&said, "vnf-lcm")?,
        })
    }

    /// Starts a server that outlives this program, and waits until it is ready; answers what it said.
    fn start(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let log = self.log_file(name);
        let out = self.folder.join(format!("{name}.out"));
        let open = |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let mut child = Command::new(&self.binary)
            .arg(name)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(open(&out)?)
            .stderr(open(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        std::fs::write(self.pid_file(name), child.id().to_string()).context("cannot write a process id")?;
        wait_until_ready(name, &mut child, &out, &log)
    }

    /// A command of vimhost to the host of this demo, whatever another one this shell may use.
    fn command(&self, server: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env("VIMHOST_SERVER", server);
        command
    }

    fn vimhost(&self, server: &str, arguments: &[&str]) -> Result<()> {
        self.vimhost_with_stdin(server, arguments, "")
    }

    fn vimhost_with_stdin(&self, server: &str, arguments: &[&str], input: &str) -> Result<()> {
        eprintln!("$ vimhost {}", arguments.join(" "));
        let mut child = self
            .command(server, arguments)
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

    /// What a command answers to a program.
    fn answer(&self, server: &str, arguments: &[&str]) -> Result<Value> {
        let output = self
            .command(server, &[&["--output", "json"][..], arguments].concat())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let asked = arguments.join(" ");
        ensure!(
            output.status.success(),
            "`vimhost {asked}` ended with {}",
            output.status
        );
        serde_json::from_slice(&output.stdout).with_context(|| format!("`vimhost {asked}` does not answer in JSON"))
    }

    /// Fails unless the host holds the service for deployed.
    fn check_done(&self, addresses: &Addresses) -> Result<()> {
        let service = self.answer(&addresses.admin, &["status", SERVICE])?;
        let action = service.pointer("/actions/0/id").and_then(Value::as_str);
        let action = action.with_context(|| format!("the service {SERVICE} has no action"))?;
        let view = self.answer(&addresses.admin, &["status", SERVICE, action])?;
        let status = view.get("status").and_then(Value::as_str).unwrap_or("nowhere");
        ensure!(
            status == "DONE",
            "the deployment of {SERVICE} is {status} instead of DONE"
        );
        Ok(())
    }

    fn next_commands(&self, addresses: &Addresses, elapsed: Duration) -> Result<String> {
        let Addresses { ng_ro, admin, vnf_lcm } = addresses;
        let binary = path_text(&self.binary)?;
        let vimhost = if admin == ADMIN {
            binary.to_owned()
        } else {
            format!("'{binary} --server {admin}'")
        };
        let pids: Result<Vec<String>> = SERVERS
            .iter()
            .map(|name| std::fs::read_to_string(self.pid_file(name)).context("cannot read a process id"))
            .collect();
        Ok(format!(
            "\nThe service '{SERVICE}' is deployed on the mock VIM ({:.0} s in all). Host and VIM go on running. To go on:\n\n\
             \x20 alias vimhost={vimhost}\n\
             \x20 vimhost status web                         what there is\n\
             \x20 vimhost deploy docs/examples/database.yaml --wait\n\
             \x20 vimhost terminate web --wait\n\
             \x20 curl {ng_ro}/version      what OSM's LCM sees\n\
             \x20 curl {admin}/v1/actions      the admin interface\n\
             \x20 curl {vnf_lcm}/vnflcm/api_versions   what clients of Tacker see; docs/vnf-lcm.md goes on from here\n\
             \x20 kill {}                             stop both\n\n\
             Logs and data: {}",
            elapsed.as_secs_f64(),
            pids?.join(" "),
            self.folder.display(),
        ))
    }
}

/// Answers what a server said, once it has said that it is ready.
fn wait_until_ready(name: &str, child: &mut Child, out: &Path, log: &Path) -> Result<String> {
    let deadline = Instant::now() + READY;
    loop {
        let said = std::fs::read_to_string(out).with_context(|| format!("cannot read {}", out.display()))?;
        if said.lines().any(|line| line == "ready") {
            return Ok(said);
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

/// The URL that a server has said under a name.
fn address(said: &str, name: &str) -> Result<String> {
    let mut addresses = said.lines().filter_map(|line| line.split_once(' '));
    let found = addresses.find(|(known, _)| *known == name);
    found
        .map(|(_, url)| url.to_owned())
        .with_context(|| format!("nobody said where {name} listens"))
}

/// A command that reads no stdin may be over before anything is written.
fn ignore_broken_pipe(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(error)
    }
}

/// Whether a process is this server of a demo.
///
/// By its command line, which one that has ended and that nobody has asked for its status has no more.
fn runs(pid: &str, name: &str) -> bool {
    let command = std::fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    program.ends_with(b"/vimhost") && words.next() == Some(name.as_bytes())
}

/// Waits for the end of a server; whether it came.
fn ends(pid: &str, name: &str) -> bool {
    let deadline = Instant::now() + END;
    while runs(pid, name) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo_in(folder: &Path) -> Demo {
        Demo {
            binary: folder.join("vimhost"),
            plugins: folder.to_owned(),
            folder: folder.to_owned(),
            example: folder.to_owned(),
            ports: Ports::Free,
        }
    }

    #[test]
    fn only_a_server_of_the_demo_is_stopped() {
        let place = tempfile::tempdir().unwrap();
        let demo = demo_in(place.path());
        assert!(!demo.stop().unwrap(), "there was never a demo here");
        // A shell under the name of vimhost, which waits for a word that never comes, and one under its own.
        std::os::unix::fs::symlink("/bin/sh", place.path().join("vimhost")).unwrap();
        std::fs::write(place.path().join("serve"), "read -r word").unwrap();
        let start = |program: &Path| {
            let mut command = Command::new(program);
            command.arg("serve").current_dir(place.path()).stdin(Stdio::piped());
            command.spawn().unwrap()
        };
        let mut other = start(Path::new("/bin/sh"));
        std::fs::write(demo.pid_file("mock-vim"), other.id().to_string()).unwrap();
        std::fs::write(demo.pid_file("serve"), other.id().to_string()).unwrap();
        assert!(!demo.stop().unwrap(), "the numbers are another program's");
        assert!(other.try_wait().unwrap().is_none());
        let mut server = start(&demo.binary);
        // The command line of a process is there a moment after it was started.
        let begun = Instant::now();
        while !runs(&server.id().to_string(), "serve") {
            assert!(begun.elapsed() < END, "a server of the demo is not known for one");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        std::fs::write(demo.pid_file("serve"), server.id().to_string()).unwrap();
        assert!(demo.stop().unwrap());
        assert!(!server.wait().unwrap().success(), "it was ended by a signal");
        assert!(!demo.stop().unwrap(), "its number is forgotten");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn commands_to_go_on_with_name_the_host_where_it_is_not_the_product_s_own() {
        let place = tempfile::tempdir().unwrap();
        let demo = demo_in(place.path());
        for name in SERVERS {
            std::fs::write(demo.pid_file(name), "7").unwrap();
        }
        let commands = |port: u16| {
            let said = format!(
                "ng-ro http://127.0.0.1:9090/ro\nadmin http://127.0.0.1:{port}\nvnf-lcm http://127.0.0.1:9890\nready\n"
            );
            let addresses = Addresses {
                ng_ro: address(&said, "ng-ro").unwrap(),
                admin: address(&said, "admin").unwrap(),
                vnf_lcm: address(&said, "vnf-lcm").unwrap(),
            };
            demo.next_commands(&addresses, Duration::from_secs(1)).unwrap()
        };
        let own = commands(9191);
        for line in [
            "curl http://127.0.0.1:9090/ro/version ",
            "curl http://127.0.0.1:9191/v1/actions ",
            "curl http://127.0.0.1:9890/vnflcm/api_versions ",
            "kill 7 7 ",
        ] {
            assert!(own.contains(line), "{line}: {own}");
        }
        assert!(!own.contains("--server"), "{own}");
        let free = commands(40_001);
        assert!(free.contains("/vimhost --server http://127.0.0.1:40001'"), "{free}");
        assert!(address("ready", "admin").is_err());
    }
}
