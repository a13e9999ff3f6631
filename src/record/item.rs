//! The records inside an uncompressed batch.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::Offset;
use crate::record::{BatchError, BatchHeader, Compression, HEADER_BYTES, varint};
use crate::time::Timestamp;

/// A header of a record: its key (UTF-8 by contract, unchecked) and its value.
pub type RecordHeader = (Bytes, Option<Bytes>);

/// One record; keys and values share the batch's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<RecordHeader>,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// The headers with their count, still encoded; known to be well formed.
    pub headers: &'a [u8],
}

/// Walks the records of a batch; see [`Records::new`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
    at: usize,
    left: i32,
    last_delta: i64,
}

impl<'a> Records<'a> {
    /// The records of one whole batch, in order. After an error it ends. The CRC is not looked at.
    ///
    /// # Errors
    /// `Compressed`, or what is wrong with the header.
    pub fn new(batch: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(batch)?;
        if header.compression() != Compression::None {
            return Err(BatchError::Compressed);
        }
        let bytes = &batch[..header.size()];
        let left = header.record_count;
        Ok(Records { header, bytes, at: HEADER_BYTES, left, last_delta: -1 })
    }

    fn read(&mut self) -> Option<RecordView<'a>> {
        let bytes = self.bytes;
        let size = usize::try_from(varint::read(bytes, &mut self.at)?).ok()?;
        let end = self.at.checked_add(size).filter(|end| *end <= bytes.len())?;
        let bytes = &bytes[..end];
        let mut at = self.at + 1; // the record's attributes, unused
        let timestamp_delta = varint::read(bytes, &mut at)?;
        let offset_delta = varint::read(bytes, &mut at)?;
        let key = read_field(bytes, &mut at)?;
        let value = read_field(bytes, &mut at)?;
        let headers = at;
        for _ in 0..u32::try_from(varint::read(bytes, &mut at)?).ok()? {
            read_field(bytes, &mut at)??;
            read_field(bytes, &mut at)?;
        }
        let in_order = offset_delta > self.last_delta
            && offset_delta <= i64::from(self.header.last_offset_delta);
        if at != end || !in_order {
            return None;
        }
        self.at = end;
        self.last_delta = offset_delta;
        let timestamp = if self.header.is_log_append_time() {
            self.header.max_timestamp
        } else {
            Timestamp(self.header.base_timestamp.0.wrapping_add(timestamp_delta))
        };
        let offset = self.header.base_offset + offset_delta;
        Some(RecordView { offset, timestamp, key, value, headers: &bytes[headers..] })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            // Bytes behind the last record are no part of any record.
            let trailing = core::mem::replace(&mut self.at, self.bytes.len()) != self.bytes.len();
            return trailing.then_some(Err(BatchError::Invalid));
        }
        let record = self.read();
        if record.is_none() {
            self.left = 0;
            self.at = self.bytes.len();
            return Some(Err(BatchError::Invalid));
        }
        self.left -= 1;
        record.map(Ok)
    }
}

/// The records of an uncompressed batch, sharing its bytes.
///
/// # Errors
/// `Compressed`, or `Invalid` for anything that is not what the header says.
pub fn records(batch: &Bytes) -> Result<Vec<Record>, BatchError> {
    let views = Records::new(batch)?;
    let mut records = Vec::new();
    for view in views {
        let view = view?;
        let headers = decode_headers(batch, view.headers).ok_or(BatchError::Invalid)?;
        records.push(Record {
            offset: view.offset,
            timestamp: view.timestamp,
            key: view.key.map(|key| batch.slice_ref(key)),
            value: view.value.map(|value| batch.slice_ref(value)),
            headers,
        });
    }
    Ok(records)
}

/// Checks the records of an uncompressed batch as its leader does before the append: well formed,
/// offsets 0, 1, 2, .., and with `keyed` a key in each (compacted topics). Gives nothing back.
///
/// # Errors
/// `Invalid`, or what is wrong with the header.
pub fn check_records(batch: &[u8], keyed: bool) -> Result<(), BatchError> {
    let views = Records::new(batch)?;
    let mut next = views.header.base_offset;
    for view in views {
        let view = view?;
        if view.offset != next || (keyed && view.key.is_none()) {
            return Err(BatchError::Invalid);
        }
        next = next.next();
    }
    Ok(())
}

fn decode_headers(batch: &Bytes, bytes: &[u8]) -> Option<Vec<RecordHeader>> {
    let mut at = 0;
    let count = varint::read(bytes, &mut at)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let key = read_field(bytes, &mut at)??;
        let value = read_field(bytes, &mut at)?;
        headers.push((batch.slice_ref(key), value.map(|value| batch.slice_ref(value))));
    }
    Some(headers)
}

/// A length and so many bytes; length -1 is null. The outer `None`: malformed.
#[expect(clippy::option_option, reason = "malformed and null are two things")]
fn read_field<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = varint::read(bytes, at)?;
    if length == -1 {
        return Some(None);
    }
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    let field = bytes.get(*at..end)?;
    *at = end;
    Some(Some(field))
}
