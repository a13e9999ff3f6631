//! Produce (0), versions 3 to 13: from 13 on topics go by id. InitProducerId (22), versions 0 to 4.

use kafka_protocol::messages as wire;
use seedlog::message::produce::{
    Acks, InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest,
    ProduceResponse, ProducedPartition,
};

use super::convert::{Wire, in_order, string, topics};
use super::{CodecError, Result};

topics!(asked_out, asked_in: ProducePartition =
    wire::produce_request::TopicProduceData { name, partition_data, topic_id }
    / wire::produce_request::PartitionProduceData { partition = index, records = records });

topics!(answers_out, answers_in: ProducedPartition =
wire::produce_response::TopicProduceResponse { name, partition_responses, topic_id }
/ wire::produce_response::PartitionProduceResponse {
    partition = index, error = error_code, base_offset = base_offset,
    log_append_time = log_append_time_ms, log_start_offset = log_start_offset,
    current_leader = current_leader,
});

pub fn request_in(request: wire::ProduceRequest, version: i16) -> Result<ProduceRequest> {
    let acks = match request.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        -1 => Acks::All,
        other => return Err(CodecError::new(format!("acks={other}"))),
    };
    Ok(ProduceRequest {
        transactional_id: request.transactional_id.map(|id| id.0.as_str().into()),
        acks,
        timeout: Wire::back(request.timeout_ms),
        partitions: asked_in(request.topic_data, version >= 13),
    })
}

pub fn response_out(mut response: ProduceResponse, version: i16) -> wire::ProduceResponse {
    if version < 10 {
        response.partitions.iter_mut().for_each(|partition| partition.current_leader = None);
    }
    wire::ProduceResponse::default().with_responses(answers_out(&response.partitions))
}

pub fn request_out(request: &ProduceRequest) -> wire::ProduceRequest {
    let acks = match request.acks {
        Acks::None => 0,
        Acks::Leader => 1,
        Acks::All => -1,
    };
    wire::ProduceRequest::default()
        .with_transactional_id(request.transactional_id.as_ref().map(|id| string(id).into()))
        .with_acks(acks)
        .with_timeout_ms(request.timeout.out())
        .with_topic_data(asked_out(&request.partitions))
}

pub fn response_in(
    response: wire::ProduceResponse,
    request: &ProduceRequest,
    version: i16,
) -> ProduceResponse {
    let answers = answers_in(response.responses, version >= 13);
    let partitions = in_order(&request.partitions, &answers, |asked, answer| {
        (&asked.topic, asked.partition) == (&answer.topic, answer.partition)
    });
    ProduceResponse { partitions }
}

pub fn init_in(request: wire::InitProducerIdRequest) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: request.transactional_id.map(|id| id.0.as_str().into()),
        transaction_timeout: Wire::back(request.transaction_timeout_ms),
        producer_id: Wire::back(request.producer_id),
        producer_epoch: Wire::back(request.producer_epoch),
    }
}

pub fn init_out(response: &InitProducerIdResponse) -> wire::InitProducerIdResponse {
    wire::InitProducerIdResponse::default()
        .with_error_code(response.error.out())
        .with_producer_id(response.producer_id.out())
        .with_producer_epoch(response.producer_epoch.out())
}

pub fn init_ask(request: &InitProducerIdRequest) -> wire::InitProducerIdRequest {
    wire::InitProducerIdRequest::default()
        .with_transactional_id(request.transactional_id.as_ref().map(|id| string(id).into()))
        .with_transaction_timeout_ms(request.transaction_timeout.out())
        .with_producer_id(request.producer_id.out())
        .with_producer_epoch(request.producer_epoch.out())
}

pub fn init_answer(response: &wire::InitProducerIdResponse) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error: Wire::back(response.error_code),
        producer_id: Wire::back(response.producer_id),
        producer_epoch: Wire::back(response.producer_epoch),
    }
}
