//! The world: processes, links, disks and clocks under one event queue.
//!
//! A world is plain data. Cloning it forks it; each fork goes on by itself. It has no timetable of
//! its own: a run asks for [`World::control`] events, and applies faults between two steps.

mod clock;
mod connection;
mod corrupt;
mod digest;
mod disk;
mod event;
mod fault;
mod hold;
mod ledger;
mod lifecycle;
mod link;
mod network;
mod observer;
mod process;
mod queue;
mod seed;
mod step;
mod storage;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::{CallId, Endpoint};
use seedlog::machine::{Effects, FileKey, Machine, Survived};
use seedlog::op::Op;
use seedlog::time::{Duration, Instant, Now};

pub use self::clock::EPOCH_MS;
use self::connection::Connections;
pub use self::digest::Digest;
pub use self::disk::{Disk, DiskFaults, PowerLoss};
use self::event::Event;
pub use self::fault::{Fault, FaultCounts, Ratio, Span};
use self::hold::ActiveHold;
pub use self::hold::{Hold, HoldId, MessageKind, Payload};
use self::ledger::Ledger;
pub use self::ledger::{Chance, Chances, Dice, Occasion, Subject};
use self::link::Links;
pub use self::link::NetworkFaults;
pub use self::observer::{Lifecycle, Observer};
use self::process::Process;
use self::queue::Queue;
pub use self::seed::{Draw, Seed};
pub use self::trouble::Trouble;

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

/// Machines, links, disks and clocks, and everything that is still to happen to them.
#[derive(Clone)]
pub struct World<N: Node> {
    seed: Seed,
    /// Where the streams of links and disks come from: at a replay, it may be another one.
    delays: Seed,
    time: Instant,
    queue: Queue<Event>,
    processes: Vec<Process<N>>,
    names: Arc<BTreeMap<Arc<str>, ProcessId>>,
    connections: Connections,
    links: Links,
    disk_faults: Arc<DiskFaults>,
    self_checks: bool,
    holds: Vec<ActiveHold>,
    next_hold: u32,
    ledger: Ledger,
    faults: FaultCounts,
    digest: Digest,
    events: u64,
    /// Events in a row at the same time: see [`step`].
    at_once: u64,
    /// The buffer of every step.
    out: Effects,
}

impl ProcessId {
    fn index(self) -> usize {
        usize::try_from(self.0).expect("an index fits")
    }
}

/// Building.
impl<N: Node> World<N> {
    #[must_use]
    pub fn new(seed: Seed, config: WorldConfig) -> Self {
        World {
            seed,
            delays: seed,
            time: Instant::ZERO,
            queue: Queue::new(),
            processes: Vec::new(),
            names: Arc::default(),
            connections: Connections::default(),
            links: Links::new(seed, config.network),
            disk_faults: Arc::new(config.disk),
            self_checks: config.self_checks,
            holds: Vec::new(),
            next_hold: 0,
            ledger: Ledger::default(),
            faults: FaultCounts::default(),
            digest: Digest::default(),
            events: 0,
            at_once: 0,
            out: Effects::new(),
        }
    }

    /// Draws the usual delays of links and disks from another seed. Before the first event only.
    pub fn set_delays(&mut self, seed: Seed) {
        assert!(self.links.len() == 0 && self.events == 0, "nothing has been drawn yet");
        self.delays = seed;
        self.links.set_seed(seed);
    }

    /// Adds a process that is down and whose disk is empty. Its host is `name`; it answers on any
    /// port.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn add(&mut self, name: &str, config: N::Config) -> ProcessId {
        let id = ProcessId(u32::try_from(self.processes.len()).expect("fewer than 2^32"));
        let process = Process::new(id, name, config);
        let taken = Arc::make_mut(&mut self.names).insert(Arc::clone(&process.name), id);
        assert!(taken.is_none(), "two processes are named {name}");
        self.processes.push(process);
        id
    }

    /// Puts a file on the disk of a process that is down, durably (formatting).
    pub fn format(&mut self, process: ProcessId, file: FileKey, content: Bytes) {
        assert!(!self.is_up(process), "a disk is formatted while nobody uses it");
        Arc::make_mut(&mut self.processes[process.index()].disk).format(file, content);
    }

    /// Asks a client process for something, now. Ignored if it is down when the call arrives.
    pub fn call(&mut self, process: ProcessId, call: CallId, op: Arc<Op>) {
        self.push(self.time, Event::Call { process, call, op });
    }

    /// At `at` (or now, if that is past) a step will return [`Stepped::Control`] with this token.
    pub fn control(&mut self, at: Instant, token: u64) {
        self.push(at.max(self.time), Event::Control(token));
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.queue.push(at.as_nanos(), event);
    }
}

/// Looking.
impl<N: Node> World<N> {
    /// Simulated time since the beginning; no process sees it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.time
    }

    /// When the next thing may happen; it may turn out to be nothing.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.queue.next_at().map(Instant::from_nanos)
    }

    /// Inputs delivered so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How much waits to happen: messages under way, deadlines, and so on.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Connections that at least one end has open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.iter().count()
    }

    /// Whom a process has a connection to on which something was under way within that time, in the
    /// order of their ids.
    #[must_use]
    pub fn peers(&self, process: ProcessId, within: Duration) -> Vec<ProcessId> {
        let names = self.connections.of(process).into_iter();
        let mut peers: Vec<ProcessId> = names
            .filter_map(|(name, side)| Some((self.connections.get(name)?, side)))
            .filter(|(connection, _)| connection.last_use() + within >= self.time)
            .map(|(connection, side)| connection.end(side.other()).process)
            .filter(|peer| *peer != process)
            .collect();
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Counts a fault that a world does not see itself: what the cluster made of a request.
    pub fn count(&mut self, fault: Fault) {
        self.faults.count(fault);
    }

    #[must_use]
    pub fn delivered_faults(&self) -> &FaultCounts {
        &self.faults
    }

    /// All processes in the order they were added.
    pub fn processes(&self) -> impl Iterator<Item = ProcessId> + use<N> {
        let count = u32::try_from(self.processes.len()).expect("fewer than 2^32");
        (0..count).map(ProcessId)
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<ProcessId> {
        self.names.get(name).copied()
    }

    #[must_use]
    pub fn name(&self, process: ProcessId) -> &Arc<str> {
        &self.processes[process.index()].name
    }

    /// Where a process listens.
    #[must_use]
    pub fn endpoint(&self, process: ProcessId) -> Endpoint {
        Endpoint { host: Arc::clone(self.name(process)), port: 9092 }
    }

    /// The machine, if the process is up (paused ones are).
    #[must_use]
    pub fn node(&self, process: ProcessId) -> Option<&N> {
        self.processes[process.index()].node.as_ref()
    }

    #[must_use]
    pub fn config(&self, process: ProcessId) -> &N::Config {
        &self.processes[process.index()].config
    }

    /// How often the process has been started.
    #[must_use]
    pub fn incarnation(&self, process: ProcessId) -> u32 {
        self.processes[process.index()].incarnation
    }

    #[must_use]
    pub fn is_up(&self, process: ProcessId) -> bool {
        self.node(process).is_some()
    }

    #[must_use]
    pub fn is_paused(&self, process: ProcessId) -> bool {
        self.processes[process.index()].is_paused
    }

    /// What the clocks of a process show.
    #[must_use]
    pub fn clock(&self, process: ProcessId) -> Now {
        self.processes[process.index()].clock.read(self.time)
    }

    #[must_use]
    pub fn disk(&self, process: ProcessId) -> &Disk {
        &self.processes[process.index()].disk
    }
}
