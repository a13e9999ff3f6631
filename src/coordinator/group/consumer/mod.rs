//! A group of the KIP-848 protocol: the coordinator assigns, and leads each member to its target.
//!
//! All of it is in the log. A change of who is in the group, or of what there is to have, makes a
//! new group epoch; a target assignment is made for the epoch; and each member comes to its target
//! at its own pace, giving up first, so that no partition ever has two owners.

pub(super) mod describe;
mod draft;
pub(super) mod heartbeat;
pub(super) mod leave;
mod reconcile;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::groups::Kind;
use super::record::{ConsumerRecord, CurrentValue, MemberState, MemberValue, Partitions};
use super::{GroupCoordinator, record};
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::event::GroupMemberNote;
use crate::ids::{TopicId, TopicName};
use crate::message::commit::Committer;
use crate::metadata::Image;

/// The epoch of a static member that is away and will come back.
const AWAY: i32 = -2;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Consumer {
    pub epoch: i32,
    /// The topics that the epoch was decided on.
    topics: BTreeMap<TopicName, (TopicId, i32)>,
    /// The group epoch that the targets are made for.
    pub target_epoch: i32,
    pub members: BTreeMap<Arc<str>, Arc<Member>>,
    statics: BTreeMap<Arc<str>, Arc<str>>,
    /// How many members want a topic.
    subscribed: BTreeMap<TopicName, usize>,
    /// Who holds a partition, or may still hold it.
    owners: BTreeMap<(TopicId, i32), Arc<str>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// What it told of itself.
    pub about: MemberValue,
    pub current: CurrentValue,
    pub target: Partitions,
}

impl Consumer {
    pub fn apply(&mut self, record: &ConsumerRecord, defects: Defects) {
        match record {
            ConsumerRecord::Epoch(epoch) => self.epoch = epoch.unwrap_or_default(),
            ConsumerRecord::Topics(topics) => self.topics = topics.clone().unwrap_or_default(),
            ConsumerRecord::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or_default(),
            ConsumerRecord::Member(id, Some(value)) => self.set_about(id, value),
            ConsumerRecord::Member(id, None) => self.remove(id),
            ConsumerRecord::Target(id, target) => {
                let target = target.clone().unwrap_or_default();
                self.set_target(id, target, defects);
            }
            ConsumerRecord::Current(id, current) => {
                self.set_current(id, current.clone().unwrap_or_default());
            }
        }
    }

    /// Also the first that a compacted log tells of a member may be any of its records.
    fn member_mut(&mut self, id: &Arc<str>) -> &mut Member {
        Arc::make_mut(self.members.entry(id.clone()).or_default())
    }

    fn set_about(&mut self, id: &Arc<str>, value: &MemberValue) {
        let old = core::mem::replace(&mut self.member_mut(id).about, value.clone());
        self.unsubscribe(id, &old);
        for topic in &value.topics {
            *self.subscribed.entry(topic.clone()).or_default() += 1;
        }
        if let Some(instance) = &value.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
    }

    fn unsubscribe(&mut self, id: &str, about: &MemberValue) {
        for topic in &about.topics {
            let Some(count) = self.subscribed.get_mut(topic) else { continue };
            *count -= 1;
            if *count == 0 {
                self.subscribed.remove(topic);
            }
        }
        if let Some(instance) = &about.instance
            && self.statics.get(instance).is_some_and(|holder| **holder == *id)
        {
            self.statics.remove(instance);
        }
    }

    fn set_target(&mut self, id: &Arc<str>, target: Partitions, defects: Defects) {
        if target.is_empty() && !self.members.contains_key(id) {
            return;
        }
        // KAFKA-16147: that a member shall have a partition again does not mean that it has it: it
        // was told to give it up, and until it says so nobody else may have it.
        if defects.has(Defect::DoubleAssign848) {
            let revoking = &self.member_mut(id).current.revoking;
            let again: Vec<_> = revoking.intersection(&target).copied().collect();
            for partition in again {
                self.owners.remove(&partition);
            }
        }
        self.member_mut(id).target = target;
    }

    fn set_current(&mut self, id: &Arc<str>, current: CurrentValue) {
        if current == CurrentValue::default() && !self.members.contains_key(id) {
            return;
        }
        let held: Vec<_> = current.assigned.union(&current.revoking).copied().collect();
        let old = core::mem::replace(&mut self.member_mut(id).current, current);
        self.release(id, &old);
        for partition in held {
            self.owners.insert(partition, id.clone());
        }
    }

    /// Frees what a member held, unless somebody else has it by now.
    fn release(&mut self, id: &str, old: &CurrentValue) {
        for partition in old.assigned.union(&old.revoking) {
            if self.owners.get(partition).is_some_and(|owner| **owner == *id) {
                self.owners.remove(partition);
            }
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(member) = self.members.remove(id) {
            self.unsubscribe(id, &member.about);
            self.release(id, &member.current);
        }
    }

    /// Whether nobody holds the partition.
    fn is_free(&self, partition: &(TopicId, i32)) -> bool {
        !self.owners.contains_key(partition)
    }

    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed.contains_key(topic)
    }

    /// [`super::groups::Group::check_commit`].
    pub fn check_commit(&self, by: &Committer, transactional: bool) -> Result<(), ErrorCode> {
        if by.generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        // Clients before KIP-447 do not say who they are in a transaction.
        let unnamed = by.generation == -1 && by.member.is_empty() && by.instance.is_none();
        if transactional && unnamed {
            return Ok(());
        }
        self.check_epoch(&by.member, by.generation)
    }

    /// Whether that is a member in that epoch.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID or STALE_MEMBER_EPOCH.
    pub fn check_epoch(&self, member: &str, epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(member).ok_or(ErrorCode::UnknownMemberId)?;
        if member.current.epoch == epoch { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }

    /// What each member holds, for checkers.
    pub fn notes(&self, image: &Image) -> Vec<GroupMemberNote> {
        let named = |partitions: &Partitions| -> Arc<[(TopicName, i32)]> {
            let named = partitions
                .iter()
                .filter_map(|(topic, partition)| Some((self.name_of(*topic, image)?, *partition)));
            named.collect()
        };
        let members = self.members.iter().map(|(id, member)| GroupMemberNote {
            member: id.clone(),
            epoch: member.current.epoch,
            assigned: named(&member.current.assigned),
            revoking: named(&member.current.revoking),
        });
        members.collect()
    }

    /// A topic's name, as long as the group or the cluster knows it.
    fn name_of(&self, topic: TopicId, image: &Image) -> Option<TopicName> {
        if let Some(found) = image.topics.get(&topic) {
            return Some(found.name.clone());
        }
        let mut topics = self.topics.iter();
        topics.find(|(_, (id, _))| *id == topic).map(|(name, _)| name.clone())
    }

    /// Internal invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        assert!(self.target_epoch <= self.epoch, "a target is made for an epoch that there was");
        for (id, member) in &self.members {
            let current = &member.current;
            assert!(current.epoch <= self.target_epoch, "{id} is at a target that there was");
            assert!(current.assigned.is_disjoint(&current.revoking), "held or to be given up");
            let revokes = current.state == MemberState::UnrevokedPartitions;
            assert_eq!(revokes, !current.revoking.is_empty(), "{id} knows what to give up");
        }
        for (instance, id) in &self.statics {
            let member = self.members.get(id).and_then(|member| member.about.instance.as_ref());
            assert_eq!(member, Some(instance), "an instance is the member that has its name");
        }
    }
}

impl GroupCoordinator {
    pub(super) fn consumer(&self, name: &str) -> Option<&Consumer> {
        match &self.groups.get(name)?.kind {
            Kind::Consumer(consumer) => Some(consumer),
            Kind::Classic(_) => None,
        }
    }
}

/// The records that remove an empty group. The epoch goes last: with it the group is gone.
pub(super) fn tombstones(group: &Arc<str>) -> Vec<record::Record> {
    let records = [
        ConsumerRecord::TargetEpoch(None),
        ConsumerRecord::Topics(None),
        ConsumerRecord::Epoch(None),
    ];
    let group = |record| record::Record::Consumer { group: group.clone(), record };
    records.into_iter().map(group).collect()
}

/// What topics there are among those, with how many partitions.
fn found<'a>(
    names: impl Iterator<Item = &'a TopicName>,
    image: &Image,
) -> impl Iterator<Item = (&'a TopicName, (TopicId, i32))> {
    names.filter_map(|name| {
        let id = *image.names.get(name)?;
        let count = image.topics.get(&id)?.partitions.len();
        Some((name, (id, i32::try_from(count).expect("a topic's partitions are numbered"))))
    })
}

/// The topics of a subscription as a set.
fn topic_set(topics: &[TopicName]) -> BTreeSet<TopicName> {
    topics.iter().cloned().collect()
}
