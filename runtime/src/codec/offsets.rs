//! ListOffsets (2), versions 1 to 7, and OffsetForLeaderEpoch (23), versions 2 to 4.

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{LeaderEpoch, NodeId, Offset};
use seedlog::message::offsets::{
    EpochEnd, EpochPartition, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse,
    ListedOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetSpec,
};
use seedlog::message::{Request, Response};
use seedlog::time::Timestamp;

use super::fetch::{isolation_in, isolation_out};
use super::{by_topic, in_order, topic_in, topic_out};

pub fn list_in(request: wire::ListOffsetsRequest) -> Request {
    let mut partitions = Vec::new();
    for topic in request.topics {
        let name = topic_in(&topic.name, uuid::Uuid::nil(), false);
        for partition in topic.partitions {
            let spec = match partition.timestamp {
                -1 => OffsetSpec::Latest,
                -2 => OffsetSpec::Earliest,
                -3 => OffsetSpec::MaxTimestamp,
                at => OffsetSpec::At(Timestamp(at)),
            };
            partitions.push(ListOffsetsPartition {
                topic: name.clone(),
                partition: partition.partition_index,
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                spec,
            });
        }
    }
    let isolation = isolation_in(request.isolation_level);
    Request::ListOffsets(ListOffsetsRequest { isolation, partitions })
}

pub fn list_out(response: &ListOffsetsResponse, version: i16) -> wire::ListOffsetsResponse {
    let topics = by_topic(&response.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|partition| {
            let out = wire::list_offsets_response::ListOffsetsPartitionResponse::default()
                .with_partition_index(partition.partition)
                .with_error_code(partition.error.code())
                .with_timestamp(partition.timestamp.0)
                .with_offset(partition.offset.0);
            if version < 4 { out } else { out.with_leader_epoch(partition.leader_epoch.0) }
        });
        wire::list_offsets_response::ListOffsetsTopicResponse::default()
            .with_name(topic_out(topic).0)
            .with_partitions(partitions.collect())
    });
    wire::ListOffsetsResponse::default().with_topics(topics.collect())
}

pub fn list_ask(request: &ListOffsetsRequest) -> wire::ListOffsetsRequest {
    let topics = by_topic(&request.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|partition| {
            let timestamp = match partition.spec {
                OffsetSpec::Latest => -1,
                OffsetSpec::Earliest => -2,
                OffsetSpec::MaxTimestamp => -3,
                OffsetSpec::At(time) => time.0,
            };
            wire::list_offsets_request::ListOffsetsPartition::default()
                .with_partition_index(partition.partition)
                .with_current_leader_epoch(partition.current_leader_epoch.0)
                .with_timestamp(timestamp)
        });
        wire::list_offsets_request::ListOffsetsTopic::default()
            .with_name(topic_out(topic).0)
            .with_partitions(partitions.collect())
    });
    wire::ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation_out(request.isolation))
        .with_topics(topics.collect())
}

pub fn list_answer(response: wire::ListOffsetsResponse, request: &ListOffsetsRequest) -> Response {
    let mut answers = Vec::new();
    for topic in response.topics {
        let name = topic_in(&topic.name, uuid::Uuid::nil(), false);
        answers.extend(topic.partitions.iter().map(|partition| ListedOffset {
            topic: name.clone(),
            partition: partition.partition_index,
            error: ErrorCode::from_code(partition.error_code),
            timestamp: Timestamp(partition.timestamp),
            offset: Offset(partition.offset),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
        }));
    }
    let asked = request.partitions.iter().map(|asked| (asked.topic.clone(), asked.partition));
    let of = |answer: &ListedOffset| (answer.topic.clone(), answer.partition);
    Response::ListOffsets(ListOffsetsResponse { partitions: in_order(asked, &answers, of) })
}

pub fn epochs_in(request: wire::OffsetForLeaderEpochRequest) -> Request {
    let mut partitions = Vec::new();
    for topic in request.topics {
        let name = topic_in(&topic.topic, uuid::Uuid::nil(), false);
        partitions.extend(topic.partitions.iter().map(|partition| EpochPartition {
            topic: name.clone(),
            partition: partition.partition,
            current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
        }));
    }
    let replica = (request.replica_id.0 >= 0).then_some(NodeId(request.replica_id.0));
    Request::OffsetForLeaderEpoch(OffsetForLeaderEpochRequest { replica, partitions })
}

pub fn epochs_out(response: &OffsetForLeaderEpochResponse) -> wire::OffsetForLeaderEpochResponse {
    let topics = by_topic(&response.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|partition| {
            wire::offset_for_leader_epoch_response::EpochEndOffset::default()
                .with_error_code(partition.error.code())
                .with_partition(partition.partition)
                .with_leader_epoch(partition.leader_epoch.0)
                .with_end_offset(partition.end_offset.0)
        });
        wire::offset_for_leader_epoch_response::OffsetForLeaderTopicResult::default()
            .with_topic(topic_out(topic).0)
            .with_partitions(partitions.collect())
    });
    wire::OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

pub fn epochs_ask(request: &OffsetForLeaderEpochRequest) -> wire::OffsetForLeaderEpochRequest {
    let topics = by_topic(&request.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let partitions = partitions.into_iter().map(|partition| {
            wire::offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
                .with_partition(partition.partition)
                .with_current_leader_epoch(partition.current_leader_epoch.0)
                .with_leader_epoch(partition.leader_epoch.0)
        });
        wire::offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(topic_out(topic).0)
            .with_partitions(partitions.collect())
    });
    wire::OffsetForLeaderEpochRequest::default()
        .with_replica_id((-1).into())
        .with_topics(topics.collect())
}

pub fn epochs_answer(
    response: wire::OffsetForLeaderEpochResponse,
    request: &OffsetForLeaderEpochRequest,
) -> Response {
    let mut answers = Vec::new();
    for topic in response.topics {
        let name = topic_in(&topic.topic, uuid::Uuid::nil(), false);
        answers.extend(topic.partitions.iter().map(|partition| EpochEnd {
            topic: name.clone(),
            partition: partition.partition,
            error: ErrorCode::from_code(partition.error_code),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            end_offset: Offset(partition.end_offset),
        }));
    }
    let asked = request.partitions.iter().map(|asked| (asked.topic.clone(), asked.partition));
    let of = |answer: &EpochEnd| (answer.topic.clone(), answer.partition);
    let partitions = in_order(asked, &answers, of);
    Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse { partitions })
}
