//! The transition table of an ISR with a change under way, and what the controller's errors mean to
//! it, as the code has them.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::*;
use crate::ids::{BrokerEpoch, LeaderEpoch, PartitionEpoch, PartitionId};
use crate::message::partition::LeaderRecovery;

type Trigger = (&'static str, fn(&mut Isr));

const NOW: Instant = Instant::from_nanos(1_000_000_000);
const TIMEOUT: Duration = Duration::from_secs(30);

fn proposal(isr: &[i32]) -> AlterPartition {
    AlterPartition {
        partition: PartitionId::default(),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(4),
        new_isr: isr.iter().map(|node| (NodeId(*node), BrokerEpoch(9))).collect(),
        recovery: LeaderRecovery::Recovered,
    }
}

fn joins(isr: &mut Isr) {
    if isr.pending().is_none() {
        isr.propose(proposal(&[1, 2, 3]), Some(NodeId(3)));
    }
}

fn leaves(isr: &mut Isr) {
    if isr.pending().is_none() {
        isr.propose(proposal(&[1]), None);
    }
}

const TRIGGERS: &[Trigger] = &[
    ("broker 3 caught up", joins),
    ("broker 2 fell behind", leaves),
    ("time to send", |isr| drop(isr.take_ready(NOW))),
    ("time to send, after a rest", |isr| drop(isr.take_ready(NOW + RETRY_BACKOFF))),
    ("answer: ISR 1 2 3", |isr| isr.settle([1, 2, 3].map(NodeId).into())),
    ("answer: refused", |isr| {
        isr.roll_back(NOW, TIMEOUT);
    }),
    ("answer: refused, much later", |isr| {
        isr.roll_back(NOW + TIMEOUT * 2, TIMEOUT);
    }),
    ("answer: something newer", Isr::await_metadata),
    ("answer: again", |isr| isr.retry(NOW)),
    ("no answer", |isr| isr.went_unanswered(NOW)),
    ("metadata: only broker 1", |isr| isr.settle([NodeId(1)].into())),
];

/// Each by the real machine, from a settled ISR of brokers 1 and 2.
fn starts() -> [(&'static str, Isr); 7] {
    let made = |steps: &[fn(&mut Isr)]| {
        let mut isr = Isr::new([1, 2].map(NodeId).into());
        steps.iter().for_each(|step| step(&mut isr));
        isr
    };
    let sent: fn(&mut Isr) = |isr| drop(isr.take_ready(NOW));
    [
        ("Settled", made(&[])),
        ("Join to be sent", made(&[joins])),
        ("Join sent", made(&[joins, sent])),
        ("Join resting", made(&[joins, sent, |isr| isr.retry(NOW)])),
        ("Join without an answer", made(&[joins, sent, |isr| isr.went_unanswered(NOW)])),
        ("Join awaits metadata", made(&[joins, sent, Isr::await_metadata])),
        ("Leave sent", made(&[leaves, sent])),
    ]
}

fn told(isr: &Isr) -> String {
    let list = |nodes: &[NodeId]| {
        let nodes: alloc::vec::Vec<String> = nodes.iter().map(|node| format!("{node}")).collect();
        nodes.join(" ")
    };
    let mut line = format!("ISR {}, at most {}", list(isr.committed()), list(&isr.maximal()));
    if let Some(pending) = isr.pending() {
        line.push_str(match pending.stage {
            Stage::Ready => ", to be sent",
            Stage::RestsUntil(_) => ", rests",
            Stage::InFlight => ", sent",
            Stage::AwaitsMetadata => ", awaits metadata",
        });
        line.push_str(if pending.unanswered.is_some() { ", a copy may be alive" } else { "" });
    }
    line
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::new();
    for (name, start) in starts() {
        writeln!(table, "{name}: {}", told(&start)).expect("text grows");
        for (what, trigger) in TRIGGERS {
            let mut isr = start.clone();
            trigger(&mut isr);
            if told(&isr) != told(&start) {
                writeln!(table, "  {what:<28} -> {}", told(&isr)).expect("text grows");
            }
        }
    }
    insta::assert_snapshot!(table);
}
