//! The leader epoch cache: where each leader epoch begins in a log (KIP-101).

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{LeaderEpoch, LogPoint, Offset};
use crate::log::file::{self, Reader};

/// Epochs with the offset of their first record, both strictly growing. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Arc<Vec<LogPoint>>,
}

impl Epochs {
    /// Notes that `epoch` begins at `start`. Entries that contradict it go: an epoch without a
    /// record, or the end of a log that was not truncated. Says whether anything changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if self.last() == epoch {
            return false;
        }
        let entries = Arc::make_mut(&mut self.entries);
        let fits = |entry: &LogPoint| entry.epoch < epoch && entry.offset < start;
        while entries.last().is_some_and(|last| !fits(last)) {
            entries.pop();
        }
        entries.push(LogPoint { epoch, offset: start });
        true
    }

    /// The newest epoch, or [`LeaderEpoch::NONE`].
    #[must_use]
    pub fn last(&self) -> LeaderEpoch {
        self.entries.last().map_or(LeaderEpoch::NONE, |entry| entry.epoch)
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[LogPoint] {
        &self.entries
    }

    /// The epoch of the record at `offset`, if it is known.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        Some(self.entries[after.checked_sub(1)?].epoch)
    }

    /// The largest epoch at or below `asked`, and where it ends in a log that ends at `end`
    /// (KIP-279). If all epochs are larger: the asked one, ending where the oldest begins. Both
    /// [`LeaderEpoch::NONE`] and [`Offset::NONE`] if no epoch is known or asked for.
    #[must_use]
    pub fn end_offset_for(&self, asked: LeaderEpoch, end: Offset) -> LogPoint {
        if self.entries.is_empty() || asked == LeaderEpoch::NONE {
            return LogPoint { epoch: LeaderEpoch::NONE, offset: Offset::NONE };
        }
        let after = self.entries.partition_point(|entry| entry.epoch <= asked);
        let offset = self.entries.get(after).map_or(end, |next| next.offset);
        let epoch = after.checked_sub(1).map_or(asked, |index| self.entries[index].epoch);
        LogPoint { epoch, offset }
    }

    /// Removes the epochs that begin at or after `end`. Says whether anything changed.
    pub fn truncate(&mut self, end: Offset) -> bool {
        let keep = self.entries.partition_point(|entry| entry.offset < end);
        if keep == self.entries.len() {
            return false;
        }
        Arc::make_mut(&mut self.entries).truncate(keep);
        true
    }

    /// Forgets what lies before `start`: the epoch of the record there begins there now. Says
    /// whether anything changed.
    pub fn trim(&mut self, start: Offset) -> bool {
        let keep = self.entries.partition_point(|entry| entry.offset <= start);
        let Some(first) = keep.checked_sub(1) else { return false };
        if first == 0 && self.entries[0].offset == start {
            return false;
        }
        let entries = Arc::make_mut(&mut self.entries);
        entries.drain(..first);
        entries[0].offset = start;
        true
    }

    pub fn clear(&mut self) {
        self.entries = Arc::default();
    }

    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = file::writer();
        for entry in self.entries.iter() {
            out.extend_from_slice(&entry.epoch.0.to_be_bytes());
            out.extend_from_slice(&entry.offset.0.to_be_bytes());
        }
        file::finish(out)
    }

    /// Reads what [`Self::encode`] wrote; none if it is damaged.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::open(bytes)?;
        let mut entries = Vec::new();
        while !reader.is_empty() {
            let epoch = LeaderEpoch(reader.i32()?);
            entries.push(LogPoint { epoch, offset: Offset(reader.i64()?) });
        }
        let epochs = Epochs { entries: Arc::new(entries) };
        epochs.is_sorted().then_some(epochs)
    }

    pub fn check(&self) {
        assert!(self.is_sorted(), "epochs and their starts grow");
    }

    fn is_sorted(&self) -> bool {
        self.entries.is_sorted_by(|a, b| a.epoch < b.epoch && a.offset < b.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            assert!(epochs.assign(LeaderEpoch(*epoch), Offset(*start)));
        }
        epochs.check();
        epochs
    }

    fn point(epoch: i32, offset: i64) -> LogPoint {
        LogPoint { epoch: LeaderEpoch(epoch), offset: Offset(offset) }
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let epochs = epochs(&[(2, 10), (4, 20), (7, 25)]);
        for (asked, expected) in [
            (-1, point(-1, -1)),
            (1, point(1, 10)),
            (2, point(2, 20)),
            (3, point(2, 20)),
            (4, point(4, 25)),
            (6, point(4, 25)),
            (7, point(7, 30)),
            (9, point(7, 30)),
        ] {
            let found = epochs.end_offset_for(LeaderEpoch(asked), Offset(30));
            assert_eq!(found, expected, "epoch {asked}");
        }
        let none = Epochs::default().end_offset_for(LeaderEpoch(3), Offset(30));
        assert_eq!(none, point(-1, -1));
    }

    #[test]
    fn an_epoch_without_records_gives_way() {
        let mut epochs = epochs(&[(1, 0), (2, 5), (3, 5)]);
        assert_eq!(epochs.entries(), [point(1, 0), point(3, 5)]);
        assert!(!epochs.assign(LeaderEpoch(3), Offset(9)), "it has begun already");
        assert!(epochs.assign(LeaderEpoch(2), Offset(9)), "a log that was not truncated");
        assert_eq!(epochs.entries(), [point(1, 0), point(2, 9)]);
    }

    #[test]
    fn both_ends_move() {
        let mut epochs = epochs(&[(1, 0), (2, 5), (3, 8)]);
        assert!(!epochs.truncate(Offset(9)));
        assert!(epochs.truncate(Offset(8)));
        assert!(epochs.trim(Offset(6)));
        assert_eq!(epochs.entries(), [point(2, 6)]);
        assert!(!epochs.trim(Offset(6)));
        assert_eq!(epochs.at(Offset(5)), None);
        assert_eq!(epochs.at(Offset(7)), Some(LeaderEpoch(2)));
    }

    #[test]
    fn the_checkpoint_reads_back_unless_it_is_damaged() {
        let epochs = epochs(&[(1, 0), (2, 5), (3, 8)]);
        let bytes = epochs.encode();
        assert_eq!(Epochs::decode(&bytes), Some(epochs));
        for index in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[index] ^= 1;
            assert_eq!(Epochs::decode(&damaged), None);
            assert_eq!(Epochs::decode(&bytes[..index]), None);
        }
    }
}
