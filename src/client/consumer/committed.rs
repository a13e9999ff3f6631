//! What a group has committed: where newly assigned partitions go on, and answers to
//! [`crate::op::Op::Committed`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::consumer::Consumer;
use crate::client::consumer::assignor::Partition;
use crate::client::consumer::fetcher::Asked;
use crate::client::consumer::position::{self, State};
use crate::client::errors::is_retriable;
use crate::error::ErrorCode;
use crate::ids::{CallId, LeaderEpoch, NodeId, Offset, TopicRef};
use crate::machine::{Effect, Effects};
use crate::message::commit::{
    FetchedOffset, OffsetFetchGroup, OffsetFetchRequest, OffsetFetchResponse,
};
use crate::message::{Request, Response};
use crate::op::{Outcome, Position};
use crate::time::{Instant, earliest};

/// A question of the application.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub call: CallId,
    pub partitions: Vec<Partition>,
    pub until: Instant,
    pub in_flight: bool,
    pub not_before: Instant,
    pub failures: u32,
}

impl Consumer {
    /// [`crate::op::Op::Committed`].
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        call: CallId,
        partitions: &[Partition],
    ) -> Result<(), ErrorCode> {
        let until = now + self.setup.config.api_timeout;
        let group = self.group.as_mut().ok_or(ErrorCode::InvalidGroupId)?;
        let (partitions, not_before) = (partitions.to_vec(), now);
        let lookup = Lookup { call, partitions, until, in_flight: false, not_before, failures: 0 };
        group.lookups.push(lookup);
        Ok(())
    }

    /// Slots that wait for what is committed, and may ask.
    fn uncommitted(&self, now: Instant) -> Vec<usize> {
        let waits = |index: &usize| {
            let slot = &self.slots[*index];
            slot.state == State::Committed && !slot.asked && slot.not_before <= now
        };
        (0..self.slots.len()).filter(waits).collect()
    }

    /// Whether something has to be asked now. Gives up questions whose time is up.
    pub(super) fn wants_committed(&mut self, now: Instant, out: &mut Effects) -> bool {
        let waits = !self.uncommitted(now).is_empty();
        let Some(group) = &mut self.group else { return false };
        for late in group.lookups.extract_if(.., |lookup| lookup.until <= now) {
            let outcome = Outcome::Failed(ErrorCode::RequestTimedOut);
            out.push(Effect::Return { call: late.call, outcome });
        }
        let ready = |lookup: &Lookup| !lookup.in_flight && lookup.not_before <= now;
        waits || group.lookups.iter().any(ready)
    }

    /// When something has to be asked that cannot be asked now.
    pub(super) fn committed_deadline(&self) -> Option<Instant> {
        let slots = self.slots.iter().filter(|slot| slot.state == State::Committed && !slot.asked);
        let slots = slots.map(|slot| slot.not_before).min();
        let lookups = self.group.iter().flat_map(|group| &group.lookups);
        let lookups = lookups.map(|lookup| {
            if lookup.in_flight { lookup.until } else { lookup.until.min(lookup.not_before) }
        });
        earliest(slots, lookups.min())
    }

    pub(super) fn ask_committed(&mut self, now: Instant, node: NodeId, out: &mut Effects) {
        let waiting = self.uncommitted(now);
        if !waiting.is_empty() {
            let (mut partitions, mut of) = (Vec::new(), Vec::new());
            for index in waiting {
                let slot = &mut self.slots[index];
                slot.asked = true;
                partitions.push((slot.topic.clone(), slot.partition));
                of.push(slot.fence);
            }
            let request = self.offset_fetch(&partitions);
            self.network.send(now, node, request, Asked::Committed(of), out);
        }
        let Some(group) = &mut self.group else { return };
        let mut asked = Vec::new();
        for lookup in &mut group.lookups {
            if !lookup.in_flight && lookup.not_before <= now {
                lookup.in_flight = true;
                asked.push((lookup.call, lookup.partitions.clone()));
            }
        }
        for (call, partitions) in asked {
            let request = self.offset_fetch(&partitions);
            self.network.send(now, node, request, Asked::Lookup(call), out);
        }
    }

    fn offset_fetch(&self, partitions: &[Partition]) -> Request {
        let group = self.group.as_ref().expect("a group has offsets");
        let partitions =
            partitions.iter().map(|(topic, partition)| (TopicRef::Name(topic.clone()), *partition));
        Request::OffsetFetch(OffsetFetchRequest {
            groups: [OffsetFetchGroup {
                group: group.id.clone(),
                member: group.membership.as_ref().and_then(|membership| membership.fetches_as()),
                partitions: Some(partitions.collect()),
            }]
            .into(),
            // KIP-447: a transaction of whoever had the partition may be about to commit.
            require_stable: true,
        })
    }

    /// Takes the offsets from which slots go on.
    pub(super) fn found_committed(&mut self, now: Instant, of: &[u64], response: &Response) {
        let answer = offsets(response);
        for (place, fence) in of.iter().enumerate() {
            let Some(index) = self.answered_slot(*fence) else { continue };
            let slot = &self.slots[index];
            let is_it = |found: &&FetchedOffset| {
                found.partition == slot.partition
                    && matches!(&found.topic, TopicRef::Name(name) if *name == slot.topic)
            };
            let found = match &answer {
                Ok(offsets) => offsets.get(place).filter(is_it).ok_or(ErrorCode::NetworkException),
                Err(error) => Err(*error),
            };
            match found {
                Ok(found) if found.error.is_ok() => self.start_at(index, found),
                Ok(found) => self.not_committed(now, index, found.error),
                Err(error) => self.not_committed(now, index, error),
            }
        }
    }

    fn start_at(&mut self, index: usize, found: &FetchedOffset) {
        let state = if found.offset == Offset::NONE {
            self.initial_state(ErrorCode::OffsetOutOfRange)
        } else {
            let (offset, epoch) = (found.offset, found.leader_epoch);
            State::At(position::Position { epoch, ..position::Position::at(offset) })
        };
        let slot = &mut self.slots[index];
        slot.failures = 0;
        slot.not_before = Instant::ZERO;
        slot.state = state;
    }

    fn not_committed(&mut self, now: Instant, index: usize, error: ErrorCode) {
        // Heartbeats tell what has become of the member; until then it has no offsets.
        let between = matches!(
            error,
            ErrorCode::StaleMemberEpoch
                | ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::FencedInstanceId
        );
        let error = if between { ErrorCode::CoordinatorNotAvailable } else { error };
        self.failed(now, index, error);
    }

    /// Takes the answer to a question of the application.
    pub(super) fn looked_up(
        &mut self,
        now: Instant,
        call: CallId,
        response: &Response,
        out: &mut Effects,
    ) {
        let Some(group) = &mut self.group else { return };
        let Some(place) = group.lookups.iter().position(|lookup| lookup.call == call) else {
            return;
        };
        let answer = offsets(response).and_then(|offsets| {
            let partitions = group.lookups[place].partitions.iter();
            partitions.map(|partition| committed_position(offsets, partition)).collect()
        });
        let outcome = match answer {
            Ok(positions) => {
                let positions: Vec<Position> = positions;
                Outcome::Committed(Arc::from(positions))
            }
            Err(error) if is_retriable(error) => return self.look_up_later(now, call),
            Err(error) => Outcome::Failed(error),
        };
        group.lookups.remove(place);
        out.push(Effect::Return { call, outcome });
    }

    pub(super) fn look_up_later(&mut self, now: Instant, call: CallId) {
        let backoff = self.backoff();
        let Some(group) = &mut self.group else { return };
        let Some(lookup) = group.lookups.iter_mut().find(|lookup| lookup.call == call) else {
            return;
        };
        lookup.in_flight = false;
        lookup.not_before = now + backoff.after(lookup.failures, &mut self.rng);
        lookup.failures = lookup.failures.saturating_add(1);
    }
}

/// The offsets of an answer about one group.
pub(super) fn offsets(response: &Response) -> Result<&[FetchedOffset], ErrorCode> {
    let Response::OffsetFetch(OffsetFetchResponse { groups }) = response else {
        return Err(ErrorCode::NetworkException);
    };
    let group = groups.first().ok_or(ErrorCode::NetworkException)?;
    if group.error.is_ok() { Ok(&group.partitions) } else { Err(group.error) }
}

fn committed_position(
    offsets: &[FetchedOffset],
    partition: &Partition,
) -> Result<Position, ErrorCode> {
    let is_it = |found: &&FetchedOffset| {
        found.partition == partition.1
            && matches!(&found.topic, TopicRef::Name(name) if *name == partition.0)
    };
    let found = offsets.iter().find(is_it).ok_or(ErrorCode::NetworkException)?;
    if !found.error.is_ok() {
        return Err(found.error);
    }
    let nothing = found.offset == Offset::NONE;
    Ok(Position {
        topic: partition.0.clone(),
        partition: partition.1,
        offset: found.offset,
        leader_epoch: if nothing { LeaderEpoch::NONE } else { found.leader_epoch },
        metadata: found.metadata.clone().filter(|_| !nothing),
    })
}
