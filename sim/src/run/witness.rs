//! What really happened to the cluster: counts the faults that only its metadata shows.
//!
//! What a source asked for is not what it got: a request may be lost, refused, or change nothing.
//! So nothing is counted when it is asked for, only when committed metadata has changed by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::ids::{NodeId, Offset, PartitionId, TopicId, TopicName};
use seedlog::machine::FileKey;
use seedlog::message::Response;
use seedlog::message::admin::ConfigResource;
use seedlog::metadata::Image;
use seedlog::op::Outcome;

use super::Run;
use crate::cluster::newest_image;
use crate::scenario::script::Role;
use crate::world::{Fault, ProcessId};

/// Compares committed metadata with what it was before.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// How far the metadata log was applied in `image`.
    applied: Offset,
    image: Arc<Image>,
    /// The newest topic that ever had each name.
    topics: BTreeMap<TopicName, TopicId>,
    /// Where partitions that move now were before, sorted.
    moving: BTreeMap<PartitionId, Vec<NodeId>>,
}

impl Witness {
    /// What has happened since the last look, by an image of `applied`; older ones say nothing.
    pub fn look(&mut self, applied: Offset, image: &Arc<Image>) -> Vec<Fault> {
        let mut seen = Vec::new();
        if applied <= self.applied || Arc::ptr_eq(image, &self.image) {
            return seen;
        }
        self.look_at_topics(image, &mut seen);
        self.look_at_replicas(image, &mut seen);
        self.applied = applied;
        self.image = Arc::clone(image);
        seen
    }

    fn look_at_topics(&mut self, image: &Image, seen: &mut Vec<Fault>) {
        for (name, id) in &image.names {
            if self.topics.insert(name.clone(), *id).is_some_and(|old| old != *id) {
                seen.push(Fault::Churn);
            }
            let (Some(old), Some(new)) = (self.image.topics.get(id), image.topics.get(id)) else {
                continue;
            };
            if new.partitions.len() > old.partitions.len() {
                seen.push(Fault::Grow);
            }
            let resource = ConfigResource::Topic(name.clone());
            if self.image.configs.get(&resource) != image.configs.get(&resource) {
                seen.push(Fault::Configure);
            }
        }
    }

    /// A move is over when nothing is added or removed any more; one that was cancelled, or only
    /// put the replicas in another order, has moved nothing.
    fn look_at_replicas(&mut self, image: &Image, seen: &mut Vec<Fault>) {
        let sorted = |replicas: &[NodeId]| {
            let mut replicas = replicas.to_vec();
            replicas.sort_unstable();
            replicas
        };
        for (id, new) in image.partitions() {
            let Some(old) = self.image.partition(id) else { continue };
            if old.replicas == new.replicas && old.is_reassigning() == new.is_reassigning() {
                continue;
            }
            if !old.is_reassigning() {
                self.moving.entry(id).or_insert_with(|| sorted(&old.replicas));
            }
            if !new.is_reassigning() {
                let before = self.moving.remove(&id);
                if before.is_some_and(|before| before != sorted(&new.replicas)) {
                    seen.push(Fault::Reassign);
                }
            }
        }
        self.moving.retain(|id, _| image.partition(*id).is_some());
    }
}

impl Run {
    /// Counts what the newest metadata shows.
    pub(super) fn witness_metadata(&mut self, applied: Offset, image: &Arc<Image>) {
        for fault in self.witness.look(applied, image) {
            self.world.count(fault);
        }
    }

    /// Counts elections that moved a leader, by the controller's answer: where there was nothing to
    /// do, or nobody to elect, it is an error.
    pub(super) fn witness_answer(&mut self, process: ProcessId, outcome: &Outcome) {
        let Outcome::Answered(response) = outcome else { return };
        let Response::ElectLeaders(response) = &**response else { return };
        if self.cluster.who(process).role == Role::Admin {
            for _ in response.partitions.iter().filter(|(_, _, error)| error.is_ok()) {
                self.world.count(Fault::Elect);
            }
        }
    }

    /// Counts a controlled shutdown once it is complete: the controller had let the broker go, and
    /// the broker has left the mark that everything is durable.
    pub(super) fn witness_halt(&mut self, process: ProcessId) {
        let Some(node) = self.cluster.node(process) else { return };
        let Some((_, image)) = newest_image(&self.world, &self.cluster) else { return };
        let is_clean = self.world.disk(process).file(FileKey::CleanShutdown).is_some();
        if is_clean && !image.is_active(node) {
            self.world.count(Fault::Shutdown);
        }
    }
}
