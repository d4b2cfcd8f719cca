//! One process per file: a lock file beside it that names the holder.
//!
//! SQLite itself would let a second host in, and each would then believe that it alone drives the accounts. The lock is the
//! operating system's, so it ends with the process, however that ends; the number in the file is only for people.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::open::OpenError;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Said, not left to closing the file: a process that this one is just starting has the file too until it is another program, and
        // whoever opens the store again meanwhile would be refused. What cannot be unlocked is unlocked with the process.
        let _ = self.file.unlock();
    }
}

/// The lock file of a store file.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Takes the lock of a store file.
pub(crate) fn take(path: &Path) -> Result<FileLock, OpenError> {
    let lock = lock_path(path);
    let failed = |source| OpenError::Lock {
        path: lock.clone(),
        source,
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(failed)?;
            return Err(OpenError::InUse {
                path: path.to_owned(),
                holder: holder.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(FileLock { file })
}
