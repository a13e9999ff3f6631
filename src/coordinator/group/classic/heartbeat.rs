//! Heartbeat, and which request goes where.

use alloc::sync::Arc;

use super::{Classic, State};
use crate::coordinator::Requester;
use crate::coordinator::group::{GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::group::{HeartbeatRequest, HeartbeatResponse};
use crate::message::{Request, Response};

impl GroupCoordinator {
    pub(in crate::coordinator::group) fn classic_request(
        &mut self,
        step: &mut Step<'_>,
        to: Requester,
        request: &Arc<Request>,
    ) -> bool {
        if let Request::JoinGroup(asked) = &**request {
            self.join(step, (to, request), asked);
        } else if let Request::SyncGroup(asked) = &**request {
            self.sync(step, (to, request), asked);
        } else if let Request::Heartbeat(asked) = &**request {
            self.heartbeat(step, to, asked);
        } else if let Request::LeaveGroup(asked) = &**request {
            self.leave(step, to, asked);
        } else {
            return false;
        }
        true
    }

    fn heartbeat(&mut self, step: &mut Step<'_>, to: Requester, asked: &HeartbeatRequest) {
        let classic = self.classic(&asked.group);
        let verdict = classic.map_or(Err(ErrorCode::UnknownMemberId), |classic| {
            classic.check_heartbeat(asked).map(|()| classic.state)
        });
        let error = match verdict {
            Ok(State::PreparingRebalance) => ErrorCode::RebalanceInProgress,
            Ok(State::Empty | State::CompletingRebalance | State::Stable) => ErrorCode::None,
            Err(error) => error,
        };
        if verdict.is_ok() {
            self.heard_of(step, &asked.group, &asked.member);
        }
        step.answer(to, Response::Heartbeat(HeartbeatResponse { error }));
    }
}

impl Classic {
    fn check_heartbeat(&self, asked: &HeartbeatRequest) -> Result<(), ErrorCode> {
        self.check_member(&asked.member, asked.instance.as_deref())?;
        if asked.generation == self.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }
}
