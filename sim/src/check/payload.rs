//! The identity that every record of a workload carries in its value.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use seedlog::ids::Offset;
use seedlog::record::{self, BatchHeader};

/// One record: the session that sent it (a producer process in one incarnation), and its number
/// there, from 1 in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    pub source: u32,
    pub number: u64,
}

/// First byte of a value that carries an identity.
const MARK: u8 = b'#';
/// Mark, source and number.
const SIZE: usize = 1 + 4 + 8;

impl RecordId {
    /// A value of at least `size` bytes that carries this identity.
    #[must_use]
    pub fn to_value(self, size: usize) -> Bytes {
        let mut value = BytesMut::with_capacity(size.max(SIZE));
        value.put_u8(MARK);
        value.put_u32(self.source);
        value.put_u64(self.number);
        value.resize(size.max(SIZE), b'.');
        value.freeze()
    }

    /// The identity in a value; none in a value that a workload did not make.
    #[must_use]
    pub fn of(value: &[u8]) -> Option<Self> {
        let (mark, rest) = value.split_first()?;
        if *mark != MARK || value.len() < SIZE {
            return None;
        }
        let source = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let number = u64::from_be_bytes(rest.get(4..12)?.try_into().ok()?);
        Some(RecordId { source, number })
    }

    /// The identities in an uncompressed data batch, with their offsets.
    pub fn in_batch(batch: &Bytes) -> impl Iterator<Item = (RecordId, Offset)> {
        let data = BatchHeader::parse(batch).is_ok_and(|header| !header.is_control());
        let records = if data { record::records(batch).unwrap_or_default() } else { Vec::new() };
        records
            .into_iter()
            .filter_map(|record| Some((RecordId::of(record.value.as_ref()?)?, record.offset)))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gives_its_identity_back_and_other_values_have_none() {
        let id = RecordId { source: 7, number: 1 << 40 };
        assert_eq!(RecordId::of(&id.to_value(0)), Some(id));
        assert_eq!(id.to_value(100).len(), 100);
        assert_eq!(RecordId::of(b"hello, world and more"), None);
        assert_eq!(RecordId::of(b""), None);
        assert_eq!(RecordId::of(b"#123"), None);
    }
}
