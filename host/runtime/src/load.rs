//! From a file to a plugin that serves calls.
//!
//! Nothing here fails the host: what is wrong with a file becomes its state, with a reason a plugin's author can act on.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use vimhost_connector::{PluginInfo, PluginState};
use vimhost_model::hex;

use crate::Error;
use crate::call::Invocation;
use crate::convert::rules_digest;
use crate::core::{Core, Machine};
use crate::image::{self, Source};
use crate::metrics::PluginMetrics;
use crate::plugin::{Code, Identity, Plugin};
use crate::quarantine::Conduct;

/// Largest component: Python connectors have 20 MB.
const LARGEST: u64 = 256 << 20;

/// Loads every `.wasm` file of a directory, the oldest first, so that of two files of one plugin the newer serves.
pub(crate) async fn load_dir(core: &Arc<Core>, dir: &Path) -> Result<Vec<PluginInfo>, Error> {
    let failed = |source| Error::PluginDir {
        path: dir.to_owned(),
        source,
    };
    let mut found = vec![];
    let mut entries = tokio::fs::read_dir(dir).await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let modified = entry.metadata().await.and_then(|data| data.modified()).ok();
            found.push((modified, path));
        }
    }
    found.sort();
    let mut infos = vec![];
    for (_, path) in found {
        infos.push(load_file(core, &path).await);
    }
    Ok(infos)
}

/// Loads one file.
pub(crate) async fn load_file(core: &Arc<Core>, path: &Path) -> PluginInfo {
    let name = path.display().to_string();
    let read = async {
        let size = tokio::fs::metadata(path).await?.len();
        if size > LARGEST {
            return Err(std::io::Error::other(format!(
                "it has {size} bytes, at most {LARGEST} are allowed"
            )));
        }
        tokio::fs::read(path).await
    };
    match read.await {
        Ok(bytes) => load_bytes(core, &name, bytes).await,
        Err(error) => {
            core.registry.discover(&name, "");
            fail(core, &name, "", format!("the file cannot be read: {error}"))
        }
    }
}

/// Loads a component under a name.
pub(crate) async fn load_bytes(core: &Arc<Core>, name: &str, bytes: Vec<u8>) -> PluginInfo {
    let digest = hex(&Sha256::digest(&bytes));
    if let Some(known) = core.registry.discover(name, &digest) {
        return known;
    }
    match prepare(core, name, &digest, bytes).await {
        Ok(plugin) => match core.registry.admit(name, &digest, Arc::new(plugin)) {
            Ok(info) => {
                let (plugin, version) = info
                    .descriptor
                    .as_ref()
                    .map_or(("", ""), |told| (&*told.name, &*told.version));
                tracing::info!(plugin, version, digest, file = name, "plugin loaded");
                info
            }
            Err(reason) => fail(core, name, &digest, reason),
        },
        Err(reason) => fail(core, name, &digest, reason),
    }
}

fn fail(core: &Core, name: &str, digest: &str, reason: String) -> PluginInfo {
    tracing::error!(file = name, digest, reason, "plugin cannot be used");
    let state = PluginState::Failed(reason);
    core.registry
        .advance(name, digest, state.clone())
        .unwrap_or_else(|| PluginInfo {
            file: name.to_owned(),
            digest: digest.to_owned(),
            state,
            descriptor: None,
            capabilities: vimhost_connector::Capabilities::default(),
            rules_digest: None,
        })
}

async fn prepare(core: &Arc<Core>, name: &str, digest: &str, bytes: Vec<u8>) -> Result<Plugin, String> {
    check_format(&bytes)?;
    core.registry.advance(name, digest, PluginState::Verified);
    let (own, own_digest) = (Arc::clone(core), digest.to_owned());
    // Compiling takes seconds and all cores it can get: never on a thread that serves calls.
    let code = core
        .guests()
        .spawn_blocking(move || compile(&own, &own_digest, &bytes))
        .await
        .map_err(|error| format!("compiling broke off: {error}"))??;
    core.registry.advance(name, digest, PluginState::Compiled);
    introduce(core, name, digest, Arc::new(code)).await
}

/// What can be said before compiling.
fn check_format(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    let rest = bytes.strip_prefix(b"\0asm").ok_or("it is not WebAssembly")?;
    match rest {
        [0x01, 0x00, 0x00, 0x00, ..] => {
            Err("it is a core module, not a component: build it for the target wasm32-wasip2".into())
        }
        [_, _, 0x01, 0x00, ..] => Ok(()),
        _ => Err("it is WebAssembly of a version this host does not know".into()),
    }
}

fn compile(core: &Core, digest: &str, bytes: &[u8]) -> Result<Code, String> {
    let unusable = |error: String| format!("it cannot be compiled: {error}");
    let engine = &core.machine.engine;
    let (image, source) = core.images.compiled(engine, digest, bytes).map_err(unusable)?;
    match link(core, digest, &image) {
        Err(Failure::Image(error)) if source == Source::Cached => {
            tracing::warn!(digest, error, "compiled image is refused, compiling again");
            let image = core.images.recompiled(engine, digest, bytes).map_err(unusable)?;
            link(core, digest, &image)
        }
        linked => linked,
    }
    .map_err(|failure| match failure {
        Failure::Image(error) => unusable(error),
        Failure::Component(error) => error,
    })
}

enum Failure {
    /// The machine code cannot be used.
    Image(String),
    /// The component does not fit the host.
    Component(String),
}

fn link(core: &Core, digest: &str, image: &[u8]) -> Result<Code, Failure> {
    let on = |machine: &Machine| {
        let component = image::deserialize(&machine.engine, image).map_err(Failure::Image)?;
        Code::link(&machine.engine, &machine.linker, &component).map_err(Failure::Component)
    };
    match (on(&core.machine), &core.spare) {
        (Err(Failure::Image(error)), Some(spare)) => {
            // What the pool refuses may only be too large for a slot.
            let code = on(spare)?;
            tracing::warn!(
                digest,
                error,
                "plugin does not fit a slot of the pool, its instances are allocated on demand"
            );
            Ok(code)
        }
        (linked, _) => linked,
    }
}

/// Makes one instance, looks at the types of its functions, and asks it who it is.
async fn introduce(core: &Arc<Core>, name: &str, digest: &str, code: Arc<Code>) -> Result<Plugin, String> {
    // It has not said who it is: the file has to do.
    let unknown = Arc::new(Identity {
        name: name.rsplit('/').next().unwrap_or(name).to_owned(),
        version: String::new(),
        digest: digest.to_owned(),
    });
    let invocation = Invocation {
        identity: unknown,
        code: Arc::clone(&code),
        account: None,
        function: "describe",
    };
    let descriptor = invocation
        .run(
            core,
            None,
            Box::new(|store, code, instance| {
                Box::pin(async move {
                    code.check_types(store, instance)
                        .map_err(|error| error.context("it does not follow the contract"))?;
                    let guest = code.connector.load(&mut *store, instance)?;
                    Ok(Ok(guest.call_describe(store).await?))
                })
            }),
            |reader, told| reader.descriptor(told),
        )
        .await
        .map_err(|error| error.message)?;
    Ok(Plugin {
        identity: Arc::new(Identity {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: digest.to_owned(),
        }),
        rules_digest: rules_digest(&descriptor),
        metrics: Arc::new(PluginMetrics::new(&descriptor.name)),
        conduct: Arc::new(Conduct::new(core.quarantine)),
        descriptor,
        code,
    })
}
