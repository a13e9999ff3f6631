//! Clock faults.

use seedlog::time::Duration;

use super::peer::*;
use crate::world::{EPOCH_MS, Fault, ProcessId, Seed, World, WorldConfig};

fn sleeping() -> (World<Peer>, ProcessId) {
    let mut world = World::new(Seed(1), WorldConfig::default());
    let process = add(&mut world, "sleeper", sleeper);
    world.start(process, &mut ());
    world.run_for(millis(1), &mut ());
    (world, process)
}

/// When the process was woken by its deadline, in milliseconds of true time from the start.
fn woken_after(mut world: World<Peer>, process: ProcessId) -> Option<u128> {
    for _ in 0..5_000 {
        if world.node(process).expect("up").seen.len() > 1 {
            return Some(Duration::from_nanos(world.now().as_nanos()).as_millis());
        }
        world.run_for(millis(1), &mut ());
    }
    None
}

#[test]
fn a_deadline_is_met_by_the_clock_of_its_process() {
    let (world, process) = sleeping();
    assert_eq!(woken_after(world.clone(), process), Some(1_000));
    let mut fast = world.clone();
    fast.drift_clock(process, 1_000_000);
    assert!(woken_after(fast, process).is_some_and(|ms| (499..503).contains(&ms)));
    let mut slow = world.clone();
    slow.drift_clock(process, -500_000);
    assert!(woken_after(slow, process).is_some_and(|ms| (1_997..2_001).contains(&ms)));
    let mut frozen = world.clone();
    frozen.freeze_clock(process, true);
    assert_eq!(woken_after(frozen.clone(), process), None);
    frozen.run_for(millis(3_000), &mut ());
    frozen.freeze_clock(process, false);
    assert!(woken_after(frozen, process).is_some_and(|ms| (3_998..4_003).contains(&ms)));
}

#[test]
fn skew_and_jumps_move_the_wall_and_no_deadline() {
    let (mut world, process) = sleeping();
    world.skew_clock(process, 250);
    world.jump_clock(process, -1_000);
    assert_eq!(world.clock(process).wall.0, EPOCH_MS + 1 + 250 - 1_000);
    assert_eq!(woken_after(world.clone(), process), Some(1_000));
    world.heal_clock(process);
    assert_eq!(world.clock(process).wall.0, EPOCH_MS + 1);
}

#[test]
fn a_clock_fault_counts_when_the_process_reads_its_clocks() {
    let (mut world, process) = sleeping();
    world.skew_clock(process, 5);
    world.jump_clock(process, 5);
    world.drift_clock(process, 5);
    world.freeze_clock(process, true);
    world.freeze_clock(process, false);
    assert!(world.delivered_faults().iter().all(|(_, count)| count == 0));
    world.run_for(millis(2_000), &mut ());
    for (fault, expected) in [
        (Fault::ClockSkew, 1),
        (Fault::ClockJump, 1),
        (Fault::ClockDrift, 1),
        (Fault::ClockFreeze, 0),
    ] {
        assert_eq!(world.delivered_faults().get(fault), expected, "{fault:?}");
    }
}
