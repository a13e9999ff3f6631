//! OffsetFetch.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::groups::{Group, Kind};
use super::offsets::Partition;
use super::{GroupCoordinator, Step};
use crate::coordinator::Requester;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, TopicRef};
use crate::message::commit::{
    FetchedGroup, FetchedOffset, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchResponse,
};
use crate::message::{Request, Response};

impl GroupCoordinator {
    /// The answer tells what is decided, and waits until that is committed.
    pub(super) fn offset_fetch(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &OffsetFetchRequest,
    ) {
        let stable = asked.require_stable;
        let groups = asked.groups.iter().map(|group| self.fetched(step, group, stable)).collect();
        let ends = asked.groups.iter().map(|asked| self.end_of(&asked.group));
        let end = ends.max().unwrap_or(Offset::ZERO);
        let response = Response::OffsetFetch(OffsetFetchResponse { groups });
        self.answer_at(step, end, from, response);
    }

    fn fetched(&self, step: &Step<'_>, asked: &OffsetFetchGroup, stable: bool) -> FetchedGroup {
        let group = self.groups.get(&asked.group);
        let (name, error) = (asked.group.clone(), may_fetch(group, asked));
        if !error.is_ok() {
            return FetchedGroup { group: name, error, partitions: Vec::new() };
        }
        let partitions = match &asked.partitions {
            Some(partitions) => partitions
                .iter()
                .map(|(topic, partition)| by_ref(step, group, topic, *partition, stable))
                .collect(),
            None => group.map_or_else(Vec::new, |group| all(step, group, stable)),
        };
        FetchedGroup { group: name, error, partitions }
    }
}

/// Members of the KIP-848 protocol say who they are; others are not asked.
fn may_fetch(group: Option<&Group>, asked: &OffsetFetchGroup) -> ErrorCode {
    let Some((member, epoch)) = &asked.member else { return ErrorCode::None };
    match group.map(|group| &group.kind) {
        None | Some(Kind::Classic(_)) => ErrorCode::None,
        Some(Kind::Consumer(consumer)) => {
            consumer.check_epoch(member, *epoch).err().unwrap_or(ErrorCode::None)
        }
    }
}

/// All partitions that have an offset, by name.
fn all(step: &Step<'_>, group: &Group, stable: bool) -> Vec<FetchedOffset> {
    let committed = group.offsets.committed.iter();
    let partitions = committed
        .filter(|(partition, commit)| commit.is_of(&partition.0, step.ctx.image))
        .map(|(partition, _)| partition);
    let named = |partition: &Partition| {
        let topic = TopicRef::Name(partition.0.clone());
        fetched_offset(step, Some(group), topic, partition, stable)
    };
    partitions.map(named).collect()
}

fn by_ref(
    step: &Step<'_>,
    group: Option<&Group>,
    topic: &TopicRef,
    partition: i32,
    stable: bool,
) -> FetchedOffset {
    let name = match topic {
        TopicRef::Name(name) => name.clone(),
        TopicRef::Id(id) => match step.ctx.image.topics.get(id) {
            Some(found) => found.name.clone(),
            None => return none(topic.clone(), partition, ErrorCode::UnknownTopicId),
        },
    };
    fetched_offset(step, group, topic.clone(), &(name, partition), stable)
}

fn fetched_offset(
    step: &Step<'_>,
    group: Option<&Group>,
    topic: TopicRef,
    partition: &Partition,
    stable: bool,
) -> FetchedOffset {
    let Some(group) = group else { return none(topic, partition.1, ErrorCode::None) };
    // KIP-447: whoever takes over waits for the outcome of what its predecessor began.
    let unstable = if step.ctx.defects.has(Defect::OffsetFetchUnstable) {
        false
    } else {
        stable && group.offsets.is_unstable(partition)
    };
    if unstable {
        return none(topic, partition.1, ErrorCode::UnstableOffsetCommit);
    }
    let commit = group.offsets.committed.get(partition);
    // One that waits for its removal from the log.
    let Some(commit) = commit.filter(|commit| commit.is_of(&partition.0, step.ctx.image)) else {
        return none(topic, partition.1, ErrorCode::None);
    };
    FetchedOffset {
        topic,
        partition: partition.1,
        error: ErrorCode::None,
        offset: commit.offset,
        leader_epoch: commit.leader_epoch,
        metadata: Some(commit.metadata.clone()),
    }
}

fn none(topic: TopicRef, partition: i32, error: ErrorCode) -> FetchedOffset {
    FetchedOffset {
        topic,
        partition,
        error,
        offset: Offset::NONE,
        leader_epoch: LeaderEpoch::NONE,
        metadata: Some(Arc::default()),
    }
}
