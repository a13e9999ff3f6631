//! What applications do with the cluster: producers that send unique records, consumers that read
//! everything, an admin client; and what came of it.
//!
//! Every operation ends ok, fail (surely without effect) or info (unknown). Only knowing which lets
//! a checker be right.

mod admin;
mod consumer;
mod producer;

use seedlog::ids::CallId;
use seedlog::op::Outcome;

use crate::cluster::{Cluster, Process};
use crate::scenario::Scenario;
use crate::scenario::script::Role;
use crate::world::{Lifecycle, ProcessId, Seed, World};

pub use admin::{AdminClient, created};
pub use consumer::ConsumerClient;
pub use producer::{ProducerClient, Sent, source};

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
    pub consumers: Vec<ConsumerClient>,
    pub admin: AdminClient,
    pub history: History,
    /// Whether producers send on their own.
    pub sending: bool,
    /// The highest acknowledged offset of each partition of each topic of the scenario, -1 for
    /// none.
    pub acked: Vec<Vec<i64>>,
    topics: Vec<seedlog::ids::TopicName>,
}

/// What a client told its application that a checker may want to know.
#[derive(Clone, Debug)]
pub enum Told {
    Sent(Sent),
    Polled { consumer: u32, records: std::sync::Arc<[seedlog::op::ConsumedRecord]> },
}

impl Workload {
    #[must_use]
    pub fn new(scenario: &Scenario, cluster: &Cluster, seed: Seed) -> Self {
        let producers = cluster.all(Role::Producer);
        let producers = producers.map(|process| ProducerClient::new(scenario, seed, process));
        let consumers = cluster.all(Role::Consumer).enumerate();
        let consumers = consumers.map(|(index, process)| {
            let number = u32::try_from(index).expect("few consumers");
            ConsumerClient::new(scenario, number, process)
        });
        let partitions = |topic: &crate::scenario::Topic| {
            vec![-1; usize::try_from(topic.partitions).expect("few partitions")]
        };
        Workload {
            producers: producers.collect(),
            consumers: consumers.collect(),
            admin: AdminClient::new(cluster.admin()),
            history: History::default(),
            sending: false,
            acked: scenario.topics.iter().map(partitions).collect(),
            topics: scenario.topics.iter().map(|topic| topic.name.clone()).collect(),
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
                self.history.info += self.producers[index].gone();
            }
            (Role::Consumer, true) => self.consumers[index].gone(),
            (Role::Consumer, false) => self.consumers[index].started(world),
            (Role::Admin, true) => self.history.info += self.admin.gone(),
            (Role::Producer | Role::Admin, false) | (Role::Broker | Role::Controller, _) => {}
        }
    }

    /// A client answered a call. What a checker should know comes back.
    pub fn returned(
        &mut self,
        world: &mut World<Process>,
        cluster: &Cluster,
        process: ProcessId,
        call: CallId,
        outcome: &Outcome,
    ) -> Option<Told> {
        let who = cluster.who(process);
        let index = usize::try_from(who.number - 1).expect("few clients");
        match who.role {
            Role::Producer => {
                let sent = self.producers[index].returned(call, outcome)?;
                self.count(outcome);
                self.note_acked(&sent);
                Some(Told::Sent(sent))
            }
            Role::Consumer => {
                let records = self.consumers[index].returned(world, call, outcome)?;
                self.history.ok += 1;
                Some(Told::Polled { consumer: who.number - 1, records })
            }
            Role::Admin => {
                self.count(outcome);
                self.admin.returned(call, outcome);
                None
            }
            Role::Broker | Role::Controller => None,
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
        let Outcome::Sent { partition, offset, .. } = sent.outcome else { return };
        let Ok(partition) = usize::try_from(partition) else { return };
        let topic = self.topics.iter().position(|name| *name == sent.topic);
        let Some(highest) = topic.and_then(|topic| self.acked[topic].get_mut(partition)) else {
            return;
        };
        *highest = (*highest).max(offset.0);
    }

    /// Sends that have no answer yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.producers.iter().map(ProducerClient::pending).sum()
    }

    /// Whether every consumer has read everything that was acknowledged; otherwise who has not.
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        for consumer in &self.consumers {
            if let Some((topic, partition, position)) = consumer.behind(&self.acked) {
                let highest = self.acked[topic][partition];
                return Some(format!(
                    "consumer k{} is at offset {position} of {}-{partition}, offset {highest} was \
                     acknowledged",
                    consumer.number + 1,
                    self.topics[topic],
                ));
            }
        }
        None
    }
}
