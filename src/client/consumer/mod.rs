//! The consumer: reads assigned partitions from their leaders, each record once and in order.
//!
//! - `position`: where it stands in a partition, and what it must learn before it goes on.
//! - `fetcher`: long-polls each leader with one fetch at a time, resets and validates positions.
//! - `buffer`: fetched batches, opened only when the application polls.

pub mod assignor;
mod buffer;
mod fetcher;
mod position;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::consumer::assignor::CustomAssignor;
use crate::client::consumer::fetcher::Asked;
use crate::client::consumer::position::{Position, Slot, State};
use crate::client::network::{Network, NetworkConfig, News};
use crate::config::ConsumerConfig;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{CallId, Endpoint, NodeId, Offset, TopicName};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::offsets::OffsetSpec;
use crate::op::{ConsumedRecord, Op, Outcome, SeekTo};
use crate::record::Record;
use crate::rng::Rng;
use crate::time::{Instant, Now, earliest};

/// What a consumer is started with.
#[derive(Clone, Debug)]
pub struct ConsumerSetup {
    pub client_id: Arc<str>,
    /// Where to ask for the cluster's brokers first; any one that lives is enough.
    pub bootstrap: Arc<[Endpoint]>,
    pub config: ConsumerConfig,
    /// None: it can only be assigned, and commits nothing.
    pub group: Option<GroupSetup>,
    pub defects: Defects,
    /// Of its connections, unless the process holds several clients [`crate::client::SPACE`].
    pub space: u8,
}

/// The group that a consumer is a member of when it subscribes, and that it commits for.
#[derive(Clone, Debug)]
pub struct GroupSetup {
    pub id: Arc<str>,
    /// A static member's name (`group.instance.id`, KIP-345).
    pub instance: Option<Arc<str>>,
    /// In place of `partition.assignment.strategy`; all members must have the same.
    pub assignor: Option<CustomAssignor>,
}

/// A consumer process.
#[derive(Clone, Debug)]
pub struct Consumer {
    setup: Arc<ConsumerSetup>,
    rng: Rng,
    network: Network<Asked>,
    /// Sorted by topic and partition.
    slots: Vec<Slot>,
    fences: u64,
    /// Brokers with a fetch in flight.
    fetching: BTreeSet<NodeId>,
    /// Which partition comes first in a request and in a poll.
    turn: usize,
    poll: Option<Poll>,
    closed: bool,
    wake: Option<Instant>,
}

/// A poll that waits for records.
#[derive(Clone, Copy, Debug)]
struct Poll {
    call: CallId,
    max_records: usize,
    until: Instant,
}

impl Consumer {
    /// Starts without a connection; the first step dials.
    #[must_use]
    pub fn start(setup: &Arc<ConsumerSetup>, seed: [u8; 32], now: Now, _out: &mut Effects) -> Self {
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
            auto_create_topics: false,
        };
        Consumer {
            setup: Arc::clone(setup),
            rng: Rng::new(seed),
            network: Network::new(Arc::clone(&setup.bootstrap), network),
            slots: Vec::new(),
            fences: 0,
            fetching: BTreeSet::new(),
            turn: 0,
            poll: None,
            closed: false,
            wake: Some(now.mono),
        }
    }

    fn backoff(&self) -> Backoff {
        let config = &self.setup.config;
        Backoff { base: config.retry_backoff, max: config.retry_backoff_max }
    }

    fn next_fence(&mut self) -> u64 {
        self.fences += 1;
        self.fences
    }

    fn called(&mut self, now: Now, call: CallId, op: &Op, out: &mut Effects) {
        let result = match op {
            _ if self.closed => Err(ErrorCode::InvalidRequest),
            Op::Poll { max_records, timeout } => {
                if self.poll.is_some() {
                    Err(ErrorCode::InvalidRequest)
                } else {
                    let max_records = (*max_records).max(1);
                    self.poll = Some(Poll { call, max_records, until: now.mono + *timeout });
                    return self.deliver(out);
                }
            }
            Op::Assign(partitions) => {
                self.assign(partitions);
                Ok(())
            }
            Op::Seek { topic, partition, to } => self.seek(topic, *partition, *to),
            Op::Pause { topic, partition } => self.pause(topic, *partition, true),
            Op::Resume { topic, partition } => self.pause(topic, *partition, false),
            Op::Close => {
                self.close(out);
                Ok(())
            }
            Op::Send(_)
            | Op::Flush
            | Op::Admin(_)
            | Op::Subscribe(_)
            | Op::Unsubscribe
            | Op::Commit(_)
            | Op::Committed(_)
            | Op::InitTransactions
            | Op::BeginTransaction
            | Op::SendOffsets { .. }
            | Op::CommitTransaction
            | Op::AbortTransaction => Err(ErrorCode::InvalidRequest),
        };
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        };
        out.push(Effect::Return { call, outcome });
    }

    /// Keeps the positions of partitions that stay.
    fn assign(&mut self, partitions: &[(TopicName, i32)]) {
        let mut wanted: Vec<(TopicName, i32)> = partitions.to_vec();
        wanted.sort();
        wanted.dedup();
        let mut old = core::mem::take(&mut self.slots);
        for (topic, partition) in wanted {
            let kept = old.iter().position(|s| s.topic == topic && s.partition == partition);
            if let Some(index) = kept {
                self.slots.push(old.swap_remove(index));
                continue;
            }
            self.network.want(&topic);
            let (fence, state) =
                (self.next_fence(), self.initial_state(ErrorCode::OffsetOutOfRange));
            self.slots.push(Slot::new(topic, partition, fence, state));
        }
        let slots = &self.slots;
        self.network.retain(|topic| slots.iter().any(|slot| slot.topic == *topic));
    }

    fn find(&mut self, topic: &str, partition: i32) -> Result<usize, ErrorCode> {
        self.slots
            .iter()
            .position(|slot| *slot.topic == *topic && slot.partition == partition)
            .ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    fn seek(&mut self, topic: &str, partition: i32, to: SeekTo) -> Result<(), ErrorCode> {
        let index = self.find(topic, partition)?;
        let state = match to {
            SeekTo::Earliest => State::Reset(OffsetSpec::Earliest),
            SeekTo::Latest => State::Reset(OffsetSpec::Latest),
            SeekTo::Time(time) => State::Reset(OffsetSpec::At(time)),
            SeekTo::Offset(offset) if offset < Offset::ZERO => {
                return Err(ErrorCode::OffsetOutOfRange);
            }
            SeekTo::Offset(offset) => State::At(Position::at(offset)),
        };
        let fence = self.next_fence();
        self.slots[index].move_to(fence, state);
        Ok(())
    }

    fn pause(&mut self, topic: &str, partition: i32, paused: bool) -> Result<(), ErrorCode> {
        let index = self.find(topic, partition)?;
        self.slots[index].paused = paused;
        Ok(())
    }

    fn close(&mut self, out: &mut Effects) {
        if let Some(poll) = self.poll.take() {
            let none: Arc<[ConsumedRecord]> = Arc::new([]);
            out.push(Effect::Return { call: poll.call, outcome: Outcome::Polled(none) });
        }
        self.slots.clear();
        self.network.shut_down(out);
        self.closed = true;
    }

    /// Answers the waiting poll if there is something to answer with.
    fn deliver(&mut self, out: &mut Effects) {
        let Some(poll) = self.poll else { return };
        let mut taken = Vec::new();
        let count = self.slots.len();
        for step in 0..count {
            if taken.len() == poll.max_records {
                break;
            }
            let slot = &mut self.slots[(self.turn + step) % count];
            take(slot, poll.max_records, &mut taken);
        }
        let failed = self.slots.iter().find_map(|slot| match slot.state {
            State::Failed(error) => Some(error),
            State::Reset(_) | State::At(_) => None,
        });
        let outcome = match failed {
            Some(error) if taken.is_empty() => Outcome::Failed(error),
            Some(_) | None if taken.is_empty() => return,
            Some(_) | None => Outcome::Polled(taken.into()),
        };
        self.turn = self.turn.wrapping_add(1);
        self.poll = None;
        out.push(Effect::Return { call: poll.call, outcome });
    }

    fn work(&mut self, now: Now, out: &mut Effects) {
        if let Some(poll) = self.poll
            && poll.until <= now.mono
        {
            self.poll = None;
            let none: Arc<[ConsumedRecord]> = Arc::new([]);
            out.push(Effect::Return { call: poll.call, outcome: Outcome::Polled(none) });
        }
        let next = self.ask(now.mono, out);
        self.network.pump(now.mono, &mut self.rng, out);
        let poll = self.poll.map(|poll| poll.until);
        self.wake = earliest(earliest(next, poll), self.network.deadline());
        if self.closed {
            self.wake = None;
        }
    }

    /// The next offset that the application will get, by topic and partition.
    pub fn positions(&self) -> impl Iterator<Item = (&TopicName, i32, Offset)> {
        self.slots.iter().filter_map(|slot| {
            slot.position().map(|position| (&slot.topic, slot.partition, position.offset))
        })
    }

    /// The invariants of what it holds.
    ///
    /// # Panics
    /// If one is broken: a bug of ours.
    pub fn check(&self) {
        for slot in &self.slots {
            assert!(slot.fence <= self.fences, "fences are given out once");
            let waits = slot.buffer.is_empty() || slot.position().is_some();
            assert!(waits, "records wait only at a position");
        }
        let names = self.slots.iter().map(|slot| (&slot.topic, slot.partition));
        assert!(names.is_sorted(), "the assignment is sorted");
    }
}

/// Moves records of one partition to the application.
fn take(slot: &mut Slot, max_records: usize, taken: &mut Vec<ConsumedRecord>) {
    if slot.paused {
        return;
    }
    while taken.len() < max_records {
        let Some(position) = slot.position() else { return };
        match slot.buffer.next(position.offset) {
            Ok(None) => return,
            Ok(Some((record, reached))) => {
                slot.reached(reached);
                let Some(record) = record else { continue };
                if slot.not_older_than.is_some_and(|time| record.timestamp < time) {
                    continue;
                }
                slot.not_older_than = None;
                taken.push(consumed(slot, record));
            }
            Err(error) => {
                slot.buffer.clear();
                slot.state = State::Failed(error.code());
            }
        }
    }
}

fn consumed(slot: &Slot, record: Record) -> ConsumedRecord {
    let headers = record.headers.into_iter().map(|(key, value)| {
        let key = alloc::string::String::from_utf8_lossy(&key);
        (Arc::from(&*key), value)
    });
    ConsumedRecord {
        topic: slot.topic.clone(),
        partition: slot.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key,
        value: record.value,
        headers: headers.collect(),
    }
}

impl Machine for Consumer {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        if let Input::Call { call, op } = input {
            self.called(now, call, &op, out);
        } else {
            match self.network.take(now.mono, input, &mut self.rng, out) {
                News::Nothing => {}
                News::Failed(requests) => self.unanswered(now.mono, requests),
                News::Answer(_, asked, response) => {
                    self.answered(now.mono, asked, &response, out);
                }
            }
        }
        if !self.closed {
            self.work(now, out);
        } else {
            self.wake = None;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.wake
    }
}
