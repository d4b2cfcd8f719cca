//! The present time, and random bytes: the two things of the world besides HTTP that a connector may ask for.

use std::time::Duration;

/// Time since 1970. Under the test kit it stands still until a test moves it.
#[must_use]
pub fn now() -> Duration {
    crate::host::now()
}

/// Random bytes, fit for secrets. Under the test kit they are the same in each run.
#[must_use]
pub fn random_bytes(count: usize) -> Vec<u8> {
    crate::host::random_bytes(count)
}
