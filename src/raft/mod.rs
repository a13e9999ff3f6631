//! KRaft: the metadata quorum (KIP-595), one file per role.
//!
//! [`Raft`] is one node of it, voter or observer, and no process of its own: controllers and
//! brokers embed it, route its inputs to it and drain its [`RaftEvent`]s after every step.
//!
//! Two rules run through all of it. What others may count on is durable first: the epoch and the
//! vote before an answer or a request in that epoch leaves, a batch before a voter's fetch offset
//! passes it or its leader sends or counts it. And a voter is a node on a particular disk: with
//! another directory id it is an observer, whoever it was before (KIP-853).

mod candidate;
mod election;
mod fetch;
mod follower;
mod leader;
mod log;
mod prospective;
mod recover;
mod resigned;
mod role;
mod route;
mod snapshot;
#[cfg(test)]
mod tests;
mod vote;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::channel::{Backoff, Channels};
use crate::config::ServerConfig;
use crate::defect::{Defect, Defects};
use crate::event::RaftRole;
use crate::ids::{ConnId, CorrelationId, LogId, LogPoint, NodeId, Offset, QuorumEpoch};
use crate::machine::{Effect, Effects, Survived};
use crate::message::Response;
use crate::message::raft::ReplicaKey;
use crate::raft::election::Ballot;
use crate::raft::fetch::Parked;
use crate::raft::follower::Fetcher;
pub use crate::raft::log::Entry;
use crate::raft::log::QuorumLog;
use crate::raft::role::Role;
pub use crate::raft::snapshot::snapshot_point;
use crate::raft::snapshot::{Saving, Snapshot};
use crate::rng::Rng;
use crate::time::{Instant, Now, Timers};

/// The space of raft's own connections, in controllers and brokers alike.
const SPACE: u8 = 1;

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

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Vote { epoch: QuorumEpoch, pre_vote: bool },
    Begin { epoch: QuorumEpoch },
    End { epoch: QuorumEpoch },
    Fetch { number: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Election,
    Fetch,
    CheckQuorum,
}

/// One node of the metadata quorum.
#[derive(Clone, Debug)]
pub struct Raft {
    server: Arc<ServerConfig>,
    key: ReplicaKey,
    /// This node's place among the voters; none for an observer.
    me: Option<usize>,
    rng: Rng,
    log: QuorumLog,
    snapshot: Option<Snapshot>,
    saving_snapshot: Option<Saving>,
    /// The end of the newest snapshot, while the log still reaches below it.
    trim_to: Option<LogPoint>,
    ballot: Ballot,
    role: Role,
    /// The leader of the current epoch.
    known_leader: Option<NodeId>,
    /// To the voters, by their place in the configuration.
    channels: Channels<usize, Sent>,
    timers: Timers<Timer>,
    /// When something could be sent that cannot be now.
    retry: Option<Instant>,
    fetcher: Fetcher,
    high_watermark: Offset,
    /// Everything below was told to the state machine.
    applied: Offset,
    /// Bytes that the state machine was told since it last gave a snapshot or got one.
    unsaved: u64,
    parked: Vec<Parked>,
    /// Answers to votes that wait until the vote is durable.
    held: Vec<(ConnId, CorrelationId, Arc<Response>)>,
    events: VecDeque<RaftEvent>,
}

impl Raft {
    /// Starts or restarts a node over whatever survived. `key` is the node on its directory; it
    /// votes if that key is one of `server.voters`. The log keeps its `log` id over restarts. If a
    /// voter's disk is damaged, the process is halted: it must not guess what it promised.
    #[must_use]
    pub fn start(
        server: &Arc<ServerConfig>,
        key: ReplicaKey,
        rng: Rng,
        now: Now,
        survived: &Survived,
        log: LogId,
        out: &mut Effects,
    ) -> Self {
        assert!(!server.voters.is_empty(), "a cluster has controllers");
        let quorum = &server.quorum;
        let mut raft = Raft {
            server: Arc::clone(server),
            key,
            me: None,
            rng,
            log: QuorumLog::new(log, LogPoint::default()),
            snapshot: None,
            saving_snapshot: None,
            trim_to: None,
            ballot: Ballot::default(),
            role: Role::Unattached,
            known_leader: None,
            channels: Channels::new(SPACE, backoff(quorum.retry_backoff)),
            timers: Timers::default(),
            retry: None,
            fetcher: Fetcher::default(),
            high_watermark: Offset::ZERO,
            applied: Offset::ZERO,
            unsaved: 0,
            parked: Vec::new(),
            held: Vec::new(),
            events: VecDeque::new(),
        };
        raft.me = raft.voter_at(key);
        match raft.recover(survived, log, out) {
            Ok(()) => {
                raft.first_role(now, out);
                raft.pump(now, out);
            }
            Err(recover::Damaged) => out.push(Effect::Halt),
        }
        raft
    }

    /// The next thing to tell the state machine. Drain after every call that takes `out`.
    pub fn next_event(&mut self) -> Option<RaftEvent> {
        self.events.pop_front()
    }

    #[must_use]
    pub fn role(&self) -> RaftRole {
        self.role.kind()
    }

    /// The leader of the current epoch, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.known_leader
    }

    #[must_use]
    pub fn epoch(&self) -> QuorumEpoch {
        self.ballot.current().epoch
    }

    /// What this node knows to be committed: all records below.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Where the log in memory starts: at the end of a snapshot, or at zero.
    #[must_use]
    pub fn start_offset(&self) -> Offset {
        self.log.start().offset
    }

    /// The epoch of the last record, and the end of the log.
    #[must_use]
    pub fn last(&self) -> LogPoint {
        self.log.last()
    }

    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.log.end()
    }

    /// Everything below survives a power loss. Of an observer nobody needs to know.
    #[must_use]
    pub fn flushed_end(&self) -> Offset {
        self.log.flushed_end()
    }

    /// The epoch and vote that survive a power loss.
    #[must_use]
    pub fn durable_vote(&self) -> (QuorumEpoch, Option<ReplicaKey>) {
        let saved = self.ballot.saved();
        (saved.epoch, saved.voted)
    }

    /// The end of the newest snapshot.
    #[must_use]
    pub fn snapshot_point(&self) -> Option<LogPoint> {
        self.snapshot.as_ref().map(|snapshot| snapshot.point)
    }

    /// The batches in memory from the one that holds `from` on, for checkers.
    pub fn entries(&self, from: Offset) -> impl Iterator<Item = &Entry> {
        self.log.entries(from)
    }

    /// Whether this node votes.
    #[must_use]
    pub fn is_voter(&self) -> bool {
        self.me.is_some()
    }

    #[must_use]
    pub fn key(&self) -> ReplicaKey {
        self.key
    }

    /// The id of the metadata log.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log.id()
    }

    fn defects(&self) -> Defects {
        self.server.defects
    }

    fn backoff(&self) -> Backoff {
        backoff(self.server.quorum.retry_backoff)
    }

    /// Whether two keys name the same voter.
    fn same_replica(&self, a: ReplicaKey, b: ReplicaKey) -> bool {
        // KIP-853: a node on a new disk has forgotten its votes and its log.
        if self.defects().has(Defect::KraftAmnesiacVoter) {
            return a.node == b.node;
        }
        a == b
    }

    /// The place of a replica among the voters; none for an observer.
    fn voter_at(&self, key: ReplicaKey) -> Option<usize> {
        self.server.voters.iter().position(|voter| self.same_replica(voter.key, key))
    }

    /// The error for a request of an epoch that is over.
    fn stale_epoch(&self, epoch: QuorumEpoch) -> crate::error::ErrorCode {
        if epoch < self.epoch() {
            crate::error::ErrorCode::FencedLeaderEpoch
        } else {
            crate::error::ErrorCode::None
        }
    }

    /// Makes the log durable, where that matters.
    fn make_durable(&mut self, out: &mut Effects) {
        if self.me.is_some() {
            self.log.flush(out);
        } else {
            self.log.skip_flush();
        }
    }

    /// Tells the state machine what is committed and not told yet.
    fn deliver(&mut self) {
        let upto = self.high_watermark;
        for entry in self.log.entries(self.applied) {
            if entry.last >= upto {
                break;
            }
            self.applied = entry.last.next();
            self.unsaved += u64::try_from(entry.batch.len()).expect("a length fits u64");
            if !entry.control {
                self.events.push_back(RaftEvent::Committed {
                    base: entry.base,
                    last: entry.last,
                    epoch: QuorumEpoch(entry.epoch.0),
                    batch: entry.batch.clone(),
                });
            }
        }
        self.announce();
    }

    /// Whether the next fetch has to wait until a snapshot is written: one from the leader, or an
    /// own one before another comes from the leader.
    fn waits_for_snapshot(&self) -> bool {
        let saving = self.saving_snapshot.as_ref();
        saving.is_some_and(|saving| saving.loaded() || self.downloads())
    }

    /// Internal invariants; called by the simulator after every step.
    pub fn check(&self) {
        self.log.check();
        self.ballot.check();
        let (start, end) = (self.log.start().offset, self.log.end());
        assert!(start <= self.high_watermark, "only what is committed is in a snapshot");
        assert!(self.high_watermark <= end, "what is committed and not here is not known");
        assert!(self.applied <= self.high_watermark, "only what is committed is applied");
        let leads = matches!(self.role, Role::Leader(_));
        assert!(leads || self.parked.is_empty(), "only a leader keeps fetches waiting");
        assert!(!leads || self.known_leader == Some(self.key.node), "a leader knows itself");
        assert!(self.me.is_some() || matches!(self.role, Role::Unattached | Role::Follower(_)));
    }
}

/// From the retry backoff up to a second.
fn backoff(base: crate::time::Duration) -> Backoff {
    Backoff { base, max: base.max(crate::time::Duration::from_secs(1)) }
}
