//! Produce (0) and InitProducerId (22).

use kafka_protocol::messages as wire;
use seedlog::message::produce::{
    InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest,
    ProduceResponse, ProducedPartition,
};
use seedlog::message::transaction::TransactionVersion;

use super::convert::{fields, topics};
use super::shape::{BYTES, I16, I32, I64, Shape, TEXT, UUID, list, since, until};

pub const PRODUCE: Shape =
    &[TEXT, I16, I32, list(&[until(12, TEXT), since(13, UUID), list(&[I32, BYTES])])];
fields!(ProduceRequest = wire::ProduceRequest {
    transactional_id = transactional_id, acks = acks, timeout = timeout_ms, partitions = topic_data,
} core |version| {
    // KIP-890: these clients leave it to the broker to enrol partitions.
    version: if version >= 12 { TransactionVersion::V2 } else { TransactionVersion::V1 },
});
topics!(ProducePartition =
    wire::produce_request::TopicProduceData { name, partition_data, topic_id }
    / wire::produce_request::PartitionProduceData { partition = index, records = records });
fields!(ProduceResponse = wire::ProduceResponse { partitions = responses });
topics!(ProducedPartition =
wire::produce_response::TopicProduceResponse { name, partition_responses, topic_id }
/ wire::produce_response::PartitionProduceResponse {
    partition = index, error = error_code, base_offset = base_offset,
    log_append_time = log_append_time_ms, log_start_offset = log_start_offset,
    current_leader = current_leader [10],
});

pub const INIT_PRODUCER_ID: Shape = &[TEXT, I32, since(3, I64), since(3, I16)];
fields!(InitProducerIdRequest = wire::InitProducerIdRequest {
    transactional_id = transactional_id, transaction_timeout = transaction_timeout_ms,
    producer_id = producer_id [3], producer_epoch = producer_epoch [3],
});
fields!(InitProducerIdResponse = wire::InitProducerIdResponse {
    error = error_code, producer_id = producer_id, producer_epoch = producer_epoch,
} then |out, version| { super::convert::fence(&mut out.error_code, version >= 4) });
