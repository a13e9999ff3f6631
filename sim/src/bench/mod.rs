//! `sim bench`: what the simulator itself costs, one line a workload.

mod everything;
mod failover;
mod footprint;
mod measure;
mod toy;

use std::io::Write;

pub use self::footprint::Footprint;
pub use self::measure::Measure;
use crate::world::World;

/// Inputs that a toy workload delivers before it is over.
const EVENTS: u64 = 4_000_000;
/// Inputs that warm it up first: connections, the queue, the allocator.
const WARM_UP: u64 = 200_000;

/// A toy workload: its name, its nodes, and how many requests each client keeps in flight.
struct Toy {
    name: &'static str,
    brokers: u32,
    clients: u32,
    in_flight: u32,
}

const TOYS: [Toy; 8] = [
    Toy { name: "ping-pong/2-nodes/1-in-flight", brokers: 1, clients: 1, in_flight: 1 },
    Toy { name: "ping-pong/2-nodes/64-in-flight", brokers: 1, clients: 1, in_flight: 64 },
    Toy { name: "fan-in/15-nodes/8-in-flight", brokers: 5, clients: 10, in_flight: 8 },
    Toy { name: "fan-in/15-nodes/256-in-flight", brokers: 5, clients: 10, in_flight: 256 },
    Toy { name: "fan-in/50-nodes/8-in-flight", brokers: 17, clients: 33, in_flight: 8 },
    Toy { name: "fan-in/50-nodes/256-in-flight", brokers: 17, clients: 33, in_flight: 256 },
    Toy { name: "fan-in/500-nodes/8-in-flight", brokers: 167, clients: 333, in_flight: 8 },
    Toy { name: "fan-in/500-nodes/256-in-flight", brokers: 167, clients: 333, in_flight: 256 },
];

/// The names of all workloads, in the order in which they run.
pub fn workloads() -> impl Iterator<Item = &'static str> {
    let real = [failover::WITH_CHECKERS, failover::WITHOUT, failover::FORK];
    TOYS.iter().map(|toy| toy.name).chain(real).chain(failover::LONG).chain([everything::NAME])
}

/// Runs the workloads whose names contain one of `filters` (all of them if there is none), and
/// prints each as it ends: a line of JSON, or one for people.
///
/// # Errors
/// If `out` cannot be written to.
pub fn run(filters: &[String], json: bool, out: &mut impl Write) -> std::io::Result<()> {
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(&**filter));
    for name in workloads().filter(|name| wanted(name)) {
        let measure = match TOYS.iter().find(|toy| toy.name == name) {
            Some(toy) => run_toy(toy, EVENTS),
            None if name == failover::FORK => failover::fork(),
            None if name == everything::NAME => Measure::median(everything::run),
            None if failover::LONG.contains(&name) => failover::long(name),
            None => Measure::median(|| failover::run(name == failover::WITH_CHECKERS)),
        };
        if json {
            writeln!(out, "{}", measure.json())?;
        } else {
            writeln!(out, "{measure}")?;
        }
    }
    Ok(())
}

fn run_toy(toy: &Toy, events: u64) -> Measure {
    let mut world = toy::world(toy.brokers, toy.clients, toy.in_flight);
    deliver(&mut world, WARM_UP.min(events));
    Measure::of(toy.name, || {
        let before = world.events();
        deliver(&mut world, events);
        world.events() - before
    })
}

fn deliver(world: &mut World<toy::Node>, events: u64) {
    let end = world.events() + events;
    while world.events() < end {
        world.step(&mut ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_toy_keeps_its_requests_in_flight_and_never_stops() {
        for toy in &TOYS {
            let measure = run_toy(toy, 20_000);
            assert_eq!(measure.events, 20_000, "{}", toy.name);
        }
    }

    #[test]
    fn a_line_of_json_has_the_promised_fields() {
        let line = run_toy(&TOYS[0], 1_000).json();
        let value: serde_json::Value = serde_json::from_str(&line).expect("valid");
        let fields: Vec<&str> =
            value.as_object().expect("an object").keys().map(String::as_str).collect();
        for field in ["workload", "events", "wall_s", "cpu_s", "events_per_s", "peak_rss_mib"] {
            assert!(fields.contains(&field), "{field} in {line}");
        }
    }
}
