//! Segments: the units in which a log is rolled, retained and compacted.

use crate::config::TopicConfig;
use crate::ids::Offset;
use crate::log::index::BatchMeta;
use crate::record::BatchHeader;
use crate::time::{Timestamp, millis};

/// A run of batches. Its bytes follow from the batches' positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The LEO when it began: no batch in it is below.
    pub base: Offset,
    /// Where its bytes begin.
    pub(super) position: u64,
    /// The greatest timestamp in its first batch: its age for `segment.ms`. None while empty.
    pub(super) first_timestamp: Option<Timestamp>,
    pub max_timestamp: Timestamp,
}

impl Segment {
    pub(super) fn empty(base: Offset, position: u64) -> Self {
        Segment { base, position, first_timestamp: None, max_timestamp: Timestamp::NONE }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first_timestamp.is_none()
    }

    pub(super) fn add(&mut self, batch: &BatchMeta) {
        self.first_timestamp.get_or_insert(batch.max_timestamp);
        self.max_timestamp = self.max_timestamp.max(batch.max_timestamp);
    }

    /// Whether a log whose bytes end at `position` starts a new segment before `incoming`.
    pub(super) fn is_full(
        &self,
        position: u64,
        incoming: &BatchHeader,
        config: &TopicConfig,
    ) -> bool {
        let Some(first_timestamp) = self.first_timestamp else { return false };
        let bytes = position - self.position + u64::from(incoming.length) + 12;
        let records = incoming.last_offset() + 1 - self.base;
        let age = incoming.max_timestamp.0.saturating_sub(first_timestamp.0);
        bytes > u64::from(config.segment_bytes)
            || age > millis(config.segment_age)
            || records > i64::from(config.segment_records)
    }
}
