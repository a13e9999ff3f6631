//! Checkpoints, retention, and the controlled shutdown.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::broker::{Broker, Timer, checkpoint};
use crate::ids::{CallId, LogId, LogPoint, Offset, PartitionId};
use crate::machine::{Effect, Effects, FileKey};
use crate::op::Outcome;
use crate::time::Now;

/// How far a controlled shutdown has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shutdown {
    call: CallId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The controller moves this broker's leaderships to others (KIP-631).
    Leaving,
    /// The logs become durable.
    Flushing,
    /// The mark of a clean shutdown becomes durable.
    Marking,
}

impl Broker {
    /// Starts a controlled shutdown; the call returns when it is done.
    pub(super) fn shut_down(&mut self, now: Now, call: CallId, out: &mut Effects) {
        if self.shutdown.is_some() {
            // One is under way already; that call returns.
            out.push(Effect::Return { call, outcome: Outcome::Done });
            return;
        }
        self.shutdown = Some(Shutdown { call, stage: Stage::Leaving });
        if self.lifecycle.is_registered() && self.setup.broker.controlled_shutdown {
            self.lifecycle.shut_down(now.mono);
            self.timers.set(Timer::Shutdown, now.mono + self.setup.broker.request_timeout);
        } else {
            self.flush_and_leave(now, out);
        }
    }

    /// Whether nothing more may change on the disk but the shutdown's own.
    pub(super) fn is_leaving(&self) -> bool {
        self.shutdown.is_some_and(|shutdown| shutdown.stage != Stage::Leaving)
    }

    /// The controller has let this broker go, or does not answer: makes everything durable.
    pub(super) fn flush_and_leave(&mut self, now: Now, out: &mut Effects) {
        let Some(Shutdown { stage: stage @ Stage::Leaving, .. }) = &mut self.shutdown else {
            return;
        };
        *stage = Stage::Flushing;
        self.timers.clear();
        self.fetchers.stop(out);
        for replica in self.partitions.iter_mut() {
            let log = replica.log_mut();
            log.checkpoint(out);
            log.flush(out);
        }
        self.checkpoint(now, out);
        self.mark_clean(out);
    }

    /// When all logs are durable: leaves the mark that they are. The last one tells its epoch.
    fn mark_clean(&mut self, out: &mut Effects) {
        let Some(Shutdown { stage: stage @ Stage::Flushing, .. }) = &mut self.shutdown else {
            return;
        };
        let durable = self
            .partitions
            .iter()
            .all(|(_, replica)| replica.log().flushed_offset() >= replica.log().end_offset());
        if durable {
            *stage = Stage::Marking;
            let value = Bytes::from(format!("{}", self.lifecycle.epoch()));
            out.push(Effect::Save { file: FileKey::CleanShutdown, value });
        }
    }

    pub(super) fn saved(&mut self, file: FileKey, out: &mut Effects) {
        let Some(Shutdown { call, stage: Stage::Marking }) = self.shutdown else { return };
        if file == FileKey::CleanShutdown {
            out.push(Effect::Return { call, outcome: Outcome::Done });
            out.push(Effect::Halt);
        }
    }

    pub(super) fn flushed(&mut self, log: LogId, upto: LogPoint, out: &mut Effects) {
        if let Some(replica) = self.partitions.by_log(log) {
            replica.log_mut().flushed(upto);
            self.mark_clean(out);
        }
    }

    pub(super) fn loaded(
        &mut self,
        now: Now,
        log: LogId,
        from: Offset,
        batches: &Arc<[Bytes]>,
        out: &mut Effects,
    ) {
        if let Some(replica) = self.partitions.by_log(log) {
            replica.log_mut().loaded(now, from, batches, out);
        }
    }

    /// Writes the high watermarks down, if one has moved.
    pub(super) fn checkpoint(&mut self, now: Now, out: &mut Effects) {
        if self.shutdown.is_none() {
            let every = self.setup.broker.high_watermark_checkpoint_interval;
            self.timers.set(Timer::Checkpoint, now.mono + every);
        }
        if !self.metadata.is_published() {
            // What the last incarnation wrote still stands.
            return;
        }
        let hosted = self.partitions.iter();
        let marks: BTreeMap<PartitionId, Offset> =
            hosted.map(|(id, replica)| (id, replica.high_watermark())).collect();
        let value = checkpoint::encode(&marks);
        if value != self.written_high_watermarks {
            self.written_high_watermarks = value.clone();
            out.push(Effect::Save { file: FileKey::HighWatermarks, value });
        }
    }

    /// Removes or compacts old records. Each replica does so for itself, below what is committed.
    pub(super) fn retain(&mut self, now: Now, out: &mut Effects) {
        self.timers
            .set(Timer::Retention, now.mono + self.setup.broker.log_retention_check_interval);
        for replica in self.partitions.iter_mut() {
            let high_watermark = replica.high_watermark();
            let log = replica.log_mut();
            log.retain(now, high_watermark, out);
            log.compact(high_watermark, out);
        }
    }
}
