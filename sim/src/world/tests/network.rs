//! Network faults.

use seedlog::ids::CallId;
use seedlog::machine::Input;
use seedlog::message::{Api, Request};

use super::peer::*;
use crate::world::{
    Fault, Hold, MessageKind, NetworkFaults, ProcessId, Ratio, Seed, Span, World, WorldConfig,
};

const HALF: Ratio = Ratio::new(1, 2);

/// Faults of the link from client to server only.
fn to_server(faults: impl FnOnce(&mut NetworkFaults)) -> (World<Peer>, ProcessId, ProcessId) {
    let (mut world, server, client) = pair(7);
    let mut network = NetworkFaults::default();
    faults(&mut network);
    world.set_link(client, server, Some(network));
    (world, server, client)
}

fn delivered(world: &World<Peer>, fault: Fault) -> usize {
    usize::try_from(world.delivered_faults().get(fault)).expect("few")
}

fn in_order(numbers: &[i64]) -> bool {
    numbers.is_sorted()
}

#[test]
fn a_lost_message_never_arrives_and_later_ones_do() {
    let (mut world, server, client) = to_server(|faults| faults.loss = HALF);
    send(&mut world, client, 1..=40);
    world.run_for(millis(100), &mut ());
    let arrived = numbers(&world, server);
    assert_eq!(arrived.len() + delivered(&world, Fault::Loss), 40);
    assert!((5..35).contains(&arrived.len()) && in_order(&arrived));
}

#[test]
fn a_duplicated_message_arrives_twice() {
    let (mut world, server, client) = to_server(|faults| faults.duplicate = Ratio::ALWAYS);
    send(&mut world, client, 1..=20);
    world.run_for(millis(500), &mut ());
    let mut arrived = numbers(&world, server);
    arrived.sort_unstable();
    assert_eq!(arrived, (1..=20).flat_map(|number| [number, number]).collect::<Vec<_>>());
    assert_eq!(delivered(&world, Fault::Duplicate), 20);
    assert_eq!(count(&world, client, is_response), 40);
}

#[test]
fn reordered_messages_all_arrive_some_after_later_ones() {
    let (mut world, server, client) = to_server(|faults| faults.reorder = HALF);
    send(&mut world, client, 1..=40);
    world.run_for(millis(500), &mut ());
    let mut arrived = numbers(&world, server);
    assert!(!in_order(&arrived));
    let mut highest = 0;
    let late = arrived.iter().filter(|number| {
        highest = highest.max(**number);
        **number < highest
    });
    assert_eq!(late.count(), delivered(&world, Fault::Reorder));
    arrived.sort_unstable();
    assert_eq!(arrived, (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_delayed_message_holds_up_what_follows() {
    let (mut world, server, client) = to_server(|faults| {
        faults.delay = HALF;
        faults.delay_by = Span::exactly(millis(50));
    });
    send(&mut world, client, 1..=20);
    world.run_for(millis(40), &mut ());
    let early = numbers(&world, server).len();
    world.run_for(millis(60), &mut ());
    assert_eq!(numbers(&world, server), (1..=20).collect::<Vec<_>>());
    assert!(early < 20 && delivered(&world, Fault::Delay) > 0);
}

#[test]
fn corruption_flips_one_bit_that_the_checksum_protects() {
    let (mut world, server, client) = to_server(|faults| faults.corrupt = Ratio::ALWAYS);
    call(&mut world, client, PRODUCE);
    send(&mut world, client, 1..=1);
    world.run_for(millis(10), &mut ());
    let seen = &world.node(server).expect("up").seen;
    let batch = seen.iter().find_map(|(_, input)| {
        let Input::Request { request, .. } = input else { return None };
        let Request::Produce(request) = request.as_ref() else { return None };
        Some(request.partitions[0].records.chunks()[0].clone())
    });
    let batch = batch.expect("the produce request arrived");
    assert_eq!(batch[..16], [0; 16]);
    assert_eq!(batch.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    assert_eq!(delivered(&world, Fault::Corrupt), 1, "a heartbeat has nothing to corrupt");
}

#[test]
fn a_reset_closes_both_ends_and_loses_what_is_under_way() {
    let (mut world, server, client) = to_server(|faults| faults.reset = Ratio::ALWAYS);
    send(&mut world, client, 1..=1);
    world.run_for(millis(10), &mut ());
    assert!(numbers(&world, server).is_empty());
    let closed = |process| count(&world, process, is_closed);
    assert_eq!((closed(server), closed(client), delivered(&world, Fault::Reset)), (1, 1, 1));
}

#[test]
fn a_break_takes_all_that_follows_one_way_until_both_ends_are_told() {
    let (mut world, server, client) = to_server(|faults| {
        faults.breaks = HALF;
        faults.broken_for = Span::exactly(millis(300));
    });
    send(&mut world, client, 1..=40);
    world.run_for(millis(290), &mut ());
    let arrived = numbers(&world, server);
    let all: Vec<i64> = (1..=40).collect();
    assert!(arrived.len() < 40 && arrived == all[..arrived.len()], "{arrived:?}");
    assert_eq!(count(&world, client, is_response), arrived.len(), "the way back is open");
    let closed = |world: &World<Peer>, process| count(world, process, is_closed);
    assert_eq!((closed(&world, server), closed(&world, client)), (0, 0), "nobody is told");
    world.run_for(millis(20), &mut ());
    assert_eq!((closed(&world, server), closed(&world, client)), (1, 1));
    assert_eq!((delivered(&world, Fault::Break), delivered(&world, Fault::Reset)), (1, 0));
}

#[test]
fn whoever_closes_a_broken_connection_is_not_heard_before_it_is_given_up() {
    let (mut world, server, client) = to_server(|faults| {
        faults.breaks = Ratio::ALWAYS;
        faults.broken_for = Span::exactly(millis(300));
    });
    send(&mut world, client, 1..=1);
    call(&mut world, client, RECONNECT);
    world.run_for(millis(290), &mut ());
    assert_eq!(count(&world, server, is_closed), 0);
    world.run_for(millis(20), &mut ());
    assert_eq!((count(&world, server, is_closed), count(&world, client, is_closed)), (1, 0));
}

#[test]
fn a_reset_on_request_does_the_same() {
    let (mut world, server, client) = pair(1);
    send(&mut world, client, 1..=1);
    assert_eq!(world.reset(server, client), 1);
    assert_eq!(world.reset(server, client), 0);
    world.run_for(millis(10), &mut ());
    let closed = |process| count(&world, process, is_closed);
    assert_eq!((closed(server), closed(client), delivered(&world, Fault::Reset)), (1, 1, 1));
}

#[test]
fn a_blocked_link_loses_one_way_and_healing_resets_what_lost() {
    for blocks_requests in [true, false] {
        let (mut world, server, client) = pair(1);
        let (from, to) = if blocks_requests { (client, server) } else { (server, client) };
        world.block(from, to);
        assert!(world.is_blocked(from, to) && !world.is_blocked(to, from));
        send(&mut world, client, 1..=3);
        world.run_for(millis(2_000), &mut ());
        assert_eq!(numbers(&world, server).len(), if blocks_requests { 0 } else { 3 });
        assert_eq!(count(&world, client, is_response), 0);
        assert_eq!(count(&world, client, is_closed), 0, "nobody is told");
        assert_eq!(delivered(&world, Fault::Block), 3);
        world.unblock(from, to);
        world.run_for(millis(10), &mut ());
        let closed = |process| count(&world, process, is_closed);
        assert_eq!((closed(server), closed(client)), (1, 1));
        call(&mut world, client, RECONNECT);
        world.run_for(millis(10), &mut ());
        call(&mut world, client, SEND_ON_NEW);
        world.run_for(millis(10), &mut ());
        assert_eq!(count(&world, client, is_response), 1);
    }
}

/// A client that starts with its link blocked, in one direction or the other.
fn dials_while_blocked(back: bool) -> (World<Peer>, ProcessId, ProcessId) {
    let mut world = World::new(Seed(1), WorldConfig::default());
    let server = add(&mut world, "server", server);
    let client = add(&mut world, "client", client);
    if back {
        world.block(server, client)
    } else {
        world.block(client, server)
    }
    world.start(server, &mut ());
    world.start(client, &mut ());
    (world, server, client)
}

#[test]
fn dialling_over_a_blocked_link_waits_for_healing_or_gives_up_after_ten_seconds() {
    for back in [true, false] {
        let is_opened = |input: &Input| matches!(input, Input::Opened { .. });
        let (mut world, _, client) = dials_while_blocked(back);
        world.run_for(millis(500), &mut ());
        world.heal();
        world.run_for(millis(1_000), &mut ());
        assert_eq!(count(&world, client, is_opened), 1);
        let (mut world, _, client) = dials_while_blocked(back);
        world.run_for(millis(9_990), &mut ());
        assert_eq!(count(&world, client, is_closed), 0);
        world.run_for(millis(20), &mut ());
        assert_eq!(count(&world, client, is_closed), 1);
        assert_eq!(delivered(&world, Fault::Block), 4);
    }
}

#[test]
fn dialling_nobody_is_refused() {
    let (mut world, server, client) = pair(1);
    world.crash(server, &mut ());
    call(&mut world, client, RECONNECT);
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, client, is_closed), 1, "the old one it has closed itself");
}

#[test]
fn a_process_that_does_not_listen_yet_refuses_whoever_dials() {
    let is_opened = |input: &Input| matches!(input, Input::Opened { .. });
    let mut world = World::new(Seed(1), WorldConfig::default());
    let server = add(&mut world, "server", late);
    let client = add(&mut world, "client", client);
    world.start(server, &mut ());
    world.start(client, &mut ());
    world.run_for(millis(10), &mut ());
    assert_eq!((count(&world, client, is_opened), count(&world, client, is_closed)), (0, 1));
    call(&mut world, server, CallId(1));
    call(&mut world, client, RECONNECT);
    world.run_for(millis(10), &mut ());
    assert_eq!((count(&world, client, is_opened), count(&world, client, is_closed)), (1, 1));
}

#[test]
fn a_clogged_link_keeps_everything_and_flushes_it_in_order() {
    let (mut world, server, client) = pair(1);
    world.clog(client, server);
    send(&mut world, client, 1..=10);
    world.run_for(millis(500), &mut ());
    assert!(numbers(&world, server).is_empty());
    world.unclog(client, server);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), (1..=10).collect::<Vec<_>>());
    assert_eq!(delivered(&world, Fault::Clog), 10);
}

fn hold_of(client: ProcessId, server: ProcessId) -> Hold {
    Hold {
        api: Some(Api::BrokerHeartbeat),
        kind: Some(MessageKind::Request),
        from: Some(client),
        to: Some(server),
        ..Hold::default()
    }
}

#[test]
fn a_hold_keeps_the_chosen_message_until_it_is_released() {
    for (in_order, meanwhile) in [(false, vec![1, 2, 4, 5]), (true, vec![1, 2])] {
        let (mut world, server, client) = pair(1);
        let hold = world.hold(Hold { skip: 2, in_order, ..hold_of(client, server) });
        call(&mut world, client, PRODUCE);
        send(&mut world, client, 1..=5);
        world.run_for(millis(500), &mut ());
        assert_eq!(numbers(&world, server), meanwhile);
        assert_eq!((world.held(hold), delivered(&world, Fault::Hold)), (1, 1));
        world.release(hold);
        world.run_for(millis(10), &mut ());
        let mut arrived = meanwhile;
        arrived.extend(if in_order { vec![3, 4, 5] } else { vec![3] });
        assert_eq!(numbers(&world, server), arrived);
        assert_eq!(world.held(hold), 0);
    }
}

#[test]
fn a_hold_may_ask_for_content_and_be_discarded() {
    let (mut world, server, client) = pair(1);
    let hold = world.hold(Hold {
        content: Some(|payload| {
            matches!(payload, crate::world::Payload::Request(Request::BrokerHeartbeat(request))
                if request.metadata_offset.0 == 2)
        }),
        ..Hold::default()
    });
    send(&mut world, client, 1..=3);
    world.run_for(millis(10), &mut ());
    world.discard(hold);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), [1, 3]);
}

#[test]
fn a_held_message_of_a_closed_connection_still_arrives() {
    let (mut world, server, client) = pair(1);
    let hold = world.hold(hold_of(client, server));
    send(&mut world, client, 1..=1);
    call(&mut world, client, RECONNECT);
    world.run_for(millis(10), &mut ());
    call(&mut world, client, SEND_ON_NEW);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), [1_000]);
    world.release(hold);
    world.run_for(millis(10), &mut ());
    assert_eq!(numbers(&world, server), [1_000, 1]);
    assert_eq!(delivered(&world, Fault::OldConnection), 1);
    assert_eq!(count(&world, server, is_closed), 1);
}

#[test]
fn what_an_old_connection_still_carries_arrives_late() {
    let (mut world, server, client) = to_server(|faults| {
        faults.old_connection = Ratio::ALWAYS;
        faults.delay_by = Span::exactly(millis(50));
    });
    send(&mut world, client, 1..=3);
    call(&mut world, client, RECONNECT);
    world.run_for(millis(10), &mut ());
    call(&mut world, client, SEND_ON_NEW);
    world.run_for(millis(100), &mut ());
    assert_eq!(numbers(&world, server), [1_000, 1, 2, 3]);
    assert_eq!(delivered(&world, Fault::OldConnection), 3);
    assert_eq!(count(&world, server, is_closed), 1);
}

#[test]
fn a_fault_that_is_off_draws_nothing() {
    let digest = |faults: NetworkFaults| {
        let (mut world, _, client) = pair(3);
        world.set_network(faults);
        send(&mut world, client, 1..=9);
        world.run_for(millis(100), &mut ());
        world.digest()
    };
    let quiet = digest(NetworkFaults::default());
    assert_eq!(
        digest(NetworkFaults { delay_by: Span::exactly(millis(9)), ..Default::default() }),
        quiet
    );
    let noisy = NetworkFaults { loss: Ratio::new(1, 1_000_000), ..Default::default() };
    assert_ne!(digest(noisy), quiet);
}
