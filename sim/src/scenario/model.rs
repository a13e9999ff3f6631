//! What a scenario says, once it is read and found possible.

use std::sync::Arc;

use seedlog::client::consumer::assignor::CustomAssignor;
use seedlog::config::{
    AdminConfig, BrokerConfig, ConsumerConfig, ControllerConfig, ProducerConfig, QuorumConfig,
};
use seedlog::defect::Defects;
use seedlog::event::TransactionState;
use seedlog::time::Duration;

use super::draw::Draw;
use super::group::GroupWork;
use super::script::Step;
use super::transactions::Transactions;
use super::value::{Range, Ratio, Span};
use crate::app::{AppTable, FeedTable};

/// One situation and the claim that it tests.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// The file as the user named it.
    pub file: Arc<str>,
    pub claim: String,
    /// The `--set` overrides it was read with, for the line that reproduces a run.
    pub overrides: Vec<String>,
    /// The seed of a run that names none.
    pub seed: u64,
    pub cluster: Cluster,
    pub topics: Vec<Topic>,
    pub broker: BrokerConfig,
    pub controller: ControllerConfig,
    pub quorum: QuorumConfig,
    pub producer: ProducerConfig,
    pub consumer: ConsumerConfig,
    pub admin: AdminConfig,
    pub defects: Defects,
    pub phases: Phases,
    pub network: Network,
    pub disk: Disk,
    pub clock: Clock,
    pub faults: Vec<Fault>,
    /// Draws per seed which faults exist, and how often they strike.
    pub swarm: bool,
    pub atlas: Atlas,
    pub workload: Workload,
    /// Some consumers are members of a group.
    pub group: Option<GroupWork>,
    /// How a leader among its members shares out partitions, if a user says.
    pub assignor: Option<CustomAssignor>,
    /// Some producers send transactions.
    pub transactions: Option<Transactions>,
    /// Their processes are x1, x2, .. in this order.
    pub apps: Vec<Arc<AppTable>>,
    /// The store of those that want one.
    pub store: Option<Arc<AppTable>>,
    /// Named f1, f2, ..
    pub feeds: Vec<Arc<FeedTable>>,
    pub steps: Vec<Step>,
    pub require: Vec<Requirement>,
    /// Which promise a run breaks first, by its code, one of these: what a scenario of the zoo says
    /// of its switch.
    pub violates: Vec<Arc<str>>,
    /// Settings that each run draws.
    pub draws: Vec<Draw>,
    /// What this run has drawn.
    pub drawn: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Named b1, b2, .. with node ids 1, 2, ..
    pub brokers: u32,
    /// Named c1, c2, .. with node ids 101, 102, ..
    pub controllers: u32,
    /// Given to the brokers in turn; empty: no racks.
    pub racks: Vec<String>,
}

/// The node id of the first controller is one above this.
pub const CONTROLLER_BASE: i32 = 100;

/// A topic that exists before the workload starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub name: Arc<str>,
    pub partitions: u32,
    pub replication_factor: u32,
    /// Broker numbers by partition; empty: the controller places them.
    pub assignments: Vec<Vec<u32>>,
    /// Under Kafka's names: what `[topic]` and the topic's own `config` say.
    pub config: Vec<(Arc<str>, Arc<str>)>,
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Until the cluster serves and the topics exist; not reached in time: undecided.
    pub boot: Duration,
    /// Faults rage. A script ends this phase when it ends.
    pub safety: Duration,
    /// A core heals and has to make progress; zero: no such phase.
    pub liveness: Duration,
}

/// Which faults are survivable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atlas {
    /// Off: anything goes, and only safety is checked. None: on, or what a swarm draws.
    pub on: Option<bool>,
    /// Brokers that may be away (down, paused, cut off) at the same time.
    pub brokers: u32,
    /// Controllers that may be away at the same time.
    pub controllers: u32,
    /// What a run has to have done, besides, where its faults stop short.
    pub require: Vec<Requirement>,
}

/// The network's own manners, on every link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub delay: Span,
    pub loss: RatioRange,
    pub duplicate: RatioRange,
    pub reorder: RatioRange,
    pub corrupt: RatioRange,
    pub reset: RatioRange,
    /// A message that is lost with all that follow on its connection, until that is given up.
    pub breaks: RatioRange,
    /// A message that arrives once more from an old connection.
    pub ghost: RatioRange,
}

/// A probability between two bounds: a seed draws which, so that runs differ in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatioRange {
    pub low: Ratio,
    pub high: Ratio,
}

impl RatioRange {
    pub const NEVER: RatioRange = RatioRange { low: Ratio::NEVER, high: Ratio::NEVER };
}

/// How long disks take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub append: Span,
    pub flush: Span,
    pub save: Span,
    pub load: Span,
}

/// How wrong clocks are, drawn per server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Ahead or behind by up to so much.
    pub skew: Span,
    /// Faster or slower by up to so many parts per million.
    pub drift_ppm: Range,
}

/// A source of faults: again and again, one of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    pub target: Target,
    /// Not before a coordinator tells that some transaction has come to this state; then at once,
    /// and that coordinator.
    pub when: Option<TransactionState>,
    /// Between the end of one and the begin of the next.
    pub every: Span,
    /// How long one lasts.
    pub lasts: Span,
    /// Whether it exists at all in a run, drawn by seed.
    pub exists: Ratio,
    /// How much, where the kind has a measure: a disk's slowness, a clock's jump, a link's delay.
    pub amount: Span,
    /// At most so many; 0: no limit.
    pub count: u64,
}

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];
            /// The names that scenarios use.
            pub const NAMES: &'static [&'static str] = &[$($text,)*];

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == text)
            }
        }
    };
}

pub(super) use named;

named!(
    /// What a fault source does.
    FaultKind {
        /// The process dies, its page cache stays; it starts again after `for`.
        Crash = "crash",
        /// The machine loses power: what was not flushed is lost, kept or torn.
        Power = "power",
        /// It stands still (a long GC), and comes back as a zombie.
        Pause = "pause",
        /// Its disk is replaced by an empty one.
        Wipe = "wipe",
        /// A controlled shutdown, then a start.
        Shutdown = "shutdown",
        /// Cut off from everybody, both ways.
        Isolate = "isolate",
        /// It sends, but hears nothing.
        Deafen = "deafen",
        /// It hears, but nothing it sends arrives.
        Mute = "mute",
        /// All processes fall into two groups that do not hear each other.
        Split = "split",
        /// One link, one way.
        Cut = "cut",
        /// One link, one way: messages queue, and arrive all at once at the end.
        Clog = "clog",
        /// All connections of a process are reset.
        Reset = "reset",
        /// One link, one way, takes `amount` longer.
        Lag = "lag",
        /// The disk answers `amount` later.
        DiskSlow = "disk-slow",
        /// The disk does nothing for a while.
        DiskStall = "disk-stall",
        /// The next write fails.
        DiskError = "disk-error",
        /// Every write fails until there is space again.
        DiskFull = "disk-full",
        /// A bit flips in what is stored; it is noticed when the process next reads it.
        DiskRot = "disk-rot",
        /// The wall clock jumps by up to `amount`, either way.
        ClockJump = "clock-jump",
        /// The wall clock stands still.
        ClockFreeze = "clock-freeze",
        /// A random partition moves to other replicas.
        Reassign = "reassign",
        /// Preferred leaders are elected.
        Elect = "elect",
        /// A topic beside the workload's is made and removed.
        Churn = "churn",
        /// A topic's settings change and change back.
        Configure = "configure",
        /// A topic beside the workload's gets more partitions.
        Grow = "grow",
        /// All processes one after the other: a rolling restart.
        Roll = "roll",
    }
);

named!(
    /// Whom a fault strikes.
    Target {
        Broker = "broker",
        Controller = "controller",
        /// A broker or a controller.
        Server = "server",
        /// The leader of a random partition.
        Leader = "leader",
        /// A broker that follows a random partition.
        Follower = "follower",
        ActiveController = "active-controller",
        /// The broker that coordinates some group.
        GroupCoordinator = "group-coordinator",
        /// The broker that coordinates some transactions.
        TransactionCoordinator = "transaction-coordinator",
        Producer = "producer",
        Consumer = "consumer",
        App = "app",
        Feed = "feed",
        /// It keeps everything in memory: nobody else means it, and it cannot crash.
        Store = "store",
        Client = "client",
        Anyone = "anyone",
    }
);

/// What the clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Named p1, p2, ..
    pub producers: u32,
    /// Named k1, k2, ..; each reads all partitions of all topics from the start, unless it is a
    /// member of a group.
    pub consumers: u32,
    /// Time between two sends of one producer.
    pub every: Span,
    /// Distinct keys of one producer; 0: records without keys.
    pub keys: u64,
    /// Bytes of a value beside its identity.
    pub padding: Range,
    /// Sends that a producer may have unanswered.
    pub pending: u64,
    /// Stop after so many records of each producer; 0: go on.
    pub records: u64,
    /// Off: only a script sends.
    pub automatic: bool,
    /// The most records that a poll takes.
    pub poll_records: u64,
    /// What producers send to: all topics but those that feeds and applications write.
    pub topics: Vec<Arc<str>>,
}

/// What a run has to have done, or it is undecided: `acked >= 100`, `fault.crash >= 1`, `check.R4
/// >= 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// `acked`, `consumed`, `consumed.percent` (per 100 acknowledged), `leaders`, `controllers`,
    /// `fault.KIND`, `check.CODE`, `sometimes.NAME`.
    pub name: String,
    pub at_least: u64,
}
