//! What a run remembers does not grow with simulated time once retention bites.

use std::path::Path;

use seedlog::time::{Duration, Instant};
use seedlog_sim::bench::Footprint;
use seedlog_sim::run::Run;
use seedlog_sim::scenario::Scenario;

/// From here on topics lose records as fast as they get them.
const SETTLED: Duration = Duration::from_secs(60);

/// The most that a run holds of each thing before and after [`SETTLED`].
fn peaks(overrides: &[&str]) -> (Footprint, Footprint) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/broker_failover.toml");
    let overrides: Vec<String> = overrides.iter().copied().map(String::from).collect();
    let scenario = Scenario::load(Path::new(file), &overrides).expect("a good scenario");
    let mut run = Run::new(&scenario.into(), 42, true);
    let (mut early, mut late) = (Footprint::default(), Footprint::default());
    let mut next = Instant::ZERO;
    while run.step() {
        let now = run.world.now();
        if now >= next {
            next = now + Duration::from_secs(1);
            let peak = if now < Instant::ZERO + SETTLED { &mut early } else { &mut late };
            *peak = peak.max(Footprint::of(&run));
        }
    }
    assert!(run.world.now() > Instant::ZERO + Duration::from_secs(600), "it ran to its end");
    (early, late)
}

fn grown(early: Footprint, late: Footprint) -> Vec<String> {
    let pairs = early.counts().into_iter().zip(late.counts());
    let grown = pairs.filter(|((_, early), (_, late))| *late > early + early / 2);
    grown.map(|((name, early), (_, late))| format!("{name}: {early}, later {late}")).collect()
}

#[test]
fn a_run_of_ten_minutes_remembers_no_more_than_one_of_one_minute() {
    let short = ["topic.retention.bytes=4096", "topic.segment.bytes=4096"];
    let (early, late) = peaks(&[&["phases.safety=600s"], &short[..]].concat());
    assert_eq!(grown(early, late), Vec::<String>::new(), "{early:?} {late:?}");
}

/// The test can fail: without retention and without snapshots everything but connections grows.
#[test]
fn a_run_that_keeps_everything_grows() {
    let (early, late) = peaks(&[
        "phases.safety=600s",
        "topic.retention.bytes=-1",
        "quorum.metadata.log.max.record.bytes.between.snapshots=1000000000",
    ]);
    let names = ["metadata_batches", "stored_batches", "ghost_batches", "known_records"];
    let grown = grown(early, late);
    for name in names {
        assert!(grown.iter().any(|line| line.starts_with(name)), "{name} in {grown:?}");
    }
}
