//! The consumer: reads partitions that it or its group assigns from their leaders, each record once
//! and in order.
//!
//! - `position`: where it stands in a partition, and what it must learn before it goes on.
//! - `fetcher`: long-polls each leader with one fetch at a time, resets and validates positions.
//! - `buffer`: fetched batches, opened only when the application polls.
//! - `poll`: what the application is handed, one thing at a time.
//! - `group`: the coordinator, and what it is asked; `membership`: the member's part in the group's
//!   protocols; [`assignor`]: what a leader of the classic one does.
//! - `commit`, `autocommit`, `committed`: the group's offsets.

pub mod assignor;
mod autocommit;
mod buffer;
mod commit;
mod committed;
mod fetcher;
mod group;
mod membership;
mod poll;
mod position;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::consumer::assignor::CustomAssignor;
use crate::client::consumer::fetcher::Asked;
use crate::client::consumer::group::Group;
use crate::client::consumer::poll::Poll;
use crate::client::consumer::position::{Position, Slot, State};
use crate::client::network::{Network, NetworkConfig, News};
use crate::config::ConsumerConfig;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::ids::{CallId, Endpoint, NodeId, Offset, TopicName};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::offsets::OffsetSpec;
use crate::op::{Op, Outcome, SeekTo};
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
    group: Option<Group>,
    /// Of memberships, counted over all of them.
    rounds: u64,
    closed: bool,
    wake: Option<Instant>,
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
        let group = setup.group.as_ref().map(|group| Group::new(group, network.retry));
        Consumer {
            setup: Arc::clone(setup),
            rng: Rng::new(seed),
            network: Network::new(Arc::clone(&setup.bootstrap), network),
            slots: Vec::new(),
            fences: 0,
            fetching: BTreeSet::new(),
            turn: 0,
            poll: None,
            group,
            rounds: 0,
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

    fn called(&mut self, now: Instant, call: CallId, op: &Op, out: &mut Effects) {
        let result = match op {
            _ if self.closed || self.group.as_ref().is_some_and(Group::is_closing) => {
                Err(ErrorCode::InvalidRequest)
            }
            Op::Poll { max_records, timeout } => {
                match self.poll(now, call, *max_records, *timeout) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Op::Commit(positions) => match self.commit_called(now, call, positions.as_deref()) {
                Ok(true) => return,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            },
            Op::Committed(partitions) => match self.look_up(now, call, partitions) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Op::Unsubscribe | Op::Close if self.group.is_some() => {
                match self.leave(now, call, *op == Op::Close, out) {
                    Ok(()) => return,
                    Err(error) => Err(error),
                }
            }
            Op::Close => {
                self.shut_down(out);
                Ok(())
            }
            Op::Subscribe(topics) => self.subscribe(now, topics),
            Op::Assign(partitions) => self.assign(now, partitions),
            Op::Seek { topic, partition, to } => self.seek(topic, *partition, *to),
            Op::Pause { topic, partition } => self.pause(topic, *partition, true),
            Op::Resume { topic, partition } => self.pause(topic, *partition, false),
            Op::Unsubscribe
            | Op::Send(_)
            | Op::Flush
            | Op::Admin(_)
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
    fn assign(&mut self, now: Instant, partitions: &[(TopicName, i32)]) -> Result<(), ErrorCode> {
        if let Some(group) = &mut self.group {
            if group.membership.is_some() {
                return Err(ErrorCode::InvalidRequest);
            }
            group.auto_at = now + self.setup.config.auto_commit_interval;
        }
        let mut wanted: Vec<(TopicName, i32)> = partitions.to_vec();
        wanted.sort();
        wanted.dedup();
        self.place(&wanted);
        Ok(())
    }

    /// Makes the slots these sorted partitions; those that stay keep their positions.
    fn place(&mut self, partitions: &[(TopicName, i32)]) {
        let mut old = core::mem::take(&mut self.slots);
        for (topic, partition) in partitions {
            let kept = old.iter().position(|s| s.topic == *topic && s.partition == *partition);
            if let Some(index) = kept {
                self.slots.push(old.swap_remove(index));
                continue;
            }
            let fence = self.next_fence();
            let state = match self.group {
                Some(_) => State::Committed,
                None => self.initial_state(ErrorCode::OffsetOutOfRange),
            };
            self.slots.push(Slot::new(topic.clone(), *partition, fence, state));
        }
        self.watch_topics();
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

    fn shut_down(&mut self, out: &mut Effects) {
        if let Some(poll) = self.poll.take() {
            let outcome = Outcome::Polled(Arc::new([]));
            out.push(Effect::Return { call: poll.call, outcome });
        }
        self.slots.clear();
        self.network.shut_down(out);
        self.closed = true;
    }

    fn work(&mut self, now: Instant, out: &mut Effects) {
        self.step_group(now, out);
        if self.closed {
            return;
        }
        self.deliver(now, out);
        let group = self.ask_group(now, out);
        let next = self.ask(now, out);
        self.network.pump(now, &mut self.rng, out);
        let poll = self.poll.map(|poll| poll.until);
        let own = earliest(earliest(next, poll), group);
        self.wake = earliest(own, self.network.deadline());
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
        if let Some(group) = &self.group {
            group.holding.check();
        }
        let names = self.slots.iter().map(|slot| (&slot.topic, slot.partition));
        assert!(names.is_sorted(), "the assignment is sorted");
    }
}

impl Machine for Consumer {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        if let Input::Call { call, op } = input {
            self.called(now.mono, call, &op, out);
        } else {
            match self.network.take(now.mono, input, &mut self.rng, out) {
                News::Nothing => {}
                News::Failed(requests) => self.unanswered(now.mono, requests),
                News::Answer(node, asked, response) => {
                    self.answered(now.mono, node, asked, &response, out);
                }
            }
        }
        if !self.closed {
            self.work(now.mono, out);
        }
        if self.closed {
            self.wake = None;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.wake
    }
}
