//! Kafka's RoundRobinAssignor: all partitions of all topics in turn.

use super::{Assignments, Counts, Member, in_order, nothing, subscribes};

pub(super) fn assign(members: &[Member], counts: &Counts) -> Assignments {
    let mut assigned = nothing(members);
    let order = in_order(members);
    let mut turn = 0;
    for (topic, count) in counts {
        if !order.iter().any(|member| subscribes(member, topic)) {
            continue;
        }
        for partition in 0..*count {
            while !subscribes(order[turn % order.len()], topic) {
                turn += 1;
            }
            let member = order[turn % order.len()];
            assigned.entry(member.id.clone()).or_default().push((topic.clone(), partition));
            turn += 1;
        }
    }
    assigned
}
