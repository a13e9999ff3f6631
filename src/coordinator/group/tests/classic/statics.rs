use super::*;

fn named(instance: &str, member: &str, topics: &[&str]) -> Request {
    Request::JoinGroup(JoinGroupRequest {
        instance: Some(instance.into()),
        protocols: alloc::vec![("range".into(), subscription(topics))],
        ..joins(member)
    })
}

/// A stable group of two static members, `one` and `two`; `one` leads.
fn statics() -> (Rig, [Arc<str>; 2]) {
    let mut rig = Rig::new();
    let asked = [rig.send(named("one", "", &["orders"])), rig.send(named("two", "", &["orders"]))];
    rig.pass(FIRST_ROUND);
    let ids = asked.map(|asked| joined(rig.answer(asked)).member);
    assert_eq!(&*ids[0], "one-00000005-00000001-00000001");
    rig.send(sync(&ids[1], 1, &[]));
    rig.send(sync(&ids[0], 1, &[(&ids[0], &[0]), (&ids[1], &[1])]));
    rig.commit();
    assert_eq!(&*state(&mut rig), "Stable");
    rig.answers.clear();
    (rig, ids)
}

#[test]
fn a_static_member_comes_back_without_a_round_and_its_old_id_is_fenced() {
    let (mut rig, ids) = statics();
    let asked = rig.send(named("two", "", &["orders"]));
    assert_eq!(rig.answer(asked), None);
    rig.commit();
    let answer = joined(rig.answer(asked));
    assert_eq!((answer.generation, answer.skip_assignment), (1, false));
    assert_eq!((&answer.leader, answer.members.len()), (&ids[0], 0));
    assert_ne!(answer.member, ids[1]);
    let part = synced(Some(rig.ask(sync(&answer.member, 1, &[]))));
    assert_eq!(part.assignment, assignment(&[1]));
    let old = Request::Heartbeat(HeartbeatRequest {
        group: GROUP.into(),
        generation: 1,
        member: ids[1].clone(),
        instance: Some("two".into()),
    });
    assert_eq!(error(&rig.ask(old)), ErrorCode::FencedInstanceId);
    let old = Committer { instance: Some("two".into()), ..member(&ids[1], 1) };
    assert_eq!(error(&rig.ask(commit(old, 5))), ErrorCode::FencedInstanceId);
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 1))), ErrorCode::None);
    // The next coordinator knows the new id.
    rig.fail_over();
    assert_eq!(error(&rig.ask(heartbeat(&answer.member, 1))), ErrorCode::None);
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 1))), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_comes_back_leads_and_has_nothing_to_assign() {
    let (mut rig, _) = statics();
    let answer = joined(Some(rig.settle(named("one", "", &["orders"]))));
    assert_eq!((answer.skip_assignment, answer.members.len()), (true, 2));
    assert_eq!(answer.leader, answer.member);
}

#[test]
fn a_member_that_comes_back_wanting_something_else_begins_a_round() {
    let (mut rig, ids) = statics();
    let asked = rig.send(named("two", "", &["payments"]));
    assert_eq!(rig.answer(asked), None);
    assert_eq!(error(&rig.ask(heartbeat(&ids[0], 1))), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_log_that_refuses_the_new_id_leaves_the_old_one() {
    let (mut rig, ids) = statics();
    rig.log.refuses = Some(ErrorCode::NotLeaderOrFollower);
    assert_eq!(error(&rig.ask(named("two", "", &["orders"]))), ErrorCode::NotCoordinator);
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 1))), ErrorCode::None);
}

#[test]
fn two_under_one_name_are_told_apart_at_once() {
    let (mut rig, ids) = statics();
    let first = rig.send(named("one", &ids[0], &["payments"]));
    let second = rig.send(named("one", "", &["orders"]));
    assert_eq!(joined(rig.answer(first)).error, ErrorCode::FencedInstanceId);
    assert_eq!(rig.answer(second), None);
}

#[test]
fn an_absent_static_member_keeps_its_place_until_its_session_ends() {
    let (mut rig, ids) = statics();
    let again = rig.send(named("one", &ids[0], &["orders"]));
    assert_eq!(rig.answer(again), None);
    // Only the session of the other one ends the round: it is a member until then.
    rig.pass(SESSION);
    let answer = joined(rig.answer(again));
    assert_eq!((answer.generation, answer.members.len()), (2, 1));
}

#[test]
fn an_admin_removes_a_static_member_by_its_name() {
    let (mut rig, ids) = statics();
    assert_eq!(error(&rig.ask(leave("", Some("nobody")))), ErrorCode::UnknownMemberId);
    assert_eq!(error(&rig.ask(leave("", Some("two")))), ErrorCode::None);
    assert_eq!(error(&rig.ask(heartbeat(&ids[1], 1))), ErrorCode::UnknownMemberId);
}

#[test]
fn an_absent_static_member_stays_in_a_round_that_goes_on_without_it() {
    let joins = |instance: &str, member: &str| {
        Request::JoinGroup(JoinGroupRequest {
            instance: Some(instance.into()),
            session_timeout: Duration::from_secs(30),
            rebalance_timeout: Duration::from_secs(5),
            ..joins(member)
        })
    };
    let mut rig = Rig::new();
    let asked = [rig.send(joins("one", "")), rig.send(joins("two", ""))];
    rig.pass(FIRST_ROUND);
    let [one, two] = asked.map(|asked| joined(rig.answer(asked)).member);
    rig.send(sync(&two, 1, &[]));
    rig.send(sync(&one, 1, &[(&one, &[0]), (&two, &[1])]));
    rig.commit();
    let again = rig.send(joins("one", &one));
    assert_eq!(rig.answer(again), None);
    rig.pass(Duration::from_secs(5));
    let answer = joined(rig.answer(again));
    assert_eq!((answer.generation, answer.members.len()), (2, 2));
    rig.send(sync(&one, 2, &[(&one, &[0]), (&two, &[1])]));
    rig.commit();
    // It comes back within its session, to the part that it has.
    let back = joined(Some(rig.settle(joins("two", ""))));
    assert_eq!(back.generation, 2);
    let part = synced(Some(rig.ask(sync(&back.member, 2, &[]))));
    assert_eq!(part.assignment, assignment(&[1]));
}
