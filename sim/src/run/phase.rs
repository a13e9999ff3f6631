//! A run's life: the cluster boots, faults rage, a core heals and has to make progress.

use seedlog::event::AstrayNote;
use seedlog::ids::CallId;
use seedlog::message::{Request, admin};
use seedlog::time::{Duration, Instant};

use super::{Run, Stop, Token};
use crate::check::{Check, Checkers};
use crate::cluster::{world_ratio, world_span};
use crate::scenario::RatioRange;
use crate::scenario::script::{Part, Role};
use crate::scenario::value::Ratio;
use crate::workload::created;
use crate::world::{Draw as _, NetworkFaults, ProcessId, Subject};

/// Where a run is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Servers start; topics are made.
    Boot {
        until: Instant,
        topics: Topics,
    },
    /// Faults and scripts.
    Safety {
        until: Instant,
    },
    /// The core is healthy and must make progress.
    Liveness {
        until: Instant,
        probes: Probes,
    },
    /// Producers have stopped; consumers read to the end.
    Drain {
        until: Instant,
    },
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    NotYet,
    Asked(CallId),
    Made,
}

/// Records that prove progress: one to each partition, again until each is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    /// By topic and partition: the acknowledged offset when the phase began.
    before: Vec<Vec<i64>>,
    next: Instant,
}

/// How often slow conditions are looked at.
pub const TICK: Duration = Duration::from_millis(50);
/// Between two rounds of probes.
const PROBE: Duration = Duration::from_secs(2);

impl Run {
    /// Begins: servers and the admin client start.
    pub(super) fn boot(&mut self) {
        let servers: Vec<ProcessId> = self.cluster.servers().collect();
        for process in servers {
            self.set_clock(process);
            self.world.start(process, &mut self.watch);
        }
        let admin = self.cluster.admin();
        self.world.start(admin, &mut self.watch);
        let until = self.world.now() + self.scenario.phases.boot;
        self.phase = Phase::Boot { until, topics: Topics::NotYet };
        self.world.control(self.world.now() + TICK, Token::Tick.encode());
    }

    /// Draws how wrong a server's clock is.
    fn set_clock(&mut self, process: ProcessId) {
        let clock = &self.scenario.clock;
        let mut rng = self.world.seed().stream("clock", u64::from(process.0), 0);
        let mut dice = self.world.dice(Subject::Clock(process), &mut rng);
        let skew = (clock.skew.high > Duration::ZERO).then(|| {
            let ms = seedlog::time::millis(clock.skew.draw(&mut dice));
            if dice.chance(1, 2) { ms } else { -ms }
        });
        let drift = (clock.drift_ppm.high > 0).then(|| {
            let ppm = clock.drift_ppm.draw(&mut dice);
            let ppm = i32::try_from(ppm).expect("the range was checked");
            if dice.chance(1, 2) { ppm } else { -ppm }
        });
        if let Some(ms) = skew {
            self.world.skew_clock(process, ms);
        }
        if let Some(ppm) = drift {
            self.world.drift_clock(process, ppm);
        }
    }

    /// Looks at what the phase waits for.
    pub(super) fn tick(&mut self) {
        self.refresh_image();
        let now = self.world.now();
        match self.phase.clone() {
            Phase::Boot { until, topics } => self.tick_boot(until, topics),
            Phase::Safety { until } => {
                let over = match self.script.is_empty() {
                    true => now >= until,
                    false => !self.script.is_running(),
                };
                if over {
                    self.end_safety();
                }
            }
            Phase::Liveness { until, probes } => self.tick_liveness(until, probes),
            Phase::Drain { until } => self.tick_drain(until),
            Phase::Over => return,
        }
        if self.phase != Phase::Over {
            self.world.control(now + TICK, Token::Tick.encode());
        }
    }

    fn tick_boot(&mut self, until: Instant, topics: Topics) {
        let next = match topics {
            Topics::NotYet => Topics::Asked(self.ask_for_topics()),
            Topics::Asked(call) => match self.workload.admin.take(call) {
                None => Topics::Asked(call),
                Some(outcome) => match created(&outcome) {
                    Ok(()) => Topics::Made,
                    Err(_) => Topics::NotYet,
                },
            },
            Topics::Made => match self.not_served() {
                None => return self.begin_safety(),
                Some(_) => Topics::Made,
            },
        };
        if self.world.now() >= until {
            let why = match next {
                Topics::Made => self.not_served().unwrap_or_default(),
                Topics::NotYet | Topics::Asked(_) => "the topics were not made".to_string(),
            };
            self.stop = Some(Stop::Undecided(format!("the cluster did not boot: {why}")));
            return;
        }
        self.phase = Phase::Boot { until, topics: next };
    }

    fn ask_for_topics(&mut self) -> CallId {
        let topics = self.scenario.topics.iter().map(|topic| {
            let placed = !topic.assignments.is_empty();
            let rows = (0..).zip(&topic.assignments);
            let node = |broker: &u32| {
                seedlog::ids::NodeId(i32::try_from(*broker).expect("the range was checked"))
            };
            let count = i32::try_from(topic.partitions).expect("the range was checked");
            let factor = i16::try_from(topic.replication_factor).expect("the range was checked");
            admin::CreatableTopic {
                name: topic.name.clone(),
                num_partitions: if placed { -1 } else { count },
                replication_factor: if placed { -1 } else { factor },
                assignments: rows.map(|(i, row)| (i, row.iter().map(node).collect())).collect(),
                configs: topic
                    .config
                    .iter()
                    .map(|(name, value)| (name.clone(), Some(value.clone())))
                    .collect(),
            }
        });
        let request = admin::CreateTopicsRequest {
            timeout: Duration::from_secs(10),
            validate_only: false,
            topics: topics.collect(),
        };
        self.workload.admin.ask_and_wait(&mut self.world, Request::CreateTopics(request))
    }

    /// What is missing until every broker serves and every partition has its whole ISR.
    fn not_served(&self) -> Option<String> {
        let view = self.view();
        for broker in self.cluster.all(Role::Broker) {
            if !view.serves(broker) {
                return Some(format!("{} does not serve", self.cluster.who(broker)));
            }
        }
        self.partitions().into_iter().find_map(|part| match view.partition(&part) {
            None => Some(format!("{part} does not exist")),
            Some(state) if view.process(state.leader).is_none() => {
                Some(format!("{part} has no leader"))
            }
            Some(state) if state.isr.len() < state.replicas.len() => {
                Some(format!("{part} has ISR {:?} of {:?}", state.isr, state.replicas))
            }
            Some(_) => None,
        })
    }

    /// All partitions of the scenario's topics.
    #[must_use]
    pub fn partitions(&self) -> Vec<Part> {
        let topics = self.scenario.topics.iter();
        let parts = topics.flat_map(|topic| {
            let count = i32::try_from(topic.partitions).expect("the range was checked");
            (0..count).map(|partition| Part { topic: topic.name.clone(), partition })
        });
        parts.collect()
    }

    fn begin_safety(&mut self) {
        self.network = self.draw_network();
        self.world.set_network(self.network.clone());
        let doubles = self.network.duplicate.numerator > 0;
        if doubles
            && self.scenario.producer.max_in_flight > 1
            && let Some(checkers) = &mut self.watch.checkers
        {
            checkers.excuse_second_copies();
        }
        let clients: Vec<ProcessId> = self.cluster.clients().collect();
        for process in clients {
            if !self.world.is_up(process) {
                self.world.start(process, &mut self.watch);
            }
        }
        let until = self.world.now() + self.scenario.phases.safety;
        self.phase = Phase::Safety { until };
        self.set_sending(self.scenario.workload.automatic);
        self.begin_faults();
        if !self.script.is_empty() {
            self.begin_script();
        }
    }

    /// The network's manners in this run, drawn once.
    fn draw_network(&mut self) -> NetworkFaults {
        let said = &self.scenario.network;
        let mut rng = self.world.seed().stream("network", 0, 0);
        let mut dice = self.world.dice(Subject::Network, &mut rng);
        // Half of a swarm's networks are TCP's: whole connections break there, single messages
        // neither vanish nor double nor overtake.
        let is_tcp = self.scenario.swarm && dice.under(2) == 0;
        let single = |range: RatioRange| if is_tcp { RatioRange::NEVER } else { range };
        let mut draw = |range: RatioRange| {
            if range.low == range.high {
                return world_ratio(range.low);
            }
            // Between the two in steps of a thousandth of their distance.
            let (low, high) = (range.low, range.high);
            let scale = u64::from(u32::MAX) / 1_000;
            let fine = |ratio: Ratio| {
                u128::from(ratio.numerator) * u128::from(scale) / u128::from(ratio.denominator)
            };
            let step = u128::from(dice.under(1_001));
            let between = fine(low) + (fine(high) - fine(low)) * step / 1_000;
            world_ratio(Ratio::new(u64::try_from(between).expect("below the scale"), scale))
        };
        NetworkFaults {
            latency: world_span(said.delay),
            loss: draw(single(said.loss)),
            duplicate: draw(single(said.duplicate)),
            corrupt: draw(said.corrupt),
            reset: draw(said.reset),
            breaks: draw(said.breaks),
            reorder: draw(single(said.reorder)),
            old_connection: draw(said.ghost),
            ..NetworkFaults::default()
        }
    }

    fn end_safety(&mut self) {
        self.end_faults();
        self.watch.apps.took(self.scenario.phases.safety, self.world.now());
        if self.scenario.phases.liveness == Duration::ZERO || !self.atlas_on {
            return self.finish();
        }
        self.heal_core();
        let now = self.world.now();
        let probes = Probes { before: self.workload.acked.clone(), next: now };
        let until = now + self.scenario.phases.liveness;
        self.set_sending(false);
        self.phase = Phase::Liveness { until, probes };
    }

    fn tick_liveness(&mut self, until: Instant, mut probes: Probes) {
        let now = self.world.now();
        let Some(missing) = self.no_progress(&probes) else {
            self.phase = Phase::Drain { until };
            return;
        };
        if now >= until {
            return self.stuck(missing);
        }
        if now >= probes.next && self.send_probes() {
            probes.next = now + PROBE;
        }
        self.phase = Phase::Liveness { until, probes };
    }

    /// There is no progress. A transaction that nobody has ended in time is reason enough.
    fn stuck(&mut self, missing: String) {
        let checkers = self.watch.checkers.as_ref();
        match checkers.and_then(Checkers::hanging_transaction) {
            Some(open) => {
                let check = Check::NoHangingTransaction;
                let detail = format!("{open}; {missing}");
                self.violate(check.code(), check.name(), check.claim(), detail);
            }
            None => self.violate("L0", "Progress", PROGRESS, missing),
        }
    }

    /// An application waits for a topic that will never be there.
    pub(super) fn heed_strays(&mut self) {
        let Some(note) = self.watch.apps.astray.take() else { return };
        self.refresh_image();
        if self.image.names.contains_key(&note.to) {
            return;
        }
        let app = self.scenario.apps.iter().find(|app| app.group == note.group);
        let name = app.map_or(&*note.group, |app| &*app.name);
        let AstrayNote { topic, partition, offset, to, .. } = &note;
        let detail = format!(
            "the {name} emits for {topic}-{partition} offset {offset} to topic {to:?}, which does \
             not exist: that record will never be done"
        );
        self.violate("L0", "Progress", PROGRESS, detail);
    }

    /// What has not made progress since the core was healed.
    fn no_progress(&self, probes: &Probes) -> Option<String> {
        let view = self.view();
        for part in self.partitions() {
            let Some(state) = view.partition(&part) else {
                return Some(format!("{part} is gone"));
            };
            if view.process(state.leader).is_none() {
                return Some(format!("{part} has no leader"));
            }
            let core = |node: &&seedlog::ids::NodeId| {
                view.process(**node).is_some_and(|process| self.core.contains(&process))
            };
            if let Some(node) =
                state.replicas.iter().filter(core).find(|node| !state.isr.contains(node))
            {
                return Some(format!("broker {node} does not come back into the ISR of {part}"));
            }
        }
        if !self.workload.producers.is_empty() && self.promises_acks() {
            let after = self.workload.acked.iter().zip(&probes.before);
            let written = &self.scenario.workload.topics;
            let topics = after.zip(&self.scenario.topics);
            for ((after, before), topic) in topics.filter(|(_, t)| written.contains(&t.name)) {
                let stuck = after.iter().zip(before).position(|(after, before)| after <= before);
                if let Some(partition) = stuck {
                    let name = &topic.name;
                    return Some(format!("no send to {name}-{partition} is acknowledged"));
                }
            }
        }
        None
    }

    /// Where logs begin, by topic and partition; 0 where nobody leads.
    fn log_starts(&self) -> Vec<Vec<i64>> {
        let view = self.view();
        let start = |part: &Part| {
            let leader = view.process(view.partition(part)?.leader)?;
            Some(view.replica(leader, view.id(part)?)?.start.0)
        };
        let mut starts: Vec<Vec<i64>> = Vec::new();
        for topic in &self.scenario.topics {
            let count = i32::try_from(topic.partitions).expect("the range was checked");
            let parts = (0..count).map(|partition| Part { topic: topic.name.clone(), partition });
            starts.push(parts.map(|part| start(&part).unwrap_or(0)).collect());
        }
        starts
    }

    fn tick_drain(&mut self, until: Instant) {
        let pending = self.workload.pending();
        // What an application does not make is read by nobody: it comes first.
        let unread = self.unprocessed();
        let unread = unread.or_else(|| self.workload.unread(&self.log_starts()));
        let unread = unread.or_else(|| self.workload.unfinished());
        let checkers = self.watch.checkers.as_ref();
        let unread = unread.or_else(|| checkers.and_then(Checkers::open_transaction));
        if pending == 0 && unread.is_none() {
            if let Some(checkers) = &mut self.watch.checkers {
                checkers.at(self.world.now(), self.world.events());
                checkers.ended();
            }
            return self.finish();
        }
        if self.world.now() >= until {
            let pending = || format!("{pending} sends have no answer");
            let missing = unread.unwrap_or_else(pending);
            self.stuck(missing);
        }
    }
}

const PROGRESS: &str = "once a large enough core is healthy, partitions have leaders and whole \
                        ISRs, sends are acknowledged, and consumers and applications read \
                        everything";
