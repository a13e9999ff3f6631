//! CreateTopics (19), DeleteTopics (20), CreatePartitions (37) and ElectLeaders (43).

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
    DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic, ElectLeadersRequest,
    ElectLeadersResponse, Election,
};

use super::convert::{Topic, Wire, fields, numbers, rows, tuple};
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
tuple! {
    (i32, Vec<NodeId>) = CreatableReplicaAssignment { 0 = partition_index, 1 = broker_ids };
    (Arc<str>, Option<Arc<str>>) = CreatableTopicConfig { 0 = name, 1 = value };
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
        Some(self.out(version))
    }
    fn back(wire: Option<Vec<CreatableTopicConfigs>>, version: i16) -> Self {
        Wire::back(wire.unwrap_or_default(), version)
    }
}
fields!(ConfigEntry = CreatableTopicConfigs {
    name = name, value = value, source = config_source,
});
pub const DELETE_TOPICS: Shape = &[since(6, list(&[TEXT, UUID])), until(5, TEXTS), I32];
impl Wire<wire::DeleteTopicsRequest> for DeleteTopicsRequest {
    fn out(&self, version: i16) -> wire::DeleteTopicsRequest {
        let mut out =
            wire::DeleteTopicsRequest::default().with_timeout_ms(self.timeout.out(version));
        if version >= 6 {
            let topics = self.topics.iter().map(|topic| {
                let name = matches!(topic, TopicRef::Name(_)).then(|| topic.name());
                DeleteTopicState::default().with_name(name).with_topic_id(topic.id())
            });
            out.topics = topics.collect();
        } else {
            out.topic_names = self.topics.iter().map(Topic::name).collect();
        }
        out
    }
    fn back(wire: wire::DeleteTopicsRequest, version: i16) -> Self {
        let named = wire.topic_names.iter().map(|name| TopicRef::of(name, &[]));
        let stated = wire.topics.into_iter();
        let stated =
            stated.map(|topic| TopicRef::of(&topic.name.unwrap_or_default(), &[topic.topic_id]));
        let timeout = Wire::back(wire.timeout_ms, version);
        DeleteTopicsRequest { timeout, topics: named.chain(stated).collect() }
    }
}
fields!(DeleteTopicsResponse = wire::DeleteTopicsResponse { topics = responses });
impl Wire<wire::delete_topics_response::DeletableTopicResult> for DeletedTopic {
    fn out(&self, version: i16) -> wire::delete_topics_response::DeletableTopicResult {
        let out = wire::delete_topics_response::DeletableTopicResult::default();
        let name =
            (version < 6 || matches!(self.topic, TopicRef::Name(_))).then(|| self.topic.name());
        out.with_name(name).with_topic_id(self.topic.id()).with_error_code(self.error.out(version))
    }
    fn back(wire: wire::delete_topics_response::DeletableTopicResult, version: i16) -> Self {
        let topic = TopicRef::of(&wire.name.unwrap_or_default(), &[wire.topic_id]);
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
impl Wire<CreatePartitionsAssignment> for Vec<NodeId> {
    fn out(&self, version: i16) -> CreatePartitionsAssignment {
        CreatePartitionsAssignment::default().with_broker_ids(self.out(version))
    }
    fn back(wire: CreatePartitionsAssignment, version: i16) -> Self {
        Wire::back(wire.broker_ids, version)
    }
}
fields!(CreatePartitionsResponse = wire::CreatePartitionsResponse { topics = results });
tuple! {
    (TopicName, ErrorCode, Option<String>) = CreatePartitionsTopicResult {
        0 = name, 1 = error_code, 2 = error_message,
    };
}

/// In its first version always of preferred replicas.
pub const ELECT_LEADERS: Shape = &[since(1, I8), list(&[TEXT, I32S]), I32];
fields!(ElectLeadersRequest = wire::ElectLeadersRequest {
    election = election_type [1], partitions = topic_partitions, timeout = timeout_ms,
});
impl Wire<i8> for Election {
    fn out(&self, _version: i16) -> i8 {
        i8::from(*self == Election::Unclean)
    }
    fn back(wire: i8, _version: i16) -> Self {
        if wire == 1 { Election::Unclean } else { Election::Preferred }
    }
}
fields!(ElectLeadersResponse = wire::ElectLeadersResponse {
    error = error_code [1], partitions = replica_election_results,
});
numbers! {
    (TopicName, i32) = wire::elect_leaders_request::TopicPartitions { topic, partitions };
}
rows! {
    (TopicName, i32, ErrorCode) =
        wire::elect_leaders_response::ReplicaElectionResult { topic, partition_result }
        / wire::elect_leaders_response::PartitionResult { 1 = partition_id, 2 = error_code };
}
