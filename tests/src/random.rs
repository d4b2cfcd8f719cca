//! Random numbers with a seed that is printed, so that a failed run can be repeated.

/// SplitMix64: enough for choosing points in time, and the same on every machine.
#[derive(Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// The seed is that of `VIMHOST_TEST_SEED`, else taken from the clock, and printed.
    #[must_use]
    pub fn seeded(what: &str) -> Self {
        let seed = std::env::var("VIMHOST_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap_or_default()
            });
        println!("{what}: seed {seed} (repeat with VIMHOST_TEST_SEED={seed})");
        Self { seed, state: seed }
    }

    /// What a run is repeated with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound.max(1)
    }
}
