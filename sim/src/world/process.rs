//! One process: its machine while it is up, and what outlives the machine.

use std::collections::VecDeque;
use std::sync::Arc;

use seedlog::ids::ConnId;
use seedlog::machine::Input;
use seedlog::rng::Rng;
use seedlog::time::Instant;

use super::clock::Clock;
use super::connection::ConnectionRef;
use super::disk::{Disk, DiskFaults};
use super::event::Life;
use super::{Node, ProcessId};

/// A stream of randomness that is made when it is first drawn from, and that forks share until
/// then.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream(Option<Arc<Rng>>);

impl Stream {
    pub(super) fn get(&mut self, make: impl FnOnce() -> Rng) -> &mut Rng {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new(make())))
    }
}

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
    /// Shared between forks until one of them writes.
    pub(super) disk: Arc<Disk>,
    pub(super) disk_faults: Option<Arc<DiskFaults>>,
    pub(super) disk_stream: Stream,
    /// The connections that it opened and has not seen closed, sorted by its own id of them.
    outbound: Vec<(ConnId, ConnectionRef)>,
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
            disk: Arc::default(),
            disk_faults: None,
            disk_stream: Stream::default(),
            outbound: Vec::new(),
        }
    }

    pub(super) fn life(&self) -> Life {
        Life { incarnation: self.incarnation, disk: self.disk.life }
    }

    /// A connection that it opened.
    pub(super) fn outbound(&self, conn: ConnId) -> Option<ConnectionRef> {
        let place = self.outbound.binary_search_by_key(&conn, |(conn, _)| *conn).ok()?;
        Some(self.outbound[place].1)
    }

    /// # Panics
    /// If the process has used the id before.
    pub(super) fn add_outbound(&mut self, conn: ConnId, name: ConnectionRef) {
        match self.outbound.binary_search_by_key(&conn, |(conn, _)| *conn) {
            Ok(_) => panic!("a connection id is used once"),
            Err(place) => self.outbound.insert(place, (conn, name)),
        }
    }

    pub(super) fn remove_outbound(&mut self, conn: ConnId) {
        if let Ok(place) = self.outbound.binary_search_by_key(&conn, |(conn, _)| *conn) {
            self.outbound.remove(place);
        }
    }

    pub(super) fn clear_outbound(&mut self) {
        self.outbound.clear();
    }
}
