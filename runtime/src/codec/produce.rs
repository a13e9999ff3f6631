//! Produce (0), versions 3 to 13: from 13 on topics go by id.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{LeaderEpoch, NodeId, Offset};
use seedlog::message::produce::{
    Acks, ProducePartition, ProduceRequest, ProduceResponse, ProducedPartition,
};
use seedlog::message::{Records, Request, Response};
use seedlog::time::Timestamp;

use super::{
    Body, CodecError, Result, by_topic, in_order, millis_in, millis_out, string, topic_in,
    topic_out,
};

pub fn request_in(request: wire::ProduceRequest, version: i16) -> Result<Body> {
    let acks = match request.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        -1 => Acks::All,
        other => return Err(CodecError::new(format!("acks={other}"))),
    };
    let mut partitions = Vec::new();
    for topic in request.topic_data {
        let name = topic_in(&topic.name, topic.topic_id, version >= 13);
        for partition in topic.partition_data {
            partitions.push(ProducePartition {
                topic: name.clone(),
                partition: partition.index,
                records: Records::Inline(partition.records.into_iter().collect()),
            });
        }
    }
    let request = ProduceRequest {
        transactional_id: request.transactional_id.map(|id| id.0.as_str().into()),
        acks,
        timeout: millis_in(request.timeout_ms),
        partitions,
    };
    Ok(Body::Broker(Arc::new(Request::Produce(request)), acks != Acks::None))
}

pub fn response_out(response: &ProduceResponse, version: i16) -> wire::ProduceResponse {
    let topics = by_topic(&response.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let (name, id) = topic_out(topic);
        let partitions = partitions.into_iter().map(|partition| {
            let mut out = wire::produce_response::PartitionProduceResponse::default()
                .with_index(partition.partition)
                .with_error_code(partition.error.code())
                .with_base_offset(partition.base_offset.0)
                .with_log_append_time_ms(partition.log_append_time.0)
                .with_log_start_offset(partition.log_start_offset.0);
            if let Some((node, epoch)) = partition.current_leader.filter(|_| version >= 10) {
                out.current_leader.leader_id = node.0.into();
                out.current_leader.leader_epoch = epoch.0;
            }
            out
        });
        wire::produce_response::TopicProduceResponse::default()
            .with_name(name)
            .with_topic_id(id)
            .with_partition_responses(partitions.collect())
    });
    wire::ProduceResponse::default().with_responses(topics.collect())
}

pub fn request_out(request: &ProduceRequest) -> wire::ProduceRequest {
    let topics = by_topic(&request.partitions, |partition| &partition.topic);
    let topics = topics.into_iter().map(|(topic, partitions)| {
        let (name, id) = topic_out(topic);
        let partitions = partitions.into_iter().map(|partition| {
            wire::produce_request::PartitionProduceData::default()
                .with_index(partition.partition)
                .with_records(Some(joined(partition.records.chunks())))
        });
        wire::produce_request::TopicProduceData::default()
            .with_name(name)
            .with_topic_id(id)
            .with_partition_data(partitions.collect())
    });
    let acks = match request.acks {
        Acks::None => 0,
        Acks::Leader => 1,
        Acks::All => -1,
    };
    wire::ProduceRequest::default()
        .with_transactional_id(request.transactional_id.as_ref().map(|id| string(id).into()))
        .with_acks(acks)
        .with_timeout_ms(millis_out(request.timeout))
        .with_topic_data(topics.collect())
}

pub fn response_in(
    response: wire::ProduceResponse,
    request: &ProduceRequest,
    version: i16,
) -> Response {
    let mut answers = Vec::new();
    for topic in response.responses {
        let name = topic_in(&topic.name, topic.topic_id, version >= 13);
        for partition in topic.partition_responses {
            let leader = &partition.current_leader;
            answers.push(ProducedPartition {
                topic: name.clone(),
                partition: partition.index,
                error: ErrorCode::from_code(partition.error_code),
                base_offset: Offset(partition.base_offset),
                log_append_time: Timestamp(partition.log_append_time_ms),
                log_start_offset: Offset(partition.log_start_offset),
                current_leader: (leader.leader_id.0 >= 0)
                    .then(|| (NodeId(leader.leader_id.0), LeaderEpoch(leader.leader_epoch))),
            });
        }
    }
    let asked = request.partitions.iter().map(|asked| (asked.topic.clone(), asked.partition));
    let of = |answer: &ProducedPartition| (answer.topic.clone(), answer.partition);
    Response::Produce(ProduceResponse { partitions: in_order(asked, &answers, of) })
}

/// One run of bytes; a copy only if there are several chunks.
pub fn joined(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [] => Bytes::new(),
        [one] => one.clone(),
        many => many.concat().into(),
    }
}
