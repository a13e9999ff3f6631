//! The user's door: a scenario with processors, feeds and invariants of one's own, run over seeds
//! in a `#[test]`.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use seedlog::client::app::Processor;

use crate::app::{AppKind, Feed, HostSetup, ProcessorKind, Registry};
use crate::check::Invariant;
use crate::command::{around, finish, print_report};
use crate::run::{Report, Run, Verdict};
use crate::scenario::Scenario;

/// A scenario, and what a user adds to it.
///
/// ```no_run
/// # use seedlog::client::app::copy::Copy;
/// seedlog_sim::Simulation::of("scenarios/mine.toml")
///     .processor("mine", |setup| Copy { output: setup.table.output[0].clone() })
///     .check(0..200);
/// ```
pub struct Simulation {
    file: PathBuf,
    overrides: Vec<String>,
    registry: Registry,
    invariants: Vec<Box<dyn Invariant>>,
}

impl From<&str> for Simulation {
    fn from(file: &str) -> Self {
        Simulation::of(file)
    }
}

impl Simulation {
    /// The scenario of that file.
    #[must_use]
    pub fn of(file: impl Into<PathBuf>) -> Self {
        Simulation {
            file: file.into(),
            overrides: Vec::new(),
            registry: Registry::built_in(),
            invariants: Vec::new(),
        }
    }

    /// Another value for a key of the scenario, as `--set` does: `topic.retention.ms=5`.
    #[must_use]
    pub fn set(mut self, text: &str) -> Self {
        self.overrides.push(text.into());
        self
    }

    /// A processor that an `[[app]]` may name as its kind: one is made for each process.
    #[must_use]
    pub fn processor<P, F>(mut self, name: &str, make: F) -> Self
    where
        P: Processor + Send + Sync + 'static,
        F: Fn(&HostSetup) -> P + Clone + Send + Sync + 'static,
    {
        self.registry.add_app(name, Box::new(ProcessorKind::new(make)));
        self
    }

    /// An application that an `[[app]]` may name, whatever machine it is.
    #[must_use]
    pub fn app(mut self, name: &str, kind: impl AppKind + 'static) -> Self {
        self.registry.add_app(name, Box::new(kind));
        self
    }

    /// A workload that a `[[feed]]` may name.
    #[must_use]
    pub fn feed(mut self, name: &str, feed: impl Feed) -> Self {
        self.registry.add_feed(name, Box::new(feed));
        self
    }

    /// Something that must stay true.
    #[must_use]
    pub fn invariant(mut self, invariant: impl Invariant + 'static) -> Self {
        self.invariants.push(Box::new(invariant));
        self
    }

    /// # Panics
    /// If the scenario cannot be read.
    fn scenario(&self) -> Arc<Scenario> {
        match Scenario::load_with(&self.file, &self.overrides, &self.registry) {
            Ok(scenario) => Arc::new(scenario),
            Err(error) => panic!("{error}"),
        }
    }

    fn begin(&self, scenario: &Arc<Scenario>, seed: u64) -> Run {
        let mut run = Run::new(scenario, seed, true);
        for invariant in &self.invariants {
            run.watch.checkers.as_mut().expect("it has some").watch(invariant.clone_box());
        }
        run
    }

    /// One run.
    ///
    /// # Panics
    /// If the scenario cannot be read.
    #[must_use]
    pub fn run(&self, seed: u64) -> Report {
        finish(self.begin(&self.scenario(), seed))
    }

    /// The first run of these seeds that is not held.
    ///
    /// # Panics
    /// If the scenario cannot be read.
    #[must_use]
    pub fn first_failure(&self, seeds: Range<u64>) -> Option<Report> {
        let scenario = self.scenario();
        let reports = seeds.map(|seed| finish(self.begin(&scenario, seed)));
        reports.into_iter().find(|report| report.verdict != Verdict::Held)
    }

    /// Runs all these seeds, or the one that the environment's `SEED` names.
    ///
    /// # Panics
    /// If the scenario cannot be read, or a run is not held: with its report and the command that
    /// makes that run again.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment and a test's name are words of the user, no part of a run"
    )]
    pub fn check(self, seeds: Range<u64>) {
        let seeds = match std::env::var("SEED").map(|seed| seed.parse::<u64>()) {
            Ok(Ok(seed)) => seed..seed + 1,
            Ok(Err(_)) => panic!("SEED has to be a whole number"),
            Err(_) => seeds,
        };
        let Some(report) = self.first_failure(seeds) else { return };
        let again = self.begin(&self.scenario(), report.seed);
        let mut text = print_report(&report, &around(again, &report));
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or_default();
        let _ = write!(text, "SEED={} cargo test {test}", report.seed);
        panic!("{text}");
    }
}
