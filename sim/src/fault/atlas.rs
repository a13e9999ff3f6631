//! What a cluster survives, so that faults stop short of it.
//!
//! A cluster promises to keep what is committed as long as one member of ISR or ELR keeps its log.
//! So a disk may lose what it holds only where another candidate stands behind it.

use std::collections::BTreeMap;

use seedlog::ids::{BrokerEpoch, NodeId};
use seedlog::metadata::{Image, PartitionImage};

use crate::cluster::Process;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::scenario::script::Role;
use crate::world::{ProcessId, Seed};

/// Whether faults stop short of what cannot be survived. With the atlas off anything goes, and only
/// safety is checked; a swarm draws that for a quarter of its seeds.
#[must_use]
pub fn atlas_on(scenario: &Scenario, seed: Seed) -> bool {
    let mut rng = seed.stream("atlas", 0, 0);
    scenario.atlas.on.unwrap_or_else(|| !scenario.swarm || !rng.chance(1, 4))
}

/// Servers whose disks have lost something that they have not got back from others.
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

    /// Whether what this broker holds of a partition cannot be relied on: it has lost something,
    /// and has not been admitted to the ISR since.
    fn is(&self, node: NodeId, partition: &PartitionImage, image: &Image) -> bool {
        let Some(epoch) = self.since.get(&node) else { return false };
        image.brokers.get(&node).is_none_or(|broker| broker.epoch <= *epoch)
            || !partition.isr.contains(&node)
    }
}

impl Run {
    /// Whether one more process of its kind may be away.
    pub(super) fn may_be_away(&self, process: ProcessId) -> bool {
        if !self.atlas_on {
            return true;
        }
        let atlas = &self.scenario.atlas;
        let role = self.cluster.who(process).role;
        let limit = match role {
            Role::Broker => atlas.brokers,
            Role::Controller => atlas.controllers,
            Role::Producer
            | Role::Consumer
            | Role::Admin
            | Role::Store
            | Role::Feed
            | Role::App => return true,
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
        self.may_go(process, |_, others| others)
    }

    /// Whether this process may die, although its disk keeps everything. A new incarnation counts
    /// as unclean and leaves ISR and ELR (KIP-966), so the controller may come to elect whom it
    /// knows as the last leader: that must not be one whose disk has lost something.
    pub(super) fn may_die(&self, process: ProcessId) -> bool {
        self.may_go(process, |partition, others| {
            let lossy = |node: &NodeId| self.lossy.is(*node, partition, &self.image);
            others || !partition.replicas.iter().any(lossy)
        })
    }

    /// Whether `allows` says so for each partition of this broker, told whether another candidate
    /// is up, known to the controller, and whole.
    fn may_go(&self, process: ProcessId, allows: impl Fn(&PartitionImage, bool) -> bool) -> bool {
        if !self.atlas_on {
            return true;
        }
        let Some(node) = self.cluster.node(process) else { return true };
        self.image.partitions().all(|(_, partition)| {
            if !partition.replicas.contains(&node) {
                return true;
            }
            let mut candidates = partition.isr.iter().chain(partition.elr.iter());
            let others = candidates.any(|other| {
                *other != node
                    && !self.lossy.is(*other, partition, &self.image)
                    && self.is_known(*other)
            });
            allows(partition, others)
        })
    }

    /// Whether a broker runs in the incarnation that the controller has registered.
    pub(super) fn is_known(&self, node: NodeId) -> bool {
        let running = self.cluster.of_node(node).and_then(|process| self.world.node(process));
        let epoch = running.and_then(Process::broker).map(seedlog::broker::Broker::epoch);
        let registered = self.image.brokers.get(&node).map(|broker| broker.epoch);
        registered.is_some() && epoch == registered
    }

    /// Notes that a disk has lost something.
    pub(super) fn note_loss(&mut self, process: ProcessId) {
        if let Some(node) = self.cluster.node(process) {
            let image = std::sync::Arc::clone(&self.image);
            self.lossy.add(node, &image);
        }
    }
}
