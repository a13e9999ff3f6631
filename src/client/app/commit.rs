//! Positions outside of transactions: committed after the effects, or before them; and the way back
//! to what is committed.
//!
//! A group takes a commit of its present generation whenever it comes: one that timed out, and was
//! sent again, counts once more after the next. At least once that costs work; at most once it is a
//! gap of the protocol, which only transactions close.

use alloc::vec::Vec;

use crate::client::app::engine::{Ask, Closing, Engine, Partition, Purpose, Todo};
use crate::client::app::processor::Processor;
use crate::ids::{LeaderEpoch, Offset};
use crate::op::{Op, Outcome, Position, SeekTo};
use crate::time::Instant;

#[derive(Clone, Debug, Default)]
pub(super) struct Commit {
    pub in_flight: Option<Vec<(Partition, u64, Offset)>>,
    not_before: Instant,
    back: Back,
}

/// A way back to the committed positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Back {
    #[default]
    No,
    Wanted {
        not_before: Instant,
    },
    /// Waits for the committed positions, or for an answer that has come too late to be of use.
    Asked {
        is_stale: bool,
    },
    Seeking {
        unanswered: usize,
    },
}

impl Commit {
    pub fn is_going_back(&self) -> bool {
        self.back != Back::No
    }

    pub fn want_back(&mut self) {
        self.back = match self.back {
            Back::Asked { .. } => Back::Asked { is_stale: true },
            Back::No | Back::Wanted { .. } | Back::Seeking { .. } => {
                Back::Wanted { not_before: Instant::ZERO }
            }
        };
    }
}

/// How a position is committed.
pub(super) fn position(partition: &Partition, offset: Offset) -> Position {
    Position {
        topic: partition.0.clone(),
        partition: partition.1,
        offset,
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    }
}

impl<P: Processor> Engine<P> {
    /// Commits what has come far enough: at most one commit at a time, so that none overtakes
    /// another.
    pub(super) fn commit_positions(&mut self, now: Instant, todo: &mut Todo) {
        if self.commit.in_flight.is_some() || self.commit.is_going_back() {
            return;
        }
        let positions = self.uncommitted(self.closing == Closing::Draining);
        if positions.is_empty() {
            return;
        }
        let hurries = self.commits_first() || self.closing == Closing::Draining;
        if !hurries && self.commit.not_before > now {
            return self.wake_at(self.commit.not_before);
        }
        self.ask_commit(now, positions, todo);
    }

    /// Positions that are ahead of what is committed: of records that are done, or, where the
    /// commit comes first, of records that were polled.
    pub(super) fn uncommitted(&self, closing: bool) -> Vec<(Partition, u64, Offset)> {
        let first = self.commits_first();
        let mut found = Vec::new();
        for (partition, lane) in &self.lanes {
            let reached = match first {
                true if closing => None,
                true => lane.end(),
                false => lane.done,
            };
            if let Some(offset) = reached
                && Some(offset) > lane.committed
            {
                found.push((partition.clone(), lane.ownership, offset));
            }
        }
        found
    }

    fn ask_commit(
        &mut self,
        now: Instant,
        positions: Vec<(Partition, u64, Offset)>,
        todo: &mut Todo,
    ) {
        let list = positions.iter().map(|(partition, _, offset)| position(partition, *offset));
        let op = Op::Commit(Some(list.collect()));
        self.commit.in_flight = Some(positions.clone());
        self.commit.not_before = now + self.setup.config.commit_interval;
        todo.asks.push(Ask::Consumer(Purpose::Commit(positions), op));
    }

    /// Commits what is done of partitions that must be given up; true if nothing is left to commit.
    pub(super) fn commit_before_leaving(
        &mut self,
        now: Instant,
        partitions: &[Partition],
        todo: &mut Todo,
    ) -> bool {
        if self.commit.in_flight.is_some() {
            return false;
        }
        let mut positions = self.uncommitted(false);
        positions.retain(|(partition, _, _)| partitions.contains(partition));
        if positions.is_empty() {
            return true;
        }
        self.ask_commit(now, positions, todo);
        false
    }

    pub(super) fn commit_ended(
        &mut self,
        now: Instant,
        positions: &[(Partition, u64, Offset)],
        outcome: &Outcome,
    ) {
        self.commit.in_flight = None;
        let accepted = *outcome == Outcome::Done;
        if !accepted && self.commits_first() {
            // Nothing of it was processed, so what the coordinator has is where to go on.
            self.commit.want_back();
            return;
        }
        for (partition, ownership, offset) in positions {
            let revoked = self.membership.is_revoked(partition);
            let Some(lane) = self.lanes.get_mut(partition) else { continue };
            if lane.ownership != *ownership {
                continue;
            }
            if accepted {
                lane.committed = lane.committed.max(Some(*offset));
            } else if revoked || self.closing == Closing::Draining {
                // There is no time for another try: the next owner does it again.
                lane.done = lane.committed;
            }
        }
        if !accepted {
            self.commit.not_before = now + self.setup.config.retry_backoff;
        }
    }

    /// Leads the way back, where one is wanted.
    pub(super) fn go_back(&mut self, now: Instant, todo: &mut Todo) {
        let Back::Wanted { not_before } = self.commit.back else { return };
        // The positions of a transaction that is not decided are not known.
        if self.is_transactional() && !self.transaction.is_known() {
            return;
        }
        if not_before > now {
            return self.wake_at(not_before);
        }
        self.forget_uncommitted();
        if self.lanes.is_empty() {
            self.commit.back = Back::No;
            return;
        }
        self.commit.back = Back::Asked { is_stale: false };
        let partitions = self.lanes.keys().cloned().collect();
        todo.asks.push(Ask::Consumer(Purpose::Committed, Op::Committed(partitions)));
    }

    /// Drops all that will come again; late answers about it find nothing.
    pub(super) fn forget_uncommitted(&mut self) {
        let (first, changelog) = (self.commits_first(), self.has_changelog());
        for lane in self.lanes.values_mut() {
            if first {
                let committed = lane.committed;
                lane.entries.retain(|entry| Some(entry.record.offset) < committed);
            } else {
                lane.entries.clear();
                self.ownerships += 1;
                lane.ownership = self.ownerships;
                if changelog {
                    lane.restored = false;
                }
            }
        }
    }

    /// Takes the committed positions, and seeks them.
    pub(super) fn committed(&mut self, now: Instant, outcome: &Outcome, todo: &mut Todo) {
        let Back::Asked { is_stale } = self.commit.back else { return };
        let Outcome::Committed(positions) = outcome else {
            let not_before = now + self.setup.config.retry_backoff;
            self.commit.back = Back::Wanted { not_before };
            return;
        };
        if is_stale {
            self.commit.back = Back::Wanted { not_before: now };
            return self.wake_at(now);
        }
        let mut unanswered = 0;
        for found in positions.iter() {
            let partition = (found.topic.clone(), found.partition);
            let Some(lane) = self.lanes.get_mut(&partition) else { continue };
            let committed = (found.offset != Offset::NONE).then_some(found.offset);
            lane.committed = committed;
            // A transaction that is aborted has changed no state either (KIP-98); one whose end
            // nobody has told may be committed.
            lane.undo_from(committed);
            // Where the commit comes first, what it had accepted before is still worked on.
            let held = lane.entries.front().map(|entry| entry.record.offset);
            lane.done = committed.min(held.or(committed));
            // With nothing committed the first record that was polled is where it began.
            let Some(to) = committed.or(lane.start) else { continue };
            let (topic, partition) = partition;
            let seek = Op::Seek { topic, partition, to: SeekTo::Offset(to) };
            todo.asks.push(Ask::Consumer(Purpose::Seek, seek));
            unanswered += 1;
        }
        self.commit.back = if unanswered == 0 { Back::No } else { Back::Seeking { unanswered } };
    }

    /// A partition that is gone refuses to be sought, and need not be.
    pub(super) fn sought(&mut self, now: Instant, _outcome: &Outcome) {
        if let Back::Seeking { unanswered } = self.commit.back {
            self.commit.back = match unanswered - 1 {
                0 => Back::No,
                unanswered => Back::Seeking { unanswered },
            };
            self.wake_at(now);
        }
    }
}
