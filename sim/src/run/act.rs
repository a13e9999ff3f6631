//! Carries out actions: those of scripts, of fault sources and of recorded runs, all in one place.

use std::sync::Arc;

use seedlog::ids::{CallId, TopicName};
use seedlog::machine::{FileKey, LogName};
use seedlog::message::{Request, admin, offsets};
use seedlog::op::Op;
use seedlog::time::{Duration, millis};

use super::{Run, Token};
use crate::cluster::world_span;
use crate::scenario::script::{
    Action, ClockAct, DiskAct, Group, Hold, LinkAct, NodeExpr, Number, Part, ProcessAct, Role,
    Side, Unflushed,
};
use crate::workload::Workload;
use crate::world::{self, MessageKind, NetworkFaults, PowerLoss, ProcessId};

const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

impl Run {
    /// Carries out an action. False if it names somebody who is not there (nobody leads, ..).
    pub fn perform(&mut self, action: &Action) -> bool {
        if let Some(trace) = &mut self.watch.trace {
            trace.action(&self.world, &action.to_string());
        }
        match action {
            Action::Process(act, group) => {
                let Some(group) = self.group(group) else { return false };
                group.into_iter().for_each(|process| self.process_act(*act, process));
            }
            Action::Power(group, fate) => {
                let Some(group) = self.group(group) else { return false };
                for process in group {
                    self.world.power_loss(process, keeps(*fate), &mut self.watch);
                }
            }
            Action::Link(act, from, to, both) => return self.link_act(act, from, to, *both),
            Action::HealAll => self.heal_everything(),
            Action::Isolate(group) => {
                let Some(inside) = self.group(group) else { return false };
                self.isolate(&inside);
            }
            Action::Hold(hold) => return self.hold(hold),
            Action::Release(name, count) => self.release(name, *count),
            Action::Drop(name) => {
                for hold in self.holds.remove(name).unwrap_or_default() {
                    self.world.discard(hold);
                }
            }
            Action::Send(producer, topic, partition, records) => {
                return self.send_records(producer, topic, *partition, *records);
            }
            Action::Flush(producer) => {
                let Some(index) = self.producer(producer) else { return false };
                self.workload.producers[index].flush(&mut self.world);
            }
            Action::Transact(act, producer) => return self.transact_act(*act, producer),
            Action::SendOffsets(producer, consumer) => {
                return self.send_offsets(producer, consumer);
            }
            Action::Member(act, consumer) => return self.member_act(*act, consumer),
            Action::Feed(feed) => return self.feed(feed),
            Action::Workload(on) => self.set_sending(*on),
            Action::Clock(node, act) => {
                let Some(process) = self.node(node) else { return false };
                self.clock_act(process, *act);
            }
            Action::Disk(group, act) => {
                let Some(group) = self.group(group) else { return false };
                group.into_iter().for_each(|process| self.disk_act(process, act));
            }
            Action::End => self.end_script(),
            Action::Reassign(..)
            | Action::CancelReassignment(_)
            | Action::Elect(..)
            | Action::Create(..)
            | Action::Delete(_)
            | Action::Grow(..)
            | Action::SetConfig(..)
            | Action::Trim(..) => {
                let Some(request) = self.admin_request(action) else { return false };
                self.workload.admin.ask(&mut self.world, request);
            }
        }
        true
    }

    fn send_records(
        &mut self,
        producer: &NodeExpr,
        topic: &TopicName,
        partition: Option<i32>,
        records: u64,
    ) -> bool {
        let Some(index) = self.producer(producer) else { return false };
        let Workload { producers, told, .. } = &mut self.workload;
        for _ in 0..records {
            producers[index].send(&mut self.world, topic, partition, told);
        }
        self.tell_checkers();
        true
    }

    /// The index of a producer among the workload's.
    pub(super) fn producer(&self, node: &NodeExpr) -> Option<usize> {
        let process = self.node(node)?;
        let who = self.cluster.who(process);
        let index = usize::try_from(who.number - 1).expect("few clients");
        (who.role == Role::Producer).then_some(index)
    }

    fn process_act(&mut self, act: ProcessAct, process: ProcessId) {
        match act {
            ProcessAct::Crash => self.crash(process),
            ProcessAct::Start => self.start(process),
            ProcessAct::Restart => {
                self.crash(process);
                self.start(process);
            }
            ProcessAct::Pause => {
                if self.world.is_up(process) && !self.world.is_paused(process) {
                    self.world.pause(process, &mut self.watch);
                }
            }
            ProcessAct::Resume => {
                if self.world.is_paused(process) {
                    self.world.resume(process, &mut self.watch);
                }
            }
            ProcessAct::Wipe => self.wipe(process),
            ProcessAct::Shutdown => self.shut_down(process),
            ProcessAct::Reset => {
                for other in self.cluster.everybody() {
                    if other != process {
                        self.world.reset(process, other);
                    }
                }
            }
        }
    }

    fn crash(&mut self, process: ProcessId) {
        if self.world.is_up(process) {
            self.world.crash(process, &mut self.watch);
        }
    }

    fn start(&mut self, process: ProcessId) {
        if !self.world.is_up(process) {
            self.world.start(process, &mut self.watch);
        } else if self.world.is_paused(process) {
            self.world.resume(process, &mut self.watch);
        }
    }

    /// An empty disk, formatted anew: somebody else to the quorum (KIP-853).
    fn wipe(&mut self, process: ProcessId) {
        self.crash(process);
        self.world.wipe(process, &mut self.watch);
        if self.cluster.who(process).role == Role::Controller {
            self.lossy.lost_voters.push(process);
        }
        let times = &mut self.formats[super::index(process)];
        *times += 1;
        if let Some(format) = self.cluster.format(self.world.seed(), process, *times) {
            self.world.format(process, FileKey::MetaProperties, format);
        }
    }

    /// Controlled where the process knows how (brokers, applications, members of a group),
    /// otherwise a crash.
    fn shut_down(&mut self, process: ProcessId) {
        if !self.world.is_up(process) {
            return;
        }
        match self.cluster.who(process).role {
            Role::Broker | Role::App => {
                self.closes += 1;
                self.world.call(process, CallId(self.closes), Arc::new(Op::Close));
            }
            Role::Consumer => {
                let mut members = self.workload.members.iter_mut();
                match members.find(|member| member.process == process) {
                    Some(member) => member.close(&mut self.world),
                    None => self.crash(process),
                }
            }
            Role::Controller | Role::Producer | Role::Admin | Role::Store | Role::Feed => {
                self.crash(process);
            }
        }
    }

    /// Every pair of the two groups, one way or both.
    fn pairs(&self, from: &Group, to: &Group, both: bool) -> Option<Vec<(ProcessId, ProcessId)>> {
        let (from, to) = (self.group(from)?, self.group(to)?);
        let mut pairs = Vec::new();
        for one in &from {
            for other in to.iter().filter(|other| *other != one) {
                pairs.push((*one, *other));
                if both {
                    pairs.push((*other, *one));
                }
            }
        }
        Some(pairs)
    }

    fn link_act(&mut self, act: &LinkAct, from: &Group, to: &Group, both: bool) -> bool {
        let Some(pairs) = self.pairs(from, to, both) else { return false };
        for (from, to) in pairs {
            match act {
                LinkAct::Cut => self.world.block(from, to),
                LinkAct::Clog => self.world.clog(from, to),
                LinkAct::Lag(span) => {
                    let faults =
                        NetworkFaults { latency: world_span(*span), ..self.network.clone() };
                    self.world.set_link(from, to, Some(faults));
                    self.lagged.push((from, to));
                }
                LinkAct::Heal => {
                    self.world.unblock(from, to);
                    self.world.unclog(from, to);
                    if let Some(at) = self.lagged.iter().position(|link| *link == (from, to)) {
                        self.lagged.remove(at);
                        self.world.set_link(from, to, None);
                    }
                }
            }
        }
        true
    }

    fn heal_everything(&mut self) {
        self.world.heal();
        for (from, to) in std::mem::take(&mut self.lagged) {
            self.world.set_link(from, to, None);
        }
    }

    /// Cuts all links between those inside and all others.
    fn isolate(&mut self, inside: &[ProcessId]) {
        for one in inside {
            for other in self.cluster.everybody().filter(|other| !inside.contains(other)) {
                self.world.block(*one, other);
                self.world.block(other, *one);
            }
        }
    }

    fn hold(&mut self, hold: &Hold) -> bool {
        let ends = |group: &Group| match group {
            Group::Everybody => Some(vec![None]),
            Group::Nodes(_)
            | Group::Brokers
            | Group::Controllers
            | Group::Servers
            | Group::Clients
            | Group::Except(..) => Some(self.group(group)?.into_iter().map(Some).collect()),
        };
        let (Some(from), Some(to)) = (ends(&hold.from), ends(&hold.to)) else { return false };
        let kind = match hold.side {
            Side::Request => MessageKind::Request,
            Side::Response => MessageKind::Response,
        };
        for one in &from {
            for other in &to {
                let id = self.world.hold(world::Hold {
                    api: hold.api,
                    kind: Some(kind),
                    from: *one,
                    to: *other,
                    content: None,
                    skip: hold.nth - 1,
                    limit: if hold.count == 0 { u64::MAX } else { hold.count },
                    in_order: hold.in_order,
                });
                self.holds.entry(hold.name.clone()).or_default().push(id);
            }
        }
        true
    }

    fn release(&mut self, name: &str, count: u64) {
        if count == 0 {
            for hold in self.holds.remove(name).unwrap_or_default() {
                self.world.release(hold);
            }
            return;
        }
        let mut left = count;
        for hold in self.holds.get(name).into_iter().flatten() {
            let some = self.world.held(*hold).min(left);
            self.world.release_some(*hold, some);
            left -= some;
        }
    }

    fn clock_act(&mut self, process: ProcessId, act: ClockAct) {
        match act {
            ClockAct::Forward(by) => self.world.jump_clock(process, millis(by)),
            ClockAct::Back(by) => self.world.jump_clock(process, -millis(by)),
            ClockAct::Freeze => self.world.freeze_clock(process, true),
            ClockAct::Thaw => self.world.freeze_clock(process, false),
        }
    }

    fn disk_act(&mut self, process: ProcessId, act: &DiskAct) {
        match act {
            DiskAct::Error => self.world.fail_disk(process, None),
            DiskAct::Full => self.world.fill_disk(process, true),
            DiskAct::Ok => {
                self.world.fill_disk(process, false);
                self.world.stall_disk(process, false);
                self.world.set_disk(process, self.disk.clone());
            }
            DiskAct::Stall(time) => {
                self.world.stall_disk(process, true);
                let at = self.world.now() + *time;
                self.world.control(at, Token::DiskGoesOn(process).encode());
            }
            DiskAct::Slow(span) => {
                let mut disk = self.disk.clone();
                disk.flush = world_span(*span);
                disk.save = world_span(*span);
                disk.load = world_span(*span);
                self.world.set_disk(process, disk);
            }
            DiskAct::Rot(part) => self.rot(process, part.as_ref()),
        }
    }

    fn rot(&mut self, process: ProcessId, part: Option<&Part>) {
        let disk = self.world.disk(process);
        let wanted = |name: &LogName| match (name, part) {
            (LogName::Metadata, _) => false,
            (LogName::Partition { .. }, None) => true,
            (LogName::Partition { topic, id }, Some(part)) => {
                *topic == part.topic && id.partition == part.partition
            }
        };
        let mut logs = disk.logs().filter(|(_, name)| wanted(name));
        let log = logs.find(|(log, _)| disk.batches(*log).next().is_some()).map(|(log, _)| log);
        drop(logs);
        if let Some(log) = log {
            self.world.rot(process, log, None);
        }
    }

    fn admin_request(&self, action: &Action) -> Option<Request> {
        let timeout = ADMIN_TIMEOUT;
        Some(match action {
            Action::Reassign(part, to) => {
                let replicas = self.node_ids(to)?;
                let partitions = vec![(part.topic.clone(), part.partition, Some(replicas))];
                let request = admin::AlterReassignmentsRequest { timeout, partitions };
                Request::AlterPartitionReassignments(request)
            }
            Action::CancelReassignment(part) => {
                let partitions = vec![(part.topic.clone(), part.partition, None)];
                let request = admin::AlterReassignmentsRequest { timeout, partitions };
                Request::AlterPartitionReassignments(request)
            }
            Action::Elect(part, unclean) => Request::ElectLeaders(admin::ElectLeadersRequest {
                election: if *unclean {
                    admin::Election::Unclean
                } else {
                    admin::Election::Preferred
                },
                partitions: Some(vec![(part.topic.clone(), part.partition)]),
                timeout,
            }),
            Action::Create(topic, partitions, on) => self.create_request(topic, *partitions, on)?,
            Action::Delete(topic) => Request::DeleteTopics(admin::DeleteTopicsRequest {
                timeout,
                topics: vec![seedlog::ids::TopicRef::Name(topic.clone())],
            }),
            Action::Grow(topic, count) => {
                Request::CreatePartitions(admin::CreatePartitionsRequest {
                    timeout,
                    validate_only: false,
                    topics: vec![admin::CreatePartitionsTopic {
                        name: topic.clone(),
                        count: i32::try_from(*count).unwrap_or(1),
                        assignments: None,
                    }],
                })
            }
            Action::SetConfig(topic, name, value) => set_config(topic, name, value.as_ref()),
            Action::Trim(part, to) => self.trim_request(part, to)?,
            Action::Process(..)
            | Action::Power(..)
            | Action::Link(..)
            | Action::HealAll
            | Action::Isolate(_)
            | Action::Hold(_)
            | Action::Release(..)
            | Action::Drop(_)
            | Action::Send(..)
            | Action::Flush(_)
            | Action::Feed(_)
            | Action::Transact(..)
            | Action::SendOffsets(..)
            | Action::Member(..)
            | Action::Workload(_)
            | Action::Clock(..)
            | Action::Disk(..)
            | Action::End => return None,
        })
    }

    fn create_request(&self, topic: &TopicName, count: u32, on: &[NodeExpr]) -> Option<Request> {
        let replicas = self.node_ids(on)?;
        let count = i32::try_from(count).unwrap_or(1);
        let placed = !replicas.is_empty();
        let brokers = i16::try_from(self.cluster.brokers.min(3)).expect("at most three");
        let assignments = (0..count).map(|index| (index, replicas.clone()));
        Some(Request::CreateTopics(admin::CreateTopicsRequest {
            timeout: ADMIN_TIMEOUT,
            validate_only: false,
            topics: vec![admin::CreatableTopic {
                name: topic.clone(),
                num_partitions: if placed { -1 } else { count },
                replication_factor: if placed { -1 } else { brokers },
                assignments: if placed { assignments.collect() } else { Vec::new() },
                configs: Vec::new(),
            }],
        }))
    }

    fn trim_request(&self, part: &Part, to: &Number) -> Option<Request> {
        let before = seedlog::ids::Offset(self.number(to)?);
        Some(Request::DeleteRecords(offsets::DeleteRecordsRequest {
            timeout: ADMIN_TIMEOUT,
            partitions: vec![offsets::DeleteRecordsPartition {
                topic: seedlog::ids::TopicRef::Name(part.topic.clone()),
                partition: part.partition,
                before,
            }],
        }))
    }

    fn node_ids(&self, nodes: &[NodeExpr]) -> Option<Vec<seedlog::ids::NodeId>> {
        nodes.iter().map(|node| self.cluster.node(self.node(node)?)).collect()
    }
}

fn set_config(topic: &Arc<str>, name: &Arc<str>, value: Option<&Arc<str>>) -> Request {
    let change = match value {
        Some(value) => admin::ConfigChange::Set(Arc::clone(value)),
        None => admin::ConfigChange::Delete,
    };
    let alter = admin::AlterConfig { name: Arc::clone(name), change };
    Request::IncrementalAlterConfigs(admin::AlterConfigsRequest {
        validate_only: false,
        resources: vec![(admin::ConfigResource::Topic(topic.clone()), vec![alter])],
    })
}

fn keeps(fate: Unflushed) -> PowerLoss {
    match fate {
        Unflushed::Some => PowerLoss::Drawn,
        Unflushed::Lost => PowerLoss::KeepNothing,
        Unflushed::Kept => PowerLoss::KeepAll,
        Unflushed::Torn => PowerLoss::Torn,
    }
}
