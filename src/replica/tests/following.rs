//! What a follower asks for, appends and cuts.

use super::*;
use crate::ids::{LogPoint, TopicRef};

fn point(epoch: i32, offset: i64) -> LogPoint {
    LogPoint { epoch: LeaderEpoch(epoch), offset: Offset(offset) }
}

#[test]
fn it_asks_from_its_log_end_with_its_last_epoch() {
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    assert_eq!(b1.ask(&world), None, "a leader fetches nothing");
    b1.put(&world, "a");
    b2.pull(&world, &mut b1);
    assert_eq!(
        b2.ask(&world),
        Some(FetchPartition {
            topic: TopicRef::Id(ID.topic),
            partition: 0,
            current_leader_epoch: LeaderEpoch(1),
            fetch_offset: Offset(1),
            last_fetched_epoch: LeaderEpoch(1),
            log_start_offset: Offset(0),
            max_bytes: world.config.replica_fetch_max_bytes,
        })
    );
}

#[test]
fn its_high_watermark_is_the_leaders_but_not_above_its_own_end() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.put(&world, "a");
    let ask = b2.ask(&world).unwrap();
    let mut answer = b1.serve(&world, (b2.node, b2.epoch), &ask);
    answer.high_watermark = Offset(7);
    assert_eq!(b2.take(&world, &ask, &answer), Fetched::Progress);
    assert_eq!((b2.leo(), b2.hw()), (1, 1));
    // It may fall: the leader's own may have been stale when it began.
    let ask = b2.ask(&world).unwrap();
    let answer = b1.serve(&world, (b2.node, b2.epoch), &ask);
    assert_eq!(b2.take(&world, &ask, &answer), Fetched::Idle);
    assert_eq!(b2.hw(), 0);
    b3.catch_up(&world, &mut b1);
    b2.catch_up(&world, &mut b1);
    assert_eq!((b1.hw(), b2.hw()), (1, 1));
}

#[test]
fn an_answer_to_an_old_question_changes_nothing() {
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b1.put(&world, "a");
    let ask = b2.ask(&world).unwrap();
    let answer = b1.serve(&world, (b2.node, b2.epoch), &ask);
    assert_eq!(b2.take(&world, &ask, &answer), Fetched::Progress);
    assert_eq!(b2.take(&world, &ask, &answer), Fetched::Stale, "the log has moved on");
    let ask = b2.ask(&world).unwrap();
    let answer = b1.serve(&world, (b2.node, b2.epoch), &ask);
    b2.apply(&world, &partition(1, 2, &[1, 2, 3]));
    assert_eq!(b2.take(&world, &ask, &answer), Fetched::Stale, "so has the epoch");
}

#[test]
fn an_answer_that_comes_twice_does_not_cut_a_log_that_grew_back() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    b1.put(&world, "x");
    b3.pull(&world, &mut b1);
    b2.apply(&world, &partition(2, 2, &[1, 2, 3]));
    b2.put(&world, "y");
    b3.apply(&world, &partition(2, 2, &[1, 2, 3]));
    let ask = b3.ask(&world).unwrap();
    let answer = b2.serve(&world, (b3.node, b3.epoch), &ask);
    assert_eq!(b3.take(&world, &ask, &answer), Fetched::Truncated);
    b3.catch_up(&world, &mut b2);
    assert_eq!(b3.ask(&world).unwrap().fetch_offset, ask.fetch_offset);
    assert_eq!(b3.take(&world, &ask, &answer), Fetched::Stale);
    assert_eq!(b3.values(), b2.values());
}

#[test]
fn a_follower_that_led_without_commit_cuts_what_it_alone_has() {
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b1.put(&world, "lost 1");
    b1.put(&world, "lost 2");
    b2.apply(&world, &partition(2, 2, &[1, 2, 3]));
    b2.put(&world, "b");
    b1.apply(&world, &partition(2, 2, &[1, 2, 3]));
    let ask = b1.ask(&world).unwrap();
    let answer = b2.serve(&world, (b1.node, b1.epoch), &ask);
    assert_eq!(answer.diverging, Some(point(1, 1)));
    assert_eq!(answer.records, Records::EMPTY);
    assert_eq!(b1.take(&world, &ask, &answer), Fetched::Truncated);
    b1.catch_up(&world, &mut b2);
    assert_eq!(b1.values(), b2.values());
    assert_eq!(b1.values(), [(1, "a".into()), (2, "b".into())]);
}

#[test]
fn an_epoch_that_the_leader_never_had_is_cut_epoch_by_epoch() {
    // KIP-279: 1 leads e1, 2 leads e2, 1 leads e3 with a tail of e1 that 2 lacks.
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b1.put(&world, "x");
    b2.apply(&world, &partition(2, 2, &[1, 2, 3]));
    b2.put(&world, "y");
    b1.apply(&world, &partition(1, 3, &[1, 2, 3]));
    b1.put(&world, "z");
    b2.apply(&world, &partition(1, 3, &[1, 2, 3]));
    b2.catch_up(&world, &mut b1);
    assert_eq!(b2.values(), b1.values());
    assert_eq!(b1.values(), [(1, "a".into()), (1, "x".into()), (3, "z".into())]);
}

#[test]
fn an_epoch_without_a_record_does_not_stop_it() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b2.apply(&world, &partition(2, 2, &[1, 2, 3]));
    // 2 leads, appends nothing, and 1 comes back without having heard of it.
    b1.apply(&world, &partition(1, 3, &[1, 2, 3]));
    b2.apply(&world, &partition(1, 3, &[1, 2, 3]));
    b3.apply(&world, &partition(1, 3, &[1, 2, 3]));
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    assert_eq!((b1.hw(), b2.values()), (1, b1.values()));
}

#[test]
fn where_to_cut_is_the_end_of_the_epoch_that_both_know() {
    // The follower's epochs: 1 from 0, 3 from 4, 5 from 6; it ends at 8.
    let world = World::new(1);
    let mut host = world.host(1);
    for (epoch, until) in [(1, 4), (3, 6), (5, 8)] {
        host.apply(&world, &partition(1, epoch, &[1]));
        while host.leo() < until {
            host.put(&world, "v");
        }
    }
    let table = [
        // The leader's answer, and where that cuts.
        (point(5, 7), 7),
        (point(5, 9), 8),
        (point(4, 7), 6),
        (point(3, 5), 5),
        (point(3, 9), 6),
        (point(2, 3), 4),
        (point(1, 2), 2),
        (point(0, 3), 0),
    ];
    for (answer, cut) in table {
        let at = follower::truncation_point(host.replica.log(), answer);
        assert_eq!(at, Offset(cut), "{answer:?}");
    }
}

#[test]
fn damaged_records_are_not_appended_and_asked_for_again_later() {
    let mut world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b1.put(&world, "a");
    b1.put(&world, "b");
    let ask = b2.ask(&world).unwrap();
    let mut answer = b1.serve(&world, (b2.node, b2.epoch), &ask);
    let Records::Inline(chunks) = &mut answer.records else { panic!("inline") };
    let mut damaged = chunks[1].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    chunks[1] = Bytes::from(damaged);
    assert_eq!(b2.take(&world, &ask, &answer), Fetched::BackOff(ErrorCode::CorruptMessage));
    assert_eq!((b2.leo(), b2.ask(&world)), (1, None));
    world.now.mono = b2.replica.deadline().unwrap();
    b2.replica.take_changes();
    b2.tick(&world);
    assert!(b2.replica.take_changes().fetch);
    assert_eq!(b2.replica.deadline(), None);
    b2.catch_up(&world, &mut b1);
    assert_eq!(b2.values(), b1.values());
}

#[test]
fn a_batch_of_an_impossible_epoch_is_not_appended() {
    let world = World::new(1);
    let [mut b1, b2, _] = world.cluster();
    b1.put(&world, "a");
    let ask = b2.ask(&world).unwrap();
    for epoch in [0, 2, -1] {
        let mut answer = b1.serve(&world, (b2.node, b2.epoch), &ask);
        let Records::Inline(chunks) = &mut answer.records else { panic!("inline") };
        chunks[0] = crate::record::stamp(&chunks[0], Offset(0), LeaderEpoch(epoch));
        let mut copy = b2.clone();
        let fetched = copy.take(&world, &ask, &answer);
        if epoch == 0 {
            assert_eq!(fetched, Fetched::Progress, "an older epoch may well come first");
        } else {
            assert!(matches!(fetched, Fetched::BackOff(_)));
            assert_eq!(copy.leo(), 0);
        }
    }
}

#[test]
fn an_error_backs_off() {
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b2.apply(&world, &partition(1, 2, &[1, 2, 3]));
    assert_eq!(b2.pull(&world, &mut b1), Fetched::BackOff(ErrorCode::UnknownLeaderEpoch));
    assert_eq!(b2.ask(&world), None);
    assert_eq!(b2.replica.deadline(), Some(world.now.mono + Duration::from_secs(1)));
    // A new epoch has no part in it.
    b2.apply(&world, &partition(1, 3, &[1, 2, 3]));
    let ask = b2.ask(&world).expect("at once");
    let ctx = b2.ctx(&world);
    b2.replica.fetch_failed(&ctx, &ask);
    assert_eq!(b2.ask(&world), None);
}

#[test]
fn a_follower_left_behind_by_deletions_begins_again_at_the_leaders_start() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    for value in ["a", "b", "c"] {
        b1.put(&world, value);
    }
    b2.catch_up(&world, &mut b1);
    let mut image = partition(1, 1, &[1, 2]);
    image.partition_epoch = PartitionEpoch(11);
    b1.apply(&world, &image);
    let mut out = Effects::new();
    assert_eq!(b1.replica.delete_records(Offset(2), &mut out), Ok(Offset(2)));
    assert_eq!(b3.pull(&world, &mut b1), Fetched::Truncated);
    assert_eq!((b3.leo(), b3.hw()), (2, 2));
    b3.catch_up(&world, &mut b1);
    assert_eq!((b3.leo(), b3.hw()), (3, 3));
    // One that was not behind trims.
    b2.catch_up(&world, &mut b1);
    assert_eq!(b2.replica.log().start_offset(), Offset(2));
}

#[test]
fn an_empty_log_that_begins_above_its_leaders_end_begins_again_there() {
    // KIP-106: after an unclean election the leader may have less than was deleted elsewhere.
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b1.put(&world, "a");
    b2.replica.reset(Offset(9), &mut Effects::new());
    assert_eq!(b2.pull(&world, &mut b1), Fetched::Truncated);
    b2.catch_up(&world, &mut b1);
    assert_eq!((b2.leo(), b2.replica.log().start_offset()), (1, Offset(1)));
}
