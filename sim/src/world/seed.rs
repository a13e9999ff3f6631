//! One seed, many streams: what one draws never shifts what another draws.

use seedlog::rng::Rng;

/// The number that a run is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The 32 bytes of one stream: by purpose ("link", "disk", "workload", ..) and by entity.
    ///
    /// They are a ChaCha key, so streams of keys that are alike have nothing in common.
    #[must_use]
    pub fn bytes(self, purpose: &str, a: u64, b: u64) -> [u8; 32] {
        let mut bytes = [0; 32];
        let words = [self.0, fnv(purpose), a, b];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The stream itself.
    #[must_use]
    pub fn stream(self, purpose: &str, a: u64, b: u64) -> Rng {
        Rng::new(self.bytes(purpose, a, b))
    }
}

/// What draws are made from: full streams of randomness, and the small ones of links.
pub trait Draw {
    fn next(&mut self) -> u64;

    /// A number in `0..bound`, as [`Rng::below`] makes it.
    fn under(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the high half fits")
    }

    /// True in `numerator` of `denominator` cases.
    fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.under(denominator) < numerator
    }

    /// An index into a sequence of `len` elements.
    fn place(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).expect("a length fits u64");
        usize::try_from(self.under(bound)).expect("an index fits usize")
    }
}

impl Draw for Rng {
    fn next(&mut self) -> u64 {
        self.next_u64()
    }
}

/// A stream in one word (SplitMix64), begun by a draw from ChaCha. A world has thousands of links
/// and draws for each message: a generator of 300 bytes a link costs more in cache misses and forks
/// than all the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct SmallStream(u64);

impl SmallStream {
    pub(super) fn new(seed: Seed, purpose: &str, a: u64, b: u64) -> Self {
        SmallStream(seed.stream(purpose, a, b).next_u64())
    }
}

impl Draw for SmallStream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// FNV-1a.
const fn fnv(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ widen(bytes[index])).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

/// `u64::from` in a constant function.
const fn widen(byte: u8) -> u64 {
    u64::from_le_bytes([byte, 0, 0, 0, 0, 0, 0, 0])
}
