//! How values are written as bytes and read again: the one way in which applications do it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes that are no value of a format, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Writes and reads the values of one type.
pub trait Codec<T>: Send + Sync {
    /// # Panics
    /// If the value has no such form, which is a bug of whoever wrote its type.
    fn encode(&self, value: &T) -> Bytes;

    /// # Errors
    /// The bytes come from anybody: what is wrong with them.
    fn decode(&self, bytes: &[u8]) -> Result<T, Malformed>;
}

/// The format of a type's values, for instance JSON.
pub struct Format<T> {
    name: &'static str,
    codec: Arc<dyn Codec<T>>,
}

impl<T> Format<T> {
    /// A format that is not the core's own.
    #[must_use]
    pub fn new(name: &'static str, codec: impl Codec<T> + 'static) -> Self {
        Format { name, codec: Arc::new(codec) }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// # Panics
    /// As [`Codec::encode`].
    #[must_use]
    pub fn encode(&self, value: &T) -> Bytes {
        self.codec.encode(value)
    }

    /// The value that a record carries.
    ///
    /// # Errors
    /// If it carries none, or something else.
    pub fn decode(&self, value: Option<&Bytes>) -> Result<T, Malformed> {
        let Some(bytes) = value else { return Err(Malformed("there is no value".into())) };
        self.codec.decode(bytes)
    }
}

impl<T: Serialize + DeserializeOwned> Format<T> {
    /// Values as text.
    #[must_use]
    pub fn json() -> Self {
        Format::new("json", Json)
    }
}

impl<T> Clone for Format<T> {
    fn clone(&self) -> Self {
        Format { name: self.name, codec: Arc::clone(&self.codec) }
    }
}

impl<T> fmt::Debug for Format<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn encode(&self, value: &T) -> Bytes {
        Bytes::from(serde_json::to_vec(value).expect("plain types have a JSON form"))
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, Malformed> {
        serde_json::from_slice(bytes).map_err(|error| Malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_and_read_and_what_is_none_has_a_reason() {
        let format: Format<(u8, String)> = Format::json();
        let text = format.encode(&(1, "a".into()));
        assert_eq!((&*text, format.name()), (&b"[1,\"a\"]"[..], "json"));
        assert_eq!(format.decode(Some(&text)), Ok((1, "a".into())));
        let reason = |value: Option<&'static [u8]>| {
            let value = value.map(Bytes::from_static);
            format.decode(value.as_ref()).expect_err("it is malformed").to_string()
        };
        assert_eq!(reason(None), "there is no value");
        assert_eq!(reason(Some(b"[1")), "EOF while parsing a list at line 1 column 2");
        assert_eq!(reason(Some(b"\xc3\x01")), "expected value at line 1 column 1");
    }
}
