//! What applications do with the cluster: producers that send unique records, consumers that read
//! everything, an admin client; and what came of it.
//!
//! Every operation ends ok, fail (surely without effect) or info (unknown). Only knowing which lets
//! a checker be right.

mod admin;
mod consumer;
mod member;
mod producer;
mod told;
mod transactor;

use seedlog::ids::{CallId, TopicName};
use seedlog::op::Outcome;
use seedlog::time::Instant;

use crate::app::{Fed, Feeder};
use crate::check::Decision;
use crate::cluster::{Cluster, Process};
use crate::scenario::Scenario;
use crate::scenario::script::Role;
use crate::world::{Lifecycle, ProcessId, Seed, World};

pub use admin::{AdminClient, created};
pub use consumer::ConsumerClient;
pub use member::MemberClient;
pub use producer::{ProducerClient, source};
pub use told::{Sent, Told};
pub use transactor::{Due, Next, TransactionTotals, Transactor};

/// Operations by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub ok: u64,
    pub fail: u64,
    pub info: u64,
}

/// The applications of a run.
#[derive(Clone, Debug)]
pub struct Workload {
    pub producers: Vec<ProducerClient>,
    /// The first consumers, if there is a group.
    pub members: Vec<MemberClient>,
    /// All other consumers.
    pub consumers: Vec<ConsumerClient>,
    pub admin: AdminClient,
    pub feeders: Vec<Feeder>,
    pub history: History,
    /// Whether producers send on their own.
    pub sending: bool,
    /// Whether transactional producers begin on their own.
    automatic: bool,
    /// The highest acknowledged offset of each partition of each topic of the scenario, -1 for
    /// none. Of a transaction: once it is committed.
    pub acked: Vec<Vec<i64>>,
    topics: Vec<TopicName>,
    /// What nobody has been told yet.
    pub told: Vec<Told>,
    /// Clients that their applications close, and open anew.
    pub closing: Vec<ProcessId>,
    /// Processes that were shut down and have come to their end.
    pub closed: Vec<ProcessId>,
    /// Clients that want to be woken at some time.
    pub timers: Vec<(ProcessId, Instant)>,
}

impl Workload {
    #[must_use]
    pub fn new(scenario: &Scenario, cluster: &Cluster, seed: Seed) -> Self {
        let producers = cluster.all(Role::Producer);
        let producers = producers.map(|process| ProducerClient::new(scenario, seed, process));
        let mut members = Vec::new();
        let mut consumers = Vec::new();
        for (number, process) in (0..).zip(cluster.all(Role::Consumer)) {
            match &scenario.group {
                Some(group) if number < group.members => {
                    members.push(MemberClient::new(scenario, group, seed, number, process));
                }
                Some(_) | None => consumers.push(ConsumerClient::new(scenario, number, process)),
            }
        }
        let feeders = (0..).zip(cluster.all(Role::Feed)).zip(&scenario.feeds);
        let feeders =
            feeders.map(|((number, process), table)| Feeder::new(table, seed, number, process));
        let partitions = |topic: &crate::scenario::Topic| {
            vec![-1; usize::try_from(topic.partitions).expect("few partitions")]
        };
        Workload {
            producers: producers.collect(),
            members,
            consumers,
            admin: AdminClient::new(cluster.admin()),
            feeders: feeders.collect(),
            history: History::default(),
            sending: false,
            automatic: scenario.workload.automatic,
            acked: scenario.topics.iter().map(partitions).collect(),
            topics: scenario.topics.iter().map(|topic| topic.name.clone()).collect(),
            told: Vec::new(),
            closing: Vec::new(),
            closed: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// Every client starts over: those whose process is new since.
    pub fn lifecycle(
        &mut self,
        world: &mut World<Process>,
        cluster: &Cluster,
        process: ProcessId,
        change: Lifecycle,
    ) {
        let who = cluster.who(process);
        let index = usize::try_from(who.number - 1).expect("few clients");
        let gone = match change {
            Lifecycle::Crashed | Lifecycle::PowerLost | Lifecycle::Halted => true,
            Lifecycle::Started => false,
            Lifecycle::Paused | Lifecycle::Resumed | Lifecycle::Wiped => return,
        };
        match (who.role, gone) {
            (Role::Producer, true) => {
                self.history.info += self.producers[index].gone(&mut self.told);
            }
            (Role::Producer, false) if self.automatic => {
                self.producers[index].init(world);
            }
            (Role::Consumer, gone) => match index.checked_sub(self.members.len()) {
                None if gone => self.members[index].gone(),
                None => self.members[index].started(world),
                Some(index) if gone => self.consumers[index].gone(),
                Some(index) => self.consumers[index].started(world),
            },
            (Role::Admin, true) => self.history.info += self.admin.gone(),
            (Role::Feed, true) => self.history.info += self.feeders[index].gone(),
            (Role::Producer | Role::Admin | Role::Feed, false)
            | (Role::Broker | Role::Controller | Role::Store | Role::App, _) => {}
        }
    }

    /// A client answered a call.
    pub fn returned(
        &mut self,
        world: &mut World<Process>,
        cluster: &Cluster,
        process: ProcessId,
        call: CallId,
        outcome: &Outcome,
    ) {
        let who = cluster.who(process);
        let index = usize::try_from(who.number - 1).expect("few clients");
        match who.role {
            Role::Producer => self.producer_returned(process, index, call, outcome),
            Role::Consumer => match index.checked_sub(self.members.len()) {
                None => self.member_returned(world, index, call, outcome),
                Some(index) => {
                    if let Some(records) = self.consumers[index].returned(world, call, outcome) {
                        self.history.ok += 1;
                        self.told.push(Told::Polled { consumer: who.number - 1, records });
                    }
                }
            },
            Role::Admin => {
                self.count(outcome);
                self.admin.returned(call, outcome);
            }
            Role::Feed => {
                let Some(fed) = self.feeders[index].returned(call, outcome) else { return };
                self.count(outcome);
                if let Some(Fed { topic, partition, offset }) = fed {
                    self.note_placed(&topic, partition, offset);
                }
            }
            // An application is called to close, and for nothing else.
            Role::App if *outcome == Outcome::Done => self.closed.push(process),
            Role::Broker | Role::Controller | Role::Store | Role::App => {}
        }
    }

    fn producer_returned(
        &mut self,
        process: ProcessId,
        index: usize,
        call: CallId,
        outcome: &Outcome,
    ) {
        let producer = &mut self.producers[index];
        let next = match producer.controlled(call, outcome, &mut self.told) {
            Some(next) => {
                self.note_ended(index);
                next
            }
            None => {
                let Some(sent) = producer.returned(call, outcome) else { return };
                let next = producer.sent_in_transaction(&sent);
                if producer.transactor.is_none() {
                    self.note_acked(&sent);
                }
                self.told.push(Told::Sent(sent));
                next
            }
        };
        self.count(outcome);
        // A script says itself when a new life begins.
        if next == Next::NewLife && self.automatic && !self.closing.contains(&process) {
            self.closing.push(process);
        }
    }

    /// What a committed transaction has sent is to be read.
    fn note_ended(&mut self, index: usize) {
        let committed = matches!(
            self.told.last(),
            Some(Told::Ended(transaction, Decision::Commit, Outcome::Done))
                if transaction.source == self.producers[index].source()
        );
        let Some(transactor) = self.producers[index].transactor.as_mut().filter(|_| committed)
        else {
            return;
        };
        for (topic, partition, offset) in transactor.take_placed() {
            self.note_placed(&topic, partition, offset);
        }
    }

    fn member_returned(
        &mut self,
        world: &mut World<Process>,
        index: usize,
        call: CallId,
        outcome: &Outcome,
    ) {
        let (member, before) = (&mut self.members[index], self.told.len());
        let timer = member.returned(world, call, outcome);
        self.told.append(&mut member.told);
        let process = member.process;
        self.timers.extend(timer.map(|at| (process, at)));
        if member.is_closed() {
            self.closed.push(process);
        }
        if self.told.len() > before {
            self.count(outcome);
        }
    }

    /// A timer of a client went off.
    pub fn timer(&mut self, world: &mut World<Process>, process: ProcessId) {
        if let Some(member) = self.members.iter_mut().find(|member| member.process == process)
            && world.is_up(process)
        {
            member.timer(world);
            self.told.append(&mut member.told);
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done
            | Outcome::Sent { .. }
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => self.history.ok += 1,
            Outcome::Failed(_) => self.history.fail += 1,
            Outcome::Unknown(_) => self.history.info += 1,
        }
    }

    fn note_acked(&mut self, sent: &Sent) {
        if let Outcome::Sent { partition, offset, .. } = sent.outcome {
            self.note_placed(&sent.topic, partition, offset.0);
        }
    }

    fn note_placed(&mut self, topic: &TopicName, partition: i32, offset: i64) {
        let Ok(partition) = usize::try_from(partition) else { return };
        let topic = self.topics.iter().position(|name| name == topic);
        let Some(highest) = topic.and_then(|topic| self.acked[topic].get_mut(partition)) else {
            return;
        };
        *highest = (*highest).max(offset);
    }

    /// Sends that have no answer yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        let fed: u64 = self.feeders.iter().map(Feeder::pending).sum();
        fed + self.producers.iter().map(ProducerClient::pending).sum::<u64>()
    }

    /// A transactional producer that is not ready for its next transaction.
    #[must_use]
    pub fn unfinished(&self) -> Option<String> {
        let busy = self.producers.iter().find(|producer| !producer.is_free())?;
        Some(format!("producer p{} cannot begin a transaction", busy.number() + 1))
    }

    /// Lives of clients that another one took the place of.
    #[must_use]
    pub fn fenced(&self) -> u64 {
        let members: u64 = self.members.iter().map(|member| member.fenced).sum();
        members + self.producers.iter().map(|p| p.transactions().fenced).sum::<u64>()
    }

    /// Records that consumers have got.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        let members: u64 = self.members.iter().map(|member| member.consumed).sum();
        members + self.consumers.iter().map(|consumer| consumer.consumed).sum::<u64>()
    }

    /// Whether every consumer has read everything that was acknowledged and is above the starts of
    /// logs, by topic and partition; otherwise who has not.
    #[must_use]
    pub fn unread(&self, starts: &[Vec<i64>]) -> Option<String> {
        // What is deleted is not to be read any more.
        let mut due = self.acked.clone();
        for (highest, start) in due.iter_mut().flatten().zip(starts.iter().flatten()) {
            if *start > *highest {
                *highest = -1;
            }
        }
        for consumer in &self.consumers {
            if let Some((topic, partition, position)) = consumer.behind(&due) {
                let highest = due[topic][partition];
                return Some(format!(
                    "consumer k{} is at offset {position} of {}-{partition}, offset {highest} was \
                     acknowledged",
                    consumer.number + 1,
                    self.topics[topic],
                ));
            }
        }
        self.unread_by_group(&due)
    }

    /// What no member has read.
    fn unread_by_group(&self, due: &[Vec<i64>]) -> Option<String> {
        let first = self.members.first()?;
        for (topic, highest) in due.iter().enumerate() {
            for (partition, highest) in highest.iter().enumerate() {
                let reached = self.members.iter().map(|member| member.reached[topic][partition]);
                let reached = reached.max().unwrap_or(-1);
                if reached < *highest {
                    return Some(format!(
                        "group {} has read {}-{partition} up to offset {reached}, offset {highest} \
                         was acknowledged",
                        first.group(),
                        self.topics[topic],
                    ));
                }
            }
        }
        None
    }
}
