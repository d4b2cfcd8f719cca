//! A store that dies after a number of writes, for tests of what a crash leaves.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::fault::{Fault, Outcome};

/// Lets a number of commands that write through and fails everything after them, as if the process had ended there.
#[derive(Debug)]
pub struct Fuse {
    left: AtomicI64,
    /// Whether the last command let through fails too, though the server has done it.
    swallows: bool,
}

impl Fuse {
    /// Blows before write number `writes` + 1 is sent.
    #[must_use]
    pub fn before(writes: i64) -> Self {
        Self {
            left: AtomicI64::new(writes),
            swallows: false,
        }
    }

    /// Blows when write number `writes` was done, before its answer is heard.
    #[must_use]
    pub fn after(writes: i64) -> Self {
        Self {
            left: AtomicI64::new(writes),
            swallows: true,
        }
    }

    /// Whether it has blown.
    #[must_use]
    pub fn is_blown(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    /// Before a command. True when its answer is not to be heard.
    pub(crate) fn pass(&self, writes: bool) -> Outcome<bool> {
        let blown = || Fault::Lost("the fuse has blown".to_owned());
        if !writes {
            return if self.is_blown() { Err(blown()) } else { Ok(false) };
        }
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if self.swallows && left == 1 {
            self.left.store(-1, Ordering::SeqCst);
            return Ok(true);
        }
        if left > 0 { Ok(false) } else { Err(blown()) }
    }
}
