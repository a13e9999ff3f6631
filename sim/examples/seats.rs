//! Seats are sold to whoever asks first. The first clerk sells some of them twice, and the
//! simulator finds out; the second one does not.
//!
//! `cargo run --release --example seats` shows both; `cargo test --example seats` holds them to it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use seedlog::client::app::{Context, Processor};
use seedlog::ids::TopicName;
use seedlog::op::{ConsumedRecord, SendRecord};
use seedlog_sim::app::{Feed, HostSetup, keyed};
use seedlog_sim::check::{Invariant, Visible};
use seedlog_sim::world::Draw;
use seedlog_sim::{Simulation, run::Report};

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/seats.toml");

/// Keeps in mind what it has sold.
#[derive(Clone)]
struct Forgetful {
    sales: TopicName,
    sold: BTreeSet<Bytes>,
}

impl Processor for Forgetful {
    fn process(&mut self, request: &ConsumedRecord, context: &mut Context<'_>) {
        let (Some(seat), Some(buyer)) = (&request.key, &request.value) else { return };
        // The bug: whatever a process has in its mind is gone when it crashes, and unknown to the
        // one that takes its partitions over.
        if self.sold.insert(seat.clone()) {
            context.emit(sale(&self.sales, seat, buyer));
        }
    }
}

/// Writes down what it has sold, in the transaction that sells it.
#[derive(Clone)]
struct Careful {
    sales: TopicName,
}

impl Processor for Careful {
    fn process(&mut self, request: &ConsumedRecord, context: &mut Context<'_>) {
        let (Some(seat), Some(buyer)) = (&request.key, &request.value) else { return };
        if context.get(seat).is_none() {
            context.set(seat.clone(), Some(buyer.clone()));
            context.emit(sale(&self.sales, seat, buyer));
        }
    }
}

fn sale(topic: &TopicName, seat: &Bytes, buyer: &Bytes) -> SendRecord {
    SendRecord { topic: topic.clone(), ..keyed(seat.clone(), buyer.clone()) }
}

/// Buyers that ask for any of a hundred seats.
#[derive(Clone, Default)]
struct Requests {
    buyers: u64,
}

impl Feed for Requests {
    fn next(&mut self, dice: &mut dyn Draw) -> Option<SendRecord> {
        self.buyers += 1;
        let seat = dice.under(100);
        Some(keyed(format!("seat {seat}"), format!("buyer {}", self.buyers)))
    }
}

/// No seat is sold twice.
#[derive(Clone, Default)]
struct SoldOnce {
    buyers: BTreeMap<Bytes, Bytes>,
}

impl Invariant for SoldOnce {
    fn name(&self) -> &str {
        "SoldOnce"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if **visible.topic != *"sales" {
            return Ok(());
        }
        let (Some(seat), Some(buyer)) = (&visible.record.key, &visible.record.value) else {
            return Err("a sale without seat or buyer".into());
        };
        match self.buyers.insert(seat.clone(), buyer.clone()) {
            None => Ok(()),
            Some(first) => Err(format!("{seat:?} was sold to {first:?}, and then to {buyer:?}")),
        }
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

fn simulation<P, F>(clerk: F) -> Simulation
where
    P: Processor + Send + Sync + 'static,
    F: Fn(&HostSetup) -> P + Clone + Send + Sync + 'static,
{
    Simulation::of(SCENARIO)
        .processor("clerk", clerk)
        .feed("requests", Requests::default())
        .invariant(SoldOnce::default())
}

fn forgetful() -> Simulation {
    simulation(|setup| Forgetful { sales: setup.output(), sold: BTreeSet::new() })
}

fn careful() -> Simulation {
    simulation(|setup| Careful { sales: setup.output() })
}

fn told(report: Option<Report>) -> String {
    match report {
        None => "no seat was sold twice".into(),
        Some(report) => match report.findings.first() {
            Some(finding) => format!("seed {}: {}", report.seed, finding.detail),
            None => format!("seed {}: {} {}", report.seed, report.verdict.name(), report.why),
        },
    }
}

fn main() {
    println!("the forgetful clerk: {}", told(forgetful().first_failure(0..20)));
    println!("the careful clerk:   {}", told(careful().first_failure(0..20)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forgetful_clerk_sells_a_seat_twice() {
        let report = forgetful().first_failure(0..20).expect("it is found within 20 seeds");
        assert_eq!(report.broken(), ["U1"], "{report:?}");
        assert!(report.findings[0].detail.starts_with("SoldOnce: "), "{report:?}");
    }

    #[test]
    fn the_careful_clerk_sells_each_seat_once() {
        careful().check(0..20);
    }
}
