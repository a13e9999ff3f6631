//! Compaction: of each key, only the newest record stays (`cleanup.policy=compact`).
//!
//! The log has no keys in memory, so the driver loads the sealed batches twice, chunk by chunk:
//! first to learn the newest offset of each key, then to rewrite. Offsets never change, and a batch
//! that is a producer's newest, or the last of the log, stays even without records.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::Offset;
use crate::log::Log;
use crate::log::index::{BatchKind, BatchMeta};
use crate::log::paged::Paged;
use crate::log::segment::Segment;
use crate::machine::{Effect, Effects};
use crate::record::{BatchError, BatchHeader, Compression, RecordView, Records, rebuild};
use crate::time::Now;

const CHUNK_BYTES: u32 = 1 << 20;

/// A compaction under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compaction {
    /// The first offset that is left alone.
    upto: Offset,
    /// Where the chunk begins that was asked for.
    next: Offset,
    /// The newest offset of each key below `upto`, as far as read.
    newest: BTreeMap<Bytes, Offset>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Learn,
    Rewrite,
}

impl Log {
    /// Starts to compact the sealed segments below the last stable offset, if the topic wants that,
    /// there is something new and no compaction is under way.
    pub fn compact(&mut self, high_watermark: Offset, out: &mut Effects) {
        let upto = self.active.base.min(self.last_stable_offset(high_watermark));
        let wanted = self.config().compacts() && !self.lost && self.compaction.is_none();
        if !wanted || upto <= self.compacted {
            return;
        }
        let newest = BTreeMap::new();
        let compaction = Compaction { upto, next: self.start, newest, phase: Phase::Learn };
        if self.more(&compaction) {
            self.load_next(compaction, out);
        }
    }

    #[must_use]
    pub fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// The answer to a load. An answer to anything but the compaction's last question is ignored.
    pub fn loaded(&mut self, now: Now, from: Offset, chunks: &[Bytes], out: &mut Effects) {
        if self.compaction.as_ref().is_none_or(|compaction| compaction.next != from) {
            return;
        }
        let compaction = self.compaction.take().expect("just seen");
        let compaction = Arc::unwrap_or_clone(compaction);
        // Bytes that are not what the index says: the log was cut meanwhile, or the disk is bad.
        // Either way nothing is rewritten; a later compaction may try again.
        let Some(batches) = self.match_loaded(&compaction, chunks) else { return };
        let step = match compaction.phase {
            Phase::Learn => self.learn(compaction, &batches, out),
            Phase::Rewrite => self.rewrite(now, compaction, &batches, out),
        };
        if step.is_err() {
            self.compaction = None;
        }
    }

    /// Asks for the next chunk, from the batch that begins it: an earlier compaction may have left
    /// a gap where the last chunk ended.
    fn load_next(&mut self, mut compaction: Compaction, out: &mut Effects) {
        let from = self.index.get(self.index.holding(compaction.next)).base;
        compaction.next = from;
        self.compaction = Some(Arc::new(compaction));
        let max_bytes = CHUNK_BYTES.max(self.config().topic.max_message_bytes);
        out.push(Effect::Load { log: self.id, from, max_bytes });
    }

    /// The loaded batches below the compaction's end, if they are those of the index.
    fn match_loaded(
        &self,
        compaction: &Compaction,
        chunks: &[Bytes],
    ) -> Option<Vec<(BatchMeta, Bytes)>> {
        let mut expected = self.index.iter_from(self.index.holding(compaction.next));
        let mut matched = Vec::new();
        for split in chunks.iter().flat_map(crate::record::batches) {
            let (header, batch) = split.ok()?;
            let Some(meta) = expected.next() else { break };
            if meta.base >= compaction.upto {
                break;
            }
            let same = (meta.base, meta.last, meta.epoch)
                == (header.base_offset, header.last_offset(), header.leader_epoch);
            if !same || crate::record::verify(&batch).is_err() {
                return None;
            }
            matched.push((*meta, batch));
        }
        (!matched.is_empty()).then_some(matched)
    }

    fn learn(
        &mut self,
        mut compaction: Compaction,
        batches: &[(BatchMeta, Bytes)],
        out: &mut Effects,
    ) -> Result<(), BatchError> {
        for (meta, batch) in batches {
            if self.opens(meta, batch)? {
                for record in Records::new(batch)? {
                    let record = record?;
                    if let Some(key) = record.key {
                        compaction.newest.insert(batch.slice_ref(key), record.offset);
                    }
                }
            }
            compaction.next = meta.last.next();
        }
        if !self.more(&compaction) {
            compaction.phase = Phase::Rewrite;
            compaction.next = self.start;
            self.mark_at(compaction.upto);
        }
        self.load_next(compaction, out);
        Ok(())
    }

    fn rewrite(
        &mut self,
        now: Now,
        mut compaction: Compaction,
        batches: &[(BatchMeta, Bytes)],
        out: &mut Effects,
    ) -> Result<(), BatchError> {
        let from = batches[0].0.base;
        let mut kept = Vec::new();
        let mut changed = false;
        for (meta, batch) in batches {
            let left = self.compacted_batch(now, &compaction, meta, batch)?;
            changed |= left.as_ref() != Some(batch);
            kept.extend(left.map(|left| (*meta, left)));
            compaction.next = meta.last.next();
        }
        if changed {
            let to = compaction.next;
            self.reindex(from, to, &kept);
            let batches: Arc<[Bytes]> = kept.into_iter().map(|(_, batch)| batch).collect();
            out.push(Effect::Rewrite { log: self.id, from, to, batches });
        }
        if self.more(&compaction) {
            self.load_next(compaction, out);
        } else {
            self.compacted = compaction.upto;
        }
        Ok(())
    }

    /// Whether batches below the compaction's end are left to load.
    fn more(&self, compaction: &Compaction) -> bool {
        let number = self.index.holding(compaction.next);
        number < self.index.end() && self.index.get(number).base < compaction.upto
    }

    /// Whether a batch has keys that count: data, not compressed, not aborted.
    fn opens(&self, meta: &BatchMeta, batch: &[u8]) -> Result<bool, BatchError> {
        let plain = BatchHeader::parse(batch)?.compression() == Compression::None;
        Ok(plain && meta.kind == BatchKind::Data && !self.is_aborted(meta))
    }

    fn is_aborted(&self, meta: &BatchMeta) -> bool {
        meta.transactional
            && self
                .aborted(meta.base, meta.last.next())
                .any(|aborted| aborted.producer_id == meta.producer_id)
    }

    /// What is left of a batch; none if it goes altogether.
    fn compacted_batch(
        &self,
        now: Now,
        compaction: &Compaction,
        meta: &BatchMeta,
        batch: &Bytes,
    ) -> Result<Option<Bytes>, BatchError> {
        let header = BatchHeader::parse(batch)?;
        let aborted = meta.kind == BatchKind::Data && self.is_aborted(meta);
        if !aborted && !self.opens(meta, batch)? {
            return Ok(Some(batch.clone()));
        }
        let mut kept: Vec<RecordView<'_>> = Vec::new();
        let mut tombstones = false;
        if !aborted {
            // KIP-534: a tombstone stays for delete.retention.ms after its first compaction.
            let expired = header.delete_horizon().is_some_and(|horizon| horizon <= now.wall);
            for record in Records::new(batch)? {
                let record = record?;
                let newest = record.key.and_then(|key| compaction.newest.get(key));
                let superseded = newest != Some(&record.offset);
                if superseded || (record.value.is_none() && expired) {
                    continue;
                }
                tombstones |= record.value.is_none();
                kept.push(record);
            }
        }
        let producer = self.producers.get(meta.producer_id);
        let newest = producer.and_then(|producer| producer.batches().last());
        let needed =
            newest.is_some_and(|newest| newest.base == meta.base) || meta.last.next() == self.end;
        if kept.is_empty() && !needed {
            return Ok(None);
        }
        let horizon = (tombstones && header.delete_horizon().is_none())
            .then(|| now.wall.saturating_add(self.config().topic.delete_retention));
        let all =
            i64::try_from(kept.len()).expect("records in memory") == i64::from(header.record_count);
        if all && horizon.is_none() {
            return Ok(Some(batch.clone()));
        }
        Ok(Some(rebuild(&header, &kept, horizon)))
    }

    /// Puts the rewritten batches in the place of those with `from <= base < to`.
    fn reindex(&mut self, from: Offset, to: Offset, kept: &[(BatchMeta, Bytes)]) {
        let old = core::mem::take(&mut self.index);
        let mut push = |meta: &BatchMeta, size: u32| {
            let position = self.index.position_end();
            self.index.push(BatchMeta { position, size, ..*meta });
        };
        let mut new = kept.iter();
        for meta in old.iter() {
            if meta.base < from || meta.base >= to {
                if meta.base >= to {
                    for (meta, batch) in new.by_ref() {
                        push(meta, size_of_batch(batch));
                    }
                }
                push(meta, meta.size);
            }
        }
        for (meta, batch) in new {
            push(meta, size_of_batch(batch));
        }
        self.reposition();
    }

    /// Finds out again where segments begin, and drops those that are empty now.
    fn reposition(&mut self) {
        let mut sealed = Paged::default();
        let at = |index: &Paged<BatchMeta>, base: Offset| {
            let number = index.partition_point(|batch| batch.base < base);
            let there = number < index.end();
            (number, if there { index.get(number).position } else { index.position_end() })
        };
        let mut begun: Option<(usize, Segment)> = None;
        for segment in self.segments() {
            let (number, position) = at(&self.index, segment.base);
            if let Some((begin, segment)) = begun
                && begin < number
            {
                sealed.push(segment);
            }
            begun = Some((number, Segment { position, ..*segment }));
        }
        self.history_mut().sealed = sealed;
        self.active = begun.expect("the active segment is always there").1;
    }
}

fn size_of_batch(batch: &Bytes) -> u32 {
    u32::try_from(batch.len()).expect("a batch is below 2 GiB")
}
