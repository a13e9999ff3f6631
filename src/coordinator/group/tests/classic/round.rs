use super::*;
use crate::event::GroupMemberNote;

#[test]
fn a_new_client_is_told_its_id_first_and_an_old_one_joins_at_once() {
    let mut rig = Rig::new();
    let knowing = JoinGroupRequest { knows_member_id_required: true, ..joins("") };
    let told = joined(Some(rig.ask(Request::JoinGroup(knowing.clone()))));
    assert_eq!(told.error, ErrorCode::MemberIdRequired);
    assert_eq!(&*told.member, "c-00000005-00000001-00000001");
    let second = JoinGroupRequest { member: told.member.clone(), ..knowing };
    let asked = [rig.send(Request::JoinGroup(second)), rig.send(join(""))];
    rig.pass(FIRST_ROUND);
    let answers = asked.map(|asked| joined(rig.answer(asked)));
    assert_eq!(answers[0].member, told.member);
    assert_eq!(&*answers[1].member, "c-00000005-00000001-00000002");
    assert_eq!((answers[0].generation, answers[1].generation), (1, 1));
}

#[test]
fn the_first_round_waits_for_more_members_but_not_for_ever() {
    let mut rig = Rig::new();
    let delay = rig.config.group_initial_rebalance_delay;
    let first = rig.send(join(""));
    rig.pass(delay - Duration::from_secs(1));
    let second = rig.send(join(""));
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.answer(first), rig.answer(second)), (None, None));
    rig.pass(delay);
    assert_eq!(joined(rig.answer(first)).members.len(), 2);
    assert_eq!(joined(rig.answer(second)).members.len(), 0);
    // With somebody new in each interval it ends with the rebalance timeout.
    let mut rig = Rig::new();
    let first = rig.send(join(""));
    for _ in 0..19 {
        rig.send(join(""));
        rig.pass(delay);
    }
    assert_eq!(rig.answer(first), None);
    rig.pass(delay);
    assert_eq!(joined(rig.answer(first)).members.len(), 20);
}

#[test]
fn the_leader_alone_is_told_who_is_in_and_all_get_their_part_once_it_is_in_the_log() {
    let mut rig = Rig::new();
    let asked = [rig.send(join("")), rig.send(join(""))];
    rig.pass(FIRST_ROUND);
    let [a, b] = asked.map(|asked| joined(rig.answer(asked)));
    assert_eq!((&a.leader, &b.leader), (&a.member, &a.member));
    let seen: Vec<_> = a.members.iter().map(|member| member.member.clone()).collect();
    assert_eq!(seen, [a.member.clone(), b.member.clone()]);
    assert_eq!(b.members, []);
    let follower = rig.send(sync(&b.member, 1, &[]));
    let parts: [(&Arc<str>, &[i32]); 2] = [(&a.member, &[0, 1]), (&b.member, &[2])];
    let leader = rig.send(sync(&a.member, 1, &parts));
    assert_eq!((rig.answer(follower), rig.answer(leader)), (None, None));
    rig.commit();
    assert_eq!(&*state(&mut rig), "Stable");
    assert_eq!(synced(rig.answer(follower)).assignment, assignment(&[2]));
    assert_eq!(synced(rig.answer(leader)).assignment, assignment(&[0, 1]));
    let note = rig.group_note();
    let member = |id: &Arc<str>, list: &[i32]| GroupMemberNote {
        member: id.clone(),
        epoch: 1,
        assigned: list.iter().map(|at| ("orders".into(), *at)).collect(),
        revoking: Arc::from([]),
    };
    let expected = [member(&a.member, &[0, 1]), member(&b.member, &[2])];
    assert_eq!((note.generation, &*note.members), (1, &expected[..]));
}

#[test]
fn a_newcomer_makes_everybody_join_again() {
    let (mut rig, ids) = stable(2);
    let newcomer = rig.send(join(""));
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 1))), ErrorCode::RebalanceInProgress);
    let again = [rig.send(join(&ids[0])), rig.send(join(&ids[1]))];
    for asked in again {
        assert_eq!(joined(rig.answer(asked)).generation, 2);
    }
    assert_eq!(joined(rig.answer(newcomer)).generation, 2);
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 1))), ErrorCode::IllegalGeneration);
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 2))), ErrorCode::None);
}

#[test]
fn a_member_that_does_not_join_in_time_is_out() {
    let (mut rig, ids) = stable(2);
    let newcomer = rig.send(join(""));
    let again = rig.send(join(&ids[0]));
    let beats = REBALANCE.as_secs() / 5;
    for _ in 0..beats {
        rig.pass(Duration::from_secs(5));
        rig.send(heartbeat(&ids[1], 1));
    }
    assert_eq!(joined(rig.answer(newcomer)).generation, 2);
    let leader = joined(rig.answer(again));
    assert_eq!((leader.leader == ids[0], leader.members.len()), (true, 2));
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 1))), ErrorCode::UnknownMemberId);
}

#[test]
fn a_silent_member_is_out_after_its_session_and_commits_nothing() {
    let (mut rig, ids) = stable(2);
    for _ in 0..3 {
        rig.pass(SESSION / 2);
        rig.send(heartbeat(&ids[0], 1));
    }
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 1))), ErrorCode::UnknownMemberId);
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 1))), ErrorCode::RebalanceInProgress);
    assert_eq!(error(&rig.ask(commit(member(&ids[1], 1), 5))), ErrorCode::UnknownMemberId);
    // The others may still commit what they did, until they join again.
    assert_eq!(error(&rig.settle(commit(member(&ids[0], 1), 5))), ErrorCode::None);
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let (mut rig, ids) = stable(1);
    for _ in 0..4 {
        rig.pass(SESSION / 2);
        assert_eq!(error(&rig.settle(commit(member(&ids[0], 1), 5))), ErrorCode::None);
    }
}

#[test]
fn commits_are_fenced_by_member_and_generation() {
    let (mut rig, ids) = stable(1);
    let table = [
        (nobody(), ErrorCode::UnknownMemberId, ErrorCode::None),
        (member(&"x".into(), 1), ErrorCode::UnknownMemberId, ErrorCode::UnknownMemberId),
        (member(&ids[0], 0), ErrorCode::IllegalGeneration, ErrorCode::IllegalGeneration),
        (member(&ids[0], 2), ErrorCode::IllegalGeneration, ErrorCode::IllegalGeneration),
        (member(&ids[0], 1), ErrorCode::None, ErrorCode::None),
    ];
    for (by, plain, transactional) in table {
        assert_eq!(error(&rig.settle(commit(by.clone(), 5))), plain);
        assert_eq!(error(&rig.settle(stage(by, 5))), transactional);
    }
    let wrong = member(&ids[0], 0);
    rig.defects = Defects::NONE.with(Defect::CommitNoGenerationCheck);
    assert_eq!(error(&rig.settle(commit(wrong.clone(), 5))), ErrorCode::None);
    rig.defects = Defects::NONE.with(Defect::TxnCommitNoFencing);
    assert_eq!(error(&rig.settle(stage(wrong, 5))), ErrorCode::None);
}

#[test]
fn between_join_and_sync_nobody_commits_but_a_transaction_may() {
    let (mut rig, ids) = stable(1);
    let again = rig.send(join(&ids[0]));
    assert_eq!(joined(rig.answer(again)).generation, 2);
    let by = member(&ids[0], 2);
    assert_eq!(error(&rig.ask(commit(by.clone(), 5))), ErrorCode::RebalanceInProgress);
    assert_eq!(error(&rig.settle(stage(by, 5))), ErrorCode::None);
}

#[test]
fn an_assignment_that_the_log_refuses_makes_everybody_join_again() {
    let (mut rig, ids) = stable(2);
    let again = [rig.send(join(&ids[0])), rig.send(join(&ids[1]))];
    let _ = again.map(|asked| joined(rig.answer(asked)));
    let follower = rig.send(sync(&ids[1], 2, &[]));
    rig.log.refuses = Some(ErrorCode::NotEnoughReplicas);
    let leader = rig.send(sync(&ids[0], 2, &[]));
    for asked in [follower, leader] {
        assert_eq!(synced(rig.answer(asked)).error, ErrorCode::CoordinatorNotAvailable);
    }
    rig.log.refuses = None;
    assert_eq!(&*state(&mut rig), "PreparingRebalance");
}

#[test]
fn an_assignment_that_is_not_committed_in_time_makes_everybody_join_again() {
    let mut rig = Rig::new();
    let asked = rig.send(join(""));
    rig.pass(FIRST_ROUND);
    let id = joined(rig.answer(asked)).member;
    let asked = rig.send(sync(&id, 1, &[(&id, &[0])]));
    rig.pass(rig.config.offsets_commit_timeout);
    assert_eq!(synced(rig.answer(asked)).error, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(&*state(&mut rig), "PreparingRebalance");
}

#[test]
fn whoever_does_not_ask_for_its_part_is_out() {
    let (mut rig, ids) = stable(2);
    let again = [rig.send(join(&ids[0])), rig.send(join(&ids[1]))];
    let _ = again.map(|asked| joined(rig.answer(asked)));
    rig.send(sync(&ids[0], 2, &[]));
    rig.commit();
    for _ in 0..REBALANCE.as_secs() / 5 {
        rig.pass(Duration::from_secs(5));
        rig.send(heartbeat(&ids[0], 2));
        rig.send(heartbeat(&ids[1], 2));
    }
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 2))), ErrorCode::RebalanceInProgress);
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 2))), ErrorCode::UnknownMemberId);
}

#[test]
fn the_last_one_to_leave_leaves_an_empty_group_with_its_offsets() {
    let (mut rig, ids) = stable(1);
    rig.settle(commit(member(&ids[0], 1), 5));
    assert_eq!(error(&rig.ask(leave(&ids[0], None))), ErrorCode::None);
    assert_eq!(error(&rig.ask(leave(&ids[0], None))), ErrorCode::UnknownMemberId);
    assert_eq!(&*state(&mut rig), "Empty");
    assert_eq!((rig.group_note().generation, rig.group_note().members.len()), (2, 0));
    rig.fail_over();
    assert_eq!(&*state(&mut rig), "Empty");
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
    assert_eq!(error(&rig.settle(commit(nobody(), 6))), ErrorCode::None);
}

#[test]
fn members_survive_their_coordinator() {
    let (mut rig, ids) = stable(2);
    rig.fail_over();
    assert_eq!(&*state(&mut rig), "Stable");
    assert_eq!(described(&mut rig).members[1].assignment, assignment(&[1]));
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 1))), ErrorCode::None);
    assert_eq!(error(&rig.settle(commit(member(&ids[1], 1), 5))), ErrorCode::None);
    // An id that the new one makes up is new.
    let newcomer = rig.send(join(""));
    let again = [rig.send(join(&ids[0])), rig.send(join(&ids[1]))];
    let _ = again.map(|asked| joined(rig.answer(asked)));
    assert_eq!(&*joined(rig.answer(newcomer)).member, "c-00000005-00000002-00000001");
}

#[test]
fn offsets_of_a_group_with_members_do_not_expire() {
    let mut rig = Rig::new();
    rig.config.offsets_retention_minutes = 60;
    let ids = settle_in(&mut rig, 1);
    rig.settle(commit(member(&ids[0], 1), 5));
    for _ in 0..2 * 3_600 / 5 {
        rig.live(Duration::from_secs(5));
        rig.send(heartbeat(&ids[0], 1));
    }
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
    // KIP-211: once it is empty, the time counts from there.
    rig.ask(leave(&ids[0], None));
    rig.live(Duration::from_secs(50 * 60));
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
    rig.live(Duration::from_secs(30 * 60));
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
    assert_eq!(described(&mut rig).error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_group_in_use_is_not_deleted() {
    let (mut rig, ids) = stable(1);
    let delete = || {
        let groups = alloc::vec![GROUP.into()];
        Request::DeleteGroups(crate::message::group::DeleteGroupsRequest { groups })
    };
    rig.settle(commit(member(&ids[0], 1), 5));
    assert_eq!(error(&rig.ask(delete())), ErrorCode::NonEmptyGroup);
    let offsets = |topic: TopicName| {
        let partitions = alloc::vec![(topic, 0)];
        Request::OffsetDelete(OffsetDeleteRequest { group: GROUP.into(), partitions })
    };
    let subscribed = error(&rig.ask(offsets("orders".into())));
    assert_eq!(subscribed, ErrorCode::GroupSubscribedToTopic);
    rig.ask(leave(&ids[0], None));
    assert_eq!(error(&rig.settle(delete())), ErrorCode::None);
    assert_eq!(error(&rig.settle(delete())), ErrorCode::GroupIdNotFound);
    rig.fail_over();
    assert_eq!(described(&mut rig).error, ErrorCode::GroupIdNotFound);
}

#[test]
fn a_stranger_without_a_common_protocol_is_refused_and_the_group_lives_on() {
    let (mut rig, ids) = stable(1);
    let protocols = alloc::vec![("sticky".into(), subscription(&["orders"]))];
    let stranger = JoinGroupRequest { protocols, ..joins("") };
    let refused = rig.ask(Request::JoinGroup(stranger));
    assert_eq!(error(&refused), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 1))), ErrorCode::None);
    let short = JoinGroupRequest { session_timeout: Duration::from_secs(1), ..joins("") };
    assert_eq!(error(&rig.ask(Request::JoinGroup(short))), ErrorCode::InvalidSessionTimeout);
    assert_eq!(error(&rig.ask(join("x"))), ErrorCode::UnknownMemberId);
}

#[test]
fn the_protocol_with_the_most_votes_among_those_that_all_have_wins() {
    let mut rig = Rig::new();
    let votes = [&["a", "b", "c"][..], &["c", "b"], &["b", "c"], &["c", "d", "b"]];
    let asked = votes.map(|names| {
        let protocols = names.iter().map(|name| (Arc::from(*name), subscription(&["orders"])));
        let request = JoinGroupRequest { protocols: protocols.collect(), ..joins("") };
        rig.send(Request::JoinGroup(request))
    });
    rig.pass(FIRST_ROUND);
    // b and c have two votes each.
    let protocols = asked.map(|asked| joined(rig.answer(asked)).protocol);
    assert!(protocols.iter().all(|protocol| protocol.as_deref() == Some("b")));
}

#[test]
fn an_unused_id_is_forgotten_after_a_session() {
    let mut rig = Rig::new();
    let knowing = JoinGroupRequest { knows_member_id_required: true, ..joins("") };
    let told = joined(Some(rig.ask(Request::JoinGroup(knowing))));
    assert_eq!(&*state(&mut rig), "Empty");
    rig.pass(SESSION);
    assert_eq!(described(&mut rig).error, ErrorCode::GroupIdNotFound);
    assert_eq!(error(&rig.ask(join(&told.member))), ErrorCode::UnknownMemberId);
}
