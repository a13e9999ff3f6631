//! The producer: takes records one call at a time, sends them in batches, and says for each what
//! became of it.
//!
//! - [`partitioner`]: which partition; Kafka's murmur2 by key, sticky, round robin, or the
//!   application's own.
//! - `accumulator`: batches in the making, the memory they take, calls that wait for some.
//! - `queue`: the order of one partition's batches and, for an idempotent producer, their numbers.
//! - `sender`: requests, answers, retries, delivery timeout.
//! - `transaction`: begin, commit, abort, and what coordinators say.

mod accumulator;
mod batch;
pub mod partitioner;
mod queue;
mod sender;
#[cfg(test)]
mod tests;
mod transaction;

use alloc::sync::Arc;

use crate::channel::Backoff;
use crate::client::network::{Network, NetworkConfig, News};
use crate::client::producer::accumulator::{Accumulator, Appended, Flush, Placed, Waiting};
use crate::client::producer::batch::{Limit, Session, size_of};
use crate::client::producer::sender::Sent;
use crate::client::producer::transaction::Transaction;
use crate::config::{AcksSetting, ProducerConfig};
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{CallId, Endpoint};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::produce::Acks;
use crate::op::{Op, Outcome, SendRecord};
use crate::rng::Rng;
use crate::time::{Instant, Now, earliest};

/// What a producer is started with.
#[derive(Clone, Debug)]
pub struct ProducerSetup {
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub config: ProducerConfig,
    pub defects: Defects,
    /// A partitioner of the application's own: the partition of a record among so many.
    pub partitioner: Option<fn(&SendRecord, i32) -> i32>,
    /// Makes its sends transactions, and fences whoever else has it (KIP-98).
    pub transactional_id: Option<Arc<str>>,
    /// Of its connections, unless the process holds several clients [`crate::client::SPACE`].
    pub space: u8,
}

impl ProducerSetup {
    /// Kafka's rule: idempotence needs acks=all and retries.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        let ProducerConfig { acks, enable_idempotence, retries, .. } = self.config;
        enable_idempotence && acks == AcksSetting::All && retries > 0
    }
}

/// A producer process.
#[derive(Clone, Debug)]
pub struct Producer {
    setup: Arc<ProducerSetup>,
    rng: Rng,
    network: Network<Sent>,
    accumulator: Accumulator,
    identity: Identity,
    /// Of a producer with a transactional id.
    transaction: Option<Transaction>,
    /// Which queue the next request starts with, so that all get their turn.
    turn: usize,
    /// A send waits for memory: batches go without waiting for company.
    memory_short: bool,
    closing: Option<Closing>,
    closed: bool,
    wake: Option<Instant>,
}

/// The idempotent session of the whole producer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// Not idempotent.
    NotNeeded,
    Wanted {
        not_before: Instant,
        failures: u32,
    },
    Asked {
        failures: u32,
    },
    /// The coordinator of its transactional id gives one.
    Awaited,
    Held(Session),
}

/// A call to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closing {
    call: CallId,
    flushed: bool,
    /// When it stops waiting for the end of a transaction.
    until: Instant,
}

/// What became of a record that wants into a batch.
enum Taken {
    Appended(Appended),
    /// Not yet: the topic or the partition is not known.
    NoMetadata,
    /// Not yet: the buffer is full.
    NoMemory,
    Refused(ErrorCode),
}

impl Producer {
    /// Starts without a connection; the first step dials.
    #[must_use]
    pub fn start(setup: &Arc<ProducerSetup>, seed: [u8; 32], now: Now, _out: &mut Effects) -> Self {
        let config = &setup.config;
        let network = NetworkConfig {
            space: setup.space,
            request_timeout: config.request_timeout,
            metadata_max_age: config.metadata_max_age,
            retry: Backoff { base: config.retry_backoff, max: config.retry_backoff_max },
            reconnect: Backoff {
                base: config.reconnect_backoff,
                max: config.reconnect_backoff_max,
            },
            auto_create_topics: true,
        };
        let wanted = Identity::Wanted { not_before: now.mono, failures: 0 };
        let (protocol, retry) = (config.transaction_protocol, network.retry);
        let id = setup.transactional_id.clone();
        let transaction = id.map(|id| Transaction::new(id, protocol, retry));
        let identity = match &transaction {
            _ if !setup.is_idempotent() => Identity::NotNeeded,
            Some(_) => Identity::Awaited,
            None => wanted,
        };
        Producer {
            setup: Arc::clone(setup),
            rng: Rng::new(seed),
            network: Network::new(Arc::clone(&setup.bootstrap), network),
            accumulator: Accumulator::new(transaction.is_some()),
            identity,
            transaction,
            turn: 0,
            memory_short: false,
            closing: None,
            closed: false,
            wake: Some(now.mono),
        }
    }

    fn acks(&self) -> Acks {
        match self.setup.config.acks {
            AcksSetting::None => Acks::None,
            AcksSetting::Leader => Acks::Leader,
            AcksSetting::All => Acks::All,
        }
    }

    fn backoff(&self) -> Backoff {
        let config = &self.setup.config;
        Backoff { base: config.retry_backoff, max: config.retry_backoff_max }
    }

    fn limit(&self) -> Limit {
        Limit::new(self.setup.config.batch_size, self.setup.config.sequence_max)
    }

    fn called(&mut self, now: Now, call: CallId, op: &Arc<Op>, out: &mut Effects) {
        if self.closing.is_some() || self.closed {
            return fail(call, ErrorCode::InvalidRequest, out);
        }
        match &**op {
            Op::Send(record) => self.send(now, call, op, record, out),
            Op::Flush => {
                let ticket = self.accumulator.ticket();
                self.accumulator.flushes.push(Flush { call, ticket });
                self.work(now, out);
            }
            Op::Close => {
                let until = now.mono + self.setup.config.max_block;
                self.closing = Some(Closing { call, flushed: false, until });
                self.abort_to_close();
                let ticket = self.accumulator.ticket();
                self.accumulator.flushes.push(Flush { call, ticket });
                self.work(now, out);
            }
            Op::InitTransactions
            | Op::BeginTransaction
            | Op::SendOffsets { .. }
            | Op::CommitTransaction
            | Op::AbortTransaction => self.transaction_called(now, call, op, out),
            Op::Assign(_)
            | Op::Poll { .. }
            | Op::Seek { .. }
            | Op::Pause { .. }
            | Op::Resume { .. }
            | Op::Subscribe(_)
            | Op::Unsubscribe
            | Op::Commit(_)
            | Op::Committed(_)
            | Op::Admin(_) => fail(call, ErrorCode::InvalidRequest, out),
        }
    }

    fn send(
        &mut self,
        now: Now,
        call: CallId,
        op: &Arc<Op>,
        record: &SendRecord,
        out: &mut Effects,
    ) {
        let allowed = self.transaction.as_ref().map_or(Ok(()), Transaction::takes_sends);
        if let Err(error) = allowed {
            return fail(call, error, out);
        }
        let ticket = self.accumulator.ticket();
        // A send must not overtake one that waits for the same topic, nor take its memory.
        let blocked = self.accumulator.waiting.iter().any(|waiting| {
            let topic = &waiting.record().topic;
            *topic == record.topic || self.network.metadata.topic(topic).is_some()
        });
        let until = now.mono + self.setup.config.max_block;
        if blocked {
            let op = Arc::clone(op);
            self.accumulator.waiting.push_back(Waiting { call, op, ticket, until });
            return;
        }
        match self.take(now, call, ticket, record) {
            Taken::Appended(Appended { full: true, .. }) => self.work(now, out),
            Taken::Appended(Appended { new_batch: true, .. }) => {
                if self.setup.config.linger.is_zero() {
                    self.work(now, out);
                } else {
                    let ready = now.mono + self.setup.config.linger;
                    let expires = now.mono + self.setup.config.delivery_timeout;
                    self.wake = earliest(self.wake, Some(ready.min(expires)));
                }
            }
            Taken::Appended(Appended { new_batch: false, full: false }) => {}
            Taken::Refused(error) => {
                fail(call, error, out);
                self.send_failed(error, out);
            }
            Taken::NoMetadata | Taken::NoMemory => {
                let op = Arc::clone(op);
                self.accumulator.waiting.push_back(Waiting { call, op, ticket, until });
                self.work(now, out);
            }
        }
    }

    /// Puts a record into a batch, if everything it needs is there.
    fn take(&mut self, now: Now, call: CallId, ticket: u64, record: &SendRecord) -> Taken {
        let config = &self.setup.config;
        let size = size_of(record);
        let size32 = u32::try_from(size).unwrap_or(u32::MAX);
        if size32 > config.max_request_size || u64::from(size32) > config.buffer_memory / 2 {
            return Taken::Refused(ErrorCode::MessageTooLarge);
        }
        let (index, new) = self.accumulator.topic(&record.topic);
        if new {
            self.network.want(&record.topic);
        }
        let Some(topic) = self.network.metadata.topic(&record.topic) else {
            if self.network.metadata.refuses(&record.topic) {
                return Taken::Refused(ErrorCode::InvalidTopicException);
            }
            return Taken::NoMetadata;
        };
        let count = i32::try_from(topic.partitions.len()).expect("partitions are few");
        let known = 0..count;
        if record.partition.is_some_and(|partition| partition < 0) {
            return Taken::Refused(ErrorCode::UnknownTopicOrPartition);
        }
        if count == 0 || record.partition.is_some_and(|partition| !known.contains(&partition)) {
            return Taken::NoMetadata;
        }
        let own = record.partition.or_else(|| self.setup.partitioner.map(|own| own(record, count)));
        if own.is_some_and(|partition| !known.contains(&partition)) {
            return Taken::Refused(ErrorCode::UnknownTopicOrPartition);
        }
        if !self.accumulator.has_memory(size + crate::record::HEADER_BYTES, config.buffer_memory) {
            return Taken::NoMemory;
        }
        let partition = own.unwrap_or_else(|| {
            let spread = &mut self.accumulator.topic_mut(index).spread;
            let (key, how) = (record.key.as_deref(), config.partitioner);
            spread.pick(how, key, size32, config.batch_size, topic, &mut self.rng)
        });
        let timestamp = record.timestamp.unwrap_or(now.wall);
        let placed = Placed { call, ticket, record, timestamp, size, partition };
        Taken::Appended(self.accumulator.append(now.mono, index, &placed, self.limit()))
    }

    fn send_failed(&mut self, error: ErrorCode, out: &mut Effects) {
        if let Some(transaction) = &mut self.transaction {
            transaction.send_failed(error, out);
        }
    }

    /// Takes in what waited, in order, and fails what waited too long.
    fn admit(&mut self, now: Now, out: &mut Effects) {
        self.memory_short = false;
        if self.accumulator.waiting.is_empty() {
            return;
        }
        let mut waiting = core::mem::take(&mut self.accumulator.waiting);
        waiting.retain(|entry| {
            if entry.until <= now.mono {
                fail(entry.call, ErrorCode::RequestTimedOut, out);
                self.send_failed(ErrorCode::RequestTimedOut, out);
                return false;
            }
            if self.memory_short {
                return true;
            }
            match self.take(now, entry.call, entry.ticket, entry.record()) {
                Taken::Appended(_) => false,
                Taken::NoMetadata => {
                    self.network.request_refresh();
                    true
                }
                Taken::NoMemory => {
                    self.memory_short = true;
                    true
                }
                Taken::Refused(error) => {
                    fail(entry.call, error, out);
                    self.send_failed(error, out);
                    false
                }
            }
        });
        self.accumulator.waiting = waiting;
    }

    /// Everything that a change may have made possible, and when to look again.
    fn work(&mut self, now: Now, out: &mut Effects) {
        self.expire_batches(now.mono, out);
        self.admit(now, out);
        let next_request = self.transact(now.mono, out);
        let next_send = earliest(next_request, self.drain(now.mono, out));
        self.network.pump(now.mono, &mut self.rng, out);
        let closes = self.finish_flushes(now.mono, out);
        if self.closed {
            self.wake = None;
            return;
        }
        let queues = &self.accumulator.queues;
        let oldest = queues.iter().filter_map(|queue| queue.batches.front());
        let expiry = oldest.map(|batch| batch.created + self.setup.config.delivery_timeout).min();
        let waiting = self.accumulator.waiting.front().map(|entry| entry.until);
        let own = earliest(earliest(next_send, closes), earliest(expiry, waiting));
        self.wake = earliest(own, self.network.deadline());
    }

    /// Answers flushes that are done; when a call to close is done at the latest.
    fn finish_flushes(&mut self, now: Instant, out: &mut Effects) -> Option<Instant> {
        for call in self.accumulator.flushed() {
            match &mut self.closing {
                Some(closing) if closing.call == call => closing.flushed = true,
                Some(_) | None => out.push(Effect::Return { call, outcome: Outcome::Done }),
            }
        }
        let closing = self.closing.filter(|closing| closing.flushed)?;
        let ending = self.transaction.as_ref().is_some_and(Transaction::is_ending);
        if ending && closing.until > now {
            return Some(closing.until);
        }
        self.closed = true;
        self.network.shut_down(out);
        out.push(Effect::Return { call: closing.call, outcome: Outcome::Done });
        None
    }

    /// The invariants of what it holds.
    ///
    /// # Panics
    /// If one is broken: a bug of ours.
    pub fn check(&self) {
        self.accumulator.check(self.identity != Identity::NotNeeded);
        assert!(!self.closed || self.accumulator.is_empty(), "a closed producer holds nothing");
        if let Some(transaction) = &self.transaction {
            transaction.check();
        }
    }
}

fn fail(call: CallId, error: ErrorCode, out: &mut Effects) {
    out.push(Effect::Return { call, outcome: Outcome::Failed(error) });
}

impl Machine for Producer {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        if let Input::Call { call, op } = input {
            return self.called(now, call, &op, out);
        }
        if self.closed {
            return;
        }
        match self.network.take(now.mono, input, &mut self.rng, out) {
            News::Nothing => {}
            News::Failed(requests) => self.unanswered(now.mono, requests, out),
            News::Answer(_, sent, response) => self.answered(now.mono, sent, &response, out),
        }
        self.work(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.wake
    }
}
