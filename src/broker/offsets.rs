//! OffsetForLeaderEpoch and DeleteRecords.

use alloc::vec::Vec;

use crate::broker::{Broker, context};
use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, Offset, PartitionId};
use crate::machine::Effects;
use crate::message::Response;
use crate::message::offsets::{
    DeleteRecordsRequest, DeleteRecordsResponse, DeletedRecords, EpochEnd,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use crate::time::{Instant, Now, earliest};

/// A deletion that is done here and waits until every live replica has followed.
#[derive(Clone, Debug)]
pub(super) struct DelayedDeletion {
    to: ConnId,
    correlation: CorrelationId,
    deadline: Instant,
    /// In the order of the request. What still waits carries REQUEST_TIMED_OUT already.
    partitions: Vec<DeletedRecords>,
    /// Index, partition, and the low watermark that it must reach.
    waiting: Vec<(usize, PartitionId, Offset)>,
}

impl Broker {
    pub(super) fn epoch_ends(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &OffsetForLeaderEpochRequest,
        out: &mut Effects,
    ) {
        let ctx = context!(self, now);
        let partitions = request.partitions.iter();
        let partitions = partitions
            .map(|ask| match self.hosted(&ask.topic, ask.partition) {
                Ok(id) => {
                    let replica = self.partitions.get(id).expect("only what is hosted is found");
                    replica.epoch_end(&ctx, ask)
                }
                Err(error) => EpochEnd {
                    topic: ask.topic.clone(),
                    partition: ask.partition,
                    error,
                    leader_epoch: LeaderEpoch::NONE,
                    end_offset: Offset::NONE,
                },
            })
            .collect();
        let response = OffsetForLeaderEpochResponse { partitions };
        Self::respond(client, Response::OffsetForLeaderEpoch(response), out);
    }

    pub(super) fn delete_records(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &DeleteRecordsRequest,
        out: &mut Effects,
    ) {
        let mut partitions = Vec::with_capacity(request.partitions.len());
        let mut waiting = Vec::new();
        for (index, ask) in request.partitions.iter().enumerate() {
            let deleted = self.hosted(&ask.topic, ask.partition).and_then(|id| {
                let replica = self.partitions.touch(id).expect("only what is hosted is found");
                Ok((id, replica.delete_records(ask.before, out)?))
            });
            let error = match deleted {
                Ok((id, before)) => {
                    waiting.push((index, id, before));
                    ErrorCode::RequestTimedOut
                }
                Err(error) => error,
            };
            partitions.push(DeletedRecords {
                topic: ask.topic.clone(),
                partition: ask.partition,
                error,
                low_watermark: Offset::NONE,
            });
        }
        let (to, correlation) = client;
        let deadline = now.mono + request.timeout;
        let deletion = DelayedDeletion { to, correlation, deadline, partitions, waiting };
        self.deletions.push(deletion);
        self.finish_deletions(now, None, out);
    }

    /// A partition's low watermark or leadership moved.
    pub(super) fn complete_deletions(&mut self, now: Now, id: PartitionId, out: &mut Effects) {
        if !self.deletions.is_empty() {
            self.finish_deletions(now, Some(id), out);
        }
    }

    /// Looks at deletions again, those of one partition or all; answers what is done.
    fn finish_deletions(&mut self, now: Now, only: Option<PartitionId>, out: &mut Effects) {
        let ctx = context!(self, now);
        let partitions = &self.partitions;
        for deletion in &mut self.deletions {
            let answers = &mut deletion.partitions;
            deletion.waiting.retain(|(index, id, before)| {
                if only.is_some_and(|only| only != *id) {
                    return true;
                }
                let answer = &mut answers[*index];
                let low = partitions.get(*id).and_then(|replica| replica.low_watermark(&ctx));
                match low {
                    None => answer.error = ErrorCode::NotLeaderOrFollower,
                    Some(low) if low >= *before => {
                        answer.error = ErrorCode::None;
                        answer.low_watermark = low;
                    }
                    Some(_) => return true,
                }
                false
            });
        }
        self.answer_deletions(|deletion| deletion.waiting.is_empty(), out);
    }

    pub(super) fn expire_deletions(&mut self, now: Now, out: &mut Effects) {
        self.answer_deletions(|deletion| deletion.deadline <= now.mono, out);
    }

    fn answer_deletions(&mut self, done: impl Fn(&DelayedDeletion) -> bool, out: &mut Effects) {
        for deletion in self.deletions.extract_if(.., |deletion| done(deletion)) {
            let response = DeleteRecordsResponse { partitions: deletion.partitions };
            let client = (deletion.to, deletion.correlation);
            Self::respond(client, Response::DeleteRecords(response), out);
        }
    }

    pub(super) fn deletions_deadline(&self) -> Option<Instant> {
        self.deletions.iter().fold(None, |first, each| earliest(first, Some(each.deadline)))
    }

    pub(super) fn forget_deletions(&mut self, conn: ConnId) {
        self.deletions.retain(|deletion| deletion.to != conn);
    }
}
