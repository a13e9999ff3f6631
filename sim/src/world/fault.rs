//! The faults that a world can deliver, and how often it really did.

use seedlog::time::{Duration, nanos};

use super::seed::Draw;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident = $name:literal,)*) => {
        /// A kind of fault. One is counted when it really happens to something, not when it is
        /// asked for: by the world, or by the run where only the cluster's metadata shows it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $fault,)*
        }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$fault,)*];

            /// The name that reports and scenarios use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)*
                }
            }

            const fn index(self) -> usize {
                let mut index = 0;
                let mut found = 0;
                $(
                    if matches!(self, Fault::$fault) { found = index; }
                    index += 1;
                )*
                assert!(found < index, "every fault has a counter");
                found
            }
        }
    };
}

faults! {
    /// A message vanished; later ones on its connection still arrive (harsher than TCP).
    Loss = "loss",
    /// A connection went dead one way: a message and all that followed vanished, until both ends
    /// were told that it is gone.
    Break = "break",
    /// A message was delivered a second time.
    Duplicate = "duplicate",
    /// A message arrived after one that was sent later on its connection.
    Reorder = "reorder",
    /// A message took longer than the network's usual delay; what follows on its connection waits.
    Delay = "delay",
    /// A message took longer than the network's usual delay because its link lags.
    Lag = "lag",
    /// A bit of a record batch flipped on its way.
    Corrupt = "corrupt",
    /// A message waited in a clogged link and went on when it was unclogged.
    Clog = "clog",
    /// A message, or the attempt to connect, met a blocked link.
    Block = "block",
    /// An open connection was reset: both ends are told, what is under way is gone.
    Reset = "reset",
    /// A message was delivered after its sender had closed the connection, or died.
    OldConnection = "old-connection",
    /// A chosen message was kept back.
    Hold = "hold",
    /// A process died; what it wrote is in the page cache.
    Crash = "crash",
    /// A machine lost its power: a crash that also attacks what was not flushed.
    PowerLoss = "power-loss",
    /// A process stopped itself, and not because it was shut down: its disk failed.
    Halt = "halt",
    /// A process stood still, as in a long garbage collection; counted at resumption.
    Pause = "pause",
    /// A process lost its disk.
    Wipe = "wipe",
    /// A process started with another config than it had before.
    Reconfigure = "reconfigure",
    /// A power loss lost at least one write that was not flushed.
    LostWrites = "lost-writes",
    /// A power loss kept a write that was not acknowledged as flushed.
    UnackedWrite = "unacked-write",
    /// A power loss kept only a part of the last write.
    TornWrite = "torn-write",
    /// A crash kept only a part of a file that was being replaced in place.
    TornFile = "torn-file",
    /// The disk refused a write or a flush (EIO).
    DiskError = "disk-error",
    /// The disk refused a write because it is full.
    DiskFull = "disk-full",
    /// A flush, save or load waited in a stalled disk.
    DiskStall = "disk-stall",
    /// A flush, save or load took longer than disks usually take.
    DiskSlow = "disk-slow",
    /// A bit of a stored batch flipped.
    BitRot = "bit-rot",
    /// A process read a wall clock that is off by a constant.
    ClockSkew = "clock-skew",
    /// A process read clocks that run too fast or too slow.
    ClockDrift = "clock-drift",
    /// A wall clock jumped.
    ClockJump = "clock-jump",
    /// A process read clocks that stand still.
    ClockFreeze = "clock-freeze",
    /// A broker that was asked to shut down was let go by the controller, and left everything
    /// durable.
    Shutdown = "shutdown",
    /// A partition is on other replicas than before, and moves no more.
    Reassign = "reassign",
    /// An election that was asked for gave a partition another leader.
    Elect = "elect",
    /// A topic was deleted and another of its name was made.
    Churn = "churn",
    /// A topic got more partitions.
    Grow = "grow",
    /// The settings of a topic changed.
    Configure = "configure",
}

/// How often each fault was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultCounts([u64; Fault::ALL.len()]);

impl Default for FaultCounts {
    fn default() -> Self {
        FaultCounts([0; Fault::ALL.len()])
    }
}

impl FaultCounts {
    #[must_use]
    pub fn get(&self, fault: Fault) -> u64 {
        self.0[fault.index()]
    }

    /// All kinds in a fixed order, those that never happened too.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.iter().map(|fault| (*fault, self.get(*fault)))
    }

    pub(super) fn count(&mut self, fault: Fault) {
        self.0[fault.index()] += 1;
    }
}

/// A probability as a ratio, so that drawing it needs no floating point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio {
    pub numerator: u32,
    pub denominator: u32,
}

impl Default for Ratio {
    fn default() -> Self {
        Ratio::NEVER
    }
}

impl Ratio {
    pub const NEVER: Ratio = Ratio { numerator: 0, denominator: 1 };
    pub const ALWAYS: Ratio = Ratio { numerator: 1, denominator: 1 };

    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        assert!(denominator > 0, "a ratio has a denominator");
        Ratio { numerator, denominator }
    }

    /// Draws, unless the ratio is zero: a fault that is off draws nothing.
    pub fn draw(self, rng: &mut impl Draw) -> bool {
        self.numerator > 0 && rng.under(u64::from(self.denominator)) < u64::from(self.numerator)
    }
}

/// A duration that is drawn from a range, bounds included. A range of one value draws nothing.
///
/// Kept in nanoseconds: a `Duration` splits them into seconds and a rest, and each draw would put
/// them together again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    low: u64,
    high: u64,
}

impl Span {
    /// # Panics
    /// If the range is empty.
    #[must_use]
    pub fn new(low: Duration, high: Duration) -> Self {
        assert!(low <= high, "a span has a first and a last duration");
        Span { low: nanos(low), high: nanos(high) }
    }

    #[must_use]
    pub fn exactly(duration: Duration) -> Self {
        Span::new(duration, duration)
    }

    /// The longest one.
    pub(super) fn high(self) -> Duration {
        Duration::from_nanos(self.high)
    }

    pub fn draw(self, rng: &mut impl Draw) -> Duration {
        Duration::from_nanos(self.draw_nanos(rng))
    }

    #[inline]
    pub(super) fn draw_nanos(self, rng: &mut impl Draw) -> u64 {
        let Span { low, high } = self;
        if low == high {
            return low;
        }
        low + rng.under((high - low).saturating_add(1))
    }
}
