//! A vimhost as a child process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

/// How long a host may take to be ready. The first start on a data directory compiles all connectors, and other tests do so at the same time.
const READY: Duration = Duration::from_secs(120);

/// How long a host may take to stop: it gives its answers ten seconds, its calls and its notifications twenty each, its spans six.
const STOPPED: Duration = Duration::from_secs(90);

/// How long a connection is kept for the next request. A host closes one that is idle for thirty seconds, and a request that is sent at that
/// moment has no answer.
pub(crate) const KEPT: Duration = Duration::from_secs(20);

/// Password of the mock VIM in tests: long enough for the host to look for it in what a VIM answers.
pub const PASSWORD: &str = "mock-vim-test-password";

/// A mock VIM on loopback.
///
/// # Errors
/// When it cannot be started.
pub async fn start_vim(faults: mock_vim::Faults) -> anyhow::Result<mock_vim::Server> {
    let credentials = mock_vim::Credentials {
        password: PASSWORD.to_owned(),
        ..mock_vim::Credentials::default()
    };
    let config = mock_vim::Config {
        credentials,
        faults,
        ..mock_vim::Config::default()
    };
    mock_vim::Server::start(config).await.context("cannot start a mock VIM")
}

/// The directory with the built binary and its `plugins`.
fn build_dir() -> anyhow::Result<PathBuf> {
    // <target>/<profile>/deps/<test>, …/examples/<example>, or <target>/<profile>/<program>
    let program = std::env::current_exe()?;
    let mut dir = program.parent().context("the program is in no directory")?;
    if dir.ends_with("deps") || dir.ends_with("examples") {
        dir = dir.parent().context("the program is in no target directory")?;
    }
    Ok(dir.to_owned())
}

/// The target directory, which the build directories of profiles are in.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    let dir = build_dir()?;
    Ok(dir.parent().context("no target directory")?.to_owned())
}

/// The vimhost binary.
///
/// # Errors
/// When it was not built.
pub fn binary() -> anyhow::Result<PathBuf> {
    let dir = build_dir()?;
    let path = dir.join("vimhost");
    if path.is_file() {
        Ok(path)
    } else {
        // What is missing is the one of the same profile as this program.
        let profile = if dir.ends_with("release") { "--release " } else { "" };
        bail!(
            "{} is missing: run `cargo build {profile}--workspace --bin vimhost`",
            path.display()
        )
    }
}

/// The directory of the built connectors.
///
/// # Errors
/// When they were not built.
pub fn plugin_dir() -> anyhow::Result<PathBuf> {
    let path = target_dir()?.join("plugins");
    if path.join("mock.wasm").is_file() {
        Ok(path)
    } else {
        bail!("{} has no mock.wasm: run `cargo xtask plugins`", path.display())
    }
}

/// How a host is started.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its connectors; those of the build when absent.
    pub plugin_dir: Option<PathBuf>,
    /// `RUST_LOG`; `VIMHOST_TEST_LOG` sets it for all, to look into a test that failed.
    pub log: String,
    /// More of its environment: what must not be seen in a list of processes.
    pub environment: Vec<(String, String)>,
    /// More arguments of `serve`.
    pub arguments: Vec<String>,
}

impl Setup {
    /// A host on a data directory.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            plugin_dir: None,
            log: std::env::var("VIMHOST_TEST_LOG").unwrap_or_else(|_| "info".to_owned()),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

/// A running host. Killed when dropped.
pub struct Host {
    child: Child,
    /// Base of NG-RO's interface: `http://127.0.0.1:<port>/ro`.
    pub ng_ro: String,
    /// Base of the admin interface: `http://127.0.0.1:<port>`.
    pub admin: String,
    /// Base of the VNF LCM interface: `http://127.0.0.1:<port>`.
    pub vnf_lcm: String,
    /// Base of the address of metrics, where one was asked for.
    pub metrics: Option<String>,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// For requests.
    pub http: reqwest::Client,
}

impl Host {
    /// Starts a host on free ports and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready in time; the text holds its log.
    pub fn start(setup: &Setup) -> anyhow::Result<Self> {
        let plugins = match &setup.plugin_dir {
            Some(dir) => dir.clone(),
            None => plugin_dir()?,
        };
        let mut child = Command::new(binary()?)
            .arg("serve")
            .args(["--ng-ro-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--vnf-lcm-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(&setup.data_dir)
            .arg("--plugin-dir")
            .arg(plugins)
            .args(&setup.arguments)
            .env("RUST_LOG", &setup.log)
            .envs(setup.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start vimhost")?;
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().context("no stderr")?;
        let sink = log.clone();
        let reader = std::thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut chunk = [0u8; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut chunk) {
                if let (Ok(mut log), Some(bytes)) = (sink.lock(), chunk.get(..read)) {
                    log.push_str(&String::from_utf8_lossy(bytes));
                }
            }
        });
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut host = Self {
            child,
            ng_ro: String::new(),
            admin: String::new(),
            vnf_lcm: String::new(),
            metrics: None,
            log,
            reader: Some(reader),
            http: reqwest::Client::builder().no_proxy().pool_idle_timeout(KEPT).build()?,
        };
        let deadline = Instant::now() + READY;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => match line.split_once(' ') {
                    Some(("ng-ro", url)) => url.clone_into(&mut host.ng_ro),
                    Some(("admin", url)) => url.clone_into(&mut host.admin),
                    Some(("vnf-lcm", url)) => url.clone_into(&mut host.vnf_lcm),
                    Some(("metrics", url)) => host.metrics = Some(url.to_owned()),
                    _ if line == "ready" => return Ok(host),
                    _ => {}
                },
                Err(_) => {
                    host.kill();
                    bail!("vimhost did not become ready; its log:\n{}", host.log());
                }
            }
        }
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        // Already gone is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Pauses it, as a machine that is starved or a paused virtual machine would; [`Host::resume`] lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&self) -> anyhow::Result<()> {
        signal("-STOP", self.child.id())
    }

    /// Lets a paused host go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&self) -> anyhow::Result<()> {
        signal("-CONT", self.child.id())
    }

    /// Asks it to read its settings again.
    ///
    /// # Errors
    /// When it has ended.
    pub fn hang_up(&self) -> anyhow::Result<()> {
        signal("-HUP", self.child.id())
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(mut self) -> anyhow::Result<String> {
        signal("-TERM", self.child.id())?;
        let deadline = Instant::now() + STOPPED;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("vimhost did not stop; its log:\n{}", self.log());
            }
            // To look without a pause would take half of a small machine from the host that is waited for, and from other tests.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let status = self.child.wait()?;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if status.success() {
            Ok(self.log())
        } else {
            bail!("vimhost ended with {status}; its log:\n{}", self.log())
        }
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A request to the admin interface; the status and the body as JSON.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<(u16, Value)> {
        let method: reqwest::Method = method.parse()?;
        let mut request = self.http.request(method, format!("{}{path}", self.admin));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok((status, value))
    }

    /// A request to the admin interface that has to succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn admin_ok(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let (status, value) = self.admin(method, path, body).await?;
        if (200..300).contains(&status) {
            Ok(value)
        } else {
            bail!("{method} {path} answered {status}: {value}")
        }
    }

    /// The page of its metrics.
    ///
    /// # Errors
    /// When it is refused, or no answer came.
    pub async fn metrics_page(&self) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}/metrics", self.admin)).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// [`series_sum`] of its metrics; zero while nothing of the kind was counted.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn counted(&self, series: &str) -> anyhow::Result<f64> {
        Ok(series_sum(&self.metrics_page().await?, series))
    }

    /// Adds an account on a mock VIM.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add_vim(&self, id: &str, url: &str) -> anyhow::Result<Value> {
        self.add_account("vims", id, url).await
    }

    /// Adds an account on a mock VIM to a collection: `vims`, `wims`, `sdns`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add_account(&self, collection: &str, id: &str, url: &str) -> anyhow::Result<Value> {
        let body = json!({"id": id, "name": id, "vim_type": "mock", "url": url, "user": "mock", "tenant": "mock",
                          "credentials": {"password": PASSWORD}});
        self.admin_ok("POST", &format!("/v1/{collection}"), Some(body)).await
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of vimhost ---\n{}", self.log());
        }
    }
}

/// Sum of the series of a page of metrics whose name and labels begin like this.
#[must_use]
pub fn series_sum(page: &str, series: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

fn signal(which: &str, pid: u32) -> anyhow::Result<()> {
    // Through the shell's kill: this crate forbids unsafe code, and libc's kill is unsafe.
    let status = Command::new("kill").args([which, &pid.to_string()]).status()?;
    if status.success() {
        Ok(())
    } else {
        bail!("cannot send SIG{} to {pid}", which.trim_start_matches('-'))
    }
}

/// Waits until a condition holds.
///
/// # Errors
/// When it does not hold in time.
pub async fn wait_until<F, C>(what: &str, limit: Duration, mut condition: C) -> anyhow::Result<()>
where
    C: FnMut() -> F,
    F: Future<Output = anyhow::Result<bool>>,
{
    let deadline = Instant::now() + limit;
    while !condition().await? {
        if Instant::now() > deadline {
            bail!("{what} did not happen within {limit:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
