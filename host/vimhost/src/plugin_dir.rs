//! The plugin directory: what is loaded from it, and how a component gets into it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use vimhost_connector::{Connector, Connectors, InstallError, LoadError, PluginInfo, PluginState};
use vimhost_model::{TargetId, VimAccount};
use vimhost_runtime::Runtime;

/// The runtime with the directory it serves.
pub struct PluginDir {
    runtime: Arc<Runtime>,
    dir: PathBuf,
    /// Held by who changes what is served or what lies there: two would write into one file, and one would serve beside the file of the
    /// other.
    changing: Arc<Mutex<()>>,
}

impl PluginDir {
    pub fn new(runtime: Arc<Runtime>, dir: PathBuf) -> Self {
        Self {
            runtime,
            dir,
            changing: Arc::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.wasm"))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> InstallError {
    InstallError::Host(format!("{}: {error}", path.display()))
}

/// Ready, or why not.
fn usable(info: PluginInfo) -> Result<PluginInfo, InstallError> {
    match info.state {
        PluginState::Failed(reason) | PluginState::Quarantined(reason) => Err(InstallError::Unusable(reason)),
        PluginState::Discovered
        | PluginState::Verified
        | PluginState::Compiled
        | PluginState::Ready
        | PluginState::Draining
        | PluginState::Retired => Ok(info),
    }
}

/// Puts a file in its place in one step.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("wasm.next");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[async_trait]
impl Connectors for PluginDir {
    async fn open(&self, account: &VimAccount) -> Result<Arc<dyn Connector>, LoadError> {
        self.runtime.open(account).await
    }

    async fn close(&self, target: &TargetId) {
        self.runtime.close(target).await;
    }

    fn set_send_deadline(&self, target: &TargetId, until: Option<std::time::Instant>) {
        self.runtime.set_send_deadline(target, until);
    }

    fn executor(&self) -> Option<tokio::runtime::Handle> {
        self.runtime.executor()
    }

    fn plugins(&self) -> Vec<PluginInfo> {
        self.runtime.plugins()
    }

    /// The component is compiled and asked who it is before the file of the old one is replaced, so a bad one leaves the old one
    /// serving, after a restart too.
    async fn install(&self, name: &str, component: Vec<u8>) -> Result<PluginInfo, InstallError> {
        let changing = Arc::clone(&self.changing).lock_owned().await;
        let path = self.path(name);
        let info = self
            .runtime
            .load_bytes(&path.display().to_string(), component.clone())
            .await;
        let info = usable(info)?;
        let place = path.clone();
        let replacing = tokio::task::spawn_blocking(move || {
            // It goes on when nobody waits for it any more.
            let _changing = changing;
            replace(&place, &component)
        });
        replacing
            .await
            .map_err(|error| InstallError::Host(error.to_string()))?
            .map_err(|error| failed(&path, &error))?;
        Ok(info)
    }

    async fn reload(&self, name: Option<&str>) -> Result<Vec<PluginInfo>, InstallError> {
        let _changing = self.changing.lock().await;
        let Some(name) = name else {
            let loaded = self.runtime.load_dir(&self.dir).await;
            return loaded.map_err(|error| InstallError::Host(error.to_string()));
        };
        let path = self.path(name);
        if !path.is_file() {
            return Err(InstallError::Missing(path.display().to_string()));
        }
        Ok(vec![usable(self.runtime.load_file(&path).await)?])
    }
}
