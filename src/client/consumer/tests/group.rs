//! One member of a group on a scripted coordinator: what it asks, and what its application is told.

use alloc::sync::Arc;

use super::*;
use crate::client::consumer::membership::embedded::{self, Subscription};
use crate::config::{AssignmentStrategy, GroupProtocol};
use crate::ids::NodeId;
use crate::message::commit::{
    FetchedGroup, FetchedOffset, OffsetCommitResponse, OffsetFetchResponse,
};
use crate::message::consumer_group::{ConsumerGroupHeartbeatResponse, TopicPartitions};
use crate::message::coordinator::{FindCoordinatorResponse, FoundCoordinator};
use crate::message::group::{
    HeartbeatResponse, JoinGroupResponse, JoinedMember, LeaveGroupResponse, SyncGroupResponse,
};
use crate::op::{GroupMetadata, Position, Rebalance};

pub(super) fn settings() -> ConsumerConfig {
    ConsumerConfig { auto_commit_interval: secs(1), ..earliest_first() }
}

/// A member that has subscribed to `orders`, which has two partitions, and found its coordinator.
pub(super) fn member_with(
    config: ConsumerConfig,
    instance: Option<&str>,
    defects: Defects,
) -> Script<Consumer> {
    let instance = instance.map(Arc::from);
    member_of(GroupSetup { id: "g".into(), instance, assignor: None }, config, defects)
}

fn member_of(group: GroupSetup, config: ConsumerConfig, defects: Defects) -> Script<Consumer> {
    let setup = Arc::new(ConsumerSetup {
        client_id: "k1".into(),
        bootstrap: [endpoint(1)].into(),
        config,
        group: Some(group),
        defects,
        space: crate::client::SPACE,
    });
    let start = |now, out: &mut Effects| Consumer::start(&setup, [1; 32], now, out);
    let mut script = Script::new(start, &[(1, 3), (1, 3)]);
    script.call(0, Op::Subscribe(vec!["orders".into()]));
    assert_eq!(script.take_returned(), [(0, Outcome::Done)]);
    script.pass(ms(150));
    let asked = script.asked();
    assert!(matches!(&*asked.request, Request::FindCoordinator(_)), "{asked:?}");
    let found = FoundCoordinator {
        key: "g".into(),
        error: ErrorCode::None,
        node: NodeId(1),
        endpoint: Some(endpoint(1)),
    };
    let coordinators = vec![found];
    script.answer(&asked, Response::FindCoordinator(FindCoordinatorResponse { coordinators }));
    script
}

fn member(strategy: AssignmentStrategy) -> Script<Consumer> {
    let config = ConsumerConfig { partition_assignment_strategy: strategy, ..settings() };
    member_with(config, None, Defects::NONE)
}

pub(super) fn orders(partitions: &[i32]) -> Vec<(TopicName, i32)> {
    partitions.iter().map(|partition| ("orders".into(), *partition)).collect()
}

pub(super) fn as_member(generation: i32) -> GroupMetadata {
    GroupMetadata { group: "g".into(), member: "m1".into(), instance: None, generation }
}

/// The oldest request of an API, among those without an answer.
pub(super) fn asked_of(script: &mut Script<Consumer>, is_it: fn(&Request) -> bool) -> Sent {
    let at = script.unanswered.iter().position(|asked| is_it(&asked.request));
    let at = at.unwrap_or_else(|| panic!("not asked: {:?}", script.unanswered));
    script.unanswered.remove(at).expect("just found")
}

fn is_asked(script: &Script<Consumer>, is_it: fn(&Request) -> bool) -> bool {
    script.unanswered.iter().any(|asked| is_it(&asked.request))
}

pub(super) fn is_join(request: &Request) -> bool {
    matches!(request, Request::JoinGroup(_))
}

pub(super) fn is_sync(request: &Request) -> bool {
    matches!(request, Request::SyncGroup(_))
}

pub(super) fn is_beat(request: &Request) -> bool {
    matches!(request, Request::Heartbeat(_) | Request::ConsumerGroupHeartbeat(_))
}

pub(super) fn is_commit(request: &Request) -> bool {
    matches!(request, Request::OffsetCommit(_))
}

pub(super) fn is_offset_fetch(request: &Request) -> bool {
    matches!(request, Request::OffsetFetch(_))
}

fn is_fetch(request: &Request) -> bool {
    matches!(request, Request::Fetch(_))
}

fn is_leave(request: &Request) -> bool {
    matches!(request, Request::LeaveGroup(_))
}

fn subscription(asked: &Sent) -> Subscription {
    let Request::JoinGroup(request) = &*asked.request else { panic!("{asked:?}") };
    Subscription::decode(&request.protocols[0].1).expect("a subscription")
}

/// An answer to JoinGroup that names a leader other than the member.
pub(super) fn joined(error: ErrorCode, generation: i32, strategy: &str) -> Response {
    Response::JoinGroup(JoinGroupResponse {
        error,
        generation,
        protocol_type: Some("consumer".into()),
        protocol: Some(strategy.into()),
        leader: "other".into(),
        skip_assignment: false,
        member: "m1".into(),
        members: Vec::new(),
    })
}

pub(super) fn synced(error: ErrorCode, partitions: &[i32]) -> Response {
    Response::SyncGroup(SyncGroupResponse {
        error,
        protocol_type: None,
        protocol: None,
        assignment: embedded::encode_assignment(&orders(partitions)),
    })
}

pub(super) fn beaten(error: ErrorCode) -> Response {
    Response::Heartbeat(HeartbeatResponse { error })
}

fn committed(error: ErrorCode, partitions: &[i32]) -> Response {
    let name = || TopicRef::Name("orders".into());
    let partitions = partitions.iter().map(|partition| (name(), *partition, error)).collect();
    Response::OffsetCommit(OffsetCommitResponse { partitions })
}

fn stored(error: ErrorCode, offsets: &[(i32, i64)]) -> Response {
    let stored = offsets.iter().map(|(partition, offset)| FetchedOffset {
        topic: TopicRef::Name("orders".into()),
        partition: *partition,
        error,
        offset: Offset(*offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    });
    let (group, partitions) = ("g".into(), stored.collect());
    let group = FetchedGroup { group, error: ErrorCode::None, partitions };
    Response::OffsetFetch(OffsetFetchResponse { groups: vec![group] })
}

/// Polls, and takes what the application is told.
pub(super) fn told(script: &mut Script<Consumer>) -> Option<Rebalance> {
    script.call(77, Op::Poll { max_records: 9, timeout: Duration::ZERO });
    script.machine.check();
    let returned = script.take_returned();
    let outcome = returned.into_iter().find(|(call, _)| *call == 77).expect("answered at once").1;
    if let Outcome::Rebalanced(change) = outcome { Some((*change).clone()) } else { None }
}

/// Joins and syncs in a generation, with these partitions.
pub(super) fn round(
    script: &mut Script<Consumer>,
    generation: i32,
    strategy: &str,
    partitions: &[i32],
) {
    let asked = asked_of(script, is_join);
    script.answer(&asked, joined(ErrorCode::None, generation, strategy));
    let asked = asked_of(script, is_sync);
    script.answer(&asked, synced(ErrorCode::None, partitions));
}

/// A member that holds these and reads them from 5 on.
fn holding(mut script: Script<Consumer>, strategy: &str, partitions: &[i32]) -> Script<Consumer> {
    round(&mut script, 1, strategy, partitions);
    let asked = asked_of(&mut script, is_offset_fetch);
    let offsets: Vec<(i32, i64)> = partitions.iter().map(|partition| (*partition, 5)).collect();
    script.answer(&asked, stored(ErrorCode::None, &offsets));
    let assigned = Rebalance::Assigned(orders(partitions), as_member(1));
    assert_eq!(told(&mut script), Some(assigned));
    script
}

/// The next heartbeat is answered so.
fn beat(script: &mut Script<Consumer>, error: ErrorCode) {
    script.pass(secs(3));
    let asked = asked_of(script, is_beat);
    script.answer(&asked, beaten(error));
}

#[test]
fn a_member_joins_under_the_name_that_it_is_given_and_leads_if_it_is_told_to() {
    let mut script = member(AssignmentStrategy::Range);
    let asked = asked_of(&mut script, is_join);
    script.answer(&asked, joined(ErrorCode::MemberIdRequired, -1, "range"));
    let asked = script.unanswered.iter().find(|asked| is_join(&asked.request));
    let Some(Request::JoinGroup(request)) = asked.map(|asked| &*asked.request) else {
        panic!("{:?}", script.unanswered)
    };
    assert_eq!(&*request.member, "m1");
    let told = leads(&mut script, "range");
    let assigned = |member: &str, partition| {
        (Arc::from(member), embedded::encode_assignment(&orders(&[partition])))
    };
    assert_eq!(told, [assigned("m1", 0), assigned("m2", 1)]);
}

/// What a member tells the group when it leads, after `m1` and `m2` have joined under `protocol`.
fn leads(script: &mut Script<Consumer>, protocol: &str) -> Vec<(Arc<str>, Bytes)> {
    let asked = asked_of(script, is_join);
    let Request::JoinGroup(request) = &*asked.request else { panic!("just found") };
    assert_eq!(&*request.protocols[0].0, protocol);
    let subscription = request.protocols[0].1.clone();
    let Response::JoinGroup(mut answer) = joined(ErrorCode::None, 1, protocol) else {
        panic!("built so")
    };
    let member = |member: &str| JoinedMember {
        member: member.into(),
        instance: None,
        subscription: subscription.clone(),
    };
    (answer.leader, answer.members) = ("m1".into(), vec![member("m1"), member("m2")]);
    script.answer(&asked, Response::JoinGroup(answer));
    let asked = asked_of(script, is_sync);
    let Request::SyncGroup(request) = &*asked.request else { panic!("just found") };
    let told = request.assignments.clone();
    script.answer(&asked, synced(ErrorCode::None, &[]));
    told
}

/// Everything to the member whose id sorts last.
fn to_the_last(members: &[assignor::Member], counts: &assignor::Counts) -> assignor::Assignments {
    let all = counts.iter();
    let all = all.flat_map(|(topic, count)| (0..*count).map(|at| (topic.clone(), at)));
    let last = members.iter().map(|member| member.id.clone()).max();
    last.map(|last| (last, all.collect())).into_iter().collect()
}

#[test]
fn a_leader_assigns_as_its_application_has_it() {
    let group = GroupSetup { id: "g".into(), instance: None, assignor: Some(to_the_last) };
    let mut script = member_of(group, settings(), Defects::NONE);
    let told = leads(&mut script, "custom");
    assert_eq!(told, [("m2".into(), embedded::encode_assignment(&orders(&[0, 1])))]);
    assert_eq!(self::told(&mut script), Some(Rebalance::Assigned(vec![], as_member(1))));
    beat(&mut script, ErrorCode::RebalanceInProgress);
    assert_eq!(subscription(&asked_of(&mut script, is_join)).owned, []);
}

#[test]
fn offsets_that_a_transaction_may_change_are_waited_for() {
    let mut script = member(AssignmentStrategy::Range);
    round(&mut script, 1, "range", &[0]);
    let asked = asked_of(&mut script, is_offset_fetch);
    let Request::OffsetFetch(request) = &*asked.request else { panic!("just found") };
    assert!(request.require_stable);
    script.answer(&asked, stored(ErrorCode::UnstableOffsetCommit, &[(0, -1)]));
    assert!(script.unanswered.is_empty(), "{:?}", script.unanswered);
    script.pass(ms(150));
    let asked = asked_of(&mut script, is_offset_fetch);
    script.answer(&asked, stored(ErrorCode::None, &[(0, 5)]));
    let fetch = asked_of(&mut script, is_fetch);
    assert_eq!(fetched_from(&fetch), [(0, 5, 3)]);
}

#[test]
fn without_a_committed_offset_the_policy_decides() {
    let mut script = member(AssignmentStrategy::Range);
    round(&mut script, 1, "range", &[0]);
    let asked = asked_of(&mut script, is_offset_fetch);
    script.answer(&asked, stored(ErrorCode::None, &[(0, -1)]));
    asked_of(&mut script, |request| matches!(request, Request::ListOffsets(_)));
}

#[test]
fn an_eager_member_gives_up_everything_and_commits_before_it_rejoins() {
    let mut script = holding(member(AssignmentStrategy::Range), "range", &[0, 1]);
    beat(&mut script, ErrorCode::RebalanceInProgress);
    assert!(!is_asked(&script, is_join), "its application has not given up");
    assert_eq!(told(&mut script), Some(Rebalance::Revoked(orders(&[0, 1]))));
    assert_eq!(told(&mut script), None);
    assert!(!is_asked(&script, is_join), "its commit has no answer");
    let asked = asked_of(&mut script, is_commit);
    script.answer(&asked, committed(ErrorCode::None, &[0, 1]));
    let asked = asked_of(&mut script, is_join);
    assert_eq!(subscription(&asked).owned, []);
}

#[test]
fn a_cooperative_member_keeps_what_does_not_move() {
    let name = "cooperative-sticky";
    let mut script = holding(member(AssignmentStrategy::CooperativeSticky), name, &[0, 1]);
    beat(&mut script, ErrorCode::RebalanceInProgress);
    let asked = asked_of(&mut script, is_join);
    let claim = subscription(&asked);
    assert_eq!((claim.owned, claim.generation), (orders(&[0, 1]), 1));
    script.answer(&asked, joined(ErrorCode::None, 2, name));
    let asked = asked_of(&mut script, is_sync);
    script.answer(&asked, synced(ErrorCode::None, &[0]));
    assert_eq!(told(&mut script), Some(Rebalance::Revoked(orders(&[1]))));
    let asked = asked_of(&mut script, is_commit);
    script.answer(&asked, committed(ErrorCode::None, &[0, 1]));
    assert_eq!(told(&mut script), Some(Rebalance::Assigned(vec![], as_member(2))));
    let claim = subscription(&asked_of(&mut script, is_join));
    assert_eq!((claim.owned, claim.generation), (orders(&[0]), 2), "the round that gives 1 away");
}

#[test]
fn a_claim_is_as_old_as_the_assignment_that_it_rests_on() {
    let name = "cooperative-sticky";
    let mut script = holding(member(AssignmentStrategy::CooperativeSticky), name, &[0]);
    beat(&mut script, ErrorCode::RebalanceInProgress);
    let asked = asked_of(&mut script, is_join);
    script.answer(&asked, joined(ErrorCode::None, 2, name));
    let asked = asked_of(&mut script, is_sync);
    script.answer(&asked, synced(ErrorCode::RebalanceInProgress, &[]));
    script.pass(ms(150));
    assert_eq!(subscription(&asked_of(&mut script, is_join)).generation, 1);
}

#[test]
fn a_member_that_the_group_has_forgotten_loses_all_before_it_joins_again() {
    let mut script =
        holding(member(AssignmentStrategy::CooperativeSticky), "cooperative-sticky", &[0]);
    beat(&mut script, ErrorCode::UnknownMemberId);
    assert!(!is_asked(&script, is_join), "its application does not know yet");
    assert_eq!(told(&mut script), Some(Rebalance::Lost(orders(&[0]))));
    let asked = asked_of(&mut script, is_join);
    let Request::JoinGroup(request) = &*asked.request else { panic!("just found") };
    assert!(request.member.is_empty() && subscription(&asked).owned.is_empty());
}

#[test]
fn a_forgotten_member_joins_again_only_when_its_application_has_let_go() {
    let mut script = holding(member(AssignmentStrategy::Range), "range", &[0]);
    beat(&mut script, ErrorCode::RebalanceInProgress);
    assert_eq!(told(&mut script), Some(Rebalance::Revoked(orders(&[0]))));
    beat(&mut script, ErrorCode::UnknownMemberId);
    assert!(!is_asked(&script, is_join), "its application still works on it");
    let position = Position {
        topic: "orders".into(),
        partition: 0,
        offset: Offset(5),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    script.call(5, Op::Commit(Some(vec![position])));
    assert_eq!(script.take_returned(), [(5, Outcome::Failed(ErrorCode::RebalanceInProgress))]);
    assert_eq!(told(&mut script), None);
    asked_of(&mut script, is_join);
}

#[test]
fn a_fenced_static_member_is_told_and_goes_on_no_more() {
    let script = member_with(settings(), Some("s"), Defects::NONE);
    let mut script = script;
    round(&mut script, 1, "range", &[]);
    told(&mut script);
    beat(&mut script, ErrorCode::FencedInstanceId);
    poll(5, &mut script, 9);
    assert_eq!(script.take_returned(), [(5, Outcome::Failed(ErrorCode::FencedInstanceId))]);
    assert!(!is_asked(&script, is_join));
}

#[test]
fn a_commit_of_an_old_generation_fails_and_one_at_the_wrong_broker_is_tried_again() {
    let mut script = holding(member(AssignmentStrategy::Range), "range", &[0]);
    let mut moved = script.clone();
    script.call(5, Op::Commit(None));
    let asked = asked_of(&mut script, is_commit);
    let Request::OffsetCommit(request) = &*asked.request else { panic!("just found") };
    let by = &request.committer;
    assert_eq!((&*by.member, by.generation, request.partitions[0].offset), ("m1", 1, Offset(5)));
    script.answer(&asked, committed(ErrorCode::IllegalGeneration, &[0]));
    assert_eq!(script.take_returned(), [(5, Outcome::Failed(ErrorCode::IllegalGeneration))]);
    assert_eq!(told(&mut script), Some(Rebalance::Lost(orders(&[0]))));
    moved.call(5, Op::Commit(None));
    let asked = asked_of(&mut moved, is_commit);
    moved.answer(&asked, committed(ErrorCode::NotCoordinator, &[0]));
    moved.pass(ms(150));
    asked_of(&mut moved, |request| matches!(request, Request::FindCoordinator(_)));
    assert_eq!(moved.take_returned(), []);
}

#[test]
fn a_commit_to_be_tried_again_waits_for_the_end_of_the_round() {
    let name = "cooperative-sticky";
    let config = ConsumerConfig {
        partition_assignment_strategy: AssignmentStrategy::CooperativeSticky,
        retry_backoff: secs(5),
        retry_backoff_max: secs(5),
        ..settings()
    };
    let mut script = holding(member_with(config, None, Defects::NONE), name, &[0]);
    script.call(5, Op::Commit(None));
    let asked = asked_of(&mut script, is_commit);
    script.answer(&asked, committed(ErrorCode::CoordinatorLoadInProgress, &[0]));
    beat(&mut script, ErrorCode::RebalanceInProgress);
    script.pass(secs(5));
    assert!(!is_asked(&script, is_commit), "it has no generation to commit in");
    round(&mut script, 2, name, &[0]);
    let asked = asked_of(&mut script, is_commit);
    let Request::OffsetCommit(request) = &*asked.request else { panic!("just found") };
    assert_eq!(request.committer.generation, 2);
}

#[test]
fn nobody_commits_what_is_not_theirs() {
    let mut script = holding(member(AssignmentStrategy::Range), "range", &[0]);
    let position = Position {
        topic: "orders".into(),
        partition: 1,
        offset: Offset(9),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    script.call(5, Op::Commit(Some(vec![position])));
    assert_eq!(script.take_returned(), [(5, Outcome::Failed(ErrorCode::IllegalGeneration))]);
}

#[test]
fn what_is_committed_is_answered_partition_by_partition() {
    let mut script = holding(member(AssignmentStrategy::Range), "range", &[0]);
    script.call(5, Op::Committed(orders(&[1, 0])));
    let asked = asked_of(&mut script, is_offset_fetch);
    script.answer(&asked, stored(ErrorCode::None, &[(0, 7), (1, -1)]));
    let returned = script.take_returned();
    let [(5, Outcome::Committed(positions))] = &returned[..] else { panic!("{returned:?}") };
    let offsets: Vec<(i32, Offset)> =
        positions.iter().map(|position| (position.partition, position.offset)).collect();
    assert_eq!(offsets, [(1, Offset::NONE), (0, Offset(7))]);
}

/// The offset that the poll after a delivery commits by itself, and the one that the delivering
/// poll does.
fn auto_committed(defects: Defects) -> (Option<i64>, Option<i64>) {
    let script = member_with(settings(), None, defects);
    let mut script = holding(script, "range", &[0]);
    script.pass(ms(1_500));
    let fetch = asked_of(&mut script, is_fetch);
    script.answer(&fetch, fetched(ErrorCode::None, vec![batch(5, 3, &["a", "b"])]));
    let offset = |script: &mut Script<Consumer>| {
        let at = script.unanswered.iter().position(|asked| is_commit(&asked.request))?;
        let asked = script.unanswered.remove(at).expect("just found");
        let Request::OffsetCommit(request) = &*asked.request else { return None };
        script.answer(&asked, committed(ErrorCode::None, &[0]));
        Some(request.partitions[0].offset.0)
    };
    poll(1, &mut script, 9);
    assert_eq!(polled(&mut script), is(&[(5, "a"), (6, "b")]));
    let delivering = offset(&mut script);
    script.pass(ms(1_500));
    told(&mut script);
    (offset(&mut script), delivering)
}

#[test]
fn a_poll_commits_what_earlier_polls_have_delivered() {
    assert_eq!(auto_committed(Defects::NONE), (Some(7), Some(5)));
}

#[test]
fn autocommit_latest_poll_commits_what_is_just_being_delivered() {
    let broken = Defects::NONE.with(Defect::AutocommitLatestPoll);
    if broken.has(Defect::AutocommitLatestPoll) {
        assert_eq!(auto_committed(broken), (None, Some(7)));
    }
}

#[test]
fn whoever_closes_commits_and_says_so_unless_it_will_be_back() {
    let mut script = holding(member(AssignmentStrategy::Range), "range", &[0]);
    script.call(5, Op::Close);
    let asked = asked_of(&mut script, is_commit);
    assert!(!is_asked(&script, is_leave), "it commits as a member");
    script.answer(&asked, committed(ErrorCode::None, &[0]));
    let asked = asked_of(&mut script, is_leave);
    assert_eq!(script.take_returned(), []);
    let left = LeaveGroupResponse { error: ErrorCode::None, members: Vec::new() };
    script.answer(&asked, Response::LeaveGroup(left));
    assert_eq!(script.take_returned(), [(5, Outcome::Done)]);
    let mut fixed = member_with(settings(), Some("s"), Defects::NONE);
    round(&mut fixed, 1, "range", &[]);
    fixed.call(5, Op::Close);
    assert_eq!(fixed.take_returned(), [(5, Outcome::Done)]);
}

#[test]
fn a_member_whose_application_does_not_poll_leaves_until_it_does() {
    let config = ConsumerConfig { max_poll_interval: secs(10), ..settings() };
    let mut script = holding(member_with(config, None, Defects::NONE), "range", &[0]);
    for _ in 0..3 {
        beat(&mut script, ErrorCode::None);
    }
    script.pass(secs(1));
    asked_of(&mut script, is_leave);
    assert!(!is_asked(&script, is_join));
    assert_eq!(told(&mut script), Some(Rebalance::Lost(orders(&[0]))));
    asked_of(&mut script, is_join);
}

#[test]
fn an_answer_to_an_earlier_membership_means_nothing_to_the_next() {
    let mut script = member(AssignmentStrategy::Range);
    let first = asked_of(&mut script, is_join);
    script.call(1, Op::Unsubscribe);
    script.call(2, Op::Subscribe(vec!["orders".into()]));
    assert_eq!(script.take_returned(), [(1, Outcome::Done), (2, Outcome::Done)]);
    let second = asked_of(&mut script, is_join);
    script.answer(&first, joined(ErrorCode::None, 2, "range"));
    assert!(!is_asked(&script, is_sync), "it left that generation");
    script.answer(&second, joined(ErrorCode::None, 3, "range"));
    assert!(is_asked(&script, is_sync));
}

pub(super) fn led(epoch: i32, assignment: Option<&[i32]>) -> Response {
    let topic = |partitions: &[i32]| -> TopicPartitions {
        vec![(crate::client::testing::topic_id(), partitions.to_vec())]
    };
    Response::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse {
        error: ErrorCode::None,
        message: None,
        member: None,
        member_epoch: epoch,
        heartbeat_interval: secs(5),
        assignment: assignment.map(topic),
    })
}

#[test]
fn a_member_that_is_led_says_what_it_holds_once_it_has_given_up() {
    let config = ConsumerConfig {
        group_protocol: GroupProtocol::Consumer,
        enable_auto_commit: false,
        ..settings()
    };
    let mut script = member_with(config, None, Defects::NONE);
    let owned = |asked: &Sent| {
        let Request::ConsumerGroupHeartbeat(request) = &*asked.request else { panic!("{asked:?}") };
        let partitions = |owned: &TopicPartitions| -> Vec<i32> {
            owned.iter().flat_map(|(_, partitions)| partitions.clone()).collect()
        };
        (request.member_epoch, request.owned.as_ref().map(partitions))
    };
    let asked = asked_of(&mut script, is_beat);
    assert_eq!(owned(&asked), (0, Some(vec![])));
    script.answer(&asked, led(1, Some(&[0, 1])));
    let asked = asked_of(&mut script, is_beat);
    assert_eq!(owned(&asked), (1, Some(vec![0, 1])));
    let Some(Rebalance::Assigned(given, _)) = told(&mut script) else { panic!("assigned") };
    assert_eq!(given, orders(&[0, 1]));
    script.answer(&asked, led(1, Some(&[0])));
    assert!(!is_asked(&script, is_beat), "its application has not given up");
    assert_eq!(told(&mut script), Some(Rebalance::Revoked(orders(&[1]))));
    told(&mut script);
    let asked = asked_of(&mut script, is_beat);
    assert_eq!(owned(&asked), (1, Some(vec![0])));
    script.answer(&asked, led(2, None));
    let Some(Rebalance::Assigned(given, metadata)) = told(&mut script) else { panic!("renewed") };
    assert_eq!((given, metadata.generation), (vec![], 2));
}

#[test]
fn a_member_that_is_put_out_begins_anew_with_empty_hands() {
    let config = ConsumerConfig { group_protocol: GroupProtocol::Consumer, ..settings() };
    let mut script = member_with(config, None, Defects::NONE);
    let asked = asked_of(&mut script, is_beat);
    script.answer(&asked, led(1, Some(&[0])));
    told(&mut script);
    let asked = asked_of(&mut script, is_beat);
    let Response::ConsumerGroupHeartbeat(mut fenced) = led(0, None) else { panic!("built so") };
    fenced.error = ErrorCode::FencedMemberEpoch;
    script.answer(&asked, Response::ConsumerGroupHeartbeat(fenced));
    assert!(!is_asked(&script, is_beat));
    assert_eq!(told(&mut script), Some(Rebalance::Lost(orders(&[0]))));
    let asked = asked_of(&mut script, is_beat);
    let Request::ConsumerGroupHeartbeat(request) = &*asked.request else { panic!("just found") };
    assert_eq!((request.member_epoch, &request.owned), (0, &Some(vec![])));
}
