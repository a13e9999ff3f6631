//! Fetch (1).

use kafka_protocol::messages as wire;
use seedlog::message::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchedPartition,
};

use super::convert::{Wire, fields, topics};
use super::shape::{I8, I32, I32S, I64, Shape, TEXT, UUID, list, since, until};

const PARTITION: Shape = &[I32, since(9, I32), I64, since(12, I32), since(5, I64), I32];
pub const FETCH: Shape = &[
    until(14, I32),
    I32,
    I32,
    I32,
    I8,
    since(7, I32),
    since(7, I32),
    list(&[until(12, TEXT), since(13, UUID), list(PARTITION)]),
    since(7, list(&[until(12, TEXT), since(13, UUID), I32S])),
    since(11, TEXT),
];
// Sessions (KIP-227) are declined: session 0 is a default on the wire. Replicas fetch in memory.
fields!(FetchRequest = wire::FetchRequest {
    max_wait = max_wait_ms, min_bytes = min_bytes, max_bytes = max_bytes,
    isolation = isolation_level, partitions = topics,
} core |_version| { replica: None });
topics!(FetchPartition = wire::fetch_request::FetchTopic { topic, partitions, topic_id }
/ wire::fetch_request::FetchPartition {
    partition = partition, current_leader_epoch = current_leader_epoch [9],
    fetch_offset = fetch_offset, last_fetched_epoch = last_fetched_epoch [12],
    log_start_offset = log_start_offset [5], max_bytes = partition_max_bytes,
});
fields!(FetchResponse = wire::FetchResponse { error = error_code [7], partitions = responses });
topics!(FetchedPartition =
wire::fetch_response::FetchableTopicResponse { topic, partitions, topic_id }
/ wire::fetch_response::PartitionData {
    partition = partition_index, error = error_code, high_watermark = high_watermark,
    last_stable_offset = last_stable_offset, log_start_offset = log_start_offset,
    diverging = diverging_epoch, current_leader = current_leader [12],
    aborted = aborted_transactions, records = records,
});
fields!(AbortedTransaction = wire::fetch_response::AbortedTransaction {
    producer_id = producer_id, first_offset = first_offset,
});
// Null and none are the same to a client.
impl Wire<Option<Vec<wire::fetch_response::AbortedTransaction>>> for Vec<AbortedTransaction> {
    fn out(&self, version: i16) -> Option<Vec<wire::fetch_response::AbortedTransaction>> {
        Some(self.out(version))
    }
    fn back(wire: Option<Vec<wire::fetch_response::AbortedTransaction>>, version: i16) -> Self {
        Wire::back(wire.unwrap_or_default(), version)
    }
}
