//! What coordinators have told: the state of every transaction and group by their committed logs,
//! and who served when that changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::event::{Event, GroupNote, OffsetNote, TransactionNote, TransactionState};
use seedlog::ids::{LeaderEpoch, Offset, PartitionId, ProducerEpoch, TopicName};
use seedlog::message::coordinator::CoordinatorKind;

use super::Run;
use crate::world::ProcessId;

/// The states that a coordinator's log may hold, by the names that scenarios use.
pub const STATES: [(&str, TransactionState); 6] = [
    ("Empty", TransactionState::Empty),
    ("Ongoing", TransactionState::Ongoing),
    ("PrepareCommit", TransactionState::PrepareCommit),
    ("PrepareAbort", TransactionState::PrepareAbort),
    ("CompleteCommit", TransactionState::CompleteCommit),
    ("CompleteAbort", TransactionState::CompleteAbort),
];

/// The state of that name.
#[must_use]
pub fn state_of(name: &str) -> Option<TransactionState> {
    STATES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
}

/// One transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionSeen {
    pub state: TransactionState,
    pub epoch: ProducerEpoch,
    shard: i32,
    at: Offset,
}

/// One group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSeen {
    pub generation: i32,
    pub members: usize,
}

/// A transition that a coordinator has just told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub process: ProcessId,
    pub to: TransactionState,
    /// Whether its record is committed, and not only appended.
    pub committed: bool,
}

/// All coordinators of a run, seen from outside.
#[derive(Clone, Debug, Default)]
pub struct Coordinators {
    transactions: BTreeMap<Arc<str>, TransactionSeen>,
    groups: BTreeMap<Arc<str>, GroupSeen>,
    offsets: BTreeMap<(Arc<str>, TopicName, i32), (Offset, Offset)>,
    /// What was told in the last step.
    fresh: Vec<Transition>,
    /// Partitions that got a leader in the last step.
    led: Vec<(PartitionId, LeaderEpoch)>,
    pub committed: u64,
    pub aborted: u64,
    /// Groups that went on to a later generation.
    pub rebalances: u64,
    /// Coordinators that took over while some transaction was in that state, in the order of
    /// [`STATES`].
    moves: [u64; STATES.len()],
    /// Group coordinators that took over while there was a group.
    pub group_moves: u64,
}

impl Coordinators {
    pub fn told(&mut self, process: ProcessId, event: &Event) {
        match event {
            Event::Transaction(note) => self.transaction_told(process, note),
            Event::Group(note) => self.group_told(note),
            Event::OffsetCommitted(note) => self.offset_told(note),
            Event::LeaderStarted { partition, leader_epoch, .. } => {
                self.led.push((*partition, *leader_epoch));
            }
            Event::FollowerStarted { .. }
            | Event::ReplicaStopped { .. }
            | Event::HighWatermark { .. }
            | Event::Isr { .. }
            | Event::Registered { .. }
            | Event::Fenced { .. }
            | Event::MetadataApplied { .. }
            | Event::Voted { .. }
            | Event::RoleChanged { .. }
            | Event::QuorumHighWatermark { .. }
            | Event::Snapshot { .. }
            | Event::StateApplied { .. }
            | Event::ControllerReplied { .. }
            | Event::Application(_)
            | Event::Sometimes(_) => {}
        }
    }

    fn transaction_told(&mut self, process: ProcessId, note: &TransactionNote) {
        self.fresh.push(Transition { process, to: note.to, committed: note.committed });
        let id = &note.transactional_id;
        let newer = self.transactions.get(id).is_none_or(|seen| seen.at < note.offset);
        if !note.committed || !newer {
            return;
        }
        self.committed += u64::from(note.to == TransactionState::CompleteCommit);
        self.aborted += u64::from(note.to == TransactionState::CompleteAbort);
        let seen = TransactionSeen {
            state: note.to,
            epoch: note.producer_epoch,
            shard: note.shard,
            at: note.offset,
        };
        self.transactions.insert(Arc::clone(id), seen);
    }

    fn group_told(&mut self, note: &GroupNote) {
        let seen = GroupSeen { generation: note.generation, members: note.members.len() };
        let old = self.groups.insert(Arc::clone(&note.group), seen);
        self.rebalances += u64::from(old.is_none_or(|old| old.generation < seen.generation));
    }

    fn offset_told(&mut self, note: &OffsetNote) {
        let key = (Arc::clone(&note.group), note.topic.clone(), note.partition);
        let known = self.offsets.entry(key).or_insert((Offset::NONE, Offset::NONE));
        if note.at > known.0 {
            *known = (note.at, note.offset);
        }
    }

    #[must_use]
    pub fn transaction(&self, id: &str) -> Option<TransactionSeen> {
        self.transactions.get(id).copied()
    }

    #[must_use]
    pub fn group(&self, id: &str) -> Option<GroupSeen> {
        self.groups.get(id).copied()
    }

    /// What a group has committed for a partition.
    #[must_use]
    pub fn offset(&self, group: &Arc<str>, topic: &TopicName, partition: i32) -> Option<Offset> {
        let known = self.offsets.get(&(Arc::clone(group), topic.clone(), partition))?;
        Some(known.1).filter(|offset| *offset != Offset::NONE)
    }

    /// How often a coordinator took over while some transaction was in a state.
    pub fn moves(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATES.iter().zip(self.moves).map(|((name, _), count)| (*name, count))
    }

    /// A shard of transactions got another coordinator.
    fn took_over(&mut self, shard: i32) {
        for ((_, state), count) in STATES.iter().zip(&mut self.moves) {
            let mut here = self.transactions.values().filter(|seen| seen.shard == shard);
            *count += u64::from(here.any(|seen| seen.state == *state));
        }
    }
}

impl Run {
    /// Counts coordinators that took over, and lets faults strike that wait for a transition.
    pub(super) fn heed_coordinators(&mut self) {
        let coordinators = &mut self.watch.coordinators;
        if coordinators.fresh.is_empty() && coordinators.led.is_empty() {
            return;
        }
        let topic = |kind: CoordinatorKind| self.image.names.get(kind.topic()).copied();
        let transactions = topic(CoordinatorKind::Transaction);
        let groups = topic(CoordinatorKind::Group);
        for (id, epoch) in std::mem::take(&mut coordinators.led) {
            let moved = epoch > LeaderEpoch(0);
            if moved && Some(id.topic) == transactions {
                coordinators.took_over(id.partition);
            }
            if moved && Some(id.topic) == groups && !coordinators.groups.is_empty() {
                coordinators.group_moves += 1;
            }
        }
        for transition in std::mem::take(&mut coordinators.fresh) {
            self.strike_at(transition);
        }
    }
}
