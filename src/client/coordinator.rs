//! Who coordinates a client's group or transactional id: asked for, kept, forgotten.

use alloc::sync::Arc;

use crate::channel::Backoff;
use crate::client::errors::is_retriable;
use crate::client::network::Network;
use crate::error::ErrorCode;
use crate::ids::NodeId;
use crate::machine::Effects;
use crate::message::coordinator::{
    CoordinatorKind, FindCoordinatorRequest, FindCoordinatorResponse,
};
use crate::message::{Request, Response};
use crate::rng::Rng;
use crate::time::Instant;

/// The coordinator of one key, after Kafka's `lookupCoordinator` and `markCoordinatorUnknown`.
#[derive(Clone, Debug)]
pub(crate) struct Coordinator {
    kind: CoordinatorKind,
    key: Arc<str>,
    retry: Backoff,
    state: State,
    /// Lookups in a row that led nowhere.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown { not_before: Instant },
    Asked,
    Known(NodeId),
}

/// Whether a request can go to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Now, to that broker.
    Ready(NodeId),
    /// Not yet. With an instant: try again then; without: an answer or a connection will tell.
    Wait(Option<Instant>),
}

impl Coordinator {
    pub fn new(kind: CoordinatorKind, key: Arc<str>, retry: Backoff) -> Self {
        let state = State::Unknown { not_before: Instant::ZERO };
        Coordinator { kind, key, retry, state, failures: 0 }
    }

    /// Whether the coordinator can be sent to; otherwise does what is next towards it: a lookup,
    /// whose answer comes back with `tag`, or a dial.
    pub fn reach<T>(
        &mut self,
        now: Instant,
        network: &mut Network<T>,
        tag: T,
        rng: &mut Rng,
        out: &mut Effects,
    ) -> Reach {
        if let State::Known(node) = self.state {
            if network.ready(now, node, out) {
                return Reach::Ready(node);
            }
            // Up to now or gone: nobody answers a dial at its address, or nobody knows it any more.
            let reachable = network.metadata.brokers.contains_key(&node);
            if reachable && network.blocked_until(node).is_none() {
                return Reach::Wait(None);
            }
            self.failed(now, rng);
            network.request_refresh();
        }
        match self.state {
            State::Unknown { not_before } if not_before > now => Reach::Wait(Some(not_before)),
            State::Unknown { .. } => {
                if network.metadata.brokers.is_empty() {
                    return Reach::Wait(None);
                }
                let Some(node) = network.any_broker(now, rng, out) else {
                    // The metadata's own search for a broker tells when to go on.
                    network.request_refresh();
                    return Reach::Wait(None);
                };
                let request = Request::FindCoordinator(FindCoordinatorRequest {
                    kind: self.kind,
                    keys: [Arc::clone(&self.key)].into(),
                });
                network.send(now, node, request, tag, out);
                self.state = State::Asked;
                Reach::Wait(None)
            }
            State::Asked | State::Known(_) => Reach::Wait(None),
        }
    }

    /// Takes the answer to the lookup.
    ///
    /// # Errors
    /// What no retry will mend, such as a refused authorization.
    pub fn found<T>(
        &mut self,
        now: Instant,
        response: &Response,
        network: &mut Network<T>,
        rng: &mut Rng,
    ) -> Result<(), ErrorCode> {
        if self.state != State::Asked {
            return Ok(());
        }
        let mut found = None;
        if let Response::FindCoordinator(FindCoordinatorResponse { coordinators }) = response {
            found = coordinators.iter().find(|found| found.key == self.key);
        }
        match found {
            Some(found) if found.error.is_ok() && found.node != NodeId::NONE => {
                // Its own metadata may be older than the one of the broker that answered.
                if let Some(endpoint) = &found.endpoint {
                    let known = network.metadata.brokers.entry(found.node);
                    known.or_insert_with(|| endpoint.clone());
                }
                self.state = State::Known(found.node);
                self.failures = 0;
                Ok(())
            }
            Some(found) if !found.error.is_ok() && !is_retriable(found.error) => {
                self.failed(now, rng);
                Err(found.error)
            }
            Some(_) | None => {
                self.failed(now, rng);
                Ok(())
            }
        }
    }

    /// The lookup had no answer.
    pub fn unanswered(&mut self, now: Instant, rng: &mut Rng) {
        if self.state == State::Asked {
            self.failed(now, rng);
        }
    }

    fn failed(&mut self, now: Instant, rng: &mut Rng) {
        self.state = State::Unknown { not_before: now + self.retry.after(self.failures, rng) };
        self.failures = self.failures.saturating_add(1);
    }

    /// That broker said that it is not the coordinator, or its connection broke: looks again. What
    /// was found meanwhile stays.
    pub fn forget(&mut self, node: NodeId) {
        if self.state == State::Known(node) {
            self.state = State::Unknown { not_before: Instant::ZERO };
        }
    }

    /// Whose coordinator this is.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where it is, as far as is known.
    pub fn node(&self) -> Option<NodeId> {
        match self.state {
            State::Known(node) => Some(node),
            State::Unknown { .. } | State::Asked => None,
        }
    }
}

/// Whether an answer means that another broker coordinates, or none at present.
#[must_use]
pub(crate) const fn is_elsewhere(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
}
