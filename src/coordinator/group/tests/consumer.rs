mod fencing;
mod storm;
mod way;

use super::*;
use crate::message::consumer_group::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    DescribedConsumerGroup,
};

pub const REBALANCE: Duration = Duration::from_secs(30);

/// A heartbeat without news.
pub fn quiet(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group: GROUP.into(),
        member: member.into(),
        member_epoch: epoch,
        instance: None,
        rack: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: None,
        subscribed_topics: None,
        subscribed_regex: None,
        assignor: None,
        owned: None,
    }
}

/// A first heartbeat, for `orders` and its four partitions.
pub fn joins(member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        rebalance_timeout: Some(REBALANCE),
        subscribed_topics: Some(alloc::vec!["orders".into()]),
        owned: Some(Vec::new()),
        ..quiet(member, 0)
    }
}

/// A heartbeat that says which partitions of `orders` are held.
pub fn holds(member: &str, epoch: i32, owned: &[i32]) -> ConsumerGroupHeartbeatRequest {
    let owned = Some(alloc::vec![(rig::topic_id(1), owned.to_vec())]);
    ConsumerGroupHeartbeatRequest { owned, ..quiet(member, epoch) }
}

pub fn named(
    instance: &str,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest { instance: Some(instance.into()), ..request }
}

pub fn beat(
    rig: &mut Rig,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let answer = rig.settle(Request::ConsumerGroupHeartbeat(request));
    let Response::ConsumerGroupHeartbeat(answer) = answer else { panic!("{answer:?}") };
    answer
}

/// Epoch and partitions of `orders`, if they are told.
pub fn told(answer: &ConsumerGroupHeartbeatResponse) -> (i32, Option<Vec<i32>>) {
    assert_eq!(answer.error, ErrorCode::None);
    let lists = answer.assignment.as_ref();
    let orders = lists.map(|lists| {
        let of_orders = lists.iter().filter(|(topic, _)| *topic == rig::topic_id(1));
        of_orders.flat_map(|(_, list)| list.iter().copied()).collect()
    });
    (answer.member_epoch, orders)
}

pub fn described(rig: &mut Rig) -> DescribedConsumerGroup {
    let request = ConsumerGroupDescribeRequest { groups: alloc::vec![GROUP.into()] };
    let answer = rig.settle(Request::ConsumerGroupDescribe(request));
    let Response::ConsumerGroupDescribe(mut answer) = answer else { panic!("{answer:?}") };
    answer.groups.remove(0)
}

/// `a` and `b`, each with two partitions, in epoch 2.
pub fn two() -> Rig {
    let mut rig = Rig::new();
    assert_eq!(told(&beat(&mut rig, joins("a"))), (1, Some(alloc::vec![0, 1, 2, 3])));
    assert_eq!(told(&beat(&mut rig, joins("b"))), (2, Some(alloc::vec![])));
    assert_eq!(told(&beat(&mut rig, quiet("a", 1))), (1, Some(alloc::vec![0, 1])));
    assert_eq!(told(&beat(&mut rig, holds("a", 1, &[0, 1]))), (2, None));
    assert_eq!(told(&beat(&mut rig, quiet("b", 2))), (2, Some(alloc::vec![2, 3])));
    assert_eq!(&*described(&mut rig).state, "Stable");
    rig
}
