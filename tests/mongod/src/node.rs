//! One server process.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// Runs the server, and ends it when told or when the pipe closes. `keep` is kill -9, `stop` an orderly end; both leave the files.
const WATCH: &str = r#"
folder=$1; shift
"$@" >"$folder/output" 2>&1 &
echo $!
read -r word
if [ "$word" = stop ]; then kill -TERM $!; else kill -KILL $!; fi 2>/dev/null
wait $! 2>/dev/null
[ -n "$word" ] || rm -rf "$folder"
"#;

/// A server with its files, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    port: u16,
    /// Keeps the port for the server, also while it does not run.
    _kept: TcpSocket,
    folder: PathBuf,
    set: Option<String>,
    watch: Option<Child>,
}

/// How a server is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// kill -9.
    Kill,
    /// As an operator would.
    Stop,
}

/// A port that is bound and not listened on. Whoever asks the system for any port is not given it, before the server binds it and between
/// two of its runs; the server asks for this very one, and as both say that the address may be shared, it gets it.
fn kept_port() -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4().context("no socket can be made")?;
    socket.set_reuseaddr(true).context("a port cannot be shared")?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(any).context("no port is free")?;
    Ok(socket)
}

impl Node {
    /// Starts a server on a free port, in the replica set `set` if one is named.
    pub(crate) fn start(program: &Path, set: Option<&str>) -> Result<Self> {
        let kept = kept_port()?;
        // The shell removes it, because it outlives this process.
        let folder = TempDir::with_prefix("vimhost-mongod-")?.keep();
        let mut node = Self {
            port: kept.local_addr()?.port(),
            _kept: kept,
            folder,
            set: set.map(str::to_owned),
            watch: None,
        };
        node.run(program)?;
        Ok(node)
    }

    /// Runs the server on the files it has.
    pub(crate) fn run(&mut self, program: &Path) -> Result<()> {
        let data = self.folder.join("data");
        std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let mut command = Command::new("sh");
        command.args(["-c", WATCH, "sh"]).arg(&self.folder).arg(program);
        command.arg("--dbpath").arg(&data);
        command.args(["--bind_ip", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]);
        command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        // So that a test can have a command fail.
        command.args(["--setParameter", "enableTestCommands=1"]);
        if let Some(set) = &self.set {
            command.args(["--oplogSize", "64", "--replSet", set]);
        }
        let mut watch = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("sh cannot be run")?;
        // The number of the server's process: once it is told, the server is being started.
        let mut number = String::new();
        if let Some(output) = watch.stdout.take() {
            BufReader::new(output).read_line(&mut number)?;
        }
        self.watch = Some(watch);
        Ok(())
    }

    /// Ends the server and keeps its files.
    pub(crate) fn end(&mut self, end: End) -> Result<()> {
        let Some(mut watch) = self.watch.take() else {
            return Ok(());
        };
        let word: &[u8] = match end {
            End::Kill => b"keep\n",
            End::Stop => b"stop\n",
        };
        if let Some(mut input) = watch.stdin.take() {
            input.write_all(word)?;
        }
        watch.wait().context("the server cannot be waited for")?;
        Ok(())
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The last lines of the server's log, for a message.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("output")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        match self.watch.take() {
            Some(mut watch) => {
                drop(watch.stdin.take());
                let _ended = watch.wait();
            }
            None => {
                let _removed = std::fs::remove_dir_all(&self.folder);
            }
        }
    }
}
