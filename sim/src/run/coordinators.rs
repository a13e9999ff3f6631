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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSeen {
    /// The leader epoch of the coordinator that told of it.
    pub reign: LeaderEpoch,
    pub generation: i32,
    /// Their ids, in order.
    pub members: Vec<Arc<str>>,
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
    /// Static members that came back under another id and found their places kept: the generation
    /// stayed as it was (KIP-345).
    pub rejoins: u64,
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
            | Event::Reset(_)
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
        let (reign, generation) = (note.coordinator_epoch, note.generation);
        let old = self.groups.get(&note.group);
        // One that stood still tells late what its successor knows better.
        if old.is_some_and(|old| old.reign > reign) {
            return;
        }
        let ids = note.members.iter().map(|member| Arc::clone(&member.member));
        let mut seen = GroupSeen { reign, generation, members: ids.collect() };
        seen.members.sort_unstable();
        self.rebalances += u64::from(old.is_none_or(|old| old.generation < seen.generation));
        self.rejoins += old.map_or(0, |old| replaced(old, &seen));
        self.groups.insert(Arc::clone(&note.group), seen);
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
        self.groups.get(id).cloned()
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

/// How many members of a generation were replaced by others within it.
fn replaced(old: &GroupSeen, new: &GroupSeen) -> u64 {
    if old.generation != new.generation || old.members.len() != new.members.len() {
        return 0;
    }
    let fresh = new.members.iter().filter(|id| old.members.binary_search(id).is_err());
    u64::try_from(fresh.count()).expect("a count fits")
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

#[cfg(test)]
mod tests {
    use seedlog::event::GroupMemberNote;
    use seedlog::ids::ProducerId;

    use super::*;

    fn group(reign: i32, generation: i32, members: &[&str]) -> Event {
        let member = |id: &&str| GroupMemberNote {
            member: (*id).into(),
            epoch: generation,
            assigned: [].into(),
            revoking: [].into(),
        };
        Event::Group(Arc::new(GroupNote {
            group: "g".into(),
            generation,
            shard: 0,
            coordinator_epoch: LeaderEpoch(reign),
            members: members.iter().map(member).collect(),
        }))
    }

    #[test]
    fn a_later_generation_is_a_rebalance_and_another_member_within_one_a_rejoin() {
        let table = [
            // epoch, generation, members, rebalances and rejoins so far
            (0, 1, &["a-1", "b-1"][..], (1, 0)),
            // A new coordinator tells what it has read.
            (1, 1, &["b-1", "a-1"], (1, 0)),
            (1, 1, &["a-2", "b-1"], (1, 1)),
            (1, 2, &["a-2", "b-1", "c-1"], (2, 1)),
            (1, 3, &["a-2", "b-2"], (3, 1)),
            // The one before it had stood still.
            (0, 5, &["a-1", "b-1"], (3, 1)),
            // One that was lost with its coordinator begins anew.
            (2, 1, &["a-3"], (3, 1)),
        ];
        let mut seen = Coordinators::default();
        for (reign, generation, members, counts) in table {
            seen.told(ProcessId(0), &group(reign, generation, members));
            assert_eq!((seen.rebalances, seen.rejoins), counts, "{generation} {members:?}");
        }
        assert_eq!(seen.group("g").expect("it was told").members.len(), 1);
    }

    fn transaction(at: i64, to: TransactionState, committed: bool) -> Event {
        Event::Transaction(Arc::new(TransactionNote {
            transactional_id: "t".into(),
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(0),
            from: TransactionState::Ongoing,
            to,
            shard: 3,
            offset: Offset(at),
            coordinator_epoch: LeaderEpoch(0),
            committed,
            partitions: [].into(),
        }))
    }

    #[test]
    fn a_transaction_is_where_the_last_committed_record_says_whoever_reads_it_again() {
        use TransactionState::{CompleteCommit, Ongoing, PrepareCommit};
        let mut seen = Coordinators::default();
        let told = [
            (0, Ongoing, true, Ongoing, 0),
            (1, PrepareCommit, false, Ongoing, 0),
            (1, PrepareCommit, true, PrepareCommit, 0),
            (2, CompleteCommit, true, CompleteCommit, 1),
            // A new coordinator tells it once more.
            (2, CompleteCommit, true, CompleteCommit, 1),
            (1, PrepareCommit, true, CompleteCommit, 1),
        ];
        for (at, to, is_committed, state, committed) in told {
            seen.told(ProcessId(0), &transaction(at, to, is_committed));
            let found = seen.transaction("t").expect("it was told").state;
            assert_eq!((found, seen.committed), (state, committed), "{to:?} at {at}");
        }
        seen.took_over(2);
        seen.took_over(3);
        let moves: Vec<_> = seen.moves().filter(|(_, count)| *count > 0).collect();
        assert_eq!(moves, [("CompleteCommit", 1)], "only of its own shard");
    }
}
