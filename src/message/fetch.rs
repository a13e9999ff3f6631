//! Fetch (1), for consumers and for followers.

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, LeaderEpoch, LogPoint, NodeId, Offset, ProducerId, TopicRef};
use crate::message::Records;
use crate::time::Duration;

/// Which records a reader wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    #[default]
    ReadUncommitted,
    ReadCommitted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchRequest {
    /// The fetching replica and its incarnation (KIP-903), or none for a consumer.
    pub replica: Option<(NodeId, BrokerEpoch)>,
    pub max_wait: Duration,
    pub min_bytes: u32,
    pub max_bytes: u32,
    pub isolation: Isolation,
    pub partitions: Vec<FetchPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchPartition {
    pub topic: TopicRef,
    pub partition: i32,
    /// The epoch in which the fetcher believes that the asked broker leads (KIP-320);
    /// [`LeaderEpoch::NONE`]: not checked.
    pub current_leader_epoch: LeaderEpoch,
    /// A follower's LEO, a consumer's position.
    pub fetch_offset: Offset,
    /// The epoch of the last batch before `fetch_offset` (KIP-595), [`LeaderEpoch::NONE`] if
    /// unknown.
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's own log start offset.
    pub log_start_offset: Offset,
    pub max_bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchResponse {
    pub error: ErrorCode,
    /// In the order of the request.
    pub partitions: Vec<FetchedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchedPartition {
    pub topic: TopicRef,
    pub partition: i32,
    pub error: ErrorCode,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// The fetcher's log parts from the leader's at this point: truncate (KIP-595). No records
    /// then.
    pub diverging: Option<LogPoint>,
    /// With NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH: who leads (KIP-951), if known.
    pub current_leader: Option<(NodeId, LeaderEpoch)>,
    /// Aborted transactions in the records, for read_committed.
    pub aborted: Vec<AbortedTransaction>,
    pub records: Records,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
}
