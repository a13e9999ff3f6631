//! OffsetCommit and TxnOffsetCommit.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::answer::Producer;
use super::deadlines::Timer;
use super::groups::Kind;
use super::record::{OffsetValue, Record};
use super::{Author, GroupCoordinator, Step};
use crate::coordinator::Requester;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{TopicId, TopicName, TopicRef};
use crate::message::commit::{
    CommittedPartition, Committer, OffsetCommitRequest, OffsetCommitResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use crate::message::{Request, Response};
use crate::metadata::Image;

/// Partitions as asked, with what becomes of each.
type Outcomes = Vec<(TopicRef, i32, ErrorCode)>;

impl GroupCoordinator {
    pub(super) fn offsets_request(
        &mut self,
        step: &mut Step<'_>,
        to: Requester,
        request: &Arc<Request>,
    ) -> bool {
        if let Request::OffsetCommit(asked) = &**request {
            self.offset_commit(step, (to, request), asked);
        } else if let Request::TxnOffsetCommit(asked) = &**request {
            self.txn_offset_commit(step, (to, request), asked);
        } else if let Request::OffsetFetch(asked) = &**request {
            self.offset_fetch(step, (to, request), asked);
        } else if let Request::OffsetDelete(asked) = &**request {
            self.offset_delete(step, (to, request), asked);
        } else {
            return false;
        }
        true
    }

    fn offset_commit(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &OffsetCommitRequest,
    ) {
        let by = &asked.committer;
        // KAFKA-2555: who lost its partitions must not move their offsets.
        let allowed = if step.ctx.defects.has(Defect::CommitNoGenerationCheck) {
            Ok(())
        } else {
            self.check_commit(by, false)
        };
        if let Err(error) = allowed {
            return step.refuse(to, request, error);
        }
        self.heard_of(step, &by.group, &by.member);
        match self.store(step, by, None, &asked.partitions) {
            Ok((end, partitions)) => {
                let response = Response::OffsetCommit(OffsetCommitResponse { partitions });
                self.answer_at(step, end, (to, request), response);
            }
            Err(error) => step.refuse(to, request, error),
        }
    }

    /// The broker around it has seen to it that the partition is in the producer's transaction.
    fn txn_offset_commit(
        &mut self,
        step: &mut Step<'_>,
        (to, request): (Requester, &Arc<Request>),
        asked: &TxnOffsetCommitRequest,
    ) {
        let by = &asked.committer;
        // KIP-447: the producer of a consumer that lost its partitions may not be fenced yet.
        let allowed = if step.ctx.defects.has(Defect::TxnCommitNoFencing) {
            Ok(())
        } else {
            self.check_commit(by, true)
        };
        if let Err(error) = allowed {
            // The API knows no member epochs, and no group that is not there.
            let new = matches!(error, ErrorCode::StaleMemberEpoch | ErrorCode::GroupIdNotFound);
            let error = if new { ErrorCode::IllegalGeneration } else { error };
            return step.refuse(to, request, error);
        }
        self.heard_of(step, &by.group, &by.member);
        let producer = (asked.producer_id, asked.producer_epoch);
        match self.store(step, by, Some(producer), &asked.partitions) {
            Ok((end, partitions)) => {
                let response = Response::TxnOffsetCommit(TxnOffsetCommitResponse { partitions });
                self.answer_at(step, end, (to, request), response);
            }
            Err(error) => step.refuse(to, request, error),
        }
    }

    pub(super) fn check_commit(
        &self,
        by: &Committer,
        transactional: bool,
    ) -> Result<(), ErrorCode> {
        match self.groups.get(&by.group) {
            Some(group) => group.check_commit(by, transactional),
            // Whoever is in no group commits for one that nobody is in.
            None if by.generation < 0 => Ok(()),
            None => Err(ErrorCode::GroupIdNotFound),
        }
    }

    /// Appends the offsets of partitions that exist. Gives what the answer rests on.
    fn store(
        &mut self,
        step: &mut Step<'_>,
        by: &Committer,
        producer: Option<Producer>,
        partitions: &[CommittedPartition],
    ) -> Result<(crate::ids::Offset, Outcomes), ErrorCode> {
        let mut records = Vec::new();
        let mut outcomes = Vec::new();
        for asked in partitions {
            let error = match offset_record(step, by, asked) {
                Ok(record) => {
                    records.push(record);
                    ErrorCode::None
                }
                Err(error) => error,
            };
            outcomes.push((asked.topic.clone(), asked.partition, error));
        }
        if records.is_empty() {
            return Ok((self.high_watermark, outcomes));
        }
        let author = Author { member: by.member.clone(), generation: by.generation };
        Ok((self.append(step, &author, producer, records)?, outcomes))
    }

    /// A sign of life from a member of a classic group. Those of KIP-848 live by their heartbeats.
    pub(super) fn heard_of(&mut self, step: &Step<'_>, group: &Arc<str>, member: &Arc<str>) {
        let kind = self.groups.get(group).map(|group| &group.kind);
        let Some(Kind::Classic(classic)) = kind else { return };
        if let Some(known) = classic.members.get(member) {
            let at = step.now() + known.session_timeout;
            self.deadlines.set(Timer::Session(group.clone(), member.clone()), at);
        }
    }
}

fn offset_record(
    step: &Step<'_>,
    by: &Committer,
    asked: &CommittedPartition,
) -> Result<Record, ErrorCode> {
    let (topic_id, topic) = existing(step.ctx.image, &asked.topic, asked.partition)?;
    let metadata = asked.metadata.clone().unwrap_or_default();
    let limit = usize::try_from(step.ctx.config.offset_metadata_max_bytes);
    if limit.is_ok_and(|limit| metadata.len() > limit) {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    let value = OffsetValue {
        topic_id,
        offset: asked.offset,
        leader_epoch: asked.leader_epoch,
        metadata,
        timestamp: step.ctx.now.wall,
    };
    let (group, partition) = (by.group.clone(), asked.partition);
    Ok(Record::Offset { group, topic, partition, value: Some(value) })
}

/// The id and the name of a topic that has the partition.
pub(super) fn existing(
    image: &Image,
    topic: &TopicRef,
    partition: i32,
) -> Result<(TopicId, TopicName), ErrorCode> {
    let (id, unknown) = match topic {
        TopicRef::Name(name) => (image.names.get(name), ErrorCode::UnknownTopicOrPartition),
        TopicRef::Id(id) => (Some(id), ErrorCode::UnknownTopicId),
    };
    let (id, found) = id.and_then(|id| image.topics.get_key_value(id)).ok_or(unknown)?;
    let exists = usize::try_from(partition).is_ok_and(|index| index < found.partitions.len());
    if exists { Ok((*id, found.name.clone())) } else { Err(ErrorCode::UnknownTopicOrPartition) }
}
