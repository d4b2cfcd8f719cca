//! Which sources have passed the tests against the lab, so that a test run knows whether they have to run again.
//!
//! They take longer than everything else together. What they prove of the connectors follows from the connectors, their SDK, the
//! contract, the sandbox, the lab and the tests themselves: the digests of those are committed when they have passed, and a run on
//! the same sources says so instead of running them.
//!
//! Not among them are `host/dial`, by which the sandbox dials, `tests/http-proxy` and `tests/src`, although the lab's tests stand on them: they
//! are tested in every run (what is dialled by the tests of `host/runtime` too), and most of what changes there no connector notices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

/// The folders whose change makes the tests run.
const SOURCES: [&str; 9] = [
    "host/connector",
    "host/runtime",
    "plugins/heat",
    "plugins/keystone",
    "plugins/openstack",
    "sdk",
    "tests/lab",
    "tests/openstack",
    "wit",
];

/// Where the digests are committed.
const RECORD: &str = "tests/lab/passed.json";

/// The digest of each folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Those of the working tree: files that git knows or does not ignore.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let digest = |folder: &&str| Ok(((*folder).to_owned(), digest(root, folder)?));
        SOURCES.iter().map(digest).collect::<Result<_>>().map(Self)
    }

    /// Those that have passed last; none where nothing was recorded.
    pub(crate) fn passed(root: &Path) -> Result<Self> {
        let path = record(root);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let sources = serde_json::from_slice(&bytes);
                Ok(Self(sources.with_context(|| format!("{RECORD} is not understood"))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self(BTreeMap::new())),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The folders in which they differ.
    pub(crate) fn changed_since(&self, passed: &Self) -> Vec<&str> {
        let changed = |(folder, digest): &(&String, &String)| passed.0.get(*folder) != Some(*digest);
        self.0
            .iter()
            .filter(changed)
            .map(|(folder, _)| folder.as_str())
            .collect()
    }

    /// Records them as those that have passed.
    pub(crate) fn record(&self, root: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.0)? + "\n";
        let path = record(root);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn record(root: &Path) -> PathBuf {
    root.join(RECORD)
}

/// Of the names and contents of a folder's files, but for the record itself.
fn digest(root: &Path, folder: &str) -> Result<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"])
        .arg(folder)
        .output()
        .context("git cannot be run, which lists the sources of the tests against OpenStack")?;
    ensure!(
        output.status.success(),
        "git cannot list {folder}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listed = String::from_utf8(output.stdout).with_context(|| format!("a name in {folder} is not UTF-8"))?;
    let mut names: Vec<&str> = listed
        .split('\0')
        .filter(|name| !name.is_empty() && *name != RECORD)
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut all = Sha256::new();
    for name in names {
        // A file that was deleted and not yet committed so is no source.
        let Ok(content) = std::fs::read(root.join(name)) else {
            continue;
        };
        all.update(name.as_bytes());
        all.update([0]);
        all.update(Sha256::digest(&content));
    }
    Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(root: &Path, arguments: &[&str]) {
        let status = Command::new("git").current_dir(root).args(arguments).status().unwrap();
        assert!(status.success(), "git {arguments:?}");
    }

    #[test]
    fn what_has_passed_is_known_until_a_source_changes() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        git(root, &["init", "--quiet"]);
        for folder in SOURCES {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("a"), "one").unwrap();
        }
        let changed = || {
            let now = Sources::of(root).unwrap();
            let changed = now.changed_since(&Sources::passed(root).unwrap());
            changed.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(changed(), SOURCES, "nothing was recorded");
        Sources::of(root).unwrap().record(root).unwrap();
        assert_eq!(changed(), [""; 0], "the record is no source");
        std::fs::write(root.join("elsewhere"), "new").unwrap();
        assert_eq!(changed(), [""; 0]);
        std::fs::write(root.join("sdk/a"), "two").unwrap();
        assert_eq!(changed(), ["sdk"]);
        std::fs::rename(root.join("wit/a"), root.join("wit/b")).unwrap();
        assert_eq!(changed(), ["sdk", "wit"]);
        std::fs::write(root.join(RECORD), "{").unwrap();
        assert!(Sources::passed(root).is_err());
    }
}
