//! Checkers: what must stay true.
//!
//! The oracle sees every effect of every process and keeps ghost state that no process can see:
//! what each replica's disk holds, and what was ever committed. Every check is incremental, so that
//! all of them run after every event. Codes are those of the protocol page: R (replication), K
//! (metadata quorum), P (producers), T (transactions), G (groups), A and L (applications), J (the
//! Jepsen Kafka anomalies).
//!
//! What it hears comes in by three doors: `server` (effects of brokers and controllers), `outcome`
//! (what clients are told) and `application` (what applications say). The first finds out what is
//! `committed`, and keeps the `metadata` image.

mod application;
mod client;
mod committed;
mod cycle;
mod ghost;
mod group;
mod metadata;
mod outcome;
mod partition;
mod payload;
mod producer;
mod quorum;
mod retry;
mod server;
mod tally;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::config::{IsolationLevel, OffsetReset};
use seedlog::ids::{NodeId, Offset, PartitionId, TopicId, TopicName};
use seedlog::metadata::Image;
use seedlog::time::{Duration, Instant};

use application::Applications;
#[cfg(test)]
pub use application::testing;
pub use application::{
    Content, DeterministicFold, Duty, Function, Invariant, Makes, Pipeline, Posted, Promise,
    Reader, Values, Visible,
};
pub(crate) use application::{claim, identity};
use client::Ledger;
pub use client::Promises;
use cycle::Cycles;
pub use cycle::LedgerCycles;
use group::Groups;
use partition::{Partition, Surroundings};
pub use payload::RecordId;
use quorum::Quorum;
use server::Node;
use tally::Tally;
pub use tally::{Check, Count, Violation};
use transaction::Transactions;
pub use transaction::{Decision, TransactionRef};

/// What the oracle has to know beforehand.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    pub voters: Vec<NodeId>,
    pub promises: Promises,
    /// Where sequences wrap.
    pub sequence_max: i32,
    /// Whether partitions keep eligible leader replicas (KIP-966).
    pub elr_enabled: bool,
    /// What consumers read whose polls are told.
    pub isolation: IsolationLevel,
    /// Where consumers begin that have no place.
    pub reset: OffsetReset,
    /// So long a transaction may be ongoing: a producer's time for it, and until its coordinator
    /// has noticed that it is over.
    pub transaction_limit: Duration,
    /// Applications, and what they promise.
    pub pipelines: Vec<Pipeline>,
    /// Applications that promise something of records that nobody else knows.
    pub duties: Vec<Duty>,
}

/// All checkers of one run.
#[derive(Clone, Debug)]
pub struct Checkers {
    settings: CheckSettings,
    tally: Tally,
    quorum: Quorum,
    image: Image,
    partitions: IndexMap<PartitionId, Partition, FxBuildHasher>,
    /// Names that topics had: one made again meets sessions that are older than it.
    names: BTreeSet<TopicName>,
    reborn: BTreeMap<TopicId, Birth>,
    nodes: BTreeMap<NodeId, Node>,
    ledger: Ledger,
    transactions: Transactions,
    groups: Groups,
    applications: Applications,
    cycles: Cycles,
    asked: Option<retry::Asked>,
}

/// When a topic was made that others had the name of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Birth {
    /// The number of the event.
    event: u64,
    /// Where in the metadata log.
    at: Offset,
}

/// Whether a broker runs in the incarnation that the controller has registered.
fn is_current(image: &Image, nodes: &BTreeMap<NodeId, Node>, node: NodeId) -> bool {
    let Some(state) = nodes.get(&node) else { return false };
    let Some(broker) = image.brokers.get(&node) else { return false };
    state.running && state.registered == Some(broker.epoch)
}

fn min_insync_replicas(image: &Image, id: PartitionId) -> usize {
    let replicas = image.partition(id).map_or(1, |partition| partition.replicas.len());
    let configured = image.topic_config(id.topic).map_or(1, |config| config.min_insync_replicas);
    usize::try_from(configured).unwrap_or(usize::MAX).min(replicas).max(1)
}

impl Checkers {
    #[must_use]
    pub fn new(settings: CheckSettings) -> Self {
        let quorum = Quorum::new(settings.voters.iter().copied());
        let applications = Applications::new(&settings.pipelines, &settings.duties);
        Checkers {
            settings,
            tally: Tally::default(),
            quorum,
            image: Image::default(),
            partitions: IndexMap::default(),
            names: BTreeSet::new(),
            reborn: BTreeMap::new(),
            nodes: BTreeMap::new(),
            ledger: Ledger::default(),
            transactions: Transactions::default(),
            groups: Groups::default(),
            applications,
            cycles: Cycles::default(),
            asked: None,
        }
    }

    /// Splits the oracle: a partition to work on, what surrounds it, and the tally.
    fn with_partition<T>(
        &mut self,
        id: PartitionId,
        work: impl FnOnce(&mut Partition, &Surroundings<'_>, &mut Tally) -> T,
    ) -> T {
        let Checkers { image, partitions, nodes, tally, .. } = self;
        let current = |node: NodeId| is_current(image, nodes, node);
        let around = Surroundings {
            image: image.partition(id).map(|partition| &**partition),
            min_insync_replicas: min_insync_replicas(image, id),
            current: &current,
        };
        let partition = partitions.entry(id).or_insert_with(|| Partition::new(id));
        work(partition, &around, tally)
    }

    /// Sets the simulated time and the number of the event that comes next.
    pub fn at(&mut self, now: Instant, event: u64) {
        self.tally.at(now, event);
    }

    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.tally.violations()
    }

    #[must_use]
    pub fn count(&self, check: Check) -> Count {
        self.tally.count(check)
    }

    /// The committed metadata, as the oracle has read it from the log.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The network may deliver one message twice, which no connection does. A batch that was
    /// refused as out of order is then no proof that its other copy is not appended later, and a
    /// producer that sends it again in a new session makes a second one (`message_chaos` seed 96
    /// with five requests in flight). Within a session P2 still counts.
    pub fn excuse_second_copies(&mut self) {
        self.settings.promises.no_duplicates = false;
    }

    /// How many commits of members that had lost their place were refused.
    #[must_use]
    pub fn refused_commits(&self) -> u64 {
        self.groups.refused()
    }

    /// How far a partition was ever committed.
    #[must_use]
    pub fn committed_end(&self, id: PartitionId) -> Offset {
        self.partitions.get(&id).map_or(Offset::ZERO, Partition::true_high_watermark)
    }

    /// How many batches the oracle keeps, and how many records it can look up.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let partitions = self.partitions.values().map(Partition::batches);
        let others = self.transactions.size() + self.groups.size() + self.cycles.size();
        (partitions.sum::<usize>() + self.quorum.batches(), self.ledger.size() + others)
    }
}
