//! The index: one small entry a batch.

use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::log::paged::Paged;
use crate::record::{BatchHeader, Control};
use crate::time::Timestamp;

/// What the log keeps in memory of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMeta {
    pub base: Offset,
    pub last: Offset,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    /// Bytes of all batches before it, from some origin.
    pub(super) position: u64,
    pub epoch: LeaderEpoch,
    pub size: u32,
    pub base_sequence: i32,
    pub producer_epoch: ProducerEpoch,
    pub kind: BatchKind,
    pub transactional: bool,
}

/// What a batch holds, as far as producer state cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchKind {
    Data,
    Commit {
        coordinator_epoch: i32,
    },
    Abort {
        coordinator_epoch: i32,
    },
    /// Some other control batch.
    Other,
}

const _: () = assert!(size_of::<BatchMeta>() <= 64, "an entry of the index is one cache line");

impl BatchMeta {
    pub(super) fn new(header: &BatchHeader, batch: &[u8], position: u64) -> Self {
        let kind = if header.is_control() {
            match Control::read(batch) {
                Some(Control::Commit { coordinator_epoch }) => {
                    BatchKind::Commit { coordinator_epoch }
                }
                Some(Control::Abort { coordinator_epoch }) => {
                    BatchKind::Abort { coordinator_epoch }
                }
                Some(Control::LeaderChange { .. } | Control::Other(_)) | None => BatchKind::Other,
            }
        } else {
            BatchKind::Data
        };
        BatchMeta {
            base: header.base_offset,
            last: header.last_offset(),
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            position,
            epoch: header.leader_epoch,
            size: u32::try_from(header.size()).expect("a batch is below 2 GiB"),
            base_sequence: header.base_sequence,
            producer_epoch: header.producer_epoch,
            kind,
            transactional: header.is_transactional(),
        }
    }

    /// Where the next batch's bytes begin.
    pub(super) fn position_end(&self) -> u64 {
        self.position + u64::from(self.size)
    }
}

impl Paged<BatchMeta> {
    /// The number of the first batch that ends at or after `offset`: the one that holds it, or the
    /// next one if compaction left a gap there.
    pub(super) fn holding(&self, offset: Offset) -> usize {
        self.partition_point(|batch| batch.last < offset)
    }

    /// Where the bytes of the next batch will begin.
    pub(super) fn position_end(&self) -> u64 {
        self.last().map_or(0, BatchMeta::position_end)
    }
}
