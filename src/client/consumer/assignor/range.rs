//! Kafka's RangeAssignor: of each topic, each member gets one stretch of partitions.

use super::{Assignments, Counts, Member, in_order, nothing, subscribes};

pub(super) fn assign(members: &[Member], counts: &Counts) -> Assignments {
    let mut assigned = nothing(members);
    for (topic, count) in counts {
        let takers = in_order(members).into_iter().filter(|member| subscribes(member, topic));
        let takers: alloc::vec::Vec<&Member> = takers.collect();
        let Ok(share) = i32::try_from(takers.len()) else { continue };
        let mut next = 0;
        for (member, place) in takers.iter().zip(0..) {
            // The first ones take one more, as long as it does not come out even.
            let size = count / share + i32::from(place < count % share);
            let part = (next..next + size).map(|partition| (topic.clone(), partition));
            assigned.entry(member.id.clone()).or_default().extend(part);
            next += size;
        }
    }
    assigned
}
