//! ListOffsets (2), DeleteRecords (21) and OffsetForLeaderEpoch (23).

use kafka_protocol::messages as wire;
use seedlog::message::offsets::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeletedRecords, EpochEnd,
    EpochPartition, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::convert::{fields, topics};
use super::shape::{I8, I32, I64, Shape, TEXT, list, since};

pub const LIST_OFFSETS: Shape =
    &[I32, since(2, I8), list(&[TEXT, list(&[I32, since(4, I32), I64])])];
fields!(ListOffsetsRequest = wire::ListOffsetsRequest {
    isolation = isolation_level [2], partitions = topics,
} wire |_version| { replica_id: (-1).into() });
topics!(ListOffsetsPartition = wire::list_offsets_request::ListOffsetsTopic { name, partitions }
/ wire::list_offsets_request::ListOffsetsPartition {
    partition = partition_index, current_leader_epoch = current_leader_epoch [4], spec = timestamp,
});
fields!(ListOffsetsResponse = wire::ListOffsetsResponse { partitions = topics });
topics!(ListedOffset = wire::list_offsets_response::ListOffsetsTopicResponse { name, partitions }
/ wire::list_offsets_response::ListOffsetsPartitionResponse {
    partition = partition_index, error = error_code, timestamp = timestamp, offset = offset,
    leader_epoch = leader_epoch [4],
});

pub const DELETE_RECORDS: Shape = &[list(&[TEXT, list(&[I32, I64])]), I32];
fields!(DeleteRecordsRequest = wire::DeleteRecordsRequest {
    partitions = topics, timeout = timeout_ms,
});
topics!(DeleteRecordsPartition =
wire::delete_records_request::DeleteRecordsTopic { name, partitions }
/ wire::delete_records_request::DeleteRecordsPartition {
    partition = partition_index, before = offset,
});
fields!(DeleteRecordsResponse = wire::DeleteRecordsResponse { partitions = topics });
topics!(DeletedRecords =
wire::delete_records_response::DeleteRecordsTopicResult { name, partitions }
/ wire::delete_records_response::DeleteRecordsPartitionResult {
    partition = partition_index, low_watermark = low_watermark, error = error_code,
});

pub const OFFSET_FOR_LEADER_EPOCH: Shape = &[since(3, I32), list(&[TEXT, list(&[I32, I32, I32])])];
fields!(OffsetForLeaderEpochRequest = wire::OffsetForLeaderEpochRequest {
    replica = replica_id [3], partitions = topics,
});
topics!(EpochPartition =
wire::offset_for_leader_epoch_request::OffsetForLeaderTopic { topic, partitions }
/ wire::offset_for_leader_epoch_request::OffsetForLeaderPartition {
    partition = partition, current_leader_epoch = current_leader_epoch,
    leader_epoch = leader_epoch,
});
fields!(OffsetForLeaderEpochResponse =
    wire::OffsetForLeaderEpochResponse { partitions = topics });
topics!(EpochEnd =
wire::offset_for_leader_epoch_response::OffsetForLeaderTopicResult { topic, partitions }
/ wire::offset_for_leader_epoch_response::EpochEndOffset {
    partition = partition, error = error_code, leader_epoch = leader_epoch,
    end_offset = end_offset,
});
