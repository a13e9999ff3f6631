//! A group's offsets: what is committed, and what open transactions are about to commit.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::defect::{Defect, Defects};
use crate::ids::{LeaderEpoch, Offset, ProducerId, TopicId, TopicName};
use crate::metadata::Image;
use crate::time::Timestamp;

pub(super) type Partition = (TopicName, i32);

/// An offset with the record that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// The topic's incarnation; [`TopicId::ZERO`] in logs of brokers that did not write it down.
    pub topic_id: TopicId,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
    pub metadata: Arc<str>,
    /// When it was committed.
    pub timestamp: Timestamp,
    /// Where its record is in the coordinator's log.
    pub at: Offset,
}

impl Commit {
    /// Whether it is about the topic that has the name now, and not about one before it.
    #[must_use]
    pub fn is_of(&self, topic: &TopicName, image: &Image) -> bool {
        let now = image.names.get(topic);
        now.is_some_and(|id| self.topic_id == TopicId::ZERO || self.topic_id == *id)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    pub committed: BTreeMap<Partition, Commit>,
    /// Staged by producers whose transactions are open.
    pub pending: BTreeMap<ProducerId, BTreeMap<Partition, Commit>>,
}

impl Offsets {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    /// Whether an open transaction is about to commit an offset for the partition.
    #[must_use]
    pub fn is_unstable(&self, partition: &Partition) -> bool {
        self.pending.values().any(|staged| staged.contains_key(partition))
    }

    /// Partitions of which all that is known is about topics that were deleted.
    pub fn of_deleted(&self, image: &Image) -> BTreeSet<Partition> {
        let all = || self.committed.iter().chain(self.pending.values().flatten());
        let is_of = |(partition, commit): &(&Partition, &Commit)| commit.is_of(&partition.0, image);
        let living: BTreeSet<&Partition> = all().filter(is_of).map(|(key, _)| key).collect();
        all().map(|(key, _)| key).filter(|key| !living.contains(key)).cloned().collect()
    }

    pub fn commit(&mut self, partition: Partition, commit: Commit) {
        self.committed.insert(partition, commit);
    }

    pub fn stage(&mut self, producer: ProducerId, partition: Partition, commit: Commit) {
        self.pending.entry(producer).or_default().insert(partition, commit);
    }

    /// Forgets the partition, and what was staged for it: those records come before its removal.
    pub fn remove(&mut self, partition: &Partition) {
        self.committed.remove(partition);
        self.pending.retain(|_, staged| {
            staged.remove(partition);
            !staged.is_empty()
        });
    }

    /// A producer's transaction ends. Gives what it has changed.
    pub fn end_transaction(
        &mut self,
        producer: ProducerId,
        commit: bool,
        defects: Defects,
    ) -> Vec<(Partition, Commit)> {
        let staged = self.pending.remove(&producer).unwrap_or_default();
        let mut applied = Vec::new();
        for (partition, staged) in staged.into_iter().filter(|_| commit) {
            let newer = self.committed.get(&partition).is_some_and(|old| old.at > staged.at);
            // KAFKA-14505: the marker says that it holds, not when it was said.
            if defects.has(Defect::TxnOffsetLastWins) || !newer {
                self.commit(partition.clone(), staged.clone());
                applied.push((partition, staged));
            }
        }
        applied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: i64) -> Commit {
        Commit {
            topic_id: TopicId::ZERO,
            offset: Offset(100 + at),
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
            timestamp: Timestamp(0),
            at: Offset(at),
        }
    }

    fn partition() -> Partition {
        ("orders".into(), 0)
    }

    const PRODUCER: ProducerId = ProducerId(7);

    #[test]
    fn a_marker_applies_what_was_staged_and_an_abort_drops_it() {
        for (commit, expected) in [(true, 5), (false, 1)] {
            let mut offsets = Offsets::default();
            offsets.commit(partition(), at(1));
            offsets.stage(PRODUCER, partition(), at(5));
            assert!(offsets.is_unstable(&partition()));
            let applied = offsets.end_transaction(PRODUCER, commit, Defects::NONE);
            assert_eq!(applied.len(), usize::from(commit));
            assert_eq!(offsets.committed[&partition()], at(expected));
            assert!(offsets.pending.is_empty());
        }
    }

    #[test]
    fn a_commit_behind_a_staged_one_in_the_log_survives_the_marker() {
        let wrong = Defects::NONE.with(Defect::TxnOffsetLastWins);
        for (defects, expected) in [(Defects::NONE, 6), (wrong, 5)] {
            let mut offsets = Offsets::default();
            offsets.stage(PRODUCER, partition(), at(5));
            offsets.commit(partition(), at(6));
            offsets.end_transaction(PRODUCER, true, defects);
            assert_eq!(offsets.committed[&partition()], at(expected));
        }
    }

    #[test]
    fn a_removed_partition_loses_what_was_staged_before() {
        let mut offsets = Offsets::default();
        offsets.stage(PRODUCER, partition(), at(5));
        offsets.remove(&partition());
        assert!(offsets.is_empty());
        assert_eq!(offsets.end_transaction(PRODUCER, true, Defects::NONE), []);
    }
}
