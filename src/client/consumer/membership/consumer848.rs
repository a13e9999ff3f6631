//! A member of the KIP-848 protocol: it beats, and its coordinator leads it to what it shall have.

use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::holding::{Holding, Partitions};
use super::{Context, Outgoing, Sent, What, error_of, is_passing};
use crate::client::metadata::Metadata;
use crate::config::Setting as _;
use crate::error::ErrorCode;
use crate::ids::{TopicId, TopicName, Uuid};
use crate::message::consumer_group::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use crate::message::{Request, Response};
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// The member epoch of whoever leaves for good.
const LEAVE: i32 = -1;
/// The member epoch of a static member that will be back.
const AWAY: i32 = -2;

#[derive(Clone, Debug)]
pub(super) struct Consumer848 {
    topics: Vec<TopicName>,
    /// Made here, and new for each membership: a delayed farewell of the last one hits nobody.
    member: Arc<str>,
    /// 0 while it joins.
    epoch: i32,
    state: State,
    /// What it shall come to, as it was told last.
    target: Option<TopicPartitions>,
    /// The ids of the topics that it holds partitions of.
    ids: BTreeMap<TopicName, TopicId>,
    /// What the coordinator knows it to hold, and to subscribe to; none: tell everything.
    told: Option<Told>,
    in_flight: Option<Told>,
    interval: Duration,
    at: Instant,
    failures: u32,
    round: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Joining,
    Member,
    /// Nothing goes on.
    Failed(ErrorCode),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    owned: Partitions,
    topics: Vec<TopicName>,
}

impl Consumer848 {
    pub fn new(topics: Vec<TopicName>, round: u64, now: Instant, rng: &mut Rng) -> Self {
        Consumer848 {
            topics,
            member: Uuid::random(rng).to_string().into(),
            epoch: 0,
            state: State::Joining,
            target: None,
            ids: BTreeMap::new(),
            told: None,
            in_flight: None,
            interval: Duration::ZERO,
            at: now,
            failures: 0,
            round,
        }
    }

    pub fn resubscribe(&mut self, topics: Vec<TopicName>) {
        self.topics = topics;
    }

    pub fn failure(&self) -> Option<ErrorCode> {
        if let State::Failed(error) = self.state { Some(error) } else { None }
    }

    pub fn standing(&self) -> Result<(&Arc<str>, i32), ErrorCode> {
        match self.state {
            State::Member => Ok((&self.member, self.epoch)),
            State::Joining => Err(ErrorCode::RebalanceInProgress),
            State::Failed(error) => Err(error),
        }
    }

    /// Goes towards the target: gives up first, and takes what is new once nothing is left to give
    /// up.
    pub fn drive(&mut self, ctx: &mut Context<'_>, holding: &mut Holding) {
        let Some(target) = &self.target else { return };
        if self.state != State::Member || !holding.is_settled() {
            return;
        }
        let (partitions, ids) = self.named(target, ctx.metadata);
        let leaving: Partitions = holding.owned().difference(&partitions).cloned().collect();
        if !leaving.is_empty() {
            holding.give_up(&leaving);
        }
        if !holding.is_settled() {
            return;
        }
        let complete = ids.len() == target.len();
        if complete {
            self.target = None;
        } else if partitions == *holding.owned() {
            return;
        }
        self.ids = ids;
        holding.grant(partitions, ctx.metadata_of(&self.member, self.epoch));
    }

    /// A target by names, as far as the topics are known, with their ids.
    fn named(
        &self,
        target: &TopicPartitions,
        metadata: &Metadata,
    ) -> (Partitions, BTreeMap<TopicName, TopicId>) {
        let (mut partitions, mut ids) = (Partitions::new(), BTreeMap::new());
        for (id, list) in target {
            let Some(name) = self.name_of(*id, metadata) else { continue };
            partitions.extend(list.iter().map(|partition| (name.clone(), *partition)));
            ids.insert(name.clone(), *id);
        }
        (partitions, ids)
    }

    fn name_of(&self, id: TopicId, metadata: &Metadata) -> Option<&TopicName> {
        let held = self.ids.iter().find(|(_, held)| **held == id).map(|(name, _)| name);
        let is_it = |name: &&TopicName| metadata.topic(name).is_some_and(|topic| topic.id == id);
        held.or_else(|| self.topics.iter().find(is_it))
    }

    /// Whether it was given partitions of a topic that it does not know.
    pub fn is_lost(&self, metadata: &Metadata) -> bool {
        let target = self.target.iter().flatten();
        target.into_iter().any(|(id, _)| self.name_of(*id, metadata).is_none())
    }

    fn is_news(&self, holding: &Holding) -> bool {
        let Some(told) = &self.told else { return false };
        self.state == State::Member
            && (told.owned != *holding.owned() || told.topics != self.topics)
    }

    /// When to beat; none while it must not.
    fn due(&self, holding: &Holding) -> Option<Instant> {
        let ready = match self.state {
            State::Joining => holding.is_settled(),
            State::Member => true,
            State::Failed(_) => false,
        };
        if !ready || self.in_flight.is_some() {
            return None;
        }
        // What it gave up or took others wait for.
        Some(if self.is_news(holding) && self.failures == 0 { Instant::ZERO } else { self.at })
    }

    pub fn wants(&self, now: Instant, holding: &Holding) -> bool {
        self.due(holding).is_some_and(|at| at <= now)
    }

    pub fn deadline(&self, holding: &Holding) -> Option<Instant> {
        self.due(holding)
    }

    pub fn ask(&mut self, ctx: &Context<'_>, holding: &Holding) -> Outgoing {
        assert!(self.wants(ctx.now, holding), "somebody looked whether something is wanted");
        let now = Told { owned: holding.owned().clone(), topics: self.topics.clone() };
        let told = self.told.as_ref().filter(|_| self.state == State::Member);
        let config = &ctx.setup.config;
        let all = told.is_none();
        let request = ConsumerGroupHeartbeatRequest {
            rebalance_timeout: all.then_some(config.max_poll_interval),
            subscribed_topics: told
                .is_none_or(|told| told.topics != now.topics)
                .then(|| self.topics.clone()),
            assignor: all.then(|| config.group_remote_assignor.print().into()),
            owned: told
                .is_none_or(|told| told.owned != now.owned)
                .then(|| self.by_id(holding.owned())),
            ..self.heartbeat(ctx, self.epoch)
        };
        self.in_flight = Some(now);
        let request = Request::ConsumerGroupHeartbeat(request);
        let sent = Sent { round: self.round, what: What::Beat };
        Outgoing { request, sent, patience: None }
    }

    fn heartbeat(&self, ctx: &Context<'_>, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group: ctx.group.id.clone(),
            member: self.member.clone(),
            member_epoch,
            instance: ctx.group.instance.clone(),
            rack: None,
            client_id: ctx.setup.client_id.clone(),
            // The broker knows.
            client_host: Arc::default(),
            rebalance_timeout: None,
            subscribed_topics: None,
            subscribed_regex: None,
            assignor: None,
            owned: None,
        }
    }

    fn by_id(&self, partitions: &Partitions) -> TopicPartitions {
        let mut topics: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in partitions {
            let id = self.ids.get(topic).expect("what is held was given by its topic's id");
            topics.entry(*id).or_default().push(*partition);
        }
        topics.into_iter().collect()
    }

    pub fn answered(
        &mut self,
        ctx: &mut Context<'_>,
        holding: &mut Holding,
        sent: Sent,
        response: &Response,
    ) {
        if sent.round != self.round {
            return;
        }
        let Some(told) = self.in_flight.take() else { return };
        if let Response::ConsumerGroupHeartbeat(response) = response
            && response.error.is_ok()
        {
            self.told = Some(told);
            self.heard(ctx, holding, response);
        } else {
            self.refused(ctx, holding, error_of(response));
        }
    }

    fn heard(
        &mut self,
        ctx: &Context<'_>,
        holding: &mut Holding,
        response: &ConsumerGroupHeartbeatResponse,
    ) {
        self.failures = 0;
        self.interval = response.heartbeat_interval.max(Duration::from_millis(1));
        self.at = ctx.now + self.interval;
        self.state = State::Member;
        let moved = response.member_epoch != self.epoch;
        self.epoch = response.member_epoch;
        if let Some(target) = &response.assignment {
            self.target = Some(target.clone());
        }
        if moved {
            holding.renew(ctx.metadata_of(&self.member, self.epoch));
        }
    }

    fn refused(&mut self, ctx: &mut Context<'_>, holding: &mut Holding, error: ErrorCode) {
        let put_out = matches!(
            error,
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch | ErrorCode::GroupIdNotFound
        );
        if put_out {
            // It begins anew, with empty hands.
            self.lose(holding);
            self.at = ctx.now;
        } else if error == ErrorCode::UnreleasedInstanceId || is_passing(error) {
            // Of a name: whoever had it has not said that it went, and its session has to end.
            self.beat_later(ctx);
        } else {
            self.lose(holding);
            self.state = State::Failed(error);
        }
    }

    pub fn unanswered(&mut self, ctx: &mut Context<'_>, sent: Sent) {
        if sent.round == self.round && self.in_flight.take().is_some() {
            self.beat_later(ctx);
        }
    }

    /// The coordinator may or may not have heard it: the next one tells everything.
    fn beat_later(&mut self, ctx: &mut Context<'_>) {
        self.told = None;
        self.at = ctx.now + ctx.backoff(self.failures);
        self.failures = self.failures.saturating_add(1);
    }

    fn lose(&mut self, holding: &mut Holding) {
        holding.lose();
        self.round += 1;
        self.epoch = 0;
        self.state = State::Joining;
        self.target = None;
        self.ids.clear();
        self.told = None;
        self.in_flight = None;
        self.failures = 0;
    }

    /// [`super::Membership::farewell`].
    pub fn farewell(&self, ctx: &Context<'_>) -> Option<Request> {
        let epoch = if ctx.group.instance.is_some() { AWAY } else { LEAVE };
        match self.state {
            // A join may be on its way.
            State::Joining | State::Member => {
                Some(Request::ConsumerGroupHeartbeat(self.heartbeat(ctx, epoch)))
            }
            State::Failed(_) => None,
        }
    }
}
