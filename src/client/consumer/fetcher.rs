//! Asks leaders for records, offsets and ends of epochs, and draws the consequences of their
//! answers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::consumer::Consumer;
use crate::client::consumer::buffer::Reading;
use crate::client::consumer::membership::Sent;
use crate::client::consumer::position::{Position, Question, Slot, State};
use crate::client::errors::{is_retriable, is_stale_metadata};
use crate::client::metadata::Leader;
use crate::config::{IsolationLevel, OffsetReset};
use crate::error::ErrorCode;
use crate::event::{Event, Mark, ResetNote};
use crate::ids::{CallId, LeaderEpoch, NodeId, Offset, TopicRef};
use crate::machine::Effects;
use crate::message::fetch::{FetchPartition, FetchRequest, FetchedPartition, Isolation};
use crate::message::offsets::{
    EpochEnd, EpochPartition, ListOffsetsPartition, ListOffsetsRequest, ListedOffset,
    OffsetForLeaderEpochRequest, OffsetSpec,
};
use crate::message::{Request, Response};
use crate::time::{Instant, earliest};

/// What a request asked, partition by partition in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Records {
        node: NodeId,
        of: Vec<(u64, Position)>,
    },
    Offsets(Vec<u64>),
    EpochEnds(Vec<(u64, Position)>),
    /// Who coordinates the group.
    Coordinator,
    /// Of the coordinator: a step of the membership.
    Member(Sent),
    Commit,
    /// Where slots go on.
    Committed(Vec<u64>),
    /// For the application.
    Lookup(CallId),
    Farewell,
}

/// What one broker is to be asked.
#[derive(Default)]
struct Questions {
    records: Vec<(usize, Position, LeaderEpoch)>,
    offsets: Vec<(usize, OffsetSpec, LeaderEpoch)>,
    epoch_ends: Vec<(usize, Position, LeaderEpoch)>,
}

impl Consumer {
    /// Asks whatever is missing; when to go on without an answer.
    pub(super) fn ask(&mut self, now: Instant, out: &mut Effects) -> Option<Instant> {
        let mut next = None;
        let mut nodes: BTreeMap<NodeId, Questions> = BTreeMap::new();
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let known = self.network.metadata.leader(&slot.topic, slot.partition);
            let id = self.network.metadata.topic(&slot.topic).map(|topic| topic.id);
            let (Some(leader), Some(id)) = (known, id) else {
                self.network.request_refresh();
                continue;
            };
            let mut question = self.slots[index].question(leader, id);
            if question == Some(Question::OtherTopic) {
                self.reset(index, ErrorCode::UnknownTopicId);
                question = self.slots[index].question(leader, id);
            }
            let Some(question) = question else { continue };
            if self.slots[index].not_before > now {
                next = earliest(next, Some(self.slots[index].not_before));
                continue;
            }
            let Leader { node, epoch } = leader;
            let asks = nodes.entry(node).or_default();
            match question {
                Question::Records(position) => asks.records.push((index, position, epoch)),
                Question::Offset(spec) => asks.offsets.push((index, spec, epoch)),
                Question::EpochEnd(position) => asks.epoch_ends.push((index, position, epoch)),
                Question::OtherTopic => panic!("a reset partition has no position"),
            }
        }
        for (node, mut questions) in nodes {
            if self.fetching.contains(&node) {
                questions.records.clear();
                if questions.offsets.is_empty() && questions.epoch_ends.is_empty() {
                    continue;
                }
            }
            if self.network.ready(now, node, out) {
                self.ask_node(now, node, &questions, out);
            } else {
                next = earliest(next, self.network.blocked_until(node));
            }
        }
        next
    }

    fn ask_node(&mut self, now: Instant, node: NodeId, questions: &Questions, out: &mut Effects) {
        if !questions.offsets.is_empty() {
            self.ask_offsets(now, node, &questions.offsets, out);
        }
        if !questions.epoch_ends.is_empty() {
            self.ask_epoch_ends(now, node, &questions.epoch_ends, out);
        }
        if !questions.records.is_empty() {
            self.ask_records(now, node, &questions.records, out);
        }
    }

    /// One question of one partition: what names it in the request, and what to remember.
    fn mark(&mut self, index: usize) -> (TopicRef, i32, u64) {
        let slot = &mut self.slots[index];
        slot.asked = true;
        (TopicRef::Name(slot.topic.clone()), slot.partition, slot.fence)
    }

    fn isolation(&self) -> Isolation {
        match self.setup.config.isolation_level {
            IsolationLevel::ReadUncommitted => Isolation::ReadUncommitted,
            IsolationLevel::ReadCommitted => Isolation::ReadCommitted,
        }
    }

    fn ask_records(
        &mut self,
        now: Instant,
        node: NodeId,
        questions: &[(usize, Position, LeaderEpoch)],
        out: &mut Effects,
    ) {
        let (mut partitions, mut of) = (Vec::new(), Vec::new());
        let max_bytes = self.setup.config.max_partition_fetch_bytes;
        for step in 0..questions.len() {
            // Others come first next time: a size limit may leave the last ones without records.
            let (index, position, epoch) = questions[(step + self.turn) % questions.len()];
            let (name, partition, fence) = self.mark(index);
            let topic = match self.network.metadata.topic(&self.slots[index].topic) {
                Some(topic) => topic.reference(&self.slots[index].topic),
                None => name,
            };
            of.push((fence, position));
            partitions.push(FetchPartition {
                topic,
                partition,
                current_leader_epoch: epoch,
                fetch_offset: position.offset,
                last_fetched_epoch: LeaderEpoch::NONE,
                log_start_offset: Offset::NONE,
                max_bytes,
            });
        }
        self.turn = self.turn.wrapping_add(1);
        self.fetching.insert(node);
        let config = &self.setup.config;
        let request = Request::Fetch(FetchRequest {
            replica: None,
            max_wait: config.fetch_max_wait,
            min_bytes: config.fetch_min_bytes,
            max_bytes: config.fetch_max_bytes,
            isolation: self.isolation(),
            partitions,
        });
        self.network.send(now, node, request, Asked::Records { node, of }, out);
    }

    fn ask_offsets(
        &mut self,
        now: Instant,
        node: NodeId,
        questions: &[(usize, OffsetSpec, LeaderEpoch)],
        out: &mut Effects,
    ) {
        let (mut partitions, mut of) = (Vec::new(), Vec::new());
        for &(index, spec, current_leader_epoch) in questions {
            let (topic, partition, fence) = self.mark(index);
            of.push(fence);
            self.note_reset(index, spec, Offset::NONE, out);
            partitions.push(ListOffsetsPartition { topic, partition, current_leader_epoch, spec });
        }
        let isolation = self.isolation();
        let request = Request::ListOffsets(ListOffsetsRequest { isolation, partitions });
        self.network.send(now, node, request, Asked::Offsets(of), out);
    }

    fn ask_epoch_ends(
        &mut self,
        now: Instant,
        node: NodeId,
        questions: &[(usize, Position, LeaderEpoch)],
        out: &mut Effects,
    ) {
        let (mut partitions, mut of) = (Vec::new(), Vec::new());
        for &(index, position, current_leader_epoch) in questions {
            let (topic, partition, fence) = self.mark(index);
            of.push((fence, Position { validated: current_leader_epoch, ..position }));
            let leader_epoch = position.epoch;
            partitions.push(EpochPartition {
                topic,
                partition,
                current_leader_epoch,
                leader_epoch,
            });
        }
        let request = Request::OffsetForLeaderEpoch(OffsetForLeaderEpochRequest {
            replica: None,
            partitions,
        });
        self.network.send(now, node, request, Asked::EpochEnds(of), out);
    }

    pub(super) fn answered(
        &mut self,
        now: Instant,
        node: NodeId,
        asked: Asked,
        response: &Response,
        out: &mut Effects,
    ) {
        let of = asked.fences();
        if let (Asked::Records { node, of }, Response::Fetch(response)) = (&asked, response)
            && response.error.is_ok()
        {
            self.fetching.remove(node);
            for ((fence, position), answer) in of.iter().zip(&response.partitions) {
                self.fetched(now, *fence, *position, answer, out);
            }
        } else if let (Asked::Offsets(of), Response::ListOffsets(response)) = (&asked, response) {
            for (fence, answer) in of.iter().zip(&response.partitions) {
                self.listed(now, *fence, answer, out);
            }
        } else if let (Asked::EpochEnds(of), Response::OffsetForLeaderEpoch(response)) =
            (&asked, response)
        {
            for ((fence, position), answer) in of.iter().zip(&response.partitions) {
                self.validated(now, *fence, *position, answer, out);
            }
        } else if asked.is_coordinators() {
            self.coordinated(now, node, &asked, response, out);
        } else {
            self.unanswered(now, [asked].into());
        }
        // What a short answer left out was not answered.
        for fence in of {
            if let Some(index) = self.slot(fence).filter(|index| self.slots[*index].asked) {
                self.failed(now, index, ErrorCode::NetworkException);
            }
        }
    }

    /// Requests whose connection broke, that were not answered in time, or answered with garbage.
    pub(super) fn unanswered(&mut self, now: Instant, requests: Vec<Asked>) {
        for asked in requests {
            if let Asked::Records { node, .. } = &asked {
                self.fetching.remove(node);
            }
            self.not_coordinated(now, &asked);
            for fence in asked.fences() {
                if let Some(index) = self.slot(fence) {
                    self.failed(now, index, ErrorCode::NetworkException);
                }
            }
        }
    }

    fn slot(&self, fence: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.fence == fence)
    }

    /// The slot that a question was about, unless it went elsewhere meanwhile.
    pub(super) fn answered_slot(&mut self, fence: u64) -> Option<usize> {
        let index = self.slot(fence)?;
        self.slots[index].asked = false;
        Some(index)
    }

    /// A question was not answered, or with an error: asks again later, or gives up.
    pub(super) fn failed(&mut self, now: Instant, index: usize, error: ErrorCode) {
        if is_stale_metadata(error) {
            self.network.request_refresh();
        }
        let failures = self.slots[index].failures;
        let wait = self.backoff().after(failures, &mut self.rng);
        let slot = &mut self.slots[index];
        slot.asked = false;
        if is_retriable(error) || error == ErrorCode::UnknownServerError {
            slot.failures = failures.saturating_add(1);
            slot.not_before = now + wait;
        } else {
            slot.state = State::Failed(error);
        }
    }

    fn fetched(
        &mut self,
        now: Instant,
        fence: u64,
        asked: Position,
        answer: &FetchedPartition,
        out: &mut Effects,
    ) {
        let Some(index) = self.answered_slot(fence) else { return };
        let reading = Reading {
            isolation: self.isolation(),
            check_crcs: self.setup.config.check_crcs,
            defects: self.setup.defects,
        };
        let slot = &mut self.slots[index];
        if slot.position() != Some(asked) || slot.partition != answer.partition {
            return;
        }
        if answer.error == ErrorCode::OffsetOutOfRange {
            out.note(Event::Sometimes(Mark::ConsumerReset));
            return self.reset(index, ErrorCode::OffsetOutOfRange);
        }
        if !answer.error.is_ok() {
            return self.redirected(now, index, answer);
        }
        let filled =
            slot.buffer.fill(asked.offset, answer.records.chunks(), &answer.aborted, reading);
        slot.failures = 0;
        if let Some(reached) = slot.buffer.skip_hidden() {
            slot.reached(reached);
        }
        if filled.is_err() {
            // A bit that flipped on the way is whole next time; one on the disk needs another
            // leader.
            self.failed(now, index, ErrorCode::CorruptMessage);
        }
    }

    /// A broker that does not lead: KIP-951 tells who does.
    fn redirected(&mut self, now: Instant, index: usize, answer: &FetchedPartition) {
        let Slot { topic, partition, .. } = &self.slots[index];
        let news = answer.current_leader.is_some_and(|(node, epoch)| {
            self.network.metadata.hint(topic, *partition, node, epoch)
        });
        self.failed(now, index, answer.error);
        if news {
            self.slots[index].not_before = now;
        }
    }

    fn listed(&mut self, now: Instant, fence: u64, answer: &ListedOffset, out: &mut Effects) {
        let Some(index) = self.answered_slot(fence) else { return };
        if !answer.error.is_ok() {
            return self.failed(now, index, answer.error);
        }
        let slot = &mut self.slots[index];
        let State::Reset(spec) = slot.state else { return };
        slot.failures = 0;
        if answer.offset == Offset::NONE {
            // No record is that young: what comes next is.
            slot.state = State::Reset(OffsetSpec::Latest);
            return;
        }
        if let OffsetSpec::At(time) = spec {
            slot.not_older_than = Some(time);
        }
        let (offset, epoch) = (answer.offset, answer.leader_epoch);
        self.note_reset(index, spec, offset, out);
        self.slots[index].state =
            State::At(Position { epoch, validated: epoch, ..Position::at(offset) });
    }

    /// For checkers: where a consumer begins that has no place.
    fn note_reset(&self, index: usize, spec: OffsetSpec, offset: Offset, out: &mut Effects) {
        let to = match spec {
            OffsetSpec::Earliest => OffsetReset::Earliest,
            OffsetSpec::Latest => OffsetReset::Latest,
            OffsetSpec::MaxTimestamp | OffsetSpec::At(_) => return,
        };
        let Slot { topic, partition, .. } = &self.slots[index];
        let (topic, partition) = (topic.clone(), *partition);
        out.note(Event::Reset(Arc::new(ResetNote { topic, partition, to, offset })));
    }

    /// KIP-320: the new leader's log may end before what was read, or go on differently.
    fn validated(
        &mut self,
        now: Instant,
        fence: u64,
        asked: Position,
        answer: &EpochEnd,
        out: &mut Effects,
    ) {
        let Some(index) = self.answered_slot(fence) else { return };
        if !answer.error.is_ok() {
            return self.failed(now, index, answer.error);
        }
        let slot = &mut self.slots[index];
        let Some(position) = slot.position().filter(|at| at.offset == asked.offset) else { return };
        slot.failures = 0;
        if answer.end_offset == Offset::NONE || answer.leader_epoch == LeaderEpoch::NONE {
            return self.reset(index, ErrorCode::OffsetOutOfRange);
        }
        let diverges = answer.leader_epoch < position.epoch || answer.end_offset < position.offset;
        let validated = asked.validated;
        if diverges {
            out.note(Event::Sometimes(Mark::ConsumerTruncated));
        }
        slot.state = if !diverges {
            State::At(Position { validated, ..position })
        } else if self.setup.config.auto_offset_reset == OffsetReset::None {
            State::Failed(ErrorCode::OffsetOutOfRange)
        } else {
            let offset = answer.end_offset.min(position.offset);
            State::At(Position { offset, epoch: answer.leader_epoch, validated, ..position })
        };
    }

    /// The position is not on the leader's log: `auto.offset.reset` says where to go.
    fn reset(&mut self, index: usize, error: ErrorCode) {
        let fence = self.next_fence();
        let state = self.initial_state(error);
        self.slots[index].move_to(fence, state);
    }

    pub(super) fn initial_state(&self, error: ErrorCode) -> State {
        match self.setup.config.auto_offset_reset {
            OffsetReset::Earliest => State::Reset(OffsetSpec::Earliest),
            OffsetReset::Latest => State::Reset(OffsetSpec::Latest),
            OffsetReset::None => State::Failed(error),
        }
    }
}

impl Asked {
    fn fences(&self) -> Vec<u64> {
        match self {
            Asked::Offsets(of) | Asked::Committed(of) => of.clone(),
            Asked::Coordinator
            | Asked::Member(_)
            | Asked::Commit
            | Asked::Lookup(_)
            | Asked::Farewell => Vec::new(),
            Asked::Records { node: _, of } | Asked::EpochEnds(of) => {
                of.iter().map(|(fence, _)| *fence).collect()
            }
        }
    }

    /// Whether the answer is about the group.
    fn is_coordinators(&self) -> bool {
        match self {
            Asked::Records { .. } | Asked::Offsets(_) | Asked::EpochEnds(_) => false,
            Asked::Coordinator
            | Asked::Member(_)
            | Asked::Commit
            | Asked::Committed(_)
            | Asked::Lookup(_)
            | Asked::Farewell => true,
        }
    }
}
