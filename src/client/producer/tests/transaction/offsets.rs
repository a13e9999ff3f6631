//! Offsets of a consumer as part of a transaction (KIP-447).

use super::*;
use crate::message::commit::TxnOffsetCommitResponse;
use crate::message::transaction::AddOffsetsToTxnResponse;
use crate::op::{GroupMetadata, Position};

pub(super) fn offsets() -> Op {
    Op::SendOffsets {
        positions: vec![Position {
            topic: "orders".into(),
            partition: 0,
            offset: Offset(9),
            leader_epoch: LeaderEpoch(3),
            metadata: None,
        }],
        group: GroupMetadata {
            group: "g".into(),
            member: "m".into(),
            instance: None,
            generation: 4,
        },
    }
}

fn committed(error: ErrorCode) -> Response {
    Response::TxnOffsetCommit(TxnOffsetCommitResponse { partitions: vec![(topic_ref(), 0, error)] })
}

/// With the offsets at their group's coordinator.
fn asked(version: TransactionVersion) -> (Script<Producer>, Asked) {
    let mut script = ready(version, Defects::NONE);
    script.call(101, Op::BeginTransaction);
    script.call(102, offsets());
    if version == TransactionVersion::V1 {
        let add = next(&mut script, (2, "AddOffsetsToTxn"));
        let error = ErrorCode::None;
        script.answer(&add, Response::AddOffsetsToTxn(AddOffsetsToTxnResponse { error }));
    }
    look_up(&mut script, "g");
    script.take_returned();
    let commit = next(&mut script, (2, "TxnOffsetCommit"));
    (script, commit)
}

#[test]
fn offsets_go_to_the_groups_coordinator_with_the_membership() {
    for version in [V1, V2] {
        let (mut script, commit) = asked(version);
        let Request::TxnOffsetCommit(request) = &*commit.request else { panic!("offsets") };
        assert_eq!(&*request.committer.member, "m");
        assert_eq!(request.committer.generation, 4);
        assert_eq!(request.version, version);
        script.call(103, Op::CommitTransaction);
        script.answer(&commit, committed(ErrorCode::None));
        let end = next(&mut script, (2, "commit 0"));
        script.answer(&end, ended(ErrorCode::None, 1));
        assert_eq!(script.take_returned(), [(102, Outcome::Done), (103, Outcome::Done)]);
    }
}

#[test]
fn offsets_of_a_member_that_was_replaced_abort_the_transaction() {
    let (mut script, commit) = asked(V2);
    script.answer(&commit, committed(ErrorCode::IllegalGeneration));
    script.call(103, Op::CommitTransaction);
    let fenced = Outcome::Failed(ErrorCode::IllegalGeneration);
    assert_eq!(script.take_returned(), [(102, fenced.clone()), (103, fenced)]);
    script.call(104, Op::AbortTransaction);
    let end = next(&mut script, (2, "abort 0"));
    script.answer(&end, ended(ErrorCode::None, 1));
    assert_eq!(script.take_returned(), [(104, Outcome::Done)]);
}

#[test]
fn offsets_given_up_may_have_arrived() {
    let (mut script, _commit) = asked(V2);
    script.pass(secs(4));
    let timed_out = Outcome::Unknown(ErrorCode::RequestTimedOut);
    assert_eq!(script.take_returned(), [(102, timed_out)]);
}
