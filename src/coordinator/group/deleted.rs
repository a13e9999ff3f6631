//! Offsets of topics that were deleted.

use alloc::vec::Vec;

use super::remove::tombstone;
use super::{Author, GroupCoordinator, Step};
use crate::coordinator::{Context, Journal};
use crate::machine::Effects;

impl GroupCoordinator {
    /// The image has lost topics.
    pub fn topics_deleted(
        &mut self,
        ctx: &Context<'_>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        self.forget_deleted(&mut Step { ctx: *ctx, journal, out });
    }

    /// Removes the offsets of topics that are gone, whether or not others have their names by now:
    /// there they would leave out what nobody has read (Kafka's `onTopicsDeleted`). A coordinator's
    /// image is not older than its log, so a topic that it does not know is no more. What the log
    /// refuses is tried again with the next check for old offsets.
    pub(super) fn forget_deleted(&mut self, step: &mut Step<'_>) {
        let mut gone = Vec::new();
        for (name, group) in self.groups.iter() {
            let partitions = group.offsets.of_deleted(step.ctx.image);
            let records = partitions.iter().map(|partition| tombstone(name, partition));
            let records: Vec<_> = records.collect();
            if !records.is_empty() {
                gone.push(records);
            }
        }
        for records in gone {
            if self.append(step, &Author::nobody(), None, records).is_err() {
                break;
            }
        }
    }
}
