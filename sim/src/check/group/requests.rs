//! Requests to coordinators whose answers are judged by when they were asked: G4, G6.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::ids::{ConnId, CorrelationId, NodeId, PartitionId, TopicName, TopicRef};
use seedlog::message::commit::{Committer, FetchedGroup, FetchedOffset, OffsetFetchResponse};
use seedlog::message::coordinator::CoordinatorKind;
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
}

#[derive(Clone, Debug)]
struct Question {
    /// When it came: the number of the event.
    event: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Fetch,
    /// A commit by somebody who, when it came, had lost the place in the group that it names.
    Stale(Committer),
}

impl Requests {
    fn add(&mut self, asked: Asked, event: u64, kind: Kind) {
        self.order.insert(event, asked);
        self.asked.insert(asked, Question { event, kind });
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

impl Checkers {
    /// A request for a group's coordinator arrived at a broker.
    pub(in super::super) fn group_requested(
        &mut self,
        node: NodeId,
        from: ConnId,
        correlation: CorrelationId,
        request: &Request,
    ) {
        let by = if let Request::OffsetFetch(_) = request {
            None
        } else if let Request::OffsetCommit(commit) = request {
            Some(&commit.committer)
        } else if let Request::TxnOffsetCommit(commit) = request {
            Some(&commit.committer)
        } else {
            return;
        };
        let kind = match by {
            None => Kind::Fetch,
            Some(by) if self.groups.membership.is_stale(&by.group, &by.member, by.generation) => {
                Kind::Stale(by.clone())
            }
            Some(_) => return,
        };
        let event = self.tally.event();
        self.groups.requests.add((node, from, correlation), event, kind);
    }

    /// A broker answers it.
    pub(in super::super) fn group_answered(
        &mut self,
        node: NodeId,
        (to, correlation): (ConnId, CorrelationId),
        response: &Response,
    ) {
        let Some(question) = self.groups.requests.take((node, to, correlation)) else { return };
        let accepted = |partitions: &[(TopicRef, i32, seedlog::error::ErrorCode)]| {
            partitions.iter().any(|(_, _, error)| error.is_ok())
        };
        if let (Response::OffsetFetch(answer), Kind::Fetch) = (response, &question.kind) {
            self.check_fetched(node, answer, question.event);
        } else if let (Response::OffsetCommit(answer), Kind::Stale(by)) = (response, &question.kind)
        {
            self.check_taken(by, accepted(&answer.partitions));
        } else if let (Response::TxnOffsetCommit(answer), Kind::Stale(by)) =
            (response, &question.kind)
        {
            self.check_taken(by, accepted(&answer.partitions));
        }
    }

    /// G4. A commit of somebody who was fenced when it came was answered.
    fn check_taken(&mut self, by: &Committer, accepted: bool) {
        if self.is_shard_excused(&by.group) {
            return;
        }
        self.tally.expect(Check::CommitFencing, !accepted, || {
            format!(
                "group {:?} takes offsets from member {:?} of generation {}, which had lost its \
                 place in the group before it asked",
                by.group, by.member, by.generation
            )
        });
    }

    /// G6. What a coordinator tells is what the log says.
    fn check_fetched(&mut self, node: NodeId, answer: &OffsetFetchResponse, asked: u64) {
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
        asked: u64,
    ) {
        let Some(topic) = self.topic_name(&fetched.topic) else { return };
        let key = (Arc::clone(&group.group), (topic, fetched.partition));
        let known = self.groups.offsets.was(&key, fetched.offset, asked);
        self.tally.expect(Check::AckedCommitDurable, known, || {
            format!(
                "broker {node} says that group {:?} has committed {} for {}-{}, but the committed \
                 log has {:?}",
                key.0,
                fetched.offset,
                key.1.0,
                key.1.1,
                self.groups.offsets.committed(&key.0, &key.1)
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
