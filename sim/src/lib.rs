//! A deterministic simulator that runs the seedlog core under seeded faults and checks its
//! promises.

pub mod app;
pub mod bench;
pub mod check;
pub mod cluster;
pub mod command;
pub mod fault;
pub mod run;
pub mod scenario;
pub mod workload;
pub mod world;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Runs a scenario file over a range of seeds, for use in a `#[test]`.
///
/// # Panics
/// If the scenario cannot be read, or a run is not held; the last line is the command that makes
/// that run again.
pub fn check(scenario: &str, seeds: Range<u64>) {
    let scenario = match scenario::Scenario::load(Path::new(scenario), &[]) {
        Ok(scenario) => Arc::new(scenario),
        Err(error) => panic!("{error}"),
    };
    for seed in seeds {
        let report = command::execute(&scenario, seed);
        assert!(
            report.verdict == run::Verdict::Held,
            "{}{:?}\n{}",
            report.why,
            report.findings.first(),
            report.repro
        );
    }
}
