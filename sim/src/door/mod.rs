//! The user's door: a scenario with processors, feeds and invariants of one's own, run over seeds
//! in a `#[test]`.

mod again;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use seedlog::client::app::Processor;
use seedlog::client::consumer::assignor::CustomAssignor;
use seedlog::ids::TopicName;
use seedlog::op::{ConsumedRecord, SendRecord};

use crate::app::{AppKind, AppTable, Feed, HostSetup, ProcessorKind, Registry};
use crate::check::{Invariant, Makes};
use crate::command::{around, finish, print_out, print_report, trace};
use crate::run::{Format, Report, Run, Trace, Verdict};
use crate::scenario::Scenario;

use again::{again, word};

/// A scenario, and what a user adds to it.
///
/// ```no_run
/// # use seedlog::client::app::copy::Copy;
/// # use seedlog_sim::app::keyed;
/// seedlog_sim::Simulation::of("scenarios/mine.toml")
///     .processor("mine", |setup| Copy { output: setup.output() })
///     .promise("mine", |input| {
///         let key = input.key.clone().unwrap_or_default();
///         vec![keyed(key, input.value.clone().unwrap_or_default())]
///     })
///     .check(0..200);
/// ```
pub struct Simulation {
    file: PathBuf,
    overrides: Vec<String>,
    registry: Registry,
    invariants: Vec<Box<dyn Invariant>>,
    assignor: Option<CustomAssignor>,
    /// What the scenario has to name.
    added: Vec<(Added, String)>,
    /// Whether it has something that `sim run` does not know.
    has_own: bool,
}

/// What a user adds by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    App,
    Feed,
    Key,
    Promise,
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
            added: Vec::new(),
            has_own: false,
        }
    }

    /// Another value for a key of the scenario, as `--set` does: `topic.retention.ms=5`.
    #[must_use]
    pub fn set(mut self, text: &str) -> Self {
        self.overrides.push(text.into());
        self
    }

    /// A processor that an `[[app]]` may name as its kind: one is made for each process. Of what it
    /// makes nothing is known, but that it has processed what its group is done with (A1), and at
    /// most once nothing twice (A2): see [`Simulation::promise`]. One that calls an external store
    /// needs `store = true` in its `[[app]]`.
    ///
    /// # Panics
    /// If there is an application of that name. A run panics if no `[[app]]` is of that kind.
    #[must_use]
    pub fn processor<P, F>(self, name: &str, make: F) -> Self
    where
        P: Processor + Send + Sync + 'static,
        F: Fn(&HostSetup) -> P + Clone + Send + Sync + 'static,
    {
        self.app(name, ProcessorKind::new(make))
    }

    /// What a processor owes of each record that comes in, whatever came before: the records that
    /// it emits, by key and value; one without a topic goes to the first output of its `[[app]]`.
    ///
    /// Then, as its delivery mode says, each is made at least once (A1), at most once, or exactly
    /// once (A2), and nothing else is made (A2).
    ///
    /// # Panics
    /// If that was said before of that name. A run panics if no `[[app]]` has a processor of that
    /// name, or if somebody else writes to its outputs.
    #[must_use]
    pub fn promise<F>(mut self, name: &str, due: F) -> Self
    where
        F: Fn(&ConsumedRecord) -> Vec<SendRecord> + Send + Sync + 'static,
    {
        self.registry.add_promise(name, Makes::new(due));
        self.added.push((Added::Promise, name.into()));
        self
    }

    /// A key that an `[[app]]` of that name may have besides those of all: what it says is found by
    /// [`HostSetup::own`].
    ///
    /// # Panics
    /// A run panics if no `[[app]]` is of that kind.
    #[must_use]
    pub fn key(mut self, name: &str, key: &str) -> Self {
        self.registry.add_key(name, key);
        self.added.push((Added::Key, name.into()));
        self
    }

    /// An application that an `[[app]]` may name, whatever machine it is.
    ///
    /// # Panics
    /// If there is an application of that name. A run panics if no `[[app]]` is of that kind.
    #[must_use]
    pub fn app(mut self, name: &str, kind: impl AppKind + 'static) -> Self {
        self.registry.add_app(name, Box::new(kind));
        self.added.push((Added::App, name.into()));
        self.has_own = true;
        self
    }

    /// A workload that a `[[feed]]` may name.
    ///
    /// # Panics
    /// If there is a feed of that name. A run panics if no `[[feed]]` is of that kind.
    #[must_use]
    pub fn feed(mut self, name: &str, feed: impl Feed) -> Self {
        self.registry.add_feed(name, Box::new(feed));
        self.added.push((Added::Feed, name.into()));
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
    /// If the scenario cannot be read, has no place for what was added, or nobody can judge a
    /// promise in it.
    fn scenario(&self) -> Arc<Scenario> {
        let scenario = match Scenario::load_with(&self.file, &self.overrides, &self.registry) {
            Ok(scenario) => Arc::new(Scenario { assignor: self.assignor, ..scenario }),
            Err(error) => panic!("{error}"),
        };
        for (added, name) in &self.added {
            if let Some(wrong) = unnamed(&scenario, *added, name) {
                panic!("{}({name:?}): {wrong}", added.word());
            }
            if *added == Added::Promise
                && let Some(wrong) = unjudged(&scenario, name)
            {
                panic!("promise({name:?}): {wrong}");
            }
        }
        scenario
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

    /// One run, of which every event is told, as `sim trace` does.
    ///
    /// # Panics
    /// If the scenario cannot be read.
    pub fn trace(&self, seed: u64, write: impl FnMut(&str)) -> Report {
        let mut run = self.begin(&self.scenario(), seed);
        run.watch.trace = Some(Trace::new(0, u64::MAX, Format::Text, Vec::new()));
        trace(run, u64::MAX, write)
    }

    /// The first run of these seeds that is not held.
    ///
    /// # Panics
    /// If there are no seeds, or the scenario cannot be read.
    #[must_use]
    pub fn first_failure(&self, seeds: Range<u64>) -> Option<Report> {
        Some(self.search(seeds)).filter(|report| report.verdict != Verdict::Held)
    }

    /// The first run that is not held; if all are, the first of all.
    fn search(&self, seeds: Range<u64>) -> Report {
        assert!(!seeds.is_empty(), "{seeds:?} has no seeds, and would pass: write 0..200");
        let scenario = self.scenario();
        let mut first = None;
        for seed in seeds {
            let report = self.finish(self.begin(&scenario, seed));
            if report.verdict != Verdict::Held {
                return report;
            }
            first.get_or_insert(report);
        }
        first.expect("there is a seed")
    }

    /// Runs all these seeds, or the one that the environment's `SEED` names. `TRACE=1` prints every
    /// event of the first of them.
    ///
    /// # Panics
    /// If there are no seeds, the scenario cannot be read, or a run is not held: with its report
    /// and the command that makes that run again. Also if the first seed makes another run the
    /// second time.
    pub fn check(self, seeds: Range<u64>) {
        let seeds = match word("SEED").map(|seed| seed.parse::<u64>()) {
            Some(Ok(seed)) => seed..seed + 1,
            Some(Err(_)) => panic!("SEED has to be a whole number"),
            None => seeds,
        };
        if word("TRACE").is_some_and(|trace| !trace.is_empty() && trace != "0") {
            let _ = self.trace(seeds.start, print_out);
        }
        let report = self.search(seeds);
        if let Some(parted) = self.parted(&report) {
            panic!("{parted}");
        }
        if report.verdict == Verdict::Held {
            return;
        }
        let same = self.begin(&self.scenario(), report.seed);
        let mut text = print_report(&report, &around(same, &report));
        if !self.has_own {
            let _ = writeln!(text, "{}", again(report.seed));
        }
        panic!("{}", text.trim_end());
    }

    /// What to say if the same seed makes another run.
    fn parted(&self, report: &Report) -> Option<String> {
        let other = self.run(report.seed);
        let same = (&report.digest, report.events, &report.findings)
            == (&other.digest, other.events, &other.findings);
        (!same).then(|| {
            let told = |report: &Report| {
                format!(
                    "{} after {} events: {}",
                    report.digest,
                    report.events,
                    report.verdict.name()
                )
            };
            format!(
                "seed {} does not make the same run twice:\n  {}\n  {}\nA processor, feed or \
                 invariant has something in it that is not simulated: the time of day, randomness \
                 but the context's, a thread, the order of a HashMap. Runs that differ prove \
                 nothing; take it out.\n\n{}",
                report.seed,
                told(report),
                told(&other),
                again(report.seed)
            )
        })
    }
}

impl Added {
    /// The method that adds it.
    const fn word(self) -> &'static str {
        match self {
            Added::App => "app",
            Added::Feed => "feed",
            Added::Key => "key",
            Added::Promise => "promise",
        }
    }
}

/// Why what was added by that name is never looked at.
fn unnamed(scenario: &Scenario, added: Added, name: &str) -> Option<String> {
    let (table, is_named) = match added {
        Added::Feed => ("feed", scenario.feeds.iter().any(|feed| *feed.name == *name)),
        Added::App | Added::Key | Added::Promise => {
            ("app", scenario.apps.iter().any(|app| *app.name == *name))
        }
    };
    (!is_named).then(|| {
        format!(
            "no [[{table}]] of the scenario is of that kind, so that a run would prove nothing of \
             it: give one kind = {name:?}, or take it out here"
        )
    })
}

/// Why nobody can judge what is promised of an application of that name.
fn unjudged(scenario: &Scenario, name: &str) -> Option<String> {
    let apps = scenario.apps.iter().filter(|app| *app.name == *name);
    let writes = |app: &AppTable, topic: &TopicName| {
        app.output.contains(topic)
            || app.changelog.as_ref() == Some(topic)
            || app.kind.writes(app).contains(topic)
    };
    for app in apps {
        if app.kind.duty(app).is_none() {
            return Some(
                "that kind is no processor of one's own: it says itself what it owes".into(),
            );
        }
        for topic in &app.output {
            let others = scenario.apps.iter().filter(|other| !Arc::ptr_eq(app, other));
            let feeds = scenario.feeds.iter().filter(|feed| feed.topic == *topic);
            let mut writers = others.filter(|other| writes(other, topic)).map(|app| &app.name);
            if let Some(other) = writers.next().or(feeds.map(|feed| &feed.name).next()) {
                return Some(format!(
                    "the {other} writes to {topic:?}, too: what is whose is not known; give each \
                     an output of its own"
                ));
            }
        }
    }
    None
}
