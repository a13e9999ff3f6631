//! Proposals of a leader, and what answers make of them.

use super::*;

/// Broker 1 leads, 2 is in the ISR with it, 3 is not; all logs hold one record.
fn without_3(world: &World) -> [Host; 3] {
    let [mut b1, mut b2, b3] = world.cluster();
    let mut image = partition(1, 1, &[1, 2]);
    image.partition_epoch = PartitionEpoch(11);
    b1.apply(world, &image);
    b1.put(world, "a");
    b2.catch_up(world, &mut b1);
    assert_eq!(b1.hw(), 1);
    b1.replica.take_changes();
    [b1, b2, b3]
}

#[test]
fn a_follower_that_caught_up_is_proposed_with_the_incarnation_that_fetched() {
    let world = World::new(1);
    let [mut b1, _, mut b3] = without_3(&world);
    b3.pull(&world, &mut b1);
    assert_eq!(b1.proposal(&world), None, "it holds nothing yet");
    b3.pull(&world, &mut b1);
    assert!(b1.replica.take_changes().proposal);
    let expected = AlterPartition {
        partition: ID,
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(11),
        new_isr: [(1, 10), (2, 20), (3, 30)]
            .map(|(node, epoch)| (NodeId(node), BrokerEpoch(epoch)))
            .to_vec(),
        recovery: LeaderRecovery::Recovered,
    };
    let sent = b1.proposal(&world);
    assert_eq!(sent, Some(expected));
    assert_eq!(b1.proposal(&world), None, "one in flight");
    assert_eq!(b1.isr(), (nodes(&[1, 2]), nodes(&[1, 2, 3])));
    b1.answer(&world, &sent.unwrap(), ErrorCode::None);
    assert_eq!(b1.isr(), (nodes(&[1, 2, 3]), nodes(&[1, 2, 3])));
    assert_eq!(b1.replica.partition_epoch(), PartitionEpoch(12));
}

#[test]
fn while_a_join_is_pending_the_joiner_counts() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = without_3(&world);
    b3.catch_up(&world, &mut b1);
    let mut world = world;
    world.pass(100);
    b1.put(&world, "b");
    b2.catch_up(&world, &mut b1);
    assert_eq!(b1.hw(), 1, "3 may be in the ISR by now, however late it is");
}

#[test]
fn who_is_fenced_shutting_down_or_gone_is_not_proposed() {
    let cases: [fn(&mut World); 3] = [
        |world| world.broker(3).fenced = true,
        |world| world.broker(3).in_controlled_shutdown = true,
        |world| drop(world.image.brokers.remove(&NodeId(3))),
    ];
    for change in cases {
        let mut world = World::new(1);
        let [mut b1, _, mut b3] = without_3(&world);
        b3.pull(&world, &mut b1);
        change(&mut world);
        let ask = b3.ask(&world).unwrap();
        b1.serve(&world, (b3.node, b3.epoch), &ask);
        assert_eq!(b1.proposal(&world), None);
    }
}

#[test]
fn an_incarnation_that_the_metadata_does_not_know_is_not_proposed() {
    let world = World::new(1);
    let [mut b1, _, mut b3] = without_3(&world);
    b3.epoch = BrokerEpoch(31);
    b3.pull(&world, &mut b1);
    let ask =
        b3.replica.fetch_request(&Context { broker_epoch: BrokerEpoch(31), ..b3.ctx(&world) });
    b1.serve(&world, (b3.node, b3.epoch), &ask.unwrap());
    assert_eq!(b1.proposal(&world), None);
}

#[test]
fn a_new_leader_lets_nobody_in_below_the_offset_at_which_it_began() {
    let world = World::new(1);
    let [mut b1, mut b2, _] = without_3(&world);
    b2.pull(&world, &mut b1);
    b2.apply(&world, &partition(2, 2, &[2]));
    assert_eq!((b2.replica.epoch_start(), b2.hw()), (Some(Offset(1)), 1));
    let mut b3 = world.host(3);
    b3.apply(&world, &partition(2, 2, &[2]));
    // Its high watermark may be stale: take it away.
    b2.replica = Replica::recover(ID, b2.replica.log().clone(), None);
    b2.apply(&world, &partition(2, 3, &[2, 1]));
    b3.apply(&world, &partition(2, 3, &[2, 1]));
    assert_eq!((b2.replica.epoch_start(), b2.hw()), (Some(Offset(1)), 0));
    b3.pull(&world, &mut b2);
    assert_eq!(b2.proposal(&world), None, "3 holds nothing, the high watermark is 0");
    b3.pull(&world, &mut b2);
    assert!(b2.proposal(&world).is_some());
}

#[test]
fn a_follower_that_stays_behind_is_proposed_to_leave_and_counts_until_then() {
    let mut world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    world.pass(29);
    b1.tick(&world);
    assert_eq!(b1.proposal(&world), None);
    world.pass(16);
    assert!(b1.replica.deadline() <= Some(world.now.mono));
    b1.tick(&world);
    assert!(b1.replica.deadline() > Some(world.now.mono));
    let sent = b1.proposal(&world).unwrap();
    let members: Vec<NodeId> = sent.new_isr.iter().map(|(node, _)| *node).collect();
    assert_eq!(members, nodes(&[1, 2]));
    assert_eq!(b1.isr(), (nodes(&[1, 2, 3]), nodes(&[1, 2, 3])));
    assert_eq!(b1.hw(), 0, "3 is in the ISR until the controller says otherwise");
    b1.answer(&world, &sent, ErrorCode::None);
    assert_eq!((b1.hw(), b1.isr().0), (1, nodes(&[1, 2])));
}

#[test]
fn who_holds_everything_never_leaves_however_silent() {
    let mut world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    world.pass(1_000);
    b1.tick(&world);
    assert_eq!(b1.proposal(&world), None);
}

/// A leader with a proposal to take 3 in, sent.
fn joining(world: &World) -> (Host, Host, AlterPartition) {
    let [mut b1, _, mut b3] = without_3(world);
    b3.catch_up(world, &mut b1);
    let sent = b1.proposal(world).unwrap();
    (b1, b3, sent)
}

#[test]
fn a_refusal_rolls_back_and_the_next_fetch_tries_again() {
    for error in [ErrorCode::IneligibleReplica, ErrorCode::OperationNotAttempted] {
        let world = World::new(1);
        let (mut b1, mut b3, sent) = joining(&world);
        b1.answer(&world, &sent, error);
        assert_eq!(b1.isr(), (nodes(&[1, 2]), nodes(&[1, 2])));
        assert_eq!(b1.proposal(&world), None);
        b3.catch_up(&world, &mut b1);
        assert_eq!(b1.proposal(&world), Some(sent));
    }
}

#[test]
fn newer_metadata_is_waited_for_and_settles_it() {
    for error in [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::InvalidUpdateVersion,
        ErrorCode::InvalidRequest,
        ErrorCode::NewLeaderElected,
    ] {
        let mut world = World::new(1);
        let (mut b1, mut b3, sent) = joining(&world);
        b1.answer(&world, &sent, error);
        world.pass(5);
        b1.tick(&world);
        b3.catch_up(&world, &mut b1);
        assert_eq!(b1.proposal(&world), None, "{error}: no other proposal");
        assert_eq!(b1.isr().1, nodes(&[1, 2, 3]), "{error}: it may have been applied");
        let mut image = partition(1, 1, &[1, 2]);
        image.partition_epoch = PartitionEpoch(12);
        b1.apply(&world, &image);
        assert_eq!(b1.isr().1, nodes(&[1, 2]));
    }
}

#[test]
fn other_errors_and_silence_send_the_same_again_after_a_rest() {
    for error in [
        ErrorCode::NotController,
        ErrorCode::StaleBrokerEpoch,
        ErrorCode::NetworkException,
        ErrorCode::UnknownServerError,
    ] {
        let mut world = World::new(1);
        let (mut b1, _, sent) = joining(&world);
        b1.answer_with(&world, &sent, Err(error));
        assert_eq!(b1.proposal(&world), None);
        b1.replica.take_changes();
        let deadline = b1.replica.deadline().unwrap();
        assert_eq!(deadline, world.now.mono + Duration::from_millis(50));
        world.now.mono = deadline;
        b1.tick(&world);
        assert!(b1.replica.take_changes().proposal);
        assert!(b1.replica.deadline() > Some(world.now.mono), "no wake without end");
        assert_eq!(b1.proposal(&world), Some(sent));
    }
}

#[test]
fn an_answer_to_what_metadata_has_settled_is_ignored() {
    let world = World::new(1);
    let (mut b1, _, sent) = joining(&world);
    let mut image = partition(1, 1, &[1, 2]);
    image.partition_epoch = PartitionEpoch(15);
    b1.apply(&world, &image);
    b1.answer(&world, &sent, ErrorCode::None);
    assert_eq!(b1.isr(), (nodes(&[1, 2]), nodes(&[1, 2])));
    assert_eq!(b1.replica.partition_epoch(), PartitionEpoch(15));
}

#[test]
fn the_image_of_an_answer_that_came_first_leaves_the_next_proposal_pending() {
    let mut world = World::new(1);
    let (mut b1, mut b3, sent) = joining(&world);
    b1.answer(&world, &sent, ErrorCode::None);
    // 2 falls behind.
    b1.put(&world, "b");
    b3.catch_up(&world, &mut b1);
    world.pass(60);
    b3.catch_up(&world, &mut b1);
    b1.tick(&world);
    let second = b1.proposal(&world).unwrap();
    assert_eq!(second.partition_epoch, PartitionEpoch(12));
    // The metadata is as far as the first answer.
    let mut image = partition(1, 1, &[1, 2, 3]);
    image.partition_epoch = PartitionEpoch(12);
    b1.apply(&world, &image);
    b1.answer(&world, &second, ErrorCode::None);
    assert_eq!(b1.isr().0, nodes(&[1, 3]));
}
