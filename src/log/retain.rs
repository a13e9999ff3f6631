//! Retention by time and by size.

use crate::config::CleanupPolicy;
use crate::ids::Offset;
use crate::log::{Log, Segment};
use crate::machine::Effects;
use crate::time::{Now, Timestamp};

impl Log {
    /// Removes whole old segments that retention no longer wants, all of them below the high
    /// watermark, and forgets idle producers.
    pub fn retain(&mut self, now: Now, high_watermark: Offset, out: &mut Effects) {
        self.producers.expire(now.wall, self.config().producer_id_expiration);
        match self.config().topic.cleanup_policy {
            CleanupPolicy::Compact => return,
            CleanupPolicy::Delete | CleanupPolicy::CompactDelete => {}
        }
        let by_time = self.kept_by_time(now.wall, high_watermark);
        let by_size = self.kept_by_size(high_watermark);
        self.trim(by_time.max(by_size), out);
    }

    /// Where the first segment begins that is young enough, or not below the high watermark.
    fn kept_by_time(&self, now: Timestamp, high_watermark: Offset) -> Offset {
        let Some(retention) = self.config().topic.retention else { return self.start };
        let oldest = now.saturating_sub(retention);
        self.kept(high_watermark, |segment, _| {
            segment.max_timestamp != Timestamp::NONE && segment.max_timestamp < oldest
        })
    }

    /// Where the first segment begins without which the log would be below its size, likewise.
    fn kept_by_size(&self, high_watermark: Offset) -> Offset {
        let Some(limit) = self.config().topic.retention_bytes else { return self.start };
        let mut excess = self.size().saturating_sub(limit);
        self.kept(high_watermark, |_, size| {
            let goes = size > 0 && size <= excess;
            excess = excess.saturating_sub(size);
            goes
        })
    }

    /// The end of the longest run of segments that `goes` (called with segment and size) lets go.
    fn kept(&self, high_watermark: Offset, mut goes: impl FnMut(&Segment, u64) -> bool) -> Offset {
        let origin = self.index.iter().next().map_or(0, |batch| batch.position);
        let ends = self.segments().skip(1).map(|next| (next.base, next.position));
        let ends = ends.chain([(self.end, self.index.position_end())]);
        let mut kept = self.start;
        for (segment, (end, position_end)) in self.segments().zip(ends) {
            let size = position_end.saturating_sub(segment.position.max(origin));
            if segment.is_empty() || end > high_watermark || !goes(segment, size) {
                break;
            }
            kept = kept.max(end);
        }
        kept
    }
}
