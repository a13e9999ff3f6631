//! ListOffsets (2), versions 1 to 7, and OffsetForLeaderEpoch (23), versions 2 to 4.

use kafka_protocol::messages as wire;
use seedlog::ids::{LeaderEpoch, NodeId};
use seedlog::message::offsets::{
    EpochEnd, EpochPartition, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse,
    ListedOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::convert::{Wire, in_order, topics};

topics!(listed_ask, list_asked: ListOffsetsPartition =
wire::list_offsets_request::ListOffsetsTopic { name, partitions }
/ wire::list_offsets_request::ListOffsetsPartition {
    partition = partition_index, current_leader_epoch = current_leader_epoch, spec = timestamp,
});

topics!(listed_out, listed_in: ListedOffset =
wire::list_offsets_response::ListOffsetsTopicResponse { name, partitions }
/ wire::list_offsets_response::ListOffsetsPartitionResponse {
    partition = partition_index, error = error_code, timestamp = timestamp, offset = offset,
    leader_epoch = leader_epoch,
});

topics!(epoch_ask, epoch_asked: EpochPartition =
wire::offset_for_leader_epoch_request::OffsetForLeaderTopic { topic, partitions }
/ wire::offset_for_leader_epoch_request::OffsetForLeaderPartition {
    partition = partition, current_leader_epoch = current_leader_epoch,
    leader_epoch = leader_epoch,
});

topics!(epoch_out, epoch_in: EpochEnd =
wire::offset_for_leader_epoch_response::OffsetForLeaderTopicResult { topic, partitions }
/ wire::offset_for_leader_epoch_response::EpochEndOffset {
    partition = partition, error = error_code, leader_epoch = leader_epoch,
    end_offset = end_offset,
});

pub fn list_in(request: wire::ListOffsetsRequest) -> ListOffsetsRequest {
    let isolation = Wire::back(request.isolation_level);
    ListOffsetsRequest { isolation, partitions: list_asked(request.topics, false) }
}

pub fn list_out(mut response: ListOffsetsResponse, version: i16) -> wire::ListOffsetsResponse {
    if version < 4 {
        let all = response.partitions.iter_mut();
        all.for_each(|partition| partition.leader_epoch = LeaderEpoch::NONE);
    }
    wire::ListOffsetsResponse::default().with_topics(listed_out(&response.partitions))
}

pub fn list_ask(request: &ListOffsetsRequest) -> wire::ListOffsetsRequest {
    wire::ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(request.isolation.out())
        .with_topics(listed_ask(&request.partitions))
}

pub fn list_answer(
    response: wire::ListOffsetsResponse,
    request: &ListOffsetsRequest,
) -> ListOffsetsResponse {
    let answers = listed_in(response.topics, false);
    let partitions = in_order(&request.partitions, &answers, |asked, answer| {
        (&asked.topic, asked.partition) == (&answer.topic, answer.partition)
    });
    ListOffsetsResponse { partitions }
}

pub fn epochs_in(request: wire::OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochRequest {
    let replica = Some(NodeId(request.replica_id.0)).filter(|node| node.0 >= 0);
    OffsetForLeaderEpochRequest { replica, partitions: epoch_asked(request.topics, false) }
}

pub fn epochs_out(response: &OffsetForLeaderEpochResponse) -> wire::OffsetForLeaderEpochResponse {
    wire::OffsetForLeaderEpochResponse::default().with_topics(epoch_out(&response.partitions))
}

pub fn epochs_ask(request: &OffsetForLeaderEpochRequest) -> wire::OffsetForLeaderEpochRequest {
    wire::OffsetForLeaderEpochRequest::default()
        .with_replica_id((-1).into())
        .with_topics(epoch_ask(&request.partitions))
}

pub fn epochs_answer(
    response: wire::OffsetForLeaderEpochResponse,
    request: &OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let answers = epoch_in(response.topics, false);
    let partitions = in_order(&request.partitions, &answers, |asked, answer| {
        (&asked.topic, asked.partition) == (&answer.topic, answer.partition)
    });
    OffsetForLeaderEpochResponse { partitions }
}
