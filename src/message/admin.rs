//! Topics, configs, reassignment and leader election: requests that the active controller decides.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::{BrokerConfig, TopicConfig};
use crate::error::ErrorCode;
use crate::ids::{NodeId, TopicId, TopicName, TopicRef};
use crate::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateTopicsRequest {
    pub timeout: Duration,
    pub validate_only: bool,
    pub topics: Vec<CreatableTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreatableTopic {
    pub name: TopicName,
    /// -1: the broker's default, or what `assignments` says.
    pub num_partitions: i32,
    pub replication_factor: i16,
    /// Replicas by partition index; empty: the controller places them.
    pub assignments: Vec<(i32, Vec<NodeId>)>,
    pub configs: Vec<(Arc<str>, Option<Arc<str>>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreateTopicsResponse {
    pub topics: Vec<CreatedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreatedTopic {
    pub name: TopicName,
    pub id: TopicId,
    pub error: ErrorCode,
    pub message: Option<String>,
    pub num_partitions: i32,
    pub replication_factor: i16,
    pub configs: Vec<ConfigEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteTopicsRequest {
    pub timeout: Duration,
    pub topics: Vec<TopicRef>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteTopicsResponse {
    pub topics: Vec<DeletedTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeletedTopic {
    pub topic: TopicRef,
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreatePartitionsRequest {
    pub timeout: Duration,
    pub validate_only: bool,
    pub topics: Vec<CreatePartitionsTopic>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreatePartitionsTopic {
    pub name: TopicName,
    /// The new total.
    pub count: i32,
    /// Replicas of each new partition; none: the controller places them.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CreatePartitionsResponse {
    pub topics: Vec<(TopicName, ErrorCode, Option<String>)>,
}

/// What a config belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    Topic(TopicName),
    /// None: the default of all brokers.
    Broker(Option<NodeId>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeConfigsRequest {
    pub resources: Vec<(ConfigResource, Option<Vec<Arc<str>>>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeConfigsResponse {
    pub resources: Vec<DescribedConfigs>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribedConfigs {
    pub resource: ConfigResource,
    pub error: ErrorCode,
    pub configs: Vec<ConfigEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConfigEntry {
    pub name: Arc<str>,
    pub value: Arc<str>,
    pub source: ConfigSource,
}

/// Where a config's value comes from; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigSource {
    /// 1
    Topic,
    /// 2
    Broker,
    /// 4
    Static,
    /// 5
    Default,
}

/// IncrementalAlterConfigs (44), and AlterConfigs (33) put in its terms by [`replacing`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterConfigsRequest {
    pub validate_only: bool,
    pub resources: Vec<(ConfigResource, Vec<AlterConfig>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterConfig {
    pub name: Arc<str>,
    pub change: ConfigChange,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigChange {
    Set(Arc<str>),
    Delete,
    /// Adds to a list.
    Append(Arc<str>),
    /// Takes from a list.
    Subtract(Arc<str>),
}

/// AlterConfigs (33): sets what is named, and takes everything else back to its default.
#[must_use]
pub fn replacing(
    resource: ConfigResource,
    named: Vec<(Arc<str>, Arc<str>)>,
) -> (ConfigResource, Vec<AlterConfig>) {
    let brokers: &[&str] = match &resource {
        ConfigResource::Topic(_) => &[],
        ConfigResource::Broker(_) => BrokerConfig::NAMES,
    };
    let all = TopicConfig::NAMES.iter().chain(brokers);
    let others = all.filter(|name| named.iter().all(|(set, _)| **set != ***name));
    let others: Vec<Arc<str>> = others.map(|name| (*name).into()).collect();
    let set = named.into_iter().map(|(name, value)| (name, ConfigChange::Set(value)));
    let deleted = others.into_iter().map(|name| (name, ConfigChange::Delete));
    let changes = set.chain(deleted).map(|(name, change)| AlterConfig { name, change });
    (resource, changes.collect())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterConfigsResponse {
    pub resources: Vec<(ConfigResource, ErrorCode, Option<String>)>,
}

/// AlterPartitionReassignments (45, KIP-455).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterReassignmentsRequest {
    pub timeout: Duration,
    /// New replicas, or none to cancel what is under way.
    pub partitions: Vec<(TopicName, i32, Option<Vec<NodeId>>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterReassignmentsResponse {
    pub error: ErrorCode,
    pub partitions: Vec<(TopicName, i32, ErrorCode)>,
}

/// ListPartitionReassignments (46).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListReassignmentsRequest {
    /// None: all that are under way.
    pub partitions: Option<Vec<(TopicName, i32)>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListReassignmentsResponse {
    pub error: ErrorCode,
    pub partitions: Vec<OngoingReassignment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OngoingReassignment {
    pub topic: TopicName,
    pub partition: i32,
    pub replicas: Vec<NodeId>,
    pub adding: Vec<NodeId>,
    pub removing: Vec<NodeId>,
}

/// ElectLeaders (43).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ElectLeadersRequest {
    pub election: Election,
    /// None: all partitions.
    pub partitions: Option<Vec<(TopicName, i32)>>,
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Election {
    Preferred,
    Unclean,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ElectLeadersResponse {
    pub error: ErrorCode,
    pub partitions: Vec<(TopicName, i32, ErrorCode)>,
}
