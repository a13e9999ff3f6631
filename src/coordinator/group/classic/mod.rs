//! A group of the classic protocol: its members meet in rounds, and one of them assigns.
//!
//! The log holds what a round has come to; how a round goes is known here alone, and begins anew
//! with another coordinator.

pub(super) mod describe;
pub(super) mod heartbeat;
pub(super) mod join;
pub(super) mod leave;
pub(super) mod member;
pub(super) mod rebalance;
pub(super) mod rejoin;
pub(super) mod sync;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::embedded;
use super::record::{ClassicMemberValue, ClassicValue};
use crate::error::ErrorCode;
use crate::event::GroupMemberNote;
use crate::message::commit::Committer;
use crate::message::group::JoinedMember;
use crate::time::{Duration, Timestamp};

pub(super) use member::Member;

/// Kafka's states; a group that is dead is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    #[default]
    Empty,
    /// A round has begun: members join.
    PreparingRebalance,
    /// All have joined: the leader assigns.
    CompletingRebalance,
    /// Everybody has an assignment, and the log has all of them.
    Stable,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Classic {
    pub state: State,
    pub since: Timestamp,
    /// None for a group that never had a member.
    pub protocol_type: Option<Arc<str>>,
    pub generation: i32,
    /// The assignor of this generation.
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    pub members: BTreeMap<Arc<str>, Member>,
    /// Static members by their instance id (KIP-345).
    pub statics: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that were given out and have not joined with yet (KIP-394).
    pub pending: BTreeSet<Arc<str>>,
    /// The group's first round: it waits for more members to come.
    pub first_round: Option<FirstRound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FirstRound {
    /// Somebody came since the wait began.
    pub grew: bool,
    /// How much longer it may be drawn out.
    pub left: Duration,
}

impl Classic {
    /// As the log has it.
    pub fn load(value: &ClassicValue) -> Self {
        let empty = value.members.is_empty();
        let protocol = value.protocol.clone().or_else(|| (!empty).then(Arc::default));
        let mut classic = Classic {
            state: if empty { State::Empty } else { State::Stable },
            since: value.since,
            protocol_type: Some(value.protocol_type.clone()).filter(|kind| !kind.is_empty()),
            generation: value.generation,
            protocol: protocol.clone(),
            ..Classic::default()
        };
        for member in &value.members {
            classic.insert(member.member.clone(), Member::load(member, protocol.as_ref()));
        }
        if let Some(leader) = &value.leader
            && classic.members.contains_key(leader)
        {
            classic.leader = Some(leader.clone());
        }
        classic
    }

    /// What the log shall have, with these assignments.
    pub fn value(&self, assignments: &BTreeMap<Arc<str>, Bytes>) -> ClassicValue {
        let members = self.members.iter().map(|(id, member)| ClassicMemberValue {
            member: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout,
            session_timeout: member.session_timeout,
            subscription: member.subscription(self.protocol.as_deref()),
            assignment: assignments.get(id).cloned().unwrap_or_default(),
        });
        ClassicValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            since: self.since,
            members: members.collect(),
        }
    }

    /// What all members have now.
    pub fn assignments(&self) -> BTreeMap<Arc<str>, Bytes> {
        self.members.iter().map(|(id, member)| (id.clone(), member.assignment.clone())).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nobody is in it, nobody is about to, and the log does not know of it.
    pub fn is_nothing(&self) -> bool {
        self.is_empty() && self.pending.is_empty() && self.generation == 0
    }

    /// Adds a member; the first one leads.
    pub fn insert(&mut self, id: Arc<str>, member: Member) {
        self.pending.remove(&id);
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
    }

    /// Removes a member; if it led, another one does.
    pub fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending.remove(id);
        let member = self.members.remove(id)?;
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if self.leads(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    pub fn leads(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// Whether everybody has joined the round, also those that were told an id to join with.
    pub fn has_all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(Member::is_joining)
    }

    /// The longest time that a member takes to join.
    pub fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// Finds a member under its id and, if it has one, its instance id.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID: the instance has another member id by now.
    pub fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        let Some(instance) = instance else {
            let known = self.members.contains_key(id);
            return if known { Ok(()) } else { Err(ErrorCode::UnknownMemberId) };
        };
        match self.statics.get(instance) {
            None => Err(ErrorCode::UnknownMemberId),
            // KIP-345: whoever came last under the name is the member.
            Some(current) if **current != *id => Err(ErrorCode::FencedInstanceId),
            Some(_) => Ok(()),
        }
    }

    /// [`super::groups::Group::check_commit`].
    pub fn check_commit(&self, by: &Committer, transactional: bool) -> Result<(), ErrorCode> {
        if by.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if by.generation >= 0 || !by.member.is_empty() || by.instance.is_some() {
            self.check_member(&by.member, by.instance.as_deref())?;
            if by.generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if !transactional && self.state != State::Empty {
            // Only members commit; transactions of clients before KIP-447 do not say who they are.
            return Err(ErrorCode::UnknownMemberId);
        }
        if !transactional && self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether its members are consumers, so that what they tell each other can be read.
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(embedded::CONSUMER)
    }

    /// Whether it had members and is known since when it has none.
    pub fn had_members(&self) -> bool {
        self.protocol_type.is_some() && self.since.0 >= 0
    }

    /// Whether it is known now which topics its members want.
    pub fn tells_its_topics(&self) -> bool {
        self.is_of_consumers() && self.state == State::Stable
    }

    pub fn is_subscribed(&self, topic: &str) -> bool {
        let protocol = self.protocol.as_deref();
        self.is_of_consumers()
            && self.members.values().any(|member| {
                let topics = embedded::subscribed(&member.subscription(protocol));
                topics.map_or(true, |topics| topics.contains(topic))
            })
    }

    /// The protocols that all members have.
    fn common(&self) -> Vec<&Arc<str>> {
        let Some(first) = self.members.values().next() else { return Vec::new() };
        let names = first.protocols.iter().map(|(name, _)| name);
        names.filter(|name| self.members.values().all(|member| member.speaks(name))).collect()
    }

    /// Whether somebody with these protocols can be a member.
    pub fn accepts(&self, protocol_type: &str, protocols: &[(Arc<str>, Bytes)]) -> bool {
        if self.members.is_empty() {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && self.common().iter().any(|name| protocols.iter().any(|(other, _)| other == *name))
    }

    /// The protocol of the next generation: each member votes for the one that it likes best among
    /// those that all have. Equals are told apart by name.
    pub fn elect_protocol(&self) -> Option<Arc<str>> {
        let common = self.common();
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name);
            if let Some(best) = names.find(|name| common.contains(name)) {
                *votes.entry(best).or_default() += 1;
            }
        }
        let most = votes.values().max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).clone())
    }

    /// The members as their leader sees them.
    pub fn joined_members(&self) -> Vec<JoinedMember> {
        let members = self.members.iter().map(|(id, member)| JoinedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            subscription: member.subscription(self.protocol.as_deref()),
        });
        members.collect()
    }

    /// What each member was given, for checkers: nothing of protocols that are not consumers'.
    pub fn notes(&self) -> Vec<GroupMemberNote> {
        let members = self.members.iter().map(|(id, member)| GroupMemberNote {
            member: id.clone(),
            epoch: self.generation,
            assigned: embedded::assigned(&member.assignment).unwrap_or_default().into(),
            revoking: Arc::from([]),
        });
        members.collect()
    }

    /// Internal invariants.
    ///
    /// # Panics
    /// If one is broken.
    pub fn check(&self) {
        let empty = self.members.is_empty();
        assert!(empty == self.leader.is_none(), "somebody leads a group that is not empty");
        if let Some(leader) = &self.leader {
            assert!(self.members.contains_key(leader), "a member leads");
        }
        for (instance, id) in &self.statics {
            let member = self.members.get(id).and_then(|member| member.instance.as_ref());
            assert_eq!(member, Some(instance), "an instance is the member that has its name");
        }
        match self.state {
            State::Empty => assert!(empty, "nobody is in an empty group"),
            State::PreparingRebalance => {}
            State::CompletingRebalance | State::Stable => {
                assert!(!empty, "a round without members ends in an empty group");
                assert!(self.protocol.is_some(), "a generation has a protocol");
            }
        }
        let preparing = self.state == State::PreparingRebalance;
        assert!(self.first_round.is_none() || preparing, "a round ends with its state");
        for member in self.members.values() {
            assert!(preparing || !member.is_joining(), "whoever joins is answered by the round");
            let completing = self.state == State::CompletingRebalance;
            assert!(completing || !member.is_syncing(), "an assignment is waited for, not had");
        }
    }
}
