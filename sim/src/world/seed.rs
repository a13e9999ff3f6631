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
