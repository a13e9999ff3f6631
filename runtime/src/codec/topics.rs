//! CreateTopics (19), DeleteTopics (20) and CreatePartitions (37).

use std::sync::Arc;

use kafka_protocol::messages as wire;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use seedlog::error::ErrorCode;
use seedlog::ids::{NodeId, TopicName, TopicRef};
use seedlog::message::admin::{
    ConfigEntry, CreatableTopic, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
    DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic,
};

use super::convert::{Wire, fields, id_of, list, name_of, topic_of};
use super::shape::{I8, I16, I32, I32S, Shape, TEXT, TEXTS, UUID, list, since, until};

pub const CREATE_TOPICS: Shape =
    &[list(&[TEXT, I32, I16, list(&[I32, I32S]), list(&[TEXT, TEXT])]), I32, I8];
fields!(CreateTopicsRequest = wire::CreateTopicsRequest {
    topics = topics, timeout = timeout_ms, validate_only = validate_only,
});
fields!(CreatableTopic = wire::create_topics_request::CreatableTopic {
    name = name, num_partitions = num_partitions, replication_factor = replication_factor,
    assignments = assignments, configs = configs,
});
impl Wire<CreatableReplicaAssignment> for (i32, Vec<NodeId>) {
    fn out(&self, version: i16) -> CreatableReplicaAssignment {
        let out = CreatableReplicaAssignment::default().with_partition_index(self.0);
        out.with_broker_ids(self.1.out(version))
    }
    fn back(wire: CreatableReplicaAssignment, version: i16) -> Self {
        (wire.partition_index, Wire::back(wire.broker_ids, version))
    }
}
impl Wire<CreatableTopicConfig> for (Arc<str>, Option<Arc<str>>) {
    fn out(&self, version: i16) -> CreatableTopicConfig {
        let out = CreatableTopicConfig::default().with_name(self.0.out(version));
        out.with_value(self.1.out(version))
    }
    fn back(wire: CreatableTopicConfig, version: i16) -> Self {
        (Wire::back(wire.name, version), Wire::back(wire.value, version))
    }
}
fields!(CreateTopicsResponse = wire::CreateTopicsResponse { topics = topics });
fields!(CreatedTopic = wire::create_topics_response::CreatableTopicResult {
    name = name, id = topic_id, error = error_code, message = error_message,
    num_partitions = num_partitions [5], replication_factor = replication_factor [5],
    configs = configs [5],
});
// Never null: that ends Java's admin client.
impl Wire<Option<Vec<CreatableTopicConfigs>>> for Vec<ConfigEntry> {
    fn out(&self, version: i16) -> Option<Vec<CreatableTopicConfigs>> {
        Some(self.iter().map(|entry| entry.out(version)).collect())
    }
    fn back(wire: Option<Vec<CreatableTopicConfigs>>, version: i16) -> Self {
        wire.into_iter().flatten().map(|entry| Wire::back(entry, version)).collect()
    }
}
fields!(ConfigEntry = CreatableTopicConfigs {
    name = name, value = value, source = config_source,
});
list!(
    CreatableTopic = wire::create_topics_request::CreatableTopic,
    (i32, Vec<NodeId>) = CreatableReplicaAssignment,
    (Arc<str>, Option<Arc<str>>) = CreatableTopicConfig,
    CreatedTopic = wire::create_topics_response::CreatableTopicResult,
    DeletedTopic = wire::delete_topics_response::DeletableTopicResult,
    CreatePartitionsTopic = wire::create_partitions_request::CreatePartitionsTopic,
    (TopicName, ErrorCode, Option<String>) = CreatePartitionsTopicResult,
);

pub const DELETE_TOPICS: Shape = &[since(6, list(&[TEXT, UUID])), until(5, TEXTS), I32];
impl Wire<wire::DeleteTopicsRequest> for DeleteTopicsRequest {
    fn out(&self, version: i16) -> wire::DeleteTopicsRequest {
        let mut out =
            wire::DeleteTopicsRequest::default().with_timeout_ms(self.timeout.out(version));
        if version >= 6 {
            let topics = self.topics.iter().map(|topic| {
                let name = matches!(topic, TopicRef::Name(_)).then(|| name_of(topic));
                DeleteTopicState::default().with_name(name).with_topic_id(id_of(topic))
            });
            out.topics = topics.collect();
        } else {
            out.topic_names = self.topics.iter().map(name_of).collect();
        }
        out
    }
    fn back(wire: wire::DeleteTopicsRequest, version: i16) -> Self {
        let named = wire.topic_names.iter().map(|name| topic_of(name, &[]));
        let stated = wire.topics.into_iter();
        let stated =
            stated.map(|topic| topic_of(&topic.name.unwrap_or_default(), &[topic.topic_id]));
        let timeout = Wire::back(wire.timeout_ms, version);
        DeleteTopicsRequest { timeout, topics: named.chain(stated).collect() }
    }
}
fields!(DeleteTopicsResponse = wire::DeleteTopicsResponse { topics = responses });
impl Wire<wire::delete_topics_response::DeletableTopicResult> for DeletedTopic {
    fn out(&self, version: i16) -> wire::delete_topics_response::DeletableTopicResult {
        let out = wire::delete_topics_response::DeletableTopicResult::default();
        let name =
            (version < 6 || matches!(self.topic, TopicRef::Name(_))).then(|| name_of(&self.topic));
        out.with_name(name)
            .with_topic_id(id_of(&self.topic))
            .with_error_code(self.error.out(version))
    }
    fn back(wire: wire::delete_topics_response::DeletableTopicResult, version: i16) -> Self {
        let topic = topic_of(&wire.name.unwrap_or_default(), &[wire.topic_id]);
        DeletedTopic { topic, error: Wire::back(wire.error_code, version) }
    }
}

pub const CREATE_PARTITIONS: Shape = &[list(&[TEXT, I32, list(&[I32S])]), I32, I8];
fields!(CreatePartitionsRequest = wire::CreatePartitionsRequest {
    topics = topics, timeout = timeout_ms, validate_only = validate_only,
});
fields!(CreatePartitionsTopic = wire::create_partitions_request::CreatePartitionsTopic {
    name = name, count = count, assignments = assignments,
});
impl Wire<Option<Vec<CreatePartitionsAssignment>>> for Option<Vec<Vec<NodeId>>> {
    fn out(&self, version: i16) -> Option<Vec<CreatePartitionsAssignment>> {
        let assigned = |nodes: &Vec<NodeId>| {
            CreatePartitionsAssignment::default().with_broker_ids(nodes.out(version))
        };
        self.as_ref().map(|all| all.iter().map(assigned).collect())
    }
    fn back(wire: Option<Vec<CreatePartitionsAssignment>>, version: i16) -> Self {
        let assigned = |one: CreatePartitionsAssignment| Wire::back(one.broker_ids, version);
        wire.map(|all| all.into_iter().map(assigned).collect())
    }
}
fields!(CreatePartitionsResponse = wire::CreatePartitionsResponse { topics = results });
impl Wire<CreatePartitionsTopicResult> for (TopicName, ErrorCode, Option<String>) {
    fn out(&self, version: i16) -> CreatePartitionsTopicResult {
        let out = CreatePartitionsTopicResult::default().with_name(self.0.out(version));
        out.with_error_code(self.1.out(version)).with_error_message(self.2.out(version))
    }
    fn back(wire: CreatePartitionsTopicResult, version: i16) -> Self {
        let (name, error) = (Wire::back(wire.name, version), Wire::back(wire.error_code, version));
        (name, error, Wire::back(wire.error_message, version))
    }
}
