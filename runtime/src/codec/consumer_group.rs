//! KIP-848's group protocol: ConsumerGroupHeartbeat (68) and ConsumerGroupDescribe (69).

use kafka_protocol::messages as wire;
use seedlog::ids::{TopicId, TopicName};
use seedlog::message::consumer_group::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DescribedConsumerGroup, DescribedConsumerMember,
    TopicPartitions,
};
use seedlog::time::Duration;

use super::convert::{Wire, fields, tuple};
use super::shape::{I8, I32, I32S, Shape, TEXT, TEXTS, UUID, list, since};

pub const CONSUMER_GROUP_HEARTBEAT: Shape =
    &[TEXT, TEXT, I32, TEXT, TEXT, I32, TEXTS, since(1, TEXT), TEXT, list(&[UUID, I32S])];
fields!(ConsumerGroupHeartbeatRequest = wire::ConsumerGroupHeartbeatRequest {
    group = group_id, member = member_id, member_epoch = member_epoch, instance = instance_id,
    rack = rack_id, rebalance_timeout = rebalance_timeout_ms,
    subscribed_topics = subscribed_topic_names, subscribed_regex = subscribed_topic_regex [1],
    assignor = server_assignor, owned = topic_partitions,
} core |_version| {
    // The request's header has it.
    client_id: "".into(),
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
});

pub const CONSUMER_GROUP_DESCRIBE: Shape = &[TEXTS, I8];
fields!(ConsumerGroupDescribeRequest = wire::ConsumerGroupDescribeRequest { groups = group_ids });
fields!(ConsumerGroupDescribeResponse = wire::ConsumerGroupDescribeResponse { groups = groups });
fields!(DescribedConsumerGroup = wire::consumer_group_describe_response::DescribedGroup {
    group = group_id, error = error_code, state = group_state, group_epoch = group_epoch,
    assignment_epoch = assignment_epoch, assignor = assignor_name, members = members,
});
fields!(DescribedConsumerMember = wire::consumer_group_describe_response::Member {
    member = member_id, instance = instance_id, client_id = client_id,
    member_epoch = member_epoch, subscribed_topics = subscribed_topic_names,
    assignment = assignment, target = target_assignment,
} then |out, version| {
    // KIP-1099: that it speaks this protocol; no other member is described here.
    if version >= 1 {
        out.member_type = 1;
    }
});

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
