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
                    kind: Some(self.kind),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::network::{NetworkConfig, News};
    use crate::client::testing::{endpoint, metadata, ms, secs};
    use crate::ids::{ConnId, CorrelationId};
    use crate::machine::{Effect, Input};
    use crate::message::coordinator::FoundCoordinator;

    const BACKOFF: Backoff = Backoff { base: ms(100), max: ms(1_000) };

    struct Rig {
        network: Network<()>,
        coordinator: Coordinator,
        rng: Rng,
        out: Effects,
    }

    impl Rig {
        /// Connected to broker 1.
        fn new() -> Self {
            let config = NetworkConfig {
                space: 3,
                request_timeout: secs(2),
                metadata_max_age: secs(300),
                retry: BACKOFF,
                reconnect: BACKOFF,
                auto_create_topics: false,
            };
            let mut network = Network::new([endpoint(1)].into(), config);
            network.metadata.update(&metadata(&[(1, 3)]));
            let coordinator = Coordinator::new(CoordinatorKind::Group, "g".into(), BACKOFF);
            let (rng, out) = (Rng::from_number(1), Effects::new());
            let mut rig = Rig { network, coordinator, rng, out };
            rig.network.ready(Instant::ZERO, NodeId(1), &mut rig.out);
            rig.opens(0);
            rig
        }

        fn opens(&mut self, number: u64) {
            let opened = Input::Opened { conn: ConnId::outbound(3, number) };
            self.network.take(Instant::ZERO, opened, &mut self.rng, &mut self.out);
            self.out = Effects::new();
        }

        fn reach(&mut self, now: Instant) -> Reach {
            let Rig { network, coordinator, rng, out } = self;
            coordinator.reach(now, network, (), rng, out)
        }

        /// Answers the lookup of that number.
        fn found(&mut self, now: Instant, lookup: u32, error: ErrorCode, node: i32) {
            let endpoint = error.is_ok().then(|| endpoint(node));
            let found = FoundCoordinator { key: "g".into(), error, node: NodeId(node), endpoint };
            let coordinators = [found].into();
            let response = FindCoordinatorResponse { coordinators };
            let response = Arc::new(Response::FindCoordinator(response));
            let (conn, correlation) = (ConnId::outbound(3, 0), CorrelationId(lookup));
            let input = Input::Response { conn, correlation, response };
            let news = self.network.take(now, input, &mut self.rng, &mut self.out);
            let News::Answer(_, (), response) = news else { panic!("nobody has asked") };
            let Rig { network, coordinator, rng, .. } = self;
            coordinator.found(now, &response, network, rng).expect("worth another try");
        }

        fn lookups(&self) -> usize {
            let sent = self.out.as_slice().iter();
            sent.filter(|effect| matches!(effect, Effect::Send { .. })).count()
        }
    }

    #[test]
    fn who_was_found_is_kept_until_it_says_no() {
        let (mut rig, now) = (Rig::new(), Instant::ZERO);
        assert_eq!(rig.reach(now), Reach::Wait(None));
        assert_eq!((rig.reach(now), rig.lookups()), (Reach::Wait(None), 1), "asked once");
        rig.found(now, 0, ErrorCode::None, 2);
        assert_eq!(rig.coordinator.node(), Some(NodeId(2)));
        assert_eq!(rig.reach(now), Reach::Wait(None), "it is dialled");
        rig.opens(1);
        assert_eq!(rig.reach(now), Reach::Ready(NodeId(2)));
        rig.coordinator.forget(NodeId(1));
        assert_eq!(rig.coordinator.node(), Some(NodeId(2)), "another one's word does not count");
        rig.coordinator.forget(NodeId(2));
        assert_eq!((rig.reach(now), rig.lookups()), (Reach::Wait(None), 1));
    }

    #[test]
    fn a_lookup_without_a_result_is_made_again_later() {
        let (mut rig, now) = (Rig::new(), Instant::ZERO);
        rig.reach(now);
        rig.found(now, 0, ErrorCode::CoordinatorNotAvailable, -1);
        let Reach::Wait(Some(at)) = rig.reach(now) else { panic!("it waits") };
        assert!(at >= now + ms(80) && at <= now + ms(120), "{at:?}");
        assert_eq!(rig.reach(at), Reach::Wait(None));
        assert_eq!(rig.lookups(), 2);
        rig.coordinator.unanswered(at, &mut rig.rng);
        let Reach::Wait(Some(next)) = rig.reach(at) else { panic!("it waits") };
        assert!(next >= at + ms(160), "longer than before");
    }

    #[test]
    fn one_that_cannot_be_reached_is_asked_for_again() {
        let (mut rig, now) = (Rig::new(), Instant::ZERO);
        rig.reach(now);
        rig.found(now, 0, ErrorCode::None, 2);
        rig.reach(now);
        let refused = Input::Closed { conn: ConnId::outbound(3, 1) };
        rig.network.take(now, refused, &mut rig.rng, &mut rig.out);
        assert!(matches!(rig.reach(now), Reach::Wait(Some(_))));
        assert_eq!(rig.coordinator.node(), None);
    }
}
