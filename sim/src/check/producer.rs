//! Producer sessions along one partition's committed log: P1, P2, P5.

use std::collections::BTreeMap;

use seedlog::ids::{Offset, PartitionId, ProducerEpoch, ProducerId};
use seedlog::record::BatchHeader;

use super::ghost::GhostBatch;
use super::tally::{Check, Tally};

/// Producers of a partition that are remembered however old they are.
const REMEMBERED: usize = 64;

/// What each idempotent producer has committed in one partition.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    by_producer: BTreeMap<ProducerId, Session>,
    /// Some were forgotten: who is not known may have been here before.
    partial: bool,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    epoch: ProducerEpoch,
    /// The sequence that must come next.
    next: i32,
    /// Where its last batch is.
    last: Offset,
}

impl Sessions {
    /// A batch was committed. `sequence_max` is where sequences wrap to 0; `from_birth`: no session
    /// is older than the partition (else a first sequence may be any, as a broker without state for
    /// a producer accepts any).
    pub fn committed(
        &mut self,
        id: PartitionId,
        batch: &GhostBatch,
        header: &BatchHeader,
        (sequence_max, from_birth): (i32, bool),
        tally: &mut Tally,
    ) {
        if header.producer_id == ProducerId::NONE {
            return;
        }
        if header.is_control() || header.base_sequence < 0 {
            self.unnumbered(id, batch, header, tally);
            return;
        }
        let (epoch, first) = (header.producer_epoch, header.base_sequence);
        let known = self.by_producer.get(&header.producer_id).copied();
        let what = || {
            format!(
                "{id}: producer {} epoch {epoch} sequence {first} at {}, after {known:?}",
                header.producer_id,
                batch.describe()
            )
        };
        if let Some(session) = known {
            tally.expect(Check::ProducerEpochMonotone, epoch >= session.epoch, what);
        }
        // KAFKA-7692: after the last number comes 0.
        tally.expect(Check::SequenceContiguity, first <= sequence_max, what);
        match known {
            Some(session) if session.epoch == epoch => {
                // Half the ring back is a repetition, half the ring ahead is a gap.
                let ring = i64::from(sequence_max) + 1;
                let ahead = (i64::from(first) - i64::from(session.next)).rem_euclid(ring);
                tally.expect(Check::NoDuplicate, ahead == 0 || ahead < ring / 2, what);
                tally.expect(Check::SequenceContiguity, ahead == 0 || ahead >= ring / 2, what);
            }
            Some(_) => tally.expect(Check::SequenceContiguity, first == 0, what),
            None => tally.expect(
                Check::SequenceContiguity,
                first == 0 || !from_birth || self.partial,
                what,
            ),
        }
        let ring = i64::from(sequence_max) + 1;
        let next = (i64::from(first) + i64::from(header.record_count)).rem_euclid(ring);
        let next = i32::try_from(next).expect("below the ring's size");
        let last = batch.last;
        self.by_producer.insert(header.producer_id, Session { epoch, next, last });
    }

    /// A marker, or a coordinator's own batch. A marker may come with a new epoch, whose numbers
    /// begin at 0 then.
    fn unnumbered(
        &mut self,
        id: PartitionId,
        batch: &GhostBatch,
        header: &BatchHeader,
        tally: &mut Tally,
    ) {
        let (epoch, last) = (header.producer_epoch, batch.last);
        let new = Session { epoch, next: 0, last };
        let session = self.by_producer.entry(header.producer_id).or_insert(new);
        tally.expect(Check::ProducerEpochMonotone, epoch >= session.epoch, || {
            format!(
                "{id}: producer {} epoch {epoch} at {}, after {session:?}",
                header.producer_id,
                batch.describe()
            )
        });
        *session = if epoch > session.epoch { new } else { Session { last, ..*session } };
    }

    /// No replica has what was committed below `start` any more. Of many producers, those that have
    /// nothing above it are forgotten.
    pub fn trimmed(&mut self, start: Offset) {
        let known = self.by_producer.len();
        if known > REMEMBERED {
            self.by_producer.retain(|_, session| session.last >= start);
            self.partial |= self.by_producer.len() < known;
        }
    }
}
