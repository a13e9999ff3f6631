//! Producers that were replaced: T8.

use std::collections::BTreeMap;

use seedlog::event::TransactionNote;
use seedlog::ids::{PartitionId, ProducerEpoch, ProducerId};
use seedlog::record::BatchHeader;

use super::super::ghost::GhostBatch;
use super::super::tally::{Check, Tally};

/// Producer ids remembered, the lowest forgotten first: ids are given in growing order.
const REMEMBERED: usize = 1 << 12;

/// The epoch that each producer id was last given with.
#[derive(Clone, Debug, Default)]
pub struct Fences {
    epochs: BTreeMap<ProducerId, ProducerEpoch>,
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

    fn is_fenced(&self, producer: ProducerId, epoch: ProducerEpoch) -> Option<ProducerEpoch> {
        self.epochs.get(&producer).copied().filter(|fence| epoch < *fence)
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
        let fence = self.is_fenced(producer, epoch);
        tally.expect(Check::Fencing, fence.is_none(), || {
            let fence = fence.map(|fence| fence.to_string()).unwrap_or_default();
            format!(
                "{id}: producer {producer} adds {} with epoch {epoch}, after its successor was \
                 given epoch {fence}",
                batch.describe()
            )
        });
    }

    /// A decision on a transaction was committed.
    pub fn decided(&self, note: &TransactionNote, tally: &mut Tally) {
        let fence = self.is_fenced(note.producer_id, note.producer_epoch);
        tally.expect(Check::Fencing, fence.is_none(), || {
            let fence = fence.map(|fence| fence.to_string()).unwrap_or_default();
            format!(
                "{:?}: {:?} is decided with epoch {} of producer {}, after its successor was given \
                 epoch {fence}",
                note.transactional_id, note.to, note.producer_epoch, note.producer_id
            )
        });
    }
}
