//! A group's offsets: OffsetCommit (8), OffsetFetch (9), OffsetDelete (47) and TxnOffsetCommit
//! (28).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicName, TopicRef};
use crate::message::transaction::TransactionVersion;

/// Who commits. Outside of a group's membership: no member and generation -1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committer {
    pub group: Arc<str>,
    /// Empty for none.
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    /// The generation of a classic group, the member epoch of a KIP-848 one.
    pub generation: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetCommitRequest {
    pub committer: Committer,
    pub partitions: Vec<CommittedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommittedPartition {
    pub topic: TopicRef,
    pub partition: i32,
    /// The next record to read.
    pub offset: Offset,
    /// Of the last record read (KIP-320), [`LeaderEpoch::NONE`] if unknown.
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetCommitResponse {
    /// In the order of the request.
    pub partitions: Vec<(TopicRef, i32, ErrorCode)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetFetchRequest {
    pub groups: Vec<OffsetFetchGroup>,
    /// Whether offsets that an open transaction is about to commit are waited for (KIP-447).
    pub require_stable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetFetchGroup {
    pub group: Arc<str>,
    /// A KIP-848 member and its epoch; none: not checked.
    pub member: Option<(Arc<str>, i32)>,
    /// None: all partitions that have an offset.
    pub partitions: Option<Vec<(TopicRef, i32)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetFetchResponse {
    /// In the order of the request.
    pub groups: Vec<FetchedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchedGroup {
    pub group: Arc<str>,
    pub error: ErrorCode,
    pub partitions: Vec<FetchedOffset>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchedOffset {
    pub topic: TopicRef,
    pub partition: i32,
    /// UNSTABLE_OFFSET_COMMIT while a transaction's outcome is open.
    pub error: ErrorCode,
    /// [`Offset::NONE`] if none is committed.
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetDeleteRequest {
    pub group: Arc<str>,
    pub partitions: Vec<(TopicName, i32)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetDeleteResponse {
    pub error: ErrorCode,
    pub partitions: Vec<(TopicName, i32, ErrorCode)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnOffsetCommitRequest {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// With KIP-447 the consumer's member and generation, which fence a zombie.
    pub committer: Committer,
    pub partitions: Vec<CommittedPartition>,
    /// With [`TransactionVersion::V2`] the coordinator enrols the group in the transaction itself.
    pub version: TransactionVersion,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnOffsetCommitResponse {
    /// In the order of the request.
    pub partitions: Vec<(TopicRef, i32, ErrorCode)>,
}
