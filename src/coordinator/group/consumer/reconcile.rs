//! One step of a member on its way to its target (Kafka's `CurrentAssignmentBuilder`).

use super::Partitions;
use crate::coordinator::group::record::{CurrentValue, MemberState};
use crate::ids::TopicId;

/// What a member shall come to, and what it says it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    pub target_epoch: i32,
    pub target: &'a Partitions,
    /// None: it did not say.
    pub owned: Option<&'a Partitions>,
}

/// What the member has after this step; the same if there is nothing to do, or if it has to give
/// something up first.
pub(super) fn reconcile(
    current: &CurrentValue,
    way: Way<'_>,
    is_free: impl Fn(&(TopicId, i32)) -> bool,
) -> CurrentValue {
    match current.state {
        MemberState::Stable if current.epoch == way.target_epoch => current.clone(),
        MemberState::Stable | MemberState::UnreleasedPartitions => {
            next(current, current.epoch, way, is_free)
        }
        MemberState::UnrevokedPartitions if holds(way.owned, &current.revoking) => current.clone(),
        // It gave up what it had to: an epoch further, so that it cannot fall back.
        MemberState::UnrevokedPartitions => next(current, current.epoch + 1, way, is_free),
    }
}

/// Whether a member may still hold one of these.
fn holds(owned: Option<&Partitions>, partitions: &Partitions) -> bool {
    owned.is_none_or(|owned| !owned.is_disjoint(partitions))
}

fn next(
    current: &CurrentValue,
    epoch: i32,
    way: Way<'_>,
    is_free: impl Fn(&(TopicId, i32)) -> bool,
) -> CurrentValue {
    let previous_epoch = current.epoch;
    let assigned: Partitions = current.assigned.intersection(way.target).copied().collect();
    let revoking: Partitions = current.assigned.difference(way.target).copied().collect();
    if !revoking.is_empty() && holds(way.owned, &revoking) {
        let state = MemberState::UnrevokedPartitions;
        return CurrentValue { epoch, previous_epoch, state, assigned, revoking };
    }
    let missing = way.target.difference(&assigned).copied();
    let (gained, unreleased): (Partitions, Partitions) = missing.partition(|at| is_free(at));
    let state =
        if unreleased.is_empty() { MemberState::Stable } else { MemberState::UnreleasedPartitions };
    let assigned: Partitions = assigned.union(&gained).copied().collect();
    let (epoch, revoking) = (way.target_epoch, Partitions::new());
    let next = CurrentValue { epoch, previous_epoch, state, assigned, revoking };
    // Nothing has changed: it waits on.
    let kept = CurrentValue { previous_epoch: current.previous_epoch, ..next.clone() };
    if kept == *current { kept } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;

    fn set(partitions: &[i32]) -> Partitions {
        partitions.iter().map(|partition| (Uuid([1; 4]), *partition)).collect()
    }

    fn at(epoch: i32, state: MemberState, assigned: &[i32], revoking: &[i32]) -> CurrentValue {
        let (assigned, revoking) = (set(assigned), set(revoking));
        CurrentValue { epoch, previous_epoch: epoch, state, assigned, revoking }
    }

    #[test]
    fn a_member_gives_up_first_and_takes_what_is_free_after() {
        use MemberState::{Stable, UnreleasedPartitions, UnrevokedPartitions};
        let (none, both) = (set(&[]), set(&[0, 1]));
        let again = at(3, UnrevokedPartitions, &[0, 1], &[2]);
        // From, target of epoch 5, owned, taken by others, to.
        let table = [
            (at(5, Stable, &[0], &[]), &[0][..], None, &[][..], at(5, Stable, &[0], &[])),
            (at(3, Stable, &[0], &[]), &[0, 1], None, &[], at(5, Stable, &[0, 1], &[])),
            (at(3, Stable, &[0], &[]), &[0, 1], None, &[1], at(5, UnreleasedPartitions, &[0], &[])),
            (at(3, Stable, &[0, 1], &[]), &[0], None, &[], at(3, UnrevokedPartitions, &[0], &[1])),
            (
                at(3, Stable, &[0, 1], &[]),
                &[0, 2],
                Some(&both),
                &[],
                at(3, UnrevokedPartitions, &[0], &[1]),
            ),
            // It holds none of them any more.
            (at(3, Stable, &[0, 1], &[]), &[0], Some(&none), &[], at(5, Stable, &[0], &[])),
            (
                at(3, UnrevokedPartitions, &[0], &[1]),
                &[0],
                Some(&both),
                &[],
                at(3, UnrevokedPartitions, &[0], &[1]),
            ),
            (
                at(3, UnrevokedPartitions, &[0], &[1]),
                &[0, 1],
                None,
                &[],
                at(3, UnrevokedPartitions, &[0], &[1]),
            ),
            (
                at(3, UnrevokedPartitions, &[0], &[1]),
                &[0, 2],
                Some(&none),
                &[],
                at(5, Stable, &[0, 2], &[]),
            ),
            // It gave up what it had to, and must give up more: an epoch further all the same.
            (again, &[0], Some(&both), &[], at(4, UnrevokedPartitions, &[0], &[1])),
            (
                at(5, UnreleasedPartitions, &[0], &[]),
                &[0, 1],
                None,
                &[],
                at(5, Stable, &[0, 1], &[]),
            ),
            (
                at(5, UnreleasedPartitions, &[0], &[]),
                &[0, 1],
                None,
                &[1],
                at(5, UnreleasedPartitions, &[0], &[]),
            ),
        ];
        for (from, target, owned, taken, expected) in table {
            let (target, taken) = (set(target), set(taken));
            let way = Way { target_epoch: 5, target: &target, owned };
            let mut next = reconcile(&from, way, |partition| !taken.contains(partition));
            let previous = if next.epoch == from.epoch { from.previous_epoch } else { from.epoch };
            assert_eq!(next.previous_epoch, previous, "{from:?}");
            next.previous_epoch = expected.previous_epoch;
            assert_eq!(next, expected, "{from:?}");
        }
    }
}
