//! Python programs that tests run, each in an environment of its own in the user's cache. None is part of the product.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A program from Python's package index.
pub(crate) struct Program {
    /// What people call it.
    pub(crate) name: &'static str,
    /// Name of its environment, with the version: another version is another environment.
    pub(crate) environment: &'static str,
    /// What pip is asked for.
    pub(crate) packages: &'static [&'static str],
    /// Its file in `bin`.
    pub(crate) file: &'static str,
}

impl Program {
    /// The program, fetched when it is asked for first.
    pub(crate) fn ensure_there(&self) -> Result<PathBuf> {
        let home = cache()?.join(self.environment);
        let program = home.join("bin").join(self.file);
        let complete = home.join("complete");
        if complete.is_file() {
            return Ok(program);
        }
        eprintln!("fetching {} for tests", self.name);
        let venv = Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home)
            .output();
        let venv = venv.context("python3 cannot be run")?;
        ensure!(
            venv.status.success(),
            "python3 cannot make an environment in {}; on Debian `apt-get install python3-venv` helps: {}",
            home.display(),
            last_line(&venv.stdout, &venv.stderr)
        );
        let pip = Command::new(home.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(self.packages)
            .stdin(Stdio::null())
            .output()
            .context("pip cannot be run")?;
        ensure!(
            pip.status.success(),
            "pip cannot install {}; its index must have {}: {}",
            self.name,
            self.packages.join(" and "),
            last_line(&pip.stdout, &pip.stderr)
        );
        std::fs::write(&complete, "").with_context(|| format!("cannot write {}", complete.display()))?;
        Ok(program)
    }
}

/// Where programs of tests are kept.
pub(crate) fn cache() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("vimhost"))
}

/// What a program said last: most often the cause.
pub(crate) fn last_line(out: &[u8], err: &[u8]) -> String {
    let words = [out, err]
        .map(|words| String::from_utf8_lossy(words).into_owned())
        .concat();
    let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("it says nothing").to_owned()
}
