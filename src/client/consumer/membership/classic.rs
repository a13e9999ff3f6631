//! A member of the classic protocol: joins, syncs, and beats until the next round.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::embedded::{self, PROTOCOL_TYPE, Subscription};
use super::holding::{Holding, Partitions};
use super::{Context, Outgoing, Sent, What, error_of, is_passing, leader};
use crate::client::consumer::assignor::{Counts, Partition};
use crate::error::ErrorCode;
use crate::ids::TopicName;
use crate::message::group::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, JoinedMember, LeaveGroupRequest,
    LeavingMember, SyncGroupRequest, SyncGroupResponse,
};
use crate::message::{Request, Response};
use crate::op::GroupMetadata;
use crate::time::{Duration, Instant, earliest};

/// What a round may take at the coordinator beyond the members' time, as in Kafka.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Classic {
    topics: Vec<TopicName>,
    /// Empty until the coordinator gave it a name.
    member: Arc<str>,
    /// -1 outside of a membership.
    generation: i32,
    state: State,
    /// It has to go into another round, as soon as it may.
    rejoin: bool,
    /// The generation that gave it what it holds.
    holds_since: i32,
    /// What the sticky assignor remembers.
    memory: Option<(Vec<Partition>, i32)>,
    /// What it assigned by, if it leads.
    led_by: Option<Counts>,
    /// Of other members, if it leads.
    extra_topics: Vec<TopicName>,
    beat: Beat,
    not_before: Instant,
    failures: u32,
    round: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Joins as soon as the application knows what is gone.
    Joining,
    JoinSent,
    /// Leads, and waits until it knows all topics that the members want.
    Assigning(Vec<JoinedMember>),
    Syncing(Vec<(Arc<str>, Bytes)>),
    SyncSent,
    /// Has an assignment, and has to give up something first.
    Reconciling(Partitions),
    Stable,
    /// Nothing goes on.
    Failed(ErrorCode),
}

/// When the next heartbeat is due.
#[derive(Clone, Copy, Debug)]
struct Beat {
    at: Instant,
    in_flight: bool,
    failures: u32,
}

impl Classic {
    pub fn new(topics: Vec<TopicName>, round: u64, now: Instant) -> Self {
        Classic {
            topics,
            member: Arc::default(),
            generation: -1,
            state: State::Joining,
            rejoin: false,
            holds_since: -1,
            memory: None,
            led_by: None,
            extra_topics: Vec::new(),
            beat: Beat { at: now, in_flight: false, failures: 0 },
            not_before: now,
            failures: 0,
            round,
        }
    }

    pub fn resubscribe(&mut self, topics: Vec<TopicName>) {
        self.rejoin |= self.topics != topics;
        self.topics = topics;
    }

    pub fn extra_topics(&self) -> &[TopicName] {
        &self.extra_topics
    }

    pub fn failure(&self) -> Option<ErrorCode> {
        if let State::Failed(error) = self.state { Some(error) } else { None }
    }

    pub fn standing(&self) -> Result<(&Arc<str>, i32), ErrorCode> {
        match self.state {
            State::Reconciling(_) | State::Stable => Ok((&self.member, self.generation)),
            State::Joining
            | State::JoinSent
            | State::Assigning(_)
            | State::Syncing(_)
            | State::SyncSent => Err(ErrorCode::RebalanceInProgress),
            State::Failed(error) => Err(error),
        }
    }

    pub fn drive(&mut self, ctx: &mut Context<'_>, holding: &mut Holding) {
        if let State::Reconciling(target) = &self.state
            && holding.is_settled()
        {
            let target = target.clone();
            self.memory = Some((target.iter().cloned().collect(), self.generation));
            self.holds_since = self.generation;
            holding.grant(target, ctx.metadata_of(&self.member, self.generation));
            self.state = State::Stable;
        }
        if self.state == State::Stable {
            let outdated = |counts| leader::is_outdated(counts, &self.extra_topics, ctx);
            self.rejoin |= self.led_by.as_ref().is_some_and(outdated);
        }
        if self.state == State::Stable && self.rejoin {
            // Eager: everything goes before a round (KIP-429 asks for no more than what moves).
            if !ctx.assignor().is_cooperative() && holding.is_settled() {
                let all = holding.owned().clone();
                holding.give_up(&all);
            }
            if holding.is_settled() {
                self.state = State::Joining;
            }
        }
        if let State::Assigning(members) = &self.state
            && ctx.is_told
        {
            let (assignments, counts) = leader::assign(members, ctx);
            self.led_by = Some(counts);
            self.state = State::Syncing(assignments);
        }
    }

    /// Whether it is in a generation that the coordinator knows, and has to be heard of.
    fn beats(&self) -> bool {
        match self.state {
            State::Assigning(_)
            | State::Syncing(_)
            | State::SyncSent
            | State::Reconciling(_)
            | State::Stable => true,
            State::Joining | State::JoinSent | State::Failed(_) => false,
        }
    }

    fn is_to_send(&self, holding: &Holding) -> bool {
        match self.state {
            State::Joining => holding.is_settled(),
            State::Syncing(_) => true,
            State::JoinSent
            | State::Assigning(_)
            | State::SyncSent
            | State::Reconciling(_)
            | State::Stable
            | State::Failed(_) => false,
        }
    }

    fn is_beat_due(&self, now: Instant) -> bool {
        self.beats() && !self.beat.in_flight && self.beat.at <= now
    }

    pub fn wants(&self, now: Instant, holding: &Holding) -> bool {
        (self.is_to_send(holding) && self.not_before <= now) || self.is_beat_due(now)
    }

    pub fn deadline(&self, holding: &Holding) -> Option<Instant> {
        let step = self.is_to_send(holding).then_some(self.not_before);
        let beat = (self.beats() && !self.beat.in_flight).then_some(self.beat.at);
        earliest(step, beat)
    }

    pub fn ask(&mut self, ctx: &Context<'_>, holding: &Holding) -> Outgoing {
        let ready = self.is_to_send(holding) && self.not_before <= ctx.now;
        if ready && matches!(self.state, State::Joining) {
            self.state = State::JoinSent;
            return self.ask_join(ctx, holding);
        }
        if ready && let State::Syncing(assignments) = &mut self.state {
            let assignments = core::mem::take(assignments);
            self.state = State::SyncSent;
            return self.ask_sync(ctx, assignments);
        }
        assert!(self.is_beat_due(ctx.now), "somebody looked whether something is wanted");
        self.beat = Beat {
            at: ctx.now + ctx.setup.config.heartbeat_interval,
            in_flight: true,
            failures: self.beat.failures,
        };
        let request = Request::Heartbeat(HeartbeatRequest {
            group: ctx.group.id.clone(),
            generation: self.generation,
            member: self.member.clone(),
            instance: ctx.group.instance.clone(),
        });
        let sent = Sent { round: self.round, what: What::Beat };
        Outgoing { request, sent, patience: None }
    }

    fn ask_join(&mut self, ctx: &Context<'_>, holding: &Holding) -> Outgoing {
        self.rejoin = false;
        self.round += 1;
        self.beat.in_flight = false;
        let (config, assignor) = (&ctx.setup.config, ctx.assignor());
        let memory = self.memory.as_ref().filter(|_| assignor.remembers());
        let subscription = Subscription {
            topics: self.topics.clone(),
            owned: holding.owned().iter().cloned().collect(),
            generation: self.holds_since,
            user_data: memory.map(|(had, since)| embedded::encode_memory(had, *since)),
        };
        let request = Request::JoinGroup(JoinGroupRequest {
            group: ctx.group.id.clone(),
            member: self.member.clone(),
            instance: ctx.group.instance.clone(),
            client_id: ctx.setup.client_id.clone(),
            // The broker knows.
            client_host: Arc::default(),
            session_timeout: config.session_timeout,
            rebalance_timeout: config.max_poll_interval,
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: [(assignor.name().into(), subscription.encode())].into(),
            knows_member_id_required: true,
        });
        let sent = Sent { round: self.round, what: What::Join };
        // The coordinator answers when the round is over.
        let patience = config.request_timeout.max(config.max_poll_interval + JOIN_MARGIN);
        Outgoing { request, sent, patience: Some(patience) }
    }

    fn ask_sync(&self, ctx: &Context<'_>, assignments: Vec<(Arc<str>, Bytes)>) -> Outgoing {
        let config = &ctx.setup.config;
        let request = Request::SyncGroup(SyncGroupRequest {
            group: ctx.group.id.clone(),
            generation: self.generation,
            member: self.member.clone(),
            instance: ctx.group.instance.clone(),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol: Some(ctx.assignor().name().into()),
            assignments,
        });
        let sent = Sent { round: self.round, what: What::Sync };
        let patience = config.request_timeout.max(config.max_poll_interval + JOIN_MARGIN);
        Outgoing { request, sent, patience: Some(patience) }
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
        let error = error_of(response);
        if sent.what == What::Beat {
            self.beat.in_flight = false;
            return self.heard(ctx, holding, error);
        }
        if let Response::JoinGroup(response) = response
            && sent.what == What::Join
            && (error.is_ok() || error == ErrorCode::MemberIdRequired)
        {
            self.joined(ctx, holding, response);
        } else if let Response::SyncGroup(response) = response
            && sent.what == What::Sync
            && error.is_ok()
        {
            self.synced(holding, response);
        } else {
            let error = if error.is_ok() { ErrorCode::NetworkException } else { error };
            self.refused_round(ctx, holding, error);
        }
    }

    pub fn unanswered(&mut self, ctx: &mut Context<'_>, sent: Sent) {
        if sent.round != self.round {
            return;
        }
        match sent.what {
            What::Beat => {
                self.beat.in_flight = false;
                self.beat_later(ctx);
            }
            What::Join | What::Sync => self.join_later(ctx),
        }
    }

    fn joined(
        &mut self,
        ctx: &mut Context<'_>,
        holding: &mut Holding,
        response: &JoinGroupResponse,
    ) {
        self.member.clone_from(&response.member);
        if response.error == ErrorCode::MemberIdRequired {
            // KIP-394: with the name, again.
            self.state = State::Joining;
            return;
        }
        if response.protocol.as_deref() != Some(ctx.assignor().name()) {
            return self.fail(holding, ErrorCode::InconsistentGroupProtocol);
        }
        self.generation = response.generation;
        self.failures = 0;
        self.not_before = ctx.now;
        self.beat = Beat {
            at: ctx.now + ctx.setup.config.heartbeat_interval,
            in_flight: false,
            failures: 0,
        };
        self.led_by = None;
        self.extra_topics.clear();
        if response.leader != self.member {
            self.state = State::Syncing(Vec::new());
            return;
        }
        self.extra_topics = leader::topics(&response.members);
        if response.skip_assignment {
            // KIP-814: it leads again, and what it assigned before it restarted still counts.
            self.led_by = Some(leader::counts(&response.members, ctx));
            self.state = State::Syncing(Vec::new());
        } else {
            self.state = State::Assigning(response.members.clone());
        }
    }

    fn synced(&mut self, holding: &mut Holding, response: &SyncGroupResponse) {
        let Ok(assigned) = embedded::decode_assignment(&response.assignment) else {
            return self.fail(holding, ErrorCode::InconsistentGroupProtocol);
        };
        let mut target: Partitions = assigned.into_iter().collect();
        let given = target.len();
        target.retain(|(topic, _)| self.topics.contains(topic));
        let leaving: Partitions = holding.owned().difference(&target).cloned().collect();
        // KIP-429: what it gives up somebody else gets in the next round. And the leader did not
        // know that it no longer wants a topic.
        self.rejoin |= !leaving.is_empty() || target.len() < given;
        holding.give_up(&leaving);
        self.state = State::Reconciling(target);
    }

    /// A heartbeat was answered.
    fn heard(&mut self, ctx: &mut Context<'_>, holding: &mut Holding, error: ErrorCode) {
        if error.is_ok() {
            self.beat.failures = 0;
        } else if error == ErrorCode::RebalanceInProgress {
            self.beat.failures = 0;
            // In the middle of a round its next answer tells.
            self.rejoin |= matches!(self.state, State::Stable | State::Reconciling(_));
        } else if is_put_out(error) {
            self.lose(holding, error);
        } else if is_passing(error) {
            self.beat_later(ctx);
        } else {
            self.fail(holding, error);
        }
    }

    /// JoinGroup or SyncGroup was refused.
    fn refused_round(&mut self, ctx: &mut Context<'_>, holding: &mut Holding, error: ErrorCode) {
        if is_put_out(error) {
            self.lose(holding, error);
            self.join_later(ctx);
        } else if error == ErrorCode::RebalanceInProgress || is_passing(error) {
            // It keeps what it holds, as of the generation that gave it (KAFKA-13419).
            self.join_later(ctx);
        } else {
            self.fail(holding, error);
        }
    }

    /// [`super::Membership::refused`]. In the middle of a round the generation may have changed
    /// without its knowledge.
    pub fn refused(&mut self, by: &GroupMetadata, error: ErrorCode, holding: &mut Holding) {
        let current = by.member == self.member && by.generation == self.generation;
        if !current || !matches!(self.state, State::Stable | State::Reconciling(_)) {
            return;
        }
        if is_put_out(error) {
            self.lose(holding, error);
        } else if error == ErrorCode::FencedInstanceId {
            self.fail(holding, error);
        } else if error == ErrorCode::RebalanceInProgress {
            self.rejoin = true;
        }
    }

    /// The group has gone on without it.
    fn lose(&mut self, holding: &mut Holding, error: ErrorCode) {
        holding.lose();
        if error != ErrorCode::IllegalGeneration {
            self.member = Arc::default();
        }
        self.generation = -1;
        self.holds_since = -1;
        self.round += 1;
        self.beat.in_flight = false;
        self.state = State::Joining;
    }

    fn fail(&mut self, holding: &mut Holding, error: ErrorCode) {
        self.lose(holding, ErrorCode::UnknownMemberId);
        self.state = State::Failed(error);
    }

    fn join_later(&mut self, ctx: &mut Context<'_>) {
        self.round += 1;
        self.state = State::Joining;
        self.not_before = ctx.now + ctx.backoff(self.failures);
        self.failures = self.failures.saturating_add(1);
    }

    fn beat_later(&mut self, ctx: &mut Context<'_>) {
        self.beat.at = ctx.now + ctx.backoff(self.beat.failures);
        self.beat.failures = self.beat.failures.saturating_add(1);
    }

    /// [`super::Membership::farewell`].
    pub fn farewell(&self, ctx: &Context<'_>) -> Option<Request> {
        if self.member.is_empty() || ctx.group.instance.is_some() {
            return None;
        }
        let member = LeavingMember { member: self.member.clone(), instance: None };
        let group = ctx.group.id.clone();
        Some(Request::LeaveGroup(LeaveGroupRequest { group, members: [member].into() }))
    }
}

/// Whether the group, if there still is one, knows this member, or this generation of it, no more.
fn is_put_out(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::GroupIdNotFound
    )
}
