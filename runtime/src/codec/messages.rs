//! How the core's messages and the wire's correspond, field by field.

use kafka_protocol::messages as wire;
use seedlog::ids::TopicRef;
use seedlog::message::admin::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse, CreatedTopic,
};
use seedlog::message::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchedPartition,
};
use seedlog::message::metadata::{
    BrokerInfo, MetadataRequest, MetadataResponse, PartitionInfo, TopicInfo,
};
use seedlog::message::offsets::{
    EpochEnd, EpochPartition, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse,
    ListedOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use seedlog::message::produce::{
    InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest,
    ProduceResponse, ProducedPartition,
};

use seedlog::message::transaction::TransactionVersion;

use super::convert::{Wire, fields, id_of, list, name_of, topic_of, topics};

fields!(ProduceRequest = wire::ProduceRequest {
    transactional_id = transactional_id, acks = acks, timeout = timeout_ms, partitions = topic_data,
} core { version: TransactionVersion::V1 });
topics!(ProducePartition =
    wire::produce_request::TopicProduceData { name, partition_data, topic_id }
    / wire::produce_request::PartitionProduceData { partition = index, records = records });
fields!(ProduceResponse = wire::ProduceResponse { partitions = responses });
topics!(ProducedPartition =
wire::produce_response::TopicProduceResponse { name, partition_responses, topic_id }
/ wire::produce_response::PartitionProduceResponse {
    partition = index, error = error_code, base_offset = base_offset,
    log_append_time = log_append_time_ms, log_start_offset = log_start_offset,
    current_leader = current_leader,
});

fields!(InitProducerIdRequest = wire::InitProducerIdRequest {
    transactional_id = transactional_id, transaction_timeout = transaction_timeout_ms,
    producer_id = producer_id, producer_epoch = producer_epoch,
});
fields!(InitProducerIdResponse = wire::InitProducerIdResponse {
    error = error_code, producer_id = producer_id, producer_epoch = producer_epoch,
});

// Sessions (KIP-227) are declined: session 0 is a default on the wire. Replicas fetch in memory.
fields!(FetchRequest = wire::FetchRequest {
    max_wait = max_wait_ms, min_bytes = min_bytes, max_bytes = max_bytes,
    isolation = isolation_level, partitions = topics,
} core { replica: None });
topics!(FetchPartition = wire::fetch_request::FetchTopic { topic, partitions, topic_id }
/ wire::fetch_request::FetchPartition {
    partition = partition, current_leader_epoch = current_leader_epoch,
    fetch_offset = fetch_offset, last_fetched_epoch = last_fetched_epoch,
    log_start_offset = log_start_offset, max_bytes = partition_max_bytes,
});
fields!(FetchResponse = wire::FetchResponse { error = error_code, partitions = responses });
topics!(FetchedPartition =
wire::fetch_response::FetchableTopicResponse { topic, partitions, topic_id }
/ wire::fetch_response::PartitionData {
    partition = partition_index, error = error_code, high_watermark = high_watermark,
    last_stable_offset = last_stable_offset, log_start_offset = log_start_offset,
    diverging = diverging_epoch, current_leader = current_leader,
    aborted = aborted_transactions, records = records,
});
fields!(AbortedTransaction = wire::fetch_response::AbortedTransaction {
    producer_id = producer_id, first_offset = first_offset,
});
impl Wire<Option<Vec<wire::fetch_response::AbortedTransaction>>> for Vec<AbortedTransaction> {
    fn out(&self) -> Option<Vec<wire::fetch_response::AbortedTransaction>> {
        Some(self.iter().map(Wire::out).collect())
    }
    fn back(wire: Option<Vec<wire::fetch_response::AbortedTransaction>>) -> Self {
        wire.into_iter().flatten().map(Wire::back).collect()
    }
}

fields!(ListOffsetsRequest = wire::ListOffsetsRequest {
    isolation = isolation_level, partitions = topics,
} wire { replica_id: (-1).into() });
topics!(ListOffsetsPartition = wire::list_offsets_request::ListOffsetsTopic { name, partitions }
/ wire::list_offsets_request::ListOffsetsPartition {
    partition = partition_index, current_leader_epoch = current_leader_epoch, spec = timestamp,
});
fields!(ListOffsetsResponse = wire::ListOffsetsResponse { partitions = topics });
topics!(ListedOffset = wire::list_offsets_response::ListOffsetsTopicResponse { name, partitions }
/ wire::list_offsets_response::ListOffsetsPartitionResponse {
    partition = partition_index, error = error_code, timestamp = timestamp, offset = offset,
    leader_epoch = leader_epoch,
});

fields!(OffsetForLeaderEpochRequest = wire::OffsetForLeaderEpochRequest {
    replica = replica_id, partitions = topics,
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

fields!(MetadataRequest = wire::MetadataRequest {
    topics = topics, allow_auto_topic_creation = allow_auto_topic_creation,
});
impl Wire<Option<Vec<wire::metadata_request::MetadataRequestTopic>>> for Option<Vec<TopicRef>> {
    fn out(&self) -> Option<Vec<wire::metadata_request::MetadataRequestTopic>> {
        let topic = |topic: &TopicRef| {
            let name = matches!(topic, TopicRef::Name(_)).then(|| name_of(topic));
            let out = wire::metadata_request::MetadataRequestTopic::default();
            out.with_name(name).with_topic_id(id_of(topic))
        };
        self.as_ref().map(|topics| topics.iter().map(topic).collect())
    }
    fn back(wire: Option<Vec<wire::metadata_request::MetadataRequestTopic>>) -> Self {
        let topic = |topic: wire::metadata_request::MetadataRequestTopic| match topic.name {
            Some(name) => topic_of(&name, &[]),
            None => TopicRef::Id(Wire::back(topic.topic_id)),
        };
        wire.map(|topics| topics.into_iter().map(topic).collect())
    }
}
fields!(MetadataResponse = wire::MetadataResponse {
    cluster_id = cluster_id, controller = controller_id, brokers = brokers, topics = topics,
});
impl Wire<wire::metadata_response::MetadataResponseBroker> for BrokerInfo {
    fn out(&self) -> wire::metadata_response::MetadataResponseBroker {
        wire::metadata_response::MetadataResponseBroker::default()
            .with_node_id(self.node.out())
            .with_host(self.endpoint.host.out())
            .with_port(self.endpoint.port.out())
            .with_rack(self.rack.out())
    }
    fn back(wire: wire::metadata_response::MetadataResponseBroker) -> Self {
        let (host, port) = (Wire::back(wire.host), Wire::back(wire.port));
        let endpoint = seedlog::ids::Endpoint { host, port };
        let (node, rack) = (Wire::back(wire.node_id), Wire::back(wire.rack));
        BrokerInfo { node, endpoint, rack, fenced: false }
    }
}
fields!(TopicInfo = wire::metadata_response::MetadataResponseTopic {
    error = error_code, name = name, id = topic_id, partitions = partitions,
});
fields!(PartitionInfo = wire::metadata_response::MetadataResponsePartition {
    error = error_code, partition = partition_index, leader = leader_id,
    leader_epoch = leader_epoch, replicas = replica_nodes, isr = isr_nodes,
    offline = offline_replicas,
});
list!(
    BrokerInfo = wire::metadata_response::MetadataResponseBroker,
    TopicInfo = wire::metadata_response::MetadataResponseTopic,
    PartitionInfo = wire::metadata_response::MetadataResponsePartition,
    CreatableTopic = wire::create_topics_request::CreatableTopic,
    CreatedTopic = wire::create_topics_response::CreatableTopicResult,
    seedlog::ids::NodeId = wire::BrokerId,
);

fields!(CreateTopicsRequest = wire::CreateTopicsRequest {
    topics = topics, timeout = timeout_ms, validate_only = validate_only,
});
fields!(CreatableTopic = wire::create_topics_request::CreatableTopic {
    name = name, num_partitions = num_partitions, replication_factor = replication_factor,
    assignments = assignments, configs = configs,
});
type Assignment = (i32, Vec<seedlog::ids::NodeId>);
impl Wire<Vec<wire::create_topics_request::CreatableReplicaAssignment>> for Vec<Assignment> {
    fn out(&self) -> Vec<wire::create_topics_request::CreatableReplicaAssignment> {
        let one = |(partition, nodes): &Assignment| {
            let out = wire::create_topics_request::CreatableReplicaAssignment::default();
            out.with_partition_index(*partition).with_broker_ids(nodes.out())
        };
        self.iter().map(one).collect()
    }
    fn back(wire: Vec<wire::create_topics_request::CreatableReplicaAssignment>) -> Self {
        let one = |assigned: wire::create_topics_request::CreatableReplicaAssignment| {
            (assigned.partition_index, Wire::back(assigned.broker_ids))
        };
        wire.into_iter().map(one).collect()
    }
}
type Config = (std::sync::Arc<str>, Option<std::sync::Arc<str>>);
impl Wire<Vec<wire::create_topics_request::CreatableTopicConfig>> for Vec<Config> {
    fn out(&self) -> Vec<wire::create_topics_request::CreatableTopicConfig> {
        let one = |(name, value): &Config| {
            let out = wire::create_topics_request::CreatableTopicConfig::default();
            out.with_name(name.out()).with_value(value.out())
        };
        self.iter().map(one).collect()
    }
    fn back(wire: Vec<wire::create_topics_request::CreatableTopicConfig>) -> Self {
        wire.into_iter().map(|one| (Wire::back(one.name), Wire::back(one.value))).collect()
    }
}
fields!(CreateTopicsResponse = wire::CreateTopicsResponse { topics = topics });
// Configs are not told, but an empty list: null ends Java's admin client.
fields!(CreatedTopic = wire::create_topics_response::CreatableTopicResult {
    name = name, id = topic_id, error = error_code, message = error_message,
    num_partitions = num_partitions, replication_factor = replication_factor,
} wire { configs: Some(Vec::new()) } core { configs: Vec::new() });
