//! Toy nodes: all they do is to send, so that what is measured is the world.

use std::sync::Arc;

use seedlog::error::ErrorCode;
use seedlog::ids::{BrokerEpoch, ConnId, CorrelationId, Endpoint, NodeId, Offset};
use seedlog::machine::{Effect, Effects, Input, Machine, Survived};
use seedlog::message::cluster::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use seedlog::message::{Request, Response};
use seedlog::time::{Instant, Now};

use crate::world::{self, Seed, World, WorldConfig};

/// Brokers that a request is copied to before it is answered.
const COPIES: usize = 2;
/// Brokers that a client talks to.
const FAN: u32 = 5;

#[derive(Clone)]
pub(super) enum Config {
    Client { servers: Arc<[Endpoint]>, in_flight: u32 },
    Broker { followers: Arc<[Endpoint]> },
}

#[derive(Clone)]
pub(super) enum Node {
    Client(Client),
    Broker(Broker),
}

/// Keeps requests in flight, and sends the next one when one is answered.
#[derive(Clone)]
pub(super) struct Client {
    servers: Arc<[Endpoint]>,
    in_flight: u32,
    sent: u32,
    request: Arc<Request>,
}

/// Copies each request to its followers, and answers it when they have.
#[derive(Clone)]
pub(super) struct Broker {
    followers: Arc<[Endpoint]>,
    pending: Vec<Pending>,
    free: Vec<u32>,
    copy: Arc<Request>,
    response: Arc<Response>,
}

#[derive(Clone)]
struct Pending {
    from: ConnId,
    correlation: CorrelationId,
    missing: usize,
}

/// A request of a client, or with `is_copy` one of a broker.
fn request(is_copy: bool) -> Arc<Request> {
    Arc::new(Request::BrokerHeartbeat(BrokerHeartbeatRequest {
        node: NodeId(1),
        epoch: BrokerEpoch(1),
        metadata_offset: Offset(1),
        want_fence: is_copy,
        want_shutdown: false,
    }))
}

fn response() -> Arc<Response> {
    Arc::new(Response::BrokerHeartbeat(BrokerHeartbeatResponse {
        error: ErrorCode::None,
        caught_up: true,
        fenced: false,
        should_shutdown: false,
    }))
}

fn conn(index: usize) -> ConnId {
    ConnId::outbound(1, u64::try_from(index).expect("an index fits"))
}

/// Opens a connection to each peer.
fn connect(peers: &[Endpoint], out: &mut Effects) {
    for (index, to) in peers.iter().enumerate() {
        out.push(Effect::Connect { conn: conn(index), to: to.clone() });
    }
}

impl Client {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a toy")]
    fn step(&mut self, input: Input, out: &mut Effects) {
        match input {
            Input::Response { conn, .. } => self.send(conn, out),
            Input::Opened { conn } => {
                let servers = u32::try_from(self.servers.len()).expect("few");
                (0..self.in_flight.div_ceil(servers)).for_each(|_| self.send(conn, out));
            }
            Input::Wake => connect(&self.servers, out),
            _ => {}
        }
    }

    fn send(&mut self, conn: ConnId, out: &mut Effects) {
        let correlation = CorrelationId(self.sent);
        self.sent = self.sent.wrapping_add(1);
        out.push(Effect::Send { conn, correlation, request: Arc::clone(&self.request) });
    }
}

impl Broker {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a toy")]
    fn step(&mut self, input: Input, out: &mut Effects) {
        match input {
            Input::Request { from, correlation, request } => {
                let Request::BrokerHeartbeat(request) = request.as_ref() else { return };
                self.take(from, correlation, request.want_fence, out);
            }
            Input::Response { correlation, .. } => self.copied(correlation, out),
            Input::Wake => connect(&self.followers, out),
            _ => {}
        }
    }

    fn take(&mut self, from: ConnId, correlation: CorrelationId, is_copy: bool, out: &mut Effects) {
        if is_copy || self.followers.is_empty() {
            let response = Arc::clone(&self.response);
            out.push(Effect::Respond { to: from, correlation, response });
            return;
        }
        let pending = Pending { from, correlation, missing: self.followers.len() };
        let index = self.free.pop().unwrap_or_else(|| {
            self.pending.push(pending.clone());
            u32::try_from(self.pending.len() - 1).expect("few")
        });
        self.pending[usize::try_from(index).expect("an index fits")] = pending;
        for follower in 0..self.followers.len() {
            let request = Arc::clone(&self.copy);
            let correlation = CorrelationId(index);
            out.push(Effect::Send { conn: conn(follower), correlation, request });
        }
    }

    fn copied(&mut self, correlation: CorrelationId, out: &mut Effects) {
        let pending = &mut self.pending[usize::try_from(correlation.0).expect("an index fits")];
        pending.missing -= 1;
        if pending.missing == 0 {
            let response = Arc::clone(&self.response);
            let Pending { from, correlation: asked, .. } = *pending;
            out.push(Effect::Respond { to: from, correlation: asked, response });
            self.free.push(correlation.0);
        }
    }
}

impl Machine for Node {
    fn step(&mut self, _now: Now, input: Input, out: &mut Effects) {
        match self {
            Node::Client(client) => client.step(input, out),
            Node::Broker(broker) => broker.step(input, out),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl world::Node for Node {
    type Config = Config;

    fn start(
        config: &Config,
        _seed: [u8; 32],
        _now: Now,
        _survived: Survived,
        _out: &mut Effects,
    ) -> Self {
        match config {
            Config::Client { servers, in_flight } => Node::Client(Client {
                servers: Arc::clone(servers),
                in_flight: *in_flight,
                sent: 0,
                request: request(false),
            }),
            Config::Broker { followers } => Node::Broker(Broker {
                followers: Arc::clone(followers),
                pending: Vec::new(),
                free: Vec::new(),
                copy: request(true),
                response: response(),
            }),
        }
    }
}

/// Brokers, each with up to two of the others as followers, and clients, each of up to five
/// brokers.
pub(super) fn world(brokers: u32, clients: u32, in_flight: u32) -> World<Node> {
    let mut world = World::new(Seed(1), WorldConfig::default());
    let endpoint =
        |index: u32| Endpoint { host: format!("b{}", index % brokers).into(), port: 9092 };
    for broker in 0..brokers {
        let others = 1..brokers;
        let followers = others.take(COPIES).map(|next| endpoint(broker + next)).collect();
        world.add(&format!("b{broker}"), Config::Broker { followers });
    }
    for client in 0..clients {
        let servers = (0..FAN.min(brokers)).map(|next| endpoint(client + next)).collect();
        world.add(&format!("k{client}"), Config::Client { servers, in_flight });
    }
    for process in world.processes() {
        world.start(process, &mut ());
    }
    world
}
