//! Groups: who owns what (G1, G2) since which generation (R10), what is committed for them (G3,
//! G4, G6), and where their members begin (G7).

mod generations;
mod membership;
mod offsets;
mod reigns;
mod requests;
mod resets;

use std::sync::Arc;

use seedlog::event::{GroupNote, OffsetNote};
use seedlog::ids::{LeaderEpoch, Offset, PartitionId, TopicName};
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::op::{Outcome, Position, Rebalance};
use seedlog::record::BatchHeader;

use super::Checkers;
use super::ghost::GhostBatch;
use super::transaction::Closed;
use generations::Generations;
use membership::Membership;
use offsets::Offsets;
use reigns::Reigns;
use requests::Requests;
use resets::Resets;

/// A group's partition, by name as the group knows it.
type Named = (TopicName, i32);

/// Everything the oracle knows of groups.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    membership: Membership,
    reigns: Reigns,
    offsets: Offsets,
    requests: Requests,
    generations: Generations,
    resets: Resets,
}

impl Groups {
    /// The next record to read of a partition, as the committed log has it for a group.
    #[must_use]
    pub fn committed(&self, group: &str, partition: &Named) -> Option<Offset> {
        self.offsets.committed(group, partition)
    }

    /// Whether a reader is to go on with a partition.
    #[must_use]
    pub fn is_to_read(&self, client: u32, partition: &Named) -> bool {
        self.membership.is_to_read(client, partition)
    }

    /// How many offsets it remembers.
    #[must_use]
    pub fn size(&self) -> usize {
        self.offsets.size()
    }

    /// How many commits of members that had lost their place were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.requests.refused
    }

    /// Whether a transaction has written that offset for a group.
    #[must_use]
    pub fn is_written(&self, group: &str, position: &Position) -> bool {
        self.offsets.is_written(group, position)
    }
}

impl Checkers {
    /// A member's application was told of a change of what it holds.
    pub fn rebalanced(&mut self, client: u32, group: &str, change: &Rebalance) {
        self.groups.membership.rebalanced(client, group, change, &mut self.tally);
    }

    /// A member is gone: its process died, or its application has left the group.
    pub fn member_gone(&mut self, client: u32) {
        self.groups.membership.gone(client);
    }

    /// A member's commit of these positions was answered.
    pub fn committed(
        &mut self,
        client: u32,
        group: &str,
        positions: &[Position],
        outcome: &Outcome,
    ) {
        if *outcome != Outcome::Done || self.is_shard_excused(group) {
            return;
        }
        self.groups.offsets.acknowledged(client, group, positions, &mut self.tally);
    }

    /// Whether the log that a group is kept in has lost more than it promises to survive.
    fn is_shard_excused(&self, group: &str) -> bool {
        let shard = seedlog::coordinator::shard_of(&self.image, CoordinatorKind::Group, group);
        shard.is_none_or(|shard| self.partitions.get(&shard).is_none_or(|ghost| ghost.excused))
    }

    pub(super) fn group_noted(&mut self, note: &Arc<GroupNote>) {
        if !self.is_shard_excused(&note.group) {
            self.groups.membership.noted(note, &mut self.tally);
        }
    }

    pub(super) fn offset_noted(&mut self, note: &Arc<OffsetNote>) {
        if self.is_shard_excused(&note.group) {
            return;
        }
        // A log that lost what was read takes its readers back (`everything` without its atlas,
        // seed 33).
        let read = self.partition_id(&note.topic, note.partition);
        let read = read.and_then(|id| self.partitions.get(&id));
        let is_cut = read.is_some_and(|partition| partition.excused);
        let exists =
            self.image.names.get(&note.topic).is_some_and(|id| !self.reborn.contains_key(id));
        let Checkers { groups, tally, .. } = self;
        // If another one has written at its place in the log, it was in that one's group.
        let place = groups.reigns.at(note.shard, note.at);
        let reign = note.coordinator_epoch.max(place.unwrap_or(LeaderEpoch::NONE));
        if note.producer.is_none() {
            groups.membership.check_commit(note, reign, tally);
        }
        if note.offset == Offset::NONE && exists {
            groups.membership.check_removal(note, reign, tally);
        }
        groups.offsets.noted(note, is_cut, tally);
    }

    /// A batch of `__consumer_offsets` was committed, and perhaps ends a transaction.
    pub(super) fn offsets_committed(
        &mut self,
        shard: PartitionId,
        batch: &GhostBatch,
        header: &BatchHeader,
        closed: Option<&Closed>,
    ) {
        self.groups.reigns.written(shard.partition, batch);
        let (offsets, event) = (&mut self.groups.offsets, self.tally.event());
        match closed {
            Some(closed) => {
                let moved = offsets.closed(shard.partition, closed, event);
                let Some(at) = closed.decided else { return };
                for ((topic, partition), from, to) in moved {
                    let Some(id) = self.partition_id(&topic, partition) else { continue };
                    let operation = (closed.producer, at);
                    self.cycles.read(operation, (id, from, to), &mut self.tally);
                }
            }
            None if header.is_control() => {}
            None => {
                offsets.written(shard.partition, batch, header, event);
                self.groups.generations.written(batch, &mut self.tally);
            }
        }
    }
}
