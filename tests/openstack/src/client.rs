//! OpenStack's own client. What it says is what a person would see, and nothing of it is vimhost's.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::Cloud;

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

    fn run(&self, arguments: &[&str], format: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new("openstack");
        // Settings of whoever runs the tests would be mixed in.
        let foreign = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| name.to_string_lossy().starts_with("OS_"));
        for name in foreign {
            command.env_remove(name);
        }
        let ended = command
            .args(arguments)
            .args(format)
            .env("OS_CLIENT_CONFIG_FILE", &self.file)
            .env("OS_CLOUD", &self.name)
            .stdin(Stdio::null())
            .output()
            .context("`openstack` cannot be run; on Debian `apt-get install python3-openstackclient` installs it")?;
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

    /// The rows of a list.
    ///
    /// # Errors
    /// When the client fails, or its answer is no list.
    pub fn list(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        match self.openstack(arguments)? {
            Value::Array(rows) => Ok(rows),
            other => bail!("openstack {} listed nothing: {other}", arguments.join(" ")),
        }
    }
}
