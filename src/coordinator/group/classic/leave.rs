//! LeaveGroup: a member goes, or an admin removes some.

use alloc::sync::Arc;

use super::Classic;
use crate::coordinator::Requester;
use crate::coordinator::group::{GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::Response;
use crate::message::group::{LeaveGroupRequest, LeaveGroupResponse, LeavingMember};

impl GroupCoordinator {
    pub(super) fn leave(&mut self, step: &mut Step<'_>, to: Requester, asked: &LeaveGroupRequest) {
        let mut members = alloc::vec::Vec::new();
        for leaving in &asked.members {
            let found = self.classic(&asked.group).map(|classic| classic.leaver(leaving));
            let error = match found.unwrap_or(Err(ErrorCode::UnknownMemberId)) {
                Ok(id) => {
                    self.remove_member(step, &asked.group, &id);
                    ErrorCode::None
                }
                Err(error) => error,
            };
            members.push((leaving.clone(), error));
        }
        let response = LeaveGroupResponse { error: ErrorCode::None, members };
        step.answer(to, Response::LeaveGroup(response));
    }
}

impl Classic {
    /// The id of who leaves.
    fn leaver(&self, leaving: &LeavingMember) -> Result<Arc<str>, ErrorCode> {
        if leaving.member.is_empty() {
            let found = leaving.instance.as_ref().and_then(|name| self.statics.get(name));
            return found.cloned().ok_or(ErrorCode::UnknownMemberId);
        }
        if !self.pending.contains(&leaving.member) {
            self.check_member(&leaving.member, leaving.instance.as_deref())?;
        }
        Ok(leaving.member.clone())
    }
}
