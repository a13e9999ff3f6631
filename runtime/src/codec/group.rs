//! The classic group protocol: JoinGroup (11), Heartbeat (12), LeaveGroup (13), SyncGroup (14); and
//! DescribeGroups (15), ListGroups (16), DeleteGroups (42).

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages as wire;
use kafka_protocol::protocol::StrBytes;
use seedlog::error::ErrorCode;
use seedlog::message::group::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    DescribedGroup, DescribedMember, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, JoinedMember, LeaveGroupRequest, LeaveGroupResponse, LeavingMember,
    ListGroupsRequest, ListGroupsResponse, ListedGroup, SyncGroupRequest, SyncGroupResponse,
};

use super::convert::{Asks, ON_GROUP, Wire, fields, string, tuple};
use super::shape::{BYTES, I8, I32, Shape, TEXT, TEXTS, list, since, until};

pub const JOIN_GROUP: Shape =
    &[TEXT, I32, since(1, I32), TEXT, since(5, TEXT), TEXT, list(&[TEXT, BYTES]), since(8, TEXT)];
fields!(JoinGroupRequest = wire::JoinGroupRequest {
    group = group_id, session_timeout = session_timeout_ms,
    rebalance_timeout = rebalance_timeout_ms [1], member = member_id,
    instance = group_instance_id [5], protocol_type = protocol_type, protocols = protocols,
} core |version| {
    // The request's header has the one, the connection the other.
    client_id: "".into(),
    client_host: "".into(),
    knows_member_id_required: version >= 4,
});
fields!(JoinGroupResponse = wire::JoinGroupResponse {
    error = error_code, generation = generation_id, protocol_type = protocol_type [7],
    protocol = protocol_name, leader = leader, skip_assignment = skip_assignment [9],
    member = member_id, members = members,
    // Null is new there.
} then |out, version| { if version < 7 { out.protocol_name.get_or_insert_default(); } });
fields!(JoinedMember = wire::join_group_response::JoinGroupResponseMember {
    member = member_id, instance = group_instance_id [5], subscription = metadata,
});

pub const SYNC_GROUP: Shape =
    &[TEXT, I32, TEXT, since(3, TEXT), since(5, TEXT), since(5, TEXT), list(&[TEXT, BYTES])];
fields!(SyncGroupRequest = wire::SyncGroupRequest {
    group = group_id, generation = generation_id, member = member_id,
    instance = group_instance_id [3], protocol_type = protocol_type [5],
    protocol = protocol_name [5], assignments = assignments,
});
fields!(SyncGroupResponse = wire::SyncGroupResponse {
    error = error_code, protocol_type = protocol_type [5], protocol = protocol_name [5],
    assignment = assignment,
});
tuple! {
    (Arc<str>, Bytes) = wire::join_group_request::JoinGroupRequestProtocol {
        0 = name, 1 = metadata,
    };
    (Arc<str>, Bytes) = wire::sync_group_request::SyncGroupRequestAssignment {
        0 = member_id, 1 = assignment,
    };
    (Arc<str>, ErrorCode) = wire::delete_groups_response::DeletableGroupResult {
        0 = group_id, 1 = error_code,
    };
}

pub const HEARTBEAT: Shape = &[TEXT, I32, TEXT, since(3, TEXT)];
fields!(HeartbeatRequest = wire::HeartbeatRequest {
    group = group_id, generation = generation_id, member = member_id,
    instance = group_instance_id [3],
});
fields!(HeartbeatResponse = wire::HeartbeatResponse { error = error_code });

/// Since version 3 for many members (KIP-345).
pub const LEAVE_GROUP: Shape =
    &[TEXT, until(2, TEXT), since(3, list(&[TEXT, TEXT, since(5, TEXT)]))];
impl Wire<wire::LeaveGroupRequest> for LeaveGroupRequest {
    fn out(&self, version: i16) -> wire::LeaveGroupRequest {
        let mut out = wire::LeaveGroupRequest::default().with_group_id(self.group.out(version));
        if version >= 3 {
            out.members = self.members.out(version);
        } else if let [alone] = &self.members[..] {
            out.member_id = alone.member.out(version);
        }
        out
    }
    fn back(wire: wire::LeaveGroupRequest, version: i16) -> Self {
        let alone =
            || vec![LeavingMember { member: Wire::back(wire.member_id, version), instance: None }];
        let members = if version >= 3 { Wire::back(wire.members, version) } else { alone() };
        LeaveGroupRequest { group: Wire::back(wire.group_id, version), members }
    }
}
fields!(LeavingMember = wire::leave_group_request::MemberIdentity {
    member = member_id, instance = group_instance_id,
});
fields!(LeaveGroupResponse = wire::LeaveGroupResponse {
    error = error_code, members = members,
} then |out, version| {
    if version < 3
        && let Some(alone) = out.members.pop()
        && out.error_code == 0
    {
        out.error_code = alone.error_code;
    }
});
impl Wire<wire::leave_group_response::MemberResponse> for (LeavingMember, ErrorCode) {
    fn out(&self, version: i16) -> wire::leave_group_response::MemberResponse {
        wire::leave_group_response::MemberResponse::default()
            .with_member_id(self.0.member.out(version))
            .with_group_instance_id(self.0.instance.out(version))
            .with_error_code(self.1.out(version))
    }
    fn back(wire: wire::leave_group_response::MemberResponse, version: i16) -> Self {
        let member = Wire::back(wire.member_id, version);
        let instance = Wire::back(wire.group_instance_id, version);
        (LeavingMember { member, instance }, Wire::back(wire.error_code, version))
    }
}

pub const DESCRIBE_GROUPS: Shape = &[TEXTS, since(3, I8)];
fields!(DescribeGroupsRequest = wire::DescribeGroupsRequest { groups = groups } asks |wire| {
    Asks { cluster: false, each: wire.include_authorized_operations }
});
fields!(DescribeGroupsResponse = wire::DescribeGroupsResponse {
    groups = groups,
} tells |out, asks| {
    for group in out.groups.iter_mut().filter(|group| asks.each && group.error_code == 0) {
        group.authorized_operations = ON_GROUP;
    }
});
fields!(DescribedGroup = wire::describe_groups_response::DescribedGroup {
    group = group_id, error = error_code, state = group_state, protocol_type = protocol_type,
    protocol = protocol_data, members = members,
} then |out, version| {
    // KIP-1043: older clients know an unknown group as a dead one.
    if out.error_code == ErrorCode::GroupIdNotFound.code() {
        out.group_state = StrBytes::from_static_str("Dead");
        if version < 6 {
            out.error_code = 0;
        } else {
            out.error_message = Some(string(&format!("Group {} not found.", &*out.group_id)));
        }
    }
});
fields!(DescribedMember = wire::describe_groups_response::DescribedGroupMember {
    member = member_id, instance = group_instance_id [4], client_id = client_id,
    client_host = client_host, subscription = member_metadata, assignment = member_assignment,
});

pub const LIST_GROUPS: Shape = &[since(4, TEXTS), since(5, TEXTS)];
fields!(ListGroupsRequest = wire::ListGroupsRequest {
    states = states_filter [4], types = types_filter [5],
});
fields!(ListGroupsResponse = wire::ListGroupsResponse { error = error_code, groups = groups });
fields!(ListedGroup = wire::list_groups_response::ListedGroup {
    group = group_id, protocol_type = protocol_type, state = group_state [4],
    kind = group_type [5],
});

pub const DELETE_GROUPS: Shape = &[TEXTS];
fields!(DeleteGroupsRequest = wire::DeleteGroupsRequest { groups = groups_names });
fields!(DeleteGroupsResponse = wire::DeleteGroupsResponse { groups = results });
