//! Where new replicas go: the least loaded brokers, spread over racks.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::NodeId;
use crate::metadata::Image;
use crate::rng::Rng;

/// How many replicas each broker hosts and how many of them it should lead: those it is first of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    brokers: BTreeMap<NodeId, BrokerLoad>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct BrokerLoad {
    active: bool,
    rack: Option<Arc<str>>,
    replicas: u32,
    leads: u32,
}

impl Load {
    /// The load of all registered brokers. What is being removed from a broker counts no more.
    pub fn of(image: &Image) -> Self {
        let brokers = image.brokers.iter().map(|(node, broker)| {
            let active = broker.is_active();
            (*node, BrokerLoad { active, rack: broker.rack.clone(), replicas: 0, leads: 0 })
        });
        let mut load = Load { brokers: brokers.collect() };
        for (_, partition) in image.partitions() {
            let stays = |node: &NodeId| !partition.removing.contains(node);
            let replicas: Vec<NodeId> = partition.replicas.iter().copied().filter(stays).collect();
            load.add(&replicas);
        }
        load
    }

    /// Counts a placed partition.
    pub fn add(&mut self, replicas: &[NodeId]) {
        for (index, node) in replicas.iter().enumerate() {
            if let Some(broker) = self.brokers.get_mut(node) {
                broker.replicas += 1;
                broker.leads += u32::from(index == 0);
            }
        }
    }

    /// Brokers that could take a replica at all.
    pub fn brokers(&self) -> usize {
        self.brokers.len()
    }

    /// The replicas of one new partition, preferred leader first, and counts them. Active brokers
    /// come before others, then unused racks, then the least loaded; equals are drawn.
    ///
    /// # Errors
    /// INVALID_REPLICATION_FACTOR if there are too few brokers, or none is active.
    pub fn place(&mut self, factor: usize, rng: &mut Rng) -> Result<Vec<NodeId>, ErrorCode> {
        let any_active = self.brokers.values().any(|broker| broker.active);
        if factor == 0 || factor > self.brokers.len() || !any_active {
            return Err(ErrorCode::InvalidReplicationFactor);
        }
        let mut replicas: Vec<NodeId> = Vec::with_capacity(factor);
        for _ in 0..factor {
            let next = self.pick(&replicas, rng);
            replicas.push(next);
        }
        self.add(&replicas);
        Ok(replicas)
    }

    fn pick(&self, taken: &[NodeId], rng: &mut Rng) -> NodeId {
        let rank = |broker: &BrokerLoad| {
            let beside =
                |node: &NodeId| broker.rack.is_some() && self.brokers[node].rack == broker.rack;
            let crowd = taken.iter().filter(|node| beside(node)).count();
            let leads = if taken.is_empty() { broker.leads } else { 0 };
            (!broker.active, crowd, leads, broker.replicas)
        };
        let free = self.brokers.iter().filter(|(node, _)| !taken.contains(node));
        let best = free.clone().map(|(_, broker)| rank(broker)).min();
        let best = best.expect("the factor is at most the number of brokers");
        let equals: Vec<NodeId> =
            free.filter(|(_, broker)| rank(broker) == best).map(|(node, _)| *node).collect();
        equals[rng.index(equals.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture::{image, nodes};

    #[test]
    fn replicas_and_leaders_are_spread_evenly() {
        let image = image(&[1, 2, 3, 4, 5]);
        let mut load = Load::of(&image);
        let mut rng = Rng::from_number(7);
        for _ in 0..10 {
            let replicas = load.place(3, &mut rng).expect("five brokers are enough");
            let mut distinct = replicas.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), 3);
        }
        for broker in load.brokers.values() {
            assert!((5..=7).contains(&broker.replicas), "{broker:?}");
            assert_eq!(broker.leads, 2);
        }
    }

    #[test]
    fn a_new_broker_takes_the_next_replicas() {
        let mut image = image(&[1, 2, 3]);
        crate::controller::fixture::topic(&mut image, "old", &[&[1, 2], &[2, 3], &[3, 1]]);
        crate::controller::fixture::broker(&mut image, 4);
        let mut load = Load::of(&image);
        let replicas = load.place(2, &mut Rng::from_number(1)).expect("four brokers");
        assert_eq!(replicas[0], NodeId(4));
    }

    #[test]
    fn racks_are_used_before_any_is_used_twice() {
        let mut image = image(&[1, 2, 3, 4]);
        for (node, rack) in [(1, "a"), (2, "a"), (3, "a"), (4, "b")] {
            image.brokers.get_mut(&NodeId(node)).expect("registered").rack = Some(rack.into());
        }
        for seed in 0..20 {
            let mut load = Load::of(&image);
            let replicas = load.place(2, &mut Rng::from_number(seed)).expect("four brokers");
            assert!(replicas.contains(&NodeId(4)), "{replicas:?}");
        }
    }

    #[test]
    fn fenced_brokers_come_last_and_never_alone() {
        let mut image = image(&[1, 2, 3]);
        image.brokers.get_mut(&NodeId(1)).expect("registered").fenced = true;
        let place = |image: &_, factor| Load::of(image).place(factor, &mut Rng::from_number(1));
        let mut two = place(&image, 2).expect("two are active");
        two.sort_unstable();
        assert_eq!(two, nodes(&[2, 3]));
        assert_eq!(place(&image, 3).expect("three are registered")[2], NodeId(1));
        assert_eq!(place(&image, 4), Err(ErrorCode::InvalidReplicationFactor));
        for broker in image.brokers.values_mut() {
            broker.fenced = true;
        }
        assert_eq!(place(&image, 1), Err(ErrorCode::InvalidReplicationFactor));
    }
}
