//! What `vimhost serve` is told, by flags and environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use vimhost_model::Secret;

/// Options of `vimhost serve`.
#[derive(Debug, Args)]
pub struct ServeSettings {
    /// Directory of the database, the keys and the compiled connectors; made when missing.
    #[arg(long, env = "VIMHOST_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Directory of the connectors (*.wasm).
    #[arg(long, env = "VIMHOST_PLUGIN_DIR", value_name = "DIR")]
    pub plugin_dir: Option<PathBuf>,
    /// Address of NG-RO's interface.
    #[arg(
        long,
        env = "VIMHOST_NG_RO_LISTEN",
        default_value = "127.0.0.1:9090",
        value_name = "ADDRESS"
    )]
    pub ng_ro_listen: SocketAddr,
    /// Who may use NG-RO's interface, which knows no credentials. Repeatable; loopback when none is given.
    #[arg(
        long = "ng-ro-source",
        env = "VIMHOST_NG_RO_SOURCES",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub ng_ro_sources: Vec<String>,
    /// Address of the admin interface.
    #[arg(
        long,
        env = "VIMHOST_ADMIN_LISTEN",
        default_value = "127.0.0.1:9191",
        value_name = "ADDRESS"
    )]
    pub admin_listen: SocketAddr,
    /// Token of the admin interface as `admin:<SHA-256>` or `viewer:<SHA-256>`, hexadecimal. Repeatable; without one only loopback
    /// is served.
    #[arg(
        long = "admin-token",
        env = "VIMHOST_ADMIN_TOKENS",
        value_delimiter = ',',
        value_name = "ROLE:DIGEST"
    )]
    pub admin_tokens: Vec<String>,
    /// Connector calls in flight per account.
    #[arg(long, env = "VIMHOST_CALLS_PER_ACCOUNT", default_value_t = 32, value_name = "N")]
    pub calls_per_account: usize,
    /// How often idle elements are observed, in seconds; 0 never.
    #[arg(long, env = "VIMHOST_IDLE_PERIOD", default_value_t = 60, value_name = "SECONDS")]
    pub idle_period: u64,
    /// Log lines as JSON.
    #[arg(long, env = "VIMHOST_LOG_JSON")]
    pub log_json: bool,
    #[command(flatten)]
    pub store: StoreSettings,
}

/// Where the state is kept. Without a MongoDB it is one file in the data directory.
#[derive(Debug, Args)]
pub struct StoreSettings {
    /// MongoDB instead of the file in the data directory (mongodb://…). A replica set may serve several hosts, a standalone serves one.
    #[arg(
        long,
        env = "VIMHOST_MONGODB_URI",
        hide_env_values = true,
        value_name = "URI",
        value_parser = secret
    )]
    pub mongodb_uri: Option<Secret>,
    /// Its database.
    #[arg(
        long,
        env = "VIMHOST_MONGODB_DATABASE",
        default_value = "vimhost",
        value_name = "NAME"
    )]
    pub mongodb_database: String,
    /// Name of this host in leases and logs; the machine's name when absent.
    #[arg(long, env = "VIMHOST_HOST_NAME", value_name = "NAME")]
    pub host_name: Option<String>,
    /// Directory of the keys that seal secrets; the data directory when absent. Hosts that share a database share the keys.
    #[arg(long, env = "VIMHOST_SEAL_KEYS", value_name = "DIR")]
    pub seal_keys: Option<PathBuf>,
}

/// A secret on the command line.
#[expect(clippy::unnecessary_wraps, reason = "clap takes a function that may fail")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

impl StoreSettings {
    /// The name of this host.
    pub fn host_name(&self) -> anyhow::Result<String> {
        if let Some(name) = &self.host_name {
            return Ok(name.clone());
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .context("cannot find out the name of this machine: give --host-name")?;
        Ok(name.trim().to_owned())
    }
}

impl ServeSettings {
    /// The data directory: as told, else where programs of this user keep their state.
    pub fn data_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.data_dir {
            return Ok(dir.clone());
        }
        let base = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME is set: give --data-dir")?;
        Ok(base.join("vimhost"))
    }

    /// The plugin directory: as told, else beside the binary, else where a package puts it.
    pub fn plugin_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = &self.plugin_dir {
            if !dir.is_dir() {
                bail!("plugin directory {} does not exist", dir.display());
            }
            return Ok(dir.clone());
        }
        let binary = std::env::current_exe().context("cannot find out where this binary is")?;
        let beside = binary.parent().map(|dir| dir.join("plugins"));
        let above = binary
            .parent()
            .and_then(|dir| dir.parent())
            .map(|dir| dir.join("plugins"));
        [beside, above, Some(PathBuf::from("/usr/lib/vimhost/plugins"))]
            .into_iter()
            .flatten()
            .find(|dir| dir.is_dir())
            .context("no plugin directory found: build the connectors with `cargo xtask plugins`, or give --plugin-dir")
    }
}
