//! The user's door: a scenario with processors, feeds and invariants of one's own, run over seeds
//! in a `#[test]`.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use seedlog::client::app::Processor;
use seedlog::client::consumer::assignor::CustomAssignor;

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
    assignor: Option<CustomAssignor>,
    /// Whether it has something that `sim run` does not know.
    has_own: bool,
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
            assignor: None,
            has_own: false,
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
    pub fn processor<P, F>(self, name: &str, make: F) -> Self
    where
        P: Processor + Send + Sync + 'static,
        F: Fn(&HostSetup) -> P + Clone + Send + Sync + 'static,
    {
        self.app(name, ProcessorKind::new(make))
    }

    /// An application that an `[[app]]` may name, whatever machine it is.
    #[must_use]
    pub fn app(mut self, name: &str, kind: impl AppKind + 'static) -> Self {
        self.registry.add_app(name, Box::new(kind));
        self.has_own = true;
        self
    }

    /// A workload that a `[[feed]]` may name.
    #[must_use]
    pub fn feed(mut self, name: &str, feed: impl Feed) -> Self {
        self.registry.add_feed(name, Box::new(feed));
        self.has_own = true;
        self
    }

    /// Something that must stay true.
    #[must_use]
    pub fn invariant(mut self, invariant: impl Invariant + 'static) -> Self {
        self.invariants.push(Box::new(invariant));
        self.has_own = true;
        self
    }

    /// How the members of `[group]` share out partitions, in the classic protocol.
    #[must_use]
    pub fn assignor(mut self, assign: CustomAssignor) -> Self {
        self.assignor = Some(assign);
        self.has_own = true;
        self
    }

    /// # Panics
    /// If the scenario cannot be read.
    fn scenario(&self) -> Arc<Scenario> {
        match Scenario::load_with(&self.file, &self.overrides, &self.registry) {
            Ok(scenario) => Arc::new(Scenario { assignor: self.assignor, ..scenario }),
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

    /// Runs on to the end. What `sim run` does not know, a test makes again.
    fn finish(&self, run: Run) -> Report {
        let mut report = finish(run);
        if self.has_own {
            report.repro = again(report.seed);
        }
        report
    }

    /// One run.
    ///
    /// # Panics
    /// If the scenario cannot be read.
    #[must_use]
    pub fn run(&self, seed: u64) -> Report {
        self.finish(self.begin(&self.scenario(), seed))
    }

    /// The first run of these seeds that is not held.
    ///
    /// # Panics
    /// If the scenario cannot be read.
    #[must_use]
    pub fn first_failure(&self, seeds: Range<u64>) -> Option<Report> {
        let scenario = self.scenario();
        let reports = seeds.map(|seed| self.finish(self.begin(&scenario, seed)));
        reports.into_iter().find(|report| report.verdict != Verdict::Held)
    }

    /// Runs all these seeds, or the one that the environment's `SEED` names.
    ///
    /// # Panics
    /// If the scenario cannot be read, or a run is not held: with its report and the command that
    /// makes that run again.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is a word of the user, no part of a run"
    )]
    pub fn check(self, seeds: Range<u64>) {
        let seeds = match std::env::var("SEED").map(|seed| seed.parse::<u64>()) {
            Ok(Ok(seed)) => seed..seed + 1,
            Ok(Err(_)) => panic!("SEED has to be a whole number"),
            Err(_) => seeds,
        };
        let Some(report) = self.first_failure(seeds) else { return };
        let same = self.begin(&self.scenario(), report.seed);
        let mut text = print_report(&report, &around(same, &report));
        if !self.has_own {
            let _ = writeln!(text, "{}", again(report.seed));
        }
        panic!("{}", text.trim_end());
    }
}

/// The command that runs the calling test again, with that seed alone.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's name is a word of the user, no part of a run"
)]
fn again(seed: u64) -> String {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or_default();
    format!("SEED={seed} cargo test {test}").trim_end().into()
}

#[cfg(test)]
mod tests {
    use seedlog::client::app::Context;
    use seedlog::client::app::tickets::Tickets;
    use seedlog::client::consumer::assignor::{Assignments, Counts, Member};
    use seedlog::op::ConsumedRecord;

    use super::*;
    use crate::app::keyed;

    /// A scenario whose claim does not come true, with an application of that kind.
    #[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
    fn simulation(kind: &str) -> (Simulation, PathBuf) {
        let text = format!(
            "# Many.\nrequire = [\"processed >= 1000000\"]\n\
             [workload]\nproducers = 0\nconsumers = 0\n[phases]\nsafety = \"1s\"\n\
             [[topics]]\nname = \"in\"\n[[topics]]\nname = \"out\"\n\
             [[feed]]\nkind = \"tickets\"\ntopic = \"in\"\nformat = \"avro\"\n\
             [[app]]\nkind = \"{kind}\"\ninput = \"in\"\noutput = \"out\"\nformat = \"avro\"\n"
        );
        let path = std::env::temp_dir().join(format!("door-{}-{kind}.toml", std::process::id()));
        std::fs::write(&path, text).expect("there is a place for temporary files");
        (Simulation::of(&path), path)
    }

    /// What a failing check prints.
    fn printed(simulation: Simulation) -> String {
        let check = std::panic::AssertUnwindSafe(|| simulation.check(7..8));
        let payload = std::panic::catch_unwind(check).expect_err("too few are processed");
        *payload.downcast::<String>().expect("a report is text")
    }

    const AGAIN: &str =
        "SEED=7 cargo test door::tests::a_run_with_kinds_of_ones_own_is_made_again_by_its_test";

    #[test]
    fn a_run_with_kinds_of_ones_own_is_made_again_by_its_test() {
        let (own, _) = simulation("mine");
        let own = own
            .processor("mine", |setup| Tickets { output: setup.output(), format: setup.format() });
        let report = own.run(7);
        assert!(report.count("processed") > 0 && report.count("malformed") == 0, "{report:?}");
        assert_eq!(report.repro, AGAIN);
        let text = printed(own);
        assert!(text.ends_with(&format!("\n\n{AGAIN}")) && !text.contains("sim run"), "{text}");

        let (known, path) = simulation("tickets");
        let both = format!("\n\nsim run {} --seed 7\n{AGAIN}", path.display());
        let text = printed(known);
        assert!(text.ends_with(&both), "{text}");
    }

    /// Everything to one member.
    fn to_one(members: &[Member], counts: &Counts) -> Assignments {
        let all = counts.iter();
        let all = all.flat_map(|(topic, count)| (0..*count).map(|at| (topic.clone(), at)));
        let mut all = Some(all.collect());
        members.iter().map(|each| (each.id.clone(), all.take().unwrap_or_default())).collect()
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
    fn members_share_out_partitions_as_the_user_has_it() {
        let text = "# One has all.\nrequire = [\"consumed >= 10\"]\n\
                    [broker]\ngroup.initial.rebalance.delay.ms = 500\n\
                    [workload]\nproducers = 1\nconsumers = 2\n[group]\ncommit = \"sync\"\n\
                    [phases]\nsafety = \"30s\"\n\
                    [[topics]]\nname = \"in\"\npartitions = 4\n\
                    [[step]]\nwhen = [\"members(g) == 2\", \"owned(k1) == 4 or owned(k2) == 4\", \
                    \"consumed >= 10\"]\ndo = [\"end\"]\n";
        let path = std::env::temp_dir().join(format!("door-{}-share.toml", std::process::id()));
        std::fs::write(&path, text).expect("there is a place for temporary files");
        let known = Simulation::of(&path).run(7);
        assert_eq!(known.verdict, Verdict::Undecided, "{known:?}");
        let own = Simulation::of(&path).assignor(to_one).run(7);
        assert_eq!(own.verdict, Verdict::Held, "{own:?}");
    }

    /// Says nothing of where its records go.
    #[derive(Clone)]
    struct Lost;

    impl Processor for Lost {
        fn process(&mut self, _: &ConsumedRecord, context: &mut Context<'_>) {
            context.emit(keyed("key", "value"));
        }
    }

    #[test]
    fn a_record_to_a_topic_that_does_not_exist_is_found_at_once() {
        let report = simulation("lost").0.processor("lost", |_| Lost).run(7);
        assert_eq!((report.verdict, report.broken()), (Verdict::Violated, vec!["L0".to_string()]));
        let detail = &report.findings[0].detail;
        let end = " to topic \"\", which does not exist: that record will never be done";
        assert!(detail.starts_with("the lost emits for in-") && detail.ends_with(end), "{detail}");
    }
}
