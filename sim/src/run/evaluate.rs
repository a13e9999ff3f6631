//! What a script's words mean at this moment.

use std::sync::Arc;

use seedlog::ids::NodeId;
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::time::millis;

use super::Run;
use crate::cluster::View;
use crate::scenario::script::{
    Binding, Condition, Fact, Group, NodeExpr, Number, Part, Role, SetOf, SetTest, Tally,
};
use crate::workload::Transactor;
use crate::world::ProcessId;

impl Run {
    /// The cluster as seen from outside.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { world: &self.world, cluster: &self.cluster, image: &self.image }
    }

    /// The process that an expression means now.
    #[must_use]
    pub fn node(&self, node: &NodeExpr) -> Option<ProcessId> {
        let view = self.view();
        match node {
            NodeExpr::Who(who) => Some(self.cluster.process(*who)),
            NodeExpr::Leader(part, None) => view.process(view.partition(part)?.leader),
            NodeExpr::Leader(part, Some(by)) => {
                view.process(view.partition_of(self.node(by)?, part)?.leader)
            }
            NodeExpr::Preferred(part) => view.process(*view.partition(part)?.replicas.first()?),
            NodeExpr::Follower(part, number) => {
                let partition = view.partition(part)?;
                let others = partition.replicas.iter().filter(|node| **node != partition.leader);
                let index = usize::try_from(number.saturating_sub(1)).expect("few replicas");
                view.process(*others.into_iter().nth(index)?)
            }
            NodeExpr::Controller => view.controller(),
            NodeExpr::Coordinator(CoordinatorKind::Group, group) => {
                view.coordinator(CoordinatorKind::Group, group)
            }
            NodeExpr::Coordinator(kind @ CoordinatorKind::Transaction, id) => {
                view.coordinator(*kind, &self.transactional_id(id))
            }
            NodeExpr::Bound(name) => match self.script.bound(name)? {
                Bound::Process(process) => Some(process),
                Bound::Number(_) => None,
            },
        }
    }

    /// All processes that an expression means now; none if one of them is nobody.
    #[must_use]
    pub fn group(&self, group: &Group) -> Option<Vec<ProcessId>> {
        match group {
            Group::Nodes(nodes) => nodes.iter().map(|node| self.node(node)).collect(),
            Group::Brokers => Some(self.cluster.all(Role::Broker).collect()),
            Group::Controllers => Some(self.cluster.all(Role::Controller).collect()),
            Group::Servers => Some(self.cluster.servers().collect()),
            Group::Clients => Some(self.cluster.clients().collect()),
            Group::Everybody => Some(self.cluster.everybody().collect()),
            Group::Except(group, but) => {
                let but: Option<Vec<ProcessId>> = but.iter().map(|node| self.node(node)).collect();
                let (mut all, but) = (self.group(group)?, but?);
                all.retain(|process| !but.contains(process));
                Some(all)
            }
        }
    }

    /// The number that an expression means now.
    #[must_use]
    pub fn number(&self, number: &Number) -> Option<i64> {
        let view = self.view();
        let replica = |part: &Part, node: &NodeExpr| view.replica(self.node(node)?, view.id(part)?);
        let partition = |part: &Part, by: &Option<NodeExpr>| match by {
            None => view.partition(part),
            Some(by) => view.partition_of(self.node(by)?, part),
        };
        let quorum = |node: &NodeExpr| view.quorum(self.node(node)?);
        Some(match number {
            Number::Literal(number) => *number,
            Number::Plus(number, more) => self.number(number)?.saturating_add(*more),
            Number::Bound(name) => match self.script.bound(name)? {
                Bound::Number(number) => number,
                Bound::Process(_) => return None,
            },
            Number::Time => millis(self.world.now().since(seedlog::time::Instant::ZERO)),
            Number::Waited => millis(self.world.now().since(self.script.since)),
            Number::LogEnd(part, node) => replica(part, node)?.end.0,
            Number::LogStart(part, node) => replica(part, node)?.start.0,
            Number::HighWatermark(part, node) => replica(part, node)?.high_watermark.0,
            Number::LeaderEpoch(part, by) => i64::from(partition(part, by)?.leader_epoch.0),
            Number::PartitionEpoch(part, by) => i64::from(partition(part, by)?.partition_epoch.0),
            Number::Tally(tally, who) => self.tally(*tally, who.as_ref())?,
            Number::Held(name) => {
                let holds = self.holds.get(name).map_or(&[][..], Vec::as_slice);
                let held: u64 = holds.iter().map(|hold| self.world.held(*hold)).sum();
                i64::try_from(held).expect("a count fits i64")
            }
            Number::QuorumEpoch(node) => i64::from(quorum(node)?.epoch),
            Number::QuorumLogEnd(node) => quorum(node)?.end.0,
            Number::QuorumHighWatermark(node) => quorum(node)?.high_watermark.0,
            Number::BrokerEpoch(node) => {
                let node = self.cluster.node(self.node(node)?)?;
                self.image.brokers.get(&node)?.epoch.0
            }
            Number::Starts(node) => i64::from(self.world.incarnation(self.node(node)?)),
            Number::Partitions(topic) => {
                let id = self.image.names.get(topic)?;
                i64::try_from(self.image.topics.get(id)?.partitions.len()).expect("a count")
            }
            Number::LastStable(part, node) => replica(part, node)?.last_stable.0,
            Number::Committed(..)
            | Number::Generation(_)
            | Number::Members(_)
            | Number::Owned(_)
            | Number::ProducerEpoch(_)
            | Number::Rebalances => self.coordinated(number)?,
        })
    }

    /// The transactional id of a producer, or that id itself.
    fn transactional_id(&self, word: &Arc<str>) -> Arc<str> {
        let number = word.strip_prefix('p').and_then(|number| number.parse::<u32>().ok());
        let producer = number.and_then(|number| number.checked_sub(1));
        let transactions = self.scenario.transactions.as_ref();
        let id = producer.zip(transactions).and_then(|(producer, all)| all.id(producer));
        id.unwrap_or_else(|| Arc::clone(word))
    }

    /// A number that coordinators, or members of groups, have told.
    fn coordinated(&self, number: &Number) -> Option<i64> {
        let told = &self.watch.coordinators;
        let count = |count: usize| i64::try_from(count).expect("a count fits i64");
        Some(match number {
            Number::Committed(group, part) => told.offset(group, &part.topic, part.partition)?.0,
            Number::Generation(group) => i64::from(told.group(group)?.generation),
            Number::Members(group) => count(told.group(group)?.members.len()),
            Number::Owned(node) => {
                let process = self.node(node)?;
                let mut members = self.workload.members.iter();
                count(members.find(|member| member.process == process)?.owned().len())
            }
            Number::ProducerEpoch(id) => {
                i64::from(told.transaction(&self.transactional_id(id))?.epoch.0)
            }
            Number::Rebalances => i64::try_from(told.rebalances).ok()?,
            Number::Literal(_)
            | Number::Plus(..)
            | Number::Bound(_)
            | Number::Time
            | Number::Waited
            | Number::LogEnd(..)
            | Number::LogStart(..)
            | Number::HighWatermark(..)
            | Number::LeaderEpoch(..)
            | Number::PartitionEpoch(..)
            | Number::Tally(..)
            | Number::Held(_)
            | Number::QuorumEpoch(_)
            | Number::QuorumLogEnd(_)
            | Number::QuorumHighWatermark(_)
            | Number::BrokerEpoch(_)
            | Number::Starts(_)
            | Number::Partitions(_)
            | Number::LastStable(..) => return None,
        })
    }

    fn tally(&self, tally: Tally, who: Option<&NodeExpr>) -> Option<i64> {
        let process = match who {
            Some(who) => Some(self.node(who)?),
            None => None,
        };
        let wanted = |client: ProcessId| process.is_none_or(|process| process == client);
        if tally == Tally::Consumed {
            let consumers = self.workload.consumers.iter().filter(|c| wanted(c.process));
            let members = self.workload.members.iter().filter(|m| wanted(m.process));
            let members: u64 = members.map(|member| member.consumed).sum();
            return i64::try_from(members + consumers.map(|c| c.consumed).sum::<u64>()).ok();
        }
        let members = self.workload.members.iter().filter(|m| wanted(m.process));
        let fenced: u64 = members.map(|member| member.fenced).sum();
        let fenced = if tally == Tally::Fenced { fenced } else { 0 };
        let producers = self.workload.producers.iter().filter(|p| wanted(p.process));
        let count = producers.map(|producer| match tally {
            Tally::Sent => producer.totals.sent,
            Tally::Acked => producer.totals.acked,
            Tally::Failed => producer.totals.failed,
            Tally::Unknown => producer.totals.unknown,
            Tally::Pending | Tally::Consumed => producer.pending(),
            Tally::Begun => producer.transactions().begun,
            Tally::Committed => producer.transactions().committed,
            Tally::Aborted => producer.transactions().aborted,
            Tally::Fenced => producer.transactions().fenced,
        });
        i64::try_from(fenced + count.sum::<u64>()).ok()
    }

    /// Whether a condition holds now.
    #[must_use]
    pub fn holds_now(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Not(condition) => !self.holds_now(condition),
            Condition::Any(any) => any.iter().any(|condition| self.holds_now(condition)),
            Condition::Compare(left, comparison, right) => {
                match (self.number(left), self.number(right)) {
                    (Some(left), Some(right)) => comparison.holds(left, right),
                    (Some(_) | None, _) => false,
                }
            }
            Condition::Node(node, equal, other) => {
                let left = self.node(node);
                match other {
                    None => left.is_none() == *equal,
                    Some(other) => match (left, self.node(other)) {
                        (Some(left), Some(right)) => (left == right) == *equal,
                        (Some(_) | None, _) => false,
                    },
                }
            }
            Condition::Set(set, test, nodes) => self.set_holds(set, *test, nodes).unwrap_or(false),
            Condition::Fact(fact) => self.fact_holds(fact).unwrap_or(false),
            Condition::Transaction(id, equal, state) => {
                let seen = self.watch.coordinators.transaction(&self.transactional_id(id));
                seen.is_some_and(|seen| (seen.state == *state) == *equal)
            }
        }
    }

    fn transactor(&self, process: ProcessId) -> Option<&Transactor> {
        let mut producers = self.workload.producers.iter();
        producers.find(|producer| producer.process == process)?.transactor.as_ref()
    }

    fn set_holds(&self, set: &SetOf, test: SetTest, nodes: &[NodeExpr]) -> Option<bool> {
        let view = self.view();
        let ids = |nodes: &[NodeId]| nodes.to_vec();
        let mut set: Vec<NodeId> = match set {
            SetOf::Isr(part, None) => ids(&view.partition(part)?.isr),
            SetOf::Isr(part, Some(by)) => ids(&view.partition_of(self.node(by)?, part)?.isr),
            SetOf::Elr(part) => ids(&view.partition(part)?.elr),
            SetOf::Replicas(part) => ids(&view.partition(part)?.replicas),
        };
        let wanted: Option<Vec<NodeId>> =
            nodes.iter().map(|node| self.cluster.node(self.node(node)?)).collect();
        let mut wanted = wanted?;
        set.sort_unstable();
        wanted.sort_unstable();
        Some(match test {
            SetTest::Is => set == wanted,
            SetTest::IsNot => set != wanted,
            SetTest::Has => wanted.iter().all(|node| set.contains(node)),
            SetTest::Lacks => !wanted.iter().any(|node| set.contains(node)),
        })
    }

    fn fact_holds(&self, fact: &Fact) -> Option<bool> {
        let view = self.view();
        let broker = |process: ProcessId| {
            let node = self.cluster.node(process)?;
            self.image.brokers.get(&node)
        };
        let all = |group: &Group, holds: &dyn Fn(ProcessId) -> bool| {
            Some(self.group(group)?.into_iter().all(holds))
        };
        match fact {
            Fact::Up(group) => all(group, &|process| self.world.is_up(process)),
            Fact::Down(group) => all(group, &|process| !self.world.is_up(process)),
            Fact::Fenced(group) => {
                all(group, &|process| broker(process).is_some_and(|broker| broker.fenced))
            }
            Fact::Serving(group) => all(group, &|process| view.serves(process)),
            Fact::Registered(group) => all(group, &|process| broker(process).is_some()),
            Fact::Leads(node, part) => Some(view.replica(self.node(node)?, view.id(part)?)?.leads),
            Fact::Follows(node, part) => {
                Some(view.replica(self.node(node)?, view.id(part)?)?.follows)
            }
            Fact::Idle(group) => {
                all(group, &|process| self.transactor(process).is_some_and(Transactor::is_idle))
            }
            Fact::Open(group) => {
                let open = |transactor: &Transactor| transactor.open().is_some();
                all(group, &|process| self.transactor(process).is_some_and(open))
            }
            Fact::Over(group) => {
                all(group, &|process| self.transactor(process).is_some_and(Transactor::is_over))
            }
            Fact::Exists(topic) => Some(self.image.names.contains_key(topic)),
            Fact::Reassigning(part) => Some(view.partition(part)?.is_reassigning()),
        }
    }

    /// What a `bind` fixes now.
    #[must_use]
    pub fn bind(&self, binding: &Binding) -> Option<Bound> {
        match binding {
            Binding::Node(node) => self.node(node).map(Bound::Process),
            Binding::Number(number) => self.number(number).map(Bound::Number),
        }
    }
}

/// The value of a script's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Process(ProcessId),
    Number(i64),
}
