//! ListOffsets (2), DeleteRecords (21) and OffsetForLeaderEpoch (23).

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, NodeId, Offset, TopicRef};
use crate::message::fetch::Isolation;
use crate::time::{Duration, Timestamp};

/// Which offset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OffsetSpec {
    /// -1: the high watermark, or the LSO for read_committed.
    Latest,
    /// -2: the log start offset.
    Earliest,
    /// -3: the record with the greatest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record whose timestamp is at or above.
    At(Timestamp),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListOffsetsRequest {
    pub isolation: Isolation,
    pub partitions: Vec<ListOffsetsPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListOffsetsPartition {
    pub topic: TopicRef,
    pub partition: i32,
    pub current_leader_epoch: LeaderEpoch,
    pub spec: OffsetSpec,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListOffsetsResponse {
    pub partitions: Vec<ListedOffset>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListedOffset {
    pub topic: TopicRef,
    pub partition: i32,
    pub error: ErrorCode,
    /// [`Timestamp::NONE`] unless asked by time.
    pub timestamp: Timestamp,
    /// [`Offset::NONE`] if there is no such record.
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetForLeaderEpochRequest {
    /// The asking replica, or none for a consumer.
    pub replica: Option<NodeId>,
    pub partitions: Vec<EpochPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EpochPartition {
    pub topic: TopicRef,
    pub partition: i32,
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch whose end is asked for.
    pub leader_epoch: LeaderEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetForLeaderEpochResponse {
    pub partitions: Vec<EpochEnd>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EpochEnd {
    pub topic: TopicRef,
    pub partition: i32,
    pub error: ErrorCode,
    /// The largest epoch at or below the requested one (KIP-279), [`LeaderEpoch::NONE`] if none is
    /// known.
    pub leader_epoch: LeaderEpoch,
    /// Where that epoch ends, [`Offset::NONE`] if none is known.
    pub end_offset: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteRecordsRequest {
    pub timeout: Duration,
    pub partitions: Vec<DeleteRecordsPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteRecordsPartition {
    pub topic: TopicRef,
    pub partition: i32,
    /// The first offset to keep; [`Offset::NONE`] (-1): the high watermark.
    pub before: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteRecordsResponse {
    pub partitions: Vec<DeletedRecords>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeletedRecords {
    pub topic: TopicRef,
    pub partition: i32,
    pub error: ErrorCode,
    pub low_watermark: Offset,
}
