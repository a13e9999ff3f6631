//! `uniform`: members get as many partitions as the others, as far as what they want allows, and
//! keep what they had, as far as that is fair.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Subscribers, Targets};
use crate::ids::TopicId;

/// Targets, with the members in the order of how much they have.
struct Scale<'a> {
    subscribers: &'a Subscribers<'a>,
    targets: Targets,
    by_load: BTreeSet<(usize, Arc<str>)>,
}

pub(super) fn assign(subscribers: &Subscribers<'_>, topics: &BTreeMap<TopicId, i32>) -> Targets {
    let mut left: BTreeSet<(TopicId, i32)> = topics
        .iter()
        .flat_map(|(topic, partitions)| (0..*partitions).map(|partition| (*topic, partition)))
        .collect();
    let mut targets = Targets::new();
    for (id, member) in subscribers {
        let kept = member.had.iter().filter(|(topic, _)| member.topics.contains(topic));
        // `left` has each partition once, whoever else may claim it.
        let kept = kept.filter(|partition| left.remove(partition)).copied().collect();
        targets.insert(id.clone(), kept);
    }
    let by_load = targets.iter().map(|(id, target)| (target.len(), id.clone())).collect();
    let mut scale = Scale { subscribers, targets, by_load };
    for partition in left {
        if let Some((_, id)) = scale.lightest(partition.0) {
            scale.give(&id, partition);
        }
    }
    while scale.shift() {}
    scale.targets
}

impl Scale<'_> {
    /// Who has the least of those that want the topic.
    fn lightest(&self, topic: TopicId) -> Option<(usize, Arc<str>)> {
        let wants = |id: &Arc<str>| self.subscribers[id].topics.contains(&topic);
        self.by_load.iter().find(|(_, id)| wants(id)).cloned()
    }

    /// Moves one partition from somebody who has at least two more to somebody who wants it; false
    /// if there is none. Each move makes the sum of the squares smaller, so that they end.
    fn shift(&mut self) -> bool {
        let Some((least, _)) = self.by_load.first().cloned() else { return false };
        let heavy = self.by_load.iter().rev().take_while(|(load, _)| *load >= least + 2);
        let heavy: Vec<(usize, Arc<str>)> = heavy.cloned().collect();
        for (load, from) in heavy {
            // The last ones first: those that it had longest stay.
            let mut topic = None;
            for partition in self.targets[&from].iter().rev().copied() {
                if topic == Some(partition.0) {
                    continue;
                }
                topic = Some(partition.0);
                if let Some((lighter, to)) = self.lightest(partition.0)
                    && load >= lighter + 2
                {
                    self.take(&from, partition);
                    self.give(&to, partition);
                    return true;
                }
            }
        }
        false
    }

    fn give(&mut self, id: &Arc<str>, partition: (TopicId, i32)) {
        self.reweigh(id, |target| target.insert(partition));
    }

    fn take(&mut self, id: &Arc<str>, partition: (TopicId, i32)) {
        self.reweigh(id, |target| target.remove(&partition));
    }

    fn reweigh(&mut self, id: &Arc<str>, change: impl FnOnce(&mut super::Partitions) -> bool) {
        let target = self.targets.get_mut(id).expect("every member has a target");
        self.by_load.remove(&(target.len(), id.clone()));
        assert!(change(target), "a partition goes from where it is to where it is not");
        self.by_load.insert((target.len(), id.clone()));
    }
}
