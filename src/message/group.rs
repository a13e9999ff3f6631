//! The classic group protocol: JoinGroup (11), Heartbeat (12), LeaveGroup (13), SyncGroup (14), and
//! what an admin asks of groups of either protocol: DescribeGroups (15), ListGroups (16),
//! DeleteGroups (42).

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JoinGroupRequest {
    pub group: Arc<str>,
    /// Empty for a member that has no id yet.
    pub member: Arc<str>,
    /// A static member's name (KIP-345).
    pub instance: Option<Arc<str>>,
    /// The client's own name, for people.
    pub client_id: Arc<str>,
    /// Where it calls from, for people; empty if the driver does not know.
    pub client_host: Arc<str>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// `consumer` for consumers.
    pub protocol_type: Arc<str>,
    /// Names of assignors with the member's subscription for each, in order of preference.
    pub protocols: Vec<(Arc<str>, Bytes)>,
    /// Whether a member without an id is told one first and joins with it (KIP-394,
    /// `MEMBER_ID_REQUIRED`). Clients older than version 4 of the API do not know that.
    pub knows_member_id_required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JoinGroupResponse {
    pub error: ErrorCode,
    /// -1 with an error.
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    /// The assignor that all members have.
    pub protocol: Option<Arc<str>>,
    /// The member that assigns.
    pub leader: Arc<str>,
    /// KIP-814: the leader goes by the old assignment and does not assign.
    pub skip_assignment: bool,
    /// The asking member's id; with `MEMBER_ID_REQUIRED` the one to join with.
    pub member: Arc<str>,
    /// All members, for the leader only.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JoinedMember {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    /// Its subscription for the chosen assignor.
    pub subscription: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncGroupRequest {
    pub group: Arc<str>,
    pub generation: i32,
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    /// None from clients older than version 5 of the API.
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Of all members, from the leader; otherwise empty.
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncGroupResponse {
    pub error: ErrorCode,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// The asking member's; empty with an error.
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatRequest {
    pub group: Arc<str>,
    pub generation: i32,
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeartbeatResponse {
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaveGroupRequest {
    pub group: Arc<str>,
    pub members: Vec<LeavingMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeavingMember {
    /// Empty if an admin removes a static member by its instance id alone.
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaveGroupResponse {
    pub error: ErrorCode,
    /// In the order of the request.
    pub members: Vec<(LeavingMember, ErrorCode)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeGroupsRequest {
    pub groups: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribeGroupsResponse {
    pub groups: Vec<DescribedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribedGroup {
    pub group: Arc<str>,
    /// GROUP_ID_NOT_FOUND for an unknown group and for one of the KIP-848 protocol.
    pub error: ErrorCode,
    /// Kafka's name of the state: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable`,
    /// `Dead`.
    pub state: Arc<str>,
    pub protocol_type: Arc<str>,
    /// The assignor, if one is chosen.
    pub protocol: Arc<str>,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DescribedMember {
    pub member: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListGroupsRequest {
    /// Kafka's names of states; empty for all.
    pub states: Vec<Arc<str>>,
    /// `classic`, `consumer`; empty for both.
    pub types: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListGroupsResponse {
    pub error: ErrorCode,
    pub groups: Vec<ListedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListedGroup {
    pub group: Arc<str>,
    pub protocol_type: Arc<str>,
    pub state: Arc<str>,
    /// `classic` or `consumer`.
    pub kind: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteGroupsRequest {
    pub groups: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeleteGroupsResponse {
    pub groups: Vec<(Arc<str>, ErrorCode)>,
}
