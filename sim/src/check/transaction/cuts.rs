//! When readers of committed data see no transaction in part.
//!
//! A transaction becomes visible partition by partition, with each of its markers, and in a
//! partition where an earlier one is open later still (KIP-98). In between a reader of several
//! partitions sees a part of it, and nothing can be said of what must be true between transactions.

use std::collections::{BTreeMap, BTreeSet};

use seedlog::ids::{Offset, PartitionId, TopicId};

use super::client::DecisionId;

/// Commits that are not visible everywhere.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    commits: BTreeMap<DecisionId, Commit>,
    /// Markers in committed logs that readers may not have reached.
    markers: BTreeMap<(PartitionId, Offset), DecisionId>,
    /// A marker committed what nobody is known to have decided: no cut is known to be one from now
    /// on.
    blind: bool,
}

#[derive(Clone, Debug)]
struct Commit {
    /// Partitions in which it is not visible.
    left: BTreeSet<PartitionId>,
    /// Whether a part of it may be visible.
    begun: bool,
}

impl Cuts {
    /// A commit was decided, of what is written to these partitions.
    pub fn decided(&mut self, decision: DecisionId, partitions: BTreeSet<PartitionId>) {
        if !partitions.is_empty() {
            self.commits.insert(decision, Commit { left: partitions, begun: false });
        }
    }

    /// A marker of a commit is in a partition's committed log. `decision`: what it carries out, if
    /// that is known; `ends`: whether it ends any records.
    pub fn marked(
        &mut self,
        (id, marker): (PartitionId, Offset),
        decision: Option<DecisionId>,
        ends: bool,
    ) {
        let Some(decision) = decision else {
            self.blind |= ends;
            return;
        };
        if let Some(commit) = self.commits.get_mut(&decision).filter(|c| c.left.contains(&id)) {
            commit.begun |= ends;
            self.markers.insert((id, marker), decision);
        }
    }

    /// Readers are shown everything of a partition below an offset.
    pub fn shown(&mut self, id: PartitionId, upto: Offset) {
        let below = (id, Offset(i64::MIN))..(id, upto);
        while let Some((&place, &decision)) = self.markers.range(below.clone()).next() {
            self.markers.remove(&place);
            self.seen(decision, |left| *left != id);
        }
    }

    fn seen(&mut self, decision: DecisionId, still: impl Fn(&PartitionId) -> bool) {
        let Some(commit) = self.commits.get_mut(&decision) else { return };
        commit.left.retain(still);
        if commit.left.is_empty() {
            self.commits.remove(&decision);
        }
    }

    /// A topic is gone, and what was written to it.
    pub fn removed(&mut self, topic: TopicId) {
        self.markers.retain(|(id, _), _| id.topic != topic);
        let all: Vec<DecisionId> = self.commits.keys().copied().collect();
        all.into_iter().for_each(|decision| self.seen(decision, |left| left.topic != topic));
    }

    /// Whether no commit is visible in part.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.blind && !self.commits.values().any(|commit| commit.begun)
    }

    /// How many commits it remembers.
    #[must_use]
    pub fn size(&self) -> usize {
        self.commits.len() + self.markers.len()
    }
}
