//! `range`: of each topic, members get ranges of partitions that follow one another, so that
//! partitions of one number meet at one member if their topics are wanted by the same members.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Subscribers, Targets};
use crate::ids::TopicId;

pub(super) fn assign(subscribers: &Subscribers<'_>, topics: &BTreeMap<TopicId, i32>) -> Targets {
    let empty = |id: &Arc<str>| (id.clone(), super::Partitions::new());
    let mut targets: Targets = subscribers.keys().map(empty).collect();
    for (topic, partitions) in topics {
        let wanting = subscribers.iter().filter(|(_, member)| member.topics.contains(topic));
        let mut wanting: Vec<_> = wanting.collect();
        if wanting.is_empty() {
            continue;
        }
        wanting.sort_by_key(|(_, member)| &member.place);
        let members = i32::try_from(wanting.len()).expect("a group has a bound");
        let (least, more) = (partitions / members, partitions % members);
        let mut next = 0;
        for (index, (id, _)) in (0..).zip(wanting) {
            let end = next + least + i32::from(index < more);
            if let Some(target) = targets.get_mut(id) {
                target.extend((next..end).map(|partition| (*topic, partition)));
            }
            next = end;
        }
    }
    targets
}
