//! Appends, the high watermark and acknowledgements.

use super::*;

#[test]
fn only_a_leader_appends() {
    let world = World::new(1);
    let [_, mut b2, _] = world.cluster();
    assert_eq!(b2.append(&world, Acks::All, "a"), Err(ErrorCode::NotLeaderOrFollower));
    assert_eq!(b2.acked(&world, 1), Some(Err(ErrorCode::NotLeaderOrFollower)));
}

#[test]
fn a_record_is_committed_once_the_whole_isr_holds_it() {
    let world = World::new(2);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.append(&world, Acks::All, "a").unwrap();
    assert_eq!(b1.acked(&world, 1), None);
    b2.catch_up(&world, &mut b1);
    assert_eq!((b1.hw(), b1.acked(&world, 1)), (0, None));
    b3.pull(&world, &mut b1);
    assert_eq!(b1.hw(), 0, "sent to 3, not known to be there");
    b1.replica.take_changes();
    b3.pull(&world, &mut b1);
    assert_eq!((b1.hw(), b1.acked(&world, 1)), (1, Some(Ok(()))));
    assert!(b1.replica.take_changes().high_watermark);
    assert_eq!(
        b1.notes.last(),
        Some(&Event::HighWatermark {
            partition: ID,
            leader_epoch: LeaderEpoch(1),
            offset: Offset(1),
            leads: true
        })
    );
    assert_eq!(b3.hw(), 1, "the answer told");
}

#[test]
fn acks_all_is_refused_below_the_minimum_and_acks_one_is_not() {
    let world = World::new(2);
    let mut b1 = world.host(1);
    b1.apply(&world, &partition(1, 1, &[1]));
    assert_eq!(b1.append(&world, Acks::All, "a"), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(b1.leo(), 0);
    assert_eq!(b1.append(&world, Acks::Leader, "a").map(|appended| appended.base), Ok(Offset(0)));
    assert_eq!(b1.hw(), 0, "below the minimum nothing is committed");
}

#[test]
fn the_minimum_is_never_more_than_the_replicas() {
    let world = World::new(2);
    let mut b1 = world.host(1);
    let mut alone = partition(1, 1, &[1]);
    alone.replicas = [NodeId(1)].into();
    b1.apply(&world, &alone);
    b1.append(&world, Acks::All, "a").unwrap();
    assert_eq!((b1.hw(), b1.acked(&world, 1)), (1, Some(Ok(()))));
}

#[test]
fn an_isr_that_shrank_after_the_commit_is_told_at_completion() {
    let world = World::new(2);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.append(&world, Acks::All, "a").unwrap();
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    let mut image = partition(1, 1, &[1]);
    image.partition_epoch = PartitionEpoch(11);
    b1.apply(&world, &image);
    assert_eq!(b1.acked(&world, 1), Some(Err(ErrorCode::NotEnoughReplicasAfterAppend)));
    assert_eq!(b1.acked(&world, 2), None);
}

#[test]
fn a_follower_about_to_join_is_waited_for() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    let mut image = partition(1, 1, &[1, 2]);
    image.partition_epoch = PartitionEpoch(11);
    b1.apply(&world, &image);
    b1.put(&world, "a");
    // 3 is as far as the leader, but its joining is refused: it may still come.
    b3.pull(&world, &mut b1);
    b3.pull(&world, &mut b1);
    let sent = b1.proposal(&world).unwrap();
    b1.answer(&world, &sent, ErrorCode::IneligibleReplica);
    assert_eq!(b1.isr(), (nodes(&[1, 2]), nodes(&[1, 2])));
    b1.put(&world, "b");
    b2.catch_up(&world, &mut b1);
    assert_eq!(b1.hw(), 1, "3 was in sync a moment ago");
}

#[test]
fn an_early_answer_of_an_earlier_incarnation_counts_for_nothing() {
    let mut world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b3.pull(&world, &mut b1);
    let late = b3.ask(&world).unwrap();
    world.register(3, 31);
    let answer = b1.serve(&world, (NodeId(3), BrokerEpoch(30)), &late);
    assert_eq!(answer.error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(answer.current_leader, Some((NodeId(1), LeaderEpoch(1))));
    assert_eq!(b1.hw(), 0);
    // Even before the metadata tells: a newer incarnation was heard of.
    world.register(3, 30);
    let newer = FetchPartition { fetch_offset: Offset(0), ..late.clone() };
    b1.serve(&world, (NodeId(3), BrokerEpoch(31)), &newer);
    let answer = b1.serve(&world, (NodeId(3), BrokerEpoch(30)), &late);
    assert_eq!((answer.error, b1.hw()), (ErrorCode::NotLeaderOrFollower, 0));
}

#[test]
fn the_high_watermark_never_falls_at_a_leader() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    let early = b2.ask(&world).unwrap();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    assert_eq!(b1.hw(), 1);
    // A duplicate from before.
    b1.serve(&world, (b2.node, b2.epoch), &early);
    b1.put(&world, "b");
    assert_eq!(b1.hw(), 1);
}
