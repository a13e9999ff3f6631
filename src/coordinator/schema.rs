//! The bytes of coordinators' records: Kafka's own schemas, so that its tools can read them.
//!
//! Plain types are fixed-width and big-endian; a flexible version (KIP-482) has compact lengths and
//! tagged fields.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

/// Bytes that are no such record: damage that a checksum missed, or another program's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a coordinator's record")]
pub struct Corrupt;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    #[must_use]
    pub fn new() -> Self {
        Writer::default()
    }

    pub fn i8(&mut self, value: i8) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// An unsigned varint.
    pub fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(u8::try_from(value & 0x7f).expect("seven bits fit") | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value).expect("seven bits fit"));
    }

    /// A string with a 16-bit length.
    ///
    /// # Panics
    /// If it has more than 32,767 bytes, which no request could have carried.
    pub fn string(&mut self, value: &str) {
        self.i16(i16::try_from(value.len()).expect("names are short"));
        self.raw(value.as_bytes());
    }

    /// [`Self::string`], or -1.
    pub fn nullable(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.i16(-1),
        }
    }

    /// Bytes with a 32-bit length.
    pub fn blob(&mut self, value: &[u8]) {
        self.length(value.len());
        self.raw(value);
    }

    /// The length of an array.
    pub fn length(&mut self, value: usize) {
        self.i32(i32::try_from(value).expect("a record is bounded"));
    }

    /// A string in a flexible version.
    pub fn compact_string(&mut self, value: &str) {
        self.compact_length(value.len());
        self.raw(value.as_bytes());
    }

    /// [`Self::compact_string`], or 0.
    pub fn compact_nullable(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.compact_string(value),
            None => self.varint(0),
        }
    }

    /// Bytes in a flexible version.
    pub fn compact_blob(&mut self, value: &[u8]) {
        self.compact_length(value.len());
        self.raw(value);
    }

    /// The length of an array in a flexible version.
    pub fn compact_length(&mut self, value: usize) {
        self.varint(u32::try_from(value + 1).expect("a record is bounded"));
    }

    /// Tagged fields, ascending.
    pub fn tagged(&mut self, fields: &[(u32, Vec<u8>)]) {
        self.varint(u32::try_from(fields.len()).expect("few"));
        for (tag, value) in fields {
            self.varint(*tag);
            self.varint(u32::try_from(value.len()).expect("a record is bounded"));
            self.raw(value);
        }
    }

    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes values off a buffer.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// # Errors
    /// `Corrupt`, as of all that follow: what is left is no such value.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Corrupt)?;
        self.rest = rest;
        Ok(head)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Corrupt)?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn i8(&mut self) -> Result<i8, Corrupt> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, Corrupt> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Corrupt> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Corrupt> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub fn varint(&mut self) -> Result<u32, Corrupt> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    pub fn string(&mut self) -> Result<Arc<str>, Corrupt> {
        self.nullable()?.ok_or(Corrupt)
    }

    pub fn nullable(&mut self) -> Result<Option<Arc<str>>, Corrupt> {
        let len = self.i16()?;
        if len == -1 {
            return Ok(None);
        }
        self.text(usize::try_from(len).map_err(|_| Corrupt)?).map(Some)
    }

    pub fn blob(&mut self) -> Result<Bytes, Corrupt> {
        let len = self.length()?;
        self.raw(len).map(Bytes::copy_from_slice)
    }

    /// The length of an array of plain values: never more than what is left of the record.
    pub fn length(&mut self) -> Result<usize, Corrupt> {
        let len = self.i32()?;
        self.bounded(usize::try_from(len).map_err(|_| Corrupt)?)
    }

    pub fn compact_string(&mut self) -> Result<Arc<str>, Corrupt> {
        self.compact_nullable()?.ok_or(Corrupt)
    }

    pub fn compact_nullable(&mut self) -> Result<Option<Arc<str>>, Corrupt> {
        let len = self.varint()?;
        let Some(len) = len.checked_sub(1) else { return Ok(None) };
        self.text(usize::try_from(len).map_err(|_| Corrupt)?).map(Some)
    }

    pub fn compact_blob(&mut self) -> Result<Bytes, Corrupt> {
        let len = self.compact_length()?;
        self.raw(len).map(Bytes::copy_from_slice)
    }

    pub fn compact_length(&mut self) -> Result<usize, Corrupt> {
        let len = self.varint()?.checked_sub(1).ok_or(Corrupt)?;
        self.bounded(usize::try_from(len).map_err(|_| Corrupt)?)
    }

    /// The tagged fields, known or not.
    pub fn tagged(&mut self) -> Result<Vec<(u32, &'a [u8])>, Corrupt> {
        let count = self.varint()?;
        let mut fields = Vec::new();
        for _ in 0..count {
            let tag = self.varint()?;
            let len = usize::try_from(self.varint()?).map_err(|_| Corrupt)?;
            fields.push((tag, self.raw(len)?));
        }
        Ok(fields)
    }

    fn text(&mut self, len: usize) -> Result<Arc<str>, Corrupt> {
        let text = core::str::from_utf8(self.raw(len)?).map_err(|_| Corrupt)?;
        Ok(Arc::from(text))
    }

    fn bounded(&self, len: usize) -> Result<usize, Corrupt> {
        if len <= self.rest.len() { Ok(len) } else { Err(Corrupt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Writer::new();
        out.i16(-2);
        out.string("orders");
        out.nullable(None);
        out.compact_string("µ");
        out.compact_nullable(None);
        out.blob(b"xy");
        out.compact_blob(b"z");
        out.varint(300);
        out.tagged(&[(1, Vec::from(*b"tag"))]);
        let bytes = out.finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.i16(), Ok(-2));
        assert_eq!(reader.string().as_deref(), Ok("orders"));
        assert_eq!(reader.nullable(), Ok(None));
        assert_eq!(reader.compact_string().as_deref(), Ok("µ"));
        assert_eq!(reader.compact_nullable(), Ok(None));
        assert_eq!(reader.blob().as_deref(), Ok(&b"xy"[..]));
        assert_eq!(reader.compact_blob().as_deref(), Ok(&b"z"[..]));
        assert_eq!(reader.varint(), Ok(300));
        assert_eq!(reader.tagged(), Ok(alloc::vec![(1, &b"tag"[..])]));
        assert_eq!(reader.i8(), Err(Corrupt));
    }

    #[test]
    fn a_length_beyond_the_record_is_refused_before_anything_is_made_of_it() {
        assert_eq!(Reader::new(&[0x7f, 0xff, 0xff, 0xff]).length(), Err(Corrupt));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).compact_length(), Err(Corrupt));
        assert_eq!(Reader::new(&[0x00, 0x05, b'a']).string(), Err(Corrupt));
    }
}
