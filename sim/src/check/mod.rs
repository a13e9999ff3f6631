//! Checkers: what must stay true.
//!
//! The oracle sees every effect of every process and keeps ghost state that no process can see:
//! what
//! each replica's disk holds, and what was ever committed. Every check is incremental, so that all
//! of
//! them run after every event. Codes are those of the protocol page: R (replication), K (metadata
//! quorum), P (producers), J (the Jepsen Kafka anomalies).

mod application;
mod client;
mod cycle;
mod ghost;
mod group;
mod partition;
mod payload;
mod producer;
mod quorum;
mod retry;
mod tally;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::config::{IsolationLevel, OffsetReset};
use seedlog::event::Event;
use seedlog::ids::{
    BrokerEpoch, ConnId, CorrelationId, LogId, NodeId, Offset, PartitionId, TopicId, TopicName,
};
use seedlog::log;
use seedlog::machine::{Effect, FileKey, LogName, Survived};
use seedlog::message::Response;
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::metadata::{BrokerImage, Image, MetadataRecord, PartitionImage};
use seedlog::op::ConsumedRecord;
use seedlog::raft::snapshot_point;
use seedlog::record::{self, BatchHeader};
use seedlog::time::Instant;

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
use ghost::{GhostBatch, Survivor};
use group::Groups;
use partition::{Partition, Surroundings};
pub use payload::RecordId;
use quorum::Quorum;
use tally::Tally;
pub use tally::{Check, Count, Violation};
use transaction::{Closed, Transactions};
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

/// What the oracle knows of one server.
#[derive(Clone, Debug, Default)]
struct Node {
    running: bool,
    /// The epoch that the running incarnation got.
    registered: Option<BrokerEpoch>,
    logs: BTreeMap<LogId, GhostName>,
    /// How much of the metadata log it has applied.
    applied: Offset,
}

/// When a topic was made that others had the name of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Birth {
    /// The number of the event.
    event: u64,
    /// Where in the metadata log.
    at: Offset,
}

/// Which log a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GhostName {
    Metadata,
    Partition(PartitionId),
}

impl From<&LogName> for GhostName {
    fn from(name: &LogName) -> Self {
        match name {
            LogName::Metadata => GhostName::Metadata,
            LogName::Partition { id, .. } => GhostName::Partition(*id),
        }
    }
}

/// Splits the oracle: a partition to work on, what surrounds it, and the tally.
macro_rules! with_partition {
    ($self:ident, $id:expr, |$partition:ident, $around:ident, $tally:ident| $body:expr) => {{
        let Checkers { image, partitions, nodes, tally: $tally, .. } = $self;
        let id: PartitionId = $id;
        let current = |node: NodeId| is_current(image, nodes, node);
        let $around = &Surroundings {
            image: image.partition(id).map(|partition| &**partition),
            min_insync_replicas: min_insync_replicas(image, id),
            current: &current,
        };
        let $partition = partitions.entry(id).or_insert_with(|| Partition::new(id));
        $body
    }};
}

/// Whether a broker runs in the incarnation that the controller has registered.
fn is_current(image: &Image, nodes: &BTreeMap<NodeId, Node>, node: NodeId) -> bool {
    let Some(state) = nodes.get(&node) else { return false };
    let Some(broker) = image.brokers.get(&node) else { return false };
    state.running && state.registered == Some(broker.epoch)
}

/// Whether a leader comes from outside of ISR and ELR where that is allowed: by the topic's config,
/// or as the last known leader of a partition that has neither any more (KIP-966). `restarted` are
/// those whose new incarnations registered in the same step: that takes them out of both
/// (`disk_faults` with the atlas off, seed 7).
fn elected_unclean(
    allowed: bool,
    old: &PartitionImage,
    new: &PartitionImage,
    restarted: &BTreeSet<NodeId>,
) -> bool {
    let elected = new.leader != NodeId::NONE && new.leader != old.leader;
    let candidate = old.isr.contains(&new.leader) || old.elr.contains(&new.leader);
    let nobody = old.isr.iter().chain(&*old.elr).all(|node| restarted.contains(node));
    let last_known = nobody && old.last_known_elr.first() == Some(&new.leader);
    elected && !candidate && (allowed || last_known)
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

    /// A server process starts with what its disk kept.
    pub fn started(&mut self, node: NodeId, survived: &Survived) {
        let state = self.nodes.entry(node).or_default();
        state.running = true;
        state.registered = None;
        state.applied = Offset::NONE;
        state.logs =
            survived.logs.iter().map(|log| (log.log, GhostName::from(&*log.name))).collect();
        let snapshot = survived.file(FileKey::Snapshot).cloned().and_then(snapshot_point);
        for log in &survived.logs {
            match GhostName::from(&*log.name) {
                GhostName::Metadata => {
                    let log = Survivor::read(&log.chunks).log;
                    self.quorum.survived(node, log, snapshot.map(|point| point.offset));
                }
                GhostName::Partition(id) => {
                    with_partition!(self, id, |partition, around, tally| {
                        let survivor = Survivor::read(&log.chunks);
                        partition.survived(node, survivor, around, tally);
                    })
                }
            }
        }
    }

    /// A server process is gone: crashed, shut down, or without power.
    pub fn stopped(&mut self, node: NodeId) {
        let state = self.nodes.entry(node).or_default();
        state.running = false;
        state.registered = None;
    }

    /// A server's disk was wiped.
    pub fn wiped(&mut self, node: NodeId) {
        let logs = std::mem::take(&mut self.nodes.entry(node).or_default().logs);
        for name in logs.into_values() {
            match name {
                GhostName::Metadata => self.quorum.wiped(node),
                GhostName::Partition(id) => {
                    with_partition!(self, id, |partition, around, tally| {
                        partition.removed(node, true, around, tally);
                    });
                    self.forget_if_gone(id);
                }
            }
        }
    }

    /// `Input::Flushed` was delivered.
    pub fn flushed(&mut self, node: NodeId, log: LogId, upto: Offset) {
        if self.name(node, log) == Some(GhostName::Metadata) {
            self.quorum.flushed(node, upto);
        }
    }

    fn name(&self, node: NodeId, log: LogId) -> Option<GhostName> {
        self.nodes.get(&node)?.logs.get(&log).copied()
    }

    /// A server's step had these effects; they are not carried out yet.
    pub fn effects(&mut self, node: NodeId, effects: &[Effect]) {
        for effect in effects {
            self.effect(node, effect);
        }
    }

    fn effect(&mut self, node: NodeId, effect: &Effect) {
        match effect {
            Effect::Create { log, name } => {
                let name = GhostName::from(&**name);
                self.nodes.entry(node).or_default().logs.insert(*log, name);
            }
            Effect::Append { log, batch, .. } => self.appended(node, *log, batch),
            Effect::Truncate { log, to } => match self.name(node, *log) {
                Some(GhostName::Metadata) => self.quorum.truncated(node, *to),
                Some(GhostName::Partition(id)) => {
                    with_partition!(self, id, |partition, around, tally| {
                        partition.truncated(node, *to, around, tally);
                        partition.check_candidates(around, tally);
                    })
                }
                None => {}
            },
            Effect::Trim { log, to } => match self.name(node, *log) {
                Some(GhostName::Metadata) => self.quorum.trimmed(node, *to),
                Some(GhostName::Partition(id)) => {
                    let start = with_partition!(self, id, |partition, _around, _tally| {
                        partition.trimmed(node, *to);
                        partition.committed.start()
                    });
                    self.ledger.trimmed(id, start);
                    self.transactions.trimmed(id, start);
                }
                None => {}
            },
            // The batch that it begins in may stay on disk, which is all that `Trim` tells of.
            Effect::Save { file: FileKey::LogStart(log), value } => {
                if let (Some(GhostName::Partition(id)), Some(start)) =
                    (self.name(node, *log), log::decode_offset(value))
                {
                    with_partition!(self, id, |partition, _around, _tally| {
                        partition.deleted = partition.deleted.max(start);
                    });
                }
            }
            Effect::Remove { log } => self.removed(node, *log),
            Effect::Note(event) => self.noted(node, event),
            Effect::Respond { to, correlation, response } => {
                self.answered(node, (*to, *correlation), response);
            }
            Effect::Connect { .. }
            | Effect::Close { .. }
            | Effect::Send { .. }
            | Effect::Flush { .. }
            | Effect::Rewrite { .. }
            | Effect::Save { .. }
            | Effect::Delete { .. }
            | Effect::Load { .. }
            | Effect::Return { .. }
            | Effect::Halt => {}
        }
    }

    fn answered(&mut self, node: NodeId, to: (ConnId, CorrelationId), response: &Response) {
        if let Response::Fetch(response) = response {
            self.fetch_answered(node, response);
        } else if let Response::Produce(response) = response {
            self.produce_answered(node, to.0, to.1, response);
        } else if let Response::InitProducerId(answer) = response
            && answer.error.is_ok()
        {
            self.producer_answered(answer.producer_id, answer.producer_epoch);
        } else if let Response::OffsetFetch(_)
        | Response::OffsetCommit(_)
        | Response::TxnOffsetCommit(_)
        | Response::SyncGroup(_) = response
        {
            self.group_answered(node, to, response);
        }
    }

    fn appended(&mut self, node: NodeId, log: LogId, batch: &bytes::Bytes) {
        let Some(name) = self.name(node, log) else { return };
        let Some(batch) = GhostBatch::read(batch) else { return };
        match name {
            GhostName::Metadata => self.quorum.appended(node, batch, &mut self.tally),
            GhostName::Partition(id) => with_partition!(self, id, |partition, _around, tally| {
                partition.appended(node, batch, tally);
            }),
        }
    }

    fn removed(&mut self, node: NodeId, log: LogId) {
        let name = self.nodes.get_mut(&node).and_then(|state| state.logs.remove(&log));
        if let Some(GhostName::Partition(id)) = name {
            with_partition!(self, id, |partition, around, tally| {
                partition.removed(node, false, around, tally);
            });
            self.forget_if_gone(id);
        }
    }

    /// Forgets a partition that no broker has on its disk any more and that is of no topic.
    fn forget_if_gone(&mut self, id: PartitionId) {
        let stored = self.partitions.get(&id).is_some_and(|ghost| !ghost.replicas.is_empty());
        if !stored && !self.image.topics.contains_key(&id.topic) {
            self.partitions.swap_remove(&id);
            self.topic_gone(id.topic);
        }
    }

    fn topic_gone(&mut self, topic: TopicId) {
        self.ledger.removed(topic);
        self.transactions.removed(topic);
    }

    fn noted(&mut self, node: NodeId, event: &Event) {
        let Checkers { quorum, tally, .. } = self;
        match event {
            Event::LeaderStarted { partition, leader_epoch, .. } => {
                with_partition!(self, *partition, |ghost, around, tally| {
                    ghost.leader_started(node, *leader_epoch, around, tally);
                });
            }
            Event::HighWatermark { partition, leader_epoch, offset, leads } => {
                let fresh = with_partition!(self, *partition, |ghost, around, tally| {
                    ghost.high_watermark(node, *leader_epoch, *offset, *leads, around, tally)
                });
                self.log_committed(*partition, &fresh);
            }
            Event::Isr { partition, view } => {
                with_partition!(self, *partition, |ghost, around, tally| {
                    ghost.isr_view(node, view.clone(), around, tally);
                });
            }
            Event::Registered { epoch } => {
                self.nodes.entry(node).or_default().registered = Some(*epoch);
                self.check_broker(node);
            }
            Event::Voted { epoch, for_node } => quorum.voted(node, *epoch, *for_node, tally),
            Event::RoleChanged { epoch, role, .. } => quorum.role(node, *epoch, *role, tally),
            Event::QuorumHighWatermark { epoch, offset, leads } => {
                let fresh = quorum.high_watermark(node, *epoch, *offset, *leads, tally);
                self.metadata_committed(&fresh);
            }
            Event::Snapshot { point, loaded } => quorum.snapshot(node, *point, *loaded, tally),
            Event::MetadataApplied { offset, state } | Event::StateApplied { offset, state } => {
                quorum.applied(node, *offset, *state, tally);
                if let Event::MetadataApplied { .. } = event {
                    self.nodes.entry(node).or_default().applied = *offset;
                }
            }
            Event::ControllerReplied { offset, .. } => quorum.replied(node, *offset, tally),
            Event::Transaction(note) => self.transaction_noted(note),
            Event::Group(note) => self.group_noted(note),
            Event::OffsetCommitted(note) => self.offset_noted(note),
            Event::FollowerStarted { .. }
            | Event::ReplicaStopped { .. }
            | Event::Fenced { .. }
            | Event::Application(_)
            | Event::Reset(_)
            | Event::Sometimes(_) => {}
        }
        self.applications.invariants.noted(event, &mut self.tally);
    }

    /// A leader's high watermark has passed these batches, the first to do so.
    fn log_committed(&mut self, id: PartitionId, fresh: &[GhostBatch]) {
        if fresh.is_empty() || self.partitions.get(&id).is_none_or(|ghost| ghost.excused) {
            return;
        }
        let kind = seedlog::coordinator::kind_of(&self.image, id);
        for batch in fresh {
            let Ok(header) = BatchHeader::parse(&batch.bytes) else { continue };
            if kind == Some(CoordinatorKind::Transaction) {
                self.decisions_committed(id.partition, batch);
            } else {
                let closed = self.batch_committed(id, batch, &header);
                if kind == Some(CoordinatorKind::Group) {
                    self.offsets_committed(id, batch, &header, closed.as_ref());
                }
            }
        }
        if kind.is_none() {
            self.show(id);
        }
    }

    /// Gives the end of a transaction, if it is one.
    fn batch_committed(
        &mut self,
        id: PartitionId,
        batch: &GhostBatch,
        header: &BatchHeader,
    ) -> Option<Closed> {
        let Checkers { settings, tally, partitions, ledger, reborn, image, .. } = self;
        let (transactions, applications) = (&mut self.transactions, &self.applications);
        let partition = partitions.get_mut(&id)?;
        let from_birth = !reborn.contains_key(&id.topic);
        let sequences = (settings.sequence_max, from_birth);
        partition.sessions.committed(id, batch, header, sequences, tally);
        let named = image.topics.get(&id.topic).map(|topic| (topic.name.clone(), id.partition));
        let derived = named.as_ref().is_some_and(|(name, _)| applications.derives(name));
        let records: Vec<(RecordId, Offset)> =
            if derived { Vec::new() } else { RecordId::in_batch(&batch.bytes).collect() };
        ledger.committed(id, &records, settings.promises, tally);
        let closed =
            transactions.committed((id, named.as_ref()), batch, header, &records, tally)?;
        if let (true, Some(open), Some(at)) = (closed.commit, &closed.open, closed.decided) {
            let range = (id, open.first, closed.marker);
            self.cycles.wrote((closed.producer, at), range, tally);
        }
        Some(closed)
    }

    /// A broker has just learned its epoch: from now on it counts as a candidate.
    fn check_broker(&mut self, node: NodeId) {
        let candidate: Vec<PartitionId> = self
            .image
            .partitions()
            .filter(|(_, image)| image.isr.contains(&node) || image.elr.contains(&node))
            .map(|(id, _)| id)
            .collect();
        for id in candidate {
            with_partition!(self, id, |partition, around, tally| {
                partition.check_candidates(around, tally);
            });
        }
    }

    /// Applies committed metadata records to the oracle's own image, a batch at once.
    fn metadata_committed(&mut self, fresh: &[GhostBatch]) {
        for batch in fresh {
            let mut touched: BTreeMap<PartitionId, Option<PartitionImage>> = BTreeMap::new();
            let mut restarted = BTreeSet::new();
            for record in record::records(&batch.bytes).unwrap_or_default() {
                let Some(value) = record.value else { continue };
                let Ok(change) = MetadataRecord::decode(&value) else { continue };
                let contradiction = self.image.contradiction(&change, record.offset);
                self.tally.expect(Check::StateMachineAgreement, contradiction.is_none(), || {
                    let rule = contradiction.unwrap_or_default();
                    format!("metadata record {}: {rule}: {change:?}", record.offset)
                });
                if contradiction.is_some() {
                    continue;
                }
                self.before_change(&change, record.offset, &mut touched);
                if let MetadataRecord::RegisterBroker { node, .. } = &change {
                    restarted.insert(*node);
                }
                let _changed = self.image.apply(&change, record.offset);
            }
            for (id, old) in touched {
                self.registration_changed(id, old.as_ref(), &restarted);
            }
        }
    }

    /// Remembers what a record is about to change.
    fn before_change(
        &mut self,
        change: &MetadataRecord,
        at: Offset,
        touched: &mut BTreeMap<PartitionId, Option<PartitionImage>>,
    ) {
        match change {
            MetadataRecord::Partition { id, .. } | MetadataRecord::PartitionChange { id, .. } => {
                let old = self.image.partition(*id).map(|partition| (**partition).clone());
                touched.entry(*id).or_insert(old);
            }
            MetadataRecord::RegisterBroker { node, epoch, incarnation, .. } => {
                let old = self.image.brokers.get(node);
                // KIP-631: a registration that comes again keeps its epoch, and is no record.
                let next =
                    |old: &BrokerImage| old.epoch <= *epoch && old.incarnation != *incarnation;
                self.tally.expect(Check::EpochsMonotone, old.is_none_or(next), || {
                    format!("broker {node}: incarnation {incarnation} gets {epoch} after {old:?}")
                });
            }
            MetadataRecord::Topic { name, id } => {
                if !self.names.insert(name.clone()) {
                    self.reborn.insert(*id, Birth { event: self.tally.event(), at });
                }
            }
            MetadataRecord::RemoveTopic { id } => {
                self.reborn.remove(id);
                self.partitions.retain(|partition, _| partition.topic != *id);
                self.topic_gone(*id);
            }
            MetadataRecord::UnregisterBroker { .. }
            | MetadataRecord::BrokerChange { .. }
            | MetadataRecord::Config { .. }
            | MetadataRecord::ProducerIds { .. }
            | MetadataRecord::NoOp => {}
        }
    }

    fn registration_changed(
        &mut self,
        id: PartitionId,
        old: Option<&PartitionImage>,
        restarted: &BTreeSet<NodeId>,
    ) {
        let elr_enabled = self.settings.elr_enabled;
        let allowed = self.image.topic_config(id.topic).is_some_and(|c| c.unclean_leader_election);
        let both = self.image.partition(id).zip(old);
        let unclean = both.filter(|(new, old)| elected_unclean(allowed, old, new, restarted));
        let unclean = unclean.map(|(new, _)| new.leader);
        let brokers = &self.image.brokers;
        let fenced_now: Vec<NodeId> =
            brokers.iter().filter(|(_, broker)| broker.fenced).map(|(node, _)| *node).collect();
        with_partition!(self, id, |partition, around, tally| {
            if let Some(leader) = unclean {
                partition.elected_unclean(leader);
            }
            let fenced = |node: NodeId| fenced_now.contains(&node);
            partition.registered(old, around, &fenced, elr_enabled, tally);
        });
    }

    fn partition_id(&self, topic: &TopicName, partition: i32) -> Option<PartitionId> {
        Some(PartitionId { topic: *self.image.names.get(topic)?, partition })
    }

    /// A send of a record was acknowledged.
    pub fn acknowledged(
        &mut self,
        topic: &TopicName,
        partition: i32,
        record: RecordId,
        offset: Offset,
    ) {
        let Some(id) = self.partition_id(topic, partition) else { return };
        self.transactions.acknowledged(record, id);
        if offset == Offset::NONE || self.partitions.get(&id).is_some_and(|p| p.excused) {
            return;
        }
        let committed = self.committed_end(id);
        let promises = self.settings.promises;
        self.ledger.acknowledged(id, record, offset, promises, committed, &mut self.tally);
    }

    /// A send failed and surely had no effect.
    pub fn send_failed(&mut self, record: RecordId) {
        self.ledger.send_failed(record, &mut self.tally);
    }

    /// A poll of a consumer delivered records.
    pub fn polled(&mut self, consumer: u32, records: &[ConsumedRecord]) {
        let Checkers { partitions, transactions, applications, ledger, tally, .. } = self;
        let isolation = self.settings.isolation;
        for consumed in records {
            let Some(topic) = self.image.names.get(&consumed.topic) else { continue };
            let id = PartitionId { topic: *topic, partition: consumed.partition };
            let Some(partition) = partitions.get(&id).filter(|ghost| !ghost.excused) else {
                continue;
            };
            let place = (id, consumed.offset);
            let committed = &partition.committed;
            if isolation == IsolationLevel::ReadCommitted {
                transactions.check_read(consumer, place, committed, tally);
            }
            let value = consumed.value.as_ref().filter(|_| !applications.derives(&consumed.topic));
            let record = value.and_then(|value| RecordId::of(value));
            let readable = |batch: &GhostBatch| transactions.is_readable(id, batch, isolation);
            let kept = (committed, partition.deleted);
            ledger.polled(consumer, place, record, kept, &readable, tally);
        }
    }

    /// A consumer process started anew: it may read from anywhere.
    pub fn consumer_gone(&mut self, consumer: u32) {
        self.ledger.consumer_gone(consumer);
    }

    /// A consumer was moved to another place in a partition.
    pub fn consumer_moved(&mut self, consumer: u32, topic: &TopicName, partition: i32) {
        if let Some(id) = self.partition_id(topic, partition) {
            self.ledger.moved(consumer, id);
        }
    }

    /// The run is over, and consumers had time to read everything.
    pub fn ended(&mut self) {
        let Checkers { ledger, partitions, transactions, settings, groups, image, tally, .. } =
            self;
        let is_to_read = |consumer, id: PartitionId| {
            let named = image.topics.get(&id.topic).map(|topic| (topic.name.clone(), id.partition));
            named.is_none_or(|named| groups.is_to_read(consumer, &named))
        };
        let unread = |id, from, to| {
            let committed = &partitions.get(&id)?.committed;
            let readable =
                |batch: &GhostBatch| transactions.is_readable(id, batch, settings.isolation);
            client::skipped(committed, from, to, &readable)
        };
        let excused = |id| partitions.get(&id).is_none_or(|ghost| ghost.excused);
        ledger.ended(excused, is_to_read, unread, tally);
        self.transactions_ended();
        self.applications_ended();
        self.cycles.judge(&mut self.tally);
    }
}
