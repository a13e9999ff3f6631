//! Members that go: by themselves, or because they were not heard of.

use alloc::sync::Arc;

use super::AWAY;
use super::draft::Draft;
use crate::coordinator::group::deadlines::Timer;
use crate::coordinator::group::record::Record;
use crate::coordinator::group::{Author, GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::consumer_group::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use crate::time::Duration;

/// When a removal that the log has refused is tried again.
const RETRY: Duration = Duration::from_millis(500);

impl GroupCoordinator {
    pub(super) fn consumer_leave(
        &mut self,
        step: &mut Step<'_>,
        asked: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, ErrorCode> {
        let (name, id) = (&asked.group, &asked.member);
        let consumer = self.consumer(name).ok_or(ErrorCode::GroupIdNotFound)?;
        if let Some(instance) = &asked.instance {
            let holder = consumer.statics.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if holder != id {
                return Err(ErrorCode::FencedInstanceId);
            }
        } else if !consumer.members.contains_key(id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if asked.member_epoch == AWAY {
            let mut draft = Draft::new(consumer, step.ctx.defects);
            draft.send_away(id);
            self.write_draft(step, name, draft.finish())?;
            self.deadlines.cancel(&Timer::Revoke(name.clone(), id.clone()));
        } else {
            self.fence(step, name, id)?;
        }
        Ok(ConsumerGroupHeartbeatResponse {
            error: ErrorCode::None,
            message: None,
            member: Some(id.clone()),
            member_epoch: asked.member_epoch,
            heartbeat_interval: Duration::ZERO,
            assignment: None,
        })
    }

    /// Removes a member; the others share what it had, in a new group epoch.
    fn fence(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        id: &Arc<str>,
    ) -> Result<(), ErrorCode> {
        let Some(consumer) = self.consumer(name) else { return Ok(()) };
        if !consumer.members.contains_key(id) {
            return Ok(());
        }
        let mut draft = Draft::new(consumer, step.ctx.defects);
        draft.remove(id);
        draft.renew_epoch(true, step.ctx.image);
        self.write_draft(step, name, draft.finish())?;
        self.deadlines.cancel(&Timer::Session(name.clone(), id.clone()));
        self.deadlines.cancel(&Timer::Revoke(name.clone(), id.clone()));
        Ok(())
    }

    fn write_draft(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        records: alloc::vec::Vec<super::ConsumerRecord>,
    ) -> Result<(), ErrorCode> {
        let group = |record| Record::Consumer { group: name.clone(), record };
        let records = records.into_iter().map(group).collect();
        self.append(step, &Author::nobody(), None, records).map(|_| ())
    }

    /// A member was not heard of, or did not give up in time what it had to.
    pub(in crate::coordinator::group) fn fence_late(
        &mut self,
        step: &mut Step<'_>,
        name: &Arc<str>,
        id: &Arc<str>,
    ) {
        if self.fence(step, name, id).is_err() {
            self.deadlines.set(Timer::Session(name.clone(), id.clone()), step.now() + RETRY);
        }
    }
}
