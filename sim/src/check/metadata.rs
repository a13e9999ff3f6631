//! What has been committed to the metadata log: the oracle's own image follows it.

use std::collections::{BTreeMap, BTreeSet};

use seedlog::ids::{NodeId, Offset, PartitionId};
use seedlog::metadata::{BrokerImage, MetadataRecord, PartitionImage};
use seedlog::record;

use super::ghost::GhostBatch;
use super::tally::Check;
use super::{Birth, Checkers};

/// Whether a leader comes from outside of ISR and ELR where that is allowed: by the topic's config,
/// or as the last known leader of a partition that has neither any more (KIP-966). `restarted` are
/// those whose new incarnations registered in the same step: that takes them out of both
/// (`disk_faults` with the atlas off, seed 7).
fn elected_unclean(
    allowed: bool,
    old: &PartitionImage,
    new: &PartitionImage,
    restarted: &BTreeSet<NodeId>,
) -> bool {
    let elected = new.leader != NodeId::NONE && new.leader != old.leader;
    let candidate = old.isr.contains(&new.leader) || old.elr.contains(&new.leader);
    let nobody = old.isr.iter().chain(&*old.elr).all(|node| restarted.contains(node));
    let last_known = nobody && old.last_known_elr.first() == Some(&new.leader);
    elected && !candidate && (allowed || last_known)
}

impl Checkers {
    /// A broker has just learned its epoch: from now on it counts as a candidate.
    pub(super) fn check_broker(&mut self, node: NodeId) {
        let candidate: Vec<PartitionId> = self
            .image
            .partitions()
            .filter(|(_, image)| image.isr.contains(&node) || image.elr.contains(&node))
            .map(|(id, _)| id)
            .collect();
        for id in candidate {
            self.with_partition(id, |partition, around, tally| {
                partition.check_candidates(around, tally);
            });
        }
    }

    /// Applies committed metadata records to the oracle's own image, a batch at once.
    pub(super) fn metadata_committed(&mut self, fresh: &[GhostBatch]) {
        for batch in fresh {
            let mut touched: BTreeMap<PartitionId, Option<PartitionImage>> = BTreeMap::new();
            let mut restarted = BTreeSet::new();
            for record in record::records(&batch.bytes).unwrap_or_default() {
                let Some(value) = record.value else { continue };
                let Ok(change) = MetadataRecord::decode(&value) else { continue };
                let contradiction = self.image.contradiction(&change, record.offset);
                self.tally.expect(Check::StateMachineAgreement, contradiction.is_none(), || {
                    let rule = contradiction.unwrap_or_default();
                    format!("metadata record {}: {rule}: {change:?}", record.offset)
                });
                if contradiction.is_some() {
                    continue;
                }
                self.before_change(&change, record.offset, &mut touched);
                if let MetadataRecord::RegisterBroker { node, .. } = &change {
                    restarted.insert(*node);
                }
                let _changed = self.image.apply(&change, record.offset);
            }
            for (id, old) in touched {
                self.registration_changed(id, old.as_ref(), &restarted);
            }
        }
    }

    /// Remembers what a record is about to change.
    fn before_change(
        &mut self,
        change: &MetadataRecord,
        at: Offset,
        touched: &mut BTreeMap<PartitionId, Option<PartitionImage>>,
    ) {
        match change {
            MetadataRecord::Partition { id, .. } | MetadataRecord::PartitionChange { id, .. } => {
                let old = self.image.partition(*id).map(|partition| (**partition).clone());
                touched.entry(*id).or_insert(old);
            }
            MetadataRecord::RegisterBroker { node, epoch, incarnation, .. } => {
                let old = self.image.brokers.get(node);
                // KIP-631: a registration that comes again keeps its epoch, and is no record.
                let next =
                    |old: &BrokerImage| old.epoch <= *epoch && old.incarnation != *incarnation;
                self.tally.expect(Check::EpochsMonotone, old.is_none_or(next), || {
                    format!("broker {node}: incarnation {incarnation} gets {epoch} after {old:?}")
                });
            }
            MetadataRecord::Topic { name, id } => {
                if !self.names.insert(name.clone()) {
                    self.reborn.insert(*id, Birth { event: self.tally.event(), at });
                }
            }
            MetadataRecord::RemoveTopic { id } => {
                self.reborn.remove(id);
                self.partitions.retain(|partition, _| partition.topic != *id);
                self.topic_gone(*id);
            }
            MetadataRecord::UnregisterBroker { .. }
            | MetadataRecord::BrokerChange { .. }
            | MetadataRecord::Config { .. }
            | MetadataRecord::ProducerIds { .. }
            | MetadataRecord::NoOp => {}
        }
    }

    fn registration_changed(
        &mut self,
        id: PartitionId,
        old: Option<&PartitionImage>,
        restarted: &BTreeSet<NodeId>,
    ) {
        let elr_enabled = self.settings.elr_enabled;
        let allowed = self.image.topic_config(id.topic).is_some_and(|c| c.unclean_leader_election);
        let both = self.image.partition(id).zip(old);
        let unclean = both.filter(|(new, old)| elected_unclean(allowed, old, new, restarted));
        let unclean = unclean.map(|(new, _)| new.leader);
        let brokers = &self.image.brokers;
        let fenced_now: Vec<NodeId> =
            brokers.iter().filter(|(_, broker)| broker.fenced).map(|(node, _)| *node).collect();
        self.with_partition(id, |partition, around, tally| {
            if let Some(leader) = unclean {
                partition.elected_unclean(leader);
            }
            let fenced = |node: NodeId| fenced_now.contains(&node);
            partition.registered(old, around, &fenced, elr_enabled, tally);
        });
    }
}
