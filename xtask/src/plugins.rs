//! `cargo xtask plugins`: builds components and puts them where host and tests look for them.
//!
//! Connectors go to `<target>/plugins/<name>.wasm`, guests of tests to `<target>/guests/<name>.wasm`, each replaced in one
//! step and only when it changed: a host that watches the folder sees whole files, and reloads nothing for nothing.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::target;
use crate::workspace::{Package, Workspace, cargo};

/// Where crates of components lie, and the folder below the target directory that they go to.
const PLACES: [(&str, &str); 2] = [("plugins", "plugins"), ("tests/guests", "guests")];

/// How much of a digest is shown: enough to tell builds apart, short enough to read out.
const SHOWN_DIGITS: usize = 12;

/// Arguments of `cargo xtask plugins`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these, by the names of their folders; all when none is given.
    names: Vec<String>,
}

/// A component that was built.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// SHA-256, in hexadecimal.
    pub(crate) digest: String,
    pub(crate) change: Change,
}

/// What a build did to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Written,
    Unchanged,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let built = build(&arguments.names)?;
    let widest = built.iter().map(|one| one.name.len()).max().unwrap_or_default();
    for one in built {
        let shown = one.digest.get(..SHOWN_DIGITS).unwrap_or(&one.digest);
        let change = match one.change {
            Change::Written => "",
            Change::Unchanged => "  (unchanged)",
        };
        println!(
            "{:widest$}  {:>9} bytes  sha256:{shown}  {}{change}",
            one.name,
            one.bytes,
            one.path.display()
        );
    }
    Ok(())
}

/// Builds the components of these names, or all.
pub(crate) fn build(names: &[String]) -> Result<Vec<Built>> {
    target::ensure()?;
    let workspace = Workspace::load()?;
    let mut wanted = Vec::new();
    for (from, to) in PLACES {
        let packages = workspace.components_under(from)?;
        wanted.extend(
            packages
                .into_iter()
                .map(|package| (package, workspace.target_directory.join(to))),
        );
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !wanted.iter().any(|(package, _)| package.folder() == *name))
    {
        let known: Vec<_> = wanted.iter().map(|(package, _)| package.folder()).collect();
        bail!("there is no component {unknown}; there are: {}", known.join(", "));
    }
    wanted.retain(|(package, _)| names.is_empty() || names.iter().any(|name| name == package.folder()));
    ensure!(!wanted.is_empty(), "there is no component to build");
    let artifacts = compile(wanted.iter().map(|(package, _)| package))?;
    wanted
        .iter()
        .map(|(package, folder)| {
            let artifact = artifacts.get(&package.manifest_path);
            let artifact = artifact.with_context(|| format!("cargo made no component of {}", package.name))?;
            install(artifact, folder, package.folder())
        })
        .collect()
}

/// A line of cargo's report; other lines have other fields.
#[derive(Deserialize)]
struct Report {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Components by their manifest.
fn compile<'p>(packages: impl Iterator<Item = &'p Package>) -> Result<HashMap<PathBuf, PathBuf>> {
    let mut command = cargo();
    command.args(["build", "--lib", "--profile", "plugin", "--target", target::WASM]);
    command.arg("--message-format=json-render-diagnostics");
    for package in packages {
        eprintln!("building {}", package.name);
        command.args(["--package", &package.name]);
    }
    let mut cargo = command.stdout(Stdio::piped()).spawn().context("cargo cannot be run")?;
    let mut artifacts = HashMap::new();
    if let Some(reports) = cargo.stdout.take() {
        for line in BufReader::new(reports).lines() {
            let report: Report = match serde_json::from_str(&line.context("cargo's report broke off")?) {
                Ok(report) => report,
                // What a build script prints gets in between.
                Err(_) => continue,
            };
            let component = report
                .filenames
                .into_iter()
                .find(|file| file.extension().is_some_and(|e| e == "wasm"));
            if let ("compiler-artifact", Some(manifest), Some(file)) =
                (report.reason.as_str(), report.manifest_path, component)
            {
                artifacts.insert(manifest, file);
            }
        }
    }
    let status = cargo.wait().context("cargo was lost")?;
    ensure!(
        status.success(),
        "the components do not compile; the compiler's messages stand above"
    );
    Ok(artifacts)
}

/// Puts a component in its place, if it is not there already.
fn install(artifact: &Path, folder: &Path, name: &str) -> Result<Built> {
    let content = fs::read(artifact).with_context(|| format!("cannot read {}", artifact.display()))?;
    let path = folder.join(format!("{name}.wasm"));
    let change = if fs::read(&path).is_ok_and(|present| present == content) {
        Change::Unchanged
    } else {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // In the same folder, because a rename does not cross file systems; not ending in .wasm, so nobody loads it.
        let fresh = folder.join(format!(".{name}.{}.part", std::process::id()));
        let written = fs::write(&fresh, &content).and_then(|()| fs::rename(&fresh, &path));
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        written.with_context(|| format!("cannot write {}", path.display()))?;
        Change::Written
    };
    let digest = Sha256::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Built {
        name: name.to_owned(),
        path,
        bytes: content.len() as u64,
        digest,
        change,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_written_only_when_it_changed() {
        let place = tempfile::tempdir().unwrap();
        let artifact = place.path().join("built.wasm");
        let folder = place.path().join("plugins");
        fs::write(&artifact, b"one").unwrap();
        let first = install(&artifact, &folder, "mock").unwrap();
        assert_eq!((first.change, first.bytes), (Change::Written, 3));
        assert!(first.digest.starts_with("7692c3ad3540"), "{}", first.digest);
        assert_eq!(install(&artifact, &folder, "mock").unwrap().change, Change::Unchanged);
        fs::write(&artifact, b"two").unwrap();
        assert_eq!(install(&artifact, &folder, "mock").unwrap().change, Change::Written);
        assert_eq!(fs::read(folder.join("mock.wasm")).unwrap(), b"two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
