//! The rolling 128-bit hash of a run.

use std::hash::{Hash, Hasher};

use seedlog::ids::{ConnId, CorrelationId};
use seedlog::machine::Input;

/// A hash of everything that a world has delivered so far, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    low: u64,
    high: u64,
}

const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
const SECOND: u64 = 0xd6e8_feb8_6659_fd93;
const THIRD: u64 = 0xff51_afd7_ed55_8ccd;

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
        let mut step = Step::default();
        value.hash(&mut step);
        self.join(step);
    }

    /// Takes in all that was hashed in one step.
    pub(super) fn join(&mut self, step: Step) {
        let Step { first, second } = step;
        let low = fold(self.low ^ first, FIRST) ^ self.high.rotate_left(32);
        let high = fold(self.high ^ second, SECOND).wrapping_add(self.low.rotate_left(23));
        (self.low, self.high) = (fold(low ^ second, SECOND), fold(high ^ first, FIRST));
    }
}

/// The two halves of a product, the low one first.
#[inline]
fn multiply(word: u64, by: u64) -> (u64, u64) {
    let product = u128::from(word) * u128::from(by);
    let low = u64::try_from(product & u128::from(u64::MAX)).expect("masked to 64 bits");
    (low, u64::try_from(product >> 64).expect("the high half fits"))
}

/// Both halves in one: every bit of it depends on every bit of `word`.
#[inline]
fn fold(word: u64, by: u64) -> u64 {
    let (low, high) = multiply(word, by);
    low ^ high
}

/// The hash of one step, 128 bits of it. Each step begins anew, so that a processor can work on
/// several at once; only their results wait for each other.
pub(super) struct Step {
    first: u64,
    second: u64,
}

impl Default for Step {
    fn default() -> Self {
        Step { first: FIRST, second: SECOND }
    }
}

impl Step {
    /// Takes in an input; the content of a message by its print, which is worked out if it is not
    /// known.
    pub(super) fn input(&mut self, input: &Input, print: Option<Print>) {
        match input {
            Input::Request { from, correlation, request } => {
                self.request(*from, *correlation, print.unwrap_or_else(|| Print::of(request)));
            }
            Input::Response { conn, correlation, response } => {
                self.response(*conn, *correlation, print.unwrap_or_else(|| Print::of(response)));
            }
            Input::Wake
            | Input::Opened { .. }
            | Input::Closed { .. }
            | Input::Flushed { .. }
            | Input::Saved { .. }
            | Input::Loaded { .. }
            | Input::Lost { .. }
            | Input::LostFile { .. }
            | Input::Call { .. } => input.hash(self),
        }
    }

    /// Takes in a request that is sent or arrives.
    #[inline]
    pub(super) fn request(&mut self, conn: ConnId, correlation: CorrelationId, print: Print) {
        self.message(1, conn, correlation, print);
    }

    /// Takes in a response that is sent or arrives.
    #[inline]
    pub(super) fn response(&mut self, conn: ConnId, correlation: CorrelationId, print: Print) {
        self.message(2, conn, correlation, print);
    }

    /// `kind` lies beyond the numbers of all variants of enums.
    #[inline]
    fn message(&mut self, kind: u64, conn: ConnId, correlation: CorrelationId, print: Print) {
        self.word((kind << 32) | u64::from(correlation.0));
        self.word(conn.0);
        self.word(print.first);
        self.word(print.second);
    }

    /// Loses next to nothing: [`THIRD`] is so near to 2^64 that the high half of the product tells
    /// (nearly) all of `first`, and the low half is then known from the new `first`.
    #[inline]
    fn word(&mut self, word: u64) {
        let (low, high) = multiply(self.first ^ word, THIRD);
        (self.first, self.second) = (low ^ self.second, high);
    }

    /// Two words side by side, for bytes.
    #[inline]
    fn two_words(&mut self, one: u64, other: u64) {
        let (low, high) = multiply(self.first ^ one, THIRD);
        let (other_low, other_high) = multiply(self.second ^ other, SECOND);
        (self.first, self.second) = (low ^ other_high, high ^ other_low);
    }
}

/// The hash of one message's content: made when it is sent, and good for all of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print {
    first: u64,
    second: u64,
}

impl Print {
    pub(super) fn of(content: &impl Hash) -> Self {
        let mut step = Step::default();
        content.hash(&mut step);
        Print { first: step.first, second: step.second }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

impl Hasher for Step {
    fn finish(&self) -> u64 {
        self.first ^ self.second
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let mut pairs = bytes.chunks_exact(16);
        for pair in &mut pairs {
            self.two_words(word(&pair[..8]), word(&pair[8..]));
        }
        let mut words = pairs.remainder().chunks_exact(8);
        for bytes in &mut words {
            self.word(word(bytes));
        }
        let rest = words.remainder();
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

    /// What variants of enums are written as.
    #[inline]
    fn write_isize(&mut self, i: isize) {
        self.write_usize(i.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use seedlog::error::ErrorCode;
    use seedlog::message::Response;
    use seedlog::message::cluster::BrokerHeartbeatResponse;

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
    fn every_bit_and_every_length_counts() {
        assert!(is_without_repeats((0..64).map(|bit| of(1_u64 << bit)).collect()));
        assert!(is_without_repeats((0..64).map(|bit| of((7_u8, 1_u64 << bit, 9_u64))).collect()));
        assert!(is_without_repeats((0..100).map(|len| of(vec![0_u8; len])).collect()));
        assert!(is_without_repeats((0..100).map(|len| of((vec![0_u8; len], 0_u8))).collect()));
        let variants = [0_isize, 1, 65_534, 65_535, 65_536, -1];
        assert!(is_without_repeats(variants.map(of).into()));
    }

    #[test]
    fn an_input_is_the_same_with_a_print_that_is_known() {
        let response = |caught_up| {
            let response = BrokerHeartbeatResponse {
                error: ErrorCode::None,
                caught_up,
                fenced: false,
                should_shutdown: false,
            };
            Arc::new(Response::BrokerHeartbeat(response))
        };
        let of = |content: &Arc<Response>, print| {
            let mut step = Step::default();
            let (conn, correlation) = (ConnId(1), CorrelationId(2));
            let response = Arc::clone(content);
            step.input(&Input::Response { conn, correlation, response }, print);
            (step.first, step.second)
        };
        let (one, other) = (response(true), response(false));
        assert_eq!(of(&one, None), of(&one, Some(Print::of(&one))));
        assert_ne!(of(&one, None), of(&other, None));
    }

    #[test]
    fn order_counts_and_halves_are_independent() {
        assert_ne!(of((1_u64, 2_u64)), of((2_u64, 1_u64)));
        let both = |number: u64| [of(number) & u128::from(u64::MAX), of(number) >> 64];
        assert!(is_without_repeats((0..1_000).flat_map(both).collect()));
    }
}
