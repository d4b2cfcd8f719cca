//! A real OpenSSH server on loopback, in the place of a VM's.
//!
//! It runs as the user of the test and lets in that user only, by keys of a file in a directory of its own. That directory is also what it
//! gives its sessions for a home, so that nothing of the user's real home is read or written. Passwords cannot be tested with it:
//! it would take one of this machine's.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::held_port::HeldPort;
use crate::wait_until;

/// How long it may take to listen.
const READY: Duration = Duration::from_secs(60);

/// Where the binary is: it runs itself for each connection and wants to be called by its full path for that.
const PLACES: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];

/// An SSH server. Stopped when dropped.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: HeldPort,
    child: Option<Child>,
}

impl Sshd {
    /// Everything but the start: a port, a host key, a configuration, a home without keys.
    ///
    /// # Errors
    /// When OpenSSH is not installed, or files cannot be made.
    pub fn prepare() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let sshd = Self {
            dir,
            port: HeldPort::any()?,
            child: None,
        };
        fs::create_dir_all(sshd.path("home/.ssh"))?;
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(sshd.path("host_key"))
            .status()
            .context("ssh-keygen cannot be run: install openssh-client")?;
        if !made.success() {
            bail!("ssh-keygen ended with {made}");
        }
        let path = |name: &str| sshd.path(name).display().to_string();
        let config = [
            format!("ListenAddress 127.0.0.1:{}", sshd.port()),
            format!("HostKey {}", path("host_key")),
            format!("AuthorizedKeysFile {}", path("home/.ssh/authorized_keys")),
            format!("SetEnv HOME={}", path("home")),
            "PidFile none".to_owned(),
            // The directory above is everybody's.
            "StrictModes no".to_owned(),
            "UsePAM no".to_owned(),
            "PasswordAuthentication no".to_owned(),
            "KbdInteractiveAuthentication no".to_owned(),
            // In a container the user is root.
            "PermitRootLogin prohibit-password".to_owned(),
            "LogLevel VERBOSE".to_owned(),
        ];
        fs::write(sshd.path("sshd_config"), config.join("\n") + "\n")?;
        Ok(sshd)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it ends or does not listen in time; the text holds its log.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let places = PLACES.map(Path::new);
        let Some(binary) = places.into_iter().find(|path| path.is_file()) else {
            bail!("sshd is missing: install openssh-server");
        };
        // Which the service would make; a server of root does not start without it.
        if user("-u")? == "0" {
            fs::create_dir_all("/run/sshd").context("cannot make /run/sshd")?;
        }
        let log = File::create(self.path("log"))?;
        let child = Command::new(binary)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start sshd")?;
        self.child = Some(child);
        let port = self.port();
        let listening = wait_until("that sshd listens", READY, async || {
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())
        });
        listening.await.with_context(|| format!("its log:\n{}", self.log()))
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already gone is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// The user it lets in.
    ///
    /// # Errors
    /// When the machine does not know who runs this.
    pub fn user() -> anyhow::Result<String> {
        user("-un")
    }

    /// Lets a key in, as cloud-init would.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn authorize(&self, key: &str) -> anyhow::Result<()> {
        Ok(fs::write(self.path("home/.ssh/authorized_keys"), format!("{key}\n"))?)
    }

    /// The keys that are let in, a line each.
    ///
    /// # Errors
    /// When there are none.
    pub fn keys(&self) -> anyhow::Result<Vec<String>> {
        let text = fs::read_to_string(self.path("home/.ssh/authorized_keys"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- log of sshd ---\n{}", self.log());
        }
    }
}

/// Who runs this: `id` with an option.
fn user(option: &str) -> anyhow::Result<String> {
    let output = Command::new("id").arg(option).output().context("id cannot be run")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
