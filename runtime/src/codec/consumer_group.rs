//! KIP-848's group protocol: ConsumerGroupHeartbeat (68) and ConsumerGroupDescribe (69).

use kafka_protocol::messages as wire;
use kafka_protocol::protocol::StrBytes;
use seedlog::error::ErrorCode;
use seedlog::ids::{TopicId, TopicName};
use seedlog::message::consumer_group::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DescribedConsumerGroup, DescribedConsumerMember,
    TopicPartitions,
};
use seedlog::time::Duration;

use super::convert::{Asks, ON_GROUP, Wire, fields, tuple};
use super::shape::{I8, I32, I32S, Shape, TEXT, TEXTS, UUID, list, since};

pub const CONSUMER_GROUP_HEARTBEAT: Shape =
    &[TEXT, TEXT, I32, TEXT, TEXT, I32, TEXTS, since(1, TEXT), TEXT, list(&[UUID, I32S])];
fields!(ConsumerGroupHeartbeatRequest = wire::ConsumerGroupHeartbeatRequest {
    group = group_id, member = member_id, member_epoch = member_epoch, instance = instance_id,
    rack = rack_id, rebalance_timeout = rebalance_timeout_ms,
    subscribed_topics = subscribed_topic_names, subscribed_regex = subscribed_topic_regex [1],
    assignor = server_assignor, owned = topic_partitions,
} core |_version| {
    // The request's header has the one, the connection the other.
    client_id: "".into(),
    client_host: "".into(),
});
impl Wire<i32> for Option<Duration> {
    fn out(&self, version: i16) -> i32 {
        self.map_or(-1, |time| time.out(version))
    }
    fn back(wire: i32, _version: i16) -> Self {
        u64::try_from(wire).ok().map(Duration::from_millis)
    }
}
fields!(ConsumerGroupHeartbeatResponse = wire::ConsumerGroupHeartbeatResponse {
    error = error_code, message = error_message, member = member_id, member_epoch = member_epoch,
    heartbeat_interval = heartbeat_interval_ms, assignment = assignment,
} then |out, _version| {
    let known = EXPLAINED.iter().find(|(error, _)| error.code() == out.error_code);
    let told = known.map(|(_, told)| StrBytes::from_static_str(told));
    out.error_message = out.error_message.take().or(told);
});

/// What clients show to people.
const EXPLAINED: [(ErrorCode, &str); 9] = [
    (ErrorCode::InvalidRequest, "The heartbeat lacks what it needs, or contradicts itself."),
    (ErrorCode::UnknownMemberId, "The group has no such member."),
    (ErrorCode::FencedMemberEpoch, "The member's epoch is not the group's: join again."),
    (ErrorCode::UnreleasedInstanceId, "Another member has this group.instance.id."),
    (ErrorCode::FencedInstanceId, "Another member took over this group.instance.id."),
    (ErrorCode::UnsupportedAssignor, "The assignors are uniform and range."),
    (ErrorCode::GroupIdNotFound, "There is no such group of the consumer protocol."),
    (ErrorCode::GroupMaxSizeReached, "The group is full (group.consumer.max.size)."),
    (ErrorCode::InvalidRegularExpression, "Subscriptions by pattern are not supported."),
];

pub const CONSUMER_GROUP_DESCRIBE: Shape = &[TEXTS, I8];
fields!(ConsumerGroupDescribeRequest = wire::ConsumerGroupDescribeRequest {
    groups = group_ids,
} asks |wire| { Asks { cluster: false, each: wire.include_authorized_operations } });
fields!(ConsumerGroupDescribeResponse = wire::ConsumerGroupDescribeResponse {
    groups = groups,
} tells |out, asks| {
    for group in out.groups.iter_mut().filter(|group| asks.each && group.error_code == 0) {
        group.authorized_operations = ON_GROUP;
    }
});
fields!(DescribedConsumerGroup = wire::consumer_group_describe_response::DescribedGroup {
    group = group_id, error = error_code, state = group_state, group_epoch = group_epoch,
    assignment_epoch = assignment_epoch, assignor = assignor_name, members = members,
});
fields!(DescribedConsumerMember = wire::consumer_group_describe_response::Member {
    member = member_id, instance = instance_id, client_id = client_id, client_host = client_host,
    member_epoch = member_epoch, subscribed_topics = subscribed_topic_names,
    assignment = assignment, target = target_assignment,
    // KIP-1099: that it speaks this protocol; no other member is described here.
} then |out, version| { out.member_type = if version >= 1 { 1 } else { -1 } });

macro_rules! assignment {
    ($($core:ty = $wire:path;)*) => {$(
        impl Wire<$wire> for $core {
            fn out(&self, version: i16) -> $wire {
                <$wire>::default().with_topic_partitions(self.out(version))
            }
            fn back(wire: $wire, version: i16) -> Self {
                Wire::back(wire.topic_partitions, version)
            }
        }
    )*};
}
assignment! {
    TopicPartitions = wire::consumer_group_heartbeat_response::Assignment;
    Vec<(TopicId, TopicName, Vec<i32>)> = wire::consumer_group_describe_response::Assignment;
}
tuple! {
    (TopicId, Vec<i32>) = wire::consumer_group_heartbeat_request::TopicPartitions {
        0 = topic_id, 1 = partitions,
    };
    (TopicId, Vec<i32>) = wire::consumer_group_heartbeat_response::TopicPartitions {
        0 = topic_id, 1 = partitions,
    };
    (TopicId, TopicName, Vec<i32>) = wire::consumer_group_describe_response::TopicPartitions {
        0 = topic_id, 1 = topic_name, 2 = partitions,
    };
}
