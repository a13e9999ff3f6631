//! The world: processes, links, disks and clocks under one event queue.
//!
//! A world is plain data. Cloning it forks it; each fork goes on by itself. It has no timetable of
//! its own: a run asks for [`World::control`] events, and applies faults between two steps.

mod clock;
mod digest;
mod disk;
mod fault;
mod hold;
mod link;
mod observer;
mod seed;

use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::{CallId, Endpoint, LogId, Offset};
use seedlog::machine::{Effects, FileKey, Machine, Survived};
use seedlog::op::Op;
use seedlog::time::{Duration, Instant, Now};

pub use self::digest::Digest;
pub use self::disk::{Disk, DiskFaults, PowerLoss};
pub use self::fault::{Fault, FaultCounts, Ratio, Span};
pub use self::hold::{Hold, HoldId, MessageKind, Payload};
pub use self::link::NetworkFaults;
pub use self::observer::{Lifecycle, Observer};
pub use self::seed::Seed;

/// A machine that a world can start, and start again after a crash.
pub trait Node: Machine {
    type Config: Clone;

    /// Makes the process from what its disk holds. Its first input will be `Wake`.
    fn start(
        config: &Self::Config,
        seed: [u8; 32],
        now: Now,
        survived: Survived,
        out: &mut Effects,
    ) -> Self;

    /// Asserts the invariants of the node's own state; called after every step.
    fn check(&self) {}
}

/// Names a process of a world; stays the same over its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// What a step delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stepped {
    /// One input, to this process.
    Delivered(ProcessId),
    /// The run's own event with that token is due: see [`World::control`].
    Control(u64),
    /// Nothing is left to happen.
    Idle,
}

/// What every process gets unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldConfig {
    pub network: NetworkFaults,
    pub disk: DiskFaults,
    /// Whether to call [`Node::check`] after every step.
    pub self_checks: bool,
}

impl Default for WorldConfig {
    fn default() -> Self {
        WorldConfig {
            network: NetworkFaults::default(),
            disk: DiskFaults::default(),
            self_checks: true,
        }
    }
}

#[derive(Clone, Debug)]
pub struct World<N: Node> {
    _nodes: Vec<N>,
    _configs: Vec<N::Config>,
}

/// Building and running.
impl<N: Node> World<N> {
    #[must_use]
    pub fn new(seed: Seed, config: WorldConfig) -> Self {
        todo!("{seed:?} {config:?}")
    }

    /// Adds a process that is down and whose disk is empty. It listens on `name`, any port.
    pub fn add(&mut self, _name: &str, _config: N::Config) -> ProcessId {
        todo!()
    }

    /// Puts a file on the disk of a process that is down, durably (formatting).
    pub fn format(&mut self, _process: ProcessId, _file: FileKey, _content: Bytes) {
        todo!()
    }

    /// Delivers exactly one event, and time moves on to it.
    pub fn step(&mut self, _observer: &mut impl Observer<N>) -> Stepped {
        todo!()
    }

    /// Asks a client process for something, now. Ignored if it is down when the call arrives.
    pub fn call(&mut self, _process: ProcessId, _call: CallId, _op: Arc<Op>) {
        todo!()
    }

    /// At `at` (or now, if that is past) a step will return [`Stepped::Control`] with this token.
    pub fn control(&mut self, _at: Instant, _token: u64) {
        todo!()
    }
}

/// Looking.
impl<N: Node> World<N> {
    /// Simulated time since the beginning; no process sees it.
    #[must_use]
    pub fn now(&self) -> Instant {
        todo!()
    }

    /// Events delivered so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        todo!()
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        todo!()
    }

    #[must_use]
    pub fn seed(&self) -> Seed {
        todo!()
    }

    #[must_use]
    pub fn delivered_faults(&self) -> &FaultCounts {
        todo!()
    }

    /// All processes in the order they were added.
    pub fn processes(&self) -> impl Iterator<Item = ProcessId> + use<N> {
        std::iter::empty()
    }

    #[must_use]
    pub fn find(&self, _name: &str) -> Option<ProcessId> {
        todo!()
    }

    #[must_use]
    pub fn name(&self, _process: ProcessId) -> &Arc<str> {
        todo!()
    }

    #[must_use]
    pub fn endpoint(&self, _process: ProcessId) -> Endpoint {
        todo!()
    }

    /// The machine, if the process is up (paused ones are).
    #[must_use]
    pub fn node(&self, _process: ProcessId) -> Option<&N> {
        todo!()
    }

    #[must_use]
    pub fn config(&self, _process: ProcessId) -> &N::Config {
        todo!()
    }

    /// How often the process has been started.
    #[must_use]
    pub fn incarnation(&self, _process: ProcessId) -> u32 {
        todo!()
    }

    #[must_use]
    pub fn is_up(&self, _process: ProcessId) -> bool {
        todo!()
    }

    #[must_use]
    pub fn is_paused(&self, _process: ProcessId) -> bool {
        todo!()
    }

    /// What the clocks of a process show.
    #[must_use]
    pub fn clock(&self, _process: ProcessId) -> Now {
        todo!()
    }

    #[must_use]
    pub fn disk(&self, _process: ProcessId) -> &Disk {
        todo!()
    }
}

/// Process faults. They happen at once, between two steps.
impl<N: Node> World<N> {
    /// Starts a process that is down, from what its disk holds.
    pub fn start(&mut self, _process: ProcessId, _observer: &mut impl Observer<N>) {
        todo!()
    }

    /// Kills a process that is up. Its page cache survives; peers see their connections close.
    pub fn crash(&mut self, _process: ProcessId, _observer: &mut impl Observer<N>) {
        todo!()
    }

    /// Cuts the power of a process, up or down. Peers are not told: their connections hang until
    /// they send into them and the machine is back.
    pub fn power_loss(
        &mut self,
        _process: ProcessId,
        _keeps: PowerLoss,
        _observer: &mut impl Observer<N>,
    ) {
        todo!()
    }

    /// A process that is up stands still: inputs wait for it.
    pub fn pause(&mut self, _process: ProcessId, _observer: &mut impl Observer<N>) {
        todo!()
    }

    /// It goes on as if nothing had happened, but time has passed.
    pub fn resume(&mut self, _process: ProcessId, _observer: &mut impl Observer<N>) {
        todo!()
    }

    /// Empties the disk of a process that is down.
    pub fn wipe(&mut self, _process: ProcessId, _observer: &mut impl Observer<N>) {
        todo!()
    }

    /// The config that the process will start with next.
    pub fn reconfigure(&mut self, _process: ProcessId, _config: N::Config) {
        todo!()
    }
}

/// Network faults.
impl<N: Node> World<N> {
    /// Faults of every link that has none of its own.
    pub fn set_network(&mut self, _faults: NetworkFaults) {
        todo!()
    }

    /// Faults of one directed link; `None`: those of the world again.
    pub fn set_link(&mut self, _from: ProcessId, _to: ProcessId, _faults: Option<NetworkFaults>) {
        todo!()
    }

    /// Messages from `from` to `to` vanish until the link is healed. Neither end is told; healing
    /// resets the connections that lost something, as TCP would have given up on them.
    pub fn block(&mut self, _from: ProcessId, _to: ProcessId) {
        todo!()
    }

    pub fn unblock(&mut self, _from: ProcessId, _to: ProcessId) {
        todo!()
    }

    #[must_use]
    pub fn is_blocked(&self, _from: ProcessId, _to: ProcessId) -> bool {
        todo!()
    }

    /// Messages from `from` to `to` wait until the link is unclogged.
    pub fn clog(&mut self, _from: ProcessId, _to: ProcessId) {
        todo!()
    }

    pub fn unclog(&mut self, _from: ProcessId, _to: ProcessId) {
        todo!()
    }

    /// Unblocks and unclogs every link.
    pub fn heal(&mut self) {
        todo!()
    }

    /// Resets all connections between two processes, whoever opened them; answers how many.
    pub fn reset(&mut self, _one: ProcessId, _other: ProcessId) -> usize {
        todo!()
    }

    /// Keeps matching messages back from now on, as they are sent.
    pub fn hold(&mut self, _hold: Hold) -> HoldId {
        todo!()
    }

    /// How many messages a hold keeps back.
    #[must_use]
    pub fn held(&self, _hold: HoldId) -> usize {
        todo!()
    }

    /// Ends a hold and sends what it kept on its way, in order.
    pub fn release(&mut self, _hold: HoldId) {
        todo!()
    }

    /// Ends a hold and forgets what it kept.
    pub fn discard(&mut self, _hold: HoldId) {
        todo!()
    }
}

/// Disk faults.
impl<N: Node> World<N> {
    pub fn set_disk(&mut self, _process: ProcessId, _faults: DiskFaults) {
        todo!()
    }

    /// Flushes, saves and loads do not end until the disk goes on.
    pub fn stall_disk(&mut self, _process: ProcessId, _stalled: bool) {
        todo!()
    }

    /// Every write fails while the disk is full.
    pub fn fill_disk(&mut self, _process: ProcessId, _full: bool) {
        todo!()
    }

    /// The next write or flush of this log (of any log, if none is named) fails with EIO.
    pub fn fail_disk(&mut self, _process: ProcessId, _log: Option<LogId>) {
        todo!()
    }

    /// Flips one bit, drawn from the disk's stream, in the stored batch that begins at `base` (in any
    /// batch of the log, if none is named). False if there is no such batch.
    pub fn rot(&mut self, _process: ProcessId, _log: LogId, _base: Option<Offset>) -> bool {
        todo!()
    }
}

/// Clock faults.
impl<N: Node> World<N> {
    /// The wall clock is off by that many milliseconds from the true time, from now on.
    pub fn skew_clock(&mut self, _process: ProcessId, _ms: i64) {
        todo!()
    }

    /// The wall clock jumps by that many milliseconds.
    pub fn jump_clock(&mut self, _process: ProcessId, _ms: i64) {
        todo!()
    }

    /// Both clocks gain (or lose) that many microseconds a second.
    pub fn drift_clock(&mut self, _process: ProcessId, _ppm: i32) {
        todo!()
    }

    /// Both clocks stand still, or go on from where they stood.
    pub fn freeze_clock(&mut self, _process: ProcessId, _frozen: bool) {
        todo!()
    }

    /// Rate, skew and freeze as new; the wall clock shows the true time again.
    pub fn heal_clock(&mut self, _process: ProcessId) {
        todo!()
    }
}

/// For runs that only wait: all of it takes [`World::step`] only.
impl<N: Node> World<N> {
    /// Steps until the simulated time has passed `duration` from now; events at its end included.
    pub fn run_for(&mut self, _duration: Duration, _observer: &mut impl Observer<N>) {
        todo!()
    }
}
