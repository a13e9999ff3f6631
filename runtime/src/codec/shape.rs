//! What a message looks like, to walk it before it is decoded.
//!
//! [`kafka_protocol`] reserves memory for as many items as an array says it has, before it reads
//! the first of them: four bytes of garbage ask for hundreds of gigabytes, and a refused allocation
//! ends the process. So each request is walked first. Only if everything that it announces is
//! there, and that is no more than a request may hold, is it decoded.

use super::{CodecError, Result};

/// Items and tagged fields in one request; 100 MiB of the smallest ones would fill gigabytes.
const MAX_ITEMS: usize = 1 << 18;

/// The fields of a message in their order on the wire.
pub type Shape = &'static [Field];

/// A field, and the versions that have it.
#[derive(Clone, Copy)]
pub struct Field {
    kind: Kind,
    since: i16,
    until: i16,
}

#[derive(Clone, Copy)]
enum Kind {
    Fixed(usize),
    /// Nullable or not.
    Text,
    Bytes,
    /// Of structs, or of one thing after another.
    List(Shape),
    Values(usize),
    Texts,
}

const fn always(kind: Kind) -> Field {
    Field { kind, since: 0, until: i16::MAX }
}

pub const I8: Field = always(Kind::Fixed(1));
pub const I16: Field = always(Kind::Fixed(2));
pub const I32: Field = always(Kind::Fixed(4));
pub const I64: Field = always(Kind::Fixed(8));
pub const UUID: Field = always(Kind::Fixed(16));
pub const TEXT: Field = always(Kind::Text);
pub const BYTES: Field = always(Kind::Bytes);
/// Lists of plain values.
pub const I32S: Field = always(Kind::Values(4));
pub const I64S: Field = always(Kind::Values(8));
pub const TEXTS: Field = always(Kind::Texts);

pub const fn list(shape: Shape) -> Field {
    always(Kind::List(shape))
}

pub const fn since(version: i16, field: Field) -> Field {
    Field { since: version, ..field }
}

/// In that version and the older ones.
pub const fn until(version: i16, field: Field) -> Field {
    Field { until: version, ..field }
}

/// A walk through one message.
pub struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    /// From some version on, an API's lengths are varints and its structs end in tagged fields
    /// (KIP-482).
    flexible: bool,
    items: usize,
}

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Walk { rest: bytes, version, flexible, items: MAX_ITEMS }
    }

    /// What a request's header has behind key, version and correlation id. Its client id is never
    /// compact.
    pub fn header(&mut self) -> Result<()> {
        let length = i16::from_be_bytes(*self.fixed()?);
        self.skip(usize::try_from(length).unwrap_or(0))?;
        self.tags()
    }

    /// One struct.
    pub fn body(&mut self, shape: Shape) -> Result<()> {
        for field in shape {
            if !(field.since..=field.until).contains(&self.version) {
                continue;
            }
            match field.kind {
                Kind::Fixed(size) => self.skip(size)?,
                Kind::Text => self.text()?,
                Kind::Bytes => {
                    let size = self.length()?;
                    self.skip(size)?;
                }
                Kind::List(shape) => {
                    for _ in 0..self.length()? {
                        self.count()?;
                        self.body(shape)?;
                    }
                }
                Kind::Values(size) => {
                    for _ in 0..self.length()? {
                        self.count()?;
                        self.skip(size)?;
                    }
                }
                Kind::Texts => {
                    for _ in 0..self.length()? {
                        self.count()?;
                        self.text()?;
                    }
                }
            }
        }
        self.tags()
    }

    /// What is left behind the message.
    #[cfg(test)]
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    fn count(&mut self) -> Result<()> {
        let left = self.items.checked_sub(1);
        self.items = left.ok_or_else(|| CodecError::new("more items than a request may hold"))?;
        Ok(())
    }

    fn text(&mut self) -> Result<()> {
        let size = if self.flexible {
            self.length()?
        } else {
            usize::try_from(i16::from_be_bytes(*self.fixed()?)).unwrap_or(0)
        };
        self.skip(size)
    }

    /// Of an array or of bytes; null is none. What a negative length means is for the decoder.
    fn length(&mut self) -> Result<usize> {
        if self.flexible {
            return Ok(self.varint()?.saturating_sub(1));
        }
        Ok(usize::try_from(i32::from_be_bytes(*self.fixed()?)).unwrap_or(0))
    }

    fn tags(&mut self) -> Result<()> {
        if self.flexible {
            for _ in 0..self.varint()? {
                self.count()?;
                self.varint()?;
                let size = self.varint()?;
                self.skip(size)?;
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<usize> {
        let mut value: u32 = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = *self.fixed()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        usize::try_from(value).map_err(CodecError::new)
    }

    fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (fixed, rest) = self.rest.split_first_chunk().ok_or_else(CodecError::cut)?;
        self.rest = rest;
        Ok(fixed)
    }

    fn skip(&mut self, size: usize) -> Result<()> {
        self.rest = self.rest.get(size..).ok_or_else(CodecError::cut)?;
        Ok(())
    }
}
