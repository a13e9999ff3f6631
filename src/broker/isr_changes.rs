//! AlterPartition requests: proposals of all partitions in one request, one request at a time.
//!
//! After Kafka's `AlterPartitionManager` (KIP-497).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::PartitionId;
use crate::message::partition::AlterPartition;
use crate::time::Instant;

/// The proposals that wait, and those that are with the controller.
#[derive(Clone, Debug, Default)]
pub(super) struct IsrChanges {
    waiting: BTreeMap<PartitionId, AlterPartition>,
    in_flight: Vec<AlterPartition>,
    /// The first of those that wait came then.
    since: Instant,
}

impl IsrChanges {
    /// Takes a leader's newest proposal for its partition; an older one that waits is obsolete.
    pub(super) fn propose(&mut self, now: Instant, proposal: AlterPartition) {
        if self.waiting.is_empty() {
            self.since = now;
        }
        self.waiting.insert(proposal.partition, proposal);
    }

    /// When the next request is due; none while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.waiting.is_empty() && self.in_flight.is_empty()).then_some(self.since)
    }

    /// All that wait; they count as sent.
    pub(super) fn send(&mut self) -> Vec<AlterPartition> {
        assert!(self.in_flight.is_empty(), "one request at a time");
        self.in_flight = core::mem::take(&mut self.waiting).into_values().collect();
        self.in_flight.clone()
    }

    /// The controller answered, or never will: gives what was asked, each for its leader to hear.
    pub(super) fn take_sent(&mut self) -> Vec<AlterPartition> {
        core::mem::take(&mut self.in_flight)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::ids::{LeaderEpoch, PartitionEpoch, TopicId};
    use crate::message::partition::LeaderRecovery;

    fn proposal(partition: i32, epoch: i32) -> AlterPartition {
        AlterPartition {
            partition: PartitionId { topic: TopicId::ZERO, partition },
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(epoch),
            new_isr: vec![],
            recovery: LeaderRecovery::Recovered,
        }
    }

    #[test]
    fn one_request_at_a_time_carries_all_proposals() {
        let (mut changes, now) = (IsrChanges::default(), Instant::ZERO);
        assert_eq!(changes.due(), None);
        changes.propose(now, proposal(0, 1));
        changes.propose(now, proposal(1, 0));
        changes.propose(now, proposal(1, 1));
        assert_eq!(changes.due(), Some(now));
        assert_eq!(changes.send(), [proposal(0, 1), proposal(1, 1)], "the newer wish counts");
        changes.propose(now, proposal(1, 2));
        assert_eq!(changes.due(), None, "one is under way");
        assert_eq!(changes.take_sent().len(), 2);
        assert_eq!(changes.send(), [proposal(1, 2)]);
    }
}
