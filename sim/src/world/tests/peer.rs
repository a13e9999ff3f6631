//! A scripted process: it remembers what it saw, and answers as its test says.
#![expect(clippy::wildcard_enum_match_arm, reason = "a script looks at a few inputs only")]

use std::sync::Arc;

use bytes::Bytes;
use seedlog::error::ErrorCode;
use seedlog::ids::{BrokerEpoch, CallId, ConnId, CorrelationId, Endpoint, LogId, NodeId, Offset};
use seedlog::ids::{LeaderEpoch, LogPoint, TopicRef};
use seedlog::machine::{Effect, Effects, Input, Machine, Survived};
use seedlog::message::cluster::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use seedlog::message::produce::{Acks, ProducePartition, ProduceRequest};
use seedlog::message::transaction::TransactionVersion;
use seedlog::message::{Records, Request, Response};
use seedlog::op::Op;
use seedlog::time::{Duration, Instant, Now};

use crate::world::{Node, ProcessId, Seed, World, WorldConfig};

/// What a peer does with an input.
pub(super) type Script = fn(&mut Peer, &Input, &mut Effects);

#[derive(Clone)]
pub(super) struct Peer {
    pub(super) script: Script,
    pub(super) seen: Vec<(Now, Input)>,
    pub(super) deadline: Option<Instant>,
    listens: bool,
    pub(super) survived: Survived,
    pub(super) seed: [u8; 32],
    pub(super) started: Instant,
}

impl Machine for Peer {
    fn step(&mut self, now: Now, input: Input, out: &mut Effects) {
        (self.script)(self, &input, out);
        self.seen.push((now, input));
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn listens(&self) -> bool {
        self.listens
    }
}

impl Node for Peer {
    type Config = Script;

    fn start(
        script: &Script,
        seed: [u8; 32],
        now: Now,
        survived: Survived,
        _out: &mut Effects,
    ) -> Self {
        Peer {
            script: *script,
            seen: Vec::new(),
            deadline: None,
            listens: true,
            survived,
            seed,
            started: now.mono,
        }
    }
}

/// The connection that [`client`] opens.
pub(super) const CONN: ConnId = ConnId(1 << 56);
pub(super) const LOG: LogId = LogId(1);

pub(super) fn endpoint(name: &str) -> Endpoint {
    Endpoint { host: name.into(), port: 9092 }
}

/// A heartbeat whose offset is a number to know it by.
pub(super) fn numbered(number: i64) -> Arc<Request> {
    Arc::new(Request::BrokerHeartbeat(BrokerHeartbeatRequest {
        node: NodeId(1),
        epoch: BrokerEpoch(1),
        metadata_offset: Offset(number),
        want_fence: false,
        want_shutdown: false,
    }))
}

/// The numbers of the requests that a peer has got, in order.
pub(super) fn numbers(world: &World<Peer>, process: ProcessId) -> Vec<i64> {
    let node = world.node(process).expect("up");
    let requests = node.seen.iter().filter_map(|(_, input)| match input {
        Input::Request { request, .. } => Some(request),
        _ => None,
    });
    requests
        .filter_map(|request| match request.as_ref() {
            Request::BrokerHeartbeat(request) => Some(request.metadata_offset.0),
            _ => None,
        })
        .collect()
}

pub(super) fn count(world: &World<Peer>, process: ProcessId, matches: fn(&Input) -> bool) -> usize {
    let node = world.node(process).expect("up");
    node.seen.iter().filter(|(_, input)| matches(input)).count()
}

pub(super) fn is_closed(input: &Input) -> bool {
    matches!(input, Input::Closed { .. })
}

pub(super) fn is_response(input: &Input) -> bool {
    matches!(input, Input::Response { .. })
}

/// Wakes once more, a second after its start.
pub(super) fn sleeper(peer: &mut Peer, input: &Input, _: &mut Effects) {
    if let Input::Wake = input {
        peer.deadline = match peer.deadline {
            None => Some(peer.started + Duration::from_secs(1)),
            Some(_) => Some(Instant::FAR),
        };
    }
}

/// Answers every request.
pub(super) fn server(_: &mut Peer, input: &Input, out: &mut Effects) {
    if let Input::Request { from, correlation, .. } = input {
        let response = Response::BrokerHeartbeat(BrokerHeartbeatResponse {
            error: ErrorCode::None,
            caught_up: true,
            fenced: false,
            should_shutdown: false,
        });
        let response = Arc::new(response);
        out.push(Effect::Respond { to: *from, correlation: *correlation, response });
    }
}

/// Opens its port at the first call.
pub(super) fn late(peer: &mut Peer, input: &Input, _: &mut Effects) {
    peer.listens = matches!(input, Input::Call { .. });
}

/// Connects to `server` at once, and again when told; call N sends heartbeat N, a negative call
/// does something else: see the constants below.
pub(super) fn client(_: &mut Peer, input: &Input, out: &mut Effects) {
    match input {
        Input::Wake => out.push(Effect::Connect { conn: CONN, to: endpoint("server") }),
        Input::Call { call: RECONNECT, .. } => {
            out.push(Effect::Close { conn: CONN });
            out.push(Effect::Connect { conn: ConnId(CONN.0 + 1), to: endpoint("server") });
        }
        Input::Call { call: SEND_ON_NEW, .. } => {
            let (conn, correlation) = (ConnId(CONN.0 + 1), CorrelationId(0));
            out.push(Effect::Send { conn, correlation, request: numbered(1_000) });
        }
        Input::Call { call: PRODUCE, .. } => {
            let correlation = CorrelationId(0);
            out.push(Effect::Send { conn: CONN, correlation, request: produce() });
        }
        Input::Call { call, .. } => {
            let number = i64::try_from(call.0).expect("small");
            let correlation = CorrelationId(u32::try_from(call.0).expect("small"));
            out.push(Effect::Send { conn: CONN, correlation, request: numbered(number) });
        }
        _ => {}
    }
}

pub(super) const RECONNECT: CallId = CallId(u64::MAX);
pub(super) const SEND_ON_NEW: CallId = CallId(u64::MAX - 1);
pub(super) const PRODUCE: CallId = CallId(u64::MAX - 2);

pub(super) const SAVE: CallId = CallId(u64::MAX - 3);
pub(super) const HALT: CallId = CallId(u64::MAX - 4);

/// What [`SAVE`] writes.
pub(super) const NEW: &[u8] = b"the new content";

/// A batch of zeroes.
pub(super) fn produce() -> Arc<Request> {
    let partition = ProducePartition {
        topic: TopicRef::Name("t".into()),
        partition: 0,
        records: Records::Inline(vec![Bytes::from(vec![0; 100])]),
    };
    Arc::new(Request::Produce(ProduceRequest {
        transactional_id: None,
        version: TransactionVersion::V2,
        acks: Acks::All,
        timeout: Duration::from_secs(1),
        partitions: vec![partition],
    }))
}

/// Creates a log at the first start. Call 0 flushes; call N appends the batch at N - 1 to it.
pub(super) fn writer(peer: &mut Peer, input: &Input, out: &mut Effects) {
    match input {
        Input::Wake if peer.survived.logs.is_empty() => {
            let name = Arc::new(seedlog::machine::LogName::Metadata);
            out.push(Effect::Create { log: LOG, name });
        }
        Input::Call { call: CallId(0), .. } => out.push(Effect::Flush { log: LOG, upto: upto() }),
        Input::Call { call: SAVE, .. } => {
            let file = seedlog::machine::FileKey::HighWatermarks;
            out.push(Effect::Save { file, value: Bytes::from_static(NEW) });
        }
        Input::Call { call: HALT, .. } => {
            out.push(Effect::Halt);
            out.push(Effect::Remove { log: LOG });
        }
        Input::Call { call: CallId(number), .. } if *number < 1_000 => {
            let base = Offset(i64::try_from(number - 1).expect("small"));
            let fill = u8::try_from(*number).expect("small");
            out.push(Effect::Append { log: LOG, base, batch: Bytes::from(vec![fill; 40]) });
        }
        _ => {}
    }
}

pub(super) fn upto() -> LogPoint {
    LogPoint { epoch: LeaderEpoch(0), offset: Offset(9) }
}

pub(super) fn call(world: &mut World<Peer>, process: ProcessId, call: CallId) {
    world.call(process, call, Arc::new(Op::Flush));
}

pub(super) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A server and a client with an open connection.
pub(super) fn pair(seed: u64) -> (World<Peer>, ProcessId, ProcessId) {
    let mut world = World::new(Seed(seed), WorldConfig::default());
    let server = add(&mut world, "server", server);
    let client = add(&mut world, "client", client);
    world.start(server, &mut ());
    world.start(client, &mut ());
    world.run_for(millis(10), &mut ());
    assert_eq!(count(&world, client, |input| matches!(input, Input::Opened { .. })), 1);
    (world, server, client)
}

/// Sends requests `numbers` from the client, all at once.
pub(super) fn send(
    world: &mut World<Peer>,
    client: ProcessId,
    numbers: std::ops::RangeInclusive<u64>,
) {
    numbers.for_each(|number| call(world, client, CallId(number)));
}

/// One process with a log, with a script of its own.
pub(super) fn disk(seed: u64, script: Script) -> (World<Peer>, ProcessId) {
    let mut world = World::new(Seed(seed), WorldConfig::default());
    let process = add(&mut world, "writer", script);
    world.start(process, &mut ());
    world.run_for(millis(1), &mut ());
    (world, process)
}

pub(super) fn add(world: &mut World<Peer>, name: &str, script: Script) -> ProcessId {
    world.add(name, script)
}
