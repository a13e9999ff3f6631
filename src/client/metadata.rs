//! What a client knows of the cluster: brokers, and who leads which partition.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{Endpoint, LeaderEpoch, NodeId, TopicId, TopicName, TopicRef};
use crate::message::metadata::{MetadataResponse, PartitionInfo, TopicInfo};

/// The newest answers, merged so that no leader epoch ever goes back (KIP-320).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Some broker that forwards what only the controller can do.
    pub controller: NodeId,
    pub brokers: BTreeMap<NodeId, Endpoint>,
    topics: BTreeMap<TopicName, TopicMetadata>,
    /// Names that no topic can have, by what a broker last said.
    refused: BTreeSet<TopicName>,
}

/// A topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    pub id: TopicId,
    /// By partition index.
    pub partitions: Vec<Leader>,
}

/// Who leads a partition: [`NodeId::NONE`] if nobody is known to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    pub node: NodeId,
    pub epoch: LeaderEpoch,
}

impl Leader {
    const NONE: Leader = Leader { node: NodeId::NONE, epoch: LeaderEpoch::NONE };
}

impl Default for Metadata {
    fn default() -> Self {
        Metadata {
            controller: NodeId::NONE,
            brokers: BTreeMap::new(),
            topics: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }
}

impl TopicMetadata {
    /// How requests of the newest versions name the topic (KIP-516); by name where the broker knows
    /// no ids.
    #[must_use]
    pub fn reference(&self, name: &TopicName) -> TopicRef {
        if self.id == TopicId::ZERO { TopicRef::Name(name.clone()) } else { TopicRef::Id(self.id) }
    }
}

impl Metadata {
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.get(name)
    }

    /// Whether a broker refuses the name itself: to wait for such a topic is in vain.
    #[must_use]
    pub fn refuses(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    /// The leader of a partition, if somebody leads it and its address is known.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<Leader> {
        let index = usize::try_from(partition).ok()?;
        let leader = *self.topics.get(topic)?.partitions.get(index)?;
        self.brokers.contains_key(&leader.node).then_some(leader)
    }

    /// Merges an answer; true if it told something new.
    pub fn update(&mut self, response: &MetadataResponse) -> bool {
        let mut next = Metadata { controller: response.controller, ..Metadata::default() };
        next.brokers =
            response.brokers.iter().map(|broker| (broker.node, broker.endpoint.clone())).collect();
        if next.brokers.is_empty() {
            // A broker that does not know its cluster yet: keep asking others.
            return false;
        }
        core::mem::swap(&mut next.topics, &mut self.topics);
        core::mem::swap(&mut next.refused, &mut self.refused);
        let mut changed = self.brokers != next.brokers || self.controller != next.controller;
        for info in &response.topics {
            changed |= next.update_topic(info);
        }
        *self = next;
        changed
    }

    fn update_topic(&mut self, info: &TopicInfo) -> bool {
        let Some(name) = &info.name else { return false };
        if info.error == ErrorCode::InvalidTopicException {
            return self.refused.insert(name.clone());
        }
        self.refused.remove(name);
        if matches!(info.error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId) {
            return self.topics.remove(name).is_some();
        }
        if !info.error.is_ok() {
            return false;
        }
        let known = self.topics.get(name).filter(|known| known.id == info.id);
        let mut partitions = Vec::with_capacity(info.partitions.len());
        for partition in &info.partitions {
            let Ok(index) = usize::try_from(partition.partition) else { continue };
            // The answer of a broker may be garbage or old; a hole in it is a partition without a
            // leader.
            if index > partitions.len() + info.partitions.len() {
                continue;
            }
            if index >= partitions.len() {
                partitions.resize(index + 1, Leader::NONE);
            }
            let old = known.and_then(|known| known.partitions.get(index));
            partitions[index] = newer(old, partition);
        }
        let topic = TopicMetadata { id: info.id, partitions };
        if known == Some(&topic) {
            return false;
        }
        self.topics.insert(name.clone(), topic);
        true
    }

    /// Takes a leader that a broker named in place of itself (KIP-951); true if that is news.
    pub fn hint(&mut self, topic: &str, partition: i32, node: NodeId, epoch: LeaderEpoch) -> bool {
        let Ok(index) = usize::try_from(partition) else { return false };
        let known = self.topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(index));
        match known {
            Some(leader) if leader.epoch < epoch && self.brokers.contains_key(&node) => {
                *leader = Leader { node, epoch };
                true
            }
            Some(_) | None => false,
        }
    }
}

/// KIP-320: a lagging broker must not send a client back to a leader that was deposed.
fn newer(old: Option<&Leader>, info: &PartitionInfo) -> Leader {
    match old {
        Some(old) if info.leader_epoch < old.epoch && info.leader_epoch != LeaderEpoch::NONE => {
            *old
        }
        Some(_) | None => Leader { node: info.leader, epoch: info.leader_epoch },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{metadata, with_topic};

    fn leader(metadata: &Metadata) -> Option<(i32, i32)> {
        metadata.leader("orders", 0).map(|leader| (leader.node.0, leader.epoch.0))
    }

    #[test]
    fn a_lagging_answer_does_not_bring_an_old_leader_back() {
        let mut known = Metadata::default();
        assert!(known.update(&metadata(&[(1, 5)])));
        assert!(!known.update(&metadata(&[(2, 4)])));
        assert_eq!(leader(&known), Some((1, 5)));
        assert!(known.update(&metadata(&[(2, 6)])));
        assert_eq!(leader(&known), Some((2, 6)));
    }

    #[test]
    fn a_topic_made_again_starts_with_new_epochs() {
        let mut known = Metadata::default();
        known.update(&metadata(&[(1, 5)]));
        assert!(known.update(&with_topic(metadata(&[(2, 0)]), 8)));
        assert_eq!(leader(&known), Some((2, 0)));
    }

    #[test]
    fn a_hint_counts_only_if_it_is_newer_and_reachable() {
        let mut known = Metadata::default();
        known.update(&metadata(&[(1, 5)]));
        assert!(!known.hint("orders", 0, NodeId(2), LeaderEpoch(5)));
        assert!(!known.hint("orders", 0, NodeId(77), LeaderEpoch(6)));
        assert!(!known.hint("orders", 9, NodeId(2), LeaderEpoch(6)));
        assert!(known.hint("orders", 0, NodeId(2), LeaderEpoch(6)));
        assert_eq!(leader(&known), Some((2, 6)));
    }

    #[test]
    fn a_deleted_topic_is_forgotten() {
        let mut known = Metadata::default();
        known.update(&metadata(&[(1, 5)]));
        let mut gone = metadata(&[]);
        gone.topics[0].error = ErrorCode::UnknownTopicOrPartition;
        assert!(known.update(&gone));
        assert_eq!(known.topic("orders"), None);
    }
}
