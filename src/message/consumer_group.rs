//! KIP-848's group protocol, in which the coordinator assigns: ConsumerGroupHeartbeat (68) and
//! ConsumerGroupDescribe (69).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{TopicId, TopicName};
use crate::time::Duration;

/// Partitions of one topic after another.
pub type TopicPartitions = Vec<(TopicId, Vec<i32>)>;

/// A heartbeat says what changed at the member; none means "as before".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerGroupHeartbeatRequest {
    pub group: Arc<str>,
    /// Made by the client.
    pub member: Arc<str>,
    /// 0: joins; -1: leaves; -2: a static member leaves for a while.
    pub member_epoch: i32,
    pub instance: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    /// The client's own name, for people.
    pub client_id: Arc<str>,
    /// Where it calls from, for people; empty if the driver does not know.
    pub client_host: Arc<str>,
    pub rebalance_timeout: Option<Duration>,
    pub subscribed_topics: Option<Vec<TopicName>>,
    /// A pattern in RE2's syntax.
    pub subscribed_regex: Option<Arc<str>>,
    /// `uniform` or `range`; none: the group's default.
    pub assignor: Option<Arc<str>>,
    /// What the member holds.
    pub owned: Option<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerGroupHeartbeatResponse {
    pub error: ErrorCode,
    pub message: Option<Arc<str>>,
    pub member: Option<Arc<str>>,
    pub member_epoch: i32,
    pub heartbeat_interval: Duration,
    /// What the member shall hold; none: as before.
    pub assignment: Option<TopicPartitions>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerGroupDescribeRequest {
    pub groups: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerGroupDescribeResponse {
    pub groups: Vec<DescribedConsumerGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribedConsumerGroup {
    pub group: Arc<str>,
    /// GROUP_ID_NOT_FOUND for an unknown group and for a classic one.
    pub error: ErrorCode,
    /// `Empty`, `Assigning`, `Reconciling`, `Stable`.
    pub state: Arc<str>,
    pub group_epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: Arc<str>,
    pub members: Vec<DescribedConsumerMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribedConsumerMember {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub member_epoch: i32,
    pub subscribed_topics: Vec<TopicName>,
    pub assignment: Vec<(TopicId, TopicName, Vec<i32>)>,
    pub target: Vec<(TopicId, TopicName, Vec<i32>)>,
}
