//! SyncGroup: the leader brings what it has assigned, and everybody gets their part.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Classic, Member, State};
use crate::coordinator::Requester;
use crate::coordinator::group::answer::sync_error;
use crate::coordinator::group::deadlines::Timer;
use crate::coordinator::group::record::Record;
use crate::coordinator::group::waiting::Waiting;
use crate::coordinator::group::{Author, GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::group::{SyncGroupRequest, SyncGroupResponse};
use crate::message::{Request, Response};

impl GroupCoordinator {
    pub(super) fn sync(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &SyncGroupRequest,
    ) {
        let (name, id) = (&asked.group, &asked.member);
        let classic = self.classic_mut(name).ok_or(ErrorCode::UnknownMemberId);
        let classic = classic.and_then(|classic| classic.check_sync(asked).map(|()| classic));
        let classic = match classic {
            Ok(classic) => classic,
            Err(error) => return step.refuse(to, request, error),
        };
        let leads = classic.leads(id);
        if classic.state == State::Stable {
            let assignment = classic.members.get(id).map(|member| member.assignment.clone());
            let response = classic.synced(assignment.unwrap_or_default());
            step.answer(to, response);
        }
        let completing = classic.state == State::CompletingRebalance;
        if let Some(member) = classic.members.get_mut(id) {
            member.synced = true;
            if completing
                && let Some(before) = member.syncing.replace(to)
                && before != to
            {
                step.answer(before, sync_error(ErrorCode::RebalanceInProgress));
            }
        }
        if classic.members.values().all(|member| member.synced) {
            self.deadlines.cancel(&Timer::Sync(name.clone()));
        }
        self.heard_of(step, name, id);
        if completing && leads {
            self.assign(step, asked);
        }
    }

    /// The leader's assignment goes to the log first.
    fn assign(&mut self, step: &mut Step<'_>, asked: &SyncGroupRequest) {
        let name = &asked.group;
        let Some(classic) = self.classic(name) else { return };
        let mut assignments: BTreeMap<Arc<str>, Bytes> =
            classic.members.keys().map(|id| (id.clone(), Bytes::new())).collect();
        for (id, assignment) in &asked.assignments {
            if let Some(place) = assignments.get_mut(id) {
                *place = assignment.clone();
            }
        }
        let generation = classic.generation;
        let value = Some(classic.value(&assignments));
        let record = alloc::vec![Record::Classic { group: name.clone(), value }];
        match self.append(step, &Author::nobody(), None, record) {
            Ok(end) => {
                let (group, assignments) = (name.clone(), Arc::new(assignments));
                let waiting = Waiting::Assigned { group, generation, assignments };
                let number = self.waiting.push(end, waiting);
                self.bound_write(step, end, number);
            }
            Err(error) => self.not_assigned(step, name, generation, error),
        }
    }

    /// The log has committed what the leader assigned in that generation.
    pub(in crate::coordinator::group) fn assigned(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        generation: i32,
        assignments: &BTreeMap<Arc<str>, Bytes>,
    ) {
        let Some(classic) = self.classic_mut(name) else { return };
        // Somebody may have joined in the meantime.
        if classic.state != State::CompletingRebalance || classic.generation != generation {
            return;
        }
        classic.state = State::Stable;
        let mut answers = Vec::new();
        for (id, member) in &mut classic.members {
            member.assignment = assignments.get(id).cloned().unwrap_or_default();
            if let Some(to) = member.syncing.take() {
                answers.push((to, id.clone(), member.assignment.clone()));
            }
        }
        for (to, _, assignment) in &answers {
            let response = classic.synced(assignment.clone());
            step.answer(*to, response);
        }
        for (_, id, _) in &answers {
            self.heard_of(step, name, id);
        }
        if let Some(note) = self.group_note(name, step.ctx.image) {
            step.out.note(note);
        }
    }

    /// The log did not take what the leader assigned: everybody joins again.
    pub(in crate::coordinator::group) fn not_assigned(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        generation: i32,
        error: ErrorCode,
    ) {
        let current = self.classic(name).is_some_and(|classic| {
            classic.state == State::CompletingRebalance && classic.generation == generation
        });
        if current {
            self.reset_assignments(step, name, error);
            self.rebalance(step, name);
        }
    }

    /// Members that never asked for their assignment are gone.
    pub(in crate::coordinator::group) fn sync_timed_out(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
    ) {
        let Some(classic) = self.classic_mut(name) else { return };
        let absent = classic.members.iter().filter(|(_, member)| !member.synced);
        let absent: Vec<Arc<str>> = absent.map(|(id, _)| id.clone()).collect();
        let gone: Vec<Option<Member>> = absent.iter().map(|id| classic.remove(id)).collect();
        for (id, member) in absent.iter().zip(gone.iter().flatten()) {
            self.deadlines.cancel(&Timer::Session(name.clone(), id.clone()));
            step.send_away(id, member, ErrorCode::UnknownMemberId);
        }
        if !absent.is_empty() {
            self.rebalance(step, name);
        }
    }
}

impl Classic {
    fn check_sync(&self, asked: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&asked.member, asked.instance.as_deref())?;
        if asked.generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |asked: &Option<Arc<str>>, own: &Option<Arc<str>>| {
            asked.is_some() && own.is_some() && asked != own
        };
        // KIP-559.
        if differs(&asked.protocol_type, &self.protocol_type)
            || differs(&asked.protocol, &self.protocol)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }

    fn synced(&self, assignment: Bytes) -> Response {
        Response::SyncGroup(SyncGroupResponse {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        })
    }
}
