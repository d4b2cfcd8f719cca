//! Several hosts on one MongoDB.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::{Setup, binary};

/// What hosts that share a database have in common: the database and the seal key. Each has a data directory of its own.
pub struct Cluster {
    dir: TempDir,
    uri: String,
    database: String,
}

impl Cluster {
    /// Of a database on a server.
    ///
    /// # Errors
    /// When the seal key cannot be made.
    pub fn new(uri: &str, database: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let cluster = Self {
            dir,
            uri: uri.to_owned(),
            database: database.to_owned(),
        };
        let made = std::process::Command::new(binary()?)
            .args(["key", "new"])
            .arg(cluster.seal_keys())
            .output()
            .context("vimhost cannot be run")?;
        ensure!(
            made.status.success(),
            "no seal key: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(cluster)
    }

    fn seal_keys(&self) -> PathBuf {
        self.dir.path().join("keys")
    }

    /// How one of the hosts is started.
    #[must_use]
    pub fn setup(&self, name: &str) -> Setup {
        let mut setup = Setup::new(&self.dir.path().join(name));
        setup.arguments = vec![
            "--mongodb-database".to_owned(),
            self.database.clone(),
            "--host-name".to_owned(),
            name.to_owned(),
            "--seal-keys".to_owned(),
            self.seal_keys().display().to_string(),
        ];
        setup.environment = vec![("VIMHOST_MONGODB_URI".to_owned(), self.uri.clone())];
        setup
    }
}
