//! The transition table of a broker's life with its controller, as the code has it.

use alloc::vec::Vec;
use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::*;
use crate::broker::tests::rig::setup;

type Trigger = (&'static str, fn(&mut Lifecycle));

const NOW: Instant = Instant::from_nanos(1_000_000_000);

fn rng() -> Rng {
    Rng::from_number(1)
}

fn reports(life: &mut Lifecycle) {
    if life.deadline().is_some_and(|at| at <= NOW) {
        let _ = life.report(NOW, &setup(1), Offset(3), false);
    }
}

/// Answers come to who has asked only.
fn registered(life: &mut Lifecycle, error: ErrorCode, epoch: i64) {
    if life.in_flight && !life.is_registered() {
        let answer = BrokerRegistrationResponse { error, epoch: BrokerEpoch(epoch) };
        life.registered(NOW, &answer, &mut rng());
    }
}

fn answered(life: &mut Lifecycle, error: ErrorCode, fenced: bool, should_shutdown: bool) {
    if life.in_flight && life.is_registered() {
        let answer = BrokerHeartbeatResponse { error, caught_up: true, fenced, should_shutdown };
        life.heartbeat_answered(NOW, &answer, Duration::from_secs(2), &mut rng());
    }
}

const TRIGGERS: &[Trigger] = &[
    ("a report is due", reports),
    ("news for the controller", |life| life.hurry(NOW)),
    ("shutdown wanted", |life| life.shut_down(NOW)),
    ("registration accepted", |life| registered(life, ErrorCode::None, 9)),
    ("registration without an epoch", |life| registered(life, ErrorCode::None, -1)),
    ("registration refused", |life| registered(life, ErrorCode::DuplicateBrokerRegistration, -1)),
    ("heartbeat: fenced", |life| answered(life, ErrorCode::None, true, false)),
    ("heartbeat: unfenced", |life| answered(life, ErrorCode::None, false, false)),
    ("heartbeat: may shut down", |life| answered(life, ErrorCode::None, false, true)),
    ("heartbeat refused", |life| answered(life, ErrorCode::StaleBrokerEpoch, true, false)),
    ("no answer", |life| {
        if life.in_flight {
            life.failed(NOW, &mut rng());
        }
    }),
];

/// Each from the one before, by the real machine.
fn starts() -> Vec<(&'static str, Lifecycle)> {
    let new = Lifecycle::new(Uuid([1; 4]), Uuid([2; 4]), BrokerEpoch(5), NOW);
    let path: [Trigger; 7] = [
        ("Registering", reports),
        ("Registered", |life| registered(life, ErrorCode::None, 9)),
        ("Registered, heartbeat sent", reports),
        ("Unfenced, resting", |life| answered(life, ErrorCode::None, false, false)),
        ("Shutdown wanted", |life| life.shut_down(NOW)),
        ("Shutdown asked", reports),
        ("Let go", |life| answered(life, ErrorCode::None, false, true)),
    ];
    let mut starts = alloc::vec![("New", new)];
    for (name, step) in path {
        let mut life = starts.last().expect("there is a first").1.clone();
        step(&mut life);
        starts.push((name, life));
    }
    starts
}

fn told(life: &Lifecycle) -> String {
    let report = match life.deadline() {
        None => "report under way",
        Some(at) if at <= NOW => "report due",
        Some(_) => "resting",
    };
    let known = if life.is_registered() { "registered" } else { "unregistered" };
    let mut line = format!("{known}, {report}, {} failures", life.failures);
    for (is, what) in [
        (life.was_unfenced, ", was unfenced"),
        (life.want_shutdown, ", wants to shut down"),
        (life.may_shut_down, ", may shut down"),
    ] {
        line.push_str(if is { what } else { "" });
    }
    line
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::new();
    for (name, start) in starts() {
        writeln!(table, "{name}: {}", told(&start)).expect("text grows");
        for (what, trigger) in TRIGGERS {
            let mut life = start.clone();
            trigger(&mut life);
            life.check();
            if told(&life) != told(&start) {
                writeln!(table, "  {what:<30} -> {}", told(&life)).expect("text grows");
            }
        }
    }
    insta::assert_snapshot!(table);
}
