//! Cutting a log at its end (divergence) and at its start (retention, DeleteRecords).

use alloc::sync::Arc;

use crate::defect::Defect;
use crate::ids::Offset;
use crate::log::paged::Paged;
use crate::log::producer::Producers;
use crate::log::segment::Segment;
use crate::log::{BatchMeta, Log};
use crate::machine::{Effect, Effects, FileKey};

/// Batches between two marks of the producer state.
const MARK_EVERY: usize = 1024;

impl Log {
    /// Removes everything from `to` on (KIP-101): batches, epochs, producer state. A batch that
    /// holds `to` in its middle goes whole. Gives the new LEO.
    pub fn truncate(&mut self, to: Offset, out: &mut Effects) -> Offset {
        if to >= self.end {
            // The epoch cache may end in an epoch that has no record here.
            if self.history_mut().epochs.truncate(to) {
                self.save_epochs(out);
            }
            return self.end;
        }
        let to = to.max(self.start);
        let number = self.index.holding(to);
        let cut = if number < self.index.end() { self.index.get(number).base.min(to) } else { to };
        self.compaction = None;
        self.compacted = self.compacted.min(cut);
        self.cut_segments(cut);
        self.index.truncate(number);
        if self.index.is_empty() {
            // Positions count from the first batch.
            self.history_mut().sealed = Paged::default();
            self.active = Segment::empty(cut, 0);
        }
        if cut < self.start {
            self.start = cut;
            self.save_start(out);
        }
        self.end = cut;
        self.flushed = self.flushed.min(cut);
        self.flush_asked = self.flush_asked.min(cut);
        self.history_mut().aborted.truncate(cut);
        if self.history_mut().epochs.truncate(cut) {
            self.save_epochs(out);
        }
        // KAFKA-12153: what is no longer in the log is no producer's last batch.
        if !self.config().defects.has(Defect::ProducerStateNotTruncated) {
            self.rewind_producers();
            if self.producers.is_empty() {
                out.push(Effect::Delete { file: FileKey::Producers(self.id) });
            } else {
                self.save_producers(out);
            }
        }
        out.push(Effect::Truncate { log: self.id, to: cut });
        cut
    }

    /// Raises the log start to `to` (not beyond the LEO) and removes the batches below. The last
    /// batch stays on disk in any case, as the witness of the LEO.
    pub fn trim(&mut self, to: Offset, out: &mut Effects) {
        let to = to.min(self.end);
        if to <= self.start {
            return;
        }
        self.start = to;
        if self.history_mut().epochs.trim(to) {
            self.save_epochs(out);
        }
        self.history_mut().aborted.trim(to);
        self.save_start(out);
        let keep = self.index.holding(to).min(self.index.end().saturating_sub(1));
        if keep <= self.index.first() {
            return;
        }
        // Producers whose batches go are known by the snapshot from here on.
        self.save_producers(out);
        let base = self.index.get(keep).base;
        self.drop_index_before(keep, base);
        out.push(Effect::Trim { log: self.id, to: base });
    }

    /// Drops the batches before number `keep`, which begins at `base`, from memory.
    pub(super) fn drop_index_before(&mut self, keep: usize, base: Offset) {
        self.trim_marks(base);
        self.index.trim(keep);
        let sealed = &mut Arc::make_mut(&mut self.history).sealed;
        let keep = if self.active.base <= base {
            sealed.end()
        } else {
            // The last segment that begins at or below `base` is still in use.
            sealed.partition_point(|segment| segment.base <= base).saturating_sub(1)
        };
        sealed.trim(keep.max(sealed.first()));
    }

    /// Removes everything and begins again at `to`: for a follower whose log ends before its
    /// leader's begins.
    pub fn reset(&mut self, to: Offset, out: &mut Effects) {
        let name = Arc::clone(&self.setup.name);
        let lost = self.lost;
        *self = Log::empty(self.id, name, self.config().clone());
        self.lost = lost;
        (self.start, self.end) = (to, to);
        (self.flushed, self.flush_asked) = (to, to);
        self.active = Segment::empty(to, 0);
        self.save_start(out);
        self.save_epochs(out);
        out.push(Effect::Delete { file: FileKey::Producers(self.id) });
        out.push(Effect::Truncate { log: self.id, to: Offset::ZERO });
    }

    /// Remembers the producer state at the LEO now and then, as a point to rewind to.
    pub(super) fn mark(&mut self) {
        if self.index.end().is_multiple_of(MARK_EVERY) && !self.producers.is_empty() {
            let mark = (self.end, self.producers.clone());
            Arc::make_mut(&mut self.history_mut().marks).push(mark);
        }
    }

    /// Remembers the producer state at `at`, whose past is about to be thinned out.
    pub(super) fn mark_at(&mut self, at: Offset) {
        let state = self.producers_at(at);
        let place = self.history.marks.partition_point(|(mark, _)| *mark < at);
        let known = self.history.marks.get(place).is_some_and(|(mark, _)| *mark == at);
        if !known && !state.is_empty() {
            Arc::make_mut(&mut self.history_mut().marks).insert(place, (at, state));
        }
    }

    /// Makes the producer state and the aborted index from the whole index, on top of what is
    /// already in `producers` and `marks`.
    pub(super) fn replay(&mut self) {
        let sequencing = self.config().sequencing();
        for number in self.index.first()..self.index.end() {
            let batch = *self.index.get(number);
            if let Some(aborted) = self.producers.observe(&batch, sequencing) {
                self.history_mut().aborted.push(aborted);
            }
            if (number + 1).is_multiple_of(MARK_EVERY) && !self.producers.is_empty() {
                let mark = (batch.last.next(), self.producers.clone());
                Arc::make_mut(&mut self.history_mut().marks).push(mark);
            }
        }
    }

    /// The producer state as it was at `end`, by replaying the index from the mark before it.
    fn producers_at(&self, end: Offset) -> Producers {
        let marks = self.history.marks.partition_point(|(at, _)| *at <= end);
        let (from, mut producers) = match marks.checked_sub(1) {
            Some(mark) => self.history.marks[mark].clone(),
            None => (Offset::ZERO, Producers::default()),
        };
        let first = self.index.partition_point(|batch| batch.base < from);
        for batch in self.index.iter_from(first).take_while(|batch| batch.last < end) {
            producers.observe(batch, self.config().sequencing());
        }
        producers
    }

    fn rewind_producers(&mut self) {
        let end = self.end;
        if self.history.marks.last().is_some_and(|(at, _)| *at > end) {
            Arc::make_mut(&mut self.history_mut().marks).retain(|(at, _)| *at <= end);
        }
        self.producers = self.producers_at(end);
    }

    /// Batches below `base` are about to leave the index: marks must not need them.
    fn trim_marks(&mut self, base: Offset) {
        let state = self.producers_at(base);
        let marks = Arc::make_mut(&mut self.history_mut().marks);
        marks.retain(|(at, _)| *at > base);
        if !state.is_empty() {
            marks.insert(0, (base, state));
        }
    }

    /// Drops the segments that begin at or after `cut`; the one before becomes active again.
    fn cut_segments(&mut self, cut: Offset) {
        let keep = self.history.sealed.partition_point(|segment| segment.base < cut);
        let position = {
            let number = self.index.holding(cut);
            if number < self.index.end() {
                self.index.get(number).position
            } else {
                self.index.position_end()
            }
        };
        if self.active.base >= cut {
            if keep > self.history.sealed.first() {
                self.active = *self.history.sealed.get(keep - 1);
                self.history_mut().sealed.truncate(keep - 1);
            } else {
                self.history_mut().sealed.truncate(keep);
                self.active = Segment::empty(cut, position);
            }
        }
        self.refresh_active(cut);
    }

    /// Computes the active segment's timestamps again from the batches below `cut`.
    fn refresh_active(&mut self, cut: Offset) {
        let Segment { base, position, .. } = self.active;
        let mut active = Segment::empty(base, position);
        let first = self.index.partition_point(|batch| batch.base < base);
        let left = self.index.iter_from(first).take_while(|batch: &&BatchMeta| batch.last < cut);
        for batch in left {
            active.add(batch);
        }
        self.active = active;
    }
}
