//! Outbound connections of one owner: dialling, reconnect backoff, correlation and request
//! timeouts.
//!
//! After Kafka's `NetworkClient`: one connection to a peer, requests pipelined on it, answers in
//! the order of the requests. A connection that breaks, or a request that times out, fails
//! everything in flight on it; the owner decides what to send again.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{ConnId, CorrelationId, Endpoint};
use crate::machine::{Effect, Effects};
use crate::message::Request;
use crate::rng::Rng;
use crate::time::{Duration, Instant, earliest};

/// Pools of [`Channel`]s by peer, in a connection space of their own (see [`ConnId::outbound`]).
/// `P` names a peer, `T` is what the owner wants back with the answer.
#[derive(Clone, Debug)]
pub struct Channels<P, T> {
    space: u8,
    backoff: Backoff,
    next_conn: u64,
    next_correlation: u32,
    channels: BTreeMap<P, Channel<T>>,
}

/// An exponential backoff with jitter (KIP-580): `base * 2^failures` up to `max`, times 0.8 to 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    pub base: Duration,
    pub max: Duration,
}

impl Backoff {
    /// How long to wait after `failures` failures in a row (the first failure counts 0).
    pub fn after(self, failures: u32, rng: &mut Rng) -> Duration {
        let full = self.base.saturating_mul(1 << failures.min(20)).min(self.max);
        let fifth = full / 5;
        rng.duration(full.saturating_sub(fifth), full.saturating_add(fifth))
    }
}

#[derive(Clone, Debug)]
struct Channel<T> {
    state: State,
    /// Dials that failed in a row.
    failures: u32,
    in_flight: VecDeque<InFlight<T>>,
}

/// Kafka's `socket.connection.setup.timeout.ms`.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not before this instant a new dial.
    Down {
        until: Instant,
    },
    Dialling {
        conn: ConnId,
        /// When to give up: a lost SYN has no answer at all.
        until: Instant,
    },
    Open {
        conn: ConnId,
    },
}

impl State {
    fn dials(&self, of: ConnId) -> bool {
        matches!(self, State::Dialling { conn, .. } if *conn == of)
    }
}

#[derive(Clone, Debug)]
struct InFlight<T> {
    correlation: CorrelationId,
    deadline: Instant,
    tag: T,
}

impl<P: Ord + Clone, T> Channels<P, T> {
    #[must_use]
    pub fn new(space: u8, backoff: Backoff) -> Self {
        Channels { space, backoff, next_conn: 0, next_correlation: 0, channels: BTreeMap::new() }
    }

    /// Whether a connection belongs to this pool.
    #[must_use]
    pub fn owns(&self, conn: ConnId) -> bool {
        conn.space() == self.space
    }

    /// True if a request could be sent now; otherwise dials if the backoff is over. The owner tries
    /// again when told [`Ready`], or at the deadline.
    ///
    /// [`Ready`]: Channels::opened
    pub fn ready(&mut self, now: Instant, peer: &P, to: &Endpoint, out: &mut Effects) -> bool {
        let channel = self.channels.entry(peer.clone()).or_insert_with(|| Channel {
            state: State::Down { until: now },
            failures: 0,
            in_flight: VecDeque::new(),
        });
        match channel.state {
            State::Open { .. } => true,
            State::Dialling { .. } => false,
            State::Down { until } if until > now => false,
            State::Down { .. } => {
                let conn = ConnId::outbound(self.space, self.next_conn);
                self.next_conn += 1;
                channel.state = State::Dialling { conn, until: now + SETUP_TIMEOUT };
                out.push(Effect::Connect { conn, to: to.clone() });
                false
            }
        }
    }

    /// Requests without an answer yet.
    #[must_use]
    pub fn in_flight(&self, peer: &P) -> usize {
        self.channels.get(peer).map_or(0, |channel| channel.in_flight.len())
    }

    /// Whether a request could be sent now; never dials.
    #[must_use]
    pub fn is_open(&self, peer: &P) -> bool {
        self.channels.get(peer).is_some_and(|channel| matches!(channel.state, State::Open { .. }))
    }

    /// Whether a dial waits for its answer.
    #[must_use]
    pub fn is_dialling(&self, peer: &P) -> bool {
        self.channels
            .get(peer)
            .is_some_and(|channel| matches!(channel.state, State::Dialling { .. }))
    }

    /// Hangs up on everybody; forgets what was in flight.
    pub fn close_all(&mut self, out: &mut Effects) {
        for channel in core::mem::take(&mut self.channels).into_values() {
            if let State::Open { conn } | State::Dialling { conn, .. } = channel.state {
                out.push(Effect::Close { conn });
            }
        }
    }

    /// When [`Channels::ready`] may dial again, if it must wait.
    #[must_use]
    pub fn blocked_until(&self, peer: &P) -> Option<Instant> {
        match self.channels.get(peer)?.state {
            State::Down { until } => Some(until),
            State::Dialling { .. } | State::Open { .. } => None,
        }
    }

    /// Sends on an open connection; `tag` comes back with the answer or the failure.
    ///
    /// # Panics
    /// If the channel is not [`ready`](Channels::ready).
    pub fn send(
        &mut self,
        peer: &P,
        request: Arc<Request>,
        deadline: Instant,
        tag: T,
        out: &mut Effects,
    ) {
        let (conn, correlation) = self.transmit(peer, request, out);
        let channel = self.channels.get_mut(peer).expect("a channel that just sent exists");
        assert!(
            matches!(channel.state, State::Open { conn: open } if open == conn),
            "sent on an open channel"
        );
        channel.in_flight.push_back(InFlight { correlation, deadline, tag });
    }

    /// Sends a request that has no answer (Produce with acks=0).
    ///
    /// # Panics
    /// If the channel is not [`ready`](Channels::ready).
    pub fn send_one_way(&mut self, peer: &P, request: Arc<Request>, out: &mut Effects) {
        self.transmit(peer, request, out);
    }

    fn transmit(
        &mut self,
        peer: &P,
        request: Arc<Request>,
        out: &mut Effects,
    ) -> (ConnId, CorrelationId) {
        let correlation = CorrelationId(self.next_correlation);
        self.next_correlation = self.next_correlation.wrapping_add(1);
        let channel = self.channels.get(peer).expect("only an open channel sends");
        let State::Open { conn } = channel.state else { panic!("only an open channel sends") };
        out.push(Effect::Send { conn, correlation, request });
        (conn, correlation)
    }

    /// Takes `Input::Opened`; answers the peer that can be sent to now.
    pub fn opened(&mut self, conn: ConnId) -> Option<P> {
        let (peer, channel) =
            self.channels.iter_mut().find(|(_, channel)| channel.state.dials(conn))?;
        channel.state = State::Open { conn };
        Some(peer.clone())
    }

    /// Takes `Input::Closed`; answers the peer and what was in flight, oldest first. A connection
    /// that is no longer this pool's (an old one) answers none.
    pub fn closed(&mut self, now: Instant, conn: ConnId, rng: &mut Rng) -> Option<(P, Vec<T>)> {
        let peer = self.peer_of(conn)?;
        let channel = self.channels.get_mut(&peer).expect("the peer was just found");
        let wait = self.backoff.after(channel.failures, rng);
        channel.failures = channel.failures.saturating_add(1);
        channel.state = State::Down { until: now + wait };
        Some((peer, channel.in_flight.drain(..).map(|request| request.tag).collect()))
    }

    fn peer_of(&self, conn: ConnId) -> Option<P> {
        self.channels
            .iter()
            .find(|(_, channel)| match channel.state {
                State::Dialling { conn: own, .. } | State::Open { conn: own } => own == conn,
                State::Down { .. } => false,
            })
            .map(|(peer, _)| peer.clone())
    }

    /// Takes `Input::Response`; answers the peer and the tag of the request. An answer to a request
    /// that is no longer waited for (duplicated, or from an old connection) answers none.
    pub fn answered(&mut self, conn: ConnId, correlation: CorrelationId) -> Option<(P, T)> {
        let (peer, channel) =
            self.channels.iter_mut().find(|(_, channel)| channel.state == State::Open { conn })?;
        let index =
            channel.in_flight.iter().position(|request| request.correlation == correlation)?;
        channel.failures = 0;
        let request = channel.in_flight.remove(index).expect("the index was just found");
        Some((peer.clone(), request.tag))
    }

    /// Closes connections with a request past its deadline, or that do not open in time; answers
    /// what was in flight on
    /// them.
    pub fn expire(&mut self, now: Instant, rng: &mut Rng, out: &mut Effects) -> Vec<(P, Vec<T>)> {
        let late: Vec<ConnId> = self
            .channels
            .values()
            .filter_map(|channel| match channel.state {
                State::Dialling { conn, until } => (until <= now).then_some(conn),
                State::Open { conn } => {
                    channel.in_flight.iter().any(|request| request.deadline <= now).then_some(conn)
                }
                State::Down { .. } => None,
            })
            .collect();
        late.into_iter()
            .filter_map(|conn| {
                out.push(Effect::Close { conn });
                self.closed(now, conn, rng)
            })
            .collect()
    }

    /// Hangs up on a peer; answers what was in flight.
    pub fn close(&mut self, peer: &P, out: &mut Effects) -> Vec<T> {
        let Some(channel) = self.channels.remove(peer) else { return Vec::new() };
        if let State::Open { conn } | State::Dialling { conn, .. } = channel.state {
            out.push(Effect::Close { conn });
        }
        channel.in_flight.into_iter().map(|request| request.tag).collect()
    }

    /// The next timeout of a request or a dial. (The end of a backoff is not included: an owner
    /// that has something
    /// to send asks [`Channels::blocked_until`].)
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.channels
            .values()
            .filter_map(|channel| match channel.state {
                State::Dialling { until, .. } => Some(until),
                State::Open { .. } | State::Down { .. } => {
                    channel.in_flight.iter().map(|request| request.deadline).min()
                }
            })
            .fold(None, |a, b| earliest(a, Some(b)))
    }
}

#[cfg(test)]
mod table;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::metadata::MetadataRequest;

    fn request() -> Arc<Request> {
        Arc::new(Request::Metadata(MetadataRequest {
            topics: None,
            allow_auto_topic_creation: false,
        }))
    }

    fn endpoint() -> Endpoint {
        Endpoint { host: "b1".into(), port: 9092 }
    }

    fn channels() -> Channels<u8, &'static str> {
        let backoff = Backoff { base: Duration::from_millis(50), max: Duration::from_secs(1) };
        Channels::new(1, backoff)
    }

    #[test]
    fn a_request_comes_back_with_its_tag_once() {
        let (mut channels, mut out) = (channels(), Effects::new());
        let now = Instant::ZERO;
        assert!(!channels.ready(now, &7, &endpoint(), &mut out));
        let conn = ConnId::outbound(1, 0);
        assert_eq!(out.as_slice(), [Effect::Connect { conn, to: endpoint() }]);
        assert_eq!(channels.opened(conn), Some(7));
        assert!(channels.ready(now, &7, &endpoint(), &mut out));
        channels.send(&7, request(), now + Duration::from_secs(1), "tag", &mut out);
        assert_eq!(channels.answered(conn, CorrelationId(0)), Some((7, "tag")));
        assert_eq!(channels.answered(conn, CorrelationId(0)), None);
    }

    #[test]
    fn a_dial_without_an_answer_is_given_up() {
        let (mut channels, mut out, mut rng) = (channels(), Effects::new(), Rng::from_number(1));
        channels.ready(Instant::ZERO, &7, &endpoint(), &mut out);
        assert!(channels.is_dialling(&7) && !channels.is_open(&7));
        let until = channels.deadline().expect("a dial has a deadline");
        assert_eq!(until, Instant::ZERO + SETUP_TIMEOUT);
        assert_eq!(channels.expire(until, &mut rng, &mut out), [(7, alloc::vec![])]);
        assert!(channels.blocked_until(&7).is_some());
    }

    #[test]
    fn a_late_answer_closes_the_connection_and_fails_what_is_in_flight() {
        let (mut channels, mut out, mut rng) = (channels(), Effects::new(), Rng::from_number(1));
        let now = Instant::ZERO;
        channels.ready(now, &7, &endpoint(), &mut out);
        channels.opened(ConnId::outbound(1, 0));
        channels.send(&7, request(), now + Duration::from_secs(1), "first", &mut out);
        channels.send(&7, request(), now + Duration::from_secs(9), "second", &mut out);
        let late = now + Duration::from_secs(1);
        assert_eq!(channels.deadline(), Some(late));
        assert_eq!(
            channels.expire(late, &mut rng, &mut out),
            [(7, alloc::vec!["first", "second"])]
        );
        assert!(!channels.ready(late, &7, &endpoint(), &mut out), "the backoff holds");
        let until = channels.blocked_until(&7).expect("down");
        assert!(until >= late + Duration::from_millis(40));
        assert!(!channels.ready(until, &7, &endpoint(), &mut out));
        assert_eq!(channels.opened(ConnId::outbound(1, 1)), Some(7));
    }
}
