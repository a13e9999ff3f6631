//! What clients saw, held against what was committed: P3, P4 and the Jepsen Kafka anomalies for
//! data without transactions.
//!
//! Kafka gives offsets, so the version order is known and every check is one look-up.

use std::collections::{BTreeMap, VecDeque};

use indexmap::{IndexMap, IndexSet};
use rustc_hash::FxBuildHasher;
use seedlog::ids::{Offset, PartitionId, TopicId};

use super::ghost::{GhostBatch, GhostLog};
use super::payload::RecordId;
use super::tally::{Check, Tally};

/// Failed sends remembered, oldest forgotten first: bounds memory in endless runs.
const REMEMBERED: usize = 1 << 14;

/// Where a record was committed.
type Place = (PartitionId, Offset);

/// The ledger of records between producers and consumers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Where each record was committed (first), as far as logs reach back.
    places: IndexMap<RecordId, Place, FxBuildHasher>,
    /// The same by partition, in the order of offsets.
    kept: IndexMap<PartitionId, Kept, FxBuildHasher>,
    /// Records whose send failed for sure.
    failed: IndexSet<RecordId, FxBuildHasher>,
    /// Per source and partition, the number committed last, and where.
    order: BTreeMap<(PartitionId, u32), (u64, Offset)>,
    /// Per source and partition, the number and offset acknowledged last.
    acks: BTreeMap<(PartitionId, u32), (u64, Offset)>,
    /// Per partition, the end of what was acknowledged.
    acknowledged: BTreeMap<PartitionId, Offset>,
    /// Per consumer and partition, the next offset to come.
    cursors: BTreeMap<(u32, PartitionId), Offset>,
}

/// The records of one partition that look-ups know.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// What was committed below is forgotten: no replica has it any more.
    start: Offset,
    records: VecDeque<(Offset, RecordId)>,
}

/// What the producers of a workload promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// Idempotent sessions: no duplicate.
    pub no_duplicates: bool,
    /// One session's records stay in order.
    pub ordered: bool,
    /// acks=all: what is acknowledged is committed.
    pub durable: bool,
}

impl Ledger {
    /// A batch with these records was committed.
    pub fn committed(
        &mut self,
        id: PartitionId,
        records: &[(RecordId, Offset)],
        promises: Promises,
        tally: &mut Tally,
    ) {
        for (record, offset) in records {
            self.committed_record((id, *offset), *record, promises, tally);
        }
    }

    /// Whether a record is in a committed log.
    pub fn is_placed(&self, record: RecordId) -> bool {
        self.places.contains_key(&record)
    }

    fn committed_record(
        &mut self,
        place: Place,
        record: RecordId,
        promises: Promises,
        tally: &mut Tally,
    ) {
        let (id, offset) = place;
        let first = *self.places.entry(record).or_insert_with(|| {
            self.kept.entry(id).or_default().records.push_back((offset, record));
            place
        });
        if first != place && !promises.no_duplicates {
            self.kept.entry(id).or_default().records.push_back((offset, record));
        }
        if promises.no_duplicates {
            tally.expect(Check::Duplicate, first == place, || {
                format!("record {record} is at {id} {offset} and at {} {}", first.0, first.1)
            });
        }
        if promises.ordered && first == place {
            let (last, at) = self.order.entry((id, record.source)).or_default();
            tally.expect(Check::ProducerOrder, record.number > *last, || {
                format!("{id} {offset}: record {record} comes after number {last} of its session")
            });
            (*last, *at) = (record.number.max(*last), offset);
        }
        if !self.failed.is_empty() {
            self.check_not_failed(record, place, tally);
        }
    }

    fn check_not_failed(&self, record: RecordId, place: Place, tally: &mut Tally) {
        let failed = self.failed.contains(&record);
        tally.expect(Check::AbortedRead, !failed, || {
            format!("record {record} failed for sure, yet is committed at {} {}", place.0, place.1)
        });
    }

    /// A send failed, and its client says that it surely had no effect.
    pub fn send_failed(&mut self, record: RecordId, tally: &mut Tally) {
        self.failed.insert(record);
        if self.failed.len() > 2 * REMEMBERED {
            self.failed.drain(..REMEMBERED);
        }
        if let Some(place) = self.places.get(&record) {
            self.check_not_failed(record, *place, tally);
        }
    }

    /// Whether that record is at that offset, too.
    fn is_second_copy(&self, id: PartitionId, record: RecordId, offset: Offset) -> bool {
        let Some(kept) = self.kept.get(&id) else { return false };
        let at = kept.records.binary_search_by_key(&offset, |(offset, _)| *offset);
        at.is_ok_and(|index| kept.records[index].1 == record)
    }

    /// A send was acknowledged at an offset (acks=1 and all).
    pub fn acknowledged(
        &mut self,
        id: PartitionId,
        record: RecordId,
        offset: Offset,
        promises: Promises,
        committed_end: Offset,
        tally: &mut Tally,
    ) {
        if promises.durable {
            tally.expect(Check::AckedDurable, offset < committed_end, || {
                format!("{id}: record {record} was acknowledged at {offset}, committed is below {committed_end}")
            });
            let place = self.places.get(&record).copied();
            let forgotten = self.is_forgotten(id, offset);
            if place.is_some() || !forgotten {
                let there = place == Some((id, offset))
                    || (!promises.no_duplicates && self.is_second_copy(id, record, offset));
                tally.expect(Check::AckTruth, there, || {
                    format!(
                        "{id}: record {record} was acknowledged at {offset}, but is at {place:?}"
                    )
                });
            }
            let overtaken = self.cursors.iter().find(|((_, partition), next)| {
                *partition == id && **next > offset && place.is_none() && !forgotten
            });
            tally.expect(Check::LostWrite, overtaken.is_none(), || {
                format!("{id}: record {record} was acknowledged at {offset} and never read by {overtaken:?}")
            });
        }
        if promises.ordered {
            let (number, last) =
                *self.acks.entry((id, record.source)).or_insert((record.number, offset));
            let grows = (record.number >= number) == (offset >= last);
            tally.expect(Check::NonmonotonicSend, grows, || {
                format!(
                    "{id}: record {record} was acknowledged at {offset}, number {number} at {last}"
                )
            });
            if record.number > number {
                self.acks.insert((id, record.source), (record.number, offset));
            }
        }
        let end = self.acknowledged.entry(id).or_default();
        *end = (*end).max(offset.next());
    }

    /// Where what was acknowledged of a partition ends.
    pub fn acknowledged_end(&self, id: PartitionId) -> Offset {
        self.acknowledged.get(&id).copied().unwrap_or(Offset::ZERO)
    }

    fn is_forgotten(&self, id: PartitionId, offset: Offset) -> bool {
        self.kept.get(&id).is_some_and(|kept| offset < kept.start)
    }

    /// No replica has what was committed below `start` any more.
    pub fn trimmed(&mut self, id: PartitionId, start: Offset) {
        let kept = self.kept.entry(id).or_default();
        if start <= kept.start {
            return;
        }
        kept.start = start;
        while let Some((_, record)) = kept.records.pop_front_if(|(offset, _)| *offset < start) {
            self.places.swap_remove(&record);
        }
        // Sessions whose last record is gone will hardly go on.
        self.order.retain(|(partition, _), (_, last)| *partition != id || *last >= start);
        self.acks.retain(|(partition, _), (_, last)| *partition != id || *last >= start);
    }

    /// A topic is gone, and all that was in it.
    pub fn removed(&mut self, topic: TopicId) {
        for (_, kept) in self.kept.extract_if(.., |id, _| id.topic == topic) {
            for (_, record) in kept.records {
                self.places.swap_remove(&record);
            }
        }
        self.order.retain(|(id, _), _| id.topic != topic);
        self.acks.retain(|(id, _), _| id.topic != topic);
        self.acknowledged.retain(|id, _| id.topic != topic);
        self.cursors.retain(|(_, id), _| id.topic != topic);
    }

    /// How many records look-ups know.
    pub fn size(&self) -> usize {
        self.places.len()
    }

    /// A consumer was told to go somewhere else, restarted, or was assigned the partition anew.
    pub fn moved(&mut self, consumer: u32, id: PartitionId) {
        self.cursors.remove(&(consumer, id));
    }

    /// A consumer process is gone.
    pub fn consumer_gone(&mut self, consumer: u32) {
        self.cursors.retain(|(owner, _), _| *owner != consumer);
    }

    /// A poll delivered a record. `readable` says of a batch whether the consumer is to get its
    /// records.
    pub fn polled(
        &mut self,
        consumer: u32,
        (id, offset): Place,
        record: Option<RecordId>,
        (committed, deleted): (&GhostLog, Offset),
        readable: &dyn Fn(&GhostBatch) -> bool,
        tally: &mut Tally,
    ) {
        if let Some(record) = record {
            let place = self.places.get(&record).copied();
            if place.is_some() || !self.is_forgotten(id, offset) {
                let there = place == Some((id, offset)) || is_copy(record, offset, committed);
                tally.expect(Check::InconsistentOffsets, there, || {
                    format!("consumer {consumer} read record {record} at {id} {offset}, committed is at {place:?}")
                });
            }
            if !self.failed.is_empty() {
                self.check_not_failed(record, (id, offset), tally);
            }
        }
        if let Some(next) = self.cursors.insert((consumer, id), offset.next()) {
            tally.expect(Check::NonmonotonicPoll, offset >= next, || {
                format!("consumer {consumer} read {id} {offset} after it had read up to {next}")
            });
            // Where it was going to read is deleted: it goes on where the log begins.
            let due = next.max(deleted);
            let skipped =
                (offset > due).then(|| skipped(committed, due, offset, readable)).flatten();
            tally.expect(Check::PollSkip, skipped.is_none(), || {
                format!("consumer {consumer} read {id} {offset} and left out {skipped:?}")
            });
        }
    }

    /// At the end, when consumers had time to read everything. `unread` gives a batch between two
    /// offsets that consumers are to get.
    pub fn ended(
        &self,
        excused: impl Fn(PartitionId) -> bool,
        is_to_read: impl Fn(u32, PartitionId) -> bool,
        unread: impl Fn(PartitionId, Offset, Offset) -> Option<String>,
        tally: &mut Tally,
    ) {
        for ((consumer, id), next) in &self.cursors {
            let Some(end) = self.acknowledged.get(id) else { continue };
            if excused(*id) || !is_to_read(*consumer, *id) {
                continue;
            }
            let unread = if next < end { unread(*id, *next, *end) } else { None };
            tally.expect(Check::Unseen, unread.is_none(), || {
                let unread = unread.unwrap_or_default();
                format!("consumer {consumer} read {id} up to {next}, and never {unread}")
            });
        }
    }
}

/// Without idempotence a record may stand at several offsets.
fn is_copy(record: RecordId, offset: Offset, committed: &GhostLog) -> bool {
    let Some(batch) = committed.at(offset) else { return false };
    RecordId::in_batch(&batch.bytes).any(|found| found == (record, offset))
}

/// A data batch with a record in `from..to` that a consumer is to get.
pub fn skipped(
    committed: &GhostLog,
    from: Offset,
    to: Offset,
    readable: &dyn Fn(&GhostBatch) -> bool,
) -> Option<String> {
    let from = from.max(committed.start());
    committed
        .holding(from)
        .take_while(|batch| batch.base < to)
        .filter(|batch| readable(batch))
        .find(|batch| RecordId::in_batch(&batch.bytes).any(|(_, at)| from <= at && at < to))
        .map(GhostBatch::describe)
}
