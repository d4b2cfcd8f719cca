//! Under which name a host that shares a database holds its leases.
//!
//! A claim is granted again to the host that holds it, so two processes must never have one name: both would drive. And a process that takes
//! the place of one that died should not wait for the end of that one's leases, or of its hold on a standalone. Both follow from a file
//! in the data directory that the process locks: who gets the lock knows that the process before is gone, also when it was killed, and
//! that it is not merely paused. The name is used again only on the same machine since the same start of it, because a file can be copied and a lock cannot.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use vimhost_model::HostId;

/// Names the start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A name that no other process has while this lives.
pub struct Identity {
    pub host: HostId,
    lock: File,
}

impl Drop for Identity {
    fn drop(&mut self) {
        // Said, not left to closing the file: a process that this one is just starting has the file too until it is another program.
        // What cannot be unlocked is unlocked with the process.
        let _ = self.lock.unlock();
    }
}

impl Identity {
    /// Takes the name of the process that had the data directory before, or a new one.
    ///
    /// # Errors
    /// When another process has the data directory.
    pub fn take(data_dir: &Path, name: &str) -> anyhow::Result<Self> {
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        Self::take_at(&data_dir.join("host.id"), name, boot.trim())
    }

    fn take_at(path: &Path, name: &str, boot: &str) -> anyhow::Result<Self> {
        let what = || format!("cannot use {}", path.display());
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(what)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!(
                    "another vimhost uses the data directory of {}; give each host its own --data-dir",
                    path.display()
                );
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error).with_context(what),
        }
        let mut kept = String::new();
        file.read_to_string(&mut kept).with_context(what)?;
        let mut lines = kept.lines();
        let before = (lines.next(), lines.next());
        let host = match before {
            (Some(of_boot), Some(host))
                if !boot.is_empty() && of_boot == boot && host.strip_prefix(name).is_some_and(is_suffix) =>
            {
                HostId::new(host).with_context(what)?
            }
            _ => {
                let random = HostId::random().to_string();
                let suffix = random.split('-').next().unwrap_or_default();
                HostId::new(format!("{name}-{suffix}")).context("the host's name cannot be used")?
            }
        };
        file.rewind().with_context(what)?;
        file.set_len(0).with_context(what)?;
        file.write_all(format!("{boot}\n{host}\n").as_bytes())
            .with_context(what)?;
        file.sync_all().with_context(what)?;
        Ok(Self { host, lock: file })
    }
}

fn is_suffix(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|suffix| !suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_on_the_machine_has_the_name_of_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.id");
        let first = Identity::take_at(&path, "nfv1", "boot").unwrap();
        let name = first.host.clone();
        assert!(name.to_string().starts_with("nfv1-"));
        let Err(refused) = Identity::take_at(&path, "nfv1", "boot") else {
            panic!("taken twice");
        };
        assert!(refused.to_string().contains("its own --data-dir"), "{refused}");
        drop(first);
        assert_eq!(Identity::take_at(&path, "nfv1", "boot").unwrap().host, name);
    }

    #[test]
    fn a_copy_on_another_machine_or_after_its_restart_has_a_new_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.id");
        let take = |name: &str, boot: &str| Identity::take_at(&path, name, boot).unwrap().host.clone();
        let first = take("nfv1", "boot");
        let second = take("nfv1", "boot two");
        assert_ne!(second, first);
        let third = take("nfv2", "boot two");
        assert!(third.to_string().starts_with("nfv2-"));
        // What the machine cannot tell is not the same.
        assert_ne!(take("nfv2", ""), take("nfv2", ""));
    }
}
