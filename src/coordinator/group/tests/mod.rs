mod classic;
mod consumer;
mod failover;
mod offsets;
pub(crate) mod rig;
mod table;

use alloc::sync::Arc;
use alloc::vec::Vec;

use self::rig::Rig;
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, TopicName, TopicRef};
use crate::message::commit::{
    CommittedPartition, Committer, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchGroup,
    OffsetFetchRequest, TxnOffsetCommitRequest,
};
use crate::message::transaction::TransactionVersion;
use crate::message::{Request, Response};
use crate::time::Duration;

const GROUP: &str = "g";

/// Nobody's commit: from outside of any membership.
fn nobody() -> Committer {
    Committer { group: GROUP.into(), member: Arc::default(), instance: None, generation: -1 }
}

fn member(member: &Arc<str>, generation: i32) -> Committer {
    Committer { group: GROUP.into(), member: member.clone(), instance: None, generation }
}

fn orders(offset: i64) -> CommittedPartition {
    CommittedPartition {
        topic: TopicRef::Name("orders".into()),
        partition: 0,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(3),
        metadata: Some("m".into()),
    }
}

fn commit(committer: Committer, offset: i64) -> Request {
    let partitions = alloc::vec![orders(offset)];
    Request::OffsetCommit(OffsetCommitRequest { committer, partitions })
}

fn stage(committer: Committer, offset: i64) -> Request {
    Request::TxnOffsetCommit(TxnOffsetCommitRequest {
        transactional_id: "t".into(),
        producer_id: rig::PRODUCER.0,
        producer_epoch: rig::PRODUCER.1,
        committer,
        partitions: alloc::vec![orders(offset)],
        version: TransactionVersion::V2,
    })
}

fn fetch(require_stable: bool) -> Request {
    let partitions = Some(alloc::vec![(TopicRef::Name("orders".into()), 0)]);
    let groups = alloc::vec![OffsetFetchGroup { group: GROUP.into(), member: None, partitions }];
    Request::OffsetFetch(OffsetFetchRequest { groups, require_stable })
}

/// The first error of an answer.
fn error(response: &Response) -> ErrorCode {
    if let Response::OffsetCommit(answer) = response {
        return answer.partitions[0].2;
    }
    if let Response::TxnOffsetCommit(answer) = response {
        return answer.partitions[0].2;
    }
    if let Response::JoinGroup(answer) = response {
        return answer.error;
    }
    if let Response::SyncGroup(answer) = response {
        return answer.error;
    }
    if let Response::Heartbeat(answer) = response {
        return answer.error;
    }
    if let Response::LeaveGroup(answer) = response {
        return answer.members[0].1;
    }
    if let Response::DeleteGroups(answer) = response {
        return answer.groups[0].1;
    }
    if let Response::OffsetDelete(answer) = response {
        let first = answer.partitions.first().map(|(_, _, error)| *error);
        return first.filter(|_| answer.error.is_ok()).unwrap_or(answer.error);
    }
    panic!("no error in {response:?}")
}

/// The offset of `orders-0`, or the error.
fn offset_of(response: &Response) -> Result<i64, ErrorCode> {
    let Response::OffsetFetch(answer) = response else { panic!("{response:?}") };
    let group = &answer.groups[0];
    if !group.error.is_ok() {
        return Err(group.error);
    }
    let partition = &group.partitions[0];
    if partition.error.is_ok() { Ok(partition.offset.0) } else { Err(partition.error) }
}
