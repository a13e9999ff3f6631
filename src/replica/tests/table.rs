//! The transition table of a replica's role, as the code has it.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::*;

type Trigger = (&'static str, fn(&World, &mut Host));

/// Whoever leads goes on, in a newer partition epoch.
fn shrinks(world: &World, host: &mut Host) {
    let leader = match (host.replica.leads(), host.replica.follows()) {
        (true, _) => 1,
        (false, Some(leader)) => leader.0,
        (false, None) => -1,
    };
    let mut image = partition(leader, 2, &[leader]);
    image.partition_epoch = PartitionEpoch(21);
    host.apply(world, &image);
}

fn moved_away() -> PartitionImage {
    PartitionImage { replicas: [2, 3].map(NodeId).into(), ..partition(2, 3, &[2, 3]) }
}

const TRIGGERS: &[Trigger] = &[
    ("older registration: 2 leads", |world, host| host.apply(world, &partition(2, 1, &[1, 2, 3]))),
    ("same again: 1 leads", |world, host| host.apply(world, &partition(1, 2, &[1, 2, 3]))),
    ("same leader, smaller ISR", shrinks),
    ("new epoch: 1 leads", |world, host| host.apply(world, &partition(1, 3, &[1, 2, 3]))),
    ("new epoch: 2 leads", |world, host| host.apply(world, &partition(2, 3, &[1, 2, 3]))),
    ("new epoch: 3 leads", |world, host| host.apply(world, &partition(3, 3, &[1, 2, 3]))),
    ("new epoch: nobody leads", |world, host| host.apply(world, &partition(-1, 3, &[1, 2, 3]))),
    ("new epoch: moved away", |world, host| host.apply(world, &moved_away())),
    ("an incarnation too old: 2 leads", |world, host| {
        host.epoch = BrokerEpoch(9);
        host.apply(world, &partition(2, 3, &[1, 2, 3]));
    }),
    ("stopped", |_, host| {
        let mut out = Effects::new();
        host.replica.stop(&mut out);
        host.settle(out);
    }),
];

/// Broker 1 in epoch 2.
fn starts(world: &World) -> [(&'static str, Host); 5] {
    let made = |image: &PartitionImage| {
        let mut host = world.host(1);
        host.apply(world, image);
        host
    };
    let leader = made(&partition(1, 2, &[1, 2, 3]));
    let mut waits = world.host(1);
    waits.apply(world, &partition(1, 2, &[1, 2]));
    let mut other = world.host(3);
    other.apply(world, &partition(1, 2, &[1, 2]));
    waits.put(world, "a");
    other.catch_up(world, &mut waits);
    assert!(waits.proposal(world).is_some(), "broker 3 is to join");
    [
        ("New", world.host(1)),
        ("Leader", leader),
        ("Leader, a join under way", waits),
        ("Follower of 2", made(&partition(2, 2, &[1, 2, 3]))),
        ("Nobody leads", made(&partition(-1, 2, &[1, 2, 3]))),
    ]
}

fn told(host: &Host) -> String {
    let role = match (host.replica.leads(), host.replica.follows()) {
        (true, _) => {
            let (committed, maximal) = host.isr();
            let list = |nodes: &[NodeId]| {
                let nodes: Vec<String> = nodes.iter().map(|node| format!("{node}")).collect();
                nodes.join(" ")
            };
            format!("leads, ISR {}, at most {}", list(&committed), list(&maximal))
        }
        (false, Some(leader)) => format!("follows {leader}"),
        (false, None) => "idle".into(),
    };
    format!(
        "{role}, leader epoch {}, log epoch {}",
        host.replica.leader_epoch().0,
        host.replica.log().last_epoch().0
    )
}

fn noted(host: &Host) -> String {
    let names = host.notes.iter().map(|event| {
        let text = format!("{event:?}");
        text.split([' ', '{']).next().map(String::from).expect("an event has a name")
    });
    names.collect::<Vec<String>>().join(" ")
}

#[test]
fn the_transition_table_is_known() {
    let world = World::new(1);
    let mut table = String::new();
    for (name, mut start) in starts(&world) {
        start.notes.clear();
        writeln!(table, "{name}: {}", told(&start)).expect("text grows");
        for (what, trigger) in TRIGGERS {
            let mut host = start.clone();
            trigger(&world, &mut host);
            if told(&host) != told(&start) || !host.notes.is_empty() {
                let (now, notes) = (told(&host), noted(&host));
                writeln!(table, "  {what:<32} -> {now}; {notes}").expect("text grows");
            }
        }
    }
    insta::assert_snapshot!(table);
}
