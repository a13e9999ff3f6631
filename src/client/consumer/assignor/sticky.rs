//! As even as subscriptions allow, and then as close as possible to what was (KIP-54).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Assignments, Counts, Member, Partition, in_order, subscribes};

pub(super) fn assign(members: &[Member], counts: &Counts) -> Assignments {
    let mut plan = Plan::keep(members, counts);
    plan.fill(counts);
    plan.even_out();
    plan.parts.into_iter().map(|(id, part)| (id, part.into_iter().collect())).collect()
}

/// Who may go on with which partition: whoever claims it with the highest generation. Of two that
/// claim it with the same one at least one is wrong, and nobody knows which (KAFKA-12984).
pub(super) fn owners(members: &[Member]) -> BTreeMap<Partition, Arc<str>> {
    let mut claims: BTreeMap<&Partition, (i32, Option<&Arc<str>>)> = BTreeMap::new();
    for member in members {
        let owned: BTreeSet<&Partition> = member.owned.iter().collect();
        for partition in owned {
            let claim = (member.generation, Some(&member.id));
            let best = claims.entry(partition).or_insert(claim);
            if claim.0 > best.0 {
                *best = claim;
            } else if claim.0 == best.0 && claim.1 != best.1 {
                best.1 = None;
            }
        }
    }
    let clear = claims.into_iter();
    clear.filter_map(|(partition, (_, owner))| Some((partition.clone(), owner?.clone()))).collect()
}

/// An assignment in the making.
struct Plan<'a> {
    /// In the order that decides between equals.
    members: Vec<&'a Member>,
    parts: BTreeMap<Arc<str>, BTreeSet<Partition>>,
}

impl<'a> Plan<'a> {
    /// Everybody keeps what they still may have.
    fn keep(members: &'a [Member], counts: &Counts) -> Self {
        let members_in_order = in_order(members);
        let mut parts: BTreeMap<Arc<str>, BTreeSet<Partition>> =
            members.iter().map(|member| (member.id.clone(), BTreeSet::new())).collect();
        for ((topic, partition), owner) in owners(members) {
            let exists = counts.get(&topic).is_some_and(|count| (0..*count).contains(&partition));
            let member = members.iter().find(|member| member.id == owner);
            if exists && member.is_some_and(|member| subscribes(member, &topic)) {
                parts.entry(owner).or_default().insert((topic, partition));
            }
        }
        Plan { members: members_in_order, parts }
    }

    fn load(&self, member: &Member) -> usize {
        self.parts.get(&member.id).map_or(0, BTreeSet::len)
    }

    /// The one with the least, of those who want that topic.
    fn poorest(&self, topic: &Arc<str>) -> Option<&'a Member> {
        let takers = self.members.iter().copied().filter(|member| subscribes(member, topic));
        takers.min_by_key(|member| self.load(member))
    }

    /// Gives out what nobody has.
    fn fill(&mut self, counts: &Counts) {
        let kept: BTreeSet<Partition> = self.parts.values().flatten().cloned().collect();
        for (topic, count) in counts {
            let all = (0..*count).map(|partition| (topic.clone(), partition));
            for partition in all.filter(|partition| !kept.contains(partition)) {
                let Some(taker) = self.poorest(topic) else { break };
                self.parts.entry(taker.id.clone()).or_default().insert(partition);
            }
        }
    }

    /// Moves partitions from who has two more than another who wants them, until nobody has. Each
    /// move makes the sum of the squares smaller, so that it ends.
    fn even_out(&mut self) {
        while let Some((from, to, partition)) = self.unfair() {
            self.parts.entry(from).or_default().remove(&partition);
            self.parts.entry(to).or_default().insert(partition);
        }
    }

    fn unfair(&self) -> Option<(Arc<str>, Arc<str>, Partition)> {
        let mut richest_first = self.members.clone();
        richest_first.sort_by_key(|member| core::cmp::Reverse(self.load(member)));
        for from in richest_first {
            let load = self.load(from);
            for partition in self.parts.get(&from.id)?.iter().rev() {
                let Some(to) = self.poorest(&partition.0) else { continue };
                if self.load(to) + 1 < load {
                    return Some((from.id.clone(), to.id.clone(), partition.clone()));
                }
            }
        }
        None
    }
}
