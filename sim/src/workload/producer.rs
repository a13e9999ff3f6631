//! An application that sends unique records.

use std::sync::Arc;

use bytes::Bytes;
use seedlog::ids::{CallId, TopicName};
use seedlog::op::{Op, Outcome, SendRecord};
use seedlog::rng::Rng;
use seedlog::time::Duration;

use super::told::{Sent, Told};
use super::transactor::{Due, TransactionTotals, Transactor};
use crate::check::{RecordId, TransactionRef};
use crate::cluster::Process;
use crate::scenario::Scenario;
use crate::scenario::value::{Range, Span};
use crate::world::{Draw as _, ProcessId, Seed, Subject, World};

/// One producer process and what it has sent.
#[derive(Clone, Debug)]
pub struct ProducerClient {
    pub process: ProcessId,
    /// From 0.
    number: u32,
    /// How often the process has died: each life is a session of its own.
    life: u32,
    /// Records sent in this life.
    sent: u64,
    pending: Vec<Pending>,
    keys: Arc<[Bytes]>,
    topics: Arc<[TopicName]>,
    every: Span,
    padding: Range,
    /// Draws what is sent.
    rng: Rng,
    /// Draws when and where to. A stream of its own: a replay draws nothing from it.
    pace: Rng,
    pub totals: Totals,
    /// Of a producer that sends everything in transactions.
    pub transactor: Option<Transactor>,
}

/// Sends of all lives by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub sent: u64,
    pub acked: u64,
    pub failed: u64,
    pub unknown: u64,
}

#[derive(Clone, Debug)]
struct Pending {
    number: u64,
    topic: TopicName,
}

/// The session of a producer's life, as its records name it.
#[must_use]
pub fn source(producer: u32, life: u32) -> u32 {
    producer * 1_000 + life.min(999)
}

/// Calls of one life never mix with those of another.
const LIFE: u64 = 1 << 40;
/// A call that is no send.
const FLUSH: u64 = 1 << 39;
/// Calls about transactions.
const CONTROL: u64 = 1 << 38;

impl ProducerClient {
    #[must_use]
    pub fn new(scenario: &Scenario, seed: Seed, process: ProcessId) -> Self {
        let workload = &scenario.workload;
        let first = scenario.cluster.brokers + scenario.cluster.controllers;
        let number = process.0 - first;
        let key = |key: u64| Bytes::from(format!("p{}-{key}", number + 1));
        ProducerClient {
            process,
            number,
            life: 0,
            sent: 0,
            pending: Vec::new(),
            keys: (0..workload.keys).map(key).collect(),
            topics: workload.topics.iter().cloned().collect(),
            every: workload.every,
            padding: workload.padding,
            rng: seed.stream("producer", u64::from(number), 0),
            pace: seed.stream("producer pace", u64::from(number), 0),
            totals: Totals::default(),
            transactor: Transactor::new(scenario, seed, number),
        }
    }

    /// When the next send is due, from now.
    pub fn pause(&mut self) -> Duration {
        self.every.draw(&mut self.pace)
    }

    /// A topic for the next record.
    pub fn topic(&mut self) -> TopicName {
        let index = if self.topics.len() == 1 { 0 } else { self.pace.index(self.topics.len()) };
        self.topics[index].clone()
    }

    #[must_use]
    pub fn pending(&self) -> u64 {
        u64::try_from(self.pending.len()).expect("a length fits u64")
    }

    /// Sends one record: to that partition, or by a key of its own.
    pub fn send(
        &mut self,
        world: &mut World<Process>,
        topic: &TopicName,
        partition: Option<i32>,
        told: &mut Vec<Told>,
    ) -> RecordId {
        self.sent += 1;
        self.totals.sent += 1;
        let record = RecordId { source: source(self.number, self.life), number: self.sent };
        let keyed = partition.is_none() && !self.keys.is_empty();
        let mut dice = world.dice(Subject::Send(self.process), &mut self.rng);
        let key = keyed.then(|| self.keys[dice.place(self.keys.len())].clone());
        let size = usize::try_from(self.padding.draw(&mut dice)).expect("a small padding");
        let op = Op::Send(SendRecord {
            topic: topic.clone(),
            partition,
            key,
            value: Some(record.to_value(13 + size)),
            headers: Vec::new(),
            timestamp: None,
        });
        self.pending.push(Pending { number: self.sent, topic: topic.clone() });
        let call = CallId(u64::from(self.life) * LIFE + self.sent);
        world.call(self.process, call, Arc::new(op));
        if let Some(transaction) = self.in_transaction() {
            told.push(Told::Joined(transaction, record));
        }
        record
    }

    /// Asks for everything buffered to be sent at once.
    pub fn flush(&mut self, world: &mut World<Process>) {
        let call = CallId(u64::from(self.life) * LIFE + FLUSH);
        world.call(self.process, call, Arc::new(Op::Flush));
    }

    /// What no transaction has sent is of none.
    fn in_transaction(&self) -> Option<TransactionRef> {
        let number = self.transactor.as_ref()?.open()?;
        Some(TransactionRef { source: source(self.number, self.life), number })
    }

    /// From 0.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What to do when its time has come.
    pub fn due(&mut self, sending: bool) -> Due {
        match &mut self.transactor {
            Some(transactor) => transactor.due(sending),
            None => Due::Send,
        }
    }

    /// Whether a transaction is begun and has not ended.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.transactor.as_ref().is_some_and(Transactor::is_busy)
    }

    /// Its transactions of all lives.
    #[must_use]
    pub fn transactions(&self) -> TransactionTotals {
        self.transactor.as_ref().map_or_else(TransactionTotals::default, |t| t.totals)
    }

    /// Whether it can send a record of its own now.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.transactor.as_ref().is_none_or(Transactor::is_idle)
    }

    /// The transactional calls of this life.
    pub(super) fn call(&self, number: u64) -> CallId {
        CallId(u64::from(self.life) * LIFE + CONTROL + number)
    }

    /// The session of this life.
    pub(super) fn source(&self) -> u32 {
        source(self.number, self.life)
    }

    /// The process died: what has no answer never gets one. How many those are.
    pub fn gone(&mut self, told: &mut Vec<Told>) -> u64 {
        self.transactor_gone(told);
        let lost = self.pending();
        self.totals.unknown += lost;
        self.pending.clear();
        self.life += 1;
        self.sent = 0;
        lost
    }

    /// The end of a send, if the answered call was one of this life.
    pub fn returned(&mut self, call: CallId, outcome: &Outcome) -> Option<Sent> {
        let number = call.0.checked_sub(u64::from(self.life) * LIFE)?;
        let index = self.pending.iter().position(|pending| pending.number == number)?;
        let Pending { topic, .. } = self.pending.swap_remove(index);
        match outcome {
            Outcome::Sent { .. } | Outcome::Done => self.totals.acked += 1,
            Outcome::Failed(_) => self.totals.failed += 1,
            Outcome::Unknown(_)
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => {
                self.totals.unknown += 1;
            }
        }
        let record = RecordId { source: source(self.number, self.life), number };
        Some(Sent { record, topic, outcome: outcome.clone() })
    }
}
