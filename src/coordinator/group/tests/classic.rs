mod round;
mod statics;
mod storm;

use bytes::Bytes;

use super::*;
use crate::coordinator::schema::Writer;
use crate::message::group::{
    DescribeGroupsRequest, DescribedGroup, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, LeavingMember, SyncGroupRequest, SyncGroupResponse,
};

pub const SESSION: Duration = Duration::from_secs(10);
pub const REBALANCE: Duration = Duration::from_secs(60);
/// How long a group's first round takes, with all members joining at its beginning.
pub const FIRST_ROUND: Duration = Duration::from_secs(6);

pub fn subscription(topics: &[&str]) -> Bytes {
    let mut out = Writer::new();
    out.i16(0);
    out.length(topics.len());
    for topic in topics {
        out.string(topic);
    }
    out.i32(-1);
    out.finish().into()
}

/// `orders` with these partitions.
pub fn assignment(partitions: &[i32]) -> Bytes {
    let mut out = Writer::new();
    out.i16(0);
    out.length(1);
    out.string("orders");
    out.length(partitions.len());
    for partition in partitions {
        out.i32(*partition);
    }
    out.i32(-1);
    out.finish().into()
}

pub fn joins(member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group: GROUP.into(),
        member: member.into(),
        instance: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocol_type: "consumer".into(),
        protocols: alloc::vec![("range".into(), subscription(&["orders"]))],
        knows_member_id_required: false,
    }
}

pub fn join(member: &str) -> Request {
    Request::JoinGroup(joins(member))
}

pub fn joined(response: Option<Response>) -> JoinGroupResponse {
    let Some(Response::JoinGroup(answer)) = response else { panic!("{response:?}") };
    answer
}

pub fn sync(member: &str, generation: i32, assignments: &[(&Arc<str>, &[i32])]) -> Request {
    let assignments = assignments.iter().map(|(id, list)| ((*id).clone(), assignment(list)));
    Request::SyncGroup(SyncGroupRequest {
        group: GROUP.into(),
        generation,
        member: member.into(),
        instance: None,
        protocol_type: None,
        protocol: None,
        assignments: assignments.collect(),
    })
}

pub fn synced(response: Option<Response>) -> SyncGroupResponse {
    let Some(Response::SyncGroup(answer)) = response else { panic!("{response:?}") };
    answer
}

pub fn heartbeat(member: &str, generation: i32) -> Request {
    let (group, member, instance) = (GROUP.into(), member.into(), None);
    Request::Heartbeat(HeartbeatRequest { group, generation, member, instance })
}

pub fn leave(member: &str, instance: Option<&str>) -> Request {
    let members =
        alloc::vec![LeavingMember { member: member.into(), instance: instance.map(Arc::from) }];
    Request::LeaveGroup(LeaveGroupRequest { group: GROUP.into(), members })
}

pub fn described(rig: &mut Rig) -> DescribedGroup {
    let request = DescribeGroupsRequest { groups: alloc::vec![GROUP.into()] };
    let answer = rig.settle(Request::DescribeGroups(request));
    let Response::DescribeGroups(mut answer) = answer else { panic!("{answer:?}") };
    answer.groups.remove(0)
}

pub fn state(rig: &mut Rig) -> Arc<str> {
    described(rig).state
}

/// A stable group of so many members, in its first generation. The first one leads.
pub fn stable(members: i32) -> (Rig, Vec<Arc<str>>) {
    let mut rig = Rig::new();
    let ids = settle_in(&mut rig, members);
    (rig, ids)
}

/// Joins so many members and gives each one partition.
pub fn settle_in(rig: &mut Rig, members: i32) -> Vec<Arc<str>> {
    let asked: Vec<_> = (0..members).map(|_| rig.send(join(""))).collect();
    rig.pass(FIRST_ROUND);
    let answers: Vec<_> = asked.iter().map(|asked| joined(rig.answer(*asked))).collect();
    let ids: Vec<_> = answers.iter().map(|answer| answer.member.clone()).collect();
    let (generation, leader) = (answers[0].generation, &answers[0].leader);
    assert_eq!(ids[0], *leader);
    let lists: Vec<_> = (0..members).map(|index| [index]).collect();
    let parts: Vec<_> = ids.iter().zip(&lists).map(|(id, list)| (id, &list[..])).collect();
    let asked: Vec<_> = ids
        .iter()
        .map(|id| {
            let parts = if id == leader { &parts[..] } else { &[] };
            rig.send(sync(id, generation, parts))
        })
        .collect();
    rig.commit();
    for (asked, list) in asked.iter().zip(&lists) {
        assert_eq!(synced(rig.answer(*asked)).assignment, assignment(list));
    }
    ids
}
