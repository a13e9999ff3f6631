//! What a source does when its time comes.

use std::sync::Arc;

use seedlog::message::coordinator::CoordinatorKind;
use seedlog::metadata::Image;
use seedlog::rng::Rng;
use seedlog::time::Duration;

use super::Source;
use crate::run::coordinators::Transition;
use crate::run::{Run, Token};
use crate::scenario::script::{
    Action, ClockAct, DiskAct, Group, LinkAct, NodeExpr, Part, ProcessAct, Role, Unflushed,
};
use crate::scenario::{Fault, FaultKind, Target};
use crate::world::ProcessId;

/// Who has heard of somebody within this time talks to them: more than heartbeats are apart.
pub(super) const LATELY: Duration = Duration::from_secs(3);

/// What a source decided.
#[derive(Default)]
struct Blow {
    acts: Vec<Action>,
    undo: Vec<Action>,
    away: Vec<ProcessId>,
    /// Whose disk loses something.
    loses: Option<ProcessId>,
}

impl Run {
    /// Every source begins to wait for its first strike.
    pub(crate) fn begin_faults(&mut self) {
        for index in 0..self.sources.len() {
            self.wait_to_strike(index);
        }
    }

    fn wait_to_strike(&mut self, index: usize) {
        let source = &mut self.sources[index];
        let pause = source.fault.every.draw(&mut source.rng);
        let at = self.world.now() + pause;
        self.world.control(at, Token::Strike(index).encode());
    }

    /// Sources end; what they did stays as it is.
    pub(crate) fn end_faults(&mut self) {
        self.raging = false;
    }

    /// A source's time has come: it strikes, or begins to wait for the state that it aims at.
    pub(crate) fn strike(&mut self, index: usize) {
        if !self.raging {
            return;
        }
        let Source { fault, struck, armed, aim, .. } = &mut self.sources[index];
        if fault.count > 0 && *struck >= fault.count {
            return;
        }
        if fault.when.is_some() && aim.is_none() {
            *armed = true;
        } else {
            self.strike_now(index);
            self.sources[index].aim = None;
        }
    }

    /// A transaction has come to a state: those strike that wait for it. What is only appended yet
    /// may be lost again, which is worth a strike now and then. A strike comes a moment after the
    /// event that it aims at: in a replay, what is due comes before what happens at the same time.
    pub(crate) fn strike_at(&mut self, transition: Transition) {
        for index in 0..self.sources.len() {
            let source = &mut self.sources[index];
            let aimed = source.armed && source.fault.when == Some(transition.to);
            if !self.raging || !aimed || (!transition.committed && !source.rng.chance(1, 4)) {
                continue;
            }
            source.armed = false;
            source.aim = Some(transition.process);
            let at = self.world.now() + Duration::from_nanos(1);
            self.world.control(at, Token::Strike(index).encode());
        }
    }

    fn strike_now(&mut self, index: usize) {
        self.refresh_image();
        let mut rng = self.sources[index].rng.clone();
        let blow = self.decide(index, &mut rng);
        self.sources[index].rng = rng;
        let Some(blow) = blow else {
            // One that aims waits for the next transition. Else those that strike often would leave
            // it none (`txn_coordinator_failover` seeds 75 and 80).
            if self.sources[index].fault.when.is_some() {
                self.sources[index].armed = true;
                return;
            }
            return self.wait_to_strike(index);
        };
        if let Some(process) = blow.loses {
            self.note_loss(process);
        }
        for action in &blow.acts {
            self.decided(action);
        }
        let source = &mut self.sources[index];
        source.struck += 1;
        source.undo = blow.undo;
        source.away = blow.away;
        if source.undo.is_empty() {
            source.away.clear();
            return self.wait_to_strike(index);
        }
        let lasts = source.fault.lasts.draw(&mut source.rng);
        let at = self.world.now() + lasts;
        self.world.control(at, Token::Relent(index).encode());
    }

    /// The end of what a source did last.
    pub(crate) fn relent(&mut self, index: usize) {
        if !self.raging {
            return;
        }
        let source = &mut self.sources[index];
        source.away.clear();
        let undo = std::mem::take(&mut source.undo);
        for action in &undo {
            self.decided(action);
        }
        self.wait_to_strike(index);
    }

    fn decide(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        use FaultKind as F;
        match self.sources[index].fault.kind {
            F::Crash | F::Power => {
                self.strike_process(index, rng, (ProcessAct::Crash, ProcessAct::Start))
            }
            F::Pause => self.strike_process(index, rng, (ProcessAct::Pause, ProcessAct::Resume)),
            F::Wipe => self.strike_process(index, rng, (ProcessAct::Wipe, ProcessAct::Start)),
            // A shutdown that hangs is cut short.
            F::Shutdown | F::Roll => {
                self.strike_process(index, rng, (ProcessAct::Shutdown, ProcessAct::Restart))
            }
            F::Split => self.split(rng),
            F::Isolate => self.strike_all_links(index, rng, (true, true)),
            F::Deafen => self.strike_all_links(index, rng, (false, true)),
            F::Mute => self.strike_all_links(index, rng, (true, false)),
            F::Cut => self.strike_link(index, rng, LinkAct::Cut),
            F::Clog => self.strike_link(index, rng, LinkAct::Clog),
            F::Lag => {
                let amount = self.sources[index].fault.amount;
                self.strike_link(index, rng, LinkAct::Lag(amount))
            }
            F::Reset => {
                let from = self.victim(index, rng)?;
                let acts = vec![Action::Process(ProcessAct::Reset, self.one(from))];
                Some(Blow { acts, ..Blow::default() })
            }
            F::DiskSlow => self.slow_disk(index, rng),
            F::DiskStall => self.stall_disk(index, rng),
            F::DiskError => self.fail_disk(index, rng, DiskAct::Error),
            F::DiskFull => self.fail_disk(index, rng, DiskAct::Full),
            F::DiskRot => self.rot_disk(index, rng),
            F::ClockJump | F::ClockFreeze => self.strike_clock(index, rng),
            F::Reassign => {
                let part = self.random_partition(rng)?;
                let to = self.new_replicas(&self.image, &part, rng)?;
                Some(Blow { acts: vec![Action::Reassign(part, to)], ..Blow::default() })
            }
            F::Elect => {
                let part = self.random_partition(rng)?;
                Some(Blow { acts: vec![Action::Elect(part, false)], ..Blow::default() })
            }
            F::Churn => self.churn(index, rng),
            F::Grow => self.grow(index, rng),
            F::Configure => self.configure(rng),
        }
    }

    fn expr(&self, process: ProcessId) -> NodeExpr {
        NodeExpr::Who(self.cluster.who(process))
    }

    pub(crate) fn one(&self, process: ProcessId) -> Group {
        Group::Nodes(vec![self.expr(process)])
    }

    /// A process that the target means and that is well.
    fn victim(&self, index: usize, rng: &mut Rng) -> Option<ProcessId> {
        let view = self.view();
        let Source { fault: Fault { target, .. }, aim, .. } = &self.sources[index];
        let target = *target;
        let candidates: Vec<ProcessId> = match target {
            Target::Broker => self.cluster.all(Role::Broker).collect(),
            Target::Controller => self.cluster.all(Role::Controller).collect(),
            Target::Server => self.cluster.servers().collect(),
            Target::Producer => self.cluster.all(Role::Producer).collect(),
            Target::Consumer => self.cluster.all(Role::Consumer).collect(),
            Target::App => self.cluster.all(Role::App).collect(),
            Target::Feed => self.cluster.all(Role::Feed).collect(),
            Target::Store => self.cluster.all(Role::Store).collect(),
            Target::Client => self.cluster.clients().collect(),
            Target::Anyone => self.cluster.everybody().collect(),
            Target::ActiveController => view.controller().into_iter().collect(),
            Target::GroupCoordinator => view.hosts(CoordinatorKind::Group),
            Target::TransactionCoordinator => match aim {
                Some(process) => vec![*process],
                None => view.hosts(CoordinatorKind::Transaction),
            },
            Target::Leader | Target::Follower => {
                let part = self.random_partition(rng)?;
                let state = view.partition(&part)?;
                let wanted = |node: &&seedlog::ids::NodeId| {
                    (**node == state.leader) == (target == Target::Leader)
                };
                let nodes = state.replicas.iter().filter(wanted);
                nodes.filter_map(|node| view.process(*node)).collect()
            }
        };
        let well = |process: &ProcessId| {
            let stores = self.cluster.who(*process).role == Role::Store;
            (!stores || target == Target::Store)
                && self.world.is_up(*process)
                && !self.world.is_paused(*process)
                && !self.is_afflicted(*process)
        };
        let candidates: Vec<ProcessId> = candidates.into_iter().filter(well).collect();
        (!candidates.is_empty()).then(|| candidates[rng.index(candidates.len())])
    }

    fn random_partition(&self, rng: &mut Rng) -> Option<Part> {
        let parts = self.partitions();
        (!parts.is_empty()).then(|| parts[rng.index(parts.len())].clone())
    }

    /// One process goes and comes back, by those acts.
    fn strike_process(
        &mut self,
        index: usize,
        rng: &mut Rng,
        (begin, end): (ProcessAct, ProcessAct),
    ) -> Option<Blow> {
        let kind = self.sources[index].fault.kind;
        let process = if kind == FaultKind::Roll {
            self.next_to_roll(index)?
        } else {
            self.victim(index, rng)?
        };
        let loses = matches!(kind, FaultKind::Power | FaultKind::Wipe);
        if !self.may_be_away(process)
            || (loses && !self.may_lose(process))
            || (begin != ProcessAct::Pause && !self.may_die(process))
        {
            return None;
        }
        let group = self.one(process);
        let act = if kind == FaultKind::Power {
            let fates = [
                Unflushed::Some,
                Unflushed::Some,
                Unflushed::Lost,
                Unflushed::Kept,
                Unflushed::Torn,
            ];
            Action::Power(group.clone(), fates[rng.index(fates.len())])
        } else {
            Action::Process(begin, group.clone())
        };
        Some(Blow {
            acts: vec![act],
            undo: vec![Action::Process(end, group)],
            away: vec![process],
            loses: loses.then_some(process),
        })
    }

    /// The next server of a rolling restart, once the one before is well again.
    fn next_to_roll(&mut self, index: usize) -> Option<ProcessId> {
        let count = self.cluster.brokers + self.cluster.controllers;
        let process = ProcessId(self.sources[index].roll % count);
        let whole = self.partitions().iter().all(|part| {
            self.view().partition(part).is_some_and(|state| state.isr.len() == state.replicas.len())
        });
        if !whole || !self.world.is_up(process) || self.is_afflicted(process) {
            return None;
        }
        self.sources[index].roll += 1;
        Some(process)
    }

    /// Two groups that do not hear each other; the smaller is as large as the atlas allows.
    fn split(&mut self, rng: &mut Rng) -> Option<Blow> {
        let inside = self.minority(rng);
        if inside.is_empty() {
            return None;
        }
        let nodes: Vec<NodeExpr> = inside.iter().map(|process| self.expr(*process)).collect();
        let one = Group::Nodes(nodes.clone());
        let other = Group::Except(Box::new(Group::Everybody), nodes);
        Some(Blow {
            acts: vec![Action::Link(LinkAct::Cut, one.clone(), other.clone(), true)],
            undo: vec![Action::Link(LinkAct::Heal, one, other, true)],
            away: inside,
            loses: None,
        })
    }

    /// All links of one process: from it, to it, or both.
    fn strike_all_links(
        &mut self,
        index: usize,
        rng: &mut Rng,
        (from_it, to_it): (bool, bool),
    ) -> Option<Blow> {
        let process = self.victim(index, rng)?;
        if !self.may_be_away(process) {
            return None;
        }
        let one = self.one(process);
        let all = Group::Everybody;
        let cut = |from: &Group, to: &Group| {
            Action::Link(LinkAct::Cut, from.clone(), to.clone(), from_it && to_it)
        };
        let act = if from_it { cut(&one, &all) } else { cut(&all, &one) };
        let undo = vec![Action::Link(LinkAct::Heal, one, all, true)];
        Some(Blow { acts: vec![act], undo, away: vec![process], loses: None })
    }

    /// Servers and clients that may be cut off together: as many as the atlas allows.
    fn minority(&self, rng: &mut Rng) -> Vec<ProcessId> {
        let mut inside = Vec::new();
        let (atlas, on) = (&self.scenario.atlas, self.atlas_on);
        let limits = [
            (Role::Broker, if on { atlas.brokers } else { self.cluster.brokers }),
            (Role::Controller, if on { atlas.controllers } else { self.cluster.controllers }),
        ];
        let away = self.away();
        for (role, limit) in limits {
            let gone = away.iter().filter(|process| self.cluster.who(**process).role == role);
            let gone = u32::try_from(gone.count()).unwrap_or(u32::MAX);
            let limit = u64::from(limit.saturating_sub(gone));
            let count = rng.below(limit + 1);
            for _ in 0..count {
                let all: Vec<ProcessId> = self
                    .cluster
                    .all(role)
                    .filter(|process| !inside.contains(process) && !away.contains(process))
                    .collect();
                if !all.is_empty() {
                    inside.push(all[rng.index(all.len())]);
                }
            }
        }
        for client in self.cluster.clients() {
            if rng.chance(1, 4) {
                inside.push(client);
            }
        }
        inside
    }

    /// One direction between a process and one of those that it talks to: a link that nobody uses
    /// is not hurt.
    fn strike_link(&mut self, index: usize, rng: &mut Rng, act: LinkAct) -> Option<Blow> {
        let from = self.victim(index, rng)?;
        let peers = self.world.peers(from, LATELY);
        if peers.is_empty() {
            return None;
        }
        let to = peers[rng.index(peers.len())];
        let (one, other) = (self.one(from), self.one(to));
        let (one, other) = if rng.chance(1, 2) { (one, other) } else { (other, one) };
        Some(Blow {
            acts: vec![Action::Link(act, one.clone(), other.clone(), false)],
            undo: vec![Action::Link(LinkAct::Heal, one, other, false)],
            ..Blow::default()
        })
    }

    /// A server whose disk may be struck.
    fn disk_victim(&self, index: usize, rng: &mut Rng) -> Option<ProcessId> {
        let process = self.victim(index, rng)?;
        self.cluster.node(process).map(|_| process)
    }

    fn slow_disk(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        let group = self.one(self.disk_victim(index, rng)?);
        let slow = DiskAct::Slow(self.sources[index].fault.amount);
        Some(Blow {
            acts: vec![Action::Disk(group.clone(), slow)],
            undo: vec![Action::Disk(group, DiskAct::Ok)],
            ..Blow::default()
        })
    }

    fn stall_disk(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        let process = self.disk_victim(index, rng)?;
        if !self.may_be_away(process) {
            return None;
        }
        let time = self.sources[index].fault.lasts.draw(rng);
        let group = self.one(process);
        Some(Blow {
            acts: vec![Action::Disk(group.clone(), DiskAct::Stall(time))],
            undo: vec![Action::Disk(group, DiskAct::Ok)],
            away: vec![process],
            loses: None,
        })
    }

    /// The write that fails is lost, and the process stops itself: a crash that loses.
    fn fail_disk(&mut self, index: usize, rng: &mut Rng, act: DiskAct) -> Option<Blow> {
        let process = self.disk_victim(index, rng)?;
        if !self.may_be_away(process) || !self.may_lose(process) {
            return None;
        }
        let group = self.one(process);
        let start = Action::Process(ProcessAct::Start, group.clone());
        Some(Blow {
            acts: vec![Action::Disk(group.clone(), act)],
            undo: vec![Action::Disk(group, DiskAct::Ok), start],
            away: vec![process],
            loses: Some(process),
        })
    }

    /// A bit flips in what a stopped process has stored: the scan of its next start meets it.
    fn rot_disk(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        let process = self.disk_victim(index, rng)?;
        if !self.may_be_away(process) || !self.may_lose(process) {
            return None;
        }
        let group = self.one(process);
        let crash = Action::Process(ProcessAct::Crash, group.clone());
        Some(Blow {
            acts: vec![crash, Action::Disk(group.clone(), DiskAct::Rot(None))],
            undo: vec![Action::Process(ProcessAct::Start, group)],
            away: vec![process],
            loses: Some(process),
        })
    }

    fn strike_clock(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        let fault = self.sources[index].fault.clone();
        let process = self.victim(index, rng)?;
        let clock = |act: ClockAct| Action::Clock(self.expr(process), act);
        if fault.kind == FaultKind::ClockFreeze {
            if !self.may_be_away(process) {
                return None;
            }
            return Some(Blow {
                acts: vec![clock(ClockAct::Freeze)],
                undo: vec![clock(ClockAct::Thaw)],
                away: vec![process],
                loses: None,
            });
        }
        let by = fault.amount.draw(rng);
        let act = if rng.chance(1, 2) { ClockAct::Forward(by) } else { ClockAct::Back(by) };
        Some(Blow { acts: vec![clock(act)], ..Blow::default() })
    }

    /// A topic of the source's own is made, or removed.
    fn churn(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        let topic = own_topic(index);
        let act = if self.image.names.contains_key(&topic) {
            Action::Delete(topic)
        } else {
            Action::Create(topic, 1 + small(rng, 3), Vec::new())
        };
        Some(Blow { acts: vec![act], ..Blow::default() })
    }

    /// A topic of the source's own grows, and is removed when it is large.
    fn grow(&mut self, index: usize, rng: &mut Rng) -> Option<Blow> {
        let topic = own_topic(index);
        let image = self.image.names.get(&topic).and_then(|id| self.image.topics.get(id));
        let partitions = image.map_or(0, |topic| topic.partitions.len());
        let act = match u32::try_from(partitions).unwrap_or(u32::MAX) {
            0 => Action::Create(topic, 1, Vec::new()),
            few @ 1..=7 => Action::Grow(topic, few + 1 + small(rng, 3)),
            _ => Action::Delete(topic),
        };
        Some(Blow { acts: vec![act], ..Blow::default() })
    }

    /// A setting of a topic changes, and changes back.
    fn configure(&mut self, rng: &mut Rng) -> Option<Blow> {
        let topic = self.random_partition(rng)?.topic;
        let names = ["segment.bytes", "max.message.bytes", "flush.messages"];
        let name: Arc<str> = names[rng.index(names.len())].into();
        let value = (1_000_000 + rng.below(1_000_000)).to_string();
        Some(Blow {
            acts: vec![Action::SetConfig(topic.clone(), name.clone(), Some(value.into()))],
            undo: vec![Action::SetConfig(topic, name, None)],
            ..Blow::default()
        })
    }

    /// As many replicas as before, on other brokers where there are some.
    fn new_replicas(&self, image: &Image, part: &Part, rng: &mut Rng) -> Option<Vec<NodeExpr>> {
        let topic = image.names.get(&part.topic)?;
        let id = seedlog::ids::PartitionId { topic: *topic, partition: part.partition };
        let state = image.partition(id)?;
        if state.is_reassigning() {
            return None;
        }
        let mut brokers: Vec<ProcessId> = self.cluster.all(Role::Broker).collect();
        for index in (1..brokers.len()).rev() {
            brokers.swap(index, rng.index(index + 1));
        }
        brokers.truncate(state.replicas.len());
        Some(brokers.into_iter().map(|broker| self.expr(broker)).collect())
    }
}

fn small(rng: &mut Rng, bound: u64) -> u32 {
    u32::try_from(rng.below(bound)).expect("a small number")
}

fn own_topic(index: usize) -> Arc<str> {
    format!("churn-{index}").into()
}
