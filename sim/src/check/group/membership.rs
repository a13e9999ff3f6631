//! Who owns which partition, as coordinators say and as members believe: G1, G2, G4.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seedlog::event::{GroupMemberNote, GroupNote, OffsetNote};
use seedlog::ids::{LeaderEpoch, Offset};
use seedlog::op::Rebalance;

use super::super::tally::{Check, Tally};
use super::Named;
use super::reigns::Said;

/// Both views.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// What each group's coordinators said last.
    groups: BTreeMap<Arc<str>, Said<Arc<GroupNote>>>,
    /// What each client believes, by its number.
    believers: BTreeMap<u32, Believer>,
}

/// A member, as its own application sees it.
#[derive(Clone, Debug)]
struct Believer {
    group: Arc<str>,
    member: Arc<str>,
    /// The generation, or member epoch, in which it was told last.
    generation: i32,
    /// Whether it has a name of its own (KIP-345).
    is_static: bool,
    holds: BTreeSet<Named>,
}

impl Membership {
    /// G1. A coordinator says what a group is now.
    pub fn noted(&mut self, note: &Arc<GroupNote>, tally: &mut Tally) {
        let mut owners: BTreeMap<&Named, &Arc<str>> = BTreeMap::new();
        let mut twice = None;
        for member in &*note.members {
            for partition in member.assigned.iter().chain(&*member.revoking) {
                let owner = *owners.entry(partition).or_insert(&member.member);
                if *owner != member.member {
                    twice = Some((partition, owner, &member.member));
                }
            }
        }
        tally.expect(Check::SingleOwner, twice.is_none(), || {
            let Some(((topic, partition), one, other)) = twice else { return String::new() };
            format!(
                "group {:?} in generation {}: {topic}-{partition} belongs to {one} and to {other}",
                note.group, note.generation
            )
        });
        let said = self.groups.entry(Arc::clone(&note.group)).or_default();
        said.say(note.coordinator_epoch, Arc::clone(note), |known, new| *known = new);
    }

    /// What a group is, as its newest coordinator has it.
    fn group(&self, group: &str) -> Option<&GroupNote> {
        self.groups.get(group)?.newest().map(Arc::as_ref)
    }

    /// What a group is, or was, as the coordinator of that time said last.
    fn group_under(&self, group: &str, reign: LeaderEpoch) -> Option<&GroupNote> {
        self.groups.get(group)?.upto(reign).map(Arc::as_ref)
    }

    /// Whether somebody names a place in a group that the group has left behind. That never becomes
    /// true again of a place that is given once.
    pub fn is_stale(&self, group: &str, member: &str, generation: i32) -> bool {
        let Some(note) = self.group(group) else { return false };
        if member.is_empty() {
            return generation >= 0;
        }
        let known = note.members.iter().find(|each| *each.member == *member);
        // A static member's place is another one's by now, perhaps in the same generation
        // (KIP-345).
        match known {
            Some(known) => generation < note.generation && known.epoch > generation,
            None => generation <= note.generation,
        }
    }

    /// Whether a reader is to go on with a partition: it is in no group, or its group has not given
    /// the partition to somebody else, which it may not know yet.
    pub fn is_to_read(&self, client: u32, partition: &Named) -> bool {
        let Some(believer) = self.believers.get(&client) else { return true };
        let Some(group) = self.group(&believer.group) else { return true };
        let own = group.members.iter().find(|each| each.member == believer.member);
        own.is_some_and(|own| own.assigned.contains(partition))
    }

    /// G4. An offset was accepted, outside of a transaction. A coordinator notes the records of its
    /// log in their order, so what it said last of the group is what held when it accepted the
    /// offset, whatever its successors have said since.
    pub fn check_commit(&self, note: &OffsetNote, reign: LeaderEpoch, tally: &mut Tally) {
        let Some(group) = self.group_under(&note.group, reign) else { return };
        let place = group.members.iter().find(|each| each.member == note.member);
        let holds = match place {
            Some(member) => member.epoch == note.generation,
            // Without a member id an offset is moved by an admin, or read by no group at all.
            None => {
                let free = group.members.is_empty() || note.offset == Offset::NONE;
                note.member.is_empty() && note.generation < 0 && free
            }
        };
        tally.expect(Check::CommitFencing, holds, || {
            format!(
                "group {:?} takes offset {} of {}-{} from member {:?} of generation {}: it is in \
                 generation {} with members {:?}",
                note.group,
                note.offset,
                note.topic,
                note.partition,
                note.member,
                note.generation,
                group.generation,
                group.members.iter().map(|each| (&*each.member, each.epoch)).collect::<Vec<_>>()
            )
        });
    }

    /// A member's application was told what it holds.
    pub fn rebalanced(&mut self, client: u32, group: &str, change: &Rebalance, tally: &mut Tally) {
        match change {
            Rebalance::Revoked(partitions) | Rebalance::Lost(partitions) => {
                if let Some(believer) = self.believers.get_mut(&client) {
                    believer.holds.retain(|held| !partitions.contains(held));
                }
            }
            Rebalance::Assigned(partitions, metadata) => {
                let believer = self.believers.entry(client).or_insert_with(|| Believer {
                    group: Arc::from(group),
                    member: Arc::clone(&metadata.member),
                    generation: metadata.generation,
                    is_static: metadata.instance.is_some(),
                    holds: BTreeSet::new(),
                });
                believer.member = Arc::clone(&metadata.member);
                believer.generation = metadata.generation;
                believer.holds.extend(partitions.iter().cloned());
                for partition in partitions {
                    self.check_alone(client, group, partition, tally);
                }
            }
        }
    }

    /// G2. Whoever else believes to hold a partition must be out of the group. A round waits no
    /// longer for a static member than for others, and keeps its place all the same (KIP-345): one
    /// that has not joined again reads on, as a zombie whose commits are refused, until it is
    /// told (`everything` seed 3152).
    fn check_alone(&self, client: u32, group: &str, partition: &Named, tally: &mut Tally) {
        let (Some(note), Some(new)) = (self.group(group), self.believers.get(&client)) else {
            return;
        };
        let current = |member: &Arc<str>| note.members.iter().any(|each| each.member == *member);
        if !current(&new.member) {
            return;
        }
        let mut others = self.believers.iter().filter(|(other, believer)| {
            **other != client && *believer.group == *group && believer.holds.contains(partition)
        });
        let late =
            |believer: &Believer| believer.is_static && believer.generation < note.generation;
        let other = others.find(|(_, other)| current(&other.member) && !late(other));
        tally.expect(Check::NoTwoBelievers, other.is_none(), || {
            let Some((other, believer)) = other else { return String::new() };
            format!(
                "group {group:?}: client {client} (member {}) is given {}-{}, which client {other} \
                 (member {}) still believes to hold; both are in generation {}",
                new.member, partition.0, partition.1, believer.member, note.generation
            )
        });
    }

    pub fn gone(&mut self, client: u32) {
        self.believers.remove(&client);
    }

    /// G6. An offset was removed: nobody may be reading on from there.
    pub fn check_removal(&self, note: &OffsetNote, reign: LeaderEpoch, tally: &mut Tally) {
        let Some(group) = self.group_under(&note.group, reign) else { return };
        let is_it = |held: &&Named| held.0 == note.topic && held.1 == note.partition;
        let owns = |member: &&GroupMemberNote| member.assigned.iter().find(is_it).is_some();
        let owner = group.members.iter().find(owns);
        tally.expect(Check::AckedCommitDurable, owner.is_none(), || {
            format!(
                "group {:?} forgets its offset of {}-{}, which member {:?} owns",
                note.group,
                note.topic,
                note.partition,
                owner.map(|owner| &owner.member)
            )
        });
    }
}
