//! What checkers may observe beside the effects themselves. A note never changes what a machine
//! does.
//!
//! Appends, truncations and messages need no note: the driver sees them as effects.

use alloc::sync::Arc;

use crate::ids::{
    BrokerEpoch, LeaderEpoch, LogPoint, NodeId, Offset, PartitionEpoch, PartitionId, ProducerEpoch,
    ProducerId, QuorumEpoch, TopicName,
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
    /// Transaction coordinator: a transition of one transactional id.
    Transaction(Arc<TransactionNote>),
    /// Group coordinator: what a group has become.
    Group(Arc<GroupNote>),
    /// Group coordinator: an offset was committed.
    OffsetCommitted(Arc<OffsetNote>),
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

/// The states of a transaction (KIP-98, KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    Dead,
    /// In memory only: a new producer is about to abort what its predecessor left open.
    PrepareEpochFence,
}

/// One transition, noted twice: when its record is appended to the coordinator's log, and when that
/// is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransactionNote {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub from: TransactionState,
    pub to: TransactionState,
    /// The partition of `__transaction_state`, and where the record is.
    pub shard: i32,
    pub offset: Offset,
    /// The leader epoch in which the coordinator serves.
    pub coordinator_epoch: LeaderEpoch,
    pub committed: bool,
    /// Who is in the transaction.
    pub partitions: Arc<[(TopicName, i32)]>,
}

/// A group as the coordinator's committed log has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupNote {
    pub group: Arc<str>,
    /// The generation of a classic group, the group epoch of a KIP-848 one.
    pub generation: i32,
    pub shard: i32,
    pub coordinator_epoch: LeaderEpoch,
    pub members: Arc<[GroupMemberNote]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupMemberNote {
    pub member: Arc<str>,
    /// The generation, or the member epoch.
    pub epoch: i32,
    pub assigned: Arc<[(TopicName, i32)]>,
    /// What it was told to give up and may still hold.
    pub revoking: Arc<[(TopicName, i32)]>,
}

/// A committed offset, noted when its record (or its transaction's marker) is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetNote {
    pub group: Arc<str>,
    pub topic: TopicName,
    pub partition: i32,
    /// [`Offset::NONE`]: removed.
    pub offset: Offset,
    pub member: Arc<str>,
    pub generation: i32,
    /// The transaction that it was part of.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
    pub shard: i32,
    /// Where in the coordinator's log.
    pub at: Offset,
}
