//! What servers do: their lives, their disks, what they send, and what they say of themselves.

use std::collections::BTreeMap;

use seedlog::event::Event;
use seedlog::ids::{
    BrokerEpoch, ConnId, CorrelationId, LogId, NodeId, Offset, PartitionId, TopicId,
};
use seedlog::log;
use seedlog::machine::{Effect, FileKey, LogName, Survived};
use seedlog::message::Response;
use seedlog::raft::snapshot_point;

use super::Checkers;
use super::ghost::{GhostBatch, Survivor};

/// What the oracle knows of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) running: bool,
    /// The epoch that the running incarnation got.
    pub(super) registered: Option<BrokerEpoch>,
    pub(super) logs: BTreeMap<LogId, GhostName>,
    /// How much of the metadata log it has applied.
    pub(super) applied: Offset,
}

/// Which log a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GhostName {
    Metadata,
    Partition(PartitionId),
}

impl From<&LogName> for GhostName {
    fn from(name: &LogName) -> Self {
        match name {
            LogName::Metadata => GhostName::Metadata,
            LogName::Partition { id, .. } => GhostName::Partition(*id),
        }
    }
}

impl Checkers {
    /// A server process starts with what its disk kept.
    pub fn started(&mut self, node: NodeId, survived: &Survived) {
        let state = self.nodes.entry(node).or_default();
        state.running = true;
        state.registered = None;
        state.applied = Offset::NONE;
        state.logs =
            survived.logs.iter().map(|log| (log.log, GhostName::from(&*log.name))).collect();
        let snapshot = survived.file(FileKey::Snapshot).cloned().and_then(snapshot_point);
        for log in &survived.logs {
            match GhostName::from(&*log.name) {
                GhostName::Metadata => {
                    let log = Survivor::read(&log.chunks).log;
                    self.quorum.survived(node, log, snapshot.map(|point| point.offset));
                }
                GhostName::Partition(id) => self.with_partition(id, |partition, around, tally| {
                    let survivor = Survivor::read(&log.chunks);
                    partition.survived(node, survivor, around, tally);
                }),
            }
        }
    }

    /// A server process is gone: crashed, shut down, or without power.
    pub fn stopped(&mut self, node: NodeId) {
        let state = self.nodes.entry(node).or_default();
        state.running = false;
        state.registered = None;
    }

    /// A server's disk was wiped.
    pub fn wiped(&mut self, node: NodeId) {
        let logs = std::mem::take(&mut self.nodes.entry(node).or_default().logs);
        for name in logs.into_values() {
            match name {
                GhostName::Metadata => self.quorum.wiped(node),
                GhostName::Partition(id) => {
                    self.with_partition(id, |partition, around, tally| {
                        partition.removed(node, true, around, tally);
                    });
                    self.forget_if_gone(id);
                }
            }
        }
    }

    /// `Input::Flushed` was delivered.
    pub fn flushed(&mut self, node: NodeId, log: LogId, upto: Offset) {
        if self.name(node, log) == Some(GhostName::Metadata) {
            self.quorum.flushed(node, upto);
        }
    }

    pub(super) fn name(&self, node: NodeId, log: LogId) -> Option<GhostName> {
        self.nodes.get(&node)?.logs.get(&log).copied()
    }

    /// A server's step had these effects; they are not carried out yet.
    pub fn effects(&mut self, node: NodeId, effects: &[Effect]) {
        for effect in effects {
            self.effect(node, effect);
        }
    }

    fn effect(&mut self, node: NodeId, effect: &Effect) {
        match effect {
            Effect::Create { log, name } => {
                let name = GhostName::from(&**name);
                self.nodes.entry(node).or_default().logs.insert(*log, name);
            }
            Effect::Append { log, batch, .. } => self.appended(node, *log, batch),
            Effect::Truncate { log, to } => match self.name(node, *log) {
                Some(GhostName::Metadata) => self.quorum.truncated(node, *to),
                Some(GhostName::Partition(id)) => {
                    self.with_partition(id, |partition, around, tally| {
                        partition.truncated(node, *to, around, tally);
                        partition.check_candidates(around, tally);
                    })
                }
                None => {}
            },
            Effect::Trim { log, to } => match self.name(node, *log) {
                Some(GhostName::Metadata) => self.quorum.trimmed(node, *to),
                Some(GhostName::Partition(id)) => {
                    let start = self.with_partition(id, |partition, _around, _tally| {
                        partition.trimmed(node, *to);
                        partition.committed.start()
                    });
                    self.ledger.trimmed(id, start);
                    self.transactions.trimmed(id, start);
                }
                None => {}
            },
            // The batch that it begins in may stay on disk, which is all that `Trim` tells of.
            Effect::Save { file: FileKey::LogStart(log), value } => {
                if let (Some(GhostName::Partition(id)), Some(start)) =
                    (self.name(node, *log), log::decode_offset(value))
                {
                    self.with_partition(id, |partition, _around, _tally| {
                        partition.deleted = partition.deleted.max(start);
                    });
                }
            }
            Effect::Remove { log } => self.removed(node, *log),
            Effect::Note(event) => self.noted(node, event),
            Effect::Respond { to, correlation, response } => {
                self.answered(node, (*to, *correlation), response);
            }
            Effect::Connect { .. }
            | Effect::Close { .. }
            | Effect::Send { .. }
            | Effect::Flush { .. }
            | Effect::Rewrite { .. }
            | Effect::Save { .. }
            | Effect::Delete { .. }
            | Effect::Load { .. }
            | Effect::Return { .. }
            | Effect::Halt => {}
        }
    }

    fn answered(&mut self, node: NodeId, to: (ConnId, CorrelationId), response: &Response) {
        if let Response::Fetch(response) = response {
            self.fetch_answered(node, response);
        } else if let Response::Produce(response) = response {
            self.produce_answered(node, to.0, to.1, response);
        } else if let Response::InitProducerId(answer) = response
            && answer.error.is_ok()
        {
            self.producer_answered(answer.producer_id, answer.producer_epoch);
        } else if let Response::OffsetFetch(_)
        | Response::OffsetCommit(_)
        | Response::TxnOffsetCommit(_)
        | Response::SyncGroup(_) = response
        {
            self.group_answered(node, to, response);
        }
    }

    fn appended(&mut self, node: NodeId, log: LogId, batch: &bytes::Bytes) {
        let Some(name) = self.name(node, log) else { return };
        let Some(batch) = GhostBatch::read(batch) else { return };
        match name {
            GhostName::Metadata => self.quorum.appended(node, batch, &mut self.tally),
            GhostName::Partition(id) => self.with_partition(id, |partition, _around, tally| {
                partition.appended(node, batch, tally);
            }),
        }
    }

    fn removed(&mut self, node: NodeId, log: LogId) {
        let name = self.nodes.get_mut(&node).and_then(|state| state.logs.remove(&log));
        if let Some(GhostName::Partition(id)) = name {
            self.with_partition(id, |partition, around, tally| {
                partition.removed(node, false, around, tally);
            });
            self.forget_if_gone(id);
        }
    }

    /// Forgets a partition that no broker has on its disk any more and that is of no topic.
    pub(super) fn forget_if_gone(&mut self, id: PartitionId) {
        let stored = self.partitions.get(&id).is_some_and(|ghost| !ghost.replicas.is_empty());
        if !stored && !self.image.topics.contains_key(&id.topic) {
            self.partitions.swap_remove(&id);
            self.topic_gone(id.topic);
        }
    }

    pub(super) fn topic_gone(&mut self, topic: TopicId) {
        self.ledger.removed(topic);
        self.transactions.removed(topic);
    }

    pub(super) fn noted(&mut self, node: NodeId, event: &Event) {
        let Checkers { quorum, tally, .. } = self;
        match event {
            Event::LeaderStarted { partition, leader_epoch, .. } => {
                self.with_partition(*partition, |ghost, around, tally| {
                    ghost.leader_started(node, *leader_epoch, around, tally);
                });
            }
            Event::HighWatermark { partition, leader_epoch, offset, leads } => {
                let fresh = self.with_partition(*partition, |ghost, around, tally| {
                    ghost.high_watermark(node, *leader_epoch, *offset, *leads, around, tally)
                });
                self.log_committed(*partition, &fresh);
            }
            Event::Isr { partition, view } => {
                self.with_partition(*partition, |ghost, around, tally| {
                    ghost.isr_view(node, view.clone(), around, tally);
                });
            }
            Event::Registered { epoch } => {
                self.nodes.entry(node).or_default().registered = Some(*epoch);
                self.check_broker(node);
            }
            Event::Voted { epoch, for_node } => quorum.voted(node, *epoch, *for_node, tally),
            Event::RoleChanged { epoch, role, .. } => quorum.role(node, *epoch, *role, tally),
            Event::QuorumHighWatermark { epoch, offset, leads } => {
                let fresh = quorum.high_watermark(node, *epoch, *offset, *leads, tally);
                self.metadata_committed(&fresh);
            }
            Event::Snapshot { point, loaded } => quorum.snapshot(node, *point, *loaded, tally),
            Event::MetadataApplied { offset, state } | Event::StateApplied { offset, state } => {
                quorum.applied(node, *offset, *state, tally);
                if let Event::MetadataApplied { .. } = event {
                    self.nodes.entry(node).or_default().applied = *offset;
                }
            }
            Event::ControllerReplied { offset, .. } => quorum.replied(node, *offset, tally),
            Event::Transaction(note) => self.transaction_noted(note),
            Event::Group(note) => self.group_noted(note),
            Event::OffsetCommitted(note) => self.offset_noted(note),
            Event::FollowerStarted { .. }
            | Event::ReplicaStopped { .. }
            | Event::Fenced { .. }
            | Event::Application(_)
            | Event::Reset(_)
            | Event::Sometimes(_) => {}
        }
        self.applications.invariants.noted(event, &mut self.tally);
    }
}
