use super::*;
use crate::event::{Event, OffsetNote};

#[test]
fn a_commit_is_answered_and_noted_when_the_log_has_committed_it() {
    let mut rig = Rig::new();
    let asked = rig.send(commit(nobody(), 5));
    assert_eq!((rig.answer(asked), rig.events.len()), (None, 0));
    rig.commit();
    assert_eq!(rig.answer(asked).as_ref().map(error), Some(ErrorCode::None));
    let note = OffsetNote {
        group: GROUP.into(),
        topic: "orders".into(),
        topic_id: rig::topic_id(1),
        partition: 0,
        offset: Offset(5),
        member: Arc::default(),
        generation: -1,
        producer: None,
        shard: 5,
        at: Offset(0),
        coordinator_epoch: LeaderEpoch(1),
    };
    assert_eq!(rig.events, [Event::OffsetCommitted(Arc::new(note))]);
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
}

#[test]
fn a_fetch_waits_for_the_commit_that_it_tells_of() {
    let mut rig = Rig::new();
    rig.settle(commit(nobody(), 5));
    rig.send(commit(nobody(), 6));
    let asked = rig.send(fetch(false));
    assert_eq!(rig.answer(asked), None);
    rig.commit();
    assert_eq!(rig.answer(asked).as_ref().map(offset_of), Some(Ok(6)));
}

#[test]
fn nothing_committed_is_no_error() {
    let mut rig = Rig::new();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
}

#[test]
fn a_refused_append_leaves_nothing_behind() {
    let table = [
        (ErrorCode::UnknownTopicOrPartition, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotEnoughReplicas, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotEnoughReplicasAfterAppend, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::RequestTimedOut, ErrorCode::CoordinatorNotAvailable),
        (ErrorCode::NotLeaderOrFollower, ErrorCode::NotCoordinator),
        (ErrorCode::KafkaStorageError, ErrorCode::NotCoordinator),
        (ErrorCode::MessageTooLarge, ErrorCode::UnknownServerError),
        (ErrorCode::InvalidProducerEpoch, ErrorCode::InvalidProducerEpoch),
    ];
    for (refused, answered) in table {
        let mut rig = Rig::new();
        rig.settle(commit(nobody(), 5));
        rig.log.refuses = Some(refused);
        assert_eq!(error(&rig.ask(commit(nobody(), 6))), answered);
        assert_eq!(error(&rig.ask(stage(nobody(), 7))), answered);
        assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
    }
}

#[test]
fn a_commit_that_the_log_does_not_commit_in_time_is_answered_so() {
    let mut rig = Rig::new();
    let asked = rig.send(commit(nobody(), 5));
    rig.pass(rig.config.offsets_commit_timeout - Duration::from_nanos(1));
    assert_eq!(rig.answer(asked), None);
    rig.pass(Duration::from_nanos(1));
    let answer = rig.answer(asked).expect("answered");
    assert_eq!(error(&answer), ErrorCode::CoordinatorNotAvailable);
    // It may still be committed, and then it holds.
    rig.commit();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
    assert_eq!(rig.offset_notes().len(), 1);
}

#[test]
fn a_coordinator_that_resigns_tells_all_who_wait() {
    let mut rig = Rig::new();
    let asked = [rig.send(commit(nobody(), 5)), rig.send(fetch(true))];
    rig.fail_over();
    let answers = asked.map(|asked| rig.answer(asked).expect("answered"));
    assert_eq!(error(&answers[0]), ErrorCode::NotCoordinator);
    assert_eq!(offset_of(&answers[1]), Err(ErrorCode::NotCoordinator));
}

#[test]
fn partitions_are_judged_one_by_one() {
    let mut rig = Rig::new();
    let at = |topic: TopicRef, partition| CommittedPartition { topic, partition, ..orders(5) };
    let long = CommittedPartition { metadata: Some("m".repeat(4_097).into()), ..orders(5) };
    let partitions = alloc::vec![
        at(TopicRef::Name("nowhere".into()), 0),
        at(TopicRef::Id(rig::topic_id(99)), 0),
        at(TopicRef::Name("orders".into()), 4),
        long,
        at(TopicRef::Id(rig::topic_id(1)), 0),
    ];
    let request = OffsetCommitRequest { committer: nobody(), partitions };
    let answer = rig.settle(Request::OffsetCommit(request));
    let Response::OffsetCommit(answer) = answer else { panic!("{answer:?}") };
    let errors: Vec<_> = answer.partitions.iter().map(|(_, _, error)| *error).collect();
    let expected = [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::None,
    ];
    assert_eq!(errors, expected);
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
}

#[test]
fn a_transactions_offsets_hold_from_its_marker_on() {
    for (commits, expected) in [(true, 9), (false, 5)] {
        let mut rig = Rig::new();
        rig.settle(commit(nobody(), 5));
        rig.events.clear();
        assert_eq!(error(&rig.settle(stage(nobody(), 9))), ErrorCode::None);
        assert_eq!(offset_of(&rig.ask(fetch(true))), Err(ErrorCode::UnstableOffsetCommit));
        assert_eq!(offset_of(&rig.ask(fetch(false))), Ok(5));
        rig.marker(commits);
        let asked = rig.send(fetch(true));
        assert_eq!((rig.answer(asked), rig.offset_notes()), (None, Vec::new()));
        rig.commit();
        assert_eq!(rig.answer(asked).as_ref().map(offset_of), Some(Ok(expected)));
        let notes = rig.offset_notes();
        let told: Vec<_> = notes.iter().map(|note| (note.offset.0, note.producer)).collect();
        let applied = commits.then_some((9, Some(rig::PRODUCER)));
        assert_eq!(told, Vec::from_iter(applied));
    }
}

#[test]
fn a_plain_commit_behind_a_staged_one_survives_its_marker() {
    for (defect, expected) in [(None, 6), (Some(Defect::TxnOffsetLastWins), 9)] {
        let mut rig = defect.map_or_else(Rig::new, Rig::broken);
        rig.settle(stage(nobody(), 9));
        rig.settle(commit(nobody(), 6));
        rig.marker(true);
        rig.commit();
        assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(expected));
    }
}

#[test]
fn an_unstable_offset_is_told_only_by_the_broken_rule() {
    let mut rig = Rig::broken(Defect::OffsetFetchUnstable);
    rig.settle(commit(nobody(), 5));
    rig.settle(stage(nobody(), 9));
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
}

#[test]
fn a_group_without_members_takes_anybodys_commit_and_nobodys_generation() {
    let mut rig = Rig::new();
    let stranger = Committer { generation: 3, ..nobody() };
    assert_eq!(error(&rig.ask(commit(stranger.clone(), 5))), ErrorCode::GroupIdNotFound);
    assert_eq!(error(&rig.ask(stage(stranger, 5))), ErrorCode::IllegalGeneration);
    let stranger = Committer { generation: 3, member: "x".into(), ..nobody() };
    rig.settle(commit(nobody(), 5));
    assert_eq!(error(&rig.ask(commit(stranger, 6))), ErrorCode::UnknownMemberId);
}

#[test]
fn deleted_offsets_are_gone_and_the_group_with_them() {
    let mut rig = Rig::new();
    let delete = |topic: TopicName| {
        let partitions = alloc::vec![(topic, 0)];
        Request::OffsetDelete(OffsetDeleteRequest { group: GROUP.into(), partitions })
    };
    assert_eq!(error(&rig.ask(delete("orders".into()))), ErrorCode::GroupIdNotFound);
    rig.settle(commit(nobody(), 5));
    assert_eq!(error(&rig.ask(delete("payments".into()))), ErrorCode::None);
    assert_eq!(error(&rig.ask(delete("nowhere".into()))), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(error(&rig.settle(delete("orders".into()))), ErrorCode::None);
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
    assert_eq!(rig.offset_notes().last().map(|note| note.offset), Some(Offset::NONE));
    assert_eq!(error(&rig.ask(delete("orders".into()))), ErrorCode::GroupIdNotFound);
}

#[test]
fn old_offsets_expire_but_those_of_an_open_transaction_do_not() {
    let mut rig = Rig::new();
    rig.config.offsets_retention_minutes = 60;
    rig.settle(commit(nobody(), 5));
    rig.settle(stage(nobody(), 9));
    rig.live(Duration::from_secs(2 * 3_600));
    assert_eq!(offset_of(&rig.ask(fetch(false))), Ok(5));
    rig.marker(false);
    rig.commit();
    rig.live(Duration::from_secs(3_600));
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
    rig.fail_over();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
}

/// `orders` is deleted, and perhaps made again.
fn reborn(rig: &mut Rig, again: bool) {
    let image = Arc::make_mut(&mut rig.image);
    image.topics.remove(&rig::topic_id(1));
    image.names.remove("orders");
    if again {
        rig::topic(image, "orders", 7, 4);
    }
}

#[test]
fn offsets_of_a_deleted_topic_are_removed_with_what_is_staged_for_it() {
    for again in [false, true] {
        let mut rig = Rig::new();
        rig.settle(commit(nobody(), 5));
        rig.settle(stage(nobody(), 9));
        rig.events.clear();
        reborn(&mut rig, again);
        rig.topics_deleted();
        rig.commit();
        let told: Vec<_> = rig.offset_notes().iter().map(|note| note.offset).collect();
        assert_eq!(told, [Offset::NONE]);
        rig.marker(true);
        rig.commit();
        assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
        let answer = rig.settle(commit(nobody(), 3));
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(error(&answer), if again { ErrorCode::None } else { unknown });
        assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(if again { 3 } else { -1 }));
        let end = rig.log.end;
        rig.topics_deleted();
        assert_eq!(rig.log.end, end, "nothing is left to remove");
    }
}

#[test]
fn a_topic_that_was_deleted_while_nobody_led_leaves_no_offsets_to_the_next() {
    for again in [false, true] {
        let mut rig = Rig::new();
        rig.settle(commit(nobody(), 5));
        reborn(&mut rig, again);
        rig.fail_over();
        rig.commit();
        assert_eq!(rig.offset_notes().last().map(|note| note.offset), Some(Offset::NONE));
        assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
    }
}

#[test]
fn offsets_of_a_deleted_topic_are_not_told_though_the_log_refuses_their_removal() {
    let mut rig = Rig::new();
    rig.settle(commit(nobody(), 5));
    reborn(&mut rig, true);
    rig.log.refuses = Some(ErrorCode::NotEnoughReplicas);
    rig.topics_deleted();
    assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(-1));
    rig.log.refuses = None;
    rig.live(rig.config.offsets_retention_check_interval + Duration::from_secs(1));
    assert_eq!(rig.offset_notes().last().map(|note| note.offset), Some(Offset::NONE));
}

#[test]
fn members_keep_the_offsets_of_topics_that_they_want_and_no_others() {
    for is_classic in [true, false] {
        let mut rig = Rig::new();
        rig.config.offsets_retention_minutes = 60;
        let (id, sign): (Arc<str>, _) = if is_classic {
            let id = classic::settle_in(&mut rig, 1).remove(0);
            (id.clone(), classic::heartbeat(&id, 1))
        } else {
            consumer::beat(&mut rig, consumer::joins("a"));
            ("a".into(), Request::ConsumerGroupHeartbeat(consumer::quiet("a", 1)))
        };
        let payments = || TopicRef::Name("payments".into());
        let partitions =
            alloc::vec![orders(5), CommittedPartition { topic: payments(), ..orders(7) }];
        let request = OffsetCommitRequest { committer: member(&id, 1), partitions };
        rig.settle(Request::OffsetCommit(request));
        for _ in 0..2 * 3_600 / 5 {
            rig.live(Duration::from_secs(5));
            rig.send(sign.clone());
        }
        assert_eq!(offset_of(&rig.ask(fetch(true))), Ok(5));
        let partitions = Some(alloc::vec![(payments(), 0)]);
        let group = OffsetFetchGroup { group: GROUP.into(), member: None, partitions };
        let groups = alloc::vec![group];
        let request = OffsetFetchRequest { groups, require_stable: true };
        assert_eq!(offset_of(&rig.ask(Request::OffsetFetch(request))), Ok(-1));
    }
}

#[test]
fn metadata_of_a_commit_is_as_long_as_the_limit_and_no_longer() {
    let mut rig = Rig::new();
    for (length, expected) in [(4_096, ErrorCode::None), (4_097, ErrorCode::OffsetMetadataTooLarge)]
    {
        let metadata = Some("x".repeat(length).into());
        let partitions = alloc::vec![CommittedPartition { metadata, ..orders(5) }];
        let asked = OffsetCommitRequest { committer: nobody(), partitions };
        assert_eq!(error(&rig.settle(Request::OffsetCommit(asked))), expected, "{length}");
    }
}
