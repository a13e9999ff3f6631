//! What the tests of clients share: a cluster of two brokers with one topic, as metadata tells it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{
    CallId, ConnId, CorrelationId, Endpoint, LeaderEpoch, NodeId, ProducerEpoch, ProducerId,
    TopicId, TopicRef, Uuid,
};
use crate::machine::{Effect, Effects, Input, Machine};
use crate::message::metadata::{BrokerInfo, MetadataResponse, PartitionInfo, TopicInfo};
use crate::message::produce::InitProducerIdResponse;
use crate::message::{Request, Response};
use crate::op::{Op, Outcome};
use crate::time::{Duration, Instant, Now, Timestamp};

pub fn endpoint(node: i32) -> Endpoint {
    Endpoint {
        host: alloc::format!("b{node}").into(),
        port: u16::try_from(9090 + node).expect("a small number"),
    }
}

pub fn topic_id() -> TopicId {
    Uuid([7, 7, 7, 7])
}

pub fn topic_ref() -> TopicRef {
    TopicRef::Id(topic_id())
}

/// Two brokers, 1 and 2, and topic `orders` with these leaders and epochs by partition.
pub fn metadata(leaders: &[(i32, i32)]) -> MetadataResponse {
    let broker = |node| BrokerInfo {
        node: NodeId(node),
        endpoint: endpoint(node),
        rack: None,
        fenced: false,
    };
    let replicas: Arc<[NodeId]> = [NodeId(1), NodeId(2)].into();
    let partitions: Vec<PartitionInfo> = leaders
        .iter()
        .zip(0..)
        .map(|(&(leader, epoch), partition)| PartitionInfo {
            error: ErrorCode::None,
            partition,
            leader: NodeId(leader),
            leader_epoch: LeaderEpoch(epoch),
            replicas: Arc::clone(&replicas),
            isr: Arc::clone(&replicas),
            offline: Vec::new(),
        })
        .collect();
    MetadataResponse {
        cluster_id: "test".into(),
        controller: NodeId(1),
        brokers: [broker(1), broker(2)].into(),
        topics: [TopicInfo {
            error: ErrorCode::None,
            name: Some("orders".into()),
            id: topic_id(),
            partitions,
        }]
        .into(),
    }
}

/// The same, as another incarnation of the topic.
pub fn with_topic(mut response: MetadataResponse, id: u32) -> MetadataResponse {
    response.topics[0].id = Uuid([id; 4]);
    response
}

/// A client on a scripted cluster: dials succeed, metadata and producer ids are answered; the rest
/// is the test's to answer.
#[derive(Clone)]
pub struct Script<M> {
    pub machine: M,
    pub now: Now,
    pub metadata: MetadataResponse,
    pub unanswered: VecDeque<Asked>,
    pub returned: Vec<(u64, Outcome)>,
    ports: BTreeMap<ConnId, u16>,
}

/// A request that the script has not answered.
#[derive(Clone, Debug)]
pub struct Asked {
    pub conn: ConnId,
    pub correlation: CorrelationId,
    /// The asked broker.
    pub node: i32,
    pub request: Arc<Request>,
}

impl<M: Machine> Script<M> {
    pub fn new(start: impl FnOnce(Now, &mut Effects) -> M, leaders: &[(i32, i32)]) -> Self {
        let now = Now { mono: Instant::ZERO + secs(1), wall: Timestamp(1_000) };
        let mut out = Effects::new();
        let machine = start(now, &mut out);
        let mut script = Script {
            machine,
            now,
            metadata: metadata(leaders),
            unanswered: VecDeque::new(),
            returned: Vec::new(),
            ports: BTreeMap::new(),
        };
        script.step(Input::Wake);
        script
    }

    /// One input, and whatever follows from the scripted answers.
    pub fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Effects::new();
            self.machine.step(self.now, input, &mut out);
            for effect in out.drain() {
                inputs.extend(self.carry_out(effect));
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        if let Effect::Connect { conn, to } = effect {
            self.ports.insert(conn, to.port);
            return Some(Input::Opened { conn });
        }
        if let Effect::Return { call, outcome } = effect {
            self.returned.push((call.0, outcome));
            return None;
        }
        let Effect::Send { conn, correlation, request } = effect else { return None };
        let response = if matches!(&*request, Request::Metadata(_)) {
            Response::Metadata(self.metadata.clone())
        } else if let Request::InitProducerId(asked) = &*request
            && asked.transactional_id.is_none()
        {
            Response::InitProducerId(InitProducerIdResponse {
                error: ErrorCode::None,
                producer_id: ProducerId(7),
                producer_epoch: ProducerEpoch(0),
            })
        } else {
            let node = i32::from(self.ports[&conn]) - 9090;
            self.unanswered.push_back(Asked { conn, correlation, node, request });
            return None;
        };
        Some(Input::Response { conn, correlation, response: Arc::new(response) })
    }

    pub fn call(&mut self, call: u64, op: Op) {
        self.step(Input::Call { call: CallId(call), op: Arc::new(op) });
    }

    /// Lets time pass, with a wake at each deadline on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some(at) = self.machine.deadline().filter(|at| *at <= end) {
            assert!(at > self.now.mono || self.now.mono == end, "no wake without progress");
            self.set_now(at);
            self.step(Input::Wake);
            if at == end {
                break;
            }
        }
        self.set_now(end);
    }

    fn set_now(&mut self, at: Instant) {
        let passed = at.since(self.now.mono);
        self.now = Now { mono: at, wall: self.now.wall.saturating_add(passed) };
    }

    /// The oldest request without an answer.
    pub fn asked(&mut self) -> Asked {
        self.unanswered.pop_front().expect("a request waits for its answer")
    }

    pub fn answer(&mut self, asked: &Asked, response: Response) {
        let Asked { conn, correlation, .. } = *asked;
        self.step(Input::Response { conn, correlation, response: Arc::new(response) });
    }

    /// A connection breaks; its unanswered requests are gone.
    pub fn hang_up(&mut self, conn: ConnId) {
        self.unanswered.retain(|asked| asked.conn != conn);
        self.step(Input::Closed { conn });
    }

    /// Takes what the calls have returned since the last time.
    pub fn take_returned(&mut self) -> Vec<(u64, Outcome)> {
        core::mem::take(&mut self.returned)
    }
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
