//! RecordBatch v2, byte for byte as Kafka stores it.
//!
//! A batch is opaque bytes with a fixed header of 61 bytes. [`BatchHeader::parse`] reads the
//! header, [`verify`] checks a whole batch, [`batches`] splits a chunk without copying, [`records`]
//! opens an uncompressed batch, [`Builder`] makes one. Bytes off the wire or a disk may be garbage:
//! nothing here panics on them.

mod builder;
mod chunk;
mod control;
mod error;
mod header;
mod item;
#[cfg(test)]
mod tests;
pub mod varint;

pub use builder::{Builder, rebuild, repack};
pub use chunk::{Batches, batches, stamp, stamp_append_time};
pub use control::{Control, LeaderChange, leader_change, marker};
pub use error::BatchError;
pub use header::{BatchHeader, Compression, HEADER_BYTES, advance_sequence, verify};
pub use item::{Record, RecordHeader, RecordView, Records, check_records, records};

pub(crate) use header::crc32c;
