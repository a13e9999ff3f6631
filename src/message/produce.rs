//! Produce (0) and InitProducerId (22).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, TopicRef};
use crate::message::Records;
use crate::message::transaction::TransactionVersion;
use crate::time::{Duration, Timestamp};

/// How many replicas must hold a record before its producer hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acks {
    /// 0: no response at all.
    None,
    /// 1: the leader has appended.
    Leader,
    /// -1: the whole ISR holds it.
    All,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProduceRequest {
    /// Whose batches these are, if they are part of a transaction.
    pub transactional_id: Option<Arc<str>>,
    /// With [`TransactionVersion::V2`] the broker enrols the partitions in the transaction itself.
    pub version: TransactionVersion,
    pub acks: Acks,
    pub timeout: Duration,
    pub partitions: Vec<ProducePartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProducePartition {
    pub topic: TopicRef,
    pub partition: i32,
    /// Exactly one batch, or garbage.
    pub records: Records,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProduceResponse {
    /// In the order of the request.
    pub partitions: Vec<ProducedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProducedPartition {
    pub topic: TopicRef,
    pub partition: i32,
    pub error: ErrorCode,
    pub base_offset: Offset,
    /// [`Timestamp::NONE`] unless the topic stamps records itself (LogAppendTime).
    pub log_append_time: Timestamp,
    pub log_start_offset: Offset,
    /// With NOT_LEADER_OR_FOLLOWER: who leads instead (KIP-951), if the broker knows.
    pub current_leader: Option<(NodeId, LeaderEpoch)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InitProducerIdRequest {
    pub transactional_id: Option<Arc<str>>,
    pub transaction_timeout: Duration,
    /// KIP-360: the id and epoch to bump, or none.
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InitProducerIdResponse {
    pub error: ErrorCode,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
}
