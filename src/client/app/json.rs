//! Values as JSON.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value as text.
///
/// # Panics
/// If the type has maps whose keys are no strings, which is a bug of whoever wrote the type.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("plain structs have a JSON form"))
}

/// The value that a record carries; none if it is something else.
#[must_use]
pub fn decode<T: DeserializeOwned>(value: Option<&Bytes>) -> Option<T> {
    serde_json::from_slice(value?).ok()
}
