//! A deterministic simulator that runs the seedlog core under seeded faults and checks its
//! promises.

pub mod app;
pub mod bench;
pub mod check;
pub mod cluster;
pub mod command;
mod door;
pub mod fault;
pub mod run;
pub mod scenario;
pub mod workload;
pub mod world;

use std::ops::Range;

pub use door::Simulation;

/// Runs a scenario file over a range of seeds, for use in a `#[test]`; or a [`Simulation`], with
/// processors, feeds and invariants of one's own. `SEED=42 cargo test` runs that seed alone.
///
/// # Panics
/// If the scenario cannot be read, or a run is not held: with its report, and the command that
/// makes that run again.
pub fn check(simulation: impl Into<Simulation>, seeds: Range<u64>) {
    simulation.into().check(seeds);
}
