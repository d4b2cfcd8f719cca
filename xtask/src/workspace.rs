//! What cargo knows about the workspace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The workspace, as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    pub(crate) target_directory: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .context("cargo cannot be run")?;
        ensure!(output.status.success(), "cargo cannot describe the workspace");
        serde_json::from_slice(&output.stdout).context("cargo's description of the workspace is not understood")
    }

    /// Members right under a folder of the workspace that build a dynamic library, which a component is.
    ///
    /// Fails for a crate in the folder that is no member: it would silently not be built.
    pub(crate) fn components_under(&self, folder: &str) -> Result<Vec<Package>> {
        let folder = self.root.join(folder);
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for entry in entries {
            let manifest = entry
                .with_context(|| format!("cannot read {}", folder.display()))?
                .path()
                .join("Cargo.toml");
            if !manifest.is_file() {
                continue;
            }
            let package = self.packages.iter().find(|package| package.manifest_path == manifest);
            let package = package.with_context(|| {
                format!(
                    "{} is no member of the workspace; add it to `members` in Cargo.toml",
                    manifest.display()
                )
            })?;
            if package
                .targets
                .iter()
                .any(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            {
                found.push(package.clone());
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

impl Package {
    /// The name of its folder, which is the component's.
    pub(crate) fn folder(&self) -> &str {
        self.manifest_path
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .unwrap_or(&self.name)
    }
}

/// The cargo that runs this program, so that a chosen toolchain stays chosen.
///
/// What cargo tells a program it runs about that program's package is taken away: build scripts of some crates look at it, and would
/// be run again, with everything that depends on them compiled anew, at each change between `cargo test` and `cargo xtask test`.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    for (name, _) in std::env::vars_os() {
        let of_package = |prefix| name.to_str().is_some_and(|name| name.starts_with(prefix));
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].into_iter().any(of_package) {
            command.env_remove(&name);
        }
    }
    command
}
