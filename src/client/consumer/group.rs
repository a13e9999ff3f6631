//! A consumer and its group: who coordinates, what is asked when, what the application is told.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::consumer::commit::Commit;
use crate::client::consumer::committed::{Lookup, offsets};
use crate::client::consumer::fetcher::Asked;
use crate::client::consumer::membership::holding::Holding;
use crate::client::consumer::membership::{Context, Membership, error_of};
use crate::client::consumer::{Consumer, GroupSetup};
use crate::client::coordinator::{Coordinator, Reach, is_elsewhere};
use crate::error::ErrorCode;
use crate::ids::{CallId, NodeId, TopicName};
use crate::machine::{Effect, Effects};
use crate::message::coordinator::CoordinatorKind;
use crate::message::{Request, Response};
use crate::op::Outcome;
use crate::time::{Instant, earliest};

/// What a consumer has to do with its group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub id: Arc<str>,
    pub coordinator: Coordinator,
    /// None unless it has subscribed.
    pub membership: Option<Membership>,
    pub holding: Holding,
    pub commits: VecDeque<Commit>,
    pub lookups: Vec<Lookup>,
    /// When the next auto-commit is due.
    pub auto_at: Instant,
    /// What remains to be told to the coordinator by a member that is gone.
    farewell: Option<Request>,
    leaving: Option<Leaving>,
}

/// A call that ends a membership.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    call: CallId,
    until: Instant,
    closes: bool,
    /// The coordinator was told; its answer is missing.
    told: bool,
}

impl Group {
    pub fn new(setup: &GroupSetup, retry: Backoff) -> Self {
        Group {
            id: setup.id.clone(),
            coordinator: Coordinator::new(CoordinatorKind::Group, setup.id.clone(), retry),
            membership: None,
            holding: Holding::default(),
            commits: VecDeque::new(),
            lookups: Vec::new(),
            auto_at: Instant::ZERO,
            farewell: None,
            leaving: None,
        }
    }

    fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    pub fn is_closing(&self) -> bool {
        self.leaving.is_some_and(|leaving| leaving.closes)
    }
}

impl Consumer {
    /// The group, and what its membership sees.
    pub(super) fn context(&mut self, now: Instant) -> Option<(Context<'_>, &mut Group)> {
        let group = self.group.as_mut()?;
        let setup = &self.setup;
        let ctx = Context {
            now,
            setup,
            group: setup.group.as_ref()?,
            metadata: &self.network.metadata,
            is_told: self.network.is_told(),
            rng: &mut self.rng,
            rounds: &mut self.rounds,
        };
        Some((ctx, group))
    }

    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        topics: &[TopicName],
    ) -> Result<(), ErrorCode> {
        let mut topics = topics.to_vec();
        topics.sort();
        topics.dedup();
        let assigned = !self.slots.is_empty();
        let auto_at = now + self.setup.config.auto_commit_interval;
        let (mut ctx, group) = self.context(now).ok_or(ErrorCode::InvalidGroupId)?;
        if topics.is_empty() || group.is_leaving() {
            return Err(ErrorCode::InvalidRequest);
        }
        match &mut group.membership {
            Some(membership) if membership.failure().is_none() => membership.resubscribe(topics),
            Some(_) => group.membership = Some(Membership::new(&mut ctx, topics)),
            // Assigned by itself; Kafka wants an end of that first, too.
            None if assigned => return Err(ErrorCode::InvalidRequest),
            None => {
                group.auto_at = auto_at;
                group.membership = Some(Membership::new(&mut ctx, topics));
            }
        }
        self.watch_topics();
        Ok(())
    }

    /// Begins to leave; answered when the coordinator has heard it, or its time is up.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        call: CallId,
        closes: bool,
        out: &mut Effects,
    ) -> Result<(), ErrorCode> {
        if self.group.as_ref().is_some_and(Group::is_leaving) {
            return Err(ErrorCode::InvalidRequest);
        }
        let until = now + self.setup.config.request_timeout;
        if closes {
            self.commit_for_itself(now, until);
        }
        if let Some(poll) = self.poll.take() {
            let outcome = Outcome::Polled(Arc::new([]));
            out.push(Effect::Return { call: poll.call, outcome });
        }
        let leaving = Leaving { call, until, closes, told: false };
        let group = self.group.as_mut().expect("only a group is left");
        group.leaving = Some(leaving);
        if !closes {
            self.place(&[]);
        }
        Ok(())
    }

    /// Steps that need no answer: of the membership, or of its end.
    pub(super) fn step_group(&mut self, now: Instant, out: &mut Effects) {
        if self.group.as_ref().is_some_and(Group::is_leaving) {
            self.end_membership(now, out);
        } else {
            self.drive(now);
        }
    }

    /// Sends what is due; when to go on without an answer.
    pub(super) fn ask_group(&mut self, now: Instant, out: &mut Effects) -> Option<Instant> {
        let membership = self.group.as_ref()?.membership.as_ref();
        if membership.is_some_and(|own| own.wants_metadata(&self.network.metadata)) {
            self.network.request_refresh();
        }
        let blocked = self.ask_coordinator(now, out);
        let group = self.group.as_ref()?;
        let leaving = group.leaving.map(|leaving| leaving.until);
        let membership = group.membership.as_ref().filter(|_| leaving.is_none());
        let membership = membership.and_then(|own| own.deadline(&group.holding));
        let own = earliest(group.commit_deadline(now), self.committed_deadline());
        let own = earliest(earliest(own, membership), leaving);
        // What waits for the coordinator does not keep the process busy.
        match blocked {
            Blocked::No => own,
            Blocked::Until(at) => earliest(own.filter(|own| *own > now), at),
        }
    }

    /// Steps of the membership that need no answer, and what they do to the slots.
    fn drive(&mut self, now: Instant) {
        let Some((mut ctx, group)) = self.context(now) else { return };
        let Some(membership) = &mut group.membership else { return };
        let farewell = membership.drive(&mut ctx, &mut group.holding);
        group.farewell = farewell.or(group.farewell.take());
        // What the application commits before it gives up counts as long as it has not given up.
        if group.holding.is_acknowledged() && group.commits.is_empty() {
            group.holding.release();
            membership.drive(&mut ctx, &mut group.holding);
        }
        group.holding.check();
        self.hold();
    }

    /// Makes the slots what the member holds.
    fn hold(&mut self) {
        let Some(group) = &self.group else { return };
        let owned = group.holding.owned();
        let held = self.slots.iter().map(|slot| (&slot.topic, slot.partition));
        if held.eq(owned.iter().map(|(topic, partition)| (topic, *partition))) {
            return;
        }
        let owned: Vec<(TopicName, i32)> = owned.iter().cloned().collect();
        self.place(&owned);
    }

    /// Asks for metadata of all topics that matter, and of no others.
    pub(super) fn watch_topics(&mut self) {
        let membership = self.group.as_ref().and_then(|group| group.membership.as_ref());
        let own = membership.map_or(&[][..], Membership::topics);
        let extra = membership.map_or(&[][..], Membership::extra_topics);
        let slots = &self.slots;
        for topic in own.iter().chain(extra).chain(slots.iter().map(|slot| &slot.topic)) {
            self.network.want(topic);
        }
        self.network.retain(|topic| {
            own.contains(topic)
                || extra.contains(topic)
                || slots.iter().any(|slot| slot.topic == *topic)
        });
    }

    /// Sends what is due, if the coordinator can be reached.
    fn ask_coordinator(&mut self, now: Instant, out: &mut Effects) -> Blocked {
        let commit = self.next_commit(now, out);
        let committed = self.wants_committed(now, out);
        let Some(group) = &mut self.group else { return Blocked::No };
        let leaving = group.leaving.is_some();
        let membership = group.membership.as_ref().filter(|_| !leaving);
        let beat = membership.is_some_and(|own| own.wants(now, &group.holding));
        if !(commit || committed || beat || group.farewell.is_some()) {
            return Blocked::No;
        }
        let reach =
            group.coordinator.reach(now, &mut self.network, Asked::Coordinator, &mut self.rng, out);
        let Reach::Ready(node) = reach else {
            let Reach::Wait(at) = reach else { return Blocked::No };
            return Blocked::Until(at);
        };
        self.send_to_coordinator(now, node, (commit, committed, beat), out);
        Blocked::No
    }

    fn send_to_coordinator(
        &mut self,
        now: Instant,
        node: NodeId,
        (commit, committed, beat): (bool, bool, bool),
        out: &mut Effects,
    ) {
        if commit {
            self.send_commit(now, node, out);
        }
        if committed {
            self.ask_committed(now, node, out);
        }
        let Some((ctx, group)) = self.context(now) else { return };
        let outgoing = match &mut group.membership {
            Some(membership) if beat => Some(membership.ask(&ctx, &group.holding)),
            Some(_) | None => None,
        };
        let farewell = group.farewell.take();
        if let Some(outgoing) = outgoing {
            let patience = outgoing.patience.unwrap_or(self.setup.config.request_timeout);
            let asked = Asked::Member(outgoing.sent);
            self.network.send_within(now + patience, node, outgoing.request, asked, out);
        }
        if let Some(farewell) = farewell {
            self.network.send(now, node, farewell, Asked::Farewell, out);
        }
    }

    /// An answer of the coordinator, or of somebody who was asked for it.
    pub(super) fn coordinated(
        &mut self,
        now: Instant,
        node: NodeId,
        asked: &Asked,
        response: &Response,
        out: &mut Effects,
    ) {
        let Some(group) = &mut self.group else { return };
        let error = if matches!(response, Response::OffsetFetch(_)) {
            offsets(response).err().unwrap_or(ErrorCode::None)
        } else {
            error_of(response)
        };
        if is_elsewhere(error) {
            group.coordinator.forget(node);
        }
        match asked {
            Asked::Coordinator => {
                let found =
                    group.coordinator.found(now, response, &mut self.network, &mut self.rng);
                if let Err(error) = found {
                    self.no_coordinator(error, out);
                }
            }
            Asked::Member(sent) => {
                if let Some((mut ctx, group)) = self.context(now)
                    && let Some(membership) = &mut group.membership
                {
                    membership.answered(&mut ctx, &mut group.holding, *sent, response);
                    self.watch_topics();
                }
            }
            Asked::Commit => self.committed(now, node, response, out),
            Asked::Committed(of) => self.found_committed(now, of, response),
            Asked::Lookup(call) => self.looked_up(now, *call, response, out),
            Asked::Farewell => self.farewell_heard(now),
            Asked::Records { .. } | Asked::Offsets(_) | Asked::EpochEnds(_) => {
                panic!("leaders answer that")
            }
        }
    }

    /// An answer that will not come.
    pub(super) fn not_coordinated(&mut self, now: Instant, asked: &Asked) {
        let Some(group) = &mut self.group else { return };
        match asked {
            Asked::Coordinator => group.coordinator.unanswered(now, &mut self.rng),
            Asked::Member(sent) => {
                if let Some((mut ctx, group)) = self.context(now)
                    && let Some(membership) = &mut group.membership
                {
                    membership.unanswered(&mut ctx, *sent);
                }
            }
            Asked::Commit => self.commit_unanswered(now),
            Asked::Lookup(call) => self.look_up_later(now, *call),
            Asked::Farewell => self.farewell_heard(now),
            // Their slots are told of.
            Asked::Committed(_)
            | Asked::Records { .. }
            | Asked::Offsets(_)
            | Asked::EpochEnds(_) => {}
        }
    }

    /// Nobody will coordinate this group: nothing that waits for it will be.
    fn no_coordinator(&mut self, error: ErrorCode, out: &mut Effects) {
        let Some(group) = &mut self.group else { return };
        for lookup in group.lookups.drain(..) {
            out.push(Effect::Return { call: lookup.call, outcome: Outcome::Failed(error) });
        }
        if let Some(poll) = self.poll.take() {
            out.push(Effect::Return { call: poll.call, outcome: Outcome::Failed(error) });
        }
    }

    /// Whether the coordinator took it or not: nobody says it twice, and otherwise the session ends
    /// by itself.
    fn farewell_heard(&mut self, now: Instant) {
        let leaving = self.group.as_mut().and_then(|group| group.leaving.as_mut());
        if let Some(leaving) = leaving.filter(|leaving| leaving.told) {
            leaving.until = now;
        }
    }

    /// Goes on with leaving: commits first, then the farewell, then the end.
    fn end_membership(&mut self, now: Instant, out: &mut Effects) {
        let Some((ctx, group)) = self.context(now) else { return };
        let Some(leaving) = &mut group.leaving else { return };
        if !leaving.told && (group.commits.is_empty() || leaving.until <= now) {
            leaving.told = true;
            let membership = group.membership.take();
            group.farewell = membership.and_then(|membership| membership.farewell(&ctx));
            group.holding.clear();
            if group.farewell.is_none() {
                leaving.until = now;
            }
        }
        let leaving = *leaving;
        if !leaving.told || leaving.until > now {
            return;
        }
        group.leaving = None;
        group.farewell = None;
        if leaving.closes {
            self.shut_down(out);
        }
        out.push(Effect::Return { call: leaving.call, outcome: Outcome::Done });
    }
}

/// Whether the coordinator is out of reach.
enum Blocked {
    No,
    Until(Option<Instant>),
}
