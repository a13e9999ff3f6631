//! Brokers join and leave the cluster (KIP-631).

use crate::controller::election::{forget_last_leader, leave};
use crate::controller::rules::{Draft, Rules};
use crate::controller::session::Sessions;
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::BrokerEpoch;
use crate::message::cluster::{
    BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse,
};
use crate::metadata::{BrokerImage, MetadataRecord};
use crate::time::Instant;

/// Registers an incarnation of a broker under a new epoch, fenced.
pub(super) fn register(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    sessions: &mut Sessions,
    now: Instant,
    request: &BrokerRegistrationRequest,
) -> BrokerRegistrationResponse {
    let refuse = |error| BrokerRegistrationResponse { error, epoch: BrokerEpoch::NONE };
    let expires = now + rules.config.broker_session_timeout;
    let old = draft.state().brokers.get(&request.node).cloned();
    if let Some(old) = &old {
        let repeated = old.incarnation == request.incarnation;
        let alive = sessions.is_valid(request.node, old.epoch, now) && !old.in_controlled_shutdown;
        // KIP-631, KAFKA-16952: one incarnation at a time; a repeated request changes nothing.
        let (repeated, alive) = if rules.defects.has(Defect::BrokerDoubleRegistration) {
            (false, false)
        } else {
            (repeated, alive)
        };
        if repeated {
            sessions.touch(request.node, old.epoch, crate::ids::Offset::NONE, expires);
            return BrokerRegistrationResponse { error: ErrorCode::None, epoch: old.epoch };
        }
        if alive {
            return refuse(ErrorCode::DuplicateBrokerRegistration);
        }
    }
    let epoch = BrokerEpoch(draft.next().0);
    draft.push(MetadataRecord::RegisterBroker {
        node: request.node,
        epoch,
        incarnation: request.incarnation,
        directory: request.directory,
        endpoint: request.endpoint.clone(),
        rack: request.rack.clone(),
    });
    if let Some(old) = &old {
        leave(draft, rules, request.node, !is_clean(old, request, rules));
        if request.directory != old.directory {
            forget_last_leader(draft, rules, request.node);
        }
    }
    sessions.open(request.node, epoch, expires);
    BrokerRegistrationResponse { error: ErrorCode::None, epoch }
}

/// Whether a new incarnation has proved that its log is whole: it is on the same disk, and the last
/// incarnation, which was the registered one, shut down cleanly.
fn is_clean(old: &BrokerImage, request: &BrokerRegistrationRequest, rules: Rules<'_>) -> bool {
    // KIP-966, KAFKA-15586: otherwise it may have lost records that it counts for.
    if rules.defects.has(Defect::UncleanRestartKeepsElr) {
        true
    } else {
        request.previous_epoch == old.epoch && request.directory == old.directory
    }
}

/// Forgets a broker for good; what it led, others lead.
pub(super) fn unregister(
    draft: &mut Draft<'_>,
    rules: Rules<'_>,
    sessions: &mut Sessions,
    request: &UnregisterBrokerRequest,
) -> UnregisterBrokerResponse {
    let Some(broker) = draft.state().brokers.get(&request.node) else {
        return UnregisterBrokerResponse { error: ErrorCode::BrokerIdNotRegistered };
    };
    let epoch = broker.epoch;
    draft.push(MetadataRecord::UnregisterBroker { node: request.node, epoch });
    leave(draft, rules, request.node, true);
    sessions.close(request.node);
    UnregisterBrokerResponse { error: ErrorCode::None }
}

#[cfg(test)]
mod tests;
