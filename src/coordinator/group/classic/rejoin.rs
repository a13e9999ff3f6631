//! A static member comes back, under a new member id (KIP-345).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Classic, Member, State};
use crate::coordinator::Requester;
use crate::coordinator::group::deadlines::Timer;
use crate::coordinator::group::record::Record;
use crate::coordinator::group::{Author, GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::Request;
use crate::message::group::JoinGroupRequest;

impl GroupCoordinator {
    /// Puts the new id in the old one's place. In a stable group nobody else needs to know, as long
    /// as the member wants what it wanted.
    pub(super) fn replace(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &JoinGroupRequest,
        old: &Arc<str>,
        id: Arc<str>,
    ) {
        let name = &asked.group;
        let Some(classic) = self.classic(name) else { return };
        let mut next = classic.clone();
        let before = next.take_place(old, id.clone());
        if let Some(member) = next.members.get_mut(&id) {
            member.update(asked);
        }
        if next.state == State::Stable && next.is_settled_with(&id, before.as_ref()) {
            return self.replace_quietly(step, from, name, next, (old, id));
        }
        if let Some(before) = &before {
            // KIP-345: two under one name; the one that came last is it.
            step.send_away(old, before, ErrorCode::FencedInstanceId);
        }
        self.swap(step, name, next, (old, &id));
        self.update(step, from.0, asked, &id);
        self.rebalance(step, name);
    }

    fn replace_quietly(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        name: &Arc<str>,
        next: Classic,
        (old, id): (&Arc<str>, Arc<str>),
    ) {
        let value = Some(next.value(&next.assignments()));
        let record = alloc::vec![Record::Classic { group: name.clone(), value }];
        match self.append(step, &Author::nobody(), None, record) {
            Ok(end) => {
                // KIP-814: a leader must know that it leads, and that there is nothing to assign.
                let leads = next.leads(&id);
                let list = if leads { next.joined_members() } else { Vec::new() };
                let response = next.joined(id.clone(), list, leads);
                self.swap(step, name, next, (old, &id));
                self.note_group(name, step.ctx.image);
                self.answer_at(step, end, from, response);
            }
            Err(error) => step.refuse(from.0, from.1, error),
        }
    }

    fn swap(
        &mut self,
        step: &Step<'_>,
        name: &Arc<str>,
        next: Classic,
        (old, id): (&Arc<str>, &Arc<str>),
    ) {
        if let Some(classic) = self.classic_mut(name) {
            *classic = next;
        }
        self.deadlines.cancel(&Timer::Session(name.clone(), old.clone()));
        self.heard_of(step, name, id);
    }
}

impl Classic {
    /// Renames a member; it waits for nothing under its new id. Gives what it was.
    fn take_place(&mut self, old: &Arc<str>, id: Arc<str>) -> Option<Member> {
        let led = self.leads(old);
        let before = self.members.remove(old)?;
        let mut member = before.clone();
        member.joining = None;
        member.syncing = None;
        if led {
            self.leader = Some(id.clone());
        }
        self.insert(id, member);
        Some(before)
    }

    /// Whether the generation can go on although the member has said anew what it wants.
    fn is_settled_with(&self, id: &str, before: Option<&Member>) -> bool {
        let protocol = self.protocol.as_deref();
        let member = self.members.get(id);
        let (Some(member), Some(before)) = (member, before) else { return false };
        self.elect_protocol() == self.protocol && member.wants_the_same(before, protocol)
    }
}
