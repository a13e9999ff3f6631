//! Records that are not acknowledged yet: the queues, the memory they take, and who waits for what.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::producer::batch::{Batch, Limit};
use crate::client::producer::partitioner::Spread;
use crate::client::producer::queue::Queue;
use crate::ids::{CallId, TopicName};
use crate::op::{Op, SendRecord};
use crate::time::{Instant, Timestamp};

#[derive(Clone, Debug, Default)]
pub(crate) struct Accumulator {
    topics: Vec<Topic>,
    by_name: BTreeMap<TopicName, usize>,
    pub queues: Vec<Queue>,
    /// Bytes of all batches.
    used: usize,
    next_batch: u64,
    /// Counts calls, so that a flush knows what came before it.
    next_ticket: u64,
    /// Whether its batches are parts of transactions.
    transactional: bool,
    /// Sends that wait for metadata or memory, oldest first.
    pub waiting: VecDeque<Waiting>,
    pub flushes: Vec<Flush>,
}

#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub name: TopicName,
    pub spread: Spread,
    /// Index of each partition's queue.
    queues: Vec<Option<usize>>,
}

/// A send that cannot be taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub call: CallId,
    pub op: Arc<Op>,
    pub ticket: u64,
    pub until: Instant,
}

impl Waiting {
    pub fn record(&self) -> &SendRecord {
        let Op::Send(record) = &*self.op else { panic!("only sends wait") };
        record
    }
}

/// Answered when nothing with a ticket below is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flush {
    pub call: CallId,
    pub ticket: u64,
}

/// A record that found its place.
pub(crate) struct Placed<'a> {
    pub call: CallId,
    pub ticket: u64,
    pub record: &'a SendRecord,
    pub timestamp: Timestamp,
    pub size: usize,
    pub partition: i32,
}

/// What an append changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The record opened a new batch: there is a new deadline.
    pub new_batch: bool,
    /// A batch is full: there is something to send.
    pub full: bool,
}

impl Accumulator {
    pub fn new(transactional: bool) -> Self {
        Accumulator { transactional, ..Accumulator::default() }
    }

    pub fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// The index of a topic, and whether it is new here.
    pub fn topic(&mut self, name: &TopicName) -> (usize, bool) {
        if let Some(index) = self.by_name.get(name) {
            return (*index, false);
        }
        let index = self.topics.len();
        let topic = Topic { name: name.clone(), spread: Spread::default(), queues: Vec::new() };
        self.topics.push(topic);
        self.by_name.insert(name.clone(), index);
        (index, true)
    }

    pub fn topic_mut(&mut self, index: usize) -> &mut Topic {
        &mut self.topics[index]
    }

    /// The topic that a queue belongs to.
    pub fn topic_of(&self, queue: &Queue) -> &TopicName {
        &self.topics[queue.topic].name
    }

    pub fn has_memory(&self, size: usize, buffer_memory: u64) -> bool {
        u64::try_from(self.used + size).is_ok_and(|after| after <= buffer_memory)
    }

    fn queue(&mut self, topic: usize, partition: i32) -> usize {
        let index = usize::try_from(partition).expect("the partitioner gives a partition");
        let slots = &mut self.topics[topic].queues;
        if slots.len() <= index {
            slots.resize(index + 1, None);
        }
        if let Some(queue) = slots[index] {
            return queue;
        }
        let queue = self.queues.len();
        slots[index] = Some(queue);
        self.queues.push(Queue::new(topic, partition));
        queue
    }

    /// Puts a record into the last batch of its partition, or into a new one.
    pub fn append(
        &mut self,
        now: Instant,
        topic: usize,
        placed: &Placed<'_>,
        limit: Limit,
    ) -> Appended {
        let queue = self.queue(topic, placed.partition);
        let queue = &mut self.queues[queue];
        let new_batch =
            !queue.batches.back().is_some_and(|batch| batch.has_room(placed.size, limit));
        let crowded = new_batch && !queue.batches.is_empty();
        if new_batch {
            let batch = Batch::new(self.next_batch, placed.ticket, now, self.transactional);
            self.next_batch += 1;
            self.used += batch.size;
            queue.batches.push_back(batch);
        }
        let batch = queue.batches.back_mut().expect("a batch with room is there");
        let Placed { call, ticket, record, timestamp, size, partition: _ } = *placed;
        batch.append(call, ticket, record, timestamp, size);
        self.used += size;
        Appended { new_batch, full: crowded || batch.is_full(limit) }
    }

    /// A batch has left its queue: its memory is free.
    pub fn release(&mut self, batch: &Batch) {
        self.used -= batch.size;
    }

    /// Batches with a ticket below are to be sent at once.
    pub fn hurry_below(&self) -> u64 {
        self.flushes.iter().map(|flush| flush.ticket).max().unwrap_or(0)
    }

    /// Takes out the flushes that have nothing left to wait for.
    pub fn flushed(&mut self) -> Vec<CallId> {
        if self.flushes.is_empty() {
            return Vec::new();
        }
        let queued = self.queues.iter().flat_map(|queue| &queue.batches).map(|batch| batch.ticket);
        let waiting = self.waiting.iter().map(|waiting| waiting.ticket);
        let oldest = queued.chain(waiting).min().unwrap_or(u64::MAX);
        let (done, left): (Vec<Flush>, Vec<Flush>) =
            self.flushes.drain(..).partition(|flush| flush.ticket < oldest);
        self.flushes = left;
        done.into_iter().map(|flush| flush.call).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0 && self.waiting.is_empty()
    }

    pub fn check(&self, idempotent: bool) {
        for queue in &self.queues {
            queue.check(idempotent);
        }
        let batches = self.queues.iter().flat_map(|queue| &queue.batches);
        assert_eq!(self.used, batches.map(|batch| batch.size).sum::<usize>(), "memory is counted");
    }
}
