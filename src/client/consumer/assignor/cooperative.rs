//! Sticky in two rounds (KIP-429): what moves is taken away in one round, and given in the next,
//! which the one who lost it starts when it has let go.

use super::sticky::owners;
use super::{Assignments, Counts, Member, Partition, sticky};
use crate::defect::{Defect, Defects};

pub(super) fn assign(members: &[Member], counts: &Counts, defects: Defects) -> Assignments {
    let mut assigned = sticky::assign(members, counts);
    let owners = owners(members);
    for (id, partitions) in &mut assigned {
        // KIP-429, KAFKA-14639: whoever claims a partition may still read it, be the claim old or
        // doubted. Only its owner by the highest generation goes on with it.
        let is_free = |partition: &Partition| {
            let claimed =
                members.iter().any(|member| member.id != *id && member.owned.contains(partition));
            !claimed || owners.get(partition) == Some(id)
        };
        if defects.has(Defect::AssignBeforeRevoke) {
            continue;
        }
        partitions.retain(is_free);
    }
    assigned
}
