//! A plan that evens out the load with few moves, for when brokers have joined or are to leave.
//!
//! Kafka leaves this to `kafka-reassign-partitions --generate`, which shuffles everything; a plan
//! here moves a replica only if its broker has more than its share. It is carried out, like any
//! other, by AlterPartitionReassignments.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::{NodeId, PartitionId};
use crate::metadata::Image;

/// A partition with the replicas that it should have.
pub type Move = (PartitionId, Vec<NodeId>);

/// The reassignments after which every broker that stays hosts as many replicas as any other (give
/// or take one), and is the preferred leader of as many (where a swap within the partition does
/// it). Brokers in `leaving`, and fenced ones, get nothing new; those leaving keep nothing.
/// Partitions that are being reassigned are left alone.
#[must_use]
pub fn plan(image: &Image, leaving: &[NodeId]) -> Vec<Move> {
    let mut plan = Plan::new(image, leaving);
    plan.evacuate(leaving);
    plan.even_replicas();
    plan.even_leaders();
    plan.finish(image)
}

struct Plan {
    /// Brokers that may take replicas, with how many they host.
    hosts: BTreeMap<NodeId, usize>,
    partitions: Vec<Move>,
}

impl Plan {
    fn new(image: &Image, leaving: &[NodeId]) -> Self {
        let active = image.brokers.iter().filter(|(_, broker)| broker.is_active());
        let staying = active.filter(|(node, _)| !leaving.contains(node));
        let mut hosts: BTreeMap<NodeId, usize> = staying.map(|(node, _)| (*node, 0)).collect();
        let settled = image.partitions().filter(|(_, partition)| !partition.is_reassigning());
        let partitions: Vec<Move> =
            settled.map(|(id, partition)| (id, partition.replicas.to_vec())).collect();
        for node in partitions.iter().flat_map(|(_, replicas)| replicas) {
            if let Some(count) = hosts.get_mut(node) {
                *count += 1;
            }
        }
        Plan { hosts, partitions }
    }

    /// The least loaded broker without a replica of that partition.
    fn idlest(&self, replicas: &[NodeId]) -> Option<NodeId> {
        let free = self.hosts.iter().filter(|(node, _)| !replicas.contains(node));
        free.min_by_key(|(node, count)| (**count, **node)).map(|(node, _)| *node)
    }

    fn relocate(&mut self, partition: usize, from: NodeId, to: NodeId) {
        let replicas = &mut self.partitions[partition].1;
        let at = replicas.iter().position(|node| *node == from).expect("it hosts the partition");
        replicas[at] = to;
        if let Some(count) = self.hosts.get_mut(&from) {
            *count -= 1;
        }
        *self.hosts.get_mut(&to).expect("only hosts take replicas") += 1;
    }

    fn evacuate(&mut self, leaving: &[NodeId]) {
        for partition in 0..self.partitions.len() {
            for from in leaving {
                let replicas = &self.partitions[partition].1;
                if replicas.contains(from)
                    && let Some(to) = self.idlest(replicas)
                {
                    self.relocate(partition, *from, to);
                }
            }
        }
    }

    /// Moves from the most to the least loaded until they differ by at most one. Each move makes
    /// the sum of squares smaller, so it ends.
    fn even_replicas(&mut self) {
        while let Some((partition, from, to)) = self.next_move() {
            self.relocate(partition, from, to);
        }
    }

    fn next_move(&self) -> Option<(usize, NodeId, NodeId)> {
        let mut by_load: Vec<(usize, NodeId)> =
            self.hosts.iter().map(|(node, count)| (*count, *node)).collect();
        by_load.sort_unstable();
        for (high, from) in by_load.iter().rev() {
            for (low, to) in by_load.iter().take_while(|(low, _)| low + 1 < *high) {
                assert!(low < high, "a move goes downhill");
                // Followers first: moving a leader costs its clients a failover.
                let movable = |index: &usize, follower: bool| {
                    let replicas = &self.partitions[*index].1;
                    replicas.contains(from)
                        && !replicas.contains(to)
                        && !(follower && replicas[0] == *from)
                };
                let all = || 0..self.partitions.len();
                let found = all().find(|index| movable(index, true));
                let found = found.or_else(|| all().find(|index| movable(index, false)));
                if let Some(partition) = found {
                    return Some((partition, *from, *to));
                }
            }
        }
        None
    }

    /// Swaps preferred leaders inside partitions until no swap helps. Moves no data.
    fn even_leaders(&mut self) {
        let mut leads: BTreeMap<NodeId, usize> = self.hosts.keys().map(|node| (*node, 0)).collect();
        for (_, replicas) in &self.partitions {
            if let Some(count) = leads.get_mut(&replicas[0]) {
                *count += 1;
            }
        }
        let mut changed = true;
        while changed {
            changed = false;
            for (_, replicas) in &mut self.partitions {
                let load = |node: &NodeId| leads.get(node).copied();
                let Some(first) = load(&replicas[0]) else { continue };
                let others = (1..replicas.len()).filter_map(|at| Some((load(&replicas[at])?, at)));
                if let Some((low, at)) = others.min()
                    && low + 1 < first
                {
                    *leads.get_mut(&replicas[0]).expect("counted above") -= 1;
                    *leads.get_mut(&replicas[at]).expect("counted above") += 1;
                    replicas.swap(0, at);
                    changed = true;
                }
            }
        }
    }

    fn finish(self, image: &Image) -> Vec<Move> {
        let changed = |(id, replicas): &Move| {
            image.partition(*id).is_some_and(|partition| *partition.replicas != **replicas)
        };
        self.partitions.into_iter().filter(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture;

    fn loads(image: &Image, moves: &[Move]) -> BTreeMap<NodeId, (usize, usize)> {
        let mut loads: BTreeMap<NodeId, (usize, usize)> = BTreeMap::new();
        for (id, partition) in image.partitions() {
            let moved = moves.iter().find(|(other, _)| *other == id);
            let replicas = moved.map_or(&*partition.replicas, |(_, replicas)| replicas);
            for node in replicas {
                loads.entry(*node).or_default().0 += 1;
            }
            loads.entry(replicas[0]).or_default().1 += 1;
        }
        loads
    }

    fn changed_replicas(image: &Image, moves: &[Move]) -> usize {
        let new = |(id, replicas): &Move| {
            let old = &image.partition(*id).expect("known").replicas;
            replicas.iter().filter(|node| !old.contains(node)).count()
        };
        moves.iter().map(new).sum()
    }

    const SPREAD: &[&[i32]] = &[&[1, 2], &[2, 3], &[3, 1], &[1, 3], &[2, 1], &[3, 2]];

    #[test]
    fn a_balanced_cluster_stays_as_it_is() {
        let mut image = fixture::image(&[1, 2, 3]);
        fixture::topic(&mut image, "t", SPREAD);
        assert_eq!(plan(&image, &[]), []);
    }

    #[test]
    fn a_new_broker_gets_its_share_and_nothing_else_moves() {
        let mut image = fixture::image(&[1, 2, 3]);
        fixture::topic(&mut image, "t", SPREAD);
        fixture::broker(&mut image, 4);
        let moves = plan(&image, &[]);
        assert_eq!(changed_replicas(&image, &moves), 3);
        for (replicas, leads) in loads(&image, &moves).into_values() {
            assert_eq!(replicas, 3);
            assert!((1..=2).contains(&leads));
        }
    }

    #[test]
    fn a_leaving_broker_loses_all_and_only_that_moves() {
        let mut image = fixture::image(&[1, 2, 3]);
        fixture::topic(&mut image, "t", SPREAD);
        fixture::broker(&mut image, 4);
        let moves = plan(&image, &[NodeId(1)]);
        assert_eq!(changed_replicas(&image, &moves), 4);
        let loads = loads(&image, &moves);
        assert!(!loads.contains_key(&NodeId(1)));
        assert!(loads.values().all(|(replicas, leads)| *replicas == 4 && *leads == 2));
    }
}
