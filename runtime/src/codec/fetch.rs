//! Fetch (1), versions 4 to 16: from 13 on topics go by id. Sessions (KIP-227) are declined.

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{LeaderEpoch, NodeId, Offset, ProducerId};
use seedlog::message::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchedPartition, Isolation,
};
use seedlog::message::{Records, Request, Response};

use super::produce::joined;
use super::{by_topic, in_order, millis_in, millis_out, topic_in, topic_out};

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub fn isolation_in(level: i8) -> Isolation {
    if level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
}

pub fn isolation_out(isolation: Isolation) -> i8 {
    match isolation {
        Isolation::ReadUncommitted => 0,
        Isolation::ReadCommitted => 1,
    }
}

pub fn request_in(request: wire::FetchRequest, version: i16) -> Request {
    let mut partitions = Vec::new();
    for topic in request.topics {
        let name = topic_in(&topic.topic, topic.topic_id, version >= 13);
        for partition in topic.partitions {
            partitions.push(FetchPartition {
                topic: name.clone(),
                partition: partition.partition,
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                fetch_offset: Offset(partition.fetch_offset),
                last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
                log_start_offset: Offset(partition.log_start_offset),
                max_bytes: unsigned(partition.partition_max_bytes),
            });
        }
    }
    Request::Fetch(FetchRequest {
        replica: None,
        max_wait: millis_in(request.max_wait_ms),
        min_bytes: unsigned(request.min_bytes),
        max_bytes: unsigned(request.max_bytes),
        isolation: isolation_in(request.isolation_level),
        partitions,
    })
}

pub fn response_out(response: &FetchResponse, version: i16) -> wire::FetchResponse {
    let topics = by_topic(&response.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let (name, id) = topic_out(topic);
        wire::fetch_response::FetchableTopicResponse::default()
            .with_topic(name)
            .with_topic_id(id)
            .with_partitions(partitions.into_iter().map(|p| partition_out(p, version)).collect())
    });
    wire::FetchResponse::default()
        .with_error_code(response.error.code())
        .with_responses(topics.collect())
}

fn partition_out(
    partition: &FetchedPartition,
    version: i16,
) -> wire::fetch_response::PartitionData {
    let aborted = partition.aborted.iter().map(|aborted| {
        wire::fetch_response::AbortedTransaction::default()
            .with_producer_id(aborted.producer_id.0.into())
            .with_first_offset(aborted.first_offset.0)
    });
    let mut out = wire::fetch_response::PartitionData::default()
        .with_partition_index(partition.partition)
        .with_error_code(partition.error.code())
        .with_high_watermark(partition.high_watermark.0)
        .with_last_stable_offset(partition.last_stable_offset.0)
        .with_log_start_offset(partition.log_start_offset.0)
        .with_aborted_transactions(Some(aborted.collect()))
        .with_preferred_read_replica((-1).into())
        .with_records(Some(joined(partition.records.chunks())));
    if let Some((node, epoch)) = partition.current_leader.filter(|_| version >= 12) {
        out.current_leader.leader_id = node.0.into();
        out.current_leader.leader_epoch = epoch.0;
    }
    out
}

pub fn request_out(request: &FetchRequest) -> wire::FetchRequest {
    let topics = by_topic(&request.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let (name, id) = topic_out(topic);
        let partitions = partitions.into_iter().map(|partition| {
            wire::fetch_request::FetchPartition::default()
                .with_partition(partition.partition)
                .with_current_leader_epoch(partition.current_leader_epoch.0)
                .with_fetch_offset(partition.fetch_offset.0)
                .with_last_fetched_epoch(partition.last_fetched_epoch.0)
                .with_log_start_offset(partition.log_start_offset.0)
                .with_partition_max_bytes(signed(partition.max_bytes))
        });
        wire::fetch_request::FetchTopic::default()
            .with_topic(name)
            .with_topic_id(id)
            .with_partitions(partitions.collect())
    });
    wire::FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(millis_out(request.max_wait))
        .with_min_bytes(signed(request.min_bytes))
        .with_max_bytes(signed(request.max_bytes))
        .with_isolation_level(isolation_out(request.isolation))
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

pub fn response_in(
    response: wire::FetchResponse,
    request: &FetchRequest,
    version: i16,
) -> Response {
    let mut answers = Vec::new();
    for topic in response.responses {
        let name = topic_in(&topic.topic, topic.topic_id, version >= 13);
        for partition in topic.partitions {
            let leader = &partition.current_leader;
            let aborted = partition.aborted_transactions.iter().flatten();
            answers.push(FetchedPartition {
                topic: name.clone(),
                partition: partition.partition_index,
                error: ErrorCode::from_code(partition.error_code),
                high_watermark: Offset(partition.high_watermark),
                last_stable_offset: Offset(partition.last_stable_offset),
                log_start_offset: Offset(partition.log_start_offset),
                diverging: None,
                current_leader: (leader.leader_id.0 >= 0)
                    .then(|| (NodeId(leader.leader_id.0), LeaderEpoch(leader.leader_epoch))),
                aborted: aborted
                    .map(|aborted| AbortedTransaction {
                        producer_id: ProducerId(aborted.producer_id.0),
                        first_offset: Offset(aborted.first_offset),
                    })
                    .collect(),
                records: Records::Inline(partition.records.into_iter().collect()),
            });
        }
    }
    let asked = request.partitions.iter().map(|asked| (asked.topic.clone(), asked.partition));
    let of = |answer: &FetchedPartition| (answer.topic.clone(), answer.partition);
    let partitions = in_order(asked, &answers, of);
    let error = ErrorCode::from_code(response.error_code);
    Response::Fetch(FetchResponse { error, partitions })
}
