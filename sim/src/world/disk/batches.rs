//! A sequence of stored batches that a fork shares.

use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::Offset;

/// One stored batch: whole, torn or rotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The base offset under which it was appended, whatever its bytes say.
    pub(super) base: Offset,
    pub(super) bytes: Bytes,
}

/// Batches to a segment: what a fork may have to copy at its first append.
const SEGMENT: usize = 64;

/// Sealed segments and an open tail, all shared between forks until one of them writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    /// Full segments, oldest first; of the first one, `skip` batches are gone.
    sealed: Arc<Vec<Arc<Vec<Stored>>>>,
    skip: usize,
    tail: Arc<Vec<Stored>>,
}

impl Batches {
    pub(super) fn push(&mut self, stored: Stored) {
        let tail = Arc::make_mut(&mut self.tail);
        tail.push(stored);
        if tail.len() == SEGMENT {
            Arc::make_mut(&mut self.sealed).push(std::mem::take(&mut self.tail));
        }
    }

    /// Takes the last batch off.
    pub(super) fn pop(&mut self) -> Option<Stored> {
        if self.tail.is_empty() {
            self.tail = Arc::make_mut(&mut self.sealed).pop()?;
            if self.sealed.is_empty() && self.skip > 0 {
                Arc::make_mut(&mut self.tail).drain(..self.skip);
                self.skip = 0;
            }
        }
        Arc::make_mut(&mut self.tail).pop()
    }

    pub(super) fn last(&self) -> Option<&Stored> {
        self.tail.last().or_else(|| self.sealed.last()?.last())
    }

    fn first(&self) -> Option<&Stored> {
        match self.sealed.first() {
            Some(segment) => segment.get(self.skip),
            None => self.tail.first(),
        }
    }

    /// Takes the first batches off, as long as `is_gone` says so.
    pub(super) fn pop_front_while(&mut self, is_gone: impl Fn(&Stored) -> bool) -> Vec<Stored> {
        let mut gone = Vec::new();
        while let Some(first) = self.first().filter(|first| is_gone(first)) {
            gone.push(first.clone());
            if self.sealed.is_empty() {
                Arc::make_mut(&mut self.tail).remove(0);
            } else {
                self.skip += 1;
                if self.skip == self.sealed[0].len() {
                    Arc::make_mut(&mut self.sealed).remove(0);
                    self.skip = 0;
                }
            }
        }
        gone
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.sealed
            .iter()
            .flat_map(|segment| segment.iter())
            .skip(self.skip)
            .chain(self.tail.iter())
    }

    /// Batches from the first whose base is at or above `from`. Bases grow, unless a defect
    /// appended behind a torn batch.
    pub(super) fn from(&self, from: Offset) -> impl Iterator<Item = &Stored> {
        let segment = self
            .sealed
            .partition_point(|segment| segment.first().is_some_and(|first| first.base <= from))
            .saturating_sub(1);
        let skip = if segment == 0 { self.skip } else { 0 };
        let sealed = self.sealed.get(segment..).unwrap_or_default();
        sealed
            .iter()
            .flat_map(|segment| segment.iter())
            .skip(skip)
            .chain(self.tail.iter())
            .skip_while(move |stored| stored.base < from)
    }

    /// Replaces everything.
    pub(super) fn replace(&mut self, all: impl IntoIterator<Item = Stored>) {
        *self = Batches::default();
        for stored in all {
            self.push(stored);
        }
    }

    /// Replaces the bytes of the batch at an index.
    pub(super) fn set(&mut self, index: usize, bytes: Bytes) {
        let mut index = index + self.skip;
        for segment in 0..self.sealed.len() {
            let len = self.sealed[segment].len();
            if index < len {
                let segment = &mut Arc::make_mut(&mut self.sealed)[segment];
                Arc::make_mut(segment)[index].bytes = bytes;
                return;
            }
            index -= len;
        }
        Arc::make_mut(&mut self.tail)[index].bytes = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(base: i64) -> Stored {
        Stored { base: Offset(base), bytes: Bytes::from_static(b"batch") }
    }

    fn bases(batches: &Batches) -> Vec<i64> {
        batches.iter().map(|stored| stored.base.0).collect()
    }

    #[test]
    fn both_ends_move_over_segment_borders() {
        let mut batches = Batches::default();
        (0..200).for_each(|base| batches.push(stored(base)));
        assert_eq!(batches.pop_front_while(|stored| stored.base < Offset(70)).len(), 70);
        assert_eq!(bases(&batches), (70..200).collect::<Vec<_>>());
        for base in (80..200).rev() {
            assert_eq!(batches.pop(), Some(stored(base)));
        }
        assert_eq!(bases(&batches), (70..80).collect::<Vec<_>>());
        assert_eq!(batches.from(Offset(75)).count(), 5);
        batches.pop_front_while(|_| true);
        assert_eq!(batches.pop(), None);
        assert_eq!(batches.last(), None);
    }

    #[test]
    fn a_read_starts_at_the_first_batch_at_or_above_the_offset() {
        let mut batches = Batches::default();
        (0..300).for_each(|base| batches.push(stored(base * 2)));
        for from in [0, 1, 126, 127, 128, 129, 255, 256, 598, 599] {
            let first = batches.from(Offset(from)).next().map(|stored| stored.base.0);
            assert_eq!(first, ((from + 1) / 2 * 2 < 600).then_some((from + 1) / 2 * 2), "{from}");
        }
    }

    #[test]
    fn a_fork_keeps_what_it_had() {
        let mut batches = Batches::default();
        (0..100).for_each(|base| batches.push(stored(base)));
        let mut fork = batches.clone();
        fork.set(3, Bytes::from_static(b"rotten"));
        fork.set(99, Bytes::from_static(b"rotten"));
        fork.push(stored(100));
        assert_eq!(bases(&batches), (0..100).collect::<Vec<_>>());
        assert!(batches.iter().all(|stored| stored.bytes == b"batch"[..]));
        assert_eq!(fork.iter().filter(|stored| stored.bytes == b"rotten"[..]).count(), 2);
    }
}
