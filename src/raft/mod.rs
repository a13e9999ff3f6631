//! KRaft: the metadata quorum.
//!
//! [`Raft`] is one node of it, voter or observer, and no process of its own: controllers and brokers
//! embed it, route its inputs to it and drain its [`RaftEvent`]s after every step.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::config::ServerConfig;
use crate::event::RaftRole;
use crate::ids::{ConnId, CorrelationId, LogId, LogPoint, NodeId, Offset, QuorumEpoch};
use crate::machine::{Effects, FileKey, Input, Survived};
use crate::message::raft::ReplicaKey;
use crate::message::{Request, Response};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// What the state machine above has to know, in order. Drained with [`Raft::next_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaftEvent {
    /// This node leads, and has applied everything that may have been committed before: its own
    /// epoch's LeaderChange is committed. From here on decisions may be taken.
    Leading { epoch: QuorumEpoch },
    /// This node no longer leads; what it appended and saw no `Committed` for may be lost or not.
    Resigned { epoch: QuorumEpoch },
    /// Another node leads, or (`None`) nobody is known to.
    Following { epoch: QuorumEpoch, leader: Option<NodeId> },
    /// A batch of data records is committed. Control batches are left out.
    Committed { base: Offset, last: Offset, epoch: QuorumEpoch, batch: Bytes },
    /// Forget everything and start from this state: that of all records below `point.offset`.
    LoadSnapshot { point: LogPoint, state: Bytes },
}

/// One node of the metadata quorum.
#[derive(Clone, Debug)]
pub struct Raft {
    server: Arc<ServerConfig>,
    key: ReplicaKey,
    rng: Rng,
    log_id: LogId,
    events: VecDeque<RaftEvent>,
}

impl Raft {
    /// Starts or restarts a node over whatever survived. `key` is the node on its directory; it
    /// votes if that key is one of `server.voters`. The log keeps its `log` id over restarts.
    #[must_use]
    pub fn start(
        server: &Arc<ServerConfig>,
        key: ReplicaKey,
        rng: Rng,
        _now: Now,
        _survived: &Survived,
        log: LogId,
        _out: &mut Effects,
    ) -> Self {
        Raft { server: Arc::clone(server), key, rng, log_id: log, events: VecDeque::new() }
    }

    /// Takes an input if it is raft's; false if it is somebody else's. `Wake` and the `Closed` of an
    /// inbound connection are taken in and still answered false: they concern others too.
    pub fn on_input(&mut self, _now: Now, _input: &Input, _out: &mut Effects) -> bool {
        false
    }

    /// Serves Vote, BeginQuorumEpoch, EndQuorumEpoch, QuorumFetch and FetchSnapshot; false for others.
    pub fn on_request(
        &mut self,
        _now: Now,
        _from: ConnId,
        _correlation: CorrelationId,
        _request: &Request,
        _out: &mut Effects,
    ) -> bool {
        false
    }

    /// Whether an outbound connection is raft's (space 1).
    #[must_use]
    pub fn owns(&self, conn: ConnId) -> bool {
        conn.space() == 1
    }

    pub fn opened(&mut self, _now: Now, _conn: ConnId, _out: &mut Effects) {}

    /// Any connection closed: an own one, or an inbound one that may have fetches parked.
    pub fn closed(&mut self, _now: Now, _conn: ConnId, _out: &mut Effects) {}

    pub fn response(
        &mut self,
        _now: Now,
        _conn: ConnId,
        _correlation: CorrelationId,
        _response: &Response,
        _out: &mut Effects,
    ) {
    }

    /// `Input::Flushed` of the metadata log.
    pub fn flushed(&mut self, _now: Now, _upto: LogPoint, _out: &mut Effects) {}

    /// `Input::Saved` of `QuorumState` or `Snapshot`; false for other files.
    pub fn saved(&mut self, _now: Now, _file: FileKey, _out: &mut Effects) -> bool {
        false
    }

    pub fn wake(&mut self, _now: Now, _out: &mut Effects) {}

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The next thing to tell the state machine. Drain after every call that takes `out`.
    pub fn next_event(&mut self) -> Option<RaftEvent> {
        self.events.pop_front()
    }

    /// Appends one batch of these record values; the offset of the last, or none if this node does
    /// not lead.
    pub fn append(&mut self, _now: Now, _records: &[Bytes], _out: &mut Effects) -> Option<Offset> {
        None
    }

    /// Gives the state of everything below `upto` (a record boundary at or below what was
    /// `Committed`), so that the log below can be dropped.
    pub fn snapshot(&mut self, _now: Now, _upto: Offset, _state: Bytes, _out: &mut Effects) {}

    /// Gives leadership up, if this node has it (controlled shutdown).
    pub fn resign(&mut self, _now: Now, _out: &mut Effects) {}

    #[must_use]
    pub fn role(&self) -> RaftRole {
        RaftRole::Unattached
    }

    /// The leader of the current epoch, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        None
    }

    #[must_use]
    pub fn epoch(&self) -> QuorumEpoch {
        QuorumEpoch(0)
    }

    /// What this node knows to be committed: all records below.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        Offset::ZERO
    }

    /// Where the log in memory starts: the end of the snapshot.
    #[must_use]
    pub fn start_offset(&self) -> Offset {
        Offset::ZERO
    }

    #[must_use]
    pub fn end_offset(&self) -> Offset {
        Offset::ZERO
    }

    /// Everything below survives a power loss.
    #[must_use]
    pub fn flushed_end(&self) -> Offset {
        Offset::ZERO
    }

    /// The epoch and vote that survive a power loss.
    #[must_use]
    pub fn durable_vote(&self) -> (QuorumEpoch, Option<ReplicaKey>) {
        (QuorumEpoch(0), None)
    }

    /// Whether this node votes.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.server.voters.iter().any(|voter| voter.key == self.key)
    }

    /// Internal invariants; called by the simulator after every step.
    pub fn check(&self) {}
}
