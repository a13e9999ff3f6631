//! The metadata quorum's own RPCs (KIP-595, KIP-630, KIP-853, KIP-996).

use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::ids::{LogPoint, NodeId, Offset, QuorumEpoch, Uuid};

/// A voter is a node on a particular disk (KIP-853): a wiped one is somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaKey {
    pub node: NodeId,
    pub directory: Uuid,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VoteRequest {
    pub epoch: QuorumEpoch,
    pub candidate: ReplicaKey,
    /// The voter that is asked.
    pub voter: ReplicaKey,
    /// Epoch of the candidate's last record, and its end offset.
    pub last: LogPoint,
    /// KIP-996: only asks whether a vote would be given; changes nothing at the voter.
    pub pre_vote: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VoteResponse {
    pub error: ErrorCode,
    pub epoch: QuorumEpoch,
    pub leader: Option<NodeId>,
    pub granted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BeginQuorumEpochRequest {
    pub epoch: QuorumEpoch,
    pub leader: NodeId,
    pub voter: ReplicaKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BeginQuorumEpochResponse {
    pub error: ErrorCode,
    pub epoch: QuorumEpoch,
    pub leader: Option<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndQuorumEpochRequest {
    pub epoch: QuorumEpoch,
    pub leader: NodeId,
    /// Who should stand first, most caught up first.
    pub preferred: Vec<ReplicaKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndQuorumEpochResponse {
    pub error: ErrorCode,
    pub epoch: QuorumEpoch,
    pub leader: Option<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuorumFetchRequest {
    /// The fetcher: a voter, or an observer (a broker, a wiped controller).
    pub replica: ReplicaKey,
    pub epoch: QuorumEpoch,
    /// The fetcher's log end: everything below is durable there.
    pub fetch_offset: Offset,
    pub last_fetched_epoch: QuorumEpoch,
    /// The high watermark that the fetcher knows (KIP-1166): the leader answers at once when it can
    /// raise it.
    pub high_watermark: Offset,
    pub max_wait: crate::time::Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QuorumFetchResponse {
    pub error: ErrorCode,
    pub epoch: QuorumEpoch,
    pub leader: Option<NodeId>,
    pub high_watermark: Offset,
    /// Truncate: the largest epoch at or below the asked one, and its end.
    pub diverging: Option<LogPoint>,
    /// The asked records are gone: fetch this snapshot first.
    pub snapshot: Option<LogPoint>,
    /// Whole batches, in order.
    pub batches: Vec<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchSnapshotRequest {
    pub replica: ReplicaKey,
    pub epoch: QuorumEpoch,
    pub snapshot: LogPoint,
    pub position: u64,
    pub max_bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchSnapshotResponse {
    pub error: ErrorCode,
    pub epoch: QuorumEpoch,
    pub leader: Option<NodeId>,
    pub snapshot: LogPoint,
    pub size: u64,
    pub position: u64,
    pub bytes: Bytes,
}
