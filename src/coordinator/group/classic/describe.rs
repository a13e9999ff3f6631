//! DescribeGroups and ListGroups.

use alloc::sync::Arc;

use super::Classic;
use crate::coordinator::Requester;
use crate::coordinator::group::embedded::CONSUMER;
use crate::coordinator::group::groups::{Group, Kind};
use crate::coordinator::group::{GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::message::group::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedMember,
    ListGroupsRequest, ListGroupsResponse, ListedGroup,
};
use crate::message::{Request, Response};

impl GroupCoordinator {
    pub(in crate::coordinator::group) fn admin_request(
        &mut self,
        step: &mut Step<'_>,
        to: Requester,
        request: &Arc<Request>,
    ) -> bool {
        if let Request::DescribeGroups(asked) = &**request {
            self.describe(step, (to, request), asked);
        } else if let Request::ListGroups(asked) = &**request {
            self.list(step, (to, request), asked);
        } else if let Request::DeleteGroups(asked) = &**request {
            self.delete_groups(step, (to, request), asked);
        } else {
            return false;
        }
        true
    }

    fn describe(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &DescribeGroupsRequest,
    ) {
        let describe = |name: &Arc<str>| {
            self.classic(name).map_or_else(|| dead(name), |classic| classic.described(name))
        };
        let groups = asked.groups.iter().map(describe).collect();
        let end = asked.groups.iter().map(|name| self.end_of(name)).max().unwrap_or_default();
        let response = Response::DescribeGroups(DescribeGroupsResponse { groups });
        self.answer_at(step, end, from, response);
    }

    fn list(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &ListGroupsRequest,
    ) {
        let has = |list: &[Arc<str>], name: &str| {
            list.is_empty() || list.iter().any(|asked| asked.eq_ignore_ascii_case(name))
        };
        let all = self.groups.iter().map(|(name, group)| group.listed(name));
        let groups = all
            .filter(|listed| has(&asked.states, &listed.state) && has(&asked.types, &listed.kind));
        let groups = groups.collect();
        let response = ListGroupsResponse { error: ErrorCode::None, groups };
        self.answer_at(step, self.end, from, Response::ListGroups(response));
    }
}

impl Group {
    fn listed(&self, name: &Arc<str>) -> ListedGroup {
        let (protocol_type, state, kind) = match &self.kind {
            Kind::Classic(classic) => {
                let protocol_type = classic.protocol_type.clone().unwrap_or_default();
                (protocol_type, classic.state.name(), "classic")
            }
            Kind::Consumer(consumer) => (CONSUMER.into(), consumer.state(), "consumer"),
        };
        ListedGroup { group: name.clone(), protocol_type, state: state.into(), kind: kind.into() }
    }
}

impl Classic {
    fn described(&self, name: &Arc<str>) -> DescribedGroup {
        let protocol = self.protocol.as_deref();
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            subscription: member.subscription(protocol),
            assignment: member.assignment.clone(),
        });
        DescribedGroup {
            group: name.clone(),
            error: ErrorCode::None,
            state: self.state.name().into(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            members: members.collect(),
        }
    }
}

/// A group that is not there, or that does not speak this protocol.
fn dead(name: &Arc<str>) -> DescribedGroup {
    DescribedGroup {
        group: name.clone(),
        error: ErrorCode::GroupIdNotFound,
        state: "Dead".into(),
        protocol_type: Arc::default(),
        protocol: Arc::default(),
        members: alloc::vec::Vec::new(),
    }
}
