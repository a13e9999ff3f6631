//! Metadata (3), versions 0 to 12.

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{Endpoint, LeaderEpoch, NodeId, TopicRef};
use seedlog::message::metadata::{
    BrokerInfo, MetadataRequest, MetadataResponse, PartitionInfo, TopicInfo,
};
use seedlog::message::{Request, Response};

use super::{string, topic_in, topic_out, uuid_in, uuid_out};

pub fn request_in(request: wire::MetadataRequest, version: i16) -> Request {
    // Version 0 has no null: an empty list is all topics there.
    let topics = request.topics.filter(|topics| version > 0 || !topics.is_empty());
    let topics = topics.map(|topics| {
        let name = |topic: wire::metadata_request::MetadataRequestTopic| match topic.name {
            Some(name) => topic_in(&name, topic.topic_id, false),
            None => TopicRef::Id(uuid_in(topic.topic_id)),
        };
        topics.into_iter().map(name).collect()
    });
    let allow_auto_topic_creation = request.allow_auto_topic_creation || version < 4;
    Request::Metadata(MetadataRequest { topics, allow_auto_topic_creation })
}

fn nodes_out(nodes: &[NodeId]) -> Vec<wire::BrokerId> {
    nodes.iter().map(|node| node.0.into()).collect()
}

fn nodes_in(nodes: &[wire::BrokerId]) -> Vec<NodeId> {
    nodes.iter().map(|node| NodeId(node.0)).collect()
}

pub fn response_out(response: &MetadataResponse) -> wire::MetadataResponse {
    let brokers = response.brokers.iter().filter(|broker| !broker.fenced).map(|broker| {
        wire::metadata_response::MetadataResponseBroker::default()
            .with_node_id(broker.node.0.into())
            .with_host(string(&broker.endpoint.host))
            .with_port(i32::from(broker.endpoint.port))
            .with_rack(broker.rack.as_ref().map(|rack| string(rack)))
    });
    let topics = response.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            wire::metadata_response::MetadataResponsePartition::default()
                .with_error_code(partition.error.code())
                .with_partition_index(partition.partition)
                .with_leader_id(partition.leader.0.into())
                .with_leader_epoch(partition.leader_epoch.0)
                .with_replica_nodes(nodes_out(&partition.replicas))
                .with_isr_nodes(nodes_out(&partition.isr))
                .with_offline_replicas(nodes_out(&partition.offline))
        });
        wire::metadata_response::MetadataResponseTopic::default()
            .with_error_code(topic.error.code())
            .with_name(topic.name.as_ref().map(|name| string(name).into()))
            .with_topic_id(uuid_out(topic.id))
            .with_partitions(partitions.collect())
    });
    wire::MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(string(&response.cluster_id)))
        .with_controller_id(response.controller.0.into())
        .with_topics(topics.collect())
}

pub fn request_out(request: &MetadataRequest) -> wire::MetadataRequest {
    let topics = request.topics.as_ref().map(|topics| {
        let topic = |topic| {
            let (name, id) = topic_out(topic);
            let name = matches!(topic, TopicRef::Name(_)).then_some(name);
            wire::metadata_request::MetadataRequestTopic::default()
                .with_name(name)
                .with_topic_id(id)
        };
        topics.iter().map(topic).collect()
    });
    wire::MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(request.allow_auto_topic_creation)
}

pub fn response_in(response: wire::MetadataResponse) -> Response {
    let brokers = response.brokers.iter().map(|broker| BrokerInfo {
        node: NodeId(broker.node_id.0),
        endpoint: Endpoint {
            host: broker.host.as_str().into(),
            port: u16::try_from(broker.port).unwrap_or(0),
        },
        rack: broker.rack.as_ref().map(|rack| rack.as_str().into()),
        fenced: false,
    });
    let partition =
        |partition: &wire::metadata_response::MetadataResponsePartition| PartitionInfo {
            error: ErrorCode::from_code(partition.error_code),
            partition: partition.partition_index,
            leader: NodeId(partition.leader_id.0),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            replicas: nodes_in(&partition.replica_nodes).into(),
            isr: nodes_in(&partition.isr_nodes).into(),
            offline: nodes_in(&partition.offline_replicas),
        };
    let topics = response.topics.iter().map(|topic| TopicInfo {
        error: ErrorCode::from_code(topic.error_code),
        name: topic.name.as_ref().map(|name| name.0.as_str().into()),
        id: uuid_in(topic.topic_id),
        partitions: topic.partitions.iter().map(partition).collect(),
    });
    Response::Metadata(MetadataResponse {
        cluster_id: response.cluster_id.map_or("".into(), |id| id.as_str().into()),
        controller: NodeId(response.controller_id.0),
        brokers: brokers.collect(),
        topics: topics.collect(),
    })
}
