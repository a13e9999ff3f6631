//! Requests to coordinators whose answers are judged by when they were asked: G2, G4, G6.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::error::ErrorCode;
use seedlog::ids::{ConnId, CorrelationId, NodeId, Offset, PartitionId, TopicName, TopicRef};
use seedlog::message::commit::{Committer, FetchedGroup, FetchedOffset, OffsetFetchResponse};
use seedlog::message::coordinator::CoordinatorKind;
use seedlog::message::group::SyncGroupRequest;
use seedlog::message::{Request, Response};

use super::super::Checkers;
use super::super::tally::Check;

/// Requests remembered that have no answer yet, oldest forgotten first.
const REMEMBERED: usize = 1 << 10;

/// Which request, as its broker sees it.
type Asked = (NodeId, ConnId, CorrelationId);

/// Requests that have no answer yet.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    asked: BTreeMap<Asked, Question>,
    /// The same, oldest first.
    order: BTreeMap<u64, Asked>,
    /// How many commits of members that had lost their place were refused.
    pub refused: u64,
}

#[derive(Clone, Debug)]
struct Question {
    /// When it came: the number of the event.
    event: u64,
    /// What its broker had applied of the metadata log.
    applied: Offset,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Fetch,
    /// A member of a classic group wants its part of a generation.
    Sync(SyncGroupRequest),
    /// A commit by somebody who, when it came, had lost the place in the group that it names.
    Stale(Committer),
}

impl Requests {
    fn add(&mut self, asked: Asked, question: Question) {
        self.order.insert(question.event, asked);
        self.asked.insert(asked, question);
        if self.asked.len() > REMEMBERED
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.asked.remove(&oldest);
        }
    }

    fn take(&mut self, asked: Asked) -> Option<Question> {
        let question = self.asked.remove(&asked)?;
        self.order.remove(&question.event);
        Some(question)
    }
}

/// Whether the answer says that somebody else is in the committer's place.
const fn is_fencing(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::GroupIdNotFound
            | ErrorCode::FencedInstanceId
            | ErrorCode::StaleMemberEpoch
    )
}

impl Checkers {
    /// A request for a group's coordinator arrived at a broker.
    pub(in super::super) fn group_requested(
        &mut self,
        node: NodeId,
        from: ConnId,
        correlation: CorrelationId,
        request: &Request,
    ) {
        let mut kind = Kind::Fetch;
        let by = if let Request::OffsetFetch(_) = request {
            None
        } else if let Request::SyncGroup(sync) = request {
            kind = Kind::Sync(sync.clone());
            None
        } else if let Request::OffsetCommit(commit) = request {
            Some(&commit.committer)
        } else if let Request::TxnOffsetCommit(commit) = request {
            Some(&commit.committer)
        } else {
            return;
        };
        let kind = match by {
            None => kind,
            Some(by) if self.groups.membership.is_stale(&by.group, &by.member, by.generation) => {
                Kind::Stale(by.clone())
            }
            Some(_) => return,
        };
        let event = self.tally.event();
        let applied = self.nodes.get(&node).map_or(Offset::NONE, |node| node.applied);
        let question = Question { event, applied, kind };
        self.groups.requests.add((node, from, correlation), question);
    }

    /// A broker answers it.
    pub(in super::super) fn group_answered(
        &mut self,
        node: NodeId,
        (to, correlation): (ConnId, CorrelationId),
        response: &Response,
    ) {
        let Some(question) = self.groups.requests.take((node, to, correlation)) else { return };
        if let (Response::OffsetFetch(answer), Kind::Fetch) = (response, &question.kind) {
            self.check_fetched(node, answer, &question);
        } else if let (Response::OffsetCommit(answer), Kind::Stale(by)) = (response, &question.kind)
        {
            self.check_taken(by, &answer.partitions);
        } else if let (Response::TxnOffsetCommit(answer), Kind::Stale(by)) =
            (response, &question.kind)
        {
            self.check_taken(by, &answer.partitions);
        } else if let (Response::SyncGroup(answer), Kind::Sync(asked)) = (response, &question.kind)
            && answer.error.is_ok()
            && self.coordinates(node, &asked.group)
            && !self.is_shard_excused(&asked.group)
        {
            let Checkers { groups, tally, .. } = self;
            groups.generations.check_synced(asked, &answer.assignment, tally);
        }
    }

    /// G4. A commit of somebody who was fenced when it came was answered.
    fn check_taken(&mut self, by: &Committer, outcomes: &[(TopicRef, i32, ErrorCode)]) {
        if self.is_shard_excused(&by.group) {
            return;
        }
        let accepted = outcomes.iter().any(|(_, _, error)| error.is_ok());
        let fenced = outcomes.iter().any(|(_, _, error)| is_fencing(*error));
        self.groups.requests.refused += u64::from(fenced);
        self.tally.expect(Check::CommitFencing, !accepted, || {
            format!(
                "group {:?} takes offsets from member {:?} of generation {}, which had lost its \
                 place in the group before it asked",
                by.group, by.member, by.generation
            )
        });
    }

    /// G6. What a coordinator tells is what the log says.
    fn check_fetched(&mut self, node: NodeId, answer: &OffsetFetchResponse, asked: &Question) {
        for group in answer.groups.iter().filter(|group| group.error.is_ok()) {
            // One that was replaced and does not know it yet may tell what was true then.
            if self.coordinates(node, &group.group) && !self.is_shard_excused(&group.group) {
                for fetched in group.partitions.iter().filter(|each| each.error.is_ok()) {
                    self.check_offset(node, group, fetched, asked);
                }
            }
        }
    }

    fn check_offset(
        &mut self,
        node: NodeId,
        group: &FetchedGroup,
        fetched: &FetchedOffset,
        asked: &Question,
    ) {
        let Some(topic) = self.topic_name(&fetched.topic) else { return };
        // Offsets go with their topic, as soon as the broker knows.
        let Some(id) = self.image.names.get(&topic) else { return };
        let birth = self.reborn.get(id);
        if birth.is_some_and(|birth| birth.at > asked.applied) {
            return;
        }
        let birth = birth.map_or(0, |birth| birth.event);
        let key = (Arc::clone(&group.group), (topic, fetched.partition));
        let known = self.groups.offsets.was(&key, fetched.offset, asked.event, birth);
        self.tally.expect(Check::AckedCommitDurable, known, || {
            format!(
                "broker {node} says that group {:?} has committed {} for {}-{}, which was made at \
                 event {birth}, but since then the committed log has {:?}",
                key.0,
                fetched.offset,
                key.1.0,
                key.1.1,
                self.groups.offsets.since(&key, birth)
            )
        });
    }

    fn topic_name(&self, topic: &TopicRef) -> Option<TopicName> {
        match topic {
            TopicRef::Name(name) => Some(name.clone()),
            TopicRef::Id(id) => Some(self.image.topics.get(id)?.name.clone()),
        }
    }

    /// Whether a broker is the one that leads the log of a group.
    fn coordinates(&self, node: NodeId, group: &str) -> bool {
        let shard = seedlog::coordinator::shard_of(&self.image, CoordinatorKind::Group, group);
        let leads = |shard: PartitionId| {
            self.image.partition(shard).is_some_and(|partition| partition.leader == node)
        };
        shard.is_some_and(leads)
    }
}
