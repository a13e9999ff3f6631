//! One run: a world, the applications in it, what attacks it and what judges it.
//!
//! A run is plain data, as its world is: cloning it forks it.

mod act;
mod chance;
pub mod coordinators;
mod decision;
mod evaluate;
mod feeding;
mod phase;
mod recording;
mod refused;
mod report;
mod script;
mod story;
#[cfg(test)]
mod tests;
mod token;
mod trace;
mod watch;
mod witness;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::config::{AcksSetting, OffsetReset};
use seedlog::metadata::Image;
use seedlog::time::{Duration, millis};

use crate::app::{Counted, Progress};
use crate::check::{CheckSettings, Checkers, Pipeline, Promise, Promises};
use crate::cluster::{self, Cluster, Process};
use crate::fault::{self, Lossy, Source};
use crate::scenario::script::{Action, ProcessAct, Role};
use crate::scenario::{CommitMode, GroupWork, MemberDelivery, Scenario, Topic};
use crate::workload::Workload;
use crate::world::{
    DiskFaults, HoldId, Lifecycle, NetworkFaults, ProcessId, Seed, Stepped, World, WorldConfig,
};

pub use coordinators::Coordinators;
pub use decision::Decisions;
pub use evaluate::Bound;
pub use phase::{Phase, TICK};
pub use recording::Recording;
pub use report::{COUNTERS, Finding, Report, Verdict, is_counter};
pub use script::Script;
pub use story::Story;
pub use token::Token;
pub use trace::{Format, Trace};
pub use watch::{Marks, Watch};
use witness::Witness;

/// Why a run ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    Violated,
    /// The run did not do what was asked of it.
    Undecided(String),
}

/// A run in its middle.
#[derive(Clone)]
pub struct Run {
    pub scenario: Arc<Scenario>,
    pub world: World<Process>,
    pub cluster: Cluster,
    pub watch: Watch,
    pub workload: Workload,
    /// The metadata of the most advanced controller so far.
    pub(crate) image: Arc<Image>,
    witness: Witness,
    /// The network's manners when nothing else is said, and the disks'.
    pub(crate) network: NetworkFaults,
    pub(crate) disk: DiskFaults,
    pub(crate) holds: BTreeMap<String, Vec<HoldId>>,
    pub(crate) lagged: Vec<(ProcessId, ProcessId)>,
    /// How often each server's disk was formatted anew.
    formats: Vec<u64>,
    /// Calls that close brokers, counted.
    closes: u64,
    /// Whether faults stop short of what cannot be survived.
    pub(crate) atlas_on: bool,
    pub(crate) sources: Vec<Source>,
    /// Whether sources still strike.
    pub(crate) raging: bool,
    pub(crate) lossy: Lossy,
    pub(crate) core: Vec<ProcessId>,
    script: Script,
    phase: Phase,
    pub decisions: Decisions,
    findings: Vec<Finding>,
    stop: Option<Stop>,
}

/// A process's place in a table of all.
#[must_use]
pub fn index(process: ProcessId) -> usize {
    usize::try_from(process.0).expect("a u32 fits usize")
}

impl Run {
    /// A run at its beginning, with all checkers or with none.
    #[must_use]
    pub fn new(scenario: &Arc<Scenario>, seed: u64, with_checkers: bool) -> Self {
        let seed = Seed(seed);
        let scenario = &scenario.drawn_by(seed);
        let (mut world, cluster) = cluster::build(scenario, seed);
        world.control(seedlog::time::Instant::ZERO, Token::Boot.encode());
        let checkers = with_checkers.then(|| checkers(scenario, &cluster));
        let watch = Watch {
            cluster: cluster.clone(),
            checkers,
            trace: None,
            story: None,
            returned: Vec::new(),
            changes: Vec::new(),
            marks: Marks::default(),
            coordinators: Coordinators::default(),
            apps: Progress::default(),
        };
        let config: WorldConfig = cluster::world_config(scenario);
        Run {
            workload: Workload::new(scenario, &cluster, seed),
            world,
            watch,
            image: Arc::new(Image::default()),
            witness: Witness::default(),
            network: config.network,
            disk: config.disk,
            holds: BTreeMap::new(),
            lagged: Vec::new(),
            formats: vec![0; cluster.everybody().count()],
            closes: 0,
            atlas_on: fault::atlas_on(scenario, seed),
            sources: fault::sources(scenario, seed),
            raging: true,
            lossy: Lossy::default(),
            core: Vec::new(),
            script: Script::new(&scenario.steps),
            phase: Phase::Boot {
                until: seedlog::time::Instant::FAR,
                topics: phase::Topics::NotYet,
            },
            decisions: Decisions::default(),
            findings: Vec::new(),
            stop: None,
            cluster,
            scenario: Arc::clone(scenario),
        }
    }

    /// Runs to the end.
    pub fn finish_all(&mut self) {
        while self.step() {}
    }

    /// Delivers one event and does what follows from it. False once the run is over.
    pub fn step(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        match self.world.step(&mut self.watch) {
            Stepped::Delivered(_) => {}
            Stepped::Control(token) => self.control(Token::decode(token)),
            Stepped::Idle => {
                self.stop = Some(Stop::Undecided("nothing is left to happen".into()));
            }
        }
        self.react();
        self.heed_coordinators();
        self.heed_strays();
        if self.script.is_running() {
            self.refresh_image();
            self.advance_script();
            self.react();
            if !self.script.is_running() {
                self.world.control(self.world.now(), Token::Tick.encode());
            }
        }
        if self.watch.checkers.as_ref().is_some_and(|checkers| !checkers.violations().is_empty()) {
            self.stop = Some(Stop::Violated);
        }
        !self.is_over()
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stop.is_some() || self.phase == Phase::Over
    }

    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    fn finish(&mut self) {
        self.phase = Phase::Over;
    }

    fn control(&mut self, token: Token) {
        match token {
            Token::Boot => self.boot(),
            Token::Tick => self.tick(),
            Token::Script => {}
            Token::ScriptTick => self.script_tick(),
            Token::Send(producer) => self.send_due(producer),
            Token::Strike(source) => self.strike(source),
            Token::Relent(source) => self.relent(source),
            Token::DiskGoesOn(process) => self.world.stall_disk(process, false),
            Token::Supervise(process) => self.supervise(process),
            Token::Replay => self.replay_due(),
            Token::Client(process) => {
                self.workload.timer(&mut self.world, process);
                // At once: the run may end before anybody is answered.
                self.tell_checkers();
            }
            Token::Feed(feed) => self.feed_due(feed),
        }
    }

    /// Tells the applications what the last step did to processes and calls.
    fn react(&mut self) {
        while !self.watch.changes.is_empty() || !self.watch.returned.is_empty() {
            for (process, change) in std::mem::take(&mut self.watch.changes) {
                self.workload.lifecycle(&mut self.world, &self.cluster, process, change);
                if change == Lifecycle::Halted {
                    self.witness_halt(process);
                    // A script says itself when somebody is back whom it has shut down; that a
                    // producer takes another client is nothing that it did.
                    let quits = self.cluster.who(process).role == Role::Producer;
                    if self.script.is_empty() || quits {
                        let at = self.world.now() + SUPERVISOR;
                        self.world.control(at, Token::Supervise(process).encode());
                    }
                }
            }
            let mut returned = std::mem::take(&mut self.watch.returned);
            for (process, call, outcome) in returned.drain(..) {
                self.witness_answer(process, &outcome);
                let world = &mut self.world;
                self.workload.returned(world, &self.cluster, process, call, &outcome);
            }
            if self.watch.returned.is_empty() {
                self.watch.returned = returned;
            }
            self.serve_clients();
        }
    }

    /// A process that stopped itself is started again, as an init system would.
    fn supervise(&mut self, process: ProcessId) {
        if self.decisions.is_replaying() {
            return;
        }
        let wanted =
            if self.raging { !self.is_held_down(process) } else { self.core.contains(&process) };
        if wanted && !self.world.is_up(process) {
            let start = Action::Process(ProcessAct::Start, self.one(process));
            self.decided(&start);
        }
    }

    fn is_held_down(&self, process: ProcessId) -> bool {
        self.sources.iter().any(|source| source.away.contains(&process))
    }

    /// Carries out an action that a source or a workload decided, and records it.
    pub(crate) fn decided(&mut self, action: &Action) {
        self.decisions.note(self.world.now(), action);
        self.perform(action);
    }

    /// Whether acks prove anything.
    fn promises_acks(&self) -> bool {
        self.scenario.producer.acks != AcksSetting::None
    }

    pub(crate) fn refresh_image(&mut self) {
        if let Some((applied, image)) = cluster::newest_image(&self.world, &self.cluster)
            && !Arc::ptr_eq(&image, &self.image)
        {
            self.witness_metadata(applied, &image);
            self.image = image;
        }
    }

    /// A promise of [`PROMISES`], which no checker of the core watches, was broken.
    fn violate(&mut self, code: &str, name: &str, claim: &str, detail: String) {
        self.findings.push(Finding {
            code: code.into(),
            name: name.into(),
            claim: claim.into(),
            at_ms: millis(self.world.now().since(seedlog::time::Instant::ZERO)),
            event: self.world.events(),
            detail,
        });
        self.stop = Some(Stop::Violated);
    }
}

/// Codes of the promises that a run itself watches: progress, and what a script asserts.
pub const PROMISES: [&str; 2] = ["L0", "S1"];

/// How long a process that stopped itself stays down.
const SUPERVISOR: Duration = Duration::from_secs(1);

/// All checkers, with those that applications bring.
fn checkers(scenario: &Scenario, cluster: &Cluster) -> Checkers {
    let mut checkers = Checkers::new(check_settings(scenario, cluster));
    for app in &scenario.apps {
        checkers.watch(Box::new(Counted::new(app)));
        app.kind.invariants(app).into_iter().for_each(|invariant| checkers.watch(invariant));
    }
    checkers
}

/// What a group promises of the topics that its members read, where they commit by themselves and
/// begin at the beginning.
fn readers(scenario: &Scenario) -> Vec<Pipeline> {
    let from_start = scenario.consumer.auto_offset_reset == OffsetReset::Earliest;
    let promises = |group: &&GroupWork| {
        let auto = group.automatic && group.commit == CommitMode::Auto;
        auto && from_start && group.delivery == MemberDelivery::AtLeastOnce
    };
    let Some(group) = scenario.group.as_ref().filter(promises) else { return Vec::new() };
    let reader = |topic: &Topic| Pipeline {
        input: topic.name.clone(),
        output: "".into(),
        group: Arc::clone(&group.id),
        promise: Promise::AtLeastOnce,
        ordered: false,
        function: None,
    };
    scenario.topics.iter().map(reader).collect()
}

/// The longest time that a producer of the scenario has for a transaction, and the time until its
/// coordinator has noticed that this is over.
fn transaction_limit(scenario: &Scenario) -> Duration {
    let apps = scenario.apps.iter().map(|app| app.producer.transaction_timeout);
    let longest = apps.fold(scenario.producer.transaction_timeout, Duration::max);
    longest + scenario.broker.transaction_timeout_sweep_interval
}

fn check_settings(scenario: &Scenario, cluster: &Cluster) -> CheckSettings {
    let acks_all = scenario.producer.acks == AcksSetting::All;
    let idempotent = scenario.producer.enable_idempotence && acks_all;
    let voters = cluster.all(Role::Controller).filter_map(|process| cluster.node(process));
    let pipelines = scenario.apps.iter().flat_map(|app| app.kind.pipelines(app));
    let pipelines = pipelines.chain(readers(scenario));
    CheckSettings {
        voters: voters.collect(),
        promises: Promises {
            no_duplicates: idempotent,
            // Without idempotence the client has one request in flight (KAFKA-3197). With acks=1 a
            // failover may lose what was acknowledged, and its offset is given again.
            ordered: scenario.producer.acks != AcksSetting::Leader,
            durable: acks_all,
        },
        sequence_max: scenario.broker.sequence_max,
        elr_enabled: scenario.controller.eligible_leader_replicas,
        isolation: scenario.consumer.isolation_level,
        reset: scenario.consumer.auto_offset_reset,
        transaction_limit: transaction_limit(scenario),
        pipelines: pipelines.collect(),
        duties: scenario.apps.iter().filter_map(|app| app.kind.duty(app)).collect(),
    }
}
