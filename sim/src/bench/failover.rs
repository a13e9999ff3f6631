//! The real thing: `broker_failover` at its default load, and forks of it.

use std::sync::Arc;

use seedlog::time::{Duration, Instant};

use super::footprint::Footprint;
use super::measure::{self, Measure};
use crate::run::Run;
use crate::scenario::Scenario;

/// The scenario as it was when this program was built.
const SCENARIO: &str = include_str!("../../../scenarios/broker_failover.toml");
const SEED: u64 = 42;

/// Where the world is forked: in the middle of its safety phase.
const MIDDLE: Duration = Duration::from_secs(30);
const FORKS: u32 = 1_000;

pub(super) const WITH_CHECKERS: &str = "broker_failover/all-checkers";
pub(super) const WITHOUT: &str = "broker_failover/no-checkers";
pub(super) const FORK: &str = "broker_failover/1000-forks";

/// Runs of growing length, all with all checkers, whose topics keep less than half a minute: what
/// they remember and what an event costs must not depend on the length.
pub(super) const LONG: [&str; 3] =
    ["broker_failover/for-60s", "broker_failover/for-600s", "broker_failover/for-2400s"];

fn begin(with_checkers: bool, overrides: &[String]) -> Run {
    let scenario = Scenario::parse("scenarios/broker_failover.toml", SCENARIO, overrides)
        .expect("the scenario was tested when it was built in");
    Run::new(&Arc::new(scenario), SEED, with_checkers)
}

/// A run from its beginning to its end.
pub(super) fn run(with_checkers: bool) -> Measure {
    let mut run = begin(with_checkers, &[]);
    let name = if with_checkers { WITH_CHECKERS } else { WITHOUT };
    let measure = Measure::of(name, || {
        run.finish_all();
        run.world.events()
    });
    let simulated = run.world.now() - Instant::ZERO;
    let verdict = run.report().verdict.name();
    measure.with_simulated(simulated).with("verdict", verdict)
}

/// One of the long runs.
pub(super) fn long(name: &str) -> Measure {
    let (_, length) = name.split_once("/for-").expect("its name tells its length");
    let overrides = [
        format!("phases.safety={length}"),
        "topic.retention.bytes=8192".into(),
        "topic.segment.bytes=4096".into(),
    ];
    let mut run = begin(true, &overrides);
    let before = measure::rss_mib();
    let measure = Measure::of(name, || {
        run.finish_all();
        run.world.events()
    });
    let simulated = run.world.now() - Instant::ZERO;
    let grown = measure::difference(measure.peak_rss_mib, before);
    let counts = Footprint::of(&run).counts();
    let verdict = run.report().verdict.name();
    let measure = measure.with_simulated(simulated).with("verdict", verdict);
    let measure = measure.with("peak_rss_grown_mib", grown);
    counts.into_iter().fold(measure, |measure, (name, count)| measure.with(name, count))
}

/// Forks of a world in its middle: the time of each, and the memory of all.
pub(super) fn fork() -> Measure {
    let mut run = begin(false, &[]);
    while run.world.now() < Instant::ZERO + MIDDLE && run.step() {}
    let batches: usize = run
        .world
        .processes()
        .flat_map(|process| {
            let disk = run.world.disk(process);
            disk.logs().map(|(log, _)| disk.batches(log).count()).collect::<Vec<_>>()
        })
        .sum();
    let before = measure::rss_mib();
    let mut forks = Vec::new();
    let measure = Measure::of(FORK, || {
        forks.extend((0..FORKS).map(|_| run.world.clone()));
        u64::from(FORKS)
    });
    let held = measure::rss_mib();
    let size = size_of_val(&run.world);
    let each = measure::per_event_us(&measure);
    measure
        .with("fork_us", each)
        .with("forks_mib", measure::difference(held, before))
        .with("stored_batches", batches)
        .with("world_bytes", size)
}
