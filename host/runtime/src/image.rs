//! Compiled images on disk: machine code that is loaded instead of being compiled at each start.
//!
//! Loading machine code is trusting whoever wrote it, and wasmtime does not notice a changed byte. So an image carries a MAC
//! (keyed BLAKE3) under the host's key over its name and content, the directory belongs to the service alone, and the bytes that were verified
//! are the very bytes that are loaded: read into memory once, not mapped, so that nothing can change in between.
//!
//! Images are files of our own and not wasmtime's cache, which packs them (fifty times slower to load) and trusts its directory.
//! This is the only module with `unsafe` in the crate.
#![expect(
    unsafe_code,
    reason = "loading machine code cannot be checked by the compiler; see `deserialize`"
)]

use std::fs::{self, DirBuilder, File, Permissions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use vimhost_model::hex;
use wasmtime::Engine;
use wasmtime::component::Component;
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::text_of;
use crate::{Error, HostKey};

/// Bytes of the MAC at an image's end.
const SEAL: usize = blake3::OUT_LEN;

/// What the key of images is derived for, so that the host's key may have other uses.
const PURPOSE: &str = "vimhost 2026-11 MAC of a compiled image";

/// The line of wasmtime that images are for; its exact version is part of the engine's hash.
const WASMTIME: &str = "wasmtime48";

/// Where an image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// From disk.
    Cached,
    /// Compiled now.
    Compiled,
}

/// The directory of images.
pub(crate) struct Images {
    dir: PathBuf,
    key: HostKey,
}

impl Images {
    /// Opens the directory, making it when missing, and takes the rights of group and others away.
    pub(crate) fn open(dir: &Path, key: HostKey) -> Result<Self, Error> {
        let prepare = || -> io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(dir, Permissions::from_mode(0o700))?;
            }
            Ok(())
        };
        prepare().map_err(|source| Error::CacheDir {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            key,
        })
    }

    /// Where they are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The machine code of a component: from disk when there is an authentic image of it, compiled otherwise. Blocks.
    pub(crate) fn compiled(&self, engine: &Engine, digest: &str, wasm: &[u8]) -> Result<(Vec<u8>, Source), String> {
        let name = image_name(engine, digest);
        let path = self.dir.join(&name);
        match self.read(&path, &name) {
            Ok(Some(image)) => return Ok((image, Source::Cached)),
            Ok(None) => {}
            Err(error) => {
                let (error, image) = (error.to_string(), name.as_str());
                tracing::warn!(error, image, "compiled image is not used, compiling again");
            }
        }
        let image = self.compile(engine, wasm, &name)?;
        Ok((image, Source::Compiled))
    }

    /// Compiles although there may be an image, for an image that is authentic and yet refused by wasmtime. Blocks.
    pub(crate) fn recompiled(&self, engine: &Engine, digest: &str, wasm: &[u8]) -> Result<Vec<u8>, String> {
        self.compile(engine, wasm, &image_name(engine, digest))
    }

    fn compile(&self, engine: &Engine, wasm: &[u8], name: &str) -> Result<Vec<u8>, String> {
        let image = engine.precompile_component(wasm).map_err(|error| text_of(&error))?;
        if let Err(error) = self.write(name, &image) {
            let (error, image) = (error.to_string(), name);
            tracing::warn!(error, image, "compiled image cannot be kept");
        }
        Ok(image)
    }

    fn read(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let forged = || io::Error::new(io::ErrorKind::InvalidData, "it is not authentic");
        let seal = bytes
            .len()
            .checked_sub(SEAL)
            .map(|at| bytes.split_off(at))
            .ok_or_else(forged)?;
        // Compared in constant time, which the type of hashes does.
        if self.seal(name, &bytes) != blake3::Hash::from_slice(&seal).map_err(|_| forged())? {
            return Err(forged());
        }
        if let Err(error) = touch(path) {
            tracing::debug!(image = name, %error, "cannot note that an image is used");
        }
        Ok(Some(bytes))
    }

    /// Removes images that no start has used for so long, and what a crash has left half written. Answers how many. Blocks.
    ///
    /// Each upgrade of the host, and each new version of a plugin, leaves an image behind that nothing will load again.
    pub(crate) fn prune(&self, unused: Duration) -> io::Result<usize> {
        let mut removed = 0;
        let now = machine_time();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let ours = Path::new(&name)
                .extension()
                .is_some_and(|ending| ending == "image" || ending == "tmp");
            let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if ours && age > unused {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Written under another name, synced and renamed: an image is whole or absent, and never changes.
    fn write(&self, name: &str, image: &[u8]) -> io::Result<()> {
        let unique = crate::random::bytes::<8>().map_err(io::Error::other)?;
        let temporary = self.dir.join(format!(".{}.tmp", hex(&unique)));
        let seal = self.seal(name, image);
        let result = File::create_new(&temporary)
            .and_then(|mut file| {
                file.write_all(image)?;
                file.write_all(seal.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, self.dir.join(name)))
            .and_then(|()| File::open(&self.dir)?.sync_all());
        if result.is_err() {
            // Best effort: what stays behind is never looked at.
            let _ = fs::remove_file(&temporary);
        }
        result
    }

    fn seal(&self, name: &str, image: &[u8]) -> blake3::Hash {
        let key = Zeroizing::new(blake3::derive_key(PURPOSE, self.key.expose()));
        let mut mac = blake3::Hasher::new_keyed(&key);
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(image);
        let seal = mac.finalize();
        mac.zeroize();
        seal
    }
}

/// Notes that a file is used.
fn touch(path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.set_modified(machine_time())
}

/// The clock by which file systems tell times.
fn machine_time() -> SystemTime {
    SystemTime::now()
}

/// Makes a component of machine code that [`Images`] has compiled or authenticated.
pub(crate) fn deserialize(engine: &Engine, image: &[u8]) -> Result<Component, String> {
    // SAFETY: wasmtime requires bytes that `precompile_component` made and nobody changed. Every caller passes what
    // `Images::compiled` or `Images::recompiled` returned: made by this process, or read from disk with a MAC under the host's
    // key over exactly these bytes, which are in our memory since. An engine of other settings is refused by wasmtime itself.
    unsafe { Component::deserialize(engine, image) }.map_err(|error| text_of(&error))
}

/// Component, wasmtime and engine: an image is found only by the code and the machine it was compiled for.
fn image_name(engine: &Engine, digest: &str) -> String {
    struct Feed(Sha256);
    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    // SHA-256 and not the standard library's hasher, whose results may change with the compiler.
    let mut feed = Feed(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut feed);
    let mut engine_hash = hex(&feed.0.finalize());
    engine_hash.truncate(16);
    format!("{digest}-{WASMTIME}-{engine_hash}.image")
}
