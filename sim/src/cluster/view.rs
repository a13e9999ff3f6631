//! The state of a cluster as somebody outside sees it: for scripts, for faults that aim at state,
//! and for the judgement of progress. Never seen by a process.

use std::sync::Arc;

use seedlog::coordinator::shard_of;
use seedlog::ids::{NodeId, Offset, PartitionId};
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::metadata::{Image, PartitionImage};

use super::state::{self, QuorumState, ReplicaState};
use super::{Cluster, Process};
use crate::scenario::script::{Part, Role};
use crate::world::{ProcessId, World};

/// A world, who is who in it, and the metadata that the most advanced controller has applied.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub world: &'a World<Process>,
    pub cluster: &'a Cluster,
    pub image: &'a Image,
}

/// The image of the most advanced controller that is up, and how far that has applied the log.
#[must_use]
pub fn newest_image(world: &World<Process>, cluster: &Cluster) -> Option<(Offset, Arc<Image>)> {
    let controllers = cluster.all(Role::Controller);
    let images = controllers.filter_map(|process| {
        let controller = world.node(process)?.controller()?;
        let (applied, image) = state::applied(controller);
        Some((applied, image))
    });
    let newest = images.max_by_key(|(applied, _)| *applied);
    newest.map(|(applied, image)| (applied, Arc::clone(image)))
}

impl<'a> View<'a> {
    /// The controller that leads the quorum and has told so itself; of two, the newer.
    #[must_use]
    pub fn controller(&self) -> Option<ProcessId> {
        let controllers = self.cluster.all(Role::Controller);
        let active = controllers.filter_map(|process| {
            let controller = self.world.node(process)?.controller()?;
            state::is_active(controller).then(|| (state::controller_quorum(controller), process))
        });
        active.max_by_key(|(quorum, _)| quorum.epoch).map(|(_, process)| process)
    }

    /// Metadata as a server has applied it.
    #[must_use]
    pub fn image_of(&self, process: ProcessId) -> Option<&'a Image> {
        let node = self.world.node(process)?;
        if let Some(broker) = node.broker() {
            return Some(broker.image());
        }
        node.controller().map(|controller| &**state::applied(controller).1)
    }

    #[must_use]
    pub fn id(&self, part: &Part) -> Option<PartitionId> {
        let topic = *self.image.names.get(&part.topic)?;
        Some(PartitionId { topic, partition: part.partition })
    }

    #[must_use]
    pub fn partition(&self, part: &Part) -> Option<&'a PartitionImage> {
        self.image.partition(self.id(part)?).map(|partition| &**partition)
    }

    /// A partition in a server's own image.
    #[must_use]
    pub fn partition_of(&self, process: ProcessId, part: &Part) -> Option<&'a PartitionImage> {
        let image = self.image_of(process)?;
        let topic = *image.names.get(&part.topic)?;
        let id = PartitionId { topic, partition: part.partition };
        image.partition(id).map(|partition| &**partition)
    }

    /// The process of a node that is not [`NodeId::NONE`].
    #[must_use]
    pub fn process(&self, node: NodeId) -> Option<ProcessId> {
        self.cluster.of_node(node)
    }

    /// The brokers that lead partitions of an internal topic, each as often as it leads one.
    #[must_use]
    pub fn hosts(&self, kind: CoordinatorKind) -> Vec<ProcessId> {
        let topic = self.image.names.get(kind.topic());
        let topic = topic.and_then(|id| self.image.topics.get(id));
        let partitions = topic.into_iter().flat_map(|topic| &topic.partitions);
        partitions.filter_map(|partition| self.process(partition.leader)).collect()
    }

    /// The broker that coordinates a group or a transactional id.
    #[must_use]
    pub fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<ProcessId> {
        let shard = shard_of(self.image, kind, key)?;
        self.process(self.image.partition(shard)?.leader)
    }

    /// What a replica is at its broker.
    #[must_use]
    pub fn replica(&self, process: ProcessId, id: PartitionId) -> Option<ReplicaState> {
        state::replica(self.world.node(process)?.broker()?, id)
    }

    /// A server's part in the metadata quorum.
    #[must_use]
    pub fn quorum(&self, process: ProcessId) -> Option<QuorumState> {
        let node = self.world.node(process)?;
        match (node.broker(), node.controller()) {
            (Some(broker), _) => Some(state::broker_quorum(broker)),
            (None, Some(controller)) => Some(state::controller_quorum(controller)),
            (None, None) => None,
        }
    }

    /// Whether a broker is registered in its running incarnation and may lead.
    #[must_use]
    pub fn serves(&self, process: ProcessId) -> bool {
        let Some(node) = self.cluster.node(process) else { return false };
        let running = self.world.node(process).and_then(Process::broker);
        let registered = self.image.brokers.get(&node);
        match (running, registered) {
            (Some(broker), Some(image)) => broker.epoch() == image.epoch && image.is_active(),
            (Some(_) | None, _) => false,
        }
    }
}
