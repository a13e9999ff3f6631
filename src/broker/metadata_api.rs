//! Metadata and DescribeCluster: the image as clients see it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::ServerConfig;
use crate::error::ErrorCode;
use crate::ids::{NodeId, TopicId, TopicName, TopicRef, topic_name_fault};
use crate::message::metadata::{
    BrokerInfo, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse,
    PartitionInfo, TopicInfo,
};
use crate::metadata::{Image, PartitionImage, TopicImage};

/// Answers a metadata request; also the names of unknown topics, which may be made now.
pub(super) fn metadata(
    server: &ServerConfig,
    image: &Image,
    request: &MetadataRequest,
) -> (MetadataResponse, Vec<TopicName>) {
    let mut unknown = Vec::new();
    let topics = match &request.topics {
        None => image.topics.iter().map(|(id, topic)| describe(image, *id, topic)).collect(),
        Some(asked) => {
            let one = |topic: &TopicRef| {
                let found = resolve(image, topic).and_then(|id| Some((id, image.topics.get(&id)?)));
                match (found, topic) {
                    (Some((id, known)), _) => describe(image, id, known),
                    (None, TopicRef::Id(id)) => missing(None, *id, ErrorCode::UnknownTopicId),
                    (None, TopicRef::Name(name)) => {
                        let error = if topic_name_fault(name).is_some() {
                            ErrorCode::InvalidTopicException
                        } else {
                            unknown.push(name.clone());
                            ErrorCode::UnknownTopicOrPartition
                        };
                        missing(Some(name.clone()), TopicId::ZERO, error)
                    }
                }
            };
            asked.iter().map(one).collect()
        }
    };
    let response = MetadataResponse {
        cluster_id: Arc::clone(&server.cluster_id),
        controller: any_broker(server.node, image),
        brokers: brokers(image, false),
        topics,
    };
    (response, unknown)
}

pub(super) fn describe_cluster(
    server: &ServerConfig,
    image: &Image,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error: ErrorCode::None,
        cluster_id: Arc::clone(&server.cluster_id),
        controller: any_broker(server.node, image),
        brokers: brokers(image, request.include_fenced_brokers),
    }
}

/// The topic that a request means.
pub(super) fn resolve(image: &Image, topic: &TopicRef) -> Option<TopicId> {
    match topic {
        TopicRef::Id(id) => Some(*id),
        TopicRef::Name(name) => image.names.get(name).copied(),
    }
}

/// Any live broker forwards what only the controller can do: this one, if it lives.
fn any_broker(own: NodeId, image: &Image) -> NodeId {
    let alive = |node: &NodeId| image.brokers.get(node).is_some_and(|broker| !broker.fenced);
    if alive(&own) {
        return own;
    }
    image.brokers.keys().copied().find(alive).unwrap_or(NodeId::NONE)
}

fn brokers(image: &Image, include_fenced: bool) -> Vec<BrokerInfo> {
    let listed = image.brokers.iter().filter(|(_, broker)| include_fenced || !broker.fenced);
    let info = |(node, broker): (&NodeId, &crate::metadata::BrokerImage)| BrokerInfo {
        node: *node,
        endpoint: broker.endpoint.clone(),
        rack: broker.rack.clone(),
        fenced: broker.fenced,
    };
    listed.map(info).collect()
}

fn missing(name: Option<TopicName>, id: TopicId, error: ErrorCode) -> TopicInfo {
    TopicInfo { error, name, id, partitions: Vec::new() }
}

fn describe(image: &Image, id: TopicId, topic: &TopicImage) -> TopicInfo {
    let partitions = (0..).zip(&topic.partitions);
    TopicInfo {
        error: ErrorCode::None,
        name: Some(topic.name.clone()),
        id,
        partitions: partitions.map(|(index, partition)| info(image, index, partition)).collect(),
    }
}

fn info(image: &Image, index: i32, partition: &PartitionImage) -> PartitionInfo {
    let alive = |node: &NodeId| image.brokers.get(node).is_some_and(|broker| !broker.fenced);
    // A leader that clients cannot be told the address of is none for them.
    let reachable = alive(&partition.leader);
    PartitionInfo {
        error: if reachable { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
        partition: index,
        leader: if reachable { partition.leader } else { NodeId::NONE },
        leader_epoch: partition.leader_epoch,
        replicas: Arc::clone(&partition.replicas),
        isr: Arc::clone(&partition.isr),
        offline: partition.replicas.iter().copied().filter(|node| !alive(node)).collect(),
    }
}
