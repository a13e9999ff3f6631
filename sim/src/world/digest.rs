//! The rolling 128-bit hash of a run.

use std::hash::{Hash, Hasher};

/// A hash of everything that a world has delivered so far, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    low: u64,
    high: u64,
}

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;

impl Default for Digest {
    fn default() -> Self {
        Digest { low: FIRST, high: SECOND }
    }
}

impl Digest {
    #[must_use]
    pub fn value(self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    /// Takes in a value. Its `Hash` must not depend on addresses or on the platform.
    pub fn absorb(&mut self, value: &impl Hash) {
        value.hash(self);
    }

    /// One word: a folded multiplication for one half; the other keeps the product's low half and the
    /// word itself, rotated, so that a collision of both at once is as unlikely as 128 bits promise.
    #[inline]
    fn word(&mut self, word: u64) {
        let product = u128::from(self.low ^ word) * u128::from(FIRST);
        let top = u64::try_from(product >> 64).expect("the high half fits");
        let bottom = u64::try_from(product & u128::from(u64::MAX)).expect("masked to 64 bits");
        self.low = (top ^ bottom).wrapping_add(self.high);
        self.high = (self.high ^ bottom).rotate_left(23).wrapping_add(word ^ SECOND);
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.low ^ self.high
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().expect("chunks of eight bytes")));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, i: u8) {
        self.word(u64::from(i));
    }

    #[inline]
    fn write_u16(&mut self, i: u16) {
        self.word(u64::from(i));
    }

    #[inline]
    fn write_u32(&mut self, i: u32) {
        self.word(u64::from(i));
    }

    #[inline]
    fn write_u64(&mut self, i: u64) {
        self.word(i);
    }

    #[inline]
    fn write_usize(&mut self, i: usize) {
        self.word(u64::try_from(i).expect("a usize fits 64 bits"));
    }

    #[inline]
    fn write_isize(&mut self, i: isize) {
        self.word(i64::try_from(i).expect("an isize fits 64 bits").cast_unsigned());
    }
}
