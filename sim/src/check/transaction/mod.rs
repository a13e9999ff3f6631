//! Transactions: T1-T10.
//!
//! Three views of them are held against each other: what applications asked for and were told
//! ([`client`]), what coordinators decided ([`coordinator`]), and what markers in committed logs
//! make of the records ([`view`]).

mod client;
mod coordinator;
mod cuts;
mod fencing;
mod view;

use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::config::IsolationLevel;
use seedlog::event::{TransactionNote, TransactionState};
use seedlog::ids::{NodeId, Offset, PartitionId, ProducerEpoch, ProducerId, TopicId, TopicName};
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::message::fetch::FetchResponse;
use seedlog::metadata::Image;
use seedlog::op::{Outcome, Position};
use seedlog::record::BatchHeader;
use seedlog::time::{Duration, Instant, millis};

use super::Checkers;
use super::ghost::{GhostBatch, GhostLog};
use super::partition::Partition;
use super::payload::RecordId;
use super::retry::partition_id;
use super::tally::{Check, Tally};
pub use client::{Decision, TransactionRef};
use coordinator::Committed;
pub use view::{Closed, Fate, View};

/// So long coordinators may take to find each other and the leaders of partitions, when all is
/// well.
const SETTLING: Duration = Duration::from_secs(10);

/// Everything the oracle knows of transactions.
#[derive(Clone, Debug, Default)]
pub struct Transactions {
    views: IndexMap<PartitionId, View, FxBuildHasher>,
    coordinators: coordinator::Coordinators,
    clients: client::Clients,
    fences: fencing::Fences,
    cuts: cuts::Cuts,
}

impl Transactions {
    /// A data or control batch of a partition was committed.
    pub fn committed(
        &mut self,
        (id, named): (PartitionId, Option<&(TopicName, i32)>),
        batch: &GhostBatch,
        header: &BatchHeader,
        records: &[(RecordId, Offset)],
        tally: &mut Tally,
    ) -> Option<Closed> {
        if !header.is_transactional() {
            return None;
        }
        if !header.is_control() {
            self.fences.appended(id, batch, header, tally);
        }
        let mut closed = {
            let view = self.views.entry(id).or_default();
            view.committed(batch, header, records, tally.now())?
        };
        let decided = self.coordinators.check_marker(id, named, &closed, tally);
        self.clients.closed(id, &closed, decided, tally);
        closed.decided = decided.map(|(_, at)| at);
        self.marked(id, &closed);
        Some(closed)
    }

    fn marked(&mut self, id: PartitionId, closed: &Closed) {
        if closed.commit {
            let decided = self.coordinators.decision(closed.producer, closed.epoch);
            let blind = self.coordinators.is_blind(closed.producer);
            let decided = decided.filter(|decided| decided.commit && !blind);
            let decision = decided.map(|decided| (closed.producer, decided.at));
            self.cuts.marked((id, closed.marker), decision, closed.open.is_some());
        }
    }

    /// Whether readers of committed data, who see all that was shown, see no transaction in part.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.cuts.is_whole()
    }

    /// What became of a batch's records.
    #[must_use]
    pub fn fate(&self, id: PartitionId, batch: &GhostBatch) -> Fate {
        let Some(view) = self.views.get(&id) else { return Fate::Visible };
        let header = BatchHeader::parse(&batch.bytes);
        header.map_or(Fate::Visible, |header| view.fate(&header))
    }

    /// Whether readers are to get a batch's records.
    #[must_use]
    pub fn is_readable(&self, id: PartitionId, batch: &GhostBatch, by: IsolationLevel) -> bool {
        match by {
            IsolationLevel::ReadUncommitted => true,
            IsolationLevel::ReadCommitted => self.fate(id, batch) == Fate::Visible,
        }
    }

    /// T4. A consumer of committed data got the record at that place.
    pub fn check_read(
        &self,
        consumer: u32,
        (id, offset): (PartitionId, Offset),
        committed: &GhostLog,
        tally: &mut Tally,
    ) {
        let Some(view) = self.views.get(&id) else { return };
        let Some(batch) = committed.at(offset).filter(|batch| batch.base <= offset) else { return };
        let Ok(header) = BatchHeader::parse(&batch.bytes) else { return };
        if !header.is_transactional() {
            return;
        }
        let fate = view.fate(&header);
        tally.expect(Check::NoAbortedRead, fate == Fate::Visible, || {
            let what = match fate {
                Fate::Visible => "committed",
                Fate::Aborted => "aborted",
                Fate::Undecided => "still undecided",
            };
            format!(
                "consumer {consumer} read {id} {offset}, a record of producer {} epoch {}, whose \
                 transaction is {what}",
                header.producer_id, header.producer_epoch
            )
        });
    }

    /// Where the first undecided record of a partition is.
    #[must_use]
    pub fn first_open(&self, id: PartitionId) -> Option<Offset> {
        Some(self.views.get(&id)?.first_open()?.0)
    }

    /// Below which offset readers of committed data were shown everything.
    #[must_use]
    pub fn shown(&self, id: PartitionId) -> Offset {
        self.views.get(&id).map_or(Offset::ZERO, |view| view.shown)
    }

    pub fn set_shown(&mut self, id: PartitionId, upto: Offset) {
        self.views.entry(id).or_default().shown = upto;
        self.cuts.shown(id, upto);
    }

    pub fn trimmed(&mut self, id: PartitionId, start: Offset) {
        if let Some(view) = self.views.get_mut(&id) {
            view.trimmed(start);
        }
    }

    pub fn removed(&mut self, topic: TopicId) {
        self.views.retain(|id, _| id.topic != topic);
        self.cuts.removed(topic);
    }

    /// A record was acknowledged, perhaps one of a transaction.
    pub fn acknowledged(&mut self, record: RecordId, by: PartitionId) {
        self.clients.acknowledged(record, by);
    }

    /// How many transactions it remembers.
    #[must_use]
    pub fn size(&self) -> usize {
        self.views.values().map(View::size).sum::<usize>() + self.clients.size() + self.cuts.size()
    }
}

/// Whether a coordinators' log has lost more than it promises to survive.
fn has_excused(
    image: &Image,
    partitions: &IndexMap<PartitionId, Partition, FxBuildHasher>,
    kind: CoordinatorKind,
) -> bool {
    let topic = image.names.get(kind.topic());
    partitions.iter().any(|(id, log)| log.excused && Some(&id.topic) == topic)
}

impl Checkers {
    /// An application sends a record in a transaction. To be told before the record can be in any
    /// log.
    pub fn transaction_sent(&mut self, transaction: TransactionRef, record: RecordId) {
        self.transactions.clients.sent(transaction, record);
    }

    /// An application commits a group's positions with a transaction.
    pub fn transaction_offsets(
        &mut self,
        transaction: TransactionRef,
        group: &str,
        positions: &[Position],
    ) {
        self.transactions.clients.offsets(transaction, group, positions);
    }

    /// An application asks for the end of its transaction. To be told before the request can have
    /// gone out.
    pub fn transaction_ending(&mut self, transaction: TransactionRef, decision: Decision) {
        self.transactions.clients.ending(transaction, decision);
    }

    /// An application was answered to its request for the end of a transaction.
    pub fn transaction_ended(
        &mut self,
        transaction: TransactionRef,
        decision: Decision,
        outcome: &Outcome,
    ) {
        let Checkers { transactions, groups, ledger, partitions, image, tally, .. } = self;
        let excused = |id: PartitionId| partitions.get(&id).is_none_or(|log| log.excused);
        let placed =
            |record, at: Option<PartitionId>| ledger.is_placed(record) || at.is_some_and(excused);
        transactions.clients.ended(transaction, decision, outcome, placed, tally);
        let lost = has_excused(image, partitions, CoordinatorKind::Transaction);
        if decision == Decision::Commit && *outcome == Outcome::Done && !lost {
            let written = |group: &str, position: &Position| {
                let shard = seedlog::coordinator::shard_of(image, CoordinatorKind::Group, group);
                shard.is_none_or(excused) || groups.is_written(group, position)
            };
            transactions.clients.check_offsets(transaction, written, tally);
        }
    }

    /// A partition in which a transaction is still open, if there is one: readers of committed data
    /// get nothing beyond. None once everything has settled.
    #[must_use]
    pub fn open_transaction(&self) -> Option<String> {
        let open = |(id, view): (&PartitionId, &View)| {
            let (first, producer) = view.first_open()?;
            Some(format!("{id}: a transaction of producer {producer} is open since offset {first}"))
        };
        self.judged_views().find_map(open)
    }

    fn judged_views(&self) -> impl Iterator<Item = (&PartitionId, &View)> {
        let judged = |id: &PartitionId| self.partitions.get(id).is_some_and(|p| !p.excused);
        self.transactions.views.iter().filter(move |(id, _)| judged(id))
    }

    /// T5. A transaction that is open for longer than one can be: its producer has so long to end
    /// it, and then its coordinator ends it; what is decided, or what no coordinator knows of, ends
    /// at once.
    #[must_use]
    pub fn hanging_transaction(&self) -> Option<String> {
        let now = self.tally.now();
        let hangs = |producer: ProducerId, since: Instant| {
            let (ongoing, changed) = self.transactions.coordinators.standing(producer);
            let (since, allowed) = match ongoing {
                true => (since, self.settings.transaction_limit),
                false => (since.max(changed), Duration::ZERO),
            };
            now.since(since) > allowed + SETTLING
        };
        let views = self.judged_views();
        let mut open = views.flat_map(|(id, view)| view.all_open().map(move |open| (id, open)));
        let (id, (producer, first, since)) =
            open.find(|(_, (producer, _, since))| hangs(*producer, *since))?;
        let for_ms = millis(now.since(since));
        Some(format!(
            "{id}: a transaction of producer {producer} is open since offset {first}, for {}.{:03}s",
            for_ms / 1_000,
            for_ms % 1_000
        ))
    }

    /// T5, T9: the run is over.
    pub(super) fn transactions_ended(&mut self) {
        if self.transactions.views.is_empty() {
            return;
        }
        let open = self.open_transaction();
        let Checkers { transactions, partitions, image, tally, .. } = self;
        tally.expect(Check::NoHangingTransaction, open.is_none(), || open.unwrap_or_default());
        // Whose decision is lost is aborted in time, though it was answered.
        if !has_excused(image, partitions, CoordinatorKind::Transaction) {
            let excused = |id: PartitionId| partitions.get(&id).is_none_or(|log| log.excused);
            transactions.clients.run_ended(excused, tally);
        }
    }

    pub(super) fn transaction_noted(&mut self, note: &Arc<TransactionNote>) {
        let Checkers { transactions, image, partitions, tally, .. } = self;
        let Some(topic) = image.names.get(CoordinatorKind::Transaction.topic()) else { return };
        let Some(log) = partitions.get(&PartitionId { topic: *topic, partition: note.shard })
        else {
            return;
        };
        if log.excused {
            // What was decided may be lost: this producer's markers prove nothing from now on.
            transactions.coordinators.lost(note.producer_id);
            return;
        }
        if note.committed {
            transactions.coordinators.claimed(note, log.true_high_watermark(), tally);
        } else {
            transactions.coordinators.appended(note, tally);
        }
    }

    /// A batch of `__transaction_state` was committed.
    pub(super) fn decisions_committed(&mut self, shard: i32, batch: &GhostBatch) {
        // Only what watches records becoming visible is told of cuts.
        let watched = self.applications.watches_cuts();
        let coordinators = &mut self.transactions.coordinators;
        let at = (batch.base, batch.last);
        for Committed { note, completes } in
            coordinators.committed(shard, at, batch.epoch, &mut self.tally)
        {
            if let Some((producer, partitions)) = completes {
                self.check_complete(&note, producer, &partitions);
            }
            let Transactions { fences, cuts, .. } = &mut self.transactions;
            if note.to.decision().is_some() {
                fences.decided(&note, &mut self.tally);
            }
            fences.named(&note);
            if watched && note.to == TransactionState::PrepareCommit {
                let id = |(topic, partition): &(TopicName, i32)| {
                    let topic = *self.image.names.get(topic)?;
                    let id = PartitionId { topic, partition: *partition };
                    let data = seedlog::coordinator::kind_of(&self.image, id).is_none();
                    data.then_some(id)
                };
                let partitions = note.partitions.iter().filter_map(id).collect();
                cuts.decided((note.producer_id, note.offset), partitions);
            }
        }
    }

    /// T1. A transaction is complete when all its markers are written, and the producer's next one
    /// does not begin before.
    fn check_complete(
        &mut self,
        note: &TransactionNote,
        producer: ProducerId,
        partitions: &[(TopicName, i32)],
    ) {
        let open = partitions.iter().find_map(|(topic, partition)| {
            let id = PartitionId { topic: *self.image.names.get(topic)?, partition: *partition };
            self.partitions.get(&id).filter(|log| !log.excused)?;
            let since = self.transactions.views.get(&id)?.open_since(producer)?;
            Some((id, since))
        });
        self.tally.expect(Check::LegalTransition, open.is_none(), || {
            let open = open.map(|(id, since)| format!("{id} since {since}")).unwrap_or_default();
            format!(
                "{:?} is in the log of the coordinator of {:?}, but no marker has ended the \
                 records of producer {producer} in {open}",
                note.to, note.transactional_id
            )
        });
    }

    /// A coordinator gives a producer its epoch.
    pub(super) fn producer_answered(&mut self, producer: ProducerId, epoch: ProducerEpoch) {
        self.transactions.fences.answered(producer, epoch);
    }

    /// T6. A broker answers a fetch.
    pub(super) fn fetch_answered(&mut self, node: NodeId, response: &FetchResponse) {
        if self.transactions.views.is_empty() {
            return;
        }
        for answer in &response.partitions {
            if !answer.error.is_ok() {
                continue;
            }
            let id = partition_id(&self.image, &answer.topic, answer.partition);
            let Some((id, view)) = id.and_then(|id| Some((id, self.transactions.views.get(&id)?)))
            else {
                continue;
            };
            let Some(log) = self.partitions.get(&id).filter(|log| !log.excused) else { continue };
            let first = view.first_open().map(|(first, _)| first);
            let bound = first.unwrap_or_else(|| log.true_high_watermark());
            let stable = answer.last_stable_offset;
            self.tally.expect(Check::LastStableBound, stable <= bound, || {
                format!(
                    "{id}: broker {node} gives readers {stable} as its last stable offset, but \
                     the first record that is not committed and decided is at {bound}"
                )
            });
        }
    }
}
