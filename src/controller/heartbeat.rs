//! Heartbeats: a broker is fenced, serves, or is on its way out (KIP-631, KIP-841).

use alloc::vec::Vec;

use crate::controller::election::{elect_leaderless, leave};
use crate::controller::rules::{Draft, Rules};
use crate::controller::session::Sessions;
use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, NodeId, Offset};
use crate::message::cluster::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use crate::metadata::{BrokerImage, Image, MetadataRecord};
use crate::time::Instant;

/// What a broker is to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum BrokerState {
    Fenced,
    Unfenced,
    ControlledShutdown,
    ShutdownNow,
}

/// What a heartbeat says and what holds around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub fence: bool,
    pub shutdown: bool,
    /// The broker has applied its own registration.
    pub caught_up: bool,
    /// It leads partitions.
    pub leads: bool,
    /// All active brokers know that it leads nothing any more.
    pub known: bool,
}

/// The state after a heartbeat (Kafka's `calculateNextBrokerState`).
pub(super) fn next_state(state: BrokerState, wish: Wish) -> BrokerState {
    match state {
        BrokerState::Fenced if wish.shutdown => BrokerState::ShutdownNow,
        BrokerState::Fenced if !wish.fence && wish.caught_up => BrokerState::Unfenced,
        BrokerState::Fenced => BrokerState::Fenced,
        BrokerState::Unfenced => match (wish.fence, wish.shutdown) {
            (true, true) => BrokerState::ShutdownNow,
            (true, false) => BrokerState::Fenced,
            (false, true) if wish.leads => BrokerState::ControlledShutdown,
            (false, true) => BrokerState::ShutdownNow,
            (false, false) => BrokerState::Unfenced,
        },
        BrokerState::ControlledShutdown if !wish.leads && wish.known => BrokerState::ShutdownNow,
        BrokerState::ControlledShutdown => BrokerState::ControlledShutdown,
        BrokerState::ShutdownNow => BrokerState::ShutdownNow,
    }
}

/// The registered broker if the request comes from its living incarnation.
pub(super) fn check_epoch(
    image: &Image,
    node: NodeId,
    epoch: BrokerEpoch,
) -> Result<&BrokerImage, ErrorCode> {
    match image.brokers.get(&node) {
        None => Err(ErrorCode::BrokerIdNotRegistered),
        Some(broker) if broker.epoch != epoch => Err(ErrorCode::StaleBrokerEpoch),
        Some(broker) => Ok(broker),
    }
}

/// Takes a heartbeat.
pub(super) fn heartbeat(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    sessions: &mut Sessions,
    now: Instant,
    request: &BrokerHeartbeatRequest,
) -> BrokerHeartbeatResponse {
    let BrokerHeartbeatRequest { node, epoch, metadata_offset, want_fence, want_shutdown } =
        *request;
    let state = match check_epoch(draft.state(), node, epoch) {
        Ok(broker) => state_of(broker),
        Err(error) => {
            return BrokerHeartbeatResponse {
                error,
                caught_up: false,
                fenced: true,
                should_shutdown: false,
            };
        }
    };
    sessions.touch(node, epoch, metadata_offset, now + rules.config.broker_session_timeout);
    let wish = Wish {
        fence: want_fence,
        shutdown: want_shutdown,
        caught_up: metadata_offset >= Offset(epoch.0),
        leads: want_shutdown && draft.state().partitions().any(|(_, p)| p.leader == node),
        known: want_shutdown && is_known(draft, sessions, node),
    };
    let next = next_state(state, wish);
    if next != state {
        transition(draft, rules, sessions, node, epoch, next);
    }
    BrokerHeartbeatResponse {
        error: ErrorCode::None,
        caught_up: wish.caught_up,
        fenced: matches!(next, BrokerState::Fenced | BrokerState::ShutdownNow),
        should_shutdown: next == BrokerState::ShutdownNow,
    }
}

fn state_of(broker: &BrokerImage) -> BrokerState {
    if broker.fenced {
        BrokerState::Fenced
    } else if broker.in_controlled_shutdown {
        BrokerState::ControlledShutdown
    } else {
        BrokerState::Unfenced
    }
}

/// Whether all active brokers have applied what took the leaderships from a broker that shuts
/// down. A controller that took over since does not know which record that was: it takes the
/// end of the log.
fn is_known(draft: &Draft<'_>, sessions: &mut Sessions, node: NodeId) -> bool {
    let after = sessions.shutdown_after(node).unwrap_or(draft.next() + -1);
    sessions.wait_for(node, after);
    sessions.lowest_active(draft.state()) >= after
}

fn transition(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    sessions: &mut Sessions,
    node: NodeId,
    epoch: BrokerEpoch,
    next: BrokerState,
) {
    let (fenced, in_controlled_shutdown) = match next {
        BrokerState::Fenced => (true, false),
        // It is on its way out even if it led nothing: its next incarnation need not wait for the
        // end of its session.
        BrokerState::ShutdownNow => (true, true),
        BrokerState::Unfenced => (false, false),
        BrokerState::ControlledShutdown => (false, true),
    };
    let was_fenced = draft.state().brokers.get(&node).is_some_and(|broker| broker.fenced);
    if !(fenced && was_fenced) {
        let change = MetadataRecord::BrokerChange { node, epoch, fenced, in_controlled_shutdown };
        draft.push(change);
    }
    match next {
        BrokerState::Unfenced => elect_leaderless(draft, rules, node),
        BrokerState::Fenced | BrokerState::ControlledShutdown | BrokerState::ShutdownNow => {
            leave(draft, rules, node, false);
            sessions.wait_for(node, draft.next() + -1);
        }
    }
}

/// Fences those of the brokers that still serve.
pub(super) fn fence(draft: &mut Draft<'_>, rules: Rules<'_>, silent: &[NodeId]) {
    let live = silent.iter().filter_map(|node| Some((*node, draft.state().brokers.get(node)?)));
    let live: Vec<(NodeId, BrokerEpoch)> =
        live.filter(|(_, broker)| !broker.fenced).map(|(node, b)| (node, b.epoch)).collect();
    for (node, epoch) in live {
        draft.push(MetadataRecord::BrokerChange {
            node,
            epoch,
            fenced: true,
            in_controlled_shutdown: false,
        });
        leave(draft, rules, node, false);
    }
}

#[cfg(test)]
mod tests;
