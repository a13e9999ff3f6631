//! Where consumers begin that have no place in a partition: G7.

use std::collections::BTreeMap;

use seedlog::config::OffsetReset;
use seedlog::event::ResetNote;
use seedlog::ids::{Offset, PartitionId};

use super::super::Checkers;
use super::super::tally::Check;

/// Places that are asked for, with what was acknowledged then, as far as it could be read.
#[derive(Clone, Debug, Default)]
pub struct Resets {
    asked: BTreeMap<(u32, PartitionId), Offset>,
}

impl Checkers {
    /// A consumer asks where to begin, or is told.
    pub(in super::super) fn reset(&mut self, consumer: u32, note: &ResetNote) {
        let Some(id) = self.partition_id(&note.topic, note.partition) else { return };
        let Some(partition) = self.partitions.get(&id).filter(|ghost| !ghost.excused) else {
            return;
        };
        if note.offset == Offset::NONE {
            let end = self.ledger.acknowledged_end(id);
            let end = self.transactions.first_open(id).map_or(end, |open| end.min(open));
            self.groups.resets.asked.insert((consumer, id), end);
            return;
        }
        let Some(end) = self.groups.resets.asked.remove(&(consumer, id)) else { return };
        let policy = self.settings.reset;
        // Records below were deleted, at least by one replica: its log begins there.
        let start = partition.deleted;
        let holds = note.to == policy
            && match policy {
                OffsetReset::Earliest => note.offset <= start,
                OffsetReset::Latest => !self.settings.promises.durable || note.offset >= end,
                OffsetReset::None => false,
            };
        self.tally.expect(Check::ResetPolicy, holds, || {
            format!(
                "consumer {consumer} begins at {} of {id}, as {:?} has it; its policy is \
                 {policy:?}, the log begins at {start}, and {end} was the end of what was \
                 acknowledged when it asked",
                note.offset, note.to
            )
        });
        if note.to == OffsetReset::Latest {
            // It leaves out what came meanwhile, as it shall.
            self.ledger.moved(consumer, id);
        }
    }
}
