//! Makes batches as Kafka's clients do: uncompressed, base offset 0, no leader epoch.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::record::chunk::{write_crc, write_stamp};
use crate::record::header::{
    COMPRESSION_BITS, CONTROL_BIT, DELETE_HORIZON_BIT, HEADER_BYTES, LENGTH_END, TRANSACTIONAL_BIT,
};
use crate::record::{BatchHeader, Compression, RecordView, varint};
use crate::time::Timestamp;

/// A batch in the making: the records are encoded as they come.
#[derive(Clone, Debug)]
pub struct Builder {
    /// The whole batch, with the header still blank.
    bytes: Vec<u8>,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    attributes: i16,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    count: i32,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    #[must_use]
    pub fn new() -> Self {
        Builder {
            bytes: alloc::vec![0; HEADER_BYTES],
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            attributes: 0,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            count: 0,
        }
    }

    /// The idempotent producer that sends it, and the sequence number of the first record.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        self.set_producer(id, epoch, base_sequence);
        self
    }

    /// [`Self::producer`], for a batch that is numbered only when it is sent.
    pub fn set_producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL_BIT;
        self
    }

    #[must_use]
    pub(crate) fn control(mut self) -> Self {
        self.attributes |= CONTROL_BIT;
        self
    }

    /// For a writer that knows them already: a raft leader.
    #[must_use]
    pub fn at(mut self, base: Offset, epoch: LeaderEpoch) -> Self {
        self.base_offset = base;
        self.leader_epoch = epoch;
        self
    }

    /// Adds a record without headers; `None` is Kafka's null.
    pub fn append(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers::<&str>(timestamp, key, value, &[]);
    }

    /// Adds a record.
    ///
    /// # Panics
    /// If the batch grows beyond what its length field can say (2 GiB).
    pub fn append_with_headers<K: AsRef<str>>(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(K, Option<Bytes>)],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        // Wrapping: any two timestamps survive the way there and back.
        let timestamp_delta = timestamp.0.wrapping_sub(self.base_timestamp.0);
        let offset_delta = i64::from(self.count);
        let header_sizes = headers.iter().map(|(key, value)| {
            let key = key.as_ref().as_bytes();
            field_size(Some(key)) + field_size(value.as_deref())
        });
        let body = 1
            + varint::size(timestamp_delta)
            + varint::size(offset_delta)
            + field_size(key)
            + field_size(value)
            + varint::size(count(headers.len()))
            + header_sizes.sum::<usize>();
        let out = &mut self.bytes;
        out.reserve(body + 5);
        varint::write(out, count(body));
        out.push(0);
        varint::write(out, timestamp_delta);
        varint::write(out, offset_delta);
        write_field(out, key);
        write_field(out, value);
        varint::write(out, count(headers.len()));
        for (key, value) in headers {
            write_field(out, Some(key.as_ref().as_bytes()));
            write_field(out, value.as_deref());
        }
        self.count += 1;
        assert!(i32::try_from(out.len()).is_ok(), "a batch ends before 2 GiB");
    }

    /// Records so far.
    #[must_use]
    pub fn len(&self) -> i32 {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The greatest timestamp so far.
    #[must_use]
    pub fn max_timestamp(&self) -> Timestamp {
        self.max_timestamp
    }

    /// The finished batch.
    ///
    /// # Panics
    /// If it is empty: Kafka has no empty batches from producers.
    #[must_use]
    pub fn build(self) -> Bytes {
        assert!(self.count > 0, "a batch has a record");
        let header = BatchHeader {
            base_offset: self.base_offset,
            length: 0,
            leader_epoch: self.leader_epoch,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.count,
        };
        finish(self.bytes, &header)
    }
}

/// Writes `header` (its length and CRC apart, which follow from the bytes) over the blank
/// beginning.
fn finish(mut bytes: Vec<u8>, header: &BatchHeader) -> Bytes {
    write_stamp(&mut bytes, header.base_offset, header.leader_epoch);
    let length = i32::try_from(bytes.len() - LENGTH_END).expect("a batch ends before 2 GiB");
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    bytes[21..23].copy_from_slice(&header.attributes.to_be_bytes());
    bytes[23..27].copy_from_slice(&header.last_offset_delta.to_be_bytes());
    bytes[27..35].copy_from_slice(&header.base_timestamp.0.to_be_bytes());
    bytes[35..43].copy_from_slice(&header.max_timestamp.0.to_be_bytes());
    bytes[43..51].copy_from_slice(&header.producer_id.0.to_be_bytes());
    bytes[51..53].copy_from_slice(&header.producer_epoch.0.to_be_bytes());
    bytes[53..57].copy_from_slice(&header.base_sequence.to_be_bytes());
    bytes[57..61].copy_from_slice(&header.record_count.to_be_bytes());
    write_crc(&mut bytes);
    Bytes::from(bytes)
}

/// A copy of a batch with only some of its records, as compaction leaves it: offsets and sequence
/// numbers stay. `horizon` marks when its tombstones may go (KIP-534).
#[must_use]
pub fn rebuild(header: &BatchHeader, kept: &[RecordView<'_>], horizon: Option<Timestamp>) -> Bytes {
    let mut header = *header;
    if let Some(horizon) = horizon {
        header.attributes |= DELETE_HORIZON_BIT;
        header.base_timestamp = horizon;
    }
    header.record_count = i32::try_from(kept.len()).expect("a part of what was there");
    let mut out = alloc::vec![0; HEADER_BYTES];
    for record in kept {
        let timestamp_delta = record.timestamp.0.wrapping_sub(header.base_timestamp.0);
        let offset_delta = record.offset - header.base_offset;
        let body = 1
            + varint::size(timestamp_delta)
            + varint::size(offset_delta)
            + field_size(record.key)
            + field_size(record.value)
            + record.headers.len();
        varint::write(&mut out, count(body));
        out.push(0);
        varint::write(&mut out, timestamp_delta);
        varint::write(&mut out, offset_delta);
        write_field(&mut out, record.key);
        write_field(&mut out, record.value);
        out.extend_from_slice(record.headers);
    }
    finish(out, &header)
}

/// The batch of `header` with other bytes in place of its records: for a driver that opens a
/// compressed batch, or compresses one. Everything that readers know of it by its header stays.
///
/// # Panics
/// If `compression` is unknown, or if the batch grows beyond 2 GiB.
#[must_use]
pub fn repack(header: &BatchHeader, compression: Compression, records: &[u8]) -> Bytes {
    let number = compression.number().expect("a driver names what it has done");
    let header =
        BatchHeader { attributes: (header.attributes & !COMPRESSION_BITS) | number, ..*header };
    let mut out = Vec::with_capacity(HEADER_BYTES + records.len());
    out.resize(HEADER_BYTES, 0);
    out.extend_from_slice(records);
    finish(out, &header)
}

fn count(len: usize) -> i64 {
    i64::try_from(len).expect("sizes in memory fit")
}

fn field_size(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varint::size(count(field.len())) + field.len())
}

fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => varint::write(out, -1),
        Some(field) => {
            varint::write(out, count(field.len()));
            out.extend_from_slice(field);
        }
    }
}
