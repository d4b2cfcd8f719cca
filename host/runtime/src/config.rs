//! What the runtime is told at start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use vimhost_dial::{Resolve, SystemResolver};
use zeroize::Zeroizing;

use crate::{Limits, Quarantine};

/// Authenticates compiled images: whoever can write the cache directory but does not know the key cannot make the host run
/// machine code.
#[derive(Clone)]
pub struct HostKey(Zeroizing<[u8; 32]>);

impl HostKey {
    /// Takes the key over.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// A key of this process alone: images are then compiled anew at each start.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn random() -> Result<Self, crate::Error> {
        Ok(Self::new(crate::random::bytes()?))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// From a pool made at start; on demand, with a warning, where the pool cannot be made.
    #[default]
    Pooled,
    /// On demand, for machines with little address space.
    OnDemand,
}

/// Configuration of a [`Runtime`](crate::Runtime).
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Where compiled images are kept; made with mode 0700 when missing.
    pub cache_dir: PathBuf,
    /// Authenticates them.
    pub host_key: HostKey,
    /// Limits of every call.
    pub limits: Limits,
    /// Threads that run guests.
    pub workers: usize,
    /// Calls at the same time; further ones wait.
    pub slots: usize,
    /// How instances get their memory.
    pub allocation: Allocation,
    /// When a plugin that only fails is left alone.
    pub quarantine: Quarantine,
    /// Looks names up for requests of guests.
    pub resolver: Arc<dyn Resolve>,
}

impl RuntimeConfig {
    /// Defaults: as many workers as processors, 128 slots (half a tebibyte of address space, no memory until used).
    #[must_use]
    pub fn new(cache_dir: impl Into<PathBuf>, host_key: HostKey) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            host_key,
            limits: Limits::default(),
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            slots: 128,
            allocation: Allocation::default(),
            quarantine: Quarantine::default(),
            resolver: Arc::new(SystemResolver),
        }
    }
}
