//! Appends, and answers that wait for what they rest on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::deadlines::Timer;
use super::groups::Kind;
use super::record::Record;
use super::waiting::Waiting;
use super::{Author, GroupCoordinator, Step};
use crate::coordinator::Requester;
use crate::defect::Defects;
use crate::error::ErrorCode;
use crate::event::{Event, GroupNote, OffsetNote};
use crate::ids::{Offset, ProducerEpoch, ProducerId, TopicId};
use crate::machine::{Effect, Effects};
use crate::message::group::{JoinGroupResponse, SyncGroupResponse};
use crate::message::{Request, Response, refusal};
use crate::metadata::Image;
use crate::record::Builder;

/// A producer in one of its sessions.
pub(super) type Producer = (ProducerId, ProducerEpoch);

impl Step<'_> {
    pub(super) fn respond(&mut self, (to, correlation): Requester, response: Arc<Response>) {
        self.out.push(Effect::Respond { to, correlation, response });
    }

    pub(super) fn answer(&mut self, to: Requester, response: Response) {
        self.respond(to, Arc::new(response));
    }

    pub(super) fn refuse(&mut self, to: Requester, request: &Request, error: ErrorCode) {
        self.answer(to, refused(request, error));
    }
}

fn refused(request: &Request, error: ErrorCode) -> Response {
    refusal::coordinated(request, error).expect("what a coordinator serves, it can refuse")
}

/// What somebody is answered whose records the log refused (Kafka's
/// `CoordinatorOperationExceptionHelper`).
const fn refusal_of_log(error: ErrorCode) -> ErrorCode {
    if matches!(
        error,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::RequestTimedOut
    ) {
        ErrorCode::CoordinatorNotAvailable
    } else if matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError) {
        ErrorCode::NotCoordinator
    } else if matches!(
        error,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize
    ) {
        ErrorCode::UnknownServerError
    } else {
        error
    }
}

/// A refused JoinGroup.
pub(super) fn join_error(member: Arc<str>, error: ErrorCode) -> Response {
    Response::JoinGroup(JoinGroupResponse {
        error,
        generation: -1,
        protocol_type: None,
        protocol: None,
        leader: Arc::default(),
        skip_assignment: false,
        member,
        members: Vec::new(),
    })
}

/// A refused SyncGroup.
pub(super) fn sync_error(error: ErrorCode) -> Response {
    Response::SyncGroup(SyncGroupResponse {
        error,
        protocol_type: None,
        protocol: None,
        assignment: bytes::Bytes::new(),
    })
}

impl GroupCoordinator {
    /// Appends records as one batch, of a transaction if there is a producer, and applies them.
    /// Gives their end.
    ///
    /// # Errors
    /// What to answer: the log has refused, and nothing has changed.
    pub(super) fn append(
        &mut self,
        step: &mut Step<'_>,
        author: &Author,
        producer: Option<Producer>,
        records: Vec<Record>,
    ) -> Result<Offset, ErrorCode> {
        let mut builder = Builder::new();
        if let Some((id, epoch)) = producer {
            builder = builder.producer(id, epoch, -1).transactional();
        }
        for record in &records {
            let (key, value) = record.encode();
            builder.append(step.ctx.now.wall, Some(&key), value.as_deref());
        }
        let last = step.journal.append(&builder.build(), step.out).map_err(refusal_of_log)?;
        let count = i64::try_from(records.len()).expect("a batch is small");
        let base = last + (1 - count);
        assert!(base >= self.end, "the log's end is behind all that was decided");
        self.end = last.next();
        let mut changed: Vec<Arc<str>> = Vec::new();
        for (index, record) in (0..count).zip(records) {
            if matches!(record, Record::Consumer { .. }) && !changed.contains(record.group()) {
                changed.push(record.group().clone());
            }
            self.take_in((author, producer), record, base + index, step.ctx.defects);
        }
        for name in changed {
            self.note_group(&name, step.ctx.image);
        }
        Ok(self.end)
    }

    /// Applies a record that was just appended at `at`.
    fn take_in(
        &mut self,
        (author, producer): (&Author, Option<Producer>),
        record: Record,
        at: Offset,
        defects: Defects,
    ) {
        if let Record::Offset { group, topic, partition, value } = &record {
            if let Some((id, _)) = producer {
                Arc::make_mut(&mut self.stagers).insert((id, group.clone()), author.clone());
            } else {
                let note = OffsetNote {
                    group: group.clone(),
                    topic: topic.clone(),
                    topic_id: value.as_ref().map_or(TopicId::ZERO, |value| value.topic_id),
                    partition: *partition,
                    offset: value.as_ref().map_or(Offset::NONE, |value| value.offset),
                    member: author.member.clone(),
                    generation: author.generation,
                    producer: None,
                    shard: self.shard,
                    at,
                    coordinator_epoch: self.epoch,
                };
                let note = Waiting::Note(Event::OffsetCommitted(Arc::new(note)));
                self.waiting.push(self.end, note);
            }
        }
        // How a classic group's round goes is known here better than from its record.
        if let Record::Classic { group, value: Some(_) } = &record {
            if let Some(group) = self.groups.get_mut(group) {
                group.end = at.next();
            }
        } else {
            self.groups.apply(record, at, producer.map(|(id, _)| id), defects);
        }
    }

    /// A producer's transaction ended by the marker at `at`.
    pub(super) fn end_transaction(
        &mut self,
        step: &mut Step<'_>,
        producer: Producer,
        commit: bool,
        at: Offset,
    ) {
        let applied = self.groups.end_transaction(producer.0, commit, at, step.ctx.defects);
        for (group, (topic, partition), commit) in applied {
            let author = self.stagers.get(&(producer.0, group.clone()));
            let author = author.cloned().unwrap_or_else(Author::nobody);
            let note = OffsetNote {
                group,
                topic,
                topic_id: commit.topic_id,
                partition,
                offset: commit.offset,
                member: author.member,
                generation: author.generation,
                producer: Some(producer),
                shard: self.shard,
                at: commit.at,
                coordinator_epoch: self.epoch,
            };
            self.waiting.push(self.end, Waiting::Note(Event::OffsetCommitted(Arc::new(note))));
        }
        if self.stagers.keys().any(|(id, _)| *id == producer.0) {
            Arc::make_mut(&mut self.stagers).retain(|(id, _), _| *id != producer.0);
        }
    }

    /// The end of what an answer about a group rests on.
    pub(super) fn end_of(&self, name: &str) -> Offset {
        // A group that is not there may just have been removed.
        self.groups.get(name).map_or(self.end, |group| group.end)
    }

    /// Answers when everything below `end` is committed.
    pub(super) fn answer_at(
        &mut self,
        step: &mut Step<'_>,
        end: Offset,
        (to, request): (Requester, &Arc<Request>),
        response: Response,
    ) {
        if end <= self.high_watermark {
            step.answer(to, response);
            return;
        }
        let (request, response) = (Arc::clone(request), Arc::new(response));
        let number = self.waiting.push(end, Waiting::Answer { to, request, response });
        self.bound_write(step, end, number);
    }

    /// What waits shall not wait longer than `offsets.commit.timeout.ms`.
    pub(super) fn bound_write(&mut self, step: &Step<'_>, end: Offset, number: u64) {
        let at = step.now() + step.ctx.config.offsets_commit_timeout;
        self.deadlines.set(Timer::Write(end, number), at);
    }

    /// The log did not commit in time. It may still do, or not.
    pub(super) fn write_timed_out(&mut self, step: &mut Step<'_>, end: Offset, number: u64) {
        match self.waiting.remove(end, number) {
            Some(Waiting::Answer { to, request, .. }) => {
                step.refuse(to, &request, refusal_of_log(ErrorCode::RequestTimedOut));
            }
            Some(Waiting::Assigned { group, generation, .. }) => {
                let error = refusal_of_log(ErrorCode::RequestTimedOut);
                self.not_assigned(step, &group, generation, error);
            }
            Some(Waiting::Note(_)) | None => panic!("only what somebody waits for has a bound"),
        }
    }

    /// What a group is now, for checkers; none of groups that never had members.
    pub(super) fn group_note(&self, name: &Arc<str>, image: &Image) -> Option<Event> {
        let group = self.groups.get(name)?;
        let (generation, members) = match &group.kind {
            Kind::Classic(classic) => (classic.generation, classic.notes()),
            Kind::Consumer(consumer) => (consumer.epoch, consumer.notes(image)),
        };
        if generation == 0 {
            return None;
        }
        let note = GroupNote {
            group: name.clone(),
            generation,
            shard: self.shard,
            coordinator_epoch: self.epoch,
            members: members.into(),
        };
        Some(Event::Group(Arc::new(note)))
    }

    /// Notes what a group is now, once that is committed.
    pub(super) fn note_group(&mut self, name: &Arc<str>, image: &Image) {
        if let Some(note) = self.group_note(name, image) {
            self.waiting.push(self.end, Waiting::Note(note));
        }
    }

    /// Refuses everybody who waits.
    pub(super) fn refuse_all(self, out: &mut Effects, error: ErrorCode) {
        let mut refuse = |(to, correlation), response| {
            out.push(Effect::Respond { to, correlation, response: Arc::new(response) });
        };
        for waiting in self.waiting.into_entries() {
            match waiting {
                Waiting::Answer { to, request, .. } => refuse(to, refused(&request, error)),
                Waiting::Assigned { .. } | Waiting::Note(_) => {}
            }
        }
        for (_, group) in self.groups.iter() {
            match &group.kind {
                Kind::Classic(classic) => {
                    for (id, member) in &classic.members {
                        if let Some(to) = member.joining {
                            refuse(to, join_error(id.clone(), error));
                        }
                        if let Some(to) = member.syncing {
                            refuse(to, sync_error(error));
                        }
                    }
                }
                // Its members are answered at once, or by the log.
                Kind::Consumer(_) => {}
            }
        }
    }
}

impl Author {
    pub(super) fn nobody() -> Self {
        Author { member: Arc::default(), generation: -1 }
    }
}
