//! Randomness of one process and incarnation: a seeded field, never shared through the driver.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A seeded generator whose draws are plain integer arithmetic, so that an upgrade of a crate
/// cannot change what a seed means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Rng(ChaCha8Rng::from_seed(seed))
    }

    /// A generator for tests and tools that have one number to start from.
    #[must_use]
    pub fn from_number(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Rng::new(bytes)
    }

    #[must_use]
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`, by the widening multiplication of Lemire (2019) without its
    /// rejection step: the bias is below `bound / 2^64`.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "an empty range has no element to draw");
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the high half fits")
    }

    /// An index into a sequence of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).expect("a length fits u64");
        usize::try_from(self.below(bound)).expect("an index fits usize")
    }

    /// True in `numerator` of `denominator` cases.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// A duration in `low..=high`.
    pub fn duration(
        &mut self,
        low: crate::time::Duration,
        high: crate::time::Duration,
    ) -> crate::time::Duration {
        let (low, high) = (crate::time::nanos(low), crate::time::nanos(high));
        crate::time::Duration::from_nanos(low + self.below((high - low).saturating_add(1)))
    }
}
