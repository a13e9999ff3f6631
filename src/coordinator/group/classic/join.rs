//! JoinGroup.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Classic, Member, State};
use crate::coordinator::Requester;
use crate::coordinator::group::answer::join_error;
use crate::coordinator::group::deadlines::Timer;
use crate::coordinator::group::{Author, GroupCoordinator, Step, consumer};
use crate::error::ErrorCode;
use crate::message::Request;
use crate::message::group::JoinGroupRequest;
use crate::time::Duration;

/// How long a new member waits for a round: it does not know its id yet, so that each of its
/// retries is one more member (Kafka's `group.coordinator.new.member.join.timeout`).
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(300);

impl GroupCoordinator {
    pub(super) fn join(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &JoinGroupRequest,
    ) {
        let checked = self.check_join(step, asked);
        if let Err(error) = checked.and_then(|()| self.make_classic(step, &asked.group)) {
            return step.refuse(from.0, from.1, error);
        }
        if asked.member.is_empty() {
            self.join_new(step, from, asked);
        } else {
            self.join_known(step, from, asked);
        }
        self.complete_round_if_all_joined(step, &asked.group);
    }

    fn check_join(&self, step: &Step<'_>, asked: &JoinGroupRequest) -> Result<(), ErrorCode> {
        let config = step.ctx.config;
        if asked.group.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let timeouts = config.group_min_session_timeout..=config.group_max_session_timeout;
        if !timeouts.contains(&asked.session_timeout) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        let empty = Classic::default();
        if self.consumer(&asked.group).is_some_and(|group| !group.members.is_empty()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let classic = match self.classic(&asked.group) {
            Some(classic) => classic,
            None if asked.member.is_empty() => &empty,
            None => return Err(ErrorCode::UnknownMemberId),
        };
        let limit = usize::try_from(config.group_max_size).unwrap_or(usize::MAX);
        if !classic.has_room(&asked.member, limit) {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        if !classic.accepts(&asked.protocol_type, &asked.protocols) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    /// KIP-848: an empty group may change its protocol.
    fn make_classic(&mut self, step: &mut Step<'_>, name: &Arc<str>) -> Result<(), ErrorCode> {
        let Some(epoch) = self.consumer(name).map(|group| group.epoch) else { return Ok(()) };
        let records = consumer::tombstones(name);
        self.append(step, &Author::nobody(), None, records)?;
        self.groups.get_or_new(name);
        if let Some(classic) = self.classic_mut(name) {
            // Its generations go on from there.
            classic.generation = epoch;
        }
        Ok(())
    }

    fn join_new(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &JoinGroupRequest,
    ) {
        let name = &asked.group;
        let prefix = asked.instance.as_ref().unwrap_or(&asked.client_id);
        let id = self.make_member_id(prefix);
        if let Some(instance) = &asked.instance {
            let statics = self.classic(name).map(|classic| &classic.statics);
            match statics.and_then(|statics| statics.get(instance)).cloned() {
                Some(old) => self.replace(step, (to, request), asked, &old, id),
                None => self.add(step, to, asked, id),
            }
        } else if asked.knows_member_id_required {
            // KIP-394: a client that is told its id now is known when it tries again.
            self.groups.get_or_new(name);
            if let Some(classic) = self.classic_mut(name) {
                classic.pending.insert(id.clone());
            }
            let timer = Timer::Session(name.clone(), id.clone());
            self.deadlines.set(timer, step.now() + asked.session_timeout);
            step.answer(to, join_error(id, ErrorCode::MemberIdRequired));
        } else {
            self.add(step, to, asked, id);
        }
    }

    fn join_known(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &JoinGroupRequest,
    ) {
        let (name, id) = (&asked.group, &asked.member);
        let Some(classic) = self.classic(name) else {
            return step.refuse(to, request, ErrorCode::UnknownMemberId);
        };
        if classic.pending.contains(id) && asked.instance.is_none() {
            return self.add(step, to, asked, id.clone());
        }
        if let Err(error) = classic.check_member(id, asked.instance.as_deref()) {
            return step.refuse(to, request, error);
        }
        let leads = classic.leads(id);
        let same = classic.members.get(id).is_some_and(|old| old.protocols == asked.protocols);
        let told = match classic.state {
            State::Empty | State::PreparingRebalance => false,
            // It did not get the answer.
            State::CompletingRebalance => same,
            // The leader comes again because it wants a round.
            State::Stable => same && !leads,
        };
        if told {
            let list = leads && classic.state == State::CompletingRebalance;
            let list = if list { classic.joined_members() } else { Vec::new() };
            let response = classic.joined(id.clone(), list, false);
            self.heard_of(step, name, id);
            return step.answer(to, response);
        }
        self.update(step, to, asked, id);
        self.rebalance(step, name);
    }

    fn add(&mut self, step: &mut Step<'_>, to: Requester, asked: &JoinGroupRequest, id: Arc<str>) {
        let name = &asked.group;
        self.groups.get_or_new(name);
        let Some(classic) = self.classic_mut(name) else { return };
        if let Some(first) = &mut classic.first_round {
            first.grew = true;
        }
        if classic.members.is_empty() {
            classic.protocol_type = Some(asked.protocol_type.clone());
        }
        classic.insert(id.clone(), Member::new(asked, to));
        let timer = Timer::Session(name.clone(), id);
        self.deadlines.set(timer, step.now() + NEW_MEMBER_JOIN_TIMEOUT);
        self.rebalance(step, name);
    }

    /// A member joins with what it says now.
    pub(super) fn update(
        &mut self,
        step: &mut Step<'_>,
        to: Requester,
        asked: &JoinGroupRequest,
        id: &Arc<str>,
    ) {
        let Some(classic) = self.classic_mut(&asked.group) else { return };
        classic.await_join(step, id, to);
        if let Some(member) = classic.members.get_mut(id) {
            member.update(asked);
        }
        self.heard_of(step, &asked.group, id);
    }
}

impl Classic {
    /// Whether somebody may be in a group of at most so many.
    fn has_room(&self, id: &str, limit: usize) -> bool {
        let member = self.members.get(id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                let joining = self.members.values().filter(|member| member.is_joining()).count();
                member.is_some_and(Member::is_joining) || joining < limit
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < limit
            }
        }
    }
}
