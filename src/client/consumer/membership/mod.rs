//! A consumer's place in its group, by either protocol, without its connections: what to ask the
//! coordinator, and what follows from its answers.
//!
//! - `holding`: what the member holds, and what its application knows of that.
//! - `classic`: members meet in rounds, and one of them assigns.
//! - `consumer848`: the coordinator assigns (KIP-848).
//! - `embedded`: what members of the classic protocol tell each other.

mod classic;
mod consumer848;
pub(crate) mod embedded;
pub(crate) mod holding;
mod leader;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::consumer::assignor::Assignor;
use crate::client::consumer::{ConsumerSetup, GroupSetup};
use crate::client::errors::is_retriable;
use crate::client::metadata::Metadata;
use crate::config::GroupProtocol;
use crate::error::ErrorCode;
use crate::ids::TopicName;
use crate::message::{Request, Response};
use crate::op::GroupMetadata;
use crate::rng::Rng;
use crate::time::{Duration, Instant, earliest};

use classic::Classic;
use consumer848::Consumer848;
use holding::Holding;

/// What a membership sees while it takes a step.
pub(crate) struct Context<'a> {
    pub now: Instant,
    pub setup: &'a ConsumerSetup,
    pub group: &'a GroupSetup,
    pub metadata: &'a Metadata,
    /// Whether the metadata has answered for all topics that were asked for.
    pub is_told: bool,
    pub rng: &'a mut Rng,
    /// Times that the consumer has begun anew, in whatever membership.
    pub rounds: &'a mut u64,
}

impl Context<'_> {
    fn backoff(&mut self, failures: u32) -> Duration {
        let config = &self.setup.config;
        let backoff = Backoff { base: config.retry_backoff, max: config.retry_backoff_max };
        backoff.after(failures, self.rng)
    }

    fn assignor(&self) -> Assignor {
        match self.group.assignor {
            Some(assign) => Assignor::Custom(assign),
            None => Assignor::Known(self.setup.config.partition_assignment_strategy),
        }
    }

    fn metadata_of(&self, member: &Arc<str>, generation: i32) -> GroupMetadata {
        GroupMetadata {
            group: self.group.id.clone(),
            member: member.clone(),
            instance: self.group.instance.clone(),
            generation,
        }
    }
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// An answer to an earlier round means nothing, of an earlier membership neither.
    round: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Join,
    Sync,
    Beat,
}

/// What to send next.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub request: Request,
    pub sent: Sent,
    /// How long its answer may take, if that is not what it takes others.
    pub patience: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Protocol {
    Classic(Classic),
    Consumer(Consumer848),
    /// It did not poll in time and has left; the next poll begins anew (KIP-62).
    Away,
}

/// The membership of a consumer that has subscribed.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    topics: Vec<TopicName>,
    protocol: Protocol,
    /// When the application has to have polled; none while it does.
    poll_by: Option<Instant>,
}

impl Membership {
    pub fn new(ctx: &mut Context<'_>, topics: Vec<TopicName>) -> Self {
        let mut membership = Membership { topics, protocol: Protocol::Away, poll_by: None };
        membership.begin(ctx);
        membership.poll_by = Some(ctx.now + ctx.setup.config.max_poll_interval);
        membership
    }

    fn begin(&mut self, ctx: &mut Context<'_>) {
        *ctx.rounds += 1;
        let (topics, round) = (self.topics.clone(), *ctx.rounds << 32);
        self.protocol = match ctx.setup.config.group_protocol {
            GroupProtocol::Classic => Protocol::Classic(Classic::new(topics, round, ctx.now)),
            GroupProtocol::Consumer => {
                Protocol::Consumer(Consumer848::new(topics, round, ctx.now, ctx.rng))
            }
        };
    }

    /// The sorted topics that it subscribes to.
    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    pub fn resubscribe(&mut self, topics: Vec<TopicName>) {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.resubscribe(topics.clone()),
            Protocol::Consumer(consumer) => consumer.resubscribe(topics.clone()),
            Protocol::Away => {}
        }
        self.topics = topics;
    }

    /// The application polls.
    pub fn polled(&mut self, ctx: &mut Context<'_>) {
        self.poll_by = None;
        if let Protocol::Away = self.protocol {
            self.begin(ctx);
        }
    }

    /// The poll was answered: the application works on what it got.
    pub fn poll_answered(&mut self, ctx: &Context<'_>) {
        self.poll_by = Some(ctx.now + ctx.setup.config.max_poll_interval);
    }

    /// Takes whatever step needs no answer. Gives the request of a member that has to leave because
    /// its application does not poll.
    pub fn drive(&mut self, ctx: &mut Context<'_>, holding: &mut Holding) -> Option<Request> {
        if self.poll_by.is_some_and(|at| at <= ctx.now) {
            self.poll_by = None;
            let farewell = self.farewell(ctx);
            self.protocol = Protocol::Away;
            holding.lose();
            return farewell;
        }
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.drive(ctx, holding),
            Protocol::Consumer(consumer) => consumer.drive(ctx, holding),
            Protocol::Away => {}
        }
        None
    }

    /// What the coordinator has to be asked now, once it is reachable.
    pub fn wants(&self, now: Instant, holding: &Holding) -> bool {
        match &self.protocol {
            Protocol::Classic(classic) => classic.wants(now, holding),
            Protocol::Consumer(consumer) => consumer.wants(now, holding),
            Protocol::Away => false,
        }
    }

    /// Asks it.
    ///
    /// # Panics
    /// If nothing is [wanted](Self::wants).
    pub fn ask(&mut self, ctx: &Context<'_>, holding: &Holding) -> Outgoing {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.ask(ctx, holding),
            Protocol::Consumer(consumer) => consumer.ask(ctx, holding),
            Protocol::Away => panic!("a member that is away asks nothing"),
        }
    }

    /// Takes an answer.
    pub fn answered(
        &mut self,
        ctx: &mut Context<'_>,
        holding: &mut Holding,
        sent: Sent,
        response: &Response,
    ) {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.answered(ctx, holding, sent, response),
            Protocol::Consumer(consumer) => consumer.answered(ctx, holding, sent, response),
            Protocol::Away => {}
        }
    }

    /// No answer will come.
    pub fn unanswered(&mut self, ctx: &mut Context<'_>, sent: Sent) {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.unanswered(ctx, sent),
            Protocol::Consumer(consumer) => consumer.unanswered(ctx, sent),
            Protocol::Away => {}
        }
    }

    /// A commit was refused that named this membership.
    pub fn refused(&mut self, by: &GroupMetadata, error: ErrorCode, holding: &mut Holding) {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.refused(by, error, holding),
            // Its heartbeats tell.
            Protocol::Consumer(_) | Protocol::Away => {}
        }
    }

    /// The membership that a commit names.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS while there is none; what ended it if none will come by itself.
    pub fn standing(&self, ctx: &Context<'_>) -> Result<GroupMetadata, ErrorCode> {
        let (member, generation) = match &self.protocol {
            Protocol::Classic(classic) => classic.standing()?,
            Protocol::Consumer(consumer) => consumer.standing()?,
            Protocol::Away => return Err(ErrorCode::UnknownMemberId),
        };
        Ok(ctx.metadata_of(member, generation))
    }

    /// The member that asks for offsets, where the coordinator wants to know (KIP-848).
    pub fn fetches_as(&self) -> Option<(Arc<str>, i32)> {
        let Protocol::Consumer(consumer) = &self.protocol else { return None };
        consumer.standing().ok().map(|(member, epoch)| (member.clone(), epoch))
    }

    /// What made it give up, if something has.
    pub fn failure(&self) -> Option<ErrorCode> {
        match &self.protocol {
            Protocol::Classic(classic) => classic.failure(),
            Protocol::Consumer(consumer) => consumer.failure(),
            Protocol::Away => None,
        }
    }

    /// The request of a member that goes, if its coordinator needs one: a static member of the
    /// classic protocol just goes (KIP-345).
    pub fn farewell(&self, ctx: &Context<'_>) -> Option<Request> {
        match &self.protocol {
            Protocol::Classic(classic) => classic.farewell(ctx),
            Protocol::Consumer(consumer) => consumer.farewell(ctx),
            Protocol::Away => None,
        }
    }

    /// Topics whose partitions it has to know although it may not read them.
    pub fn extra_topics(&self) -> &[TopicName] {
        match &self.protocol {
            Protocol::Classic(classic) => classic.extra_topics(),
            Protocol::Consumer(_) | Protocol::Away => &[],
        }
    }

    /// Whether newer metadata would help it.
    pub fn wants_metadata(&self, metadata: &Metadata) -> bool {
        let unknown = self.topics.iter().any(|topic| metadata.topic(topic).is_none());
        let lost = match &self.protocol {
            Protocol::Consumer(consumer) => consumer.is_lost(metadata),
            Protocol::Classic(_) | Protocol::Away => false,
        };
        unknown || lost
    }

    /// When [`Self::drive`] or [`Self::wants`] changes by itself.
    pub fn deadline(&self, holding: &Holding) -> Option<Instant> {
        let protocol = match &self.protocol {
            Protocol::Classic(classic) => classic.deadline(holding),
            Protocol::Consumer(consumer) => consumer.deadline(holding),
            Protocol::Away => None,
        };
        earliest(protocol, self.poll_by)
    }
}

/// Whether the same request may succeed later.
fn is_passing(error: ErrorCode) -> bool {
    is_retriable(error) || error == ErrorCode::UnknownServerError
}

/// The error of an answer of the group APIs; garbage reads as a broken connection.
pub(crate) fn error_of(response: &Response) -> ErrorCode {
    if let Response::JoinGroup(response) = response {
        response.error
    } else if let Response::SyncGroup(response) = response {
        response.error
    } else if let Response::Heartbeat(response) = response {
        response.error
    } else if let Response::ConsumerGroupHeartbeat(response) = response {
        response.error
    } else {
        ErrorCode::NetworkException
    }
}
