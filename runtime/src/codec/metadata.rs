//! Metadata (3), DescribeCluster (60) and FindCoordinator (10): where a client finds what it looks
//! for.

use kafka_protocol::messages as wire;
use seedlog::error::ErrorCode;
use seedlog::ids::{Endpoint, NodeId, TopicRef};
use seedlog::message::coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse, FoundCoordinator,
};
use seedlog::message::metadata::{
    BrokerInfo, DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse,
    PartitionInfo, TopicInfo,
};

use super::convert::{Asks, ON_CLUSTER, ON_TOPIC, Topic, Wire, fields};
use super::shape::{I8, Shape, TEXT, TEXTS, UUID, list, since, until};

pub const METADATA: Shape =
    &[list(&[since(10, UUID), TEXT]), since(4, I8), since(8, until(10, I8)), since(8, I8)];
fields!(MetadataRequest = wire::MetadataRequest {
    topics = topics, allow_auto_topic_creation = allow_auto_topic_creation [4],
} asks |wire| {
    let cluster = wire.include_cluster_authorized_operations;
    Asks { cluster, each: wire.include_topic_authorized_operations }
});
impl Wire<Option<Vec<wire::metadata_request::MetadataRequestTopic>>> for Option<Vec<TopicRef>> {
    fn out(&self, version: i16) -> Option<Vec<wire::metadata_request::MetadataRequestTopic>> {
        let topic = |topic: &TopicRef| {
            let name = matches!(topic, TopicRef::Name(_)).then(|| topic.name());
            let out = wire::metadata_request::MetadataRequestTopic::default();
            out.with_name(name).with_topic_id(topic.id())
        };
        let all = (version == 0).then(Vec::new);
        self.as_ref().map(|topics| topics.iter().map(topic).collect()).or(all)
    }
    fn back(wire: Option<Vec<wire::metadata_request::MetadataRequestTopic>>, version: i16) -> Self {
        // By id Java's client sends an empty name, others null.
        let topic = |topic: wire::metadata_request::MetadataRequestTopic| {
            TopicRef::of(&topic.name.unwrap_or_default(), &[topic.topic_id])
        };
        // The oldest version has no null: there an empty list is all topics.
        let wire = wire.filter(|topics| version > 0 || !topics.is_empty());
        wire.map(|topics| topics.into_iter().map(topic).collect())
    }
}
fields!(MetadataResponse = wire::MetadataResponse {
    cluster_id = cluster_id, controller = controller_id, brokers = brokers, topics = topics,
} tells |out, asks| {
    if asks.cluster {
        out.cluster_authorized_operations = ON_CLUSTER;
    }
    for topic in out.topics.iter_mut().filter(|_| asks.each) {
        topic.topic_authorized_operations = ON_TOPIC;
    }
});
impl Wire<Vec<wire::metadata_response::MetadataResponseBroker>> for Vec<BrokerInfo> {
    fn out(&self, version: i16) -> Vec<wire::metadata_response::MetadataResponseBroker> {
        // Clients dial every broker that they see.
        let live = self.iter().filter(|broker| !broker.fenced);
        let out = live.map(|broker| {
            wire::metadata_response::MetadataResponseBroker::default()
                .with_node_id(broker.node.out(version))
                .with_host(broker.endpoint.host.out(version))
                .with_port(broker.endpoint.port.out(version))
                .with_rack(broker.rack.out(version))
        });
        out.collect()
    }
    fn back(wire: Vec<wire::metadata_response::MetadataResponseBroker>, version: i16) -> Self {
        let broker = |broker: wire::metadata_response::MetadataResponseBroker| BrokerInfo {
            node: Wire::back(broker.node_id, version),
            endpoint: endpoint(broker.host, broker.port),
            rack: Wire::back(broker.rack, version),
            fenced: false,
        };
        wire.into_iter().map(broker).collect()
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

fn endpoint(host: kafka_protocol::protocol::StrBytes, port: i32) -> Endpoint {
    Endpoint { host: Wire::back(host, 0), port: Wire::back(port, 0) }
}

pub const DESCRIBE_CLUSTER: Shape = &[I8, since(1, I8), since(2, I8)];
fields!(DescribeClusterRequest = wire::DescribeClusterRequest {
    include_fenced_brokers = include_fenced_brokers [2],
} asks |wire| {
    Asks { cluster: wire.include_cluster_authorized_operations, each: false }
});
fields!(DescribeClusterResponse = wire::DescribeClusterResponse {
    error = error_code, cluster_id = cluster_id, controller = controller_id, brokers = brokers,
} tells |out, asks| {
    if asks.cluster {
        out.cluster_authorized_operations = ON_CLUSTER;
    }
});
impl Wire<wire::describe_cluster_response::DescribeClusterBroker> for BrokerInfo {
    fn out(&self, version: i16) -> wire::describe_cluster_response::DescribeClusterBroker {
        wire::describe_cluster_response::DescribeClusterBroker::default()
            .with_broker_id(self.node.out(version))
            .with_host(self.endpoint.host.out(version))
            .with_port(self.endpoint.port.out(version))
            .with_rack(self.rack.out(version))
            .with_is_fenced(self.fenced && version >= 2)
    }
    fn back(wire: wire::describe_cluster_response::DescribeClusterBroker, version: i16) -> Self {
        BrokerInfo {
            node: Wire::back(wire.broker_id, version),
            endpoint: endpoint(wire.host, wire.port),
            rack: Wire::back(wire.rack, version),
            fenced: wire.is_fenced,
        }
    }
}

/// Since version 4 for many keys (KIP-699).
pub const FIND_COORDINATOR: Shape = &[until(3, TEXT), since(1, I8), since(4, TEXTS)];
impl Wire<wire::FindCoordinatorRequest> for FindCoordinatorRequest {
    fn out(&self, version: i16) -> wire::FindCoordinatorRequest {
        let mut out = wire::FindCoordinatorRequest::default();
        out.key_type = self.kind.out(version);
        if version >= 4 {
            out.coordinator_keys = self.keys.iter().map(|key| key.out(version)).collect();
        } else if let [key] = &self.keys[..] {
            out.key = key.out(version);
        }
        out
    }
    fn back(wire: wire::FindCoordinatorRequest, version: i16) -> Self {
        let keys = if version >= 4 { wire.coordinator_keys } else { vec![wire.key] };
        FindCoordinatorRequest {
            kind: Wire::back(wire.key_type, version),
            keys: keys.into_iter().map(|key| Wire::back(key, version)).collect(),
        }
    }
}
impl Wire<wire::FindCoordinatorResponse> for FindCoordinatorResponse {
    fn out(&self, version: i16) -> wire::FindCoordinatorResponse {
        let mut out = wire::FindCoordinatorResponse::default();
        let found = self.coordinators.iter().map(|found| {
            let (host, port) = match &found.endpoint {
                Some(endpoint) => (endpoint.host.out(version), endpoint.port.out(version)),
                None => Default::default(),
            };
            wire::find_coordinator_response::Coordinator::default()
                .with_key(found.key.out(version))
                .with_error_code(found.error.out(version))
                .with_node_id(found.node.out(version))
                .with_host(host)
                .with_port(if found.endpoint.is_some() { port } else { -1 })
        });
        out.coordinators = found.collect();
        if version < 4
            && let Some(found) = out.coordinators.pop()
        {
            (out.error_code, out.node_id) = (found.error_code, found.node_id);
            (out.host, out.port) = (found.host, found.port);
        }
        out
    }
    fn back(wire: wire::FindCoordinatorResponse, version: i16) -> Self {
        let found = |key, error, node: wire::BrokerId, host, port| FoundCoordinator {
            key,
            error: ErrorCode::from_code(error),
            node: NodeId(node.0),
            endpoint: (node.0 >= 0).then(|| endpoint(host, port)),
        };
        let coordinators = if version >= 4 {
            let each = wire.coordinators.into_iter().map(|one| {
                let key = Wire::back(one.key, version);
                found(key, one.error_code, one.node_id, one.host, one.port)
            });
            each.collect()
        } else {
            // The key is not told: it is the one that was asked for.
            vec![found("".into(), wire.error_code, wire.node_id, wire.host, wire.port)]
        };
        FindCoordinatorResponse { coordinators }
    }
}
