//! OpenStack's own client. What it says is what a person would see, and nothing of it is vimhost's.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::Cloud;

const NO_CLIENT: &str = "`openstack` cannot be run; on Debian `apt-get install python3-openstackclient` installs it";

impl Cloud {
    /// Runs `openstack` with these arguments; its output as JSON, null when it says nothing.
    ///
    /// # Errors
    /// When it fails; the text holds what it said.
    pub fn openstack(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        self.run(arguments, &["-f", "json"])
    }

    /// The same for commands that have no output to format.
    ///
    /// # Errors
    /// When it fails; the text holds what it said.
    pub fn openstack_do(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.run(arguments, &[]).map(drop)
    }

    /// A client of OpenStack with this way into it, and nothing of whoever runs the tests.
    #[must_use]
    pub fn client(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // Settings of whoever runs the tests would be mixed in.
        let foreign = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().starts_with("OS_"));
        for name in foreign {
            command.env_remove(name);
        }
        command
            .env("OS_CLIENT_CONFIG_FILE", &self.file)
            .env("OS_CLOUD", &self.name)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str], format: &[&str]) -> anyhow::Result<Value> {
        let mut client = self.client("openstack");
        let ended = client.args(arguments).args(format).output();
        let ended = ended.context(NO_CLIENT)?;
        let said = String::from_utf8_lossy(&ended.stdout);
        if !ended.status.success() {
            let error = String::from_utf8_lossy(&ended.stderr);
            bail!(
                "openstack {} ended with {}: {error}{said}",
                arguments.join(" "),
                ended.status
            );
        }
        if said.trim().is_empty() || format.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&said).with_context(|| format!("openstack {} said no JSON: {said}", arguments.join(" ")))
    }

    /// The rows of several lists, each given as its words, by one client: starting one takes it longer than a list does.
    ///
    /// # Errors
    /// When the client fails, or has no list for each of them.
    pub fn lists(&self, commands: &[&str]) -> anyhow::Result<Vec<Vec<Value>>> {
        let mut client = self.client("openstack");
        let piped = client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = piped.spawn().context(NO_CLIENT)?;
        let mut lines = running.stdin.take().context("`openstack` has no standard input")?;
        for command in commands {
            writeln!(lines, "{command} -f json").context("telling `openstack` what to list")?;
        }
        drop(lines);
        let ended = running.wait_with_output().context("reading what `openstack` lists")?;
        // A command that fails leaves its reason on the standard error, and the client goes on and ends well.
        let said: Result<Vec<Vec<Value>>, _> = serde_json::Deserializer::from_slice(&ended.stdout)
            .into_iter()
            .collect();
        let lists = said.context("reading what `openstack` lists")?;
        if !ended.status.success() || lists.len() != commands.len() {
            let error = String::from_utf8_lossy(&ended.stderr);
            bail!(
                "openstack ended with {} and {} lists where {} were wanted: {error}",
                ended.status,
                lists.len(),
                commands.len()
            );
        }
        Ok(lists)
    }

    /// The rows of a list.
    ///
    /// # Errors
    /// When the client fails, or its answer is no list.
    pub fn list(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        let said = self.openstack(arguments)?;
        let Value::Array(rows) = said else {
            bail!("openstack {} listed nothing: {said}", arguments.join(" "))
        };
        Ok(rows)
    }
}
