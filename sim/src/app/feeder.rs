//! A process that sends what a feed makes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use seedlog::ids::{CallId, TopicName};
use seedlog::op::{Op, Outcome, SendRecord};
use seedlog::rng::Rng;
use seedlog::time::Duration;

use super::{FeedTable, HostedFeed, named};
use crate::cluster::Process;
use crate::world::{ProcessId, Seed, Subject, World};

/// One feeding process and what it has sent.
#[derive(Clone, Debug)]
pub struct Feeder {
    pub process: ProcessId,
    table: Arc<FeedTable>,
    feed: Box<dyn HostedFeed>,
    life: u64,
    calls: u64,
    pending: BTreeMap<CallId, SendRecord>,
    /// What is sent again before anything new.
    again: VecDeque<SendRecord>,
    /// Draws what is sent.
    rng: Rng,
    /// Draws when.
    pace: Rng,
    /// Draws what is sent again although it has an answer. A replay draws from it, and not from
    /// the pace.
    repeats: Rng,
    pub made: u64,
    pub acked: u64,
    /// Records sent once more, unanswered or not.
    pub repeated: u64,
}

/// Where and at which offset a record was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fed {
    pub topic: TopicName,
    pub partition: i32,
    pub offset: i64,
}

/// Calls of one life never mix with those of another.
const LIFE: u64 = 1 << 40;

impl Feeder {
    #[must_use]
    pub fn new(table: &Arc<FeedTable>, seed: Seed, number: u32, process: ProcessId) -> Self {
        Feeder {
            process,
            feed: table.feed.clone(),
            table: Arc::clone(table),
            life: 0,
            calls: 0,
            pending: BTreeMap::new(),
            again: VecDeque::new(),
            rng: seed.stream("feed", u64::from(number), 0),
            pace: seed.stream("feed pace", u64::from(number), 0),
            repeats: seed.stream("feed repeats", u64::from(number), 0),
            made: 0,
            acked: 0,
            repeated: 0,
        }
    }

    /// When the next send is due, from now.
    pub fn pause(&mut self) -> Duration {
        self.table.every.draw(&mut self.pace)
    }

    /// Sends without an answer.
    #[must_use]
    pub fn pending(&self) -> u64 {
        u64::try_from(self.pending.len() + self.again.len()).expect("a length fits u64")
    }

    /// Whether it would send now, something new only while that is asked for.
    #[must_use]
    pub fn wants(&self, wants_new: bool) -> bool {
        let open = u64::try_from(self.pending.len()).expect("a length fits u64");
        let has_more = self.table.records == 0 || self.made < self.table.records;
        open < self.table.pending && (!self.again.is_empty() || (wants_new && has_more))
    }

    /// Sends what waits to be sent again, otherwise something new.
    pub fn send(&mut self, world: &mut World<Process>) {
        if let Some(record) = self.again.pop_front() {
            self.repeated += 1;
            return self.call(world, record);
        }
        let mut dice = world.dice(Subject::Send(self.process), &mut self.rng);
        let next = named(|| format!("the feed {}", self.table.name), || self.feed.next(&mut dice));
        let Some(mut record) = next else { return };
        if record.topic.is_empty() {
            record.topic = self.table.topic.clone();
        }
        self.made += 1;
        self.call(world, record);
    }

    fn call(&mut self, world: &mut World<Process>, record: SendRecord) {
        self.calls += 1;
        let call = CallId(self.life * LIFE + self.calls);
        self.pending.insert(call, record.clone());
        world.call(self.process, call, Arc::new(Op::Send(record)));
    }

    /// The process died: its next life sends again what has no answer. How many sends those are.
    pub fn gone(&mut self) -> u64 {
        let lost = std::mem::take(&mut self.pending);
        self.life += 1;
        self.calls = 0;
        let count = u64::try_from(lost.len()).expect("a length fits u64");
        self.again.extend(lost.into_values());
        count
    }

    /// A call was answered. None: it was none of this life.
    pub fn returned(&mut self, call: CallId, outcome: &Outcome) -> Option<Option<Fed>> {
        let record = self.pending.remove(&call)?;
        self.feed.answered(&record, outcome);
        match outcome {
            Outcome::Sent { partition, offset, .. } => {
                self.acked += 1;
                let topic = record.topic.clone();
                if self.table.repeat.draw(&mut self.repeats) {
                    self.again.push_back(record);
                }
                Some(Some(Fed { topic, partition: *partition, offset: offset.0 }))
            }
            Outcome::Failed(_)
            | Outcome::Unknown(_)
            | Outcome::Done
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => {
                self.again.push_back(record);
                Some(None)
            }
        }
    }
}
