//! ConsumerGroupHeartbeat: joining, staying, and being led to the target.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::draft::Draft;
use super::{AWAY, Consumer, Partitions};
use crate::coordinator::Requester;
use crate::coordinator::group::assignor;
use crate::coordinator::group::deadlines::Timer;
use crate::coordinator::group::groups::Kind;
use crate::coordinator::group::record::{CurrentValue, MemberState, Record, by_topic};
use crate::coordinator::group::{Author, GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::consumer_group::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use crate::message::{Request, Response};

type Answer = Result<ConsumerGroupHeartbeatResponse, ErrorCode>;

impl GroupCoordinator {
    pub(in crate::coordinator::group) fn consumer_request(
        &mut self,
        step: &mut Step<'_>,
        to: Requester,
        request: &Arc<Request>,
    ) -> bool {
        if let Request::ConsumerGroupHeartbeat(asked) = &**request {
            self.consumer_heartbeat(step, (to, request), asked);
        } else if let Request::ConsumerGroupDescribe(asked) = &**request {
            self.consumer_describe(step, (to, request), asked);
        } else {
            return false;
        }
        true
    }

    fn consumer_heartbeat(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &ConsumerGroupHeartbeatRequest,
    ) {
        let answer = check_shape(asked).and_then(|()| {
            if asked.member_epoch < 0 {
                self.consumer_leave(step, asked)
            } else {
                self.beat(step, asked)
            }
        });
        match answer {
            Ok(response) => {
                let response = Response::ConsumerGroupHeartbeat(response);
                self.answer_at(step, self.end_of(&asked.group), (to, request), response);
            }
            Err(error) => step.refuse(to, request, error),
        }
    }

    fn beat(&mut self, step: &mut Step<'_>, asked: &ConsumerGroupHeartbeatRequest) -> Answer {
        let (name, id) = (&asked.group, &asked.member);
        let mut empty = Consumer::default();
        let joins = asked.member_epoch == 0;
        let mut records = Vec::new();
        let base = match self.groups.get(name).map(|group| &group.kind) {
            Some(Kind::Consumer(consumer)) => consumer,
            None if joins => &empty,
            // KIP-848: an empty group may change its protocol.
            Some(Kind::Classic(classic)) if joins && classic.is_empty() => {
                records.push(Record::Classic { group: name.clone(), value: None });
                // Its epochs go on from there.
                empty.epoch = classic.generation;
                &empty
            }
            Some(Kind::Classic(_)) | None => return Err(ErrorCode::GroupIdNotFound),
        };
        base.check_room(id, step)?;
        let owned = asked.owned.as_ref().map(|owned| -> Partitions {
            let each = owned.iter().flat_map(|(topic, list)| list.iter().map(|at| (*topic, *at)));
            each.collect()
        });
        let before = base.members.get(id).map(|member| member.current.clone());
        let mut draft = Draft::new(base, step.ctx.defects);
        draft.admit(asked, owned.as_ref())?;
        let anew = draft.update(asked);
        draft.renew_epoch(anew, step.ctx.image);
        draft.renew_target();
        let after = draft.advance(id, owned.as_ref());
        let group = |record| Record::Consumer { group: name.clone(), record };
        records.extend(draft.finish().into_iter().map(group));
        if !records.is_empty() {
            let author = Author { member: id.clone(), generation: asked.member_epoch };
            self.append(step, &author, None, records)?;
        }
        self.expect_beat(step, asked, before.as_ref(), &after);
        Ok(answer(step, asked, before.as_ref(), &after))
    }

    /// Sets when the member has to be heard of again, and when it has to have given up.
    fn expect_beat(
        &mut self,
        step: &Step<'_>,
        asked: &ConsumerGroupHeartbeatRequest,
        before: Option<&CurrentValue>,
        after: &CurrentValue,
    ) {
        let (name, id) = (&asked.group, &asked.member);
        let session = step.now() + step.ctx.config.group_consumer_session_timeout;
        self.deadlines.set(Timer::Session(name.clone(), id.clone()), session);
        let timer = Timer::Revoke(name.clone(), id.clone());
        let revokes = after.state == MemberState::UnrevokedPartitions;
        if !revokes {
            self.deadlines.cancel(&timer);
        } else if before != Some(after) {
            let consumer = self.consumer(name).and_then(|group| group.members.get(id));
            let timeout = consumer.map(|member| member.about.rebalance_timeout);
            self.deadlines.set(timer, step.now() + timeout.unwrap_or_default());
        }
    }
}

impl Consumer {
    fn check_room(&self, id: &str, step: &Step<'_>) -> Result<(), ErrorCode> {
        let limit = usize::try_from(step.ctx.config.group_consumer_max_size);
        let full = limit.is_ok_and(|limit| self.members.len() >= limit);
        let newcomer = !self.members.contains_key(id);
        if full && newcomer { Err(ErrorCode::GroupMaxSizeReached) } else { Ok(()) }
    }
}

fn check_shape(asked: &ConsumerGroupHeartbeatRequest) -> Result<(), ErrorCode> {
    let blank = |text: &Option<Arc<str>>| text.as_ref().is_some_and(|text| text.is_empty());
    let anonymous = asked.group.is_empty() || asked.member.is_empty();
    let joins = asked.member_epoch == 0;
    let holds = asked.owned.as_ref().is_none_or(|owned| !owned.is_empty());
    let vague = asked.rebalance_timeout.is_none() || asked.subscribed_topics.is_none() || holds;
    let wrong = anonymous
        || blank(&asked.instance)
        || blank(&asked.rack)
        || asked.member_epoch < AWAY
        || (asked.member_epoch == AWAY && asked.instance.is_none());
    // Patterns are not supported: none is a good one.
    if asked.subscribed_regex.as_ref().is_some_and(|pattern| !pattern.is_empty()) {
        return Err(ErrorCode::InvalidRegularExpression);
    }
    if wrong || (joins && vague) {
        return Err(ErrorCode::InvalidRequest);
    }
    match &asked.assignor {
        Some(name) if !assignor::is_known(name) => Err(ErrorCode::UnsupportedAssignor),
        Some(_) | None => Ok(()),
    }
}

/// The assignment is told to whoever joins or tells everything, and when it has changed.
fn answer(
    step: &Step<'_>,
    asked: &ConsumerGroupHeartbeatRequest,
    before: Option<&CurrentValue>,
    after: &CurrentValue,
) -> ConsumerGroupHeartbeatResponse {
    let told_all = asked.rebalance_timeout.is_some()
        && asked.subscribed_topics.is_some()
        && asked.owned.is_some();
    let changed = before.is_none_or(|before| before.assigned != after.assigned);
    let tell = asked.member_epoch == 0 || told_all || changed;
    ConsumerGroupHeartbeatResponse {
        error: ErrorCode::None,
        message: None,
        member: Some(asked.member.clone()),
        member_epoch: after.epoch,
        heartbeat_interval: step.ctx.config.group_consumer_heartbeat_interval,
        assignment: tell.then(|| by_topic(&after.assigned)),
    }
}
