//! Chunks of batches, and the fields that brokers rewrite.

use bytes::Bytes;

use crate::ids::{LeaderEpoch, Offset};
use crate::record::header::{
    CRC_AT, CRC_COVERS, EPOCH_AT, MAX_TIMESTAMP_AT, TIMESTAMP_TYPE_BIT, crc32c,
};
use crate::record::{BatchError, BatchHeader};
use crate::time::Timestamp;

/// Splits a chunk into its batches; see [`batches`].
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

/// The batches of a chunk in order, sharing its bytes. Checks headers and lengths, not CRCs. After
/// the first error it ends.
#[must_use]
pub fn batches(chunk: &Bytes) -> Batches {
    Batches { rest: chunk.clone() }
}

impl Iterator for Batches {
    type Item = Result<(BatchHeader, Bytes), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match BatchHeader::parse(&self.rest) {
            Ok(header) if header.size() == self.rest.len() => {
                Some(Ok((header, core::mem::take(&mut self.rest))))
            }
            Ok(header) => Some(Ok((header, self.rest.split_to(header.size())))),
            Err(error) => {
                self.rest = Bytes::new();
                Some(Err(error))
            }
        }
    }
}

/// A copy of a whole batch with its base offset and leader epoch set: what a leader does to a
/// producer's batch. The CRC does not cover them.
#[must_use]
pub fn stamp(batch: &Bytes, base: Offset, epoch: LeaderEpoch) -> Bytes {
    let mut copy = batch.to_vec();
    write_stamp(&mut copy, base, epoch);
    Bytes::from(copy)
}

/// [`stamp`] that also gives all records the time `at` (`message.timestamp.type=LogAppendTime`).
#[must_use]
pub fn stamp_append_time(batch: &Bytes, base: Offset, epoch: LeaderEpoch, at: Timestamp) -> Bytes {
    let mut copy = batch.to_vec();
    write_stamp(&mut copy, base, epoch);
    let attributes = i16::from_be_bytes([copy[21], copy[22]]) | TIMESTAMP_TYPE_BIT;
    copy[21..23].copy_from_slice(&attributes.to_be_bytes());
    copy[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&at.0.to_be_bytes());
    write_crc(&mut copy);
    Bytes::from(copy)
}

pub(super) fn write_stamp(batch: &mut [u8], base: Offset, epoch: LeaderEpoch) {
    batch[..8].copy_from_slice(&base.0.to_be_bytes());
    batch[EPOCH_AT..EPOCH_AT + 4].copy_from_slice(&epoch.0.to_be_bytes());
}

pub(super) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC_COVERS..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}
