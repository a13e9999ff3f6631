//! Both clocks, and the keyed timers that a machine owns.
//!
//! Deadlines use [`Instant`], which only grows while a process lives. Record timestamps, retention
//! and transaction timeouts use [`Timestamp`], which may jump in either direction.

use alloc::vec::Vec;
use core::ops::{Add, AddAssign, Sub};

pub use core::time::Duration;

/// A point on a process's monotonic clock, in nanoseconds since an arbitrary origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    pub const ZERO: Instant = Instant(0);
    /// Later than every instant that a run reaches.
    pub const FAR: Instant = Instant(u64::MAX);

    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Instant(nanos)
    }

    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Whole nanoseconds of a duration, capped at `u64::MAX` (585 years).
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Whole milliseconds of a duration, as Kafka's settings and timestamps count them.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(rhs)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

/// A wall-clock time in milliseconds since the Unix epoch, as Kafka stores it; -1 is "none".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Kafka's "no timestamp".
    pub const NONE: Timestamp = Timestamp(-1);

    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(by)))
    }

    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(by)))
    }
}

/// What both clocks of a process show when a step begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    pub mono: Instant,
    pub wall: Timestamp,
}

/// Keyed deadlines, ordered by time and then by key, so that ties break the same way everywhere.
///
/// A table holds few keys (tens), so a sorted vector beats a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers<K> {
    by_time: Vec<(Instant, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Timers { by_time: Vec::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets the deadline of `key`, replacing the one it had.
    pub fn set(&mut self, key: K, at: Instant) {
        self.cancel(&key);
        let entry = (at, key);
        let index = self.by_time.binary_search(&entry).unwrap_or_else(|index| index);
        self.by_time.insert(index, entry);
    }

    /// Sets the deadline of `key` unless it already has one.
    pub fn set_if_absent(&mut self, key: K, at: Instant) {
        if self.get(&key).is_none() {
            self.set(key, at);
        }
    }

    pub fn cancel(&mut self, key: &K) {
        if let Some(index) = self.by_time.iter().position(|(_, k)| k == key) {
            self.by_time.remove(index);
        }
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<Instant> {
        self.by_time.iter().find(|(_, k)| k == key).map(|(at, _)| *at)
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Removes and returns the earliest key that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        match self.by_time.first() {
            Some((at, _)) if *at <= now => Some(self.by_time.remove(0).1),
            Some(_) | None => None,
        }
    }

    pub fn clear(&mut self) {
        self.by_time.clear();
    }
}

/// The earlier of two optional deadlines.
#[must_use]
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_break_by_key_and_a_new_deadline_replaces_the_old_one() {
        let mut timers = Timers::default();
        let at = Instant::from_nanos;
        timers.set("b", at(5));
        timers.set("a", at(5));
        timers.set("c", at(1));
        timers.set("c", at(9));
        assert_eq!(timers.next(), Some(at(5)));
        assert_eq!(timers.pop_due(at(4)), None);
        assert_eq!(timers.pop_due(at(9)), Some("a"));
        assert_eq!(timers.pop_due(at(9)), Some("b"));
        assert_eq!(timers.pop_due(at(9)), Some("c"));
        assert_eq!(timers.pop_due(Instant::FAR), None);
    }
}
