//! What is left to chance, so that a seed repeats it.

use roost_model::mix;

/// Numbers drawn from a seed.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    seed: u64,
    rolled: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: mix(seed), rolled: 0 }
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.rolled += 1;
        mix(self.seed ^ self.rolled) % sides
    }
}
