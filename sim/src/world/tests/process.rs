//! Process faults.

use super::peer::*;
use crate::world::Fault;

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
    world.crash(server, &mut ());
    assert!(!world.is_up(server));
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, client, is_closed), 1);
    world.start(server, &mut ());
    call(&mut world, client, RECONNECT);
    world.run_for(millis(10), &mut ());
    call(&mut world, client, SEND_ON_NEW);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), [1_000]);
    assert_ne!(world.node(server).expect("up").seed, first_seed);
    assert_eq!(world.incarnation(server), 2);
    assert_eq!(world.delivered_faults().get(Fault::Crash), 1);
}
