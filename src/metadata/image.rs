//! The state that the metadata log adds up to.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{
    BrokerEpoch, Endpoint, LeaderEpoch, NodeId, PartitionEpoch, PartitionId, ProducerId, TopicId,
    TopicName, Uuid,
};
use crate::message::admin::ConfigResource;
use crate::message::partition::LeaderRecovery;

/// Cluster metadata. Kept behind an `Arc` by those who hold it, so that a forked world shares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Image {
    pub brokers: BTreeMap<NodeId, BrokerImage>,
    pub topics: BTreeMap<TopicId, TopicImage>,
    pub names: BTreeMap<TopicName, TopicId>,
    pub configs: BTreeMap<ConfigResource, BTreeMap<Arc<str>, Arc<str>>>,
    pub next_producer_id: ProducerId,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerImage {
    pub epoch: BrokerEpoch,
    pub incarnation: Uuid,
    pub directory: Uuid,
    pub endpoint: Endpoint,
    pub rack: Option<Arc<str>>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicImage {
    pub name: TopicName,
    /// By partition index, without gaps.
    pub partitions: Vec<Arc<PartitionImage>>,
}

/// A partition's registration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionImage {
    /// In assignment order; the first is the preferred leader.
    pub replicas: Arc<[NodeId]>,
    pub isr: Arc<[NodeId]>,
    /// Eligible leader replicas (KIP-966).
    pub elr: Arc<[NodeId]>,
    pub last_known_elr: Arc<[NodeId]>,
    /// [`NodeId::NONE`] if nobody leads.
    pub leader: NodeId,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub recovery: LeaderRecovery,
    pub adding: Arc<[NodeId]>,
    pub removing: Arc<[NodeId]>,
}

impl Image {
    #[must_use]
    pub fn partition(&self, id: PartitionId) -> Option<&Arc<PartitionImage>> {
        let index = usize::try_from(id.partition).ok()?;
        self.topics.get(&id.topic)?.partitions.get(index)
    }
}
