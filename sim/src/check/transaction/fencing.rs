//! Producers that were replaced: T8.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use seedlog::event::TransactionNote;
use seedlog::ids::{PartitionId, ProducerEpoch, ProducerId};
use seedlog::record::BatchHeader;

use super::super::ghost::GhostBatch;
use super::super::tally::{Check, Tally};

/// Producer ids remembered, the lowest forgotten first: ids are given in growing order.
const REMEMBERED: usize = 1 << 12;

/// What the successors of producers were given.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    /// The epoch that each producer id was last given with.
    epochs: BTreeMap<ProducerId, ProducerEpoch>,
    /// The producer id that each transactional id has in the coordinators' log.
    ids: BTreeMap<Arc<str>, ProducerId>,
    /// Producer ids that were given up, each for that other: their epochs had run out, or nobody
    /// knew their transactional id any more.
    replaced: BTreeMap<ProducerId, ProducerId>,
}

/// What fences a producer.
#[derive(Clone, Copy, Debug)]
enum Fence {
    Epoch(ProducerEpoch),
    Id(ProducerId),
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fence::Epoch(epoch) => write!(f, "epoch {epoch}"),
            Fence::Id(producer) => write!(f, "producer id {producer}"),
        }
    }
}

impl Fences {
    /// InitProducerId was answered.
    pub fn answered(&mut self, producer: ProducerId, epoch: ProducerEpoch) {
        let fence = self.epochs.entry(producer).or_insert(epoch);
        *fence = epoch.max(*fence);
        if self.epochs.len() > REMEMBERED {
            self.epochs.pop_first();
        }
    }

    /// The coordinators' log has a transactional id with that producer id. Every transaction of the
    /// one before is over by then.
    pub fn named(&mut self, note: &TransactionNote) {
        let producer = note.producer_id;
        if self.replaced.contains_key(&producer) {
            return;
        }
        let before = self.ids.insert(Arc::clone(&note.transactional_id), producer);
        if let Some(before) = before.filter(|before| *before != producer) {
            self.replaced.insert(before, producer);
        }
        if self.replaced.len() > REMEMBERED {
            self.replaced.pop_first();
        }
    }

    fn fence(&self, producer: ProducerId, epoch: ProducerEpoch) -> Option<Fence> {
        let by_id = self.replaced.get(&producer).copied().map(Fence::Id);
        let later = self.epochs.get(&producer).copied().filter(|given| epoch < *given);
        by_id.or(later.map(Fence::Epoch))
    }

    /// A transactional batch was committed. Markers stand between it and what was before the
    /// answer, so it came later.
    pub fn appended(
        &self,
        id: PartitionId,
        batch: &GhostBatch,
        header: &BatchHeader,
        tally: &mut Tally,
    ) {
        let (producer, epoch) = (header.producer_id, header.producer_epoch);
        let fence = self.fence(producer, epoch);
        tally.expect(Check::Fencing, fence.is_none(), || {
            let fence = fence.map(|fence| fence.to_string()).unwrap_or_default();
            format!(
                "{id}: producer {producer} adds {} with epoch {epoch}, after its successor was \
                 given {fence}",
                batch.describe()
            )
        });
    }

    /// A decision on a transaction was committed.
    pub fn decided(&self, note: &TransactionNote, tally: &mut Tally) {
        let fence = self.fence(note.producer_id, note.producer_epoch);
        tally.expect(Check::Fencing, fence.is_none(), || {
            let fence = fence.map(|fence| fence.to_string()).unwrap_or_default();
            format!(
                "{:?}: {:?} is decided with epoch {} of producer {}, after its successor was given \
                 {fence}",
                note.transactional_id, note.to, note.producer_epoch, note.producer_id
            )
        });
    }
}
