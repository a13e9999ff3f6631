//! What metadata makes of a replica.

use super::*;

#[test]
fn a_new_leader_opens_its_epoch_at_its_log_end_and_tells() {
    let world = World::new(1);
    let mut host = world.host(1);
    host.apply(&world, &partition(1, 4, &[1, 2]));
    assert!(host.replica.leads());
    assert_eq!(host.replica.log().last_epoch(), LeaderEpoch(4));
    assert_eq!(host.replica.epoch_start(), Some(Offset(0)));
    let view = host.replica.isr_view().unwrap();
    assert_eq!(
        host.notes,
        [
            Event::LeaderStarted { partition: ID, leader_epoch: LeaderEpoch(4), start: Offset(0) },
            Event::Isr { partition: ID, view: Arc::new(view) },
        ]
    );
    assert!(host.replica.take_changes().role);
    assert!(!host.replica.take_changes().any());
}

#[test]
fn an_image_of_the_incarnation_before_is_not_followed() {
    let mut world = World::new(1);
    let mut host = world.host(1);
    host.epoch = BrokerEpoch(50);
    host.apply(&world, &partition(1, 1, &[1, 2]));
    assert!(!host.replica.leads());
    world.register(1, 50);
    host.apply(&world, &partition(1, 1, &[1, 2]));
    assert!(host.replica.leads());
}

#[test]
fn an_older_registration_is_ignored() {
    let world = World::new(1);
    let mut host = world.host(1);
    host.apply(&world, &partition(2, 3, &[1, 2]));
    host.apply(&world, &partition(1, 2, &[1, 2]));
    assert_eq!(host.replica.follows(), Some(NodeId(2)));
    assert_eq!(host.replica.leader_epoch(), LeaderEpoch(3));
}

#[test]
fn a_change_of_the_isr_alone_keeps_the_leader_and_what_it_knows() {
    let world = World::new(1);
    let [mut b1, mut b2, _] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    assert_eq!(b1.hw(), 0, "3 has not fetched");
    let mut image = partition(1, 1, &[1, 2]);
    image.partition_epoch = PartitionEpoch(11);
    b1.apply(&world, &image);
    assert_eq!(b1.hw(), 1, "3 no longer counts, 2 has it");
    assert_eq!(b1.replica.epoch_start(), Some(Offset(0)));
}

#[test]
fn a_new_epoch_forgets_what_the_followers_held() {
    let world = World::new(1);
    let [mut b1, mut b2, mut b3] = world.cluster();
    b1.put(&world, "a");
    b2.catch_up(&world, &mut b1);
    b3.catch_up(&world, &mut b1);
    b1.put(&world, "b");
    b1.apply(&world, &partition(1, 2, &[1, 2, 3]));
    assert_eq!(b1.replica.epoch_start(), Some(Offset(2)));
    assert_eq!(b1.hw(), 1);
    b2.apply(&world, &partition(1, 2, &[1, 2, 3]));
    b2.catch_up(&world, &mut b1);
    assert_eq!(b1.hw(), 1, "3 may have less by now");
}

#[test]
fn without_a_leader_or_an_assignment_it_idles() {
    let world = World::new(1);
    let mut host = world.host(2);
    host.apply(&world, &partition(1, 1, &[1, 2]));
    assert_eq!(host.replica.follows(), Some(NodeId(1)));
    host.apply(&world, &partition(-1, 2, &[1]));
    assert_eq!((host.replica.follows(), host.replica.current_leader()), (None, None));
    assert_eq!(host.notes.last(), Some(&Event::ReplicaStopped { partition: ID }));
    let mut elsewhere = partition(1, 3, &[1]);
    elsewhere.replicas = [1, 3].map(NodeId).into();
    host.apply(&world, &elsewhere);
    assert_eq!(host.replica.follows(), None);
    assert_eq!(host.notes.len(), 2, "it had stopped before");
}

#[test]
fn a_recovered_high_watermark_stays_within_the_log() {
    let world = World::new(1);
    let [mut b1, ..] = world.cluster();
    b1.put(&world, "a");
    for (checkpoint, expected) in [(None, 0), (Some(1), 1), (Some(9), 1)] {
        let log = b1.replica.log().clone();
        let replica = Replica::recover(ID, log, checkpoint.map(Offset));
        assert_eq!(replica.high_watermark(), Offset(expected));
        replica.check();
    }
}
