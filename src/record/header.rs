//! The fixed part of a batch, and the check of a whole one.

use core::cmp::Ordering;

use crc::{CRC_32_ISCSI, Crc, Table};

use crate::defect::{Defect, Defects};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::record::BatchError;
use crate::time::Timestamp;

/// Size of a batch header: everything before the first record.
pub const HEADER_BYTES: usize = 61;

/// Bytes before the part that the length field counts.
pub(crate) const LENGTH_END: usize = 12;
pub(crate) const EPOCH_AT: usize = 12;
pub(crate) const CRC_AT: usize = 17;
/// The CRC covers everything from the attributes on: not the base offset and the leader epoch,
/// which brokers rewrite.
pub(crate) const CRC_COVERS: usize = 21;
pub(crate) const MAX_TIMESTAMP_AT: usize = 35;

pub(crate) const COMPRESSION_BITS: i16 = 7;
pub(crate) const TIMESTAMP_TYPE_BIT: i16 = 1 << 3;
pub(crate) const TRANSACTIONAL_BIT: i16 = 1 << 4;
pub(crate) const CONTROL_BIT: i16 = 1 << 5;
/// The base timestamp is when tombstones in this batch may go (KIP-534).
pub(crate) const DELETE_HORIZON_BIT: i16 = 1 << 6;

const CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// CRC-32C (Castagnoli) of some bytes.
#[must_use]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    static TABLE: Crc<u32, Table<16>> = CRC_32C;
    TABLE.checksum(bytes)
}

/// The header of a batch, field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after the length field itself; see [`Self::size`].
    pub length: u32,
    /// The epoch of the leader that appended it; producers write -1.
    pub leader_epoch: LeaderEpoch,
    pub crc: u32,
    /// Bits 0-2 compression, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon.
    pub attributes: i16,
    /// The last offset minus the base offset: stays when compaction removes records.
    pub last_offset_delta: i32,
    /// The first record's timestamp, or the delete horizon.
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// The first record's sequence number; -1 without idempotence.
    pub base_sequence: i32,
    /// Records that are left in it; zero is possible after compaction.
    pub record_count: i32,
}

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
    /// A number that Kafka has not given out.
    Unknown,
}

impl Compression {
    /// Its number in a batch's attributes; none for [`Self::Unknown`], which may be any other.
    #[must_use]
    pub const fn number(self) -> Option<i16> {
        match self {
            Compression::None => Some(0),
            Compression::Gzip => Some(1),
            Compression::Snappy => Some(2),
            Compression::Lz4 => Some(3),
            Compression::Zstd => Some(4),
            Compression::Unknown => None,
        }
    }
}

impl BatchHeader {
    /// Reads the header of the batch that `bytes` begin with; more batches may follow. Checks the
    /// length against `bytes` and that the offsets make sense, not the CRC.
    ///
    /// # Errors
    /// `Truncated`, `Length`, `Magic`, or `Invalid` for impossible offsets or counts.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::parse_torn(bytes)?;
        if bytes.len() < header.size() {
            return Err(BatchError::Truncated);
        }
        header.sane()
    }

    /// [`Self::parse`] without the check that the whole batch is there, and may be nonsense.
    pub(crate) fn parse_torn(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        let Some(fixed) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(BatchError::Truncated);
        };
        if fixed[16] != 2 {
            return Err(BatchError::Magic);
        }
        let length = i32_at(fixed, 8);
        let Some(length) = u32::try_from(length).ok().filter(|length| *length >= 49) else {
            return Err(BatchError::Length);
        };
        if length > u32::try_from(i32::MAX - 12).expect("a positive constant") {
            return Err(BatchError::Length);
        }
        Ok(BatchHeader {
            base_offset: Offset(i64_at(fixed, 0)),
            length,
            leader_epoch: LeaderEpoch(i32_at(fixed, EPOCH_AT)),
            crc: i32_at(fixed, CRC_AT).cast_unsigned(),
            attributes: i16_at(fixed, 21),
            last_offset_delta: i32_at(fixed, 23),
            base_timestamp: Timestamp(i64_at(fixed, 27)),
            max_timestamp: Timestamp(i64_at(fixed, 35)),
            producer_id: ProducerId(i64_at(fixed, 43)),
            producer_epoch: ProducerEpoch(i16_at(fixed, 51)),
            base_sequence: i32_at(fixed, 53),
            record_count: i32_at(fixed, 57),
        })
    }

    /// The header if its offsets and counts make sense.
    pub(crate) fn sane(self) -> Result<BatchHeader, BatchError> {
        // Offsets far below the end of the number line keep all later arithmetic safe.
        let offsets = self.base_offset.0 >= 0 && self.base_offset.0 < i64::MAX >> 1;
        if offsets && self.last_offset_delta >= 0 && self.record_count >= 0 {
            Ok(self)
        } else {
            Err(BatchError::Invalid)
        }
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.length).expect("at most i32::MAX") + LENGTH_END
    }

    /// The offset of the last record (also if compaction removed it).
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether it holds a marker of a transaction or of Raft instead of data.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// Whether the broker set the timestamp: then all records have [`Self::max_timestamp`].
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & TIMESTAMP_TYPE_BIT != 0
    }

    /// When tombstones in it may be removed, if compaction has seen them (KIP-534).
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        (self.attributes & DELETE_HORIZON_BIT != 0).then_some(self.base_timestamp)
    }

    /// Whether it comes from an idempotent or transactional producer.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    #[must_use]
    pub fn compression(&self) -> Compression {
        match self.attributes & COMPRESSION_BITS {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _unassigned => Compression::Unknown,
        }
    }

    /// Whether the producer's fields agree with each other: a numbered batch has an id, an epoch
    /// and a sequence, a transactional one has an id.
    #[must_use]
    pub fn producer_fields_agree(&self) -> bool {
        let numbered = self.base_sequence >= 0 && self.producer_epoch.0 >= 0;
        let alone = !self.has_producer() && !self.is_transactional();
        alone || (self.has_producer() && (numbered || self.is_control()))
    }

    /// The last record's sequence number; -1 without idempotence. `max` is where sequences wrap.
    #[must_use]
    pub fn last_sequence(&self, max: i32, defects: Defects) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        advance_sequence(self.base_sequence, self.last_offset_delta, max, defects)
    }
}

/// The sequence number `by` records after `sequence` (KIP-98). After `max` comes 0.
#[must_use]
pub fn advance_sequence(sequence: i32, by: i32, max: i32, defects: Defects) -> i32 {
    // KAFKA-7692: the number after the last one is 0.
    if defects.has(Defect::SeqWrap) {
        return sequence.wrapping_add(by);
    }
    let wrapped = (i64::from(sequence) + i64::from(by)).rem_euclid(i64::from(max) + 1);
    i32::try_from(wrapped).expect("a remainder by at most 2^31")
}

/// Checks that `batch` is exactly one good batch: length, magic, CRC-32C and counts. Does not look
/// at the records themselves; see [`crate::record::check_records`].
///
/// # Errors
/// Why it is not.
pub fn verify(batch: &[u8]) -> Result<BatchHeader, BatchError> {
    let header = BatchHeader::parse_torn(batch)?;
    match batch.len().cmp(&header.size()) {
        Ordering::Less => return Err(BatchError::Truncated),
        Ordering::Equal => {}
        Ordering::Greater => return Err(BatchError::Trailing),
    }
    // Before any other field: what the wire or the disk did is no mistake of the producer.
    if crc32c(&batch[CRC_COVERS..]) != header.crc {
        return Err(BatchError::Crc);
    }
    let header = header.sane()?;
    // Compaction leaves fewer records than offsets, never more.
    if i64::from(header.record_count) > i64::from(header.last_offset_delta) + 1 {
        return Err(BatchError::Invalid);
    }
    Ok(header)
}

fn i64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn i32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i16_at(bytes: &[u8; HEADER_BYTES], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}
