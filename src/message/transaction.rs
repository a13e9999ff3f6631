//! Transactions: AddPartitionsToTxn (24), AddOffsetsToTxn (25), EndTxn (26), WriteTxnMarkers (27),
//! and what an admin asks: DescribeProducers (61), DescribeTransactions (65), ListTransactions
//! (66). InitProducerId is in [`super::produce`], TxnOffsetCommit in [`super::commit`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::event::TransactionState;
use crate::ids::{Offset, ProducerEpoch, ProducerId, TopicName, TopicRef};
use crate::time::{Duration, Timestamp};

/// The transaction protocol that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionVersion {
    /// The producer enrols partitions and groups itself; one epoch for many transactions.
    /// KAFKA-17754 is part of it.
    V1,
    /// KIP-890 part 2: brokers enrol partitions and groups, each transaction ends with a new epoch.
    #[default]
    V2,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddPartitionsToTxnRequest {
    pub transactions: Vec<AddedTransaction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddedTransaction {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// From a broker (KIP-890 part 1): asks whether they are in the transaction, adds nothing.
    pub verify_only: bool,
    /// From a client itself, which has no business with internal topics.
    pub by_client: bool,
    pub partitions: Vec<(TopicName, i32)>,
}

/// A partition, and what became of it.
pub type PartitionOutcome = (TopicName, i32, ErrorCode);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddPartitionsToTxnResponse {
    /// Of the whole request; that of a partition counts otherwise.
    pub error: ErrorCode,
    /// Transactional id with the partitions of the request and what became of each.
    pub transactions: Vec<(Arc<str>, Vec<PartitionOutcome>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddOffsetsToTxnRequest {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub group: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddOffsetsToTxnResponse {
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndTxnRequest {
    pub transactional_id: Arc<str>,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub commit: bool,
    pub version: TransactionVersion,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndTxnResponse {
    pub error: ErrorCode,
    /// With [`TransactionVersion::V2`] and no error: what the next transaction goes by.
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WriteTxnMarkersRequest {
    pub markers: Vec<TxnMarker>,
}

/// The end of one producer's transaction in some partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnMarker {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub commit: bool,
    /// The leader epoch of the coordinator's own partition.
    pub coordinator_epoch: i32,
    pub partitions: Vec<(TopicRef, i32)>,
    /// KIP-1228: how strictly a partition compares producer epochs.
    pub version: TransactionVersion,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WriteTxnMarkersResponse {
    /// In the order of the request.
    pub markers: Vec<WrittenMarker>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WrittenMarker {
    pub producer_id: ProducerId,
    pub partitions: Vec<(TopicRef, i32, ErrorCode)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeProducersRequest {
    pub partitions: Vec<(TopicName, i32)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeProducersResponse {
    pub partitions: Vec<(TopicName, i32, ErrorCode, Vec<ActiveProducer>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActiveProducer {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// -1 if it wrote none.
    pub last_sequence: i32,
    pub last_timestamp: Timestamp,
    /// -1 before the first marker.
    pub coordinator_epoch: i32,
    /// [`Offset::NONE`] if no transaction is open.
    pub transaction_start: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeTransactionsRequest {
    pub transactional_ids: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeTransactionsResponse {
    pub transactions: Vec<DescribedTransaction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribedTransaction {
    pub transactional_id: Arc<str>,
    pub error: ErrorCode,
    /// Kafka's name: `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`,
    /// `CompleteAbort`, `Dead`, `PrepareEpochFence`.
    pub state: Arc<str>,
    pub timeout: Duration,
    /// When the last one began; [`Timestamp::NONE`] if there was none since the session did.
    pub start: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub partitions: Vec<(TopicName, i32)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListTransactionsRequest {
    /// Kafka's names; empty for all.
    pub states: Vec<Arc<str>>,
    /// Empty for all.
    pub producer_ids: Vec<ProducerId>,
    /// Only those that began longer ago, whether they are over or not; and those that never began.
    pub longer_than: Option<Duration>,
}

impl ListTransactionsRequest {
    /// Filters that no transaction can ever pass.
    #[must_use]
    pub fn unknown_states(&self) -> Vec<Arc<str>> {
        let known = |name: &str| TransactionState::ALL.iter().any(|state| state.name() == name);
        self.states.iter().filter(|name| !known(name)).cloned().collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListTransactionsResponse {
    pub error: ErrorCode,
    /// States of the request that are none.
    pub unknown_states: Vec<Arc<str>>,
    /// Transactional id, producer id, state.
    pub transactions: Vec<(Arc<str>, ProducerId, Arc<str>)>,
}
