//! The disk of one process.

use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::{LogId, Offset};
use seedlog::machine::{FileKey, LogName};
use seedlog::time::Duration;

use super::fault::{Ratio, Span};

/// How a disk behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFaults {
    /// Time of a flush, of a save and of a load.
    pub flush: Span,
    pub save: Span,
    pub load: Span,
    /// How often a write or a flush fails with EIO.
    pub error: Ratio,
    /// After how long the kernel writes a dirty page back by itself; none: never.
    pub writeback: Option<Duration>,
    /// Saves replace the file in place, so that a crash may tear it
    /// (`Defect::CheckpointNotFsynced`). Off: atomic.
    pub torn_saves: bool,
}

impl Default for DiskFaults {
    fn default() -> Self {
        DiskFaults {
            flush: Span::new(Duration::from_micros(200), Duration::from_millis(2)),
            save: Span::new(Duration::from_micros(200), Duration::from_millis(2)),
            load: Span::new(Duration::from_micros(50), Duration::from_micros(500)),
            error: Ratio::NEVER,
            writeback: Some(Duration::from_secs(30)),
            torn_saves: false,
        }
    }
}

/// What a power loss leaves of the writes that were not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PowerLoss {
    /// Any prefix of each log's writes, drawn; the next batch may be torn.
    Drawn,
    /// Only what was flushed.
    KeepNothing,
    /// All of it.
    KeepAll,
    /// A drawn prefix, and for sure a part of the batch behind it if there is one.
    Torn,
}

#[derive(Clone, Debug, Default)]
pub struct Disk {}

impl Disk {
    #[must_use]
    pub fn file(&self, _file: FileKey) -> Option<&Bytes> {
        todo!()
    }

    /// All logs by id.
    pub fn logs(&self) -> impl Iterator<Item = (LogId, &Arc<LogName>)> {
        std::iter::empty()
    }

    /// The stored batches of a log, with the base offsets under which they were appended; none if
    /// there is no such log.
    pub fn batches(&self, _log: LogId) -> impl Iterator<Item = (Offset, &Bytes)> {
        std::iter::empty()
    }
}
