//! Each switch of the zoo that has its rule here, off and on.

use super::*;

/// 1 leads, 2 is in the ISR, 3 is not and holds nothing; the record is committed.
fn three_is_out(world: &World) -> [Host; 3] {
    let [mut b1, mut b2, b3] = world.cluster();
    let mut image = partition(1, 1, &[1, 2]);
    image.partition_epoch = PartitionEpoch(11);
    b1.apply(world, &image);
    b1.put(world, "a");
    b2.catch_up(world, &mut b1);
    [b1, b2, b3]
}

#[test]
fn truncate_to_hw() {
    for (on, left) in [(false, 1), (true, 0)] {
        let world = World::with(1, on, Defect::TruncateToHw);
        let [mut b1, mut b2, _] = world.cluster();
        b1.put(&world, "a");
        b2.pull(&world, &mut b1);
        assert_eq!((b2.leo(), b2.hw()), (1, 0));
        b2.apply(&world, &partition(1, 2, &[1, 2, 3]));
        assert_eq!(b2.leo(), left);
    }
}

#[test]
fn truncate_single_epoch_lookup() {
    for on in [false, true] {
        let world = World::with(1, on, Defect::TruncateSingleEpochLookup);
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
        assert_eq!(b2.leo(), 3);
        assert_eq!(b1.values() != b2.values(), on, "{:?} {:?}", b1.values(), b2.values());
    }
}

#[test]
fn skip_truncate_on_missed_epoch() {
    for on in [false, true] {
        let world = World::with(1, on, Defect::SkipTruncateOnMissedEpoch);
        let [mut b1, mut b2, mut b3] = world.cluster();
        b1.put(&world, "x");
        b2.pull(&world, &mut b1);
        // 2 hears nothing of epoch 2, in which 1 loses x.
        b3.apply(&world, &partition(3, 2, &[1, 2, 3]));
        b3.put(&world, "y");
        b1.apply(&world, &partition(3, 2, &[1, 2, 3]));
        b1.catch_up(&world, &mut b3);
        b1.apply(&world, &partition(1, 3, &[1, 2, 3]));
        b2.apply(&world, &partition(1, 3, &[1, 2, 3]));
        b1.put(&world, "z");
        b2.catch_up(&world, &mut b1);
        assert_eq!(b1.values(), [(2, "y".into()), (3, "z".into())]);
        assert_eq!(b1.values() != b2.values(), on);
    }
}

#[test]
fn unfenced_truncation_lookup() {
    for on in [false, true] {
        let world = World::with(1, on, Defect::UnfencedTruncationLookup);
        let [mut b1, mut b2, mut b3] = world.cluster();
        b1.put(&world, "t");
        for follower in [&mut b2, &mut b3] {
            follower.pull(&world, &mut b1);
            if on {
                // A lookup comes first in each epoch that knows one.
                follower.pull(&world, &mut b1);
            }
        }
        b2.replica = world.host(2).replica;
        b2.batches.clear();
        b2.apply(&world, &partition(2, 2, &[1, 2, 3]));
        b2.put(&world, "r");
        // 3 hears of epoch 3 before 1 does, and asks it while it thinks that it leads epoch 1.
        b3.apply(&world, &partition(1, 3, &[1, 2, 3]));
        let looked_up = b3.pull(&world, &mut b1);
        assert_eq!(looked_up == Fetched::Truncated, on);
        // Then 1 hears of epoch 2, and of epoch 3.
        b1.apply(&world, &partition(2, 2, &[1, 2, 3]));
        b1.catch_up(&world, &mut b2);
        b1.apply(&world, &partition(1, 3, &[1, 2, 3]));
        let mut world = world;
        world.pass(2);
        b3.catch_up(&world, &mut b1);
        assert_eq!(b1.values(), [(2, "r".into())]);
        assert_eq!(b1.values() != b3.values(), on);
    }
}

#[test]
fn isr_join_below_hw() {
    for on in [false, true] {
        let world = World::with(1, on, Defect::IsrJoinBelowHw);
        let [mut b1, _, mut b3] = three_is_out(&world);
        b3.pull(&world, &mut b1);
        assert_eq!(b1.proposal(&world).is_some(), on);
    }
}

#[test]
fn isr_join_no_leso() {
    for on in [false, true] {
        let world = World::with(1, on, Defect::IsrJoinNoLeso);
        let [_, mut b2, mut b3] = three_is_out(&world);
        // 2 leads with a high watermark that is stale.
        b2.replica = Replica::recover(ID, b2.replica.log().clone(), None);
        b2.apply(&world, &partition(2, 2, &[2]));
        b3.apply(&world, &partition(2, 2, &[2]));
        // Nothing may move it yet.
        let mut world = world;
        world.min_isr = 2;
        let mut fresh = world.host(2);
        fresh.replica.high_watermark = Offset(0);
        b2.replica.update_config(Arc::clone(&fresh.replica.log().config().topic));
        b2.replica.high_watermark = Offset(0);
        b3.pull(&world, &mut b2);
        assert_eq!(b2.proposal(&world).is_some(), on);
    }
}

#[test]
fn isr_rejoin_stale_broker_epoch() {
    for (on, epoch) in [(false, 30), (true, -1)] {
        let world = World::with(1, on, Defect::IsrRejoinStaleBrokerEpoch);
        let [mut b1, _, mut b3] = three_is_out(&world);
        b3.catch_up(&world, &mut b1);
        let sent = b1.proposal(&world).unwrap();
        assert_eq!(sent.new_isr[2], (NodeId(3), BrokerEpoch(epoch)));
    }
}

#[test]
fn isr_rejoin_fenced() {
    for on in [false, true] {
        let mut world = World::with(1, on, Defect::IsrRejoinFenced);
        let [mut b1, _, mut b3] = three_is_out(&world);
        world.broker(3).fenced = true;
        b3.catch_up(&world, &mut b1);
        assert_eq!(b1.proposal(&world).is_some(), on);
    }
}

#[test]
fn hw_optimistic_shrink() {
    for (on, hw) in [(false, 0), (true, 1)] {
        let mut world = World::with(1, on, Defect::HwOptimisticShrink);
        let [mut b1, mut b2, _] = world.cluster();
        b1.put(&world, "a");
        b2.catch_up(&world, &mut b1);
        world.pass(60);
        b1.tick(&world);
        b2.catch_up(&world, &mut b1);
        assert!(b1.proposal(&world).is_some());
        assert_eq!(b1.hw(), hw);
    }
}

#[test]
fn hw_committed_isr_on_expand() {
    for (on, hw) in [(false, 1), (true, 2)] {
        let world = World::with(1, on, Defect::HwCommittedIsrOnExpand);
        let [mut b1, mut b2, mut b3] = three_is_out(&world);
        b3.catch_up(&world, &mut b1);
        assert!(b1.proposal(&world).is_some());
        b1.put(&world, "b");
        b2.catch_up(&world, &mut b1);
        assert_eq!(b1.hw(), hw);
    }
}

#[test]
fn hw_no_follower_epoch() {
    for (on, hw) in [(false, 0), (true, 1)] {
        let world = World::with(1, on, Defect::HwNoFollowerEpoch);
        let [mut b1, mut b2, mut b3] = world.cluster();
        b1.put(&world, "a");
        b3.pull(&world, &mut b1);
        let late = b3.ask(&world).unwrap();
        b1.apply(&world, &partition(1, 3, &[1, 2, 3]));
        b2.apply(&world, &partition(1, 3, &[1, 2, 3]));
        b2.catch_up(&world, &mut b1);
        let answer = b1.serve(&world, (b3.node, b3.epoch), &late);
        assert_eq!(answer.error == ErrorCode::None, on);
        assert_eq!(b1.hw(), hw);
    }
}

#[test]
fn diverging_fetch_counts() {
    for (on, hw) in [(false, 0), (true, 1)] {
        let world = World::with(1, on, Defect::DivergingFetchCounts);
        let [mut b1, mut b2, b3] = world.cluster();
        b1.put(&world, "a");
        b2.catch_up(&world, &mut b1);
        let mut longer = b3.ask(&world).unwrap();
        (longer.fetch_offset, longer.last_fetched_epoch) = (Offset(5), LeaderEpoch(0));
        let answer = b1.serve(&world, (b3.node, b3.epoch), &longer);
        assert!(answer.diverging.is_some());
        assert_eq!(b1.hw(), hw);
    }
}

#[test]
fn hw_below_min_isr() {
    for (on, hw) in [(false, 0), (true, 1)] {
        let world = World::with(2, on, Defect::HwBelowMinIsr);
        let mut b1 = world.host(1);
        b1.apply(&world, &partition(1, 1, &[1]));
        b1.put(&world, "a");
        assert_eq!(b1.hw(), hw);
    }
}

#[test]
fn min_isr_one() {
    for on in [false, true] {
        let world = World::with(2, on, Defect::MinIsrOne);
        let mut b1 = world.host(1);
        b1.apply(&world, &partition(1, 1, &[1]));
        let appended = b1.append(&world, Acks::All, "a");
        assert_eq!(appended.err(), (!on).then_some(ErrorCode::NotEnoughReplicas));
        assert_eq!(b1.acked(&world, 1), on.then_some(Ok(())));
        assert_eq!(b1.hw(), 0, "the other defence stands");
    }
}

#[test]
fn leader_serves_before_barrier() {
    for (on, hw) in [(false, 0), (true, 1)] {
        let world = World::with(1, on, Defect::LeaderServesBeforeBarrier);
        let [mut b1, mut b2, _] = world.cluster();
        b1.put(&world, "a");
        b2.pull(&world, &mut b1);
        b2.apply(&world, &partition(2, 2, &[1, 2, 3]));
        assert_eq!(b2.hw(), hw);
    }
}
