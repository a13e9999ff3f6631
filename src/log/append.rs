//! Appends: a leader's, a follower's, and the index work that both share.

use alloc::sync::Arc;

use bytes::Bytes;

use crate::config::TimestampType;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::log::Log;
use crate::log::index::BatchMeta;
use crate::log::producer::Numbered;
use crate::log::segment::Segment;
use crate::machine::{Effect, Effects};
use crate::message::transaction::TransactionVersion;
use crate::record::{
    self, BatchError, BatchHeader, Compression, check_records, stamp, stamp_append_time, verify,
};
use crate::time::{Now, Timestamp};

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base: Offset,
    /// The offset of the last record.
    pub last: Offset,
    /// The batch was in the log before (KIP-98): nothing was appended now.
    pub duplicate: bool,
    /// The greatest record timestamp, as stored.
    pub timestamp: Timestamp,
}

/// The end of a transaction on this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub coordinator_epoch: i32,
    pub commit: bool,
    /// How strictly producer epochs are compared (KIP-1228).
    pub version: TransactionVersion,
}

/// Who a batch comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Leader,
    /// Replicated, or found on disk.
    Copy,
}

impl Log {
    /// Appends a client's batch as the leader of `epoch`: checks it, gives it offsets, and for
    /// `LogAppendTime` its timestamp. A batch that is in the log already is acknowledged again.
    ///
    /// # Errors
    /// What the producer is answered; nothing was appended then.
    pub fn append_as_leader(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        batch: &Bytes,
        out: &mut Effects,
    ) -> Result<Appended, ErrorCode> {
        if self.lost {
            return Err(ErrorCode::KafkaStorageError);
        }
        let mut header = self.check_from_client(batch)?;
        if header.has_producer()
            && let Numbered::Duplicate(sent) =
                self.producers.decide(&header, self.config().sequencing())?
        {
            let (base, last, timestamp) = (sent.base, sent.last, sent.timestamp);
            return Ok(Appended { base, last, duplicate: true, timestamp });
        }
        header.base_offset = self.end;
        header.leader_epoch = epoch;
        let stamped = match self.config().topic.message_timestamp_type {
            TimestampType::CreateTime => stamp(batch, self.end, epoch),
            TimestampType::LogAppendTime => {
                header.max_timestamp = now.wall;
                stamp_append_time(batch, self.end, epoch, now.wall)
            }
        };
        Ok(self.append(&header, stamped, Origin::Leader, out))
    }

    /// Appends a batch that this broker made itself, for a coordinator or a marker: no checks.
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` if the disk failed.
    ///
    /// # Panics
    /// If it is not a batch.
    pub fn append_own(
        &mut self,
        epoch: LeaderEpoch,
        batch: &Bytes,
        out: &mut Effects,
    ) -> Result<Appended, ErrorCode> {
        if self.lost {
            return Err(ErrorCode::KafkaStorageError);
        }
        let stamped = stamp(batch, self.end, epoch);
        let header = BatchHeader::parse(&stamped).expect("our own batch");
        Ok(self.append(&header, stamped, Origin::Leader, out))
    }

    /// Appends the marker that ends a producer's transaction here, as the leader of `epoch`.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH`, `TRANSACTION_COORDINATOR_FENCED` or `KAFKA_STORAGE_ERROR`.
    pub fn append_control(
        &mut self,
        now: Now,
        epoch: LeaderEpoch,
        marker: Marker,
        out: &mut Effects,
    ) -> Result<(Appended, Bytes), ErrorCode> {
        let written = self.check_marker(marker)?;
        let batch = record::marker(
            marker.producer_id,
            marker.producer_epoch,
            marker.commit,
            marker.coordinator_epoch,
            now.wall,
        );
        if written {
            let (base, last) = (self.end, self.end + -1);
            let timestamp = Timestamp::NONE;
            return Ok((Appended { base, last, duplicate: true, timestamp }, batch));
        }
        Ok((self.append_own(epoch, &batch, out)?, batch))
    }

    /// Whether a marker may be written; true if it was before.
    fn check_marker(&self, marker: Marker) -> Result<bool, ErrorCode> {
        let Some(producer) = self.producers.get(marker.producer_id) else { return Ok(false) };
        let defects = self.config().defects;
        if marker.producer_epoch < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        // KIP-98: a coordinator that was replaced has no say.
        if marker.coordinator_epoch < producer.coordinator_epoch
            && !defects.has(Defect::ZombieTcMarker)
        {
            return Err(ErrorCode::TransactionCoordinatorFenced);
        }
        // KIP-1228: with version 2 a transaction ends above the epoch that it wrote with, so a
        // marker of the present epoch is that of the transaction before.
        let strict =
            marker.version == TransactionVersion::V2 && !defects.has(Defect::Tv2MarkerSameEpochOk);
        if strict && marker.producer_epoch == producer.epoch {
            return match producer.transaction_start {
                Some(_) => Err(ErrorCode::InvalidProducerEpoch),
                None => Ok(true),
            };
        }
        Ok(false)
    }

    /// Appends what a follower fetched, chunks of whole batches, with the offsets and epochs that
    /// they have. Batches must continue the log; on a compacted topic gaps are fine. Batches before
    /// a bad one stay appended: compare the LEO.
    ///
    /// # Errors
    /// What is wrong with the first bad batch, or `Storage`.
    pub fn append_as_follower(
        &mut self,
        _now: Now,
        chunks: &[Bytes],
        out: &mut Effects,
    ) -> Result<Appended, BatchError> {
        if self.lost {
            return Err(BatchError::Storage);
        }
        let mut appended = Appended {
            base: self.end,
            last: self.end + -1,
            duplicate: false,
            timestamp: Timestamp::NONE,
        };
        let mut first = true;
        for chunk in chunks {
            for split in record::batches(chunk) {
                let (_, batch) = split?;
                let header = verify(&batch)?;
                self.meet(&header)?;
                let one = self.append(&header, batch, Origin::Copy, out);
                if first {
                    appended.base = one.base;
                    first = false;
                }
                appended.last = one.last;
                appended.timestamp = appended.timestamp.max(one.timestamp);
            }
        }
        Ok(appended)
    }

    /// Checks that a leader's batch continues this log.
    fn meet(&mut self, header: &BatchHeader) -> Result<(), BatchError> {
        if header.leader_epoch.0 < 0 {
            return Err(BatchError::Invalid);
        }
        // A leader's log may start inside a batch (DeleteRecords); an empty copy takes it whole.
        let holds_start = header.base_offset < self.end && header.last_offset() >= self.end;
        if self.index.is_empty() && holds_start {
            self.end = header.base_offset;
            self.start = self.start.max(header.base_offset);
            self.active = Segment::empty(self.end, 0);
        }
        if header.base_offset == self.end
            || (header.base_offset > self.end && self.config().compacts())
        {
            Ok(())
        } else {
            Err(BatchError::OutOfOrder)
        }
    }

    /// The part that leader and follower share. The header is the stamped one.
    fn append(
        &mut self,
        header: &BatchHeader,
        batch: Bytes,
        origin: Origin,
        out: &mut Effects,
    ) -> Appended {
        self.begin_epoch(header.leader_epoch, header.base_offset, out);
        if self.active.is_full(self.index.position_end(), header, &self.config().topic) {
            self.roll(out);
        }
        let meta = BatchMeta::new(header, &batch, self.index.position_end());
        self.index_batch(meta, origin);
        out.push(Effect::Append { log: self.id, base: meta.base, batch });
        if self.end - self.flush_asked >= self.config().topic.flush_messages {
            self.flush(out);
        }
        let (base, last) = (meta.base, meta.last);
        Appended { base, last, duplicate: false, timestamp: meta.max_timestamp }
    }

    /// Takes a batch into the index and the producer state.
    fn index_batch(&mut self, meta: BatchMeta, origin: Origin) {
        assert!(meta.base >= self.end, "batches are appended at the end");
        self.active.add(&meta);
        self.index.push(meta);
        self.end = meta.last.next();
        // KAFKA-5249: followers know a leader's producers too, to lead after it.
        if self.config().defects.has(Defect::ProducerStateNotReplicated) && origin == Origin::Copy {
            return;
        }
        if let Some(aborted) = self.producers.observe(&meta, self.config().sequencing()) {
            self.history_mut().aborted.push(aborted);
        }
        self.mark();
    }

    /// Seals the active segment and begins a new one at the LEO.
    pub(super) fn roll(&mut self, out: &mut Effects) {
        self.flush(out);
        self.save_producers(out);
        self.seal();
        // The defect's lazy checkpoint: some time, here.
        if self.config().defects.has(Defect::CheckpointNotFsynced) {
            self.save_epochs(out);
        }
    }

    pub(super) fn seal(&mut self) {
        Arc::make_mut(&mut self.history).sealed.push(self.active);
        self.active = Segment::empty(self.end, self.index.position_end());
    }

    fn check_from_client(&self, batch: &[u8]) -> Result<BatchHeader, ErrorCode> {
        let size = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        if size > self.config().topic.max_message_bytes {
            return Err(ErrorCode::MessageTooLarge);
        }
        let header = verify(batch)?;
        let counted = i64::from(header.last_offset_delta) + 1 == i64::from(header.record_count);
        if !counted || header.is_control() || !header.producer_fields_agree() {
            return Err(ErrorCode::InvalidRecord);
        }
        if header.is_log_append_time() {
            return Err(ErrorCode::InvalidTimestamp);
        }
        match header.compression() {
            Compression::None => check_records(batch, self.config().compacts())?,
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {}
            Compression::Unknown => return Err(ErrorCode::UnsupportedCompressionType),
        }
        Ok(header)
    }
}
