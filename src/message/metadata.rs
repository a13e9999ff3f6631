//! Metadata (3) and DescribeCluster (60).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{Endpoint, LeaderEpoch, NodeId, TopicId, TopicName, TopicRef};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetadataRequest {
    /// None: all topics.
    pub topics: Option<Vec<TopicRef>>,
    pub allow_auto_topic_creation: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetadataResponse {
    pub cluster_id: Arc<str>,
    /// Some live broker; it forwards what only the controller can do. [`NodeId::NONE`] if none is
    /// known.
    pub controller: NodeId,
    pub brokers: Vec<BrokerInfo>,
    pub topics: Vec<TopicInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerInfo {
    pub node: NodeId,
    pub endpoint: Endpoint,
    pub rack: Option<Arc<str>>,
    pub fenced: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicInfo {
    pub error: ErrorCode,
    /// None if asked by an unknown id.
    pub name: Option<TopicName>,
    pub id: TopicId,
    pub partitions: Vec<PartitionInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionInfo {
    /// LEADER_NOT_AVAILABLE while there is no leader.
    pub error: ErrorCode,
    pub partition: i32,
    pub leader: NodeId,
    pub leader_epoch: LeaderEpoch,
    pub replicas: Arc<[NodeId]>,
    pub isr: Arc<[NodeId]>,
    pub offline: Vec<NodeId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeClusterRequest {
    pub include_fenced_brokers: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeClusterResponse {
    pub error: ErrorCode,
    pub cluster_id: Arc<str>,
    pub controller: NodeId,
    pub brokers: Vec<BrokerInfo>,
}
