use super::*;
use crate::coordinator::group::groups::Kind;
use crate::event::GroupMemberNote;

#[test]
fn a_partition_goes_from_one_member_to_the_other_only_once_it_was_given_up() {
    let mut rig = Rig::new();
    assert_eq!(told(&beat(&mut rig, joins("a"))), (1, Some(alloc::vec![0, 1, 2, 3])));
    assert_eq!(told(&beat(&mut rig, joins("b"))), (2, Some(alloc::vec![])));
    assert_eq!(&*described(&mut rig).state, "Reconciling");
    // `a` is told, and holds on: its epoch stays and so does what `b` has.
    assert_eq!(told(&beat(&mut rig, quiet("a", 1))), (1, Some(alloc::vec![0, 1])));
    let note = rig.group_note();
    let at = |list: &[i32]| list.iter().map(|at| ("orders".into(), *at)).collect();
    let a = GroupMemberNote {
        member: "a".into(),
        epoch: 1,
        assigned: at(&[0, 1]),
        revoking: at(&[2, 3]),
    };
    assert_eq!((note.generation, &note.members[0]), (2, &a));
    assert_eq!(told(&beat(&mut rig, holds("a", 1, &[0, 1, 2]))), (1, None));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (2, None));
    assert_eq!(told(&beat(&mut rig, holds("a", 1, &[0, 1]))), (2, None));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (2, Some(alloc::vec![2, 3])));
    assert_eq!(&*described(&mut rig).state, "Stable");
}

#[test]
fn a_heartbeat_without_news_writes_nothing() {
    let mut rig = two();
    let end = rig.log.end;
    let answer = rig.ask(Request::ConsumerGroupHeartbeat(quiet("a", 2)));
    let Response::ConsumerGroupHeartbeat(answer) = answer else { panic!("{answer:?}") };
    assert_eq!((told(&answer), rig.log.end), ((2, None), end));
    assert_eq!(answer.heartbeat_interval, Duration::from_secs(5));
}

#[test]
fn an_answer_waits_for_the_log_and_a_refusal_changes_nothing() {
    let mut rig = Rig::new();
    let asked = rig.send(Request::ConsumerGroupHeartbeat(joins("a")));
    assert_eq!((rig.answer(asked), rig.events.len()), (None, 0));
    rig.commit();
    assert!(rig.answer(asked).is_some());
    rig.log.refuses = Some(ErrorCode::NotEnoughReplicas);
    let answer = beat(&mut rig, joins("b"));
    assert_eq!(answer.error, ErrorCode::CoordinatorNotAvailable);
    rig.log.refuses = None;
    assert_eq!(described(&mut rig).members.len(), 1);
}

#[test]
fn what_a_leaver_had_goes_to_the_others() {
    let mut rig = two();
    assert_eq!(beat(&mut rig, quiet("b", -1)).member_epoch, -1);
    assert_eq!(&*described(&mut rig).state, "Assigning");
    assert_eq!(told(&beat(&mut rig, quiet("a", 2))), (3, Some(alloc::vec![0, 1, 2, 3])));
    assert_eq!(beat(&mut rig, quiet("b", 2)).error, ErrorCode::UnknownMemberId);
    assert_eq!(beat(&mut rig, quiet("a", -1)).error, ErrorCode::None);
    assert_eq!(&*described(&mut rig).state, "Empty");
}

#[test]
fn a_silent_member_is_fenced_after_its_session() {
    let mut rig = two();
    for _ in 0..8 {
        rig.live(Duration::from_secs(5));
        beat(&mut rig, quiet("a", 2));
    }
    rig.live(Duration::from_secs(5));
    assert_eq!(beat(&mut rig, quiet("b", 2)).error, ErrorCode::UnknownMemberId);
    assert_eq!(told(&beat(&mut rig, quiet("a", 2))), (3, Some(alloc::vec![0, 1, 2, 3])));
}

#[test]
fn a_member_that_does_not_give_up_in_time_is_fenced() {
    let mut rig = two();
    beat(&mut rig, joins("c"));
    assert_eq!(told(&beat(&mut rig, quiet("a", 2))), (3, None));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (2, Some(alloc::vec![2])));
    for _ in 0..5 {
        rig.live(Duration::from_secs(5));
        assert_eq!(told(&beat(&mut rig, holds("b", 2, &[2, 3]))), (2, None));
    }
    rig.live(Duration::from_secs(5));
    assert_eq!(beat(&mut rig, quiet("b", 2)).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_new_coordinator_fences_who_does_not_give_up_what_the_last_one_asked_for() {
    let mut rig = two();
    beat(&mut rig, joins("c"));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (2, Some(alloc::vec![2])));
    rig.fail_over();
    for _ in 0..5 {
        rig.live(Duration::from_secs(5));
        assert_eq!(told(&beat(&mut rig, holds("b", 2, &[2, 3]))).0, 2);
    }
    rig.live(Duration::from_secs(5));
    assert_eq!(beat(&mut rig, quiet("b", 2)).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_removal_that_the_log_refuses_is_tried_again() {
    let mut rig = two();
    rig.log.refuses = Some(ErrorCode::NotEnoughReplicas);
    rig.live(Duration::from_secs(46));
    rig.log.refuses = None;
    assert_eq!(described(&mut rig).members.len(), 2);
    rig.live(Duration::from_secs(1));
    assert_eq!(&*described(&mut rig).state, "Empty");
}

#[test]
fn a_topic_that_grows_or_goes_makes_a_new_epoch() {
    let mut rig = two();
    rig::topic(Arc::make_mut(&mut rig.image), "orders", 1, 6);
    assert_eq!(told(&beat(&mut rig, quiet("a", 2))), (3, Some(alloc::vec![0, 1, 4])));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (3, Some(alloc::vec![2, 3, 5])));
    let image = Arc::make_mut(&mut rig.image);
    image.names.remove("orders");
    image.topics.remove(&rig::topic_id(1));
    assert_eq!(told(&beat(&mut rig, quiet("a", 3))), (3, Some(alloc::vec![])));
    assert_eq!(told(&beat(&mut rig, holds("a", 3, &[]))), (4, None));
}

#[test]
fn a_new_subscription_makes_a_new_epoch() {
    let mut rig = two();
    let both = Some(alloc::vec!["orders".into(), "payments".into()]);
    let more = ConsumerGroupHeartbeatRequest { subscribed_topics: both, ..quiet("a", 2) };
    let answer = beat(&mut rig, more);
    let held = answer.assignment.map(|lists| lists.iter().map(|(_, list)| list.len()).sum());
    // Two that nobody else wants, and one of the others less.
    assert_eq!((answer.member_epoch, held), (2, Some(1)));
    assert_eq!(described(&mut rig).group_epoch, 3);
}

#[test]
fn the_next_coordinator_comes_to_the_same_group() {
    let mut rig = two();
    beat(&mut rig, joins("c"));
    beat(&mut rig, quiet("a", 2));
    beat(&mut rig, named("static", joins("d")));
    beat(&mut rig, quiet("b", -1));
    let group = |rig: &Rig| match &rig.coordinator.groups.get(GROUP).expect("there").kind {
        Kind::Consumer(consumer) => consumer.clone(),
        Kind::Classic(_) => panic!("it has members"),
    };
    let live = group(&rig);
    rig.fail_over();
    assert_eq!(group(&rig), live);
    // Sessions begin anew.
    rig.live(Duration::from_secs(46));
    assert_eq!(&*described(&mut rig).state, "Empty");
}

#[test]
fn most_votes_choose_the_assignor() {
    let mut rig = Rig::new();
    let ask = |member: &str, assignor: &str| {
        let assignor = Some(assignor.into());
        ConsumerGroupHeartbeatRequest { assignor, ..joins(member) }
    };
    assert_eq!(beat(&mut rig, ask("a", "best")).error, ErrorCode::UnsupportedAssignor);
    beat(&mut rig, ask("a", "range"));
    assert_eq!(&*described(&mut rig).assignor, "range");
    beat(&mut rig, ask("b", "uniform"));
    beat(&mut rig, ask("c", "uniform"));
    assert_eq!(&*described(&mut rig).assignor, "uniform");
}

#[test]
fn an_empty_group_changes_its_protocol_and_keeps_its_offsets() {
    let mut rig = Rig::new();
    let ids = classic::settle_in(&mut rig, 1);
    rig.settle(commit(member(&ids[0], 1), 5));
    assert_eq!(beat(&mut rig, joins("a")).error, ErrorCode::GroupIdNotFound);
    rig.settle(classic::leave(&ids[0], None));
    // Epochs go on where generations were: no checker sees a group fall back.
    assert_eq!(told(&beat(&mut rig, joins("a"))).0, 3);
    rig.fail_over();
    assert_eq!(described(&mut rig).members.len(), 1);
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
    let refused = rig.settle(classic::join(""));
    assert_eq!(error(&refused), ErrorCode::InconsistentGroupProtocol);
    beat(&mut rig, quiet("a", -1));
    classic::settle_in(&mut rig, 1);
    assert_eq!(rig.group_note().generation, 5);
    assert_eq!(described(&mut rig).error, ErrorCode::GroupIdNotFound);
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
}
