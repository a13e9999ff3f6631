use super::*;

fn epoch_error(rig: &mut Rig, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
    beat(&mut rig.clone(), request).error
}

#[test]
fn a_member_goes_on_from_its_epoch_from_the_one_before_or_from_nothing() {
    let mut rig = two();
    // `b` leaves: `a` gets all in epoch 3, and the answer is lost.
    beat(&mut rig, quiet("b", -1));
    beat(&mut rig, quiet("a", 2));
    let table = [
        (quiet("a", 3), ErrorCode::None),
        (quiet("a", 4), ErrorCode::FencedMemberEpoch),
        (quiet("a", 1), ErrorCode::FencedMemberEpoch),
        (quiet("a", 2), ErrorCode::FencedMemberEpoch),
        (holds("a", 2, &[0, 1]), ErrorCode::None),
        (holds("a", 2, &[0, 7]), ErrorCode::FencedMemberEpoch),
        (joins("a"), ErrorCode::None),
        (quiet("x", 1), ErrorCode::UnknownMemberId),
        (quiet("x", -1), ErrorCode::UnknownMemberId),
    ];
    for (request, expected) in table {
        assert_eq!(epoch_error(&mut rig, request.clone()), expected, "{request:?}");
    }
    let answer = beat(&mut rig, joins("a"));
    assert_eq!(told(&answer), (3, Some(alloc::vec![0, 1, 2, 3])));
}

#[test]
fn a_request_that_makes_no_sense_is_refused() {
    let mut rig = two();
    let bad = ErrorCode::InvalidRequest;
    let owned = Some(alloc::vec![(rig::topic_id(1), alloc::vec![0])]);
    let pattern = Some("o.*".into());
    let table = [
        (ConsumerGroupHeartbeatRequest { group: Arc::default(), ..joins("c") }, bad),
        (joins(""), bad),
        (quiet("c", 0), bad),
        (ConsumerGroupHeartbeatRequest { owned, ..joins("c") }, bad),
        (quiet("a", -3), bad),
        (quiet("a", -2), bad),
        (named("", joins("c")), bad),
        (
            ConsumerGroupHeartbeatRequest { subscribed_regex: pattern, ..joins("c") },
            ErrorCode::InvalidRegularExpression,
        ),
    ];
    for (request, expected) in table {
        assert_eq!(epoch_error(&mut rig, request.clone()), expected, "{request:?}");
    }
    let mut rig = Rig::new();
    assert_eq!(epoch_error(&mut rig, quiet("a", 1)), ErrorCode::GroupIdNotFound);
    assert_eq!(epoch_error(&mut rig, quiet("a", -1)), ErrorCode::GroupIdNotFound);
}

#[test]
fn commits_and_fetches_are_fenced_by_member_epoch() {
    let mut rig = two();
    let table = [
        (nobody(), ErrorCode::UnknownMemberId, ErrorCode::None),
        (member(&"x".into(), 2), ErrorCode::UnknownMemberId, ErrorCode::UnknownMemberId),
        (member(&"a".into(), 1), ErrorCode::StaleMemberEpoch, ErrorCode::IllegalGeneration),
        (member(&"a".into(), 3), ErrorCode::StaleMemberEpoch, ErrorCode::IllegalGeneration),
        (member(&"a".into(), 2), ErrorCode::None, ErrorCode::None),
    ];
    for (by, plain, transactional) in table {
        assert_eq!(error(&rig.settle(commit(by.clone(), 5))), plain, "{by:?}");
        assert_eq!(error(&rig.settle(stage(by, 5))), transactional);
    }
    rig.marker(false);
    rig.commit();
    let fetch_as = |who: &str, epoch| {
        let partitions = Some(alloc::vec![(TopicRef::Name("orders".into()), 0)]);
        let member = Some((who.into(), epoch));
        let groups = alloc::vec![OffsetFetchGroup { group: GROUP.into(), member, partitions }];
        Request::OffsetFetch(OffsetFetchRequest { groups, require_stable: true })
    };
    assert_eq!(offset_of(&rig.ask(fetch_as("a", 2))), Ok(5));
    assert_eq!(offset_of(&rig.ask(fetch_as("a", 1))), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(offset_of(&rig.ask(fetch_as("x", 1))), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_static_member_that_said_it_would_be_back_gets_its_partitions_again() {
    let mut rig = Rig::new();
    beat(&mut rig, named("one", joins("a")));
    let answer = beat(&mut rig, named("one", joins("z")));
    assert_eq!(answer.error, ErrorCode::UnreleasedInstanceId);
    assert_eq!(beat(&mut rig, named("one", quiet("a", -2))).member_epoch, -2);
    assert_eq!(told(&beat(&mut rig, joins("b"))), (2, Some(alloc::vec![])));
    rig.fail_over();
    // Its part of the new target is ready, and the rest was given up by its going.
    let answer = beat(&mut rig, named("one", joins("z")));
    assert_eq!(told(&answer), (2, Some(alloc::vec![0, 1])));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (2, Some(alloc::vec![2, 3])));
    let fenced = beat(&mut rig, named("one", quiet("a", 1)));
    assert_eq!(fenced.error, ErrorCode::FencedInstanceId);
    assert_eq!(beat(&mut rig, quiet("a", 1)).error, ErrorCode::UnknownMemberId);
    let unknown = beat(&mut rig, named("two", quiet("z", 2)));
    assert_eq!(unknown.error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_does_not_come_back_loses_its_partitions_with_its_session() {
    let mut rig = Rig::new();
    beat(&mut rig, named("one", joins("a")));
    beat(&mut rig, named("one", quiet("a", -2)));
    beat(&mut rig, joins("b"));
    for _ in 0..8 {
        rig.live(Duration::from_secs(5));
        assert_eq!(beat(&mut rig, quiet("b", 2)).error, ErrorCode::None);
    }
    rig.live(Duration::from_secs(5));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (3, Some(alloc::vec![0, 1, 2, 3])));
}
