//! OffsetDelete and DeleteGroups.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::commit::existing;
use super::groups::{Group, Kind};
use super::offsets::Partition;
use super::record::Record;
use super::{Author, GroupCoordinator, Step, consumer};
use crate::coordinator::Requester;
use crate::error::ErrorCode;
use crate::ids::TopicRef;
use crate::message::commit::{OffsetDeleteRequest, OffsetDeleteResponse};
use crate::message::group::{DeleteGroupsRequest, DeleteGroupsResponse};
use crate::message::{Request, Response};

impl GroupCoordinator {
    pub(super) fn offset_delete(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &OffsetDeleteRequest,
    ) {
        let group = match self.groups.get(&asked.group) {
            Some(group) if group.may_lose_offsets() => group,
            Some(_) => return step.refuse(to, request, ErrorCode::NonEmptyGroup),
            None => return step.refuse(to, request, ErrorCode::GroupIdNotFound),
        };
        let mut records = Vec::new();
        let mut partitions = Vec::new();
        for (topic, partition) in &asked.partitions {
            let named = TopicRef::Name(topic.clone());
            let error = if let Err(unknown) = existing(step.ctx.image, &named, *partition) {
                unknown
            } else if group.is_subscribed(topic) {
                ErrorCode::GroupSubscribedToTopic
            } else {
                let at = (topic.clone(), *partition);
                if group.offsets.committed.contains_key(&at) {
                    records.push(tombstone(&asked.group, &at));
                }
                ErrorCode::None
            };
            partitions.push((topic.clone(), *partition, error));
        }
        let mut end = group.end;
        if !records.is_empty() {
            match self.append(step, &Author::nobody(), None, records) {
                Ok(appended) => end = appended,
                Err(error) => return step.refuse(to, request, error),
            }
        }
        let response = OffsetDeleteResponse { error: ErrorCode::None, partitions };
        self.answer_at(step, end, (to, request), Response::OffsetDelete(response));
    }

    pub(super) fn delete_groups(
        &mut self,
        step: &mut Step<'_>,
        from: (Requester, &Arc<Request>),
        asked: &DeleteGroupsRequest,
    ) {
        let delete = |name: &Arc<str>| (name.clone(), self.delete_group(step, name));
        let groups: Vec<_> = asked.groups.iter().map(delete).collect();
        let response = Response::DeleteGroups(DeleteGroupsResponse { groups });
        self.answer_at(step, self.end, from, response);
    }

    fn delete_group(&mut self, step: &mut Step<'_>, name: &Arc<str>) -> ErrorCode {
        let Some(group) = self.groups.get(name) else { return ErrorCode::GroupIdNotFound };
        if !group.is_empty() {
            return ErrorCode::NonEmptyGroup;
        }
        let staged = group.offsets.pending.values().flat_map(|staged| staged.keys());
        let partitions: BTreeSet<_> = group.offsets.committed.keys().chain(staged).collect();
        let mut records: Vec<_> =
            partitions.into_iter().map(|partition| tombstone(name, partition)).collect();
        records.extend(group_tombstones(name, group));
        match self.append(step, &Author::nobody(), None, records) {
            Ok(_) => ErrorCode::None,
            Err(error) => error,
        }
    }
}

impl Group {
    /// Whether offsets of topics that it has no use for may go.
    fn may_lose_offsets(&self) -> bool {
        match &self.kind {
            Kind::Classic(classic) => classic.is_empty() || classic.is_of_consumers(),
            Kind::Consumer(_) => true,
        }
    }
}

/// Removes a partition's offset.
pub(super) fn tombstone(group: &Arc<str>, (topic, partition): &Partition) -> Record {
    Record::Offset {
        group: group.clone(),
        topic: topic.clone(),
        partition: *partition,
        value: None,
    }
}

/// Removes what the log knows of an empty group beside its offsets.
pub(super) fn group_tombstones(name: &Arc<str>, group: &Group) -> Vec<Record> {
    match &group.kind {
        Kind::Classic(_) => alloc::vec![Record::Classic { group: name.clone(), value: None }],
        Kind::Consumer(_) => consumer::tombstones(name),
    }
}
