//! ConsumerGroupDescribe.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Consumer, MemberState, Partitions};
use crate::coordinator::Requester;
use crate::coordinator::group::record::by_topic;
use crate::coordinator::group::{GroupCoordinator, Step};
use crate::error::ErrorCode;
use crate::ids::{TopicId, TopicName};
use crate::message::consumer_group::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedConsumerGroup,
    DescribedConsumerMember,
};
use crate::message::{Request, Response};
use crate::metadata::Image;

impl GroupCoordinator {
    pub(super) fn consumer_describe(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &ConsumerGroupDescribeRequest,
    ) {
        let image = step.ctx.image;
        let describe = |name: &Arc<str>| match self.consumer(name) {
            Some(consumer) => consumer.described(name, image),
            None => unknown(name),
        };
        let groups = asked.groups.iter().map(describe).collect();
        let end = asked.groups.iter().map(|name| self.end_of(name)).max().unwrap_or_default();
        let response = ConsumerGroupDescribeResponse { groups };
        self.answer_at(step, end, from, Response::ConsumerGroupDescribe(response));
    }
}

impl Consumer {
    /// Kafka's name of the group's state.
    pub(in crate::coordinator::group) fn state(&self) -> &'static str {
        let reconciled = self.members.values().all(|member| {
            let current = &member.current;
            current.state == MemberState::Stable && current.epoch == self.target_epoch
        });
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if !reconciled {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    fn described(&self, name: &Arc<str>, image: &Image) -> DescribedConsumerGroup {
        let members = self.members.iter().map(|(id, member)| DescribedConsumerMember {
            member: id.clone(),
            instance: member.about.instance.clone(),
            client_id: member.about.client_id.clone(),
            client_host: member.about.client_host.clone(),
            member_epoch: member.current.epoch,
            subscribed_topics: member.about.topics.iter().cloned().collect(),
            assignment: self.named(&member.current.assigned, image),
            target: self.named(&member.target, image),
        });
        DescribedConsumerGroup {
            group: name.clone(),
            error: ErrorCode::None,
            state: self.state().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.target_epoch,
            assignor: self.assignor().into(),
            members: members.collect(),
        }
    }

    fn named(&self, partitions: &Partitions, image: &Image) -> Vec<(TopicId, TopicName, Vec<i32>)> {
        let topics = by_topic(partitions).into_iter();
        topics.filter_map(|(id, list)| Some((id, self.name_of(id, image)?, list))).collect()
    }
}

/// A group that is not there, or that speaks the classic protocol.
fn unknown(name: &Arc<str>) -> DescribedConsumerGroup {
    DescribedConsumerGroup {
        group: name.clone(),
        error: ErrorCode::GroupIdNotFound,
        state: Arc::default(),
        group_epoch: -1,
        assignment_epoch: -1,
        assignor: Arc::default(),
        members: Vec::new(),
    }
}
