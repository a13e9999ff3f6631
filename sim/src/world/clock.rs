//! The clocks of one process: how simulated time looks from inside.

use seedlog::time::{Instant, Now, Timestamp};

use super::fault::Fault;

/// The wall-clock time, in milliseconds, at which every world begins: 2026-01-01, 00:00 UTC.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

const MILLION: i128 = 1_000_000;
const NANOS_PER_MS: i64 = 1_000_000;

#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Both clocks showed `mono` and `wall_ns` (nanoseconds after [`EPOCH_MS`]) at the true time
    /// `base`.
    base: u64,
    mono: u64,
    wall_ns: i64,
    ppm: i32,
    frozen: bool,
    /// Faults that the process has not met yet: it will when it next reads its clocks.
    pub(super) unseen: Vec<Fault>,
}

impl Clock {
    /// A true clock. `origin` is what its monotonic side shows at time zero: two processes never
    /// share one.
    pub(super) fn new(origin: u64) -> Self {
        Clock { base: 0, mono: origin, wall_ns: 0, ppm: 0, frozen: false, unseen: Vec::new() }
    }

    /// Nanoseconds that the clock counts between `base` and the true time `at`.
    fn elapsed(&self, at: u64) -> u64 {
        let elapsed = at - self.base;
        if self.frozen {
            0
        } else if self.ppm == 0 {
            elapsed
        } else {
            let scaled = i128::from(elapsed) * (MILLION + i128::from(self.ppm)) / MILLION;
            u64::try_from(scaled).expect("rates are positive")
        }
    }

    #[inline]
    pub(super) fn read(&self, at: Instant) -> Now {
        let elapsed = self.elapsed(at.as_nanos());
        let wall_ms = self.wall_ns.saturating_add(signed(elapsed)).div_euclid(NANOS_PER_MS);
        Now { mono: Instant::from_nanos(self.mono + elapsed), wall: Timestamp(EPOCH_MS + wall_ms) }
    }

    /// The first true time at which the monotonic clock shows `deadline` or later; none while it
    /// stands still before it.
    pub(super) fn when(&self, deadline: Instant, now: Instant) -> Option<Instant> {
        let deadline = deadline.as_nanos();
        if deadline <= self.mono {
            return Some(now);
        }
        if self.frozen {
            return None;
        }
        let local = deadline - self.mono;
        let elapsed = if self.ppm == 0 {
            local
        } else {
            let rate = MILLION + i128::from(self.ppm);
            let scaled = (i128::from(local) * MILLION + rate - 1) / rate;
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        Some(Instant::from_nanos(self.base.saturating_add(elapsed)).max(now))
    }

    /// Makes now the base, so that the rate can change without a jump.
    fn rebase(&mut self, now: Instant) {
        let elapsed = self.elapsed(now.as_nanos());
        self.mono += elapsed;
        self.wall_ns = self.wall_ns.saturating_add(signed(elapsed));
        self.base = now.as_nanos();
    }

    pub(super) fn skew(&mut self, now: Instant, ms: i64) {
        self.rebase(now);
        self.wall_ns = signed(now.as_nanos()).saturating_add(ms.saturating_mul(NANOS_PER_MS));
        self.met(Fault::ClockSkew, ms != 0);
    }

    pub(super) fn jump(&mut self, now: Instant, ms: i64) {
        self.rebase(now);
        self.wall_ns = self.wall_ns.saturating_add(ms.saturating_mul(NANOS_PER_MS));
        self.met(Fault::ClockJump, ms != 0);
    }

    /// # Panics
    /// If the clock would run backwards.
    pub(super) fn drift(&mut self, now: Instant, ppm: i32) {
        assert!(ppm > -1_000_000, "a clock runs forwards");
        self.rebase(now);
        self.ppm = ppm;
        self.met(Fault::ClockDrift, ppm != 0);
    }

    pub(super) fn freeze(&mut self, now: Instant, frozen: bool) {
        self.rebase(now);
        self.frozen = frozen;
        self.met(Fault::ClockFreeze, frozen);
    }

    pub(super) fn heal(&mut self, now: Instant) {
        self.rebase(now);
        let Clock { base: _, mono: _, wall_ns, ppm, frozen, unseen } = self;
        (*wall_ns, *ppm, *frozen) = (signed(now.as_nanos()), 0, false);
        unseen.clear();
    }

    /// A fault that is taken back before anybody read the clock never happened.
    fn met(&mut self, fault: Fault, is_on: bool) {
        self.unseen.retain(|unseen| *unseen != fault);
        if is_on {
            self.unseen.push(fault);
        }
    }
}

/// Simulated times are years at most.
fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).expect("a simulated time fits 63 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * SECOND)
    }

    #[test]
    fn a_true_clock_shows_the_true_time() {
        let clock = Clock::new(7);
        let now = clock.read(at(2));
        assert_eq!((now.mono.as_nanos(), now.wall.0), (7 + 2 * SECOND, EPOCH_MS + 2_000));
        assert_eq!(clock.when(now.mono, at(0)), Some(at(2)));
    }

    #[test]
    fn a_jump_moves_the_wall_only_and_may_go_before_the_epoch() {
        let mut clock = Clock::new(0);
        clock.jump(at(1), -5_000);
        let now = clock.read(at(2));
        assert_eq!((now.mono, now.wall.0), (at(2), EPOCH_MS - 3_000));
        clock.heal(at(2));
        assert_eq!(clock.read(at(3)).wall.0, EPOCH_MS + 3_000);
    }

    #[test]
    fn a_fast_clock_meets_its_deadline_early_and_not_before_it() {
        let mut clock = Clock::new(0);
        clock.drift(at(0), 250_000);
        let due = clock.when(at(10), at(0)).expect("it runs");
        assert_eq!(due, at(8));
        assert!(clock.read(due).mono >= at(10));
        clock.drift(at(8), -500_000);
        let due = clock.when(at(11), at(8)).expect("it runs");
        assert_eq!(due, at(10));
    }

    #[test]
    fn a_frozen_clock_never_meets_a_deadline_and_goes_on_from_where_it_stood() {
        let mut clock = Clock::new(0);
        clock.freeze(at(1), true);
        assert_eq!(clock.read(at(5)).mono, at(1));
        assert_eq!(clock.when(at(2), at(5)), None);
        clock.freeze(at(5), false);
        assert_eq!(clock.read(at(6)).mono, at(2));
        assert_eq!(clock.when(at(2), at(5)), Some(at(6)));
    }
}
