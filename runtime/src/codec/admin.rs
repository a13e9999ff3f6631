//! CreateTopics (19), versions 2 to 7, and InitProducerId (22), versions 0 to 4.

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{NodeId, ProducerEpoch, ProducerId};
use seedlog::message::admin::{
    ConfigSource, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
};
use seedlog::message::produce::{InitProducerIdRequest, InitProducerIdResponse};
use seedlog::message::{Request, Response};

use super::{millis_in, millis_out, string, uuid_out};

pub fn create_in(request: wire::CreateTopicsRequest) -> Request {
    let topics = request.topics.iter().map(|topic| CreatableTopic {
        name: topic.name.0.as_str().into(),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assigned| {
                let nodes = assigned.broker_ids.iter().map(|node| NodeId(node.0));
                (assigned.partition_index, nodes.collect())
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| {
                let value = config.value.as_ref().map(|value| value.as_str().into());
                (config.name.as_str().into(), value)
            })
            .collect(),
    });
    Request::CreateTopics(CreateTopicsRequest {
        timeout: millis_in(request.timeout_ms),
        validate_only: request.validate_only,
        topics: topics.collect(),
    })
}

pub fn create_out(response: &CreateTopicsResponse, version: i16) -> wire::CreateTopicsResponse {
    let topics = response.topics.iter().map(|topic| created(topic, version));
    wire::CreateTopicsResponse::default().with_topics(topics.collect())
}

fn created(
    topic: &CreatedTopic,
    version: i16,
) -> wire::create_topics_response::CreatableTopicResult {
    let out = wire::create_topics_response::CreatableTopicResult::default()
        .with_name(string(&topic.name).into())
        .with_error_code(topic.error.code())
        .with_error_message(topic.message.as_ref().map(|message| string(message)));
    if version < 5 {
        return out;
    }
    let configs = topic.configs.iter().map(|config| {
        let source = match config.source {
            ConfigSource::Topic => 1,
            ConfigSource::Broker => 2,
            ConfigSource::Static => 4,
            ConfigSource::Default => 5,
        };
        wire::create_topics_response::CreatableTopicConfigs::default()
            .with_name(string(&config.name))
            .with_value(Some(string(&config.value)))
            .with_config_source(source)
    });
    let out = out
        .with_num_partitions(topic.num_partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(Some(configs.collect()));
    if version < 7 { out } else { out.with_topic_id(uuid_out(topic.id)) }
}

pub fn init_in(request: wire::InitProducerIdRequest) -> Request {
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: request.transactional_id.map(|id| id.0.as_str().into()),
        transaction_timeout: millis_in(request.transaction_timeout_ms),
        producer_id: ProducerId(request.producer_id.0),
        producer_epoch: ProducerEpoch(request.producer_epoch),
    })
}

pub fn init_out(response: &InitProducerIdResponse) -> wire::InitProducerIdResponse {
    wire::InitProducerIdResponse::default()
        .with_error_code(response.error.code())
        .with_producer_id(response.producer_id.0.into())
        .with_producer_epoch(response.producer_epoch.0)
}

pub fn init_ask(request: &InitProducerIdRequest) -> wire::InitProducerIdRequest {
    wire::InitProducerIdRequest::default()
        .with_transactional_id(request.transactional_id.as_ref().map(|id| string(id).into()))
        .with_transaction_timeout_ms(millis_out(request.transaction_timeout))
        .with_producer_id(request.producer_id.0.into())
        .with_producer_epoch(request.producer_epoch.0)
}

pub fn init_answer(response: wire::InitProducerIdResponse) -> Response {
    Response::InitProducerId(InitProducerIdResponse {
        error: ErrorCode::from_code(response.error_code),
        producer_id: ProducerId(response.producer_id.0),
        producer_epoch: ProducerEpoch(response.producer_epoch),
    })
}
