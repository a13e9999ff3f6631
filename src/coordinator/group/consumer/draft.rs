//! A decision in the making: a group with what is about to be written of it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reconcile::{Way, reconcile};
use super::{AWAY, Consumer, Member, Partitions, found, topic_set};
use crate::coordinator::group::assignor::{self, Subscriber};
use crate::coordinator::group::record::{ConsumerRecord, CurrentValue};
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::message::consumer_group::ConsumerGroupHeartbeatRequest;
use crate::metadata::Image;

/// Copied when the first record comes, so that a heartbeat without news costs nothing.
pub(super) struct Draft<'a> {
    base: &'a Consumer,
    changed: Option<Consumer>,
    records: Vec<ConsumerRecord>,
    defects: Defects,
}

impl<'a> Draft<'a> {
    pub fn new(base: &'a Consumer, defects: Defects) -> Self {
        Draft { base, changed: None, records: Vec::new(), defects }
    }

    pub fn group(&self) -> &Consumer {
        self.changed.as_ref().unwrap_or(self.base)
    }

    fn push(&mut self, record: ConsumerRecord) {
        let changed = self.changed.get_or_insert_with(|| self.base.clone());
        changed.apply(&record, self.defects);
        self.records.push(record);
    }

    pub fn finish(self) -> Vec<ConsumerRecord> {
        self.records
    }

    fn member(&self, id: &str) -> Option<&Arc<Member>> {
        self.group().members.get(id)
    }

    /// Lets a member in, or refuses it.
    pub fn admit(
        &mut self,
        asked: &ConsumerGroupHeartbeatRequest,
        owned: Option<&Partitions>,
    ) -> Result<(), ErrorCode> {
        let joins = asked.member_epoch == 0;
        let id = &asked.member;
        let known = match &asked.instance {
            None => self.member(id).cloned(),
            Some(instance) => {
                let holder = self.group().statics.get(instance).cloned();
                match holder {
                    Some(holder) if holder == *id => self.member(id).cloned(),
                    Some(_) if !joins => return Err(ErrorCode::FencedInstanceId),
                    Some(holder) => return self.replace(&holder, id),
                    None => None,
                }
            }
        };
        match known {
            Some(member) => check_epoch(&member.current, asked.member_epoch, owned),
            None if joins => Ok(()),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// A static member that said it would be back is, under a new id.
    fn replace(&mut self, old: &Arc<str>, id: &Arc<str>) -> Result<(), ErrorCode> {
        let Some(member) = self.member(old).cloned() else {
            return Err(ErrorCode::UnknownMemberId);
        };
        if member.current.epoch != AWAY {
            return Err(ErrorCode::UnreleasedInstanceId);
        }
        self.remove(old);
        let current = CurrentValue { epoch: 0, previous_epoch: 0, ..member.current.clone() };
        self.push(ConsumerRecord::Member(id.clone(), Some(member.about.clone())));
        self.push(ConsumerRecord::Target(id.clone(), Some(member.target.clone())));
        self.push(ConsumerRecord::Current(id.clone(), Some(current)));
        Ok(())
    }

    /// Removes all that is known of a member.
    pub fn remove(&mut self, id: &Arc<str>) {
        self.push(ConsumerRecord::Current(id.clone(), None));
        self.push(ConsumerRecord::Target(id.clone(), None));
        self.push(ConsumerRecord::Member(id.clone(), None));
    }

    /// A static member goes, and keeps its partitions until it comes back or its session ends.
    pub fn send_away(&mut self, id: &Arc<str>) {
        let Some(member) = self.member(id).cloned() else { return };
        let current = CurrentValue {
            epoch: AWAY,
            previous_epoch: member.current.epoch,
            state: super::MemberState::Stable,
            assigned: member.current.assigned.clone(),
            revoking: Partitions::new(),
        };
        self.push(ConsumerRecord::Current(id.clone(), Some(current)));
    }

    /// Takes over what a member tells of itself. Gives whether the group has to assign anew.
    pub fn update(&mut self, asked: &ConsumerGroupHeartbeatRequest) -> bool {
        let known = self.member(&asked.member).cloned();
        let old = known.as_ref().map(|member| member.about.clone()).unwrap_or_default();
        let mut about = old.clone();
        about.client_id = asked.client_id.clone();
        about.client_host = asked.client_host.clone();
        if let Some(timeout) = asked.rebalance_timeout {
            about.rebalance_timeout = timeout;
        }
        if let Some(topics) = &asked.subscribed_topics {
            about.topics = topic_set(topics);
        }
        for (told, place) in [
            (&asked.instance, &mut about.instance),
            (&asked.rack, &mut about.rack),
            (&asked.assignor, &mut about.assignor),
        ] {
            if told.is_some() {
                place.clone_from(told);
            }
        }
        let anew = known.is_none() || about.topics != old.topics;
        if known.is_none() || about != old {
            self.push(ConsumerRecord::Member(asked.member.clone(), Some(about)));
        }
        anew
    }

    /// Begins a group epoch if it has to, or if the topics are not what they were.
    pub fn renew_epoch(&mut self, anew: bool, image: &Image) {
        let group = self.group();
        let now = found(group.subscribed.keys(), image);
        let same = now.eq(group.topics.iter().map(|(name, topic)| (name, *topic)));
        if !same {
            let now = found(group.subscribed.keys(), image);
            let topics = now.map(|(name, topic)| (name.clone(), topic)).collect();
            self.push(ConsumerRecord::Topics(Some(topics)));
        }
        if anew || !same {
            self.push(ConsumerRecord::Epoch(Some(self.group().epoch + 1)));
        }
    }

    /// Makes the targets for a new group epoch.
    pub fn renew_target(&mut self) {
        let group = self.group();
        if group.epoch == group.target_epoch {
            return;
        }
        let topics: BTreeMap<_, _> = group.topics.values().copied().collect();
        let subscribers = group.members.iter().map(|(id, member)| {
            let wanted = member.about.topics.iter().filter_map(|name| group.topics.get(name));
            let subscriber = Subscriber {
                place: member.about.instance.clone().unwrap_or_else(|| id.clone()),
                topics: wanted.map(|(topic, _)| *topic).collect(),
                had: &member.target,
            };
            (id.clone(), subscriber)
        });
        let subscribers: BTreeMap<_, _> = subscribers.collect();
        let targets = assignor::assign(group.assignor(), &subscribers, &topics);
        let changed = targets
            .into_iter()
            .filter(|(id, target)| self.member(id).is_some_and(|member| member.target != *target));
        let changed: Vec<_> = changed.collect();
        let epoch = group.epoch;
        for (id, target) in changed {
            self.push(ConsumerRecord::Target(id, Some(target)));
        }
        self.push(ConsumerRecord::TargetEpoch(Some(epoch)));
    }

    /// Takes a member one step further. Gives what it has then.
    pub fn advance(&mut self, id: &Arc<str>, owned: Option<&Partitions>) -> CurrentValue {
        let group = self.group();
        let Some(member) = group.members.get(id) else { return CurrentValue::default() };
        let (target_epoch, target) = (group.target_epoch, &member.target);
        let way = Way { target_epoch, target, owned };
        let next = reconcile(&member.current, way, |partition| group.is_free(partition));
        if next != member.current {
            self.push(ConsumerRecord::Current(id.clone(), Some(next.clone())));
        }
        next
    }
}

impl Consumer {
    /// The assignor that most members ask for; equals are told apart by name.
    pub(super) fn assignor(&self) -> &str {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = &member.about.assignor {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max();
        let found = votes.iter().find(|(_, count)| Some(*count) == most);
        found.map_or(assignor::DEFAULT, |(name, _)| *name)
    }
}

/// Whether a member may go on from that epoch.
fn check_epoch(
    current: &CurrentValue,
    epoch: i32,
    owned: Option<&Partitions>,
) -> Result<(), ErrorCode> {
    // KAFKA-19233: a fenced member begins anew, with nothing in its hands.
    if epoch == 0 || epoch == current.epoch {
        return Ok(());
    }
    // It did not get the last answer, which gave it more than it says it has.
    let missed = epoch < current.epoch
        && epoch == current.previous_epoch
        && owned.is_some_and(|owned| owned.is_subset(&current.assigned));
    if missed { Ok(()) } else { Err(ErrorCode::FencedMemberEpoch) }
}
