//! What tests have measured or drawn by chance, told in the summary: a line in a file of its own, `<target>/figures/<name>.txt`.
//!
//! Cargo shows what a test prints only when the test fails; how often a host was killed, and by which seed, is worth knowing when it
//! has passed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::workspace::Workspace;

/// The folder of the files.
pub(crate) struct Figures(PathBuf);

impl Figures {
    /// Of the workspace's target directory.
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self(workspace.target_directory.join("figures"))
    }

    /// Removes what an earlier run has left, which would be told as this one's.
    pub(crate) fn forget(&self) -> Result<()> {
        for file in self.files()? {
            std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(())
    }

    /// `<name>: <line>` of each file, by name.
    pub(crate) fn lines(&self) -> Result<Vec<String>> {
        let line = |file: &PathBuf| -> Result<String> {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            Ok(format!("{name}: {}", text.lines().next().unwrap_or_default()))
        };
        self.files()?.iter().map(line).collect()
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.0.display())),
        };
        let mut files = Vec::new();
        for entry in entries {
            let file = entry
                .with_context(|| format!("cannot read {}", self.0.display()))?
                .path();
            if is_text(&file) {
                files.push(file);
            }
        }
        files.sort();
        Ok(files)
    }
}

fn is_text(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_by_name_and_forgotten_by_the_next_run() {
        let place = tempfile::tempdir().unwrap();
        let figures = Figures(place.path().join("figures"));
        assert_eq!(figures.lines().unwrap(), [""; 0], "no test has written any");
        figures.forget().unwrap();
        std::fs::create_dir(&figures.0).unwrap();
        for (name, text) in [
            ("kill.txt", "50 kills, seed 7\n"),
            ("chaos.txt", "seed 8"),
            ("other.json", "{}"),
        ] {
            std::fs::write(figures.0.join(name), text).unwrap();
        }
        assert_eq!(figures.lines().unwrap(), ["chaos: seed 8", "kill: 50 kills, seed 7"]);
        figures.forget().unwrap();
        assert_eq!(figures.lines().unwrap(), [""; 0]);
        assert!(figures.0.join("other.json").is_file(), "somebody else's file stays");
    }
}
