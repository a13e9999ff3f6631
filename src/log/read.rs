//! Where to find records: ranges by offset, offsets by time.

use crate::ids::Offset;
use crate::log::Log;
use crate::message::LogRange;
use crate::time::Timestamp;

impl Log {
    /// The stored batches from the one that holds `from`, all of them below `upper`, of at most
    /// `max_bytes`; with `at_least_one` the first one whatever its size. None if there is none.
    ///
    /// Whole batches: the first may begin below `from`, as Kafka's do.
    #[must_use]
    pub fn read(
        &self,
        from: Offset,
        upper: Offset,
        max_bytes: u32,
        at_least_one: bool,
    ) -> Option<LogRange> {
        if from >= upper {
            return None;
        }
        let first = self.index.holding(from);
        if first >= self.index.end() {
            return None;
        }
        let batch = self.index.get(first);
        if batch.last >= upper || (batch.size > max_bytes && !at_least_one) {
            return None;
        }
        let (base, position) = (batch.base, batch.position);
        let limit = position + u64::from(max_bytes);
        // The usual fetch takes everything that is there, or very little.
        let last = *self.index.last().expect("there is a first one");
        let last = if last.last < upper && last.position_end() <= limit {
            last
        } else {
            let fits =
                |batch: &super::BatchMeta| batch.last < upper && batch.position_end() <= limit;
            let after = self.index.partition_point(|batch| batch.base <= base || fits(batch));
            *self.index.get(after - 1)
        };
        let bytes = u32::try_from(last.position_end() - position).expect("within a u32 limit");
        Some(LogRange { log: self.id, from: base, to: last.last.next(), bytes })
    }

    /// The first batch with a record at or after `time`, of those from the one that holds `from`,
    /// as its greatest timestamp and its base offset: an answer at the granularity of batches.
    #[must_use]
    pub fn offset_for_time(&self, time: Timestamp, from: Offset) -> Option<(Timestamp, Offset)> {
        let segment = self.segments().find(|segment| segment.max_timestamp >= time)?;
        let first = self.index.holding(segment.base.max(self.start).max(from));
        let mut batches = self.index.iter_from(first);
        let batch = batches.find(|batch| batch.max_timestamp >= time)?;
        Some((batch.max_timestamp, batch.base.max(self.start)))
    }

    /// The greatest timestamp, and the base offset of the first batch that has it (KIP-734).
    #[must_use]
    pub fn max_timestamp(&self) -> Option<(Timestamp, Offset)> {
        let kept = self.index.iter_from(self.index.holding(self.start));
        let newest = kept.map(|batch| batch.max_timestamp).max()?;
        self.offset_for_time(newest, self.start)
    }

    /// The batch that holds an offset, if it may hold other records too.
    #[must_use]
    pub fn batch_of_several(&self, offset: Offset) -> Option<LogRange> {
        let number = self.index.holding(offset);
        let batch = (number < self.index.end()).then(|| *self.index.get(number))?;
        let range =
            LogRange { log: self.id, from: batch.base, to: batch.last.next(), bytes: batch.size };
        (batch.base < batch.last).then_some(range)
    }
}
