//! Chance that follows from the seed and from what it is asked for, not from when it is asked: tasks that are ready in
//! the same moment may run in any order without changing what any of them meets.

use std::time::Duration;

/// A point in the tree of all draws of a seed. Asking the same twice answers the same.
#[derive(Debug, Clone, Copy)]
pub struct Dice(u64);

impl Dice {
    pub fn of_seed(seed: u64) -> Self {
        Self(mix(seed ^ 0x5EED))
    }

    /// The branch of that name.
    pub fn of(self, name: &str) -> Self {
        // FNV-1a.
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Self(mix(self.0 ^ hash))
    }

    /// The branch of that number.
    pub fn nth(self, number: u64) -> Self {
        Self(mix(self.0.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))))
    }

    pub fn below(self, end: u64) -> u64 {
        self.0 % end
    }

    pub fn percent(self, chance: u64) -> bool {
        self.per_mille(chance * 10)
    }

    pub fn per_mille(self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    /// In whole milliseconds, for the runtime knows no shorter time.
    pub fn between(self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis() as u64;
        least + Duration::from_millis(self.below(span + 1))
    }
}

/// The finalizer of splitmix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
