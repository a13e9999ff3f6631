//! A round: from the first who joins to the generation that all are told of.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Classic, FirstRound, Member, State};
use crate::coordinator::Requester;
use crate::coordinator::group::answer::{join_error, sync_error};
use crate::coordinator::group::deadlines::Timer;
use crate::coordinator::group::groups::Kind;
use crate::coordinator::group::record::Record;
use crate::coordinator::group::{Author, GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::Response;
use crate::message::group::{JoinGroupResponse, JoinedMember};
use crate::time::Duration;

impl GroupCoordinator {
    pub(in crate::coordinator::group) fn classic(&self, name: &str) -> Option<&Classic> {
        match &self.groups.get(name)?.kind {
            Kind::Classic(classic) => Some(classic),
            Kind::Consumer(_) => None,
        }
    }

    pub(in crate::coordinator::group) fn classic_mut(
        &mut self,
        name: &str,
    ) -> Option<&mut Classic> {
        match &mut self.groups.get_mut(name)?.kind {
            Kind::Classic(classic) => Some(classic),
            Kind::Consumer(_) => None,
        }
    }

    /// Who is a member changed: a round begins, or the one that is on may be over.
    pub(super) fn rebalance(&mut self, step: &mut Step<'_>, name: &Arc<str>) {
        let Some(classic) = self.classic(name) else { return };
        if classic.state == State::PreparingRebalance {
            self.complete_round_if_all_joined(step, name);
        } else {
            self.begin_round(step, name);
        }
    }

    fn begin_round(&mut self, step: &mut Step<'_>, name: &Arc<str>) {
        self.reset_assignments(step, name, ErrorCode::RebalanceInProgress);
        self.deadlines.cancel(&Timer::Sync(name.clone()));
        let delay = step.ctx.config.group_initial_rebalance_delay;
        let Some(classic) = self.classic_mut(name) else { return };
        let first = classic.state == State::Empty;
        classic.state = State::PreparingRebalance;
        if first {
            // KIP-134: more members are likely to come.
            let left = classic.rebalance_timeout().saturating_sub(delay);
            classic.first_round = Some(FirstRound { grew: false, left });
            self.deadlines.set(Timer::Join(name.clone()), step.now() + delay);
        } else {
            let timeout = classic.rebalance_timeout();
            self.deadlines.set(Timer::Join(name.clone()), step.now() + timeout);
            self.complete_round_if_all_joined(step, name);
        }
    }

    /// The first round of a group lasts as long as it was said to.
    pub(super) fn complete_round_if_all_joined(&mut self, step: &mut Step<'_>, name: &Arc<str>) {
        let complete = self.classic(name).is_some_and(|classic| {
            classic.state == State::PreparingRebalance
                && classic.first_round.is_none()
                && classic.has_all_joined()
        });
        if complete {
            self.complete_round(step, name);
        }
    }

    pub(in crate::coordinator::group) fn join_timed_out(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
    ) {
        let delay = step.ctx.config.group_initial_rebalance_delay;
        let Some(classic) = self.classic_mut(name) else { return };
        match &mut classic.first_round {
            Some(first) if first.grew && first.left > Duration::ZERO => {
                let next = delay.min(first.left);
                *first = FirstRound { grew: false, left: first.left.saturating_sub(delay) };
                self.deadlines.set(Timer::Join(name.clone()), step.now() + next);
            }
            Some(_) | None => self.complete_round(step, name),
        }
    }

    /// Everybody joined, or had the time to.
    fn complete_round(&mut self, step: &mut Step<'_>, name: &Arc<str>) {
        self.deadlines.cancel(&Timer::Join(name.clone()));
        self.drop_absent(name);
        let wall = step.ctx.now.wall;
        let Some(classic) = self.classic_mut(name) else { return };
        if !classic.members.is_empty() && !classic.elect_joined_leader() {
            // Static members alone, and none of them joined: until their sessions end.
            let timeout = classic.rebalance_timeout();
            self.deadlines.set(Timer::Join(name.clone()), step.now() + timeout);
            return;
        }
        classic.first_round = None;
        classic.generation += 1;
        classic.since = wall;
        if classic.members.is_empty() {
            classic.state = State::Empty;
            classic.protocol = None;
            self.store_empty(step, name);
        } else {
            classic.state = State::CompletingRebalance;
            classic.protocol = classic.elect_protocol();
            let timeout = classic.rebalance_timeout();
            self.deadlines.set(Timer::Sync(name.clone()), step.now() + timeout);
            self.answer_joins(step, name);
        }
    }

    /// Removes the dynamic members that have not joined. A static one may come back (KIP-345).
    fn drop_absent(&mut self, name: &Arc<str>) {
        let Some(classic) = self.classic(name) else { return };
        let absent = classic.members.iter();
        let absent = absent.filter(|(_, member)| !member.is_joining() && member.instance.is_none());
        let absent: Vec<_> = absent.map(|(id, _)| id.clone()).collect();
        for id in absent {
            self.deadlines.cancel(&Timer::Session(name.clone(), id.clone()));
            if let Some(classic) = self.classic_mut(name) {
                classic.remove(&id);
            }
        }
    }

    /// If the log refuses, the old generation is what it has: nobody is in it who could do harm.
    fn store_empty(&mut self, step: &mut Step<'_>, name: &Arc<str>) {
        let Some(classic) = self.classic(name) else { return };
        let value = Some(classic.value(&BTreeMap::new()));
        let record = alloc::vec![Record::Classic { group: name.clone(), value }];
        if self.append(step, &Author::nobody(), None, record).is_ok() {
            self.note_group(name, step.ctx.image);
        }
    }

    /// Tells all who joined of their generation, and the leader who is in it.
    fn answer_joins(&mut self, step: &mut Step<'_>, name: &Arc<str>) {
        let Some(classic) = self.classic_mut(name) else { return };
        let mut sessions = Vec::new();
        let mut answers = Vec::new();
        let joined = classic.joined_members();
        let leader = classic.leader.clone();
        for (id, member) in &mut classic.members {
            member.synced = false;
            member.is_new = false;
            sessions.push((id.clone(), member.session_timeout));
            if let Some(to) = member.joining.take() {
                let list = if leader.as_ref() == Some(id) { joined.clone() } else { Vec::new() };
                answers.push((to, id.clone(), list));
            }
        }
        for (to, id, list) in answers {
            let response = classic.joined(id, list, false);
            step.answer(to, response);
        }
        for (id, timeout) in sessions {
            self.deadlines.set(Timer::Session(name.clone(), id), step.now() + timeout);
        }
    }

    /// Takes back what members have or wait for: they are told to join again.
    pub(super) fn reset_assignments(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        error: ErrorCode,
    ) {
        let Some(classic) = self.classic_mut(name) else { return };
        if classic.state != State::CompletingRebalance {
            return;
        }
        let mut answered = Vec::new();
        for (id, member) in &mut classic.members {
            member.assignment = Bytes::new();
            if let Some(to) = member.syncing.take() {
                step.answer(to, sync_error(error));
                answered.push(id.clone());
            }
        }
        // While they waited their sessions may have run out unheeded.
        for id in answered {
            self.heard_of(step, name, &id);
        }
    }

    /// Removes a member, or an id that nobody has joined with yet. The group goes on without.
    pub(super) fn remove_member(&mut self, step: &mut Step<'_>, name: &Arc<str>, id: &Arc<str>) {
        self.deadlines.cancel(&Timer::Session(name.clone(), id.clone()));
        let Some(classic) = self.classic_mut(name) else { return };
        let was_pending = classic.pending.contains(id);
        let removed = classic.remove(id);
        if let Some(member) = &removed {
            step.send_away(id, member, ErrorCode::UnknownMemberId);
        }
        if removed.is_some() {
            self.rebalance(step, name);
        } else if was_pending {
            self.complete_round_if_all_joined(step, name);
        }
        self.groups.tidy(name);
    }

    /// A member was not heard of for as long as it said to expect.
    pub(in crate::coordinator::group) fn session_timed_out(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        id: &Arc<str>,
    ) {
        let waits = self.classic(name).and_then(|classic| classic.members.get(id));
        // Whoever waits for an answer has no reason to send anything; but a new member that waits
        // may be gone, and then comes anew if it is not.
        let excused = waits
            .is_some_and(|member| !member.is_new && (member.is_joining() || member.is_syncing()));
        if !excused {
            self.remove_member(step, name, id);
        }
    }
}

impl Step<'_> {
    /// Answers whatever a member waits for that is one no more.
    pub(super) fn send_away(&mut self, id: &Arc<str>, member: &Member, error: ErrorCode) {
        if let Some(to) = member.joining {
            self.answer(to, join_error(id.clone(), error));
        }
        if let Some(to) = member.syncing {
            self.answer(to, sync_error(error));
        }
    }
}

impl Classic {
    /// Makes sure that somebody leads who joined the round; false if nobody did.
    fn elect_joined_leader(&mut self) -> bool {
        let leads = |id: &Arc<str>| self.members.get(id).is_some_and(Member::is_joining);
        if self.leader.as_ref().is_some_and(leads) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.is_joining());
        let Some((id, _)) = joined else { return false };
        self.leader = Some(id.clone());
        true
    }

    /// The answer to a member that is in the present generation.
    pub(super) fn joined(
        &self,
        id: Arc<str>,
        members: Vec<JoinedMember>,
        skip_assignment: bool,
    ) -> Response {
        Response::JoinGroup(JoinGroupResponse {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment,
            member: id,
            members,
        })
    }

    /// Sets who waits for a member's join; whoever asked before is told to ask again.
    pub(super) fn await_join(&mut self, step: &mut Step<'_>, id: &Arc<str>, to: Requester) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Some(before) = member.joining.replace(to)
            && before != to
        {
            step.answer(before, join_error(id.clone(), ErrorCode::RebalanceInProgress));
        }
    }
}
