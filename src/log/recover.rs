//! Recovery: a log again, from whatever bytes a crash left.
//!
//! The batches are the truth: index, leader epochs and producer state are made from them, up to the
//! first one that is not whole and good. Checkpoint files only add what the batches no longer show,
//! and each may be missing, old or damaged.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::defect::Defect;
use crate::event::{Event, Mark};
use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::log::epochs::Epochs;
use crate::log::file;
use crate::log::index::BatchMeta;
use crate::log::paged::Paged;
use crate::log::producer::Producers;
use crate::log::segment::Segment;
use crate::log::{Log, LogConfig};
use crate::machine::{Effect, Effects, FileKey, Survived, SurvivedLog};
use crate::record::{BatchError, BatchHeader, verify};
use crate::time::Now;

impl Log {
    /// Makes a log from what survived of it, and cuts off what is damaged.
    pub fn recover(
        id: LogId,
        survived: &SurvivedLog,
        files: &Survived,
        config: LogConfig,
        now: Now,
        out: &mut Effects,
    ) -> Log {
        let mut log = Log::empty(id, Arc::clone(&survived.name), config);
        let start = files.file(FileKey::LogStart(id)).and_then(|file| file::decode_offset(file));
        let start = start.unwrap_or_default();
        if !log.scan(survived) {
            log.doubt_first(start);
            out.push(Effect::Truncate { log: id, to: log.end });
            out.note(Event::Sometimes(Mark::TornTailCut));
        }
        let first = log.index.iter().next().map(|batch| batch.base);
        let start = start.max(first.unwrap_or_default());
        if log.index.is_empty() {
            (log.end, log.active) = (start, Segment::empty(start, 0));
        }
        if start > log.end {
            // The tail went and only what retention had removed was left.
            log.reset(start, out);
            return log;
        }
        log.start = start;
        log.restore_epochs(files);
        log.restore_producers(files);
        log.producers.expire(now.wall, log.config().producer_id_expiration);
        let keep = log.index.holding(start).min(log.index.end().saturating_sub(1));
        if keep > log.index.first() {
            let base = log.index.get(keep).base;
            log.save_producers(out);
            log.drop_index_before(keep, base);
            out.push(Effect::Trim { log: id, to: base });
        }
        log.flush(out);
        log.check();
        log
    }

    /// Indexes the batches up to the first bad one. Says whether all were good.
    fn scan(&mut self, survived: &SurvivedLog) -> bool {
        for chunk in &survived.chunks {
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let Ok(header) = self.scan_batch(rest) else { return false };
                let size = header.size().min(rest.len());
                let (batch, behind) = rest.split_at(size);
                if self.index.is_empty() {
                    self.end = header.base_offset;
                    self.active = Segment::empty(self.end, 0);
                }
                if self.active.is_full(self.index.position_end(), &header, &self.config().topic) {
                    self.seal();
                }
                let mut meta = BatchMeta::new(&header, batch, self.index.position_end());
                meta.size = u32::try_from(size).expect("at most the header's size");
                self.active.add(&meta);
                self.index.push(meta);
                self.end = meta.last.next();
                rest = behind;
            }
        }
        true
    }

    /// The CRC does not cover where a batch begins. Where only the first one passed, lies beyond
    /// the log's start and is not met by the next, it is the bad one: a log does not move.
    fn doubt_first(&mut self, start: Offset) {
        let only = self.index.end() == self.index.first() + 1;
        let moved = self.index.last().is_some_and(|batch| batch.base > start);
        if only && moved && !self.config().compacts() {
            self.index = Paged::default();
            self.end = Offset::ZERO;
            self.active = Segment::empty(Offset::ZERO, 0);
        }
    }

    fn scan_batch(&self, bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        // Kafka's `analyzeAndValidateRecords`: the log ends before the first batch that is not
        // whole.
        let header = if self.config().defects.has(Defect::TornTailNoCrc) {
            BatchHeader::parse_torn(bytes)?
        } else {
            let size = BatchHeader::parse(bytes)?.size();
            verify(&bytes[..size])?
        };
        let follows = self.index.is_empty()
            || header.base_offset == self.end
            || (header.base_offset > self.end && self.config().compacts());
        if follows && header.leader_epoch.0 >= 0 { Ok(header) } else { Err(BatchError::OutOfOrder) }
    }

    /// Epochs from the batches, and those of the checkpoint that agree with them.
    fn restore_epochs(&mut self, files: &Survived) {
        let file = files.file(FileKey::LeaderEpochs(self.id));
        let saved = file.and_then(|file| Epochs::decode(file));
        // KAFKA-16541: the checkpoint may be lost, or older than the log.
        if self.config().defects.has(Defect::CheckpointNotFsynced) {
            let epochs = &mut Arc::make_mut(&mut self.history).epochs;
            *epochs = saved.unwrap_or_default();
            epochs.truncate(self.end);
            return;
        }
        let mut starts: BTreeMap<LeaderEpoch, Offset> = BTreeMap::new();
        let mut last = LeaderEpoch::NONE;
        for batch in self.index.iter() {
            if batch.epoch != last {
                starts.entry(batch.epoch).or_insert(batch.base);
                last = batch.epoch;
            }
        }
        for entry in saved.iter().flat_map(Epochs::entries) {
            if self.agrees(entry.epoch, entry.offset) {
                let start = starts.entry(entry.epoch).or_insert(entry.offset);
                *start = (*start).min(entry.offset);
            }
        }
        let epochs = &mut Arc::make_mut(&mut self.history).epochs;
        for (epoch, start) in starts {
            epochs.assign(epoch, start);
        }
        epochs.truncate(self.end);
        epochs.trim(self.start);
    }

    /// Whether the batches allow that `epoch` began at `start`.
    fn agrees(&self, epoch: LeaderEpoch, start: Offset) -> bool {
        let number = self.index.partition_point(|batch| batch.base < start);
        let before = number > self.index.first() && self.index.get(number - 1).epoch >= epoch;
        let after = number < self.index.end() && self.index.get(number).epoch < epoch;
        !before && !after
    }

    /// Producers from the batches; the snapshot adds those whose batches were removed.
    fn restore_producers(&mut self, files: &Survived) {
        let file = files.file(FileKey::Producers(self.id));
        let snapshot = file.and_then(|file| Producers::decode(file));
        // KAFKA-9892: the snapshot may be lost, or older than the log.
        if self.config().defects.has(Defect::CheckpointNotFsynced) {
            self.producers = snapshot.map(|(_, saved)| saved).unwrap_or_default();
            return;
        }
        let first = self.index.iter().next().map_or(self.end, |batch| batch.base);
        if let Some((_, saved)) = snapshot {
            self.producers = saved.below(first);
            self.history_mut().marks = Arc::new(alloc::vec![(first, self.producers.clone())]);
        }
        // KAFKA-5249: also recovery knows the producers of the batches.
        if self.config().defects.has(Defect::ProducerStateNotReplicated) {
            return;
        }
        self.replay();
    }
}
