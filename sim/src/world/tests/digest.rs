//! Digests: equal where they must be, and different wherever anything differs.

use seedlog::ids::CallId;

use super::peer::*;
use crate::world::{Digest, NetworkFaults, PowerLoss, ProcessId, Ratio, Stepped, World};

/// A busy pair under faults, somewhere in the middle of its run.
fn busy(seed: u64) -> (World<Peer>, ProcessId, ProcessId) {
    let (mut world, server, client) = pair(seed);
    let half = Ratio::new(1, 2);
    world.set_network(NetworkFaults {
        loss: Ratio::new(1, 10),
        duplicate: half,
        reorder: half,
        delay: half,
        ..NetworkFaults::default()
    });
    send(&mut world, client, 1..=50);
    world.run_for(millis(20), &mut ());
    assert!(world.pending() > 10, "it stands in the middle");
    (world, server, client)
}

fn end(mut world: World<Peer>) -> Digest {
    world.run_for(millis(2_000), &mut ());
    assert_eq!(world.pending(), 0);
    world.digest()
}

#[test]
fn the_same_seed_twice_gives_the_same_digest_and_another_seed_another_one() {
    assert_eq!(end(busy(1).0), end(busy(1).0));
    assert_ne!(end(busy(1).0), end(busy(2).0));
}

#[test]
fn a_fork_runs_on_as_its_origin_does_until_they_are_treated_differently() {
    let (world, server, client) = busy(1);
    let fork = world.clone();
    assert_eq!(end(world.clone()), end(fork.clone()));
    let mut called = fork.clone();
    call(&mut called, client, CallId(51));
    let mut crashed = fork.clone();
    crashed.crash(server, &mut ());
    let mut blocked = fork.clone();
    blocked.block(server, client);
    let mut skewed = fork.clone();
    skewed.jump_clock(client, 1);
    let changed = [called, crashed, blocked, skewed].map(end);
    let mut all: Vec<Digest> = changed.into_iter().chain([end(world)]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5, "each change shows");
}

#[test]
fn the_first_event_at_which_two_runs_part_can_be_found() {
    let (mut one, _, client) = busy(1);
    let mut other = one.clone();
    other.jump_clock(client, 1);
    let mut same = one.clone();
    let mut parted = Vec::new();
    while one.pending() > 0 {
        let stepped = one.step(&mut ());
        assert_eq!(other.step(&mut ()), stepped);
        same.step(&mut ());
        assert_eq!(one.digest(), same.digest());
        if one.digest() != other.digest() {
            parted.push(stepped);
        }
    }
    assert_eq!(parted[0], Stepped::Delivered(client), "the first to read the clock that jumped");
}

#[test]
fn a_fork_writes_to_its_own_disk() {
    let (mut world, process) = disk(1, writer);
    send(&mut world, process, 1..=100);
    world.run_for(millis(1), &mut ());
    let mut fork = world.clone();
    send(&mut fork, process, 101..=110);
    fork.run_for(millis(1), &mut ());
    fork.power_loss(process, PowerLoss::KeepNothing, &mut ());
    assert_eq!(world.disk(process).batches(LOG).count(), 100);
    assert_eq!(fork.disk(process).batches(LOG).count(), 0);
}
