//! The state that the metadata log adds up to.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{Hash as _, Hasher as _};

use rustc_hash::FxHasher;

use crate::config::TopicConfig;
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
    /// What the configs add up to for this topic; follows from [`Image::configs`].
    pub config: Arc<TopicConfig>,
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

    /// The settings in force for a topic.
    #[must_use]
    pub fn topic_config(&self, id: TopicId) -> Option<&Arc<TopicConfig>> {
        self.topics.get(&id).map(|topic| &topic.config)
    }

    /// Whether a broker is registered, not fenced and not shutting down: only such a one may join
    /// an ISR or lead (KIP-841).
    #[must_use]
    pub fn is_active(&self, node: NodeId) -> bool {
        self.brokers.get(&node).is_some_and(BrokerImage::is_active)
    }

    /// All partitions, by topic id and index.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Arc<PartitionImage>)> {
        self.topics.iter().flat_map(|(topic, image)| {
            (0..)
                .zip(&image.partitions)
                .map(|(partition, state)| (PartitionId { topic: *topic, partition }, state))
        })
    }

    /// A hash of the whole state: equal states have equal digests, on any machine.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.brokers.hash(&mut hasher);
        for (id, topic) in &self.topics {
            id.hash(&mut hasher);
            topic.name.hash(&mut hasher);
            topic.partitions.hash(&mut hasher);
        }
        self.configs.hash(&mut hasher);
        self.next_producer_id.hash(&mut hasher);
        hasher.finish()
    }

    /// Panics if the image contradicts itself (PROTOCOL's R7, as far as one image shows it).
    ///
    /// # Panics
    /// See above.
    pub fn check(&self) {
        assert_eq!(self.names.len(), self.topics.len(), "each topic has one name");
        for (name, id) in &self.names {
            assert_eq!(self.topics[id].name, *name, "names and topics agree");
        }
        for (id, partition) in self.partitions() {
            partition.check(id);
        }
    }
}

impl BrokerImage {
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

impl PartitionImage {
    /// `min.insync.replicas` as it binds this partition: never more than there are replicas.
    #[must_use]
    pub fn min_isr(&self, config: &TopicConfig) -> usize {
        let wanted = usize::try_from(config.min_insync_replicas).expect("a u32 fits usize");
        wanted.min(self.replicas.len())
    }

    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    fn check(&self, id: PartitionId) {
        assert!(!self.replicas.is_empty(), "{id} has replicas");
        for (what, nodes) in [("isr", &self.isr), ("elr", &self.elr), ("adding", &self.adding)] {
            let inside = nodes.iter().all(|node| self.replicas.contains(node));
            assert!(inside, "{id}: {what} is within the replicas");
        }
        assert!(!self.isr.iter().any(|node| self.elr.contains(node)), "{id}: isr and elr differ");
        assert!(
            self.leader == NodeId::NONE || self.isr.contains(&self.leader),
            "{id}: the leader is in the isr"
        );
    }
}

#[cfg(test)]
mod tests;
