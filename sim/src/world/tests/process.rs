//! Process faults.

use seedlog::ids::CallId;
use seedlog::machine::{Effect, Input};

use super::peer::*;
use crate::world::{Fault, Lifecycle, Observer, PowerLoss, ProcessId, World};

#[test]
fn messages_arrive_in_order_and_are_answered() {
    let (mut world, server, client) = pair(1);
    send(&mut world, client, 1..=20);
    world.run_for(millis(50), &mut ());
    assert_eq!(numbers(&world, server), (1..=20).collect::<Vec<_>>());
    assert_eq!(count(&world, client, is_response), 20);
    assert!(world.delivered_faults().iter().all(|(_, count)| count == 0));
}

#[test]
fn a_crash_closes_the_connections_and_a_restart_is_a_new_incarnation() {
    let (mut world, server, client) = pair(1);
    let first_seed = world.node(server).expect("up").seed;
    send(&mut world, client, 1..=1);
    world.step(&mut ());
    world.crash(server, &mut ());
    assert!(!world.is_up(server));
    world.start(server, &mut ());
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, client, is_closed), 1);
    call(&mut world, client, RECONNECT);
    world.run_for(millis(10), &mut ());
    call(&mut world, client, SEND_ON_NEW);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), [1_000], "the first request was sent to a dead process");
    assert_ne!(world.node(server).expect("up").seed, first_seed);
    assert_eq!(world.incarnation(server), 2);
    assert_eq!(world.delivered_faults().get(Fault::Crash), 1);
}

#[test]
fn a_process_that_is_down_takes_no_call_and_no_wake() {
    let (mut world, _, client) = pair(1);
    world.crash(client, &mut ());
    call(&mut world, client, CallId(1));
    world.run_for(millis(10), &mut ());
    assert_eq!(world.pending(), 0);
    world.crash(client, &mut ());
    assert_eq!(world.delivered_faults().get(Fault::Crash), 1, "the dead do not die again");
}

#[test]
fn a_power_loss_leaves_peers_hanging_until_they_send_to_a_machine_that_is_back() {
    let (mut world, server, client) = pair(1);
    world.power_loss(server, PowerLoss::KeepAll, &mut ());
    send(&mut world, client, 1..=1);
    world.run_for(millis(500), &mut ());
    assert_eq!(count(&world, client, is_closed), 0);
    world.start(server, &mut ());
    world.run_for(millis(500), &mut ());
    assert_eq!(count(&world, client, is_closed), 0, "an idle connection learns nothing");
    send(&mut world, client, 2..=2);
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, client, is_closed), 1);
    assert!(numbers(&world, server).is_empty());
    assert_eq!(world.delivered_faults().get(Fault::PowerLoss), 1);
}

#[test]
fn a_paused_process_finds_everything_in_order_when_it_resumes() {
    let (mut world, server, client) = pair(1);
    world.pause(server, &mut ());
    assert!(world.is_up(server) && world.is_paused(server));
    send(&mut world, client, 1..=5);
    world.run_for(millis(500), &mut ());
    assert!(numbers(&world, server).is_empty());
    let resumed = world.now();
    world.resume(server, &mut ());
    send(&mut world, client, 6..=8);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), (1..=8).collect::<Vec<_>>());
    let node = world.node(server).expect("up");
    assert_eq!(
        node.seen[1].0.mono.since(node.seen[0].0.mono),
        resumed - seedlog::time::Instant::ZERO
    );
    assert_eq!(world.delivered_faults().get(Fault::Pause), 1);
}

#[test]
fn a_pause_delays_the_deadline_and_may_begin_before_the_first_step() {
    let mut world = World::new(crate::world::Seed(1), crate::world::WorldConfig::default());
    let process = add(&mut world, "sleeper", sleeper);
    world.start(process, &mut ());
    world.pause(process, &mut ());
    world.run_for(millis(100), &mut ());
    world.resume(process, &mut ());
    world.run_for(millis(100), &mut ());
    assert_eq!(world.node(process).expect("up").seen.len(), 1);
    world.pause(process, &mut ());
    world.run_for(millis(5_000), &mut ());
    assert_eq!(world.node(process).expect("up").seen.len(), 1);
    world.resume(process, &mut ());
    world.run_for(millis(1), &mut ());
    assert_eq!(world.node(process).expect("up").seen.len(), 2);
    world.run_for(millis(60_000), &mut ());
    assert_eq!(world.node(process).expect("up").seen.len(), 2, "the far future never comes");
}

#[test]
fn a_resumed_process_may_be_paused_again_before_it_has_caught_up() {
    let (mut world, server, client) = pair(1);
    world.pause(server, &mut ());
    send(&mut world, client, 1..=5);
    world.run_for(millis(100), &mut ());
    world.resume(server, &mut ());
    world.step(&mut ());
    world.pause(server, &mut ());
    world.run_for(millis(100), &mut ());
    assert_eq!(numbers(&world, server).len(), 1);
    world.resume(server, &mut ());
    world.run_for(millis(100), &mut ());
    assert_eq!(numbers(&world, server), (1..=5).collect::<Vec<_>>());
}

#[test]
fn a_halt_stops_the_process_and_the_effects_behind_it() {
    let (mut world, process) = disk(1, writer);
    call(&mut world, process, CallId(1));
    call(&mut world, process, HALT);
    world.run_for(millis(1), &mut ());
    assert!(!world.is_up(process));
    assert_eq!(world.disk(process).batches(LOG).count(), 1, "the removal came after the halt");
    assert_eq!(world.delivered_faults().get(Fault::Halt), 1);
}

#[test]
fn a_wiped_process_finds_nothing_and_a_new_config_counts_at_the_next_start() {
    let (mut world, process) = disk(1, writer);
    call(&mut world, process, CallId(1));
    world.run_for(millis(1), &mut ());
    world.crash(process, &mut ());
    world.wipe(process, &mut ());
    world.reconfigure(process, sleeper);
    assert_eq!(world.delivered_faults().get(Fault::Reconfigure), 0);
    world.start(process, &mut ());
    let node = world.node(process).expect("up");
    assert!(node.survived.logs.is_empty() && node.survived.files.is_empty());
    assert_eq!(world.delivered_faults().get(Fault::Reconfigure), 1);
    assert_eq!(world.delivered_faults().get(Fault::Wipe), 1);
    world.run_for(millis(10), &mut ());
    assert_eq!(world.disk(process).logs().count(), 0, "the sleeper creates none");
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary(Vec<String>);

impl Observer<Peer> for Diary {
    fn delivered(&mut self, world: &World<Peer>, process: ProcessId, input: &Input) {
        let seen = world.node(process).expect("up").seen.len();
        let name = format!("{input:?}");
        let name = name.split_whitespace().next().unwrap_or_default().to_owned();
        self.0.push(format!("{} takes {name} as number {seen}", world.name(process)));
    }

    fn effects(&mut self, world: &World<Peer>, process: ProcessId, effects: &[Effect]) {
        let stored = world.disk(process).batches(LOG).count();
        if !effects.is_empty() {
            self.0.push(format!("{} effects, {stored} stored", effects.len()));
        }
    }

    fn lifecycle(&mut self, world: &World<Peer>, process: ProcessId, change: Lifecycle) {
        self.0.push(format!("{change:?} {}", world.is_up(process)));
    }
}

#[test]
fn an_observer_is_told_before_each_step_and_before_its_effects_are_carried_out() {
    let mut diary = Diary::default();
    let (mut world, process) = disk(1, writer);
    call(&mut world, process, CallId(1));
    world.run_for(millis(1), &mut diary);
    world.crash(process, &mut diary);
    world.start(process, &mut diary);
    assert_eq!(
        diary.0,
        ["writer takes Call as number 1", "1 effects, 0 stored", "Crashed false", "Started true"]
    );
}
