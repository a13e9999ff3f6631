//! Metadata (3), versions 0 to 12.

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{Endpoint, NodeId, TopicRef};
use seedlog::message::metadata::{
    BrokerInfo, MetadataRequest, MetadataResponse, PartitionInfo, TopicInfo,
};
use wire::metadata_request::MetadataRequestTopic;
use wire::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use super::convert::{Wire, id_of, name_of, string, topic_in};

pub fn request_in(request: wire::MetadataRequest, version: i16) -> MetadataRequest {
    let name = |topic: MetadataRequestTopic| {
        let by_id = topic.name.is_none();
        topic_in(&topic.name.unwrap_or_default(), topic.topic_id, by_id)
    };
    // Version 0 has no null: an empty list is all topics there.
    let topics = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    MetadataRequest {
        topics: topics.map(|topics| topics.into_iter().map(name).collect()),
        allow_auto_topic_creation: request.allow_auto_topic_creation || version < 4,
    }
}

fn nodes_out(nodes: &[NodeId]) -> Vec<wire::BrokerId> {
    nodes.iter().map(Wire::out).collect()
}

fn nodes_in(nodes: &[wire::BrokerId]) -> Vec<NodeId> {
    nodes.iter().copied().map(Wire::back).collect()
}

fn partition_out(partition: &PartitionInfo) -> MetadataResponsePartition {
    MetadataResponsePartition::default()
        .with_error_code(partition.error.out())
        .with_partition_index(partition.partition)
        .with_leader_id(partition.leader.out())
        .with_leader_epoch(partition.leader_epoch.out())
        .with_replica_nodes(nodes_out(&partition.replicas))
        .with_isr_nodes(nodes_out(&partition.isr))
        .with_offline_replicas(nodes_out(&partition.offline))
}

fn partition_in(partition: &MetadataResponsePartition) -> PartitionInfo {
    PartitionInfo {
        error: ErrorCode::from_code(partition.error_code),
        partition: partition.partition_index,
        leader: Wire::back(partition.leader_id),
        leader_epoch: Wire::back(partition.leader_epoch),
        replicas: nodes_in(&partition.replica_nodes).into(),
        isr: nodes_in(&partition.isr_nodes).into(),
        offline: nodes_in(&partition.offline_replicas),
    }
}

pub fn response_out(response: &MetadataResponse) -> wire::MetadataResponse {
    let brokers = response.brokers.iter().filter(|broker| !broker.fenced).map(|broker| {
        MetadataResponseBroker::default()
            .with_node_id(broker.node.out())
            .with_host(string(&broker.endpoint.host))
            .with_port(i32::from(broker.endpoint.port))
            .with_rack(broker.rack.as_ref().map(|rack| string(rack)))
    });
    let topics = response.topics.iter().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(topic.error.out())
            .with_name(topic.name.as_ref().map(|name| string(name).into()))
            .with_topic_id(topic.id.out())
            .with_partitions(topic.partitions.iter().map(partition_out).collect())
    });
    wire::MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(string(&response.cluster_id)))
        .with_controller_id(response.controller.out())
        .with_topics(topics.collect())
}

pub fn request_out(request: &MetadataRequest) -> wire::MetadataRequest {
    let topic = |topic: &TopicRef| {
        let name = matches!(topic, TopicRef::Name(_)).then(|| name_of(topic));
        MetadataRequestTopic::default().with_name(name).with_topic_id(id_of(topic))
    };
    let topics = request.topics.as_ref().map(|topics| topics.iter().map(topic).collect());
    wire::MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(request.allow_auto_topic_creation)
}

pub fn response_in(response: &wire::MetadataResponse) -> MetadataResponse {
    let brokers = response.brokers.iter().map(|broker| BrokerInfo {
        node: Wire::back(broker.node_id),
        endpoint: Endpoint {
            host: broker.host.as_str().into(),
            port: u16::try_from(broker.port).unwrap_or(0),
        },
        rack: broker.rack.as_ref().map(|rack| rack.as_str().into()),
        fenced: false,
    });
    let topics = response.topics.iter().map(|topic| TopicInfo {
        error: Wire::back(topic.error_code),
        name: topic.name.as_ref().map(|name| name.0.as_str().into()),
        id: Wire::back(topic.topic_id),
        partitions: topic.partitions.iter().map(partition_in).collect(),
    });
    MetadataResponse {
        cluster_id: response.cluster_id.as_ref().map_or("".into(), |id| id.as_str().into()),
        controller: Wire::back(response.controller_id),
        brokers: brokers.collect(),
        topics: topics.collect(),
    }
}
