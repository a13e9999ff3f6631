//! Commits on their way to the coordinator: one at a time and in order, so that no older one comes
//! after a newer one.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::consumer::assignor::Partition;
use crate::client::consumer::fetcher::Asked;
use crate::client::consumer::position::Slot;
use crate::client::consumer::{Consumer, Group};
use crate::client::errors::is_retriable;
use crate::error::ErrorCode;
use crate::ids::{CallId, NodeId, TopicRef};
use crate::machine::{Effect, Effects};
use crate::message::commit::{
    CommittedPartition, Committer, OffsetCommitRequest, OffsetCommitResponse,
};
use crate::message::{Request, Response};
use crate::op::{GroupMetadata, Outcome, Position};
use crate::time::Instant;

#[derive(Clone, Debug)]
pub(crate) struct Commit {
    /// None: the consumer's own.
    call: Option<CallId>,
    /// What is not committed yet.
    pub positions: Vec<Position>,
    /// [`super::membership::holding::Holding::losses`] when it was called for: it does not speak
    /// for a later membership.
    losses: u64,
    until: Instant,
    in_flight: bool,
    /// An attempt may have had its effect.
    doubt: bool,
    /// Whom the last attempt named.
    by: Option<GroupMetadata>,
    not_before: Instant,
    failures: u32,
}

impl Consumer {
    /// All that the application has polled.
    pub(super) fn polled_positions(&self) -> Vec<Position> {
        let position = |slot: &Slot| {
            let at = slot.position()?;
            Some(Position {
                topic: slot.topic.clone(),
                partition: slot.partition,
                offset: at.offset,
                leader_epoch: at.epoch,
                metadata: None,
            })
        };
        self.slots.iter().filter_map(position).collect()
    }

    /// [`crate::op::Op::Commit`]. False: there is nothing to commit.
    pub(super) fn commit_called(
        &mut self,
        now: Instant,
        call: CallId,
        positions: Option<&[Position]>,
    ) -> Result<bool, ErrorCode> {
        let positions = positions.map_or_else(|| self.polled_positions(), <[Position]>::to_vec);
        if positions.is_empty() && self.group.is_some() {
            return Ok(false);
        }
        let until = now + self.setup.config.api_timeout;
        self.commit(now, Some(call), positions, until).map(|()| true)
    }

    /// Takes a commit in; the answer comes when the coordinator has it.
    ///
    /// # Errors
    /// What stands against it from the start.
    pub(super) fn commit(
        &mut self,
        now: Instant,
        call: Option<CallId>,
        positions: Vec<Position>,
        until: Instant,
    ) -> Result<(), ErrorCode> {
        let standing = self.standing(now)?;
        let group = self.group.as_mut().ok_or(ErrorCode::InvalidGroupId)?;
        if standing.is_some() && !group.holds(&positions) {
            return Err(ErrorCode::IllegalGeneration);
        }
        let losses = group.holding.losses();
        group.commits.push_back(Commit {
            call,
            positions,
            losses,
            until,
            in_flight: false,
            doubt: false,
            by: None,
            not_before: now,
            failures: 0,
        });
        Ok(())
    }

    /// The membership that speaks for this consumer; none if it has not subscribed.
    ///
    /// # Errors
    /// Why its member cannot commit now.
    pub(super) fn standing(&mut self, now: Instant) -> Result<Option<GroupMetadata>, ErrorCode> {
        let Some((ctx, group)) = self.context(now) else { return Err(ErrorCode::InvalidGroupId) };
        let membership = group.membership.as_ref();
        membership.map(|membership| membership.standing(&ctx)).transpose()
    }

    /// Whether the first commit can be sent, once the coordinator is reachable. Gives up those that
    /// nothing can come of.
    pub(super) fn next_commit(&mut self, now: Instant, out: &mut Effects) -> bool {
        while self.group.as_ref().is_some_and(|group| !group.commits.is_empty()) {
            let standing = self.standing(now);
            let Some(group) = &mut self.group else { return false };
            let Some(first) = group.commits.front() else { return false };
            let held = group.membership.is_none() || group.holds(&first.positions);
            if first.in_flight {
                return false;
            }
            let error = if first.positions.is_empty() {
                ErrorCode::None
            } else if first.until <= now {
                ErrorCode::RequestTimedOut
            } else if first.losses != group.holding.losses() || !held {
                ErrorCode::IllegalGeneration
            } else {
                return standing.is_ok() && first.not_before <= now;
            };
            group.end_commit(error, out);
        }
        false
    }

    pub(super) fn send_commit(&mut self, now: Instant, node: NodeId, out: &mut Effects) {
        let by = self.standing(now).expect("somebody looked whether it can be sent");
        let group = self.group.as_mut().expect("a group commits");
        let first = group.commits.front_mut().expect("somebody looked whether there is one");
        first.in_flight = true;
        first.by.clone_from(&by);
        let nobody = || Committer {
            group: group.id.clone(),
            member: Arc::default(),
            instance: None,
            generation: -1,
        };
        let committer = by.map_or_else(nobody, |by| Committer {
            group: by.group,
            member: by.member,
            instance: by.instance,
            generation: by.generation,
        });
        let partitions = first.positions.iter().map(|position| CommittedPartition {
            topic: TopicRef::Name(position.topic.clone()),
            partition: position.partition,
            offset: position.offset,
            leader_epoch: position.leader_epoch,
            metadata: position.metadata.clone(),
        });
        let partitions = partitions.collect();
        let request = Request::OffsetCommit(OffsetCommitRequest { committer, partitions });
        self.network.send(now, node, request, Asked::Commit, out);
    }

    pub(super) fn committed(
        &mut self,
        now: Instant,
        node: NodeId,
        response: &Response,
        out: &mut Effects,
    ) {
        let Response::OffsetCommit(OffsetCommitResponse { partitions }) = response else {
            return self.commit_unanswered(now);
        };
        let Some(group) = &mut self.group else { return };
        let Some(first) = group.commits.front_mut().filter(|first| first.in_flight) else { return };
        first.in_flight = false;
        let done: BTreeSet<Partition> = partitions
            .iter()
            .filter_map(|(topic, partition, error)| match topic {
                TopicRef::Name(name) if error.is_ok() => Some((name.clone(), *partition)),
                TopicRef::Name(_) | TopicRef::Id(_) => None,
            })
            .collect();
        first.positions.retain(|at| !done.contains(&(at.topic.clone(), at.partition)));
        if first.positions.is_empty() {
            return group.end_commit(ErrorCode::None, out);
        }
        let errors = partitions.iter().map(|(.., error)| *error).filter(|error| !error.is_ok());
        // One that no retry mends decides.
        let error = errors.clone().find(|error| !is_retriable(*error)).or(errors.clone().next());
        self.commit_refused(now, node, error.unwrap_or(ErrorCode::NetworkException), out);
    }

    fn commit_refused(&mut self, now: Instant, node: NodeId, error: ErrorCode, out: &mut Effects) {
        let standing = self.standing(now).ok().flatten();
        let Some(group) = &mut self.group else { return };
        let Some(first) = group.commits.front_mut() else { return };
        if is_retriable(error) {
            // These come before the coordinator does anything; after others it may yet.
            let refused = matches!(
                error,
                ErrorCode::CoordinatorLoadInProgress | ErrorCode::UnknownTopicOrPartition
            );
            first.doubt |= !refused;
            if !refused {
                group.coordinator.forget(node);
            }
            return self.commit_later(now);
        }
        let by = first.by.clone();
        if error == ErrorCode::StaleMemberEpoch && standing.is_some() && standing != by {
            // It has moved on since (KIP-848).
            first.not_before = now;
            return;
        }
        if let (Some(by), Some(membership)) = (by, &mut group.membership) {
            membership.refused(&by, error, &mut group.holding);
        }
        group.end_commit(error, out);
    }

    /// The answer is lost, or garbage.
    pub(super) fn commit_unanswered(&mut self, now: Instant) {
        let Some(group) = &mut self.group else { return };
        let Some(first) = group.commits.front_mut().filter(|first| first.in_flight) else { return };
        first.in_flight = false;
        first.doubt = true;
        self.commit_later(now);
    }

    fn commit_later(&mut self, now: Instant) {
        let backoff = self.backoff();
        let Some(group) = &mut self.group else { return };
        let Some(first) = group.commits.front_mut() else { return };
        first.not_before = now + backoff.after(first.failures, &mut self.rng);
        first.failures = first.failures.saturating_add(1);
    }
}

impl Group {
    /// Whether the member holds all these partitions: of others it has no say.
    fn holds(&self, positions: &[Position]) -> bool {
        let mut partitions = positions.iter().map(|at| (at.topic.clone(), at.partition));
        partitions.all(|partition| self.holding.owns(&partition))
    }

    /// The first commit has come to its end.
    fn end_commit(&mut self, error: ErrorCode, out: &mut Effects) {
        let first = self.commits.pop_front().expect("the first commit ends");
        let outcome = if error.is_ok() {
            Outcome::Done
        } else if first.doubt {
            Outcome::Unknown(error)
        } else {
            Outcome::Failed(error)
        };
        if let Some(call) = first.call {
            out.push(Effect::Return { call, outcome });
        }
    }

    /// When the first commit wants attention. One that is due and was not sent waits for the
    /// membership to stand, which no time tells (`everything` seeds 5, 7, 10).
    pub(super) fn commit_deadline(&self, now: Instant) -> Option<Instant> {
        let first = self.commits.front().filter(|first| !first.in_flight)?;
        let is_due = first.not_before <= now;
        Some(if is_due { first.until } else { first.until.min(first.not_before) })
    }
}
