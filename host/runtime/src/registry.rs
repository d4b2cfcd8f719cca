//! The plugins the host knows, and their states.
//!
//! ```text
//! discovered → verified → compiled → ready ─→ draining → (gone)
//!       └──────────┴──────────┤       ↑ ↓
//!                     failed(reason)  quarantined(reason)
//! ```
//!
//! A plugin is replaced by a later one of the same name. Calls that run end on the old one, which is shown as draining until
//! they have; a new file that fails leaves the old plugin serving. Two plugins of different names cannot serve one VIM type:
//! which of them an account gets would depend on the order of loading.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use vimhost_connector::{Capabilities, LoadError, PluginInfo, PluginState};

use crate::plugin::Plugin;

const LOADED_TWICE: &str = "it was loaded twice at the same time";

/// The table of plugins.
#[derive(Default)]
pub(crate) struct Registry {
    entries: Mutex<Vec<Entry>>,
}

struct Entry {
    info: PluginInfo,
    plugin: Option<Arc<Plugin>>,
}

impl Entry {
    /// A plugin in quarantine is ready but for that: it serves again when it is over.
    fn shown(&self) -> PluginInfo {
        let mut info = self.info.clone();
        let ready = self.plugin.as_ref().filter(|_| info.state == PluginState::Ready);
        if let Some(reason) = ready.and_then(|plugin| plugin.conduct.quarantined(Instant::now())) {
            info.state = PluginState::Quarantined(reason);
        }
        info
    }
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // A draining plugin is gone when nobody but this table holds it.
        entries.retain(|entry| {
            entry.info.state != PluginState::Draining
                || entry
                    .plugin
                    .as_ref()
                    .is_some_and(|plugin| Arc::strong_count(&plugin.code) > 1)
        });
        entries
    }

    /// A file was seen. Earlier failures of the same file are forgotten. Answers what is known when exactly this content serves.
    pub(crate) fn discover(&self, file: &str, digest: &str) -> Option<PluginInfo> {
        let mut entries = self.entries();
        let same = entries
            .iter()
            .find(|entry| entry.info.digest == digest && entry.info.state == PluginState::Ready)
            .map(|entry| {
                // To load it again is to say that it is to be used.
                if let Some(plugin) = &entry.plugin {
                    plugin.conduct.forget();
                }
                entry.info.clone()
            });
        if same.is_some() {
            return same;
        }
        entries.retain(|entry| entry.info.file != file || entry.plugin.is_some());
        entries.push(Entry {
            info: PluginInfo {
                file: file.to_owned(),
                digest: digest.to_owned(),
                state: PluginState::Discovered,
                descriptor: None,
                capabilities: Capabilities::default(),
                rules_digest: None,
            },
            plugin: None,
        });
        None
    }

    /// The next state of what is being loaded.
    pub(crate) fn advance(&self, file: &str, digest: &str, state: PluginState) -> Option<PluginInfo> {
        let mut entries = self.entries();
        let entry = loading(&mut entries, file, digest)?;
        entry.info.state = state;
        Some(entry.info.clone())
    }

    /// A plugin is ready and replaces an earlier one of its name.
    ///
    /// # Errors
    /// When another plugin serves one of its VIM types, or another content of the file is being loaded meanwhile.
    pub(crate) fn admit(&self, file: &str, digest: &str, plugin: Arc<Plugin>) -> Result<PluginInfo, String> {
        let mut entries = self.entries();
        let ready = |entry: &Entry| entry.info.state == PluginState::Ready;
        let name = &plugin.identity.name;
        for other in entries
            .iter()
            .filter(|entry| ready(entry))
            .filter_map(|entry| entry.plugin.as_ref())
        {
            let taken = plugin
                .descriptor
                .vim_types
                .iter()
                .find(|vim_type| other.descriptor.vim_types.contains(vim_type));
            if let Some(vim_type) = taken.filter(|_| other.identity.name != *name) {
                return Err(format!(
                    "VIM type '{vim_type}' is served by plugin '{}' already",
                    other.identity.name
                ));
            }
        }
        if loading(&mut entries, file, digest).is_none() {
            // A load of the same file that began later has its place. What serves goes on, and may be this very content.
            let same = entries.iter().find(|entry| ready(entry) && entry.info.digest == digest);
            return same
                .map(|entry| entry.info.clone())
                .ok_or_else(|| LOADED_TWICE.to_owned());
        }
        for old in entries.iter_mut().filter(|entry| ready(entry)) {
            if old.plugin.as_ref().is_some_and(|old| old.identity.name == *name) {
                old.info.state = PluginState::Draining;
            }
        }
        let entry = loading(&mut entries, file, digest).ok_or(LOADED_TWICE)?;
        entry.info.state = PluginState::Ready;
        entry.info.descriptor = Some(plugin.descriptor.clone());
        entry.info.capabilities = plugin.code.capabilities();
        entry.info.rules_digest = Some(plugin.rules_digest.clone());
        entry.plugin = Some(plugin);
        Ok(entry.info.clone())
    }

    /// The plugin that serves a VIM type.
    ///
    /// # Errors
    /// The types that are served.
    pub(crate) fn serving(&self, vim_type: &str) -> Result<Arc<Plugin>, LoadError> {
        let entries = self.entries();
        let ready: Vec<&Arc<Plugin>> = entries
            .iter()
            .filter(|entry| entry.info.state == PluginState::Ready)
            .filter_map(|entry| entry.plugin.as_ref())
            .collect();
        let serves = |plugin: &&&Arc<Plugin>| plugin.descriptor.vim_types.iter().any(|served| served == vim_type);
        if let Some(plugin) = ready.iter().find(serves) {
            return Ok(Arc::clone(plugin));
        }
        // A file that failed has no descriptor; its name is all there is to go by.
        let failed = entries.iter().find_map(|entry| {
            let PluginState::Failed(reason) = &entry.info.state else {
                return None;
            };
            let named = file_stem(&entry.info.file).contains(vim_type);
            named.then(|| (entry.info.file.clone(), reason.clone()))
        });
        if let Some((plugin, reason)) = failed {
            return Err(LoadError::Unusable {
                plugin,
                vim_type: vim_type.to_owned(),
                reason,
            });
        }
        let mut known: Vec<&str> = ready
            .iter()
            .flat_map(|plugin| plugin.descriptor.vim_types.iter().map(String::as_str))
            .collect();
        known.sort_unstable();
        Err(LoadError::NoPlugin {
            vim_type: vim_type.to_owned(),
            known: known.join(", "),
        })
    }

    pub(crate) fn list(&self) -> Vec<PluginInfo> {
        self.entries().iter().map(Entry::shown).collect()
    }
}

fn loading<'a>(entries: &'a mut [Entry], file: &str, digest: &str) -> Option<&'a mut Entry> {
    entries
        .iter_mut()
        .find(|entry| entry.plugin.is_none() && entry.info.file == file && entry.info.digest == digest)
}

fn file_stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".wasm").unwrap_or(name)
}
