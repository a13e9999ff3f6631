//! One process: its machine while it is up, and what outlives the machine.

use std::collections::VecDeque;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::ids::ConnId;
use seedlog::machine::Input;
use seedlog::time::Instant;

use super::clock::Clock;
use super::connection::{ConnectionRef, Side};
use super::disk::{Disk, DiskFaults};
use super::event::Life;
use super::link::Stream;
use super::{Node, ProcessId};

#[derive(Clone)]
pub(super) struct Process<N: Node> {
    pub(super) name: Arc<str>,
    pub(super) config: N::Config,
    /// The config was changed since the last start.
    pub(super) is_reconfigured: bool,
    pub(super) node: Option<N>,
    pub(super) incarnation: u32,
    pub(super) is_paused: bool,
    /// Lost its power and has not started since: nobody answers for it.
    pub(super) is_dark: bool,
    /// Inputs that came during a pause, until they are taken.
    pub(super) inbox: VecDeque<Input>,
    pub(super) alarm: Alarm,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    pub(super) disk_faults: Option<Arc<DiskFaults>>,
    pub(super) disk_stream: Stream,
    /// Its ends of connections, by the id that it knows.
    pub(super) connections: IndexMap<ConnId, (ConnectionRef, Side), FxBuildHasher>,
    pub(super) accepted: u64,
}

/// The wake that is in the queue for a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Alarm {
    /// When it goes off, if there is one, and its token: wakes with older tokens are void.
    pub(super) at: Option<Instant>,
    pub(super) token: u32,
    /// A process that has just started is woken whatever its deadline.
    pub(super) is_first: bool,
}

impl<N: Node> Process<N> {
    pub(super) fn new(id: ProcessId, name: &str, config: N::Config) -> Self {
        Process {
            name: name.into(),
            config,
            is_reconfigured: false,
            node: None,
            incarnation: 0,
            is_paused: false,
            is_dark: false,
            inbox: VecDeque::new(),
            alarm: Alarm::default(),
            clock: Clock::new(u64::from(id.0 + 1) * 1_000_000_000_000),
            disk: Disk::default(),
            disk_faults: None,
            disk_stream: Stream::default(),
            connections: IndexMap::default(),
            accepted: 0,
        }
    }

    pub(super) fn life(&self) -> Life {
        Life { incarnation: self.incarnation, disk: self.disk.life }
    }
}
