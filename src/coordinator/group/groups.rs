//! One group: its offsets, and who is in it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::classic::Classic;
use super::consumer::Consumer;
use super::offsets::{Commit, Offsets, Partition};
use super::record::{ConsumerRecord, Record};
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{Offset, ProducerId};
use crate::message::commit::Committer;

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub offsets: Offsets,
    pub kind: Kind,
    /// The end of the last record that says anything of it.
    pub end: Offset,
}

/// Which protocol its members speak. A group that only has offsets is a classic one.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Classic(Classic),
    /// KIP-848.
    Consumer(Consumer),
}

/// All groups of a coordinator.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    by_name: Arc<BTreeMap<Arc<str>, Arc<Group>>>,
    /// Where producers have staged offsets.
    open: Arc<BTreeMap<ProducerId, BTreeSet<Arc<str>>>>,
}

impl Default for Kind {
    fn default() -> Self {
        Kind::Classic(Classic::default())
    }
}

impl Kind {
    /// Applies a record of the KIP-848 protocol, which makes a group one of it unless it removes.
    fn apply(&mut self, record: &ConsumerRecord, defects: Defects) {
        match self {
            // The group goes with its epoch.
            Kind::Consumer(_) if matches!(record, ConsumerRecord::Epoch(None)) => {
                *self = Kind::default();
            }
            Kind::Consumer(consumer) => consumer.apply(record, defects),
            Kind::Classic(_) if record.removes() => {}
            Kind::Classic(_) => {
                let mut consumer = Consumer::default();
                consumer.apply(record, defects);
                *self = Kind::Consumer(consumer);
            }
        }
    }
}

impl Group {
    /// Whether somebody may commit offsets for this group (KIP-447 for transactions).
    ///
    /// # Errors
    /// What the committer is answered.
    pub fn check_commit(&self, by: &Committer, transactional: bool) -> Result<(), ErrorCode> {
        match &self.kind {
            Kind::Classic(classic) => classic.check_commit(by, transactional),
            Kind::Consumer(consumer) => consumer.check_commit(by, transactional),
        }
    }

    /// Whether it has nobody in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.is_empty(),
            Kind::Consumer(consumer) => consumer.members.is_empty(),
        }
    }

    /// Whether a member may want the topic.
    #[must_use]
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.is_subscribed(topic),
            Kind::Consumer(consumer) => consumer.is_subscribed(topic),
        }
    }

    /// Whether nothing would be lost without it.
    fn is_nothing(&self) -> bool {
        let nobody = match &self.kind {
            Kind::Classic(classic) => classic.is_nothing(),
            Kind::Consumer(_) => false,
        };
        nobody && self.offsets.is_empty()
    }
}

impl Groups {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Group> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Group> {
        if !self.by_name.contains_key(name) {
            return None;
        }
        Arc::make_mut(&mut self.by_name).get_mut(name).map(Arc::make_mut)
    }

    pub fn get_or_new(&mut self, name: &Arc<str>) -> &mut Group {
        let by_name = Arc::make_mut(&mut self.by_name);
        Arc::make_mut(by_name.entry(name.clone()).or_default())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Group)> {
        self.by_name.iter().map(|(name, group)| (name, group.as_ref()))
    }

    /// Drops a group that nothing is left of.
    pub fn tidy(&mut self, name: &str) {
        if self.get(name).is_some_and(Group::is_nothing) {
            Arc::make_mut(&mut self.by_name).remove(name);
        }
    }

    /// Applies the record at `at`, which `producer`'s transaction stages if there is one.
    pub fn apply(
        &mut self,
        record: Record,
        at: Offset,
        producer: Option<ProducerId>,
        defects: Defects,
    ) {
        let name = record.group().clone();
        let group = self.get_or_new(&name);
        group.end = at.next();
        match record {
            Record::Offset { topic, partition, value: None, .. } => {
                group.offsets.remove(&(topic, partition));
            }
            Record::Offset { topic, partition, value: Some(value), .. } => {
                let commit = Commit {
                    topic_id: value.topic_id,
                    offset: value.offset,
                    leader_epoch: value.leader_epoch,
                    metadata: value.metadata,
                    timestamp: value.timestamp,
                    at,
                };
                if let Some(producer) = producer {
                    group.offsets.stage(producer, (topic, partition), commit);
                    Arc::make_mut(&mut self.open).entry(producer).or_default().insert(name.clone());
                } else {
                    group.offsets.commit((topic, partition), commit);
                }
            }
            Record::Classic { value, .. } => {
                group.kind =
                    Kind::Classic(value.as_ref().map_or_else(Classic::default, Classic::load));
            }
            Record::Consumer { record, .. } => group.kind.apply(&record, defects),
        }
        self.tidy(&name);
    }

    /// The marker at `at` ends a producer's transaction. Gives the offsets that hold from then on.
    pub fn end_transaction(
        &mut self,
        producer: ProducerId,
        commit: bool,
        at: Offset,
        defects: Defects,
    ) -> Vec<(Arc<str>, Partition, Commit)> {
        if !self.open.contains_key(&producer) {
            return Vec::new();
        }
        let names = Arc::make_mut(&mut self.open).remove(&producer).unwrap_or_default();
        let mut applied = Vec::new();
        for name in names {
            let Some(group) = self.get_mut(&name) else { continue };
            group.end = at.next();
            for (partition, commit) in group.offsets.end_transaction(producer, commit, defects) {
                applied.push((name.clone(), partition, commit));
            }
            self.tidy(&name);
        }
        applied
    }

    /// Internal invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        for (name, group) in self.iter() {
            for producer in group.offsets.pending.keys() {
                let known = self.open.get(producer).is_some_and(|names| names.contains(name));
                assert!(known, "the producer of a staged offset is known");
            }
            match &group.kind {
                Kind::Classic(classic) => classic.check(),
                Kind::Consumer(consumer) => consumer.check(),
            }
        }
    }
}
