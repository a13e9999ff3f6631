//! What readers are answered.

use super::*;
use crate::ids::{LogPoint, TopicRef};
use crate::message::LogRange;
use crate::message::offsets::{EpochPartition, ListOffsetsPartition, OffsetSpec};

fn from(offset: i64) -> FetchPartition {
    FetchPartition {
        topic: TopicRef::Id(ID.topic),
        partition: 0,
        current_leader_epoch: LeaderEpoch::NONE,
        fetch_offset: Offset(offset),
        last_fetched_epoch: LeaderEpoch::NONE,
        log_start_offset: Offset::NONE,
        max_bytes: 1 << 20,
    }
}

/// A leader with two records of which one is committed.
fn half_committed(world: &World) -> [Host; 3] {
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.put(world, "a");
    b2.catch_up(world, &mut b1);
    b3.catch_up(world, &mut b1);
    b1.put(world, "b");
    assert_eq!((b1.hw(), b1.leo()), (1, 2));
    [b1, b2, b3]
}

#[test]
fn a_consumer_reads_up_to_the_high_watermark() {
    let world = World::new(1);
    let [b1, b2, _] = half_committed(&world);
    let ctx = b1.ctx(&world);
    let answer = b1.replica.read(&ctx, &from(0), CONSUMER, BUDGET);
    let bytes = u32::try_from(b1.batches[0].len()).unwrap();
    assert_eq!(
        answer.records,
        Records::Stored(LogRange { log: LogId(1), from: Offset(0), to: Offset(1), bytes })
    );
    assert_eq!((answer.high_watermark, answer.last_stable_offset), (Offset(1), Offset(1)));
    for offset in [1, 2] {
        let answer = b1.replica.read(&ctx, &from(offset), CONSUMER, BUDGET);
        assert_eq!((answer.error, answer.records), (ErrorCode::None, Records::EMPTY));
    }
    let beyond = b1.replica.read(&ctx, &from(3), CONSUMER, BUDGET);
    assert_eq!(beyond.error, ErrorCode::OffsetOutOfRange);
    assert_eq!(beyond.diverging, None);
    let elsewhere = b2.replica.read(&b2.ctx(&world), &from(0), CONSUMER, BUDGET);
    assert_eq!(elsewhere.error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(elsewhere.current_leader, Some((NodeId(1), LeaderEpoch(1))));
}

#[test]
fn a_fetch_that_waited_leaves_no_trace_of_its_follower() {
    let world = World::new(1);
    let [mut b1, b2, _] = half_committed(&world);
    let ask = FetchPartition { fetch_offset: Offset(2), ..b2.ask(&world).unwrap() };
    let before = alloc::format!("{:?}", b1.replica);
    let reader = Reader::Replica(b2.node, b2.epoch);
    let answer = b1.replica.read(&b1.ctx(&world), &ask, reader, BUDGET);
    assert_eq!((answer.error, answer.high_watermark), (ErrorCode::None, Offset(1)));
    assert_eq!(alloc::format!("{:?}", b1.replica), before);
    b1.serve_to(&world, reader, &ask);
    assert_ne!(alloc::format!("{:?}", b1.replica), before);
}

#[test]
fn readers_of_another_epoch_are_fenced() {
    let world = World::new(1);
    let [mut b1, b2, _] = half_committed(&world);
    b1.apply(&world, &partition(1, 2, &[1, 2, 3]));
    let table = [
        (0, ErrorCode::FencedLeaderEpoch),
        (1, ErrorCode::FencedLeaderEpoch),
        (2, ErrorCode::None),
        (3, ErrorCode::UnknownLeaderEpoch),
        (-1, ErrorCode::None),
    ];
    for (epoch, error) in table {
        let current_leader_epoch = LeaderEpoch(epoch);
        let ask = FetchPartition { current_leader_epoch, ..from(0) };
        for reader in [CONSUMER, Reader::Replica(b2.node, b2.epoch)] {
            assert_eq!(b1.serve_to(&world, reader, &ask).error, error, "{epoch}");
        }
        let spec = OffsetSpec::Earliest;
        let topic = TopicRef::Id(ID.topic);
        let list =
            ListOffsetsPartition { topic: topic.clone(), partition: 0, current_leader_epoch, spec };
        assert_eq!(
            b1.replica.list_offset(&list, Isolation::ReadUncommitted, Offset::ZERO).error,
            error
        );
        let leader_epoch = LeaderEpoch(1);
        let end = EpochPartition { topic, partition: 0, current_leader_epoch, leader_epoch };
        assert_eq!(b1.replica.epoch_end(&b1.ctx(&world), &end).error, error);
    }
}

#[test]
fn a_stranger_is_no_follower() {
    let world = World::new(1);
    let [mut b1, b2, _] = half_committed(&world);
    let stranger = (NodeId(9), BrokerEpoch(90));
    let ask = b2.ask(&world).unwrap();
    assert_eq!(b1.serve(&world, stranger, &ask).error, ErrorCode::UnknownLeaderEpoch);
    assert_eq!(b1.serve(&world, stranger, &from(0)).error, ErrorCode::NotLeaderOrFollower);
}

#[test]
fn a_position_that_parts_is_told_where_and_counts_for_nothing() {
    let world = World::new(1);
    let [mut b1, b2, b3] = half_committed(&world);
    b1.apply(&world, &partition(1, 3, &[1, 2, 3]));
    b1.put(&world, "c");
    let ask = |last: i32, offset: i64| FetchPartition {
        current_leader_epoch: LeaderEpoch(3),
        last_fetched_epoch: LeaderEpoch(last),
        ..from(offset)
    };
    let table = [
        // Last epoch and offset of the fetcher, and what it is told.
        (1, 1, None),
        (1, 2, None),
        (1, 3, Some((1, 2))),
        (2, 2, Some((1, 2))),
        (2, 9, Some((1, 2))),
        (3, 3, None),
        (3, 4, Some((3, 3))),
        (0, 0, None),
        (0, 1, Some((0, 0))),
    ];
    for (last, offset, told) in table {
        let mut leader = b1.clone();
        let mut all_in_sync = ask(3, 3);
        all_in_sync.current_leader_epoch = LeaderEpoch(3);
        leader.serve(&world, (b3.node, b3.epoch), &all_in_sync);
        let answer = leader.serve(&world, (b2.node, b2.epoch), &ask(last, offset));
        let told = told
            .map(|(epoch, offset)| LogPoint { epoch: LeaderEpoch(epoch), offset: Offset(offset) });
        assert_eq!((answer.error, answer.diverging), (ErrorCode::None, told));
        let hw = if told.is_some() { 1 } else { offset.max(1) };
        assert_eq!(leader.hw(), hw, "{last} {offset}");
    }
}

#[test]
fn a_new_leader_does_not_tell_the_end_before_it_knows_it() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = half_committed(&world);
    b1.apply(&world, &partition(1, 2, &[1, 2, 3]));
    let spec = |spec| ListOffsetsPartition {
        topic: TopicRef::Id(ID.topic),
        partition: 0,
        current_leader_epoch: LeaderEpoch(2),
        spec,
    };
    let ask = |host: &Host, what| {
        let listed =
            host.replica.list_offset(&spec(what), Isolation::ReadUncommitted, Offset::ZERO);
        (listed.error, listed.offset.0, listed.leader_epoch.0)
    };
    assert_eq!(ask(&b1, OffsetSpec::Latest), (ErrorCode::OffsetNotAvailable, -1, -1));
    assert_eq!(ask(&b1, OffsetSpec::Earliest), (ErrorCode::None, 0, 1));
    assert_eq!(ask(&b1, OffsetSpec::At(Timestamp(5))), (ErrorCode::None, 0, 1));
    assert_eq!(ask(&b1, OffsetSpec::At(Timestamp(6))), (ErrorCode::None, -1, -1));
    for follower in [&mut b2, &mut b3] {
        follower.apply(&world, &partition(1, 2, &[1, 2, 3]));
        follower.catch_up(&world, &mut b1);
    }
    assert_eq!(ask(&b1, OffsetSpec::Latest), (ErrorCode::None, 2, 2));
    assert_eq!(ask(&b1, OffsetSpec::MaxTimestamp), (ErrorCode::None, 0, 1));
}

#[test]
fn the_end_of_an_epoch_is_where_the_next_one_began() {
    let world = World::new(1);
    let [mut b1, ..] = half_committed(&world);
    b1.apply(&world, &partition(1, 4, &[1, 2, 3]));
    b1.put(&world, "c");
    for (asked, epoch, end) in [(0, 0, 0), (1, 1, 2), (3, 1, 2), (4, 4, 3), (9, 4, 3)] {
        let ask = EpochPartition {
            topic: TopicRef::Id(ID.topic),
            partition: 0,
            current_leader_epoch: LeaderEpoch(4),
            leader_epoch: LeaderEpoch(asked),
        };
        let answer = b1.replica.epoch_end(&b1.ctx(&world), &ask);
        assert_eq!((answer.leader_epoch, answer.end_offset), (LeaderEpoch(epoch), Offset(end)));
    }
}

#[test]
fn records_are_deleted_below_the_high_watermark_and_gone_when_all_alive_dropped_them() {
    let mut world = World::new(1);
    let [mut b1, mut b2, b3] = half_committed(&world);
    let mut out = Effects::new();
    assert_eq!(b1.replica.delete_records(Offset(2), &mut out), Err(ErrorCode::OffsetOutOfRange));
    assert_eq!(b2.replica.delete_records(Offset(0), &mut out), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(b1.replica.delete_records(Offset::NONE, &mut out), Ok(Offset(1)));
    assert!(b1.replica.take_changes().start_offset);
    assert_eq!(b1.replica.low_watermark(&b1.ctx(&world)), Some(Offset(0)));
    b2.catch_up(&world, &mut b1);
    assert!(b1.replica.take_changes().start_offset);
    assert_eq!(b1.replica.low_watermark(&b1.ctx(&world)), Some(Offset(0)), "3 has it");
    world.broker(3).fenced = true;
    assert_eq!(b1.replica.low_watermark(&b1.ctx(&world)), Some(Offset(1)));
    assert_eq!(b3.replica.low_watermark(&b3.ctx(&world)), None);
}
