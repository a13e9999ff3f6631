//! Markers on their way: what each decided transaction still has to write to its partitions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::coordinator::transaction::entry::Entry;
use crate::error::ErrorCode;
use crate::event::TransactionState;
use crate::ids::{LeaderEpoch, ProducerEpoch, ProducerId, TopicName, TopicRef};
use crate::message::transaction::{TransactionVersion, TxnMarker};

/// Who a marker is for: the transactional id, and the epoch in which it ends.
pub type MarkerKey = (Arc<str>, ProducerEpoch);

/// A marker for one partition, for the broker to deliver to its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerErrand {
    /// The partition of `__transaction_state` whose coordinator decided.
    pub shard: i32,
    pub key: MarkerKey,
    pub topic: TopicName,
    pub partition: i32,
    pub producer_id: ProducerId,
    pub commit: bool,
    pub coordinator_epoch: i32,
    pub version: TransactionVersion,
}

impl MarkerErrand {
    /// As it is sent.
    #[must_use]
    pub fn marker(&self) -> TxnMarker {
        TxnMarker {
            producer_id: self.producer_id,
            producer_epoch: self.key.1,
            commit: self.commit,
            coordinator_epoch: self.coordinator_epoch,
            partitions: alloc::vec![(TopicRef::Name(self.topic.clone()), self.partition)],
            version: self.version,
        }
    }
}

/// What became of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Written,
    /// Not now: deliver it again, to whoever leads then.
    Again,
    /// Somebody else coordinates, or the producer went on: nothing of it is to be delivered.
    Cancelled,
}

impl Delivery {
    /// What a leader's answer means.
    #[must_use]
    pub fn of(error: ErrorCode) -> Self {
        if error.is_ok() {
            return Delivery::Written;
        }
        let fenced = [ErrorCode::InvalidProducerEpoch, ErrorCode::TransactionCoordinatorFenced];
        if fenced.contains(&error) { Delivery::Cancelled } else { Delivery::Again }
    }
}

/// All of a coordinator's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Markers {
    waiting: BTreeMap<Arc<str>, Waiting>,
    /// Not handed to the broker yet.
    fresh: Vec<MarkerErrand>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    epoch: ProducerEpoch,
    partitions: BTreeSet<(TopicName, i32)>,
}

impl Markers {
    /// A decision is durable: its partitions are to be told. True if there are none.
    pub(super) fn begin(
        &mut self,
        shard: i32,
        coordinator_epoch: LeaderEpoch,
        id: &Arc<str>,
        entry: &Entry,
    ) -> bool {
        let errand = |(topic, partition): &(TopicName, i32)| MarkerErrand {
            shard,
            key: (Arc::clone(id), entry.producer_epoch),
            topic: topic.clone(),
            partition: *partition,
            producer_id: entry.producer_id,
            commit: entry.state == TransactionState::PrepareCommit,
            coordinator_epoch: coordinator_epoch.0,
            version: entry.version,
        };
        self.fresh.extend(entry.partitions.iter().map(errand));
        if entry.partitions.is_empty() {
            return true;
        }
        let partitions = BTreeSet::clone(&entry.partitions);
        let waiting = Waiting { epoch: entry.producer_epoch, partitions };
        self.waiting.insert(Arc::clone(id), waiting);
        false
    }

    /// Takes what is to be delivered.
    pub(super) fn take_fresh(&mut self) -> Vec<MarkerErrand> {
        core::mem::take(&mut self.fresh)
    }

    /// One marker is written, or nothing of its transaction is to be any more. True if it was the
    /// last one that its transaction waited for.
    pub(super) fn delivered(
        &mut self,
        (id, epoch): &MarkerKey,
        partition: &(TopicName, i32),
        delivery: Delivery,
    ) -> bool {
        let Some(waiting) = self.waiting.get_mut(id).filter(|each| each.epoch == *epoch) else {
            return false;
        };
        match delivery {
            Delivery::Written => {
                waiting.partitions.remove(partition);
            }
            Delivery::Again => return false,
            Delivery::Cancelled => {
                self.waiting.remove(id);
                return false;
            }
        }
        if waiting.partitions.is_empty() {
            self.waiting.remove(id);
            return true;
        }
        false
    }

    /// Whether a transaction's markers are still under way.
    pub(super) fn is_waiting(&self, id: &str) -> bool {
        self.waiting.contains_key(id)
    }
}
