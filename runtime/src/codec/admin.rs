//! CreateTopics (19), versions 2 to 7.

use kafka_protocol::messages as wire;
use seedlog::ids::NodeId;
use seedlog::message::admin::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
};

use super::convert::{Wire, string};

pub fn create_in(request: &wire::CreateTopicsRequest) -> CreateTopicsRequest {
    let topic = |topic: &wire::create_topics_request::CreatableTopic| {
        let assignments = topic.assignments.iter().map(|assigned| {
            let nodes = assigned.broker_ids.iter().map(|node| NodeId(node.0));
            (assigned.partition_index, nodes.collect())
        });
        let configs = topic.configs.iter().map(|config| {
            (config.name.as_str().into(), config.value.as_ref().map(|value| value.as_str().into()))
        });
        CreatableTopic {
            name: topic.name.0.as_str().into(),
            num_partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
            assignments: assignments.collect(),
            configs: configs.collect(),
        }
    };
    CreateTopicsRequest {
        timeout: Wire::back(request.timeout_ms),
        validate_only: request.validate_only,
        topics: request.topics.iter().map(topic).collect(),
    }
}

pub fn create_out(response: &CreateTopicsResponse) -> wire::CreateTopicsResponse {
    // Configs are not told, but an empty list: null ends Java's admin client.
    let topic = |topic: &CreatedTopic| {
        wire::create_topics_response::CreatableTopicResult::default()
            .with_name(string(&topic.name).into())
            .with_topic_id(topic.id.out())
            .with_error_code(topic.error.out())
            .with_error_message(topic.message.as_ref().map(|message| string(message)))
            .with_num_partitions(topic.num_partitions)
            .with_replication_factor(topic.replication_factor)
            .with_configs(Some(Vec::new()))
    };
    wire::CreateTopicsResponse::default().with_topics(response.topics.iter().map(topic).collect())
}
