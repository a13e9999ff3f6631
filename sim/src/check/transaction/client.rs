//! Transactions as their applications know them: T2, T3, T9 and G1b.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use seedlog::ids::{Offset, PartitionId, ProducerId};
use seedlog::op::{Outcome, Position};

use super::super::payload::RecordId;
use super::super::tally::{Check, Tally};
use super::view::Closed;

/// Transactions remembered, oldest forgotten first: bounds memory in endless runs.
const REMEMBERED: usize = 1 << 13;

/// One transaction of an application: the session that began it (as in [`RecordId::source`]), and
/// its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionRef {
    pub source: u32,
    pub number: u64,
}

impl fmt::Display for TransactionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.number)
    }
}

/// How a transaction is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    Commit,
    Abort,
}

impl Decision {
    fn of(commit: bool) -> Self {
        if commit { Decision::Commit } else { Decision::Abort }
    }

    fn done(self) -> &'static str {
        match self {
            Decision::Commit => "committed",
            Decision::Abort => "aborted",
        }
    }
}

/// What an application was told of its transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Done(Decision),
    /// Its commit surely has not happened.
    NotCommitted,
    Unknown,
}

/// A decision of a coordinator: the producer id, and the offset in the coordinator's log.
pub type DecisionId = (ProducerId, Offset);

#[derive(Clone, Debug, Default)]
struct Transaction {
    /// Records sent that no marker has ended yet, with the partition that acknowledged them.
    missing: IndexMap<RecordId, Option<PartitionId>, FxBuildHasher>,
    /// What the application asked for last.
    asked: Option<Decision>,
    told: Option<Told>,
    /// How its first ended records ended, and where.
    fate: Option<(Decision, PartitionId, Offset)>,
    /// What its coordinator decided, by the first marker that ended records of it.
    decided: Option<DecisionId>,
    /// Where records of it have ended.
    ended_in: Vec<PartitionId>,
    /// Positions that are committed with it.
    offsets: Vec<(Arc<str>, Position)>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    transactions: IndexMap<TransactionRef, Transaction, FxBuildHasher>,
    /// Whose each record is that no marker has ended yet.
    owners: IndexMap<RecordId, TransactionRef, FxBuildHasher>,
    /// Whose each decision is.
    decisions: IndexMap<DecisionId, TransactionRef, FxBuildHasher>,
}

impl Clients {
    fn transaction(&mut self, id: TransactionRef) -> &mut Transaction {
        if self.transactions.len() > 2 * REMEMBERED {
            for (_, old) in self.transactions.drain(..REMEMBERED) {
                for record in old.missing.into_keys() {
                    self.owners.swap_remove(&record);
                }
            }
        }
        self.transactions.entry(id).or_default()
    }

    /// An application sends a record in a transaction.
    pub fn sent(&mut self, id: TransactionRef, record: RecordId) {
        self.transaction(id).missing.insert(record, None);
        self.owners.insert(record, id);
    }

    /// A record was acknowledged, perhaps one of a transaction.
    pub fn acknowledged(&mut self, record: RecordId, by: PartitionId) {
        let Some(id) = self.owners.get(&record) else { return };
        let transaction = self.transactions.get_mut(id);
        if let Some(at) = transaction.and_then(|each| each.missing.get_mut(&record)) {
            *at = Some(by);
        }
    }

    /// An application commits positions with a transaction.
    pub fn offsets(&mut self, id: TransactionRef, group: &str, positions: &[Position]) {
        let group: Arc<str> = Arc::from(group);
        let positions = positions.iter().map(|position| (Arc::clone(&group), position.clone()));
        self.transaction(id).offsets.extend(positions);
    }

    /// T10. What a committed transaction said of offsets is in the group's log.
    pub fn check_offsets(
        &mut self,
        id: TransactionRef,
        written: impl Fn(&str, &Position) -> bool,
        tally: &mut Tally,
    ) {
        // Of several positions of a partition the last one counts.
        let mut last: BTreeMap<(&str, &str, i32), &Position> = BTreeMap::new();
        let offsets = std::mem::take(&mut self.transaction(id).offsets);
        for (group, position) in &offsets {
            last.insert((group, &position.topic, position.partition), position);
        }
        for ((group, topic, partition), position) in last {
            tally.expect(Check::OffsetOutputAtomic, written(group, position), || {
                format!(
                    "transaction {id} was committed, as its application was told, with offset {} \
                     of {topic}-{partition} for group {group:?}, which is not in the group's log",
                    position.offset
                )
            });
        }
    }

    /// An application asks for the end of a transaction.
    pub fn ending(&mut self, id: TransactionRef, decision: Decision) {
        self.transaction(id).asked = Some(decision);
    }

    /// It has its answer. `placed`: whether a record, acknowledged there, is in a committed log, or
    /// may have been.
    pub fn ended(
        &mut self,
        id: TransactionRef,
        decision: Decision,
        outcome: &Outcome,
        placed: impl Fn(RecordId, Option<PartitionId>) -> bool,
        tally: &mut Tally,
    ) {
        let told = match outcome {
            Outcome::Done => Told::Done(decision),
            Outcome::Failed(_) if decision == Decision::Commit => Told::NotCommitted,
            // Its coordinator may have aborted it by itself, in time or for another producer.
            Outcome::Failed(_)
            | Outcome::Unknown(_)
            | Outcome::Sent { .. }
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => Told::Unknown,
        };
        let transaction = self.transaction(id);
        transaction.told = Some(told);
        transaction.check_truth(id, tally);
        if told == Told::Done(Decision::Commit) {
            let lost = transaction.missing.iter().find(|(record, at)| !placed(**record, **at));
            tally.expect(Check::OutcomeTruth, lost.is_none(), || {
                let lost = lost.map(|(record, _)| record.to_string()).unwrap_or_default();
                format!(
                    "transaction {id} was committed, as its application was told, but record \
                     {lost} of it is in no committed log"
                )
            });
        }
    }

    /// A marker ended records. `decided`: the coordinator's decision that it carries out.
    pub fn closed(
        &mut self,
        partition: PartitionId,
        closed: &Closed,
        decided: Option<DecisionId>,
        tally: &mut Tally,
    ) {
        let Some(open) = &closed.open else { return };
        let mut owner = None;
        for (record, offset) in &open.records {
            let Some(id) = self.owners.swap_remove(record) else { continue };
            let same = *owner.get_or_insert(id) == id;
            tally.expect(Check::MarkerAttribution, same, || {
                let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
                format!(
                    "the marker at {partition} {} ends records of two transactions, {owner} and \
                     {id} (record {record} at {offset})",
                    closed.marker
                )
            });
            if let Some(transaction) = self.transactions.get_mut(&id) {
                transaction.missing.swap_remove(record);
            }
        }
        let Some(id) = owner else { return };
        self.attribute(id, partition, closed, decided, tally);
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        transaction.close(id, partition, closed, tally);
    }

    /// T2: one decision for each transaction, one transaction for each decision.
    fn attribute(
        &mut self,
        id: TransactionRef,
        partition: PartitionId,
        closed: &Closed,
        decided: Option<DecisionId>,
        tally: &mut Tally,
    ) {
        let Some(decided) = decided else { return };
        if self.decisions.len() > 2 * REMEMBERED {
            self.decisions.drain(..REMEMBERED);
        }
        let owner = *self.decisions.entry(decided).or_insert(id);
        let marker = closed.marker;
        tally.expect(Check::MarkerAttribution, owner == id, || {
            format!(
                "the marker at {partition} {marker} ends records of transaction {id}, but what \
                 its coordinator decided then (producer {}, record {} of its log) was the end of \
                 transaction {owner}",
                decided.0, decided.1
            )
        });
        let Some(transaction) = self.transactions.get_mut(&id) else { return };
        let first = *transaction.decided.get_or_insert(decided);
        tally.expect(Check::MarkerAttribution, first == decided, || {
            format!(
                "transaction {id} ends by two decisions: records {} and {} of its coordinator's \
                 log; the marker at {partition} {marker} belongs to the second",
                first.1, decided.1
            )
        });
    }

    /// At the end: what was committed is visible, all of it. `excused`: a partition has lost more
    /// than it promises to survive.
    pub fn run_ended(&self, excused: impl Fn(PartitionId) -> bool, tally: &mut Tally) {
        for (id, transaction) in &self.transactions {
            if transaction.told != Some(Told::Done(Decision::Commit)) {
                continue;
            }
            let mut missing = transaction.missing.iter();
            let missing = missing.find(|(_, at)| !at.is_some_and(&excused));
            tally.expect(Check::OutcomeTruth, missing.is_none(), || {
                let missing = missing.map(|(record, _)| record.to_string()).unwrap_or_default();
                format!(
                    "transaction {id} was committed, as its application was told, but record \
                     {missing} of it never became visible"
                )
            });
        }
    }

    /// How many transactions it remembers.
    pub fn size(&self) -> usize {
        self.transactions.len()
    }
}

impl Transaction {
    fn close(
        &mut self,
        id: TransactionRef,
        partition: PartitionId,
        closed: &Closed,
        tally: &mut Tally,
    ) {
        let (decision, marker) = (Decision::of(closed.commit), closed.marker);
        tally.expect(
            Check::MarkerAttribution,
            decision == Decision::Abort || self.asked == Some(Decision::Commit),
            || {
                format!(
                    "the marker at {partition} {marker} commits transaction {id}, whose \
                     application has not asked for that: a request of another transaction did it"
                )
            },
        );
        let twice = self.ended_in.contains(&partition);
        tally.expect(Check::IntermediateRead, !twice, || {
            format!(
                "transaction {id} ends twice in {partition}, the second time at {marker}: who \
                 reads in between sees a state that it never was to leave"
            )
        });
        self.ended_in.push(partition);
        let (first, there, at) = *self.fate.get_or_insert((decision, partition, marker));
        tally.expect(Check::AtomicVisibility, first == decision, || {
            format!(
                "transaction {id} is torn: {} in {there} by the marker at {at}, {} in {partition} \
                 by the marker at {marker}",
                first.done(),
                decision.done()
            )
        });
        self.check_truth(id, tally);
    }

    /// T9.
    fn check_truth(&self, id: TransactionRef, tally: &mut Tally) {
        let (Some(told), Some((fate, partition, marker))) = (self.told, self.fate) else { return };
        let (holds, told) = match told {
            Told::Done(decision) => (decision == fate, format!("that it is {}", decision.done())),
            Told::NotCommitted => {
                (fate != Decision::Commit, "that it is surely not committed".to_owned())
            }
            Told::Unknown => return,
        };
        tally.expect(Check::OutcomeTruth, holds, || {
            format!(
                "the application of transaction {id} was told {told}, but the marker at \
                 {partition} {marker} makes it {}",
                fate.done()
            )
        });
    }
}
