//! The connectors, loaded as the host loads them, and the directory of their compiled images.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use vimhost_connector::{PluginInfo, PluginState};
use vimhost_runtime::{Allocation, HostKey, Runtime, RuntimeConfig};

use super::Check;

pub(super) async fn checks(plugin_dir: &Path, data_dir: Option<&Path>) -> Vec<Check> {
    let images = data_dir.map(|dir| dir.join("images"));
    let mut checks: Vec<Check> = images.as_deref().map(image_dir).into_iter().collect();
    match load(plugin_dir, data_dir).await {
        Ok((allocation, plugins)) => {
            checks.push(pool(allocation));
            checks.extend(loaded(plugin_dir, &plugins));
        }
        Err(error) => checks.push(Check::fail(
            "plugins",
            format!("{error:#}"),
            "mend what it says; without the runtime no connector runs",
        )),
    }
    checks
}

/// Loads all plugins. The host's own images are used where they are this user's: files of another user, made beside a host that
/// is at work, would be in its way.
async fn load(plugin_dir: &Path, data_dir: Option<&Path>) -> anyhow::Result<(Allocation, Vec<PluginInfo>)> {
    let temporary = tempfile::tempdir()?;
    let own = data_dir.and_then(own_images);
    let (cache, key) = match own {
        Some((dir, key)) => (dir, key),
        None => (temporary.path().join("images"), HostKey::random()?),
    };
    let runtime = Runtime::new(RuntimeConfig::new(cache, key))?;
    let plugins = runtime.load_dir(plugin_dir).await?;
    Ok((runtime.allocation(), plugins))
}

fn own_images(data_dir: &Path) -> Option<(PathBuf, HostKey)> {
    let images = data_dir.join("images");
    let data = std::fs::metadata(&images).ok()?;
    let key = std::fs::read(data_dir.join("image.key")).ok()?;
    let key = <[u8; 32]>::try_from(key).ok()?;
    (data.is_dir() && data.uid() == rustix::process::geteuid().as_raw()).then(|| (images, HostKey::new(key)))
}

fn image_dir(dir: &Path) -> Check {
    let name = "compiled images";
    let remedy = format!(
        "remove {} while the host is stopped: it is made anew, and connectors are compiled once more",
        dir.display()
    );
    match std::fs::metadata(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Check::ok(name, "made at the first start"),
        Err(error) => Check::fail(name, format!("{}: {error}", dir.display()), remedy),
        Ok(data) if !data.is_dir() => Check::fail(name, format!("{} is no directory", dir.display()), remedy),
        Ok(data) if data.permissions().mode() & 0o022 != 0 => Check::warn(
            name,
            format!("{} can be written by others", dir.display()),
            format!("chmod 700 {}", dir.display()),
        ),
        Ok(_) => {
            let images = std::fs::read_dir(dir).into_iter().flatten().flatten();
            let count = images
                .filter(|entry| entry.path().extension().is_some_and(|end| end == "image"))
                .count();
            Check::ok(name, format!("{count} in {}", dir.display()))
        }
    }
}

fn pool(allocation: Allocation) -> Check {
    let name = "instance pool";
    match allocation {
        Allocation::Pooled => Check::ok(name, "can be made"),
        Allocation::OnDemand => Check::warn(
            name,
            "cannot be made; calls allocate on demand, which costs some hundred microseconds each",
            "`ulimit -v unlimited`, and vm.overcommit_memory not 2",
        ),
    }
}

fn loaded(dir: &Path, plugins: &[PluginInfo]) -> Vec<Check> {
    let name = "plugins";
    if plugins.is_empty() {
        let seen = format!("no connector (*.wasm) in {}", dir.display());
        return vec![Check::fail(name, seen, "build them with `cargo xtask plugins`")];
    }
    plugins
        .iter()
        .map(|plugin| match &plugin.state {
            PluginState::Ready => {
                let told = plugin.descriptor.as_ref();
                let seen = told.map_or_else(
                    || plugin.file.clone(),
                    |told| format!("{} {} serves {}", told.name, told.version, told.vim_types.join(", ")),
                );
                Check::ok(name, seen)
            }
            PluginState::Failed(reason) | PluginState::Quarantined(reason) => Check::fail(
                name,
                format!("{}: {reason}", plugin.file),
                "build it for this vimhost's contract, or remove the file",
            ),
            PluginState::Discovered
            | PluginState::Verified
            | PluginState::Compiled
            | PluginState::Draining
            | PluginState::Retired => {
                // Of two files of one plugin the newer serves.
                Check::warn(
                    name,
                    format!("{} does not serve", plugin.file),
                    "remove the older file of the two",
                )
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_no_connector_an_empty_directory_and_none_fail() {
        let dir = tempfile::tempdir().unwrap();
        let plugins = dir.path().join("plugins");
        let worst = async |path: &Path| {
            let checks = checks(path, None).await;
            checks.into_iter().find(|check| check.verdict == Verdict::Fail).unwrap()
        };
        assert_eq!(worst(&plugins).await.name, "plugins");
        std::fs::create_dir(&plugins).unwrap();
        assert!(worst(&plugins).await.seen.contains("no connector"));
        std::fs::write(plugins.join("x.wasm"), "rubbish").unwrap();
        let found = worst(&plugins).await;
        assert!(
            found.seen.contains("x.wasm") && found.seen.contains("not WebAssembly"),
            "{found:?}"
        );
    }

    #[test]
    fn a_directory_of_images_that_others_write_or_that_is_a_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let images = dir.path().join("images");
        assert_eq!(image_dir(&images).verdict, Verdict::Ok);
        std::fs::write(&images, "").unwrap();
        assert_eq!(image_dir(&images).verdict, Verdict::Fail);
        std::fs::remove_file(&images).unwrap();
        std::fs::create_dir(&images).unwrap();
        std::fs::set_permissions(&images, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(image_dir(&images).verdict, Verdict::Warn);
    }

    #[test]
    fn a_pool_that_cannot_be_made_warns() {
        assert_eq!(pool(Allocation::OnDemand).verdict, Verdict::Warn);
        assert_eq!(pool(Allocation::Pooled).verdict, Verdict::Ok);
    }
}
