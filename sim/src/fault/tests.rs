//! Sources do what their names say, and undo it.

use std::collections::BTreeSet;
use std::sync::Arc;

use seedlog::broker::Broker;
use seedlog::time::Duration;

use super::strike::LATELY;
use crate::cluster::Process;
use crate::run::{Phase, Run};
use crate::scenario::Scenario;
use crate::scenario::script::{Action, Group, LinkAct, ProcessAct, Role};
use crate::world::ProcessId;

/// A run with one source of faults, in the step after its first strike.
fn struck(source: &str) -> Run {
    struck_by(source, 1)
}

fn struck_by(source: &str, seed: u64) -> Run {
    let text = format!(
        "# One source.\n[cluster]\nbrokers = 3\ncontrollers = 3\n\
         [[fault]]\n{source}\nevery = \"1s\"\nfor = \"2s\"\n"
    );
    let scenario = Scenario::parse("one.toml", &text, &[]).expect("a sound scenario");
    let mut run = Run::new(&Arc::new(scenario), seed, true);
    while run.sources[0].struck == 0 {
        assert!(run.step(), "the source strikes before the run ends");
    }
    run
}

/// Who of all processes does not hear whom.
fn blocked(run: &Run) -> BTreeSet<(ProcessId, ProcessId)> {
    let all: Vec<ProcessId> = run.world.processes().collect();
    let pairs = all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to)));
    pairs.filter(|(from, to)| from != to && run.world.is_blocked(*from, *to)).collect()
}

/// Whether the source undoes its strike before it strikes again.
fn relents(mut run: Run) {
    while run.sources[0].struck == 1 && !blocked(&run).is_empty() {
        assert!(run.step(), "a strike ends before the run does");
    }
    assert_eq!(blocked(&run), BTreeSet::new());
}

fn others(run: &Run, victim: ProcessId) -> Vec<ProcessId> {
    run.world.processes().filter(|process| *process != victim).collect()
}

#[test]
fn who_is_isolated_neither_hears_nor_is_heard() {
    let run = struck("kind = \"isolate\"\ntarget = \"broker\"");
    let victim = run.sources[0].away[0];
    let both =
        others(&run, victim).into_iter().flat_map(|other| [(victim, other), (other, victim)]);
    assert_eq!(blocked(&run), both.collect());
    relents(run);
}

#[test]
fn who_is_deaf_is_heard_but_hears_nobody() {
    let run = struck("kind = \"deafen\"\ntarget = \"controller\"");
    let victim = run.sources[0].away[0];
    let to_it = others(&run, victim).into_iter().map(|other| (other, victim));
    assert_eq!(blocked(&run), to_it.collect());
    relents(run);
}

#[test]
fn who_is_mute_hears_but_is_heard_by_nobody() {
    let run = struck("kind = \"mute\"\ntarget = \"server\"");
    let victim = run.sources[0].away[0];
    let from_it = others(&run, victim).into_iter().map(|other| (victim, other));
    assert_eq!(blocked(&run), from_it.collect());
    relents(run);
}

#[test]
fn a_split_leaves_two_groups_that_hear_themselves_only() {
    let run = struck("kind = \"split\"");
    let inside: BTreeSet<ProcessId> = run.sources[0].away.iter().copied().collect();
    let all: Vec<ProcessId> = run.world.processes().collect();
    assert!(!inside.is_empty() && inside.len() < all.len(), "{inside:?} of {all:?}");
    let pairs = all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to)));
    let across = pairs.filter(|(from, to)| inside.contains(from) != inside.contains(to));
    assert_eq!(blocked(&run), across.collect());
    relents(run);
}

#[test]
fn a_link_that_is_struck_is_in_use() {
    for seed in 0..20 {
        let run = struck_by("kind = \"cut\"\ntarget = \"client\"", seed);
        let blocked: Vec<(ProcessId, ProcessId)> = blocked(&run).into_iter().collect();
        let [(from, to)] = blocked[..] else { panic!("seed {seed}: {blocked:?}") };
        assert!(run.world.peers(from, LATELY).contains(&to), "seed {seed}: {from:?} to {to:?}");
    }
}

#[test]
fn a_rolling_restart_takes_every_server_in_turn_and_one_at_a_time() {
    let mut run = struck("kind = \"roll\"");
    let servers: Vec<ProcessId> = run.cluster.servers().collect();
    let mut lives: Vec<u32> = servers.iter().map(|server| run.world.incarnation(*server)).collect();
    let mut restarted = Vec::new();
    while restarted.len() < servers.len() {
        let down = servers.iter().filter(|server| !run.world.is_up(**server)).count();
        assert!(down <= 1, "{down} are down at the same time");
        for (server, life) in servers.iter().zip(&mut lives) {
            if run.world.incarnation(*server) != *life {
                *life = run.world.incarnation(*server);
                restarted.push(*server);
            }
        }
        assert!(run.step(), "only {restarted:?} of {servers:?} were restarted");
    }
    assert_eq!(restarted, servers, "each once, in their order");
}

/// A run of three brokers and partitions on all of them, some seconds into the faults of which
/// there are none.
fn calm() -> Run {
    let text = "# Calm.\n[cluster]\nbrokers = 3\ncontrollers = 3\n\
                [controller]\nbroker.session.timeout.ms = 9000\n";
    let scenario = Scenario::parse("calm.toml", text, &[]).expect("a sound scenario");
    let mut run = Run::new(&Arc::new(scenario), 1, true);
    while !matches!(run.phase(), Phase::Safety { .. }) {
        assert!(run.step(), "the cluster boots");
    }
    advance(&mut run, Duration::from_secs(3));
    run
}

fn advance(run: &mut Run, by: Duration) {
    let until = run.world.now() + by;
    while run.world.now() < until {
        assert!(run.step(), "the run goes on");
    }
}

fn brokers(run: &Run) -> [ProcessId; 3] {
    let brokers: Vec<ProcessId> = run.cluster.all(Role::Broker).collect();
    brokers.try_into().expect("there are three")
}

/// One restarts, so that its place in the ISR is void; can the last one be left out then, with
/// nobody but the first to lead?
fn rests_on_first(run: &mut Run) -> bool {
    let [_, second, third] = brokers(run);
    let restart = Action::Process(ProcessAct::Restart, run.one(second));
    run.decided(&restart);
    run.refresh_image();
    run.can_do_without(&[third])
}

#[test]
fn a_core_rests_on_one_broker_that_is_well() {
    assert!(rests_on_first(&mut calm()));
}

/// Found by `everything` seed 3114.
#[test]
fn a_core_does_not_rest_on_one_broker_that_shuts_down() {
    let mut run = calm();
    let [first, ..] = brokers(&run);
    let shutdown = Action::Process(ProcessAct::Shutdown, run.one(first));
    run.decided(&shutdown);
    let shuts_down = |run: &Run| {
        let broker = run.world.node(first).and_then(Process::broker);
        broker.is_some_and(Broker::is_shutting_down)
    };
    while !shuts_down(&run) {
        assert!(run.step(), "the run goes on");
    }
    assert!(!rests_on_first(&mut run));
}

#[test]
fn a_core_does_not_rest_on_one_broker_that_the_controller_does_not_hear() {
    let mut run = calm();
    let [first, ..] = brokers(&run);
    let cut = Action::Link(LinkAct::Cut, run.one(first), Group::Everybody, true);
    run.decided(&cut);
    advance(&mut run, Duration::from_secs(5));
    let node = run.cluster.node(first).expect("a broker is a node");
    run.refresh_image();
    assert!(run.image.is_active(node), "not fenced yet");
    assert!(!rests_on_first(&mut run));
}
