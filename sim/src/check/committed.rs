//! What has been committed to partitions.

use seedlog::ids::{Offset, PartitionId};
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::record::BatchHeader;

use super::Checkers;
use super::ghost::GhostBatch;
use super::payload::RecordId;
use super::transaction::Closed;

impl Checkers {
    /// A leader's high watermark has passed these batches, the first to do so.
    pub(super) fn log_committed(&mut self, id: PartitionId, fresh: &[GhostBatch]) {
        if fresh.is_empty() || self.partitions.get(&id).is_none_or(|ghost| ghost.excused) {
            return;
        }
        let kind = seedlog::coordinator::kind_of(&self.image, id);
        for batch in fresh {
            let Ok(header) = BatchHeader::parse(&batch.bytes) else { continue };
            if kind == Some(CoordinatorKind::Transaction) {
                self.decisions_committed(id.partition, batch);
            } else {
                let closed = self.batch_committed(id, batch, &header);
                if kind == Some(CoordinatorKind::Group) {
                    self.offsets_committed(id, batch, &header, closed.as_ref());
                }
            }
        }
        if kind.is_none() {
            self.show(id);
        }
    }

    /// Gives the end of a transaction, if it is one.
    fn batch_committed(
        &mut self,
        id: PartitionId,
        batch: &GhostBatch,
        header: &BatchHeader,
    ) -> Option<Closed> {
        let Checkers { settings, tally, partitions, ledger, reborn, image, .. } = self;
        let (transactions, applications) = (&mut self.transactions, &self.applications);
        let partition = partitions.get_mut(&id)?;
        let from_birth = !reborn.contains_key(&id.topic);
        let sequences = (settings.sequence_max, from_birth);
        partition.sessions.committed(id, batch, header, sequences, tally);
        let named = image.topics.get(&id.topic).map(|topic| (topic.name.clone(), id.partition));
        let derived = named.as_ref().is_some_and(|(name, _)| applications.derives(name));
        let records: Vec<(RecordId, Offset)> =
            if derived { Vec::new() } else { RecordId::in_batch(&batch.bytes).collect() };
        ledger.committed(id, &records, settings.promises, tally);
        let closed =
            transactions.committed((id, named.as_ref()), batch, header, &records, tally)?;
        if let (true, Some(open), Some(at)) = (closed.commit, &closed.open, closed.decided) {
            let range = (id, open.first, closed.marker);
            self.cycles.wrote((closed.producer, at), range, tally);
        }
        Some(closed)
    }
}
