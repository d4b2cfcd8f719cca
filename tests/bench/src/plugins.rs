//! How long a connector takes until it serves: compiled anew, and from the image of an earlier start.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use vimhost_connector::PluginState;
use vimhost_runtime::{HostKey, Runtime, RuntimeConfig};
use vimhost_tests::plugin_dir;

use crate::figure::{Aim, Figures, Times, Unit};

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let file = plugin_dir()?.join("mock.wasm");
    let key = [7; 32];
    let mut compiled = vec![];
    for _ in 0..3 {
        let cache = tempfile::tempdir()?;
        compiled.push(load(&file, cache.path(), key).await?);
    }
    let cache = tempfile::tempdir()?;
    load(&file, cache.path(), key).await?;
    let mut cached = vec![];
    for _ in 0..20 {
        cached.push(load(&file, cache.path(), key).await?);
    }
    let (compiled, cached) = (Times::new(compiled), Times::new(cached));
    figures.add("plugin.compile", Unit::Milliseconds.of(compiled.at(50)), "ms", None);
    figures.add(
        "plugin.load_cached",
        Unit::Milliseconds.of(cached.at(50)),
        "ms",
        Some(Aim::AtMost(10.0)),
    );
    Ok(())
}

/// Loads it in a runtime of its own, as a start does.
async fn load(file: &Path, cache: &Path, key: [u8; 32]) -> anyhow::Result<Duration> {
    let runtime = Runtime::new(RuntimeConfig::new(cache, HostKey::new(key)))?;
    let begun = Instant::now();
    let info = runtime.load_file(file).await;
    let took = begun.elapsed();
    ensure!(info.state == PluginState::Ready, "{}: {:?}", file.display(), info.state);
    Ok(took)
}
