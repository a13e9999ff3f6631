//! Coordinators follow one another, each in a leader epoch of its log. One that stood still goes on
//! where it was: what it had written and the log has committed it says late, when another one has
//! said more. So what it says has its place in the order of the log, not in that of time.

use std::collections::BTreeMap;

use seedlog::ids::{LeaderEpoch, Offset};

use super::super::ghost::GhostBatch;

/// Coordinators remembered of each group and of each offset.
const REMEMBERED: usize = 16;

/// Whose each place in the committed log of `__consumer_offsets` is.
#[derive(Clone, Debug, Default)]
pub struct Reigns {
    /// By shard, the first place of each.
    began: BTreeMap<(i32, Offset), LeaderEpoch>,
}

impl Reigns {
    /// A batch of a shard was committed.
    pub fn written(&mut self, shard: i32, batch: &GhostBatch) {
        if self.at(shard, batch.base) != Some(batch.epoch) {
            self.began.insert((shard, batch.base), batch.epoch);
        }
    }

    /// Who has written at a place of a shard; of a place behind the committed log, who may.
    pub fn at(&self, shard: i32, place: Offset) -> Option<LeaderEpoch> {
        let before = self.began.range((shard, Offset::ZERO)..=(shard, place));
        before.map(|(_, epoch)| *epoch).next_back()
    }
}

/// What the last coordinators have said of one thing.
#[derive(Clone, Debug)]
pub struct Said<T> {
    by: BTreeMap<LeaderEpoch, T>,
}

impl<T> Default for Said<T> {
    fn default() -> Self {
        Said { by: BTreeMap::new() }
    }
}

impl<T> Said<T> {
    /// What the newest one has said.
    pub fn newest(&self) -> Option<&T> {
        self.by.values().next_back()
    }

    /// What this one has said, or the last before it that has said anything.
    pub fn upto(&self, epoch: LeaderEpoch) -> Option<&T> {
        self.by.range(..=epoch).map(|(_, said)| said).next_back()
    }

    /// What the next one after it has said.
    pub fn after(&self, epoch: LeaderEpoch) -> Option<&T> {
        let after = self.by.iter().find(|(other, _)| **other > epoch);
        after.map(|(_, said)| said)
    }

    /// This one's, to change or to replace. The oldest one's is forgotten.
    pub fn say(&mut self, epoch: LeaderEpoch, said: T, change: impl FnOnce(&mut T, T)) {
        if let Some(known) = self.by.get_mut(&epoch) {
            change(known, said);
            return;
        }
        self.by.insert(epoch, said);
        if self.by.len() > REMEMBERED {
            self.by.pop_first();
        }
    }
}
