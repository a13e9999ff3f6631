//! AddPartitionsToTxn (24), AddOffsetsToTxn (25), EndTxn (26), WriteTxnMarkers (27); and
//! DescribeProducers (61), DescribeTransactions (65), ListTransactions (66).

use std::sync::Arc;

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{ProducerId, TopicName, TopicRef};
use seedlog::message::transaction::{
    ActiveProducer, AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddedTransaction, DescribeProducersRequest,
    DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    DescribedTransaction, EndTxnRequest, EndTxnResponse, ListTransactionsRequest,
    ListTransactionsResponse, TransactionVersion, TxnMarker, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse, WrittenMarker,
};
use seedlog::time::Duration;

use super::convert::{Wire, fence, fields, numbers, rows, tuple};
use super::shape::{I8, I16, I32, I32S, I64, I64S, Shape, TEXT, TEXTS, list, since};

/// Of clients: the batches of transactions since version 4 are among brokers, which talk in memory.
pub const ADD_PARTITIONS_TO_TXN: Shape = &[TEXT, I64, I16, list(&[TEXT, I32S])];
impl Wire<wire::AddPartitionsToTxnRequest> for AddPartitionsToTxnRequest {
    fn out(&self, version: i16) -> wire::AddPartitionsToTxnRequest {
        let out = wire::AddPartitionsToTxnRequest::default();
        let [alone] = &self.transactions[..] else { return out };
        out.with_v3_and_below_transactional_id(alone.transactional_id.out(version))
            .with_v3_and_below_producer_id(alone.producer_id.out(version))
            .with_v3_and_below_producer_epoch(alone.producer_epoch.out(version))
            .with_v3_and_below_topics(alone.partitions.out(version))
    }
    fn back(wire: wire::AddPartitionsToTxnRequest, version: i16) -> Self {
        let alone = AddedTransaction {
            transactional_id: Wire::back(wire.v3_and_below_transactional_id, version),
            producer_id: Wire::back(wire.v3_and_below_producer_id, version),
            producer_epoch: Wire::back(wire.v3_and_below_producer_epoch, version),
            verify_only: false,
            by_client: true,
            partitions: Wire::back(wire.v3_and_below_topics, version),
        };
        AddPartitionsToTxnRequest { transactions: vec![alone] }
    }
}
impl Wire<wire::AddPartitionsToTxnResponse> for AddPartitionsToTxnResponse {
    fn out(&self, version: i16) -> wire::AddPartitionsToTxnResponse {
        let out = wire::AddPartitionsToTxnResponse::default();
        let [(_, partitions)] = &self.transactions[..] else { return out };
        let mut out = out.with_results_by_topic_v3_and_below(partitions.out(version));
        let topics = out.results_by_topic_v3_and_below.iter_mut();
        for partition in topics.flat_map(|topic| &mut topic.results_by_partition) {
            fence(&mut partition.partition_error_code, version >= 2);
        }
        out
    }
    fn back(wire: wire::AddPartitionsToTxnResponse, version: i16) -> Self {
        // The transactional id is not told: it is the one that was asked with.
        let partitions = Wire::back(wire.results_by_topic_v3_and_below, version);
        let (error, transactions) = (ErrorCode::None, vec![("".into(), partitions)]);
        AddPartitionsToTxnResponse { error, transactions }
    }
}

pub const ADD_OFFSETS_TO_TXN: Shape = &[TEXT, I64, I16, TEXT];
fields!(AddOffsetsToTxnRequest = wire::AddOffsetsToTxnRequest {
    transactional_id = transactional_id, producer_id = producer_id,
    producer_epoch = producer_epoch, group = group_id,
});
fields!(AddOffsetsToTxnResponse = wire::AddOffsetsToTxnResponse {
    error = error_code,
} then |out, version| { fence(&mut out.error_code, version >= 2) });

pub const END_TXN: Shape = &[TEXT, I64, I16, I8];
fields!(EndTxnRequest = wire::EndTxnRequest {
    transactional_id = transactional_id, producer_id = producer_id,
    producer_epoch = producer_epoch, commit = committed,
} core |version| {
    // KIP-890
    version: if version >= 5 { TransactionVersion::V2 } else { TransactionVersion::V1 },
});
fields!(EndTxnResponse = wire::EndTxnResponse {
    error = error_code, producer_id = producer_id [5], producer_epoch = producer_epoch [5],
} then |out, version| { fence(&mut out.error_code, version >= 2) });

pub const WRITE_TXN_MARKERS: Shape = &[list(&[I64, I16, I8, list(&[TEXT, I32S]), I32])];
fields!(WriteTxnMarkersRequest = wire::WriteTxnMarkersRequest { markers = markers });
fields!(TxnMarker = wire::write_txn_markers_request::WritableTxnMarker {
    producer_id = producer_id, producer_epoch = producer_epoch, commit = transaction_result,
    partitions = topics, coordinator_epoch = coordinator_epoch,
} core |_version| { version: TransactionVersion::V1 });
fields!(WriteTxnMarkersResponse = wire::WriteTxnMarkersResponse { markers = markers });
fields!(WrittenMarker = wire::write_txn_markers_response::WritableTxnMarkerResult {
    producer_id = producer_id, partitions = topics,
});

pub const DESCRIBE_PRODUCERS: Shape = &[list(&[TEXT, I32S])];
fields!(DescribeProducersRequest = wire::DescribeProducersRequest { partitions = topics });
fields!(DescribeProducersResponse = wire::DescribeProducersResponse { partitions = topics });
impl Wire<wire::describe_producers_response::ProducerState> for ActiveProducer {
    fn out(&self, version: i16) -> wire::describe_producers_response::ProducerState {
        wire::describe_producers_response::ProducerState::default()
            .with_producer_id(self.producer_id.out(version))
            .with_producer_epoch(i32::from(self.producer_epoch.0))
            .with_last_sequence(self.last_sequence)
            .with_last_timestamp(self.last_timestamp.out(version))
            .with_coordinator_epoch(self.coordinator_epoch)
            .with_current_txn_start_offset(self.transaction_start.out(version))
    }
    fn back(wire: wire::describe_producers_response::ProducerState, version: i16) -> Self {
        let epoch = i16::try_from(wire.producer_epoch).unwrap_or(-1);
        ActiveProducer {
            producer_id: Wire::back(wire.producer_id, version),
            producer_epoch: Wire::back(epoch, version),
            last_sequence: wire.last_sequence,
            last_timestamp: Wire::back(wire.last_timestamp, version),
            coordinator_epoch: wire.coordinator_epoch,
            transaction_start: Wire::back(wire.current_txn_start_offset, version),
        }
    }
}

pub const DESCRIBE_TRANSACTIONS: Shape = &[TEXTS];
fields!(DescribeTransactionsRequest = wire::DescribeTransactionsRequest {
    transactional_ids = transactional_ids,
});
fields!(DescribeTransactionsResponse = wire::DescribeTransactionsResponse {
    transactions = transaction_states,
});
fields!(DescribedTransaction = wire::describe_transactions_response::TransactionState {
    transactional_id = transactional_id, error = error_code, state = transaction_state,
    timeout = transaction_timeout_ms, start = transaction_start_time_ms,
    producer_id = producer_id, producer_epoch = producer_epoch, partitions = topics,
});

pub const LIST_TRANSACTIONS: Shape = &[TEXTS, I64S, since(1, I64)];
fields!(ListTransactionsRequest = wire::ListTransactionsRequest {
    states = state_filters, producer_ids = producer_id_filters,
    longer_than = duration_filter [1],
});
impl Wire<i64> for Option<Duration> {
    fn out(&self, _version: i16) -> i64 {
        let millis = |time: &Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.as_ref().map_or(-1, millis)
    }
    fn back(wire: i64, _version: i16) -> Self {
        u64::try_from(wire).ok().map(Duration::from_millis)
    }
}
fields!(ListTransactionsResponse = wire::ListTransactionsResponse {
    error = error_code, unknown_states = unknown_state_filters, transactions = transaction_states,
});
tuple! {
    (Arc<str>, ProducerId, Arc<str>) = wire::list_transactions_response::TransactionState {
        0 = transactional_id, 1 = producer_id, 2 = transaction_state,
    };
}
numbers! {
    (TopicName, i32) =
        wire::add_partitions_to_txn_request::AddPartitionsToTxnTopic { name, partitions };
    (TopicRef, i32) =
        wire::write_txn_markers_request::WritableTxnMarkerTopic { name, partition_indexes };
    (TopicName, i32) = wire::describe_producers_request::TopicRequest { name, partition_indexes };
    (TopicName, i32) = wire::describe_transactions_response::TopicData { topic, partitions };
}
rows! {
    (TopicName, i32, ErrorCode) =
        wire::add_partitions_to_txn_response::AddPartitionsToTxnTopicResult {
            name, results_by_partition
        }
        / wire::add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult {
            1 = partition_index, 2 = partition_error_code,
        };
    (TopicRef, i32, ErrorCode) =
        wire::write_txn_markers_response::WritableTxnMarkerTopicResult { name, partitions }
        / wire::write_txn_markers_response::WritableTxnMarkerPartitionResult {
            1 = partition_index, 2 = error_code,
        };
    (TopicName, i32, ErrorCode, Vec<ActiveProducer>) =
        wire::describe_producers_response::TopicResponse { name, partitions }
        / wire::describe_producers_response::PartitionResponse {
            1 = partition_index, 2 = error_code, 3 = active_producers,
        };
}
