//! The admin client on a scripted cluster.

use alloc::vec;

use super::*;
use crate::client::testing::{Asked as Sent, Script, endpoint, secs};
use crate::ids::{LeaderEpoch, Offset, TopicRef};
use crate::message::admin::{DeleteTopicsRequest, DeleteTopicsResponse, DeletedTopic};
use crate::message::fetch::Isolation;
use crate::message::offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListedOffset, OffsetSpec,
};
use crate::time::Timestamp;

fn admin(leaders: &[(i32, i32)]) -> Script<Admin> {
    let setup = Arc::new(AdminSetup {
        client_id: "a1".into(),
        bootstrap: [endpoint(1)].into(),
        config: AdminConfig::default(),
        defects: Defects::NONE,
    });
    Script::new(|now, out| Admin::start(&setup, [1; 32], now, out), leaders)
}

fn delete() -> Op {
    let topics = vec![TopicRef::Name("orders".into())];
    Op::Admin(Request::DeleteTopics(DeleteTopicsRequest { timeout: secs(5), topics }))
}

fn deleted(error: ErrorCode) -> Response {
    let topic = TopicRef::Name("orders".into());
    Response::DeleteTopics(DeleteTopicsResponse { topics: vec![DeletedTopic { topic, error }] })
}

#[test]
fn not_controller_is_asked_again() {
    let mut script = admin(&[(1, 1)]);
    script.call(1, delete());
    let asked = script.asked();
    script.answer(&asked, deleted(ErrorCode::NotController));
    assert_eq!(script.returned, []);
    script.pass(secs(1));
    let asked = script.asked();
    script.answer(&asked, deleted(ErrorCode::None));
    let answer = Outcome::Answered(Arc::new(deleted(ErrorCode::None)));
    assert_eq!(script.returned, [(1, answer)]);
    script.machine.check();
}

#[test]
fn what_broke_off_is_unknown_at_the_timeout() {
    let mut script = admin(&[(1, 1)]);
    script.call(1, delete());
    script.pass(secs(61));
    assert_eq!(script.returned, [(1, Outcome::Unknown(ErrorCode::RequestTimedOut))]);
}

fn listed(asked: &Sent, errors: &[ErrorCode]) -> Response {
    let Request::ListOffsets(request) = &*asked.request else { panic!("{:?}", asked.request) };
    assert_eq!(request.partitions.len(), errors.len());
    let partitions = request.partitions.iter().zip(errors).map(|(partition, error)| ListedOffset {
        topic: partition.topic.clone(),
        partition: partition.partition,
        error: *error,
        timestamp: Timestamp::NONE,
        offset: Offset(i64::from(partition.partition)),
        leader_epoch: LeaderEpoch(1),
    });
    Response::ListOffsets(ListOffsetsResponse { partitions: partitions.collect() })
}

#[test]
fn a_question_to_leaders_is_split_and_its_answers_are_joined() {
    let mut script = admin(&[(1, 1), (2, 1), (1, 1)]);
    let partitions = (0..3)
        .map(|partition| ListOffsetsPartition {
            topic: TopicRef::Name("orders".into()),
            partition,
            current_leader_epoch: LeaderEpoch::NONE,
            spec: OffsetSpec::Latest,
        })
        .collect();
    let isolation = Isolation::ReadUncommitted;
    script.call(1, Op::Admin(Request::ListOffsets(ListOffsetsRequest { isolation, partitions })));
    script.pass(secs(1));
    let (first, second) = (script.asked(), script.asked());
    assert_eq!((first.node, second.node), (1, 2));
    script.answer(&second, listed(&second, &[ErrorCode::None]));
    script.answer(&first, listed(&first, &[ErrorCode::None, ErrorCode::NotLeaderOrFollower]));
    script.pass(secs(1));
    let again = script.asked();
    script.answer(&again, listed(&again, &[ErrorCode::None]));
    let [(1, Outcome::Answered(response))] = &script.returned[..] else {
        panic!("{:?}", script.returned)
    };
    let Response::ListOffsets(response) = &**response else { panic!("{response:?}") };
    let offsets: Vec<i64> = response.partitions.iter().map(|listed| listed.offset.0).collect();
    assert_eq!(offsets, [0, 1, 2]);
    script.machine.check();
}
