//! What checkers may observe beside the effects themselves. A note never changes what a machine
//! does.
//!
//! Appends, truncations and messages need no note: the driver sees them as effects.

use alloc::sync::Arc;

use crate::ids::{
    BrokerEpoch, LeaderEpoch, LogPoint, NodeId, Offset, PartitionEpoch, PartitionId, QuorumEpoch,
};

/// An observation. Kept small: it shares a cache line with the other effects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// This broker starts to lead a partition; `start` is its leader-epoch start offset (LESO).
    LeaderStarted { partition: PartitionId, leader_epoch: LeaderEpoch, start: Offset },
    /// This broker starts to follow, in a new leader epoch.
    FollowerStarted { partition: PartitionId, leader_epoch: LeaderEpoch, leader: NodeId },
    /// This broker no longer hosts the partition, or it has no leader.
    ReplicaStopped { partition: PartitionId },
    /// A replica's high watermark moved.
    HighWatermark {
        partition: PartitionId,
        leader_epoch: LeaderEpoch,
        offset: Offset,
        /// Whether this replica leads.
        leads: bool,
    },
    /// The leader's view of the ISR changed; see [`IsrView`].
    Isr { partition: PartitionId, view: Arc<IsrView> },
    /// A broker learned its epoch from the controller.
    Registered { epoch: BrokerEpoch },
    /// A broker was fenced or unfenced, by its own image.
    Fenced { fenced: bool },
    /// A broker has applied the metadata log up to and including `offset`.
    MetadataApplied { offset: Offset, state: u64 },
    /// Raft: this node's durable epoch and vote, once durable.
    Voted { epoch: QuorumEpoch, for_node: NodeId },
    /// Raft: a role began.
    RoleChanged { epoch: QuorumEpoch, role: RaftRole, leader: NodeId },
    /// Raft: the high watermark that this node knows.
    QuorumHighWatermark { epoch: QuorumEpoch, offset: Offset, leads: bool },
    /// Raft: a snapshot was taken or loaded; the log starts at its end.
    Snapshot { point: LogPoint, loaded: bool },
    /// A controller has applied committed records up to and including `offset`; `state` is a hash
    /// of its image.
    StateApplied { offset: Offset, state: u64 },
    /// The controller answers a request that rests on the records below `offset`; those below
    /// `committed` are committed.
    ControllerReplied { offset: Offset, committed: Offset },
    /// A rare branch was reached: proves that runs get there.
    Sometimes(&'static str),
}

/// A leader's ISR: what the controller has confirmed, and with pending changes the largest it may
/// be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IsrView {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub committed: Arc<[NodeId]>,
    pub maximal: Arc<[NodeId]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RaftRole {
    Resigned,
    Unattached,
    Prospective,
    Candidate,
    Leader,
    Follower,
}
