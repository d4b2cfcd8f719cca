//! The keys of a ring as files of one directory, and how one takes another's place.
//!
//! `seal.key` is the key that seals; every `seal-<id>.key` beside it still opens. A rotation first puts the present key under its own
//! name, then the next one over `seal.key` by renaming, each step synced. So whatever the moment of a crash, every key that ever
//! sealed is in the directory, and one key is the present one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{IfMissing, KeyError, KeyRing, SealKey, hex};

const PRESENT: &str = "seal.key";
const NEXT: &str = "seal.key.next";
const KEEPING: &str = "seal.key.keeping";

fn named(id: &str) -> String {
    format!("seal-{id}.key")
}

impl KeyRing {
    /// The ring of a directory. A missing `seal.key` is made if `if_missing` says so.
    ///
    /// # Errors
    /// As for [`SealKey::load`], for any of the files.
    pub fn of_dir(dir: &Path, if_missing: IfMissing) -> Result<Self, KeyError> {
        let mut ring = Self::new(SealKey::load(&dir.join(PRESENT), if_missing)?);
        let failed = |source| KeyError::Read {
            path: dir.to_owned(),
            source,
        };
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("seal-") && name.ends_with(".key") {
                let key = SealKey::load(&dir.join(&*name), IfMissing::Refuse)?;
                // After a rotation back, or one that broke off, the present key has its own name too.
                if key.id != ring.current_id() {
                    ring = ring.with_older(key);
                }
            }
        }
        ring.home = Some(dir.to_owned());
        Ok(ring)
    }

    /// Makes a key the one that seals from now on: the older one of this id, or a new one. The present key stays among the older.
    /// Answers the id of the key that seals then.
    ///
    /// # Errors
    /// When there is no such key, no random numbers, or a file cannot be written; the present key then stays.
    pub fn rotate(&self, to: Option<&str>) -> Result<String, KeyError> {
        let mut keys = self.write();
        let next = match to {
            None => SealKey::random()?,
            Some(id) if id == keys.current.id => return Ok(keys.current.id.clone()),
            Some(id) => keys
                .older
                .iter()
                .find(|key| key.id == id)
                .cloned()
                .ok_or_else(|| KeyError::Unknown { key_id: id.to_owned() })?,
        };
        if let Some(home) = &self.home {
            keep(home, &named(&keys.current.id), &keys.current)?;
            write(&home.join(NEXT), &next)?;
            let present = home.join(PRESENT);
            let renamed = fs::rename(home.join(NEXT), &present).and_then(|()| sync(home));
            renamed.map_err(|source| KeyError::Create { path: present, source })?;
        }
        let id = next.id.clone();
        keys.older.retain(|key| key.id != id);
        let before = std::mem::replace(&mut keys.current, next);
        keys.older.push(before);
        Ok(id)
    }

    /// Forgets an older key for good. What it has sealed opens never again, so the caller has looked that there is nothing.
    ///
    /// # Errors
    /// When it is the present key or none of the ring, or its file cannot be removed.
    pub fn forget(&self, id: &str) -> Result<(), KeyError> {
        let mut keys = self.write();
        if !keys.older.iter().any(|key| key.id == id) {
            return Err(KeyError::Unknown { key_id: id.to_owned() });
        }
        if let Some(home) = &self.home {
            let path = home.join(named(id));
            match fs::remove_file(&path).and_then(|()| sync(home)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(KeyError::Create { path, source }),
            }
        }
        keys.older.retain(|key| key.id != id);
        Ok(())
    }
}

/// Keeps a key under a name, unless it is there.
fn keep(home: &Path, name: &str, key: &SealKey) -> Result<(), KeyError> {
    let path = home.join(name);
    if path.exists() && SealKey::load(&path, IfMissing::Refuse)?.id == key.id {
        return Ok(());
    }
    // By renaming: a half written key under this name would keep the host from starting.
    let whole = home.join(KEEPING);
    write(&whole, key)?;
    let renamed = fs::rename(&whole, &path).and_then(|()| sync(home));
    renamed.map_err(|source| KeyError::Create { path, source })
}

fn write(path: &PathBuf, key: &SealKey) -> Result<(), KeyError> {
    let write = || {
        // What a crash has left half written is in nobody's use; it goes whole, because the mode is that of a new file only.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(Zeroizing::new(hex(key.bytes.iter())).as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|source| KeyError::Create {
        path: path.clone(),
        source,
    })
}

/// The names too must survive a power loss.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use vimhost_model::Secret;

    use super::*;

    fn seal(ring: &KeyRing) -> crate::SealedText {
        ring.seal(&Secret::new("canary"), "c").unwrap()
    }

    #[test]
    fn a_rotated_ring_comes_back_with_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::of_dir(dir.path(), IfMissing::Create).unwrap();
        let first = ring.current_id();
        let sealed = vec![seal(&ring)];
        let second = ring.rotate(None).unwrap();
        assert_ne!(first, second);
        let sealed = [sealed, vec![seal(&ring)]].concat();
        for ring in [&ring, &KeyRing::of_dir(dir.path(), IfMissing::Refuse).unwrap()] {
            assert_eq!(
                (ring.current_id(), ring.older_ids()),
                (second.clone(), vec![first.clone()])
            );
            assert!(
                sealed
                    .iter()
                    .all(|text| ring.open(text, "c").unwrap() == Secret::new("canary"))
            );
            assert!(!ring.is_current(&sealed[0]) && ring.is_current(&sealed[1]));
        }
        // Back to the first, by name; asking again changes nothing.
        for _ in 0..2 {
            assert_eq!(ring.rotate(Some(&first)).unwrap(), first);
            assert_eq!(ring.older_ids(), std::slice::from_ref(&second));
        }
        assert!(matches!(ring.rotate(Some("nobody")), Err(KeyError::Unknown { .. })));
        assert!(matches!(ring.forget(&first), Err(KeyError::Unknown { .. })));
        ring.forget(&second).unwrap();
        let again = KeyRing::of_dir(dir.path(), IfMissing::Refuse).unwrap();
        assert_eq!((again.current_id(), again.older_ids()), (first, vec![]));
    }

    #[test]
    fn a_rotation_that_broke_off_anywhere_loses_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::of_dir(dir.path(), IfMissing::Create).unwrap();
        let sealed = seal(&ring);
        let opens = || {
            let ring = KeyRing::of_dir(dir.path(), IfMissing::Refuse).unwrap();
            assert_eq!(ring.open(&sealed, "c").unwrap(), Secret::new("canary"));
            ring
        };
        // The present key has its name.
        let present = SealKey::load(&dir.path().join(PRESENT), IfMissing::Refuse).unwrap();
        fs::write(dir.path().join(KEEPING), "abc").unwrap();
        opens();
        keep(dir.path(), &named(&present.id), &present).unwrap();
        assert!(!dir.path().join(KEEPING).exists());
        opens();
        // The next one is half written, then written.
        fs::write(dir.path().join(NEXT), "abc").unwrap();
        opens();
        write(&dir.path().join(NEXT), &SealKey::random().unwrap()).unwrap();
        let ring = opens();
        // The next try ends it.
        let id = ring.rotate(None).unwrap();
        assert_eq!(opens().current_id(), id);
        assert!(!dir.path().join(NEXT).exists());
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused_wherever_it_is() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let ring = KeyRing::of_dir(dir.path(), IfMissing::Create).unwrap();
        let old = dir.path().join(named(&ring.current_id()));
        ring.rotate(None).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = KeyRing::of_dir(dir.path(), IfMissing::Refuse);
        assert!(matches!(refused, Err(KeyError::Permissions { .. })), "{refused:?}");
    }
}
