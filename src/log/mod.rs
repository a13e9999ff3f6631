//! A partition's log as an index of batches.
//!
//! The bytes stay with the driver: a log keeps one small entry a batch, and tells the driver by
//! effects what to append, cut or rewrite. It knows its leader epochs, the state of its producers
//! and its segments, and how to make all of that again from whatever bytes a crash left.
//!
//! Cloning a log costs a few reference counts, however long it is.

mod aborted;
mod append;
mod compact;
mod epochs;
mod file;
mod index;
mod paged;
mod producer;
mod read;
mod recover;
mod retain;
mod segment;
#[cfg(test)]
mod tests;
mod truncate;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use append::{Appended, Marker};
pub use epochs::Epochs;
pub use file::{decode_offset, encode_offset};
pub use index::{BatchKind, BatchMeta};
pub use producer::{Aborted, Numbered, Producer, Producers, SentBatch, Sequencing};
pub use segment::Segment;

use crate::config::{BrokerConfig, CleanupPolicy, TopicConfig};
use crate::defect::{Defect, Defects};
use crate::ids::{LeaderEpoch, LogId, LogPoint, Offset};
use crate::log::aborted::AbortedIndex;
use crate::log::compact::Compaction;
use crate::log::paged::Paged;
use crate::machine::{Effect, Effects, FileKey, LogName};
use crate::time::Duration;

/// The settings that a log goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub topic: Arc<TopicConfig>,
    pub producer_id_expiration: Duration,
    /// Where sequence numbers wrap to 0.
    pub sequence_max: i32,
    pub defects: Defects,
}

impl LogConfig {
    #[must_use]
    pub fn new(topic: Arc<TopicConfig>, broker: &BrokerConfig, defects: Defects) -> Self {
        LogConfig {
            topic,
            producer_id_expiration: broker.producer_id_expiration,
            sequence_max: broker.sequence_max,
            defects,
        }
    }

    fn sequencing(&self) -> Sequencing {
        Sequencing { max: self.sequence_max, defects: self.defects }
    }

    fn compacts(&self) -> bool {
        match self.topic.cleanup_policy {
            CleanupPolicy::Delete => false,
            CleanupPolicy::Compact | CleanupPolicy::CompactDelete => true,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig::new(Arc::default(), &BrokerConfig::default(), Defects::NONE)
    }
}

/// One log of a process.
#[derive(Clone, Debug)]
pub struct Log {
    id: LogId,
    setup: Arc<Setup>,
    /// The first offset that readers may ask for.
    start: Offset,
    /// The offset that the next record gets (LEO).
    end: Offset,
    /// Everything below survives a power loss.
    flushed: Offset,
    /// The LEO of the last flush that was asked for.
    flush_asked: Offset,
    index: Paged<BatchMeta>,
    active: Segment,
    producers: Producers,
    history: Arc<History>,
    /// The disk failed: nothing may be appended any more (KAFKA-10778).
    lost: bool,
    compaction: Option<Arc<Compaction>>,
    /// Everything below was compacted at least once since the process started.
    compacted: Offset,
}

/// What rarely changes.
#[derive(Clone, Debug)]
struct Setup {
    name: Arc<LogName>,
    config: LogConfig,
}

/// What does not change with every batch, behind one count for all.
#[derive(Clone, Debug, Default)]
struct History {
    sealed: Paged<Segment>,
    epochs: Epochs,
    aborted: AbortedIndex,
    /// Earlier states of the producers with the offset that they were true at, oldest first: where
    /// a truncation starts to replay.
    marks: Arc<Vec<(Offset, Producers)>>,
}

impl Log {
    /// A new, empty log.
    pub fn create(id: LogId, name: Arc<LogName>, config: LogConfig, out: &mut Effects) -> Log {
        out.push(Effect::Create { log: id, name: Arc::clone(&name) });
        Log::empty(id, name, config)
    }

    fn empty(id: LogId, name: Arc<LogName>, config: LogConfig) -> Log {
        Log {
            id,
            setup: Arc::new(Setup { name, config }),
            start: Offset::ZERO,
            end: Offset::ZERO,
            flushed: Offset::ZERO,
            flush_asked: Offset::ZERO,
            index: Paged::default(),
            active: Segment::empty(Offset::ZERO, 0),
            producers: Producers::default(),
            history: Arc::default(),
            lost: false,
            compaction: None,
            compacted: Offset::ZERO,
        }
    }

    #[must_use]
    pub fn id(&self) -> LogId {
        self.id
    }

    #[must_use]
    pub fn name(&self) -> &Arc<LogName> {
        &self.setup.name
    }

    #[must_use]
    pub fn config(&self) -> &LogConfig {
        &self.setup.config
    }

    /// New settings of the topic; they count from the next append on.
    pub fn set_topic_config(&mut self, topic: Arc<TopicConfig>) {
        Arc::make_mut(&mut self.setup).config.topic = topic;
    }

    /// The first offset that readers may ask for.
    #[must_use]
    pub fn start_offset(&self) -> Offset {
        self.start
    }

    /// The offset that the next record gets (LEO).
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.end
    }

    /// The newest leader epoch that the log knows of, [`LeaderEpoch::NONE`] if none.
    #[must_use]
    pub fn last_epoch(&self) -> LeaderEpoch {
        self.history.epochs.last()
    }

    /// The newest leader epoch and the LEO.
    #[must_use]
    pub fn end_point(&self) -> LogPoint {
        LogPoint { epoch: self.last_epoch(), offset: self.end }
    }

    /// The largest epoch at or below `asked`, and where it ends (KIP-279); see
    /// [`Epochs::end_offset_for`].
    #[must_use]
    pub fn end_offset_for(&self, asked: LeaderEpoch) -> LogPoint {
        self.history.epochs.end_offset_for(asked, self.end)
    }

    /// The leader epoch of the record at `offset`, if it is known.
    #[must_use]
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.history.epochs.at(offset)
    }

    #[must_use]
    pub fn epochs(&self) -> &Epochs {
        &self.history.epochs
    }

    #[must_use]
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn size(&self) -> u64 {
        let first = self.index.iter().next().map_or(0, |batch| batch.position);
        self.index.position_end().saturating_sub(first)
    }

    /// Batches that the log holds.
    #[must_use]
    pub fn batch_count(&self) -> usize {
        self.index.end() - self.index.first()
    }

    /// The index, oldest batch first.
    pub fn batches(&self) -> impl Iterator<Item = &BatchMeta> {
        self.index.iter()
    }

    /// The segments, oldest first; the last one is the active one.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.history.sealed.iter().chain(core::iter::once(&self.active))
    }

    /// This broker leads in `epoch` from here on: the epoch begins at the LEO (KIP-101).
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, out: &mut Effects) {
        self.begin_epoch(epoch, self.end, out);
    }

    fn begin_epoch(&mut self, epoch: LeaderEpoch, start: Offset, out: &mut Effects) {
        if self.history.epochs.last() == epoch {
            return;
        }
        self.history_mut().epochs.assign(epoch, start);
        // KAFKA-16541: the checkpoint is written with the epoch, not some time after it.
        if self.config().defects.has(Defect::CheckpointNotFsynced) {
            return;
        }
        self.save_epochs(out);
    }

    fn history_mut(&mut self) -> &mut History {
        Arc::make_mut(&mut self.history)
    }

    fn save_epochs(&self, out: &mut Effects) {
        let value = self.history.epochs.encode();
        out.push(Effect::Save { file: FileKey::LeaderEpochs(self.id), value });
    }

    fn save_start(&self, out: &mut Effects) {
        let value = encode_offset(self.start);
        out.push(Effect::Save { file: FileKey::LogStart(self.id), value });
    }

    fn save_producers(&self, out: &mut Effects) {
        if self.producers.is_empty() {
            return;
        }
        let epoch = self.index.last().map_or(LeaderEpoch::NONE, |batch| batch.epoch);
        let value = self.producers.encode(LogPoint { epoch, offset: self.end });
        out.push(Effect::Save { file: FileKey::Producers(self.id), value });
    }

    /// Writes every checkpoint of this log: part of a clean shutdown.
    pub fn checkpoint(&self, out: &mut Effects) {
        self.save_epochs(out);
        self.save_start(out);
        self.save_producers(out);
    }

    /// Asks for everything so far to become durable.
    pub fn flush(&mut self, out: &mut Effects) {
        if self.flushed < self.end {
            self.flush_asked = self.end;
            let epoch = self.index.last().map_or(LeaderEpoch::NONE, |batch| batch.epoch);
            let upto = LogPoint { epoch, offset: self.end };
            out.push(Effect::Flush { log: self.id, upto });
        }
    }

    /// The answer to a flush. A truncation may have overtaken it: only a point that is still in the
    /// log counts.
    pub fn flushed(&mut self, upto: LogPoint) {
        let Some(below) = upto.offset.0.checked_sub(1).filter(|below| *below >= 0) else { return };
        let number = self.index.holding(Offset(below));
        let still_there = number < self.index.end() && {
            let batch = self.index.get(number);
            batch.epoch == upto.epoch && batch.last < upto.offset
        };
        if still_there {
            self.flushed = self.flushed.max(upto.offset);
        }
    }

    /// Everything below survives a power loss.
    #[must_use]
    pub fn flushed_offset(&self) -> Offset {
        self.flushed
    }

    /// The driver reported that the disk failed under this log.
    pub fn lost(&mut self) {
        // KAFKA-10778: after a failed write nobody knows what the end of the file holds.
        if self.config().defects.has(Defect::AppendAfterIoError) {
            return;
        }
        self.lost = true;
    }

    /// Whether the disk failed: appends are refused.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// The offset below which readers of committed data may read (LSO): where the first transaction
    /// begins that is open or decided above `high_watermark`, or that itself.
    #[must_use]
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        // KIP-98: what is not decided yet may still be aborted.
        if self.config().defects.has(Defect::LsoIgnoresOpen) {
            return high_watermark;
        }
        let unstable = self.producers.first_unstable(high_watermark);
        unstable.map_or(high_watermark, |first| first.min(high_watermark))
    }

    /// The high watermark moved: transactions that ended below it are settled.
    pub fn high_watermark_moved(&mut self, high_watermark: Offset) {
        self.producers.passed(high_watermark);
    }

    /// Aborted transactions that reach into `from..upper`, in the order of their markers.
    pub fn aborted(&self, from: Offset, upper: Offset) -> impl Iterator<Item = Aborted> + '_ {
        self.history.aborted.overlapping(from, upper)
    }

    /// Checks the log's own invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        assert!(self.start <= self.end, "the log start is not above the LEO");
        assert!(self.flushed <= self.end, "only what is there can be durable");
        assert!(
            self.index.last().is_none_or(|batch| batch.last < self.end),
            "batches end at the LEO"
        );
        assert!(self.active.base <= self.end, "the active segment is the last one");
        self.history.epochs.check();
        // The defect leaves behind what the log no longer holds.
        if !self.config().defects.has(Defect::ProducerStateNotTruncated) {
            self.producers.check(self.end);
        }
    }

    /// [`Self::check`], and a walk over the whole index.
    ///
    /// # Panics
    /// If an invariant is broken.
    pub fn check_all(&self) {
        self.check();
        let in_order =
            |a: &&BatchMeta, b: &&BatchMeta| a.last < b.base && a.position_end() == b.position;
        let batches: Vec<&BatchMeta> = self.index.iter().collect();
        assert!(batches.is_sorted_by(in_order), "batches follow each other");
        let segments: Vec<&Segment> = self.segments().collect();
        assert!(segments.is_sorted_by(|a, b| a.base < b.base), "segments follow each other");
        assert!(self.history.marks.is_sorted_by(|a, b| a.0 < b.0), "marks in log order");
    }
}
