//! What a cluster survives, so that faults stop short of it.
//!
//! A cluster promises to keep what is committed as long as one member of ISR or ELR keeps its log.
//! So a disk may lose what it holds only where another candidate stands behind it.

use std::collections::BTreeMap;

use seedlog::ids::{BrokerEpoch, NodeId};
use seedlog::metadata::Image;

use crate::run::Run;
use crate::scenario::script::Role;
use crate::world::ProcessId;

/// Servers whose disks have lost something that the cluster does not know yet.
#[derive(Clone, Debug, Default)]
pub struct Lossy {
    /// The registration that was in force when it happened. A later one has told the controller.
    since: BTreeMap<NodeId, BrokerEpoch>,
    /// Voters that were wiped: never voters again.
    pub lost_voters: Vec<ProcessId>,
}

impl Lossy {
    fn add(&mut self, node: NodeId, image: &Image) {
        let epoch = image.brokers.get(&node).map_or(BrokerEpoch::NONE, |broker| broker.epoch);
        self.since.insert(node, epoch);
    }

    /// Whether what this broker holds cannot be relied on.
    fn is(&self, node: NodeId, image: &Image) -> bool {
        let Some(epoch) = self.since.get(&node) else { return false };
        image.brokers.get(&node).is_none_or(|broker| broker.epoch <= *epoch)
    }
}

impl Run {
    /// Whether one more process of its kind may be away.
    pub(super) fn may_be_away(&self, process: ProcessId) -> bool {
        let atlas = &self.scenario.atlas;
        if !atlas.on {
            return true;
        }
        let role = self.cluster.who(process).role;
        let limit = match role {
            Role::Broker => atlas.brokers,
            Role::Controller => atlas.controllers,
            Role::Producer | Role::Consumer | Role::Admin => return true,
        };
        let away = self.away().into_iter().filter(|other| self.cluster.who(*other).role == role);
        u32::try_from(away.count()).is_ok_and(|away| away < limit)
    }

    /// Everybody who is away now, and voters that never come back.
    pub(super) fn away(&self) -> Vec<ProcessId> {
        let mut away: Vec<ProcessId> =
            self.sources.iter().flat_map(|source| source.away.iter().copied()).collect();
        away.extend(&self.lossy.lost_voters);
        away.sort_unstable();
        away.dedup();
        away
    }

    /// Whether some source already has this process in its hands.
    pub(super) fn is_afflicted(&self, process: ProcessId) -> bool {
        self.sources.iter().any(|source| source.away.contains(&process))
    }

    /// Whether this disk may lose what it holds: everywhere another candidate stands behind it.
    pub(super) fn may_lose(&self, process: ProcessId) -> bool {
        if !self.scenario.atlas.on {
            return true;
        }
        let Some(node) = self.cluster.node(process) else { return true };
        self.image.partitions().all(|(_, partition)| {
            if !partition.replicas.contains(&node) {
                return true;
            }
            let candidates = partition.isr.iter().chain(partition.elr.iter());
            candidates
                .into_iter()
                .any(|other| *other != node && !self.lossy.is(*other, &self.image))
        })
    }

    /// Notes that a disk has lost something.
    pub(super) fn note_loss(&mut self, process: ProcessId) {
        if let Some(node) = self.cluster.node(process) {
            let image = std::sync::Arc::clone(&self.image);
            self.lossy.add(node, &image);
        }
    }
}
