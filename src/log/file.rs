//! Small checkpoint files: a version, a CRC-32C over the rest, and big-endian fields. A damaged or
//! half-written file is noticed and treated as missing.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::record::crc32c;

const VERSION: u8 = 1;
const BODY_AT: usize = 5;

/// A new file's bytes so far: fields are appended big-endian.
pub(super) fn writer() -> Vec<u8> {
    alloc::vec![VERSION, 0, 0, 0, 0]
}

/// Seals what [`writer`] began.
pub(super) fn finish(mut out: Vec<u8>) -> Bytes {
    let crc = crc32c(&out[BODY_AT..]);
    out[1..BODY_AT].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(out)
}

/// Reads the fields back.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// None if the file is damaged.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<BODY_AT>()?;
        let crc = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        (head[0] == VERSION && crc == crc32c(rest)).then_some(Reader { rest })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }
}

/// An offset as a file of its own (`log-start-offset-checkpoint`).
#[must_use]
pub fn encode_offset(offset: crate::ids::Offset) -> Bytes {
    let mut out = writer();
    out.extend_from_slice(&offset.0.to_be_bytes());
    finish(out)
}

/// The offset in such a file; none if it is damaged.
#[must_use]
pub fn decode_offset(bytes: &[u8]) -> Option<crate::ids::Offset> {
    let mut reader = Reader::open(bytes)?;
    let offset = crate::ids::Offset(reader.i64()?);
    (reader.is_empty() && offset.0 >= 0).then_some(offset)
}
