//! The runtime as the rest of the host sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vimhost_connector::{Connector, Connectors, LoadError, PluginInfo};
use vimhost_model::{TargetId, VimAccount};

use crate::connector::AccountConnector;
use crate::core::Core;
use crate::{Allocation, Error, Limits, RuntimeConfig};

/// Loads plugins and makes connectors of them.
pub struct Runtime {
    core: Arc<Core>,
}

impl Runtime {
    /// Makes the engine, the guests' threads and the directory of images.
    ///
    /// # Errors
    /// When one of them cannot be made. A pool that cannot be made is no error: instances are then allocated on demand.
    pub fn new(config: RuntimeConfig) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            core: Core::new(config)?,
        }))
    }

    /// Loads every `.wasm` file of a directory, the oldest first. What is loaded already and unchanged stays as it is.
    ///
    /// # Errors
    /// When the directory cannot be read. A file that cannot be used is a state in the answer.
    pub async fn load_dir(&self, dir: &Path) -> Result<Vec<PluginInfo>, Error> {
        crate::load::load_dir(&self.core, dir).await
    }

    /// Loads one file. A plugin of the same name is replaced.
    pub async fn load_file(&self, path: &Path) -> PluginInfo {
        crate::load::load_file(&self.core, path).await
    }

    /// Loads a component under a name that stands for its file.
    pub async fn load_bytes(&self, name: &str, bytes: Vec<u8>) -> PluginInfo {
        crate::load::load_bytes(&self.core, name, bytes).await
    }

    /// Removes compiled images that no start has used for so long. Answers how many.
    ///
    /// # Errors
    /// When their directory cannot be read or written; what was removed before stays removed.
    pub async fn prune_images(&self, unused: Duration) -> Result<usize, Error> {
        let core = Arc::clone(&self.core);
        let pruned = self.core.guests().spawn_blocking(move || core.images.prune(unused));
        let pruned = pruned.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        pruned.map_err(|source| Error::CacheDir {
            path: self.core.images.dir().to_owned(),
            source,
        })
    }

    /// How instances get their memory in fact, after a fall-back.
    #[must_use]
    pub fn allocation(&self) -> Allocation {
        self.core.allocation
    }

    /// Whether this kernel can tell which pages an instance has touched (`PAGEMAP_SCAN`, Linux 6.7), which makes resetting a slot
    /// of the pool cheaper.
    #[must_use]
    pub fn machine_scans_pages() -> bool {
        wasmtime::PoolingAllocationConfig::is_pagemap_scan_available()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.core.limits
    }
}

#[async_trait]
impl Connectors for Runtime {
    async fn open(&self, account: &VimAccount) -> Result<Arc<dyn Connector>, LoadError> {
        Ok(Arc::new(AccountConnector::open(&self.core, account)?))
    }

    async fn close(&self, target: &TargetId) {
        self.core.accounts.forget(target);
    }

    fn set_send_deadline(&self, target: &TargetId, until: Option<Instant>) {
        self.core.accounts.set_fence(target, until);
    }

    fn executor(&self) -> Option<tokio::runtime::Handle> {
        Some(self.core.guests().clone())
    }

    fn plugins(&self) -> Vec<PluginInfo> {
        self.core.registry.list()
    }
}
