//! The rolling 128-bit hash of a run.

use std::hash::{Hash, Hasher};

/// A hash of everything that a world has delivered so far, in order.
///
/// Small fields are packed into a block of 128 bits before anything is multiplied: most of what an event hashes is
/// flags, variants and short numbers, and a multiplication for each would cost more than the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    low: u64,
    high: u64,
    block: u128,
    /// Bits of the block that are taken.
    taken: u32,
}

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

impl Default for Digest {
    fn default() -> Self {
        Digest { low: FIRST, high: SECOND, block: 0, taken: 0 }
    }
}

/// The two halves of a product, folded: every bit of it depends on every bit of `word`.
#[inline]
fn fold(word: u64, by: u64) -> u64 {
    let (low, high) = halves(u128::from(word) * u128::from(by));
    low ^ high
}

#[inline]
fn halves(wide: u128) -> (u64, u64) {
    let low = u64::try_from(wide & u128::from(u64::MAX)).expect("masked to 64 bits");
    (low, u64::try_from(wide >> 64).expect("the high half fits"))
}

impl Digest {
    #[must_use]
    pub fn value(mut self) -> u128 {
        // Two more rounds, so that each bit of the last block reaches both halves.
        self.mix(self.block);
        self.mix(u128::from(self.taken));
        self.mix(0);
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    /// Takes in a value. Its `Hash` must not depend on addresses or on the platform.
    #[inline]
    pub fn absorb(&mut self, value: &impl Hash) {
        value.hash(self);
    }

    /// Takes in a block: each half of the state meets a half of the block, then the two cross.
    #[inline]
    fn mix(&mut self, block: u128) {
        let (first, second) = halves(block);
        let low = fold(self.low ^ first, FIRST) ^ self.high.rotate_left(32);
        let high = fold(self.high ^ second, SECOND).wrapping_add(self.low.rotate_left(23));
        (self.low, self.high) = (low, high);
    }

    /// Takes in the lowest `bits` bits of a word that has no higher ones set.
    #[inline]
    fn pack(&mut self, word: u64, bits: u32) {
        if self.taken + bits > 128 {
            self.mix(self.block);
            (self.block, self.taken) = (0, 0);
        }
        self.block |= u128::from(word) << self.taken;
        self.taken += bits;
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        halves(self.value()).0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut blocks = bytes.chunks_exact(16);
        for block in &mut blocks {
            self.mix(u128::from_le_bytes(block.try_into().expect("chunks of sixteen bytes")));
        }
        let mut words = blocks.remainder().chunks_exact(8);
        for word in &mut words {
            self.pack(u64::from_le_bytes(word.try_into().expect("chunks of eight bytes")), 64);
        }
        for byte in words.remainder() {
            self.pack(u64::from(*byte), 8);
        }
    }

    #[inline]
    fn write_u8(&mut self, i: u8) {
        self.pack(u64::from(i), 8);
    }

    #[inline]
    fn write_u16(&mut self, i: u16) {
        self.pack(u64::from(i), 16);
    }

    #[inline]
    fn write_u32(&mut self, i: u32) {
        self.pack(u64::from(i), 32);
    }

    #[inline]
    fn write_u64(&mut self, i: u64) {
        self.pack(i, 64);
    }

    #[inline]
    fn write_usize(&mut self, i: usize) {
        self.pack(u64::try_from(i).expect("a usize fits 64 bits"), 64);
    }

    /// What variants of enums are written as.
    #[inline]
    fn write_isize(&mut self, i: isize) {
        match u16::try_from(i) {
            Ok(short) if short < u16::MAX => self.pack(u64::from(short), 16),
            Ok(_) | Err(_) => {
                self.pack(u64::from(u16::MAX), 16);
                self.pack(i64::try_from(i).expect("an isize fits 64 bits").cast_unsigned(), 64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: impl Hash) -> u128 {
        let mut digest = Digest::default();
        digest.absorb(&value);
        digest.value()
    }

    fn is_without_repeats(mut all: Vec<u128>) -> bool {
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        all.len() == count
    }

    #[test]
    fn every_bit_every_length_and_every_width_counts() {
        assert!(is_without_repeats((0..64).map(|bit| of(1_u64 << bit)).collect()));
        assert!(is_without_repeats((0..64).map(|bit| of((7_u8, 1_u64 << bit, 9_u64))).collect()));
        assert!(is_without_repeats((0..100).map(|len| of(vec![0_u8; len])).collect()));
        assert!(is_without_repeats((0..100).map(|len| of((vec![0_u8; len], 0_u8))).collect()));
        assert!(is_without_repeats(vec![of(0_u8), of(0_u16), of(0_u32), of(0_u64)]));
        let variants = [0_isize, 1, 65_534, 65_535, 65_536, -1];
        assert!(is_without_repeats(variants.map(of).into()));
    }

    #[test]
    fn order_counts_and_halves_are_independent() {
        assert_ne!(of((1_u64, 2_u64)), of((2_u64, 1_u64)));
        let both = |number: u64| <[u64; 2]>::from(halves(of(number))).map(u128::from);
        assert!(is_without_repeats((0..1_000).flat_map(both).collect()));
    }
}
