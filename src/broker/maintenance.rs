//! What a broker does for its logs beside serving: checkpoints, retention, compaction, and what the
//! disk answers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::broker::{Broker, Timer, checkpoint};
use crate::ids::{LogId, LogPoint, Offset, PartitionId};
use crate::machine::{Effect, Effects, FileKey};
use crate::time::Now;

impl Broker {
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
            let id = replica.id();
            self.coordinator_loaded(now, id, from, batches, out);
        }
        self.look_into(log, from, batches, out);
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
