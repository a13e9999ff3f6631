//! The connections to the active controller: which errands are under way there, and which one waits
//! for what.
//!
//! After Kafka's `NodeToControllerChannelManager`: whoever leads the metadata quorum is the target.
//! Reports of the broker's life have a connection of their own, so that a slow errand cannot make
//! the broker look dead and a late heartbeat fails nothing else.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::{Backoff, Channels};
use crate::config::ServerConfig;
use crate::ids::{ConnId, CorrelationId, NodeId, TopicName};
use crate::machine::Effects;
use crate::message::Request;
use crate::rng::Rng;
use crate::time::{Duration, Instant};

/// The connection space of these channels.
pub(super) const SPACE: u8 = 3;

const RECONNECT: Backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };

/// Which of the two connections to a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    Life,
    Work,
}

/// What the broker asked the controller for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Registration,
    Heartbeat,
    AlterPartition,
    ProducerIds,
    /// A client's request by its number among the forwarded ones.
    Forward(u64),
    /// A topic that a client asked about and that is made on the way.
    AutoCreate(TopicName),
}

/// The channels to the controllers.
#[derive(Clone, Debug)]
pub(super) struct ControllerChannel {
    channels: Channels<(NodeId, Lane), Errand>,
    /// The controller that errands go to.
    target: Option<NodeId>,
}

impl ControllerChannel {
    pub(super) fn new() -> Self {
        ControllerChannel { channels: Channels::new(SPACE, RECONNECT), target: None }
    }

    /// Follows the quorum's leader; answers the errands that another controller now will not do.
    pub(super) fn follow(&mut self, leader: Option<NodeId>, out: &mut Effects) -> Vec<Errand> {
        // Nobody leads for now: what is under way may still be answered.
        if leader.is_none() || leader == self.target {
            return Vec::new();
        }
        let old = core::mem::replace(&mut self.target, leader);
        let Some(old) = old else { return Vec::new() };
        let mut failed = self.channels.close(&(old, Lane::Life), out);
        failed.extend(self.channels.close(&(old, Lane::Work), out));
        failed
    }

    /// Whether an errand can be sent on that lane now; dials if not.
    pub(super) fn ready(
        &mut self,
        now: Instant,
        lane: Lane,
        server: &ServerConfig,
        out: &mut Effects,
    ) -> bool {
        let Some(target) = self.target else { return false };
        let Some(voter) = server.voters.iter().find(|voter| voter.key.node == target) else {
            return false;
        };
        self.channels.ready(now, &(target, lane), &voter.endpoint, out)
    }

    /// When an errand that is due then can be sent, as far as a timer can tell: without a
    /// controller, or while a dial is under way, some other input comes first.
    pub(super) fn when(&self, lane: Lane, due: Option<Instant>) -> Option<Instant> {
        let (due, peer) = (due?, (self.target?, lane));
        if self.channels.is_dialling(&peer) {
            return None;
        }
        Some(self.channels.blocked_until(&peer).map_or(due, |until| due.max(until)))
    }

    /// # Panics
    /// If that lane is not ready.
    pub(super) fn send(
        &mut self,
        lane: Lane,
        request: Arc<Request>,
        deadline: Instant,
        errand: Errand,
        out: &mut Effects,
    ) {
        let target = self.target.expect("a lane is ready only with a target");
        self.channels.send(&(target, lane), request, deadline, errand, out);
    }

    pub(super) fn opened(&mut self, conn: ConnId) {
        self.channels.opened(conn);
    }

    /// Answers the errands that the connection took with it.
    pub(super) fn closed(&mut self, now: Instant, conn: ConnId, rng: &mut Rng) -> Vec<Errand> {
        self.channels.closed(now, conn, rng).map_or_else(Vec::new, |(_, errands)| errands)
    }

    pub(super) fn answered(&mut self, conn: ConnId, correlation: CorrelationId) -> Option<Errand> {
        self.channels.answered(conn, correlation).map(|(_, errand)| errand)
    }

    /// Answers the errands that waited too long.
    pub(super) fn expire(&mut self, now: Instant, rng: &mut Rng, out: &mut Effects) -> Vec<Errand> {
        let late = self.channels.expire(now, rng, out);
        late.into_iter().flat_map(|(_, errands)| errands).collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.channels.deadline()
    }
}
