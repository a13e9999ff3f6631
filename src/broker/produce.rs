//! Produce: append, and answer as soon as `acks` allows.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::metadata_api::resolve;
use crate::broker::transaction::{Claim, Verdicts};
use crate::broker::{Broker, context};
use crate::config::TimestampType;
use crate::coordinator::kind_of;
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{ConnId, CorrelationId, Offset, PartitionId, TopicRef};
use crate::log::Appended;
use crate::machine::{Effect, Effects};
use crate::message::produce::{
    Acks, ProducePartition, ProduceRequest, ProduceResponse, ProducedPartition,
};
use crate::message::{Records, Request, Response};
use crate::record::BatchHeader;
use crate::time::{Now, Timestamp};

impl Broker {
    pub(super) fn produce(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        shared: &Arc<Request>,
        request: &ProduceRequest,
        out: &mut Effects,
    ) {
        match self.claim(request) {
            Some(claim) => self.await_enrolment(now, client, shared, claim),
            None => self.append_all(now, client, request, &Verdicts::new(), out),
        }
    }

    /// The partitions where a transaction writes for the first time, as far as this broker knows:
    /// its coordinator must know of them first.
    fn claim(&self, request: &ProduceRequest) -> Option<Claim> {
        let transactional_id = request.transactional_id.as_ref()?;
        let mut claim = None;
        for partition in &request.partitions {
            let id = self.hosted(&partition.topic, partition.partition).ok();
            let batch = single(&partition.records).ok();
            let header = batch.and_then(|batch| BatchHeader::parse(batch).ok());
            let (Some(id), Some(header)) = (id, header) else { continue };
            let session = (header.producer_id, header.producer_epoch);
            if !header.is_transactional() || self.is_enrolled(id, session) {
                continue;
            }
            let claim = claim.get_or_insert_with(|| Claim {
                transactional_id: Arc::clone(transactional_id),
                session,
                version: request.version,
                partitions: BTreeSet::new(),
            });
            claim.partitions.insert(id);
        }
        claim
    }

    /// Appends what no verdict forbids, and answers when `acks` says so.
    pub(super) fn append_all(
        &mut self,
        now: Now,
        client: (ConnId, CorrelationId),
        request: &ProduceRequest,
        verdicts: &Verdicts,
        out: &mut Effects,
    ) {
        let mut answers = Vec::with_capacity(request.partitions.len());
        let mut waiting: Vec<(usize, PartitionId, Offset)> = Vec::new();
        for (index, partition) in request.partitions.iter().enumerate() {
            let (answer, required) = self.append(now, request.acks, partition, verdicts, out);
            if let Some((id, offset)) = required {
                waiting.push((index, id, offset));
            }
            answers.push(answer);
        }
        match request.acks {
            Acks::None => {
                // Nobody reads an answer: an error can only be told by hanging up.
                if answers.iter().any(|answer| !answer.error.is_ok()) {
                    out.push(Effect::Close { conn: client.0 });
                    self.hang_up(client.0);
                }
            }
            Acks::Leader | Acks::All if waiting.is_empty() => {
                let response = ProduceResponse { partitions: answers };
                Self::respond(client, Response::Produce(response), out);
            }
            Acks::Leader | Acks::All => {
                let deadline = now.mono + request.timeout;
                self.purgatory.park_produce(client, deadline, answers, &waiting);
            }
        }
    }

    /// Appends one partition's batch. With acks=all also the high watermark that its answer waits
    /// for.
    fn append(
        &mut self,
        now: Now,
        acks: Acks,
        partition: &ProducePartition,
        verdicts: &Verdicts,
        out: &mut Effects,
    ) -> (ProducedPartition, Option<(PartitionId, Offset)>) {
        let mut answer = ProducedPartition {
            topic: partition.topic.clone(),
            partition: partition.partition,
            error: ErrorCode::None,
            base_offset: Offset::NONE,
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset::NONE,
            current_leader: None,
        };
        let appended = self.append_batch(now, acks, partition, verdicts, out);
        let (id, appended) = match appended {
            Ok(appended) => appended,
            Err(error) => {
                answer.error = error;
                if error == ErrorCode::CorruptMessage {
                    out.note(Event::Sometimes(Mark::CorruptRefused));
                }
                if error == ErrorCode::NotLeaderOrFollower {
                    answer.current_leader =
                        self.known_leader(&partition.topic, partition.partition);
                }
                return (answer, None);
            }
        };
        if appended.duplicate {
            out.note(Event::Sometimes(Mark::DuplicateAnswered));
        }
        let ctx = context!(self, now);
        let replica = self.partitions.get(id).expect("it just appended");
        answer.base_offset = appended.base;
        answer.log_start_offset = replica.log().start_offset();
        answer.log_append_time = match replica.log().config().topic.message_timestamp_type {
            TimestampType::CreateTime => Timestamp::NONE,
            TimestampType::LogAppendTime => appended.timestamp,
        };
        let required = appended.last.next();
        match acks {
            Acks::None | Acks::Leader => (answer, None),
            Acks::All => match replica.acked(&ctx, required) {
                Some(result) => {
                    answer.error = result.err().unwrap_or_default();
                    (answer, None)
                }
                None => {
                    // What it keeps if nothing else comes in time.
                    answer.error = ErrorCode::RequestTimedOut;
                    (answer, Some((id, required)))
                }
            },
        }
    }

    fn append_batch(
        &mut self,
        now: Now,
        acks: Acks,
        partition: &ProducePartition,
        verdicts: &Verdicts,
        out: &mut Effects,
    ) -> Result<(PartitionId, Appended), ErrorCode> {
        let id = self.hosted(&partition.topic, partition.partition)?;
        let batch = single(&partition.records)?;
        if kind_of(self.metadata.image(), id).is_some() {
            return Err(ErrorCode::InvalidTopicException);
        }
        if let Some(error) = verdicts.get(&id).filter(|error| !error.is_ok()) {
            return Err(*error);
        }
        let ctx = context!(self, now);
        let replica = self.partitions.touch(id).expect("only what is hosted is found");
        let appended = replica.append(&ctx, acks, batch, out)?;
        Ok((id, appended))
    }

    /// The partition that a request means, if this broker hosts it.
    ///
    /// # Errors
    /// What the client is answered: unknown, or led elsewhere.
    pub(super) fn hosted(
        &self,
        topic: &TopicRef,
        partition: i32,
    ) -> Result<PartitionId, ErrorCode> {
        let image = self.metadata.image();
        let unknown = match topic {
            TopicRef::Id(_) => ErrorCode::UnknownTopicId,
            TopicRef::Name(_) => ErrorCode::UnknownTopicOrPartition,
        };
        let topic = resolve(image, topic).ok_or(unknown)?;
        let id = PartitionId { topic, partition };
        if self.partitions.get(id).is_some() {
            return Ok(id);
        }
        if !image.topics.contains_key(&topic) {
            return Err(unknown);
        }
        Err(match image.partition(id) {
            Some(_) => ErrorCode::NotLeaderOrFollower,
            None => ErrorCode::UnknownTopicOrPartition,
        })
    }
}

/// The one batch of a produced partition.
fn single(records: &Records) -> Result<&Bytes, ErrorCode> {
    match records.chunks() {
        [batch] => Ok(batch),
        [] | [_, _, ..] => Err(ErrorCode::InvalidRecord),
    }
}
