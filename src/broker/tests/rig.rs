//! A broker and what steps it.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::broker::lifecycle::Report;
use crate::broker::*;
use crate::config::{QuorumConfig, Voter};
use crate::defect::Defects;
use crate::ids::{Endpoint, LeaderEpoch, NodeId, Offset, PartitionEpoch, TopicId, TopicRef, Uuid};
use crate::machine::Survived;
use crate::message::cluster::BrokerRegistrationResponse;
use crate::message::fetch::{FetchPartition, FetchRequest, FetchedPartition, Isolation};
use crate::message::partition::LeaderRecovery;
use crate::message::produce::{Acks, ProducePartition, ProduceRequest};
use crate::message::raft::ReplicaKey;
use crate::message::transaction::TransactionVersion;
use crate::message::{Records, Request};
use crate::metadata::{BrokerImage, PartitionImage, TopicImage};
use crate::record::Builder;
use crate::time::{Duration, Timestamp};

pub fn endpoint(host: &str) -> Endpoint {
    Endpoint { host: host.into(), port: 9092 }
}

pub fn setup(node: i32) -> Arc<BrokerSetup> {
    let key = ReplicaKey { node: NodeId(100), directory: Uuid([100; 4]) };
    let server = ServerConfig {
        node: NodeId(node),
        cluster_id: "test".into(),
        endpoint: endpoint(&alloc::format!("b{node}")),
        rack: None,
        voters: Arc::new([Voter { key, endpoint: endpoint("c100") }]),
        quorum: QuorumConfig::default(),
        defects: Defects::NONE,
    };
    Arc::new(BrokerSetup { server: Arc::new(server), broker: BrokerConfig::default() })
}

pub const TOPIC: TopicId = Uuid([7; 4]);
pub const P0: PartitionId = PartitionId { topic: TOPIC, partition: 0 };
pub const CLIENT: ConnId = ConnId(1);

pub fn now() -> Now {
    Now { mono: Instant::ZERO, wall: Timestamp(1_000) }
}

pub fn later(by: Duration) -> Now {
    Now { mono: Instant::ZERO + by, wall: Timestamp(1_000) }
}

/// Brokers 1 and 2, registered with their own numbers as epochs.
pub fn image() -> Image {
    let mut image = Image::default();
    for node in [1, 2] {
        let broker = BrokerImage {
            epoch: BrokerEpoch(i64::from(node)),
            incarnation: Uuid::ZERO,
            directory: Uuid::ZERO,
            endpoint: endpoint(&alloc::format!("b{node}")),
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
        };
        image.brokers.insert(NodeId(node), broker);
    }
    image
}

/// A topic `t` with one partition on both brokers.
pub fn image_with(leader: i32, leader_epoch: i32, isr: &[NodeId]) -> Image {
    let mut image = image();
    let partition = PartitionImage {
        replicas: Arc::new([NodeId(1), NodeId(2)]),
        isr: isr.into(),
        elr: Arc::new([]),
        last_known_elr: Arc::new([]),
        leader: NodeId(leader),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(leader_epoch),
        recovery: LeaderRecovery::Recovered,
        adding: Arc::new([]),
        removing: Arc::new([]),
    };
    let partitions = vec![Arc::new(partition)];
    let topic = TopicImage { name: "t".into(), partitions, config: Arc::default() };
    image.topics.insert(TOPIC, topic);
    image.names.insert("t".into(), TOPIC);
    image
}

/// Broker 1 with that image.
pub fn broker(image: Image) -> Broker {
    let mut out = Effects::new();
    let mut broker = Broker::start(&setup(1), [1; 32], now(), Survived::default(), &mut out);
    register(&mut broker);
    publish(&mut broker, image, &mut out);
    broker
}

pub fn register(broker: &mut Broker) {
    let Report::Register(_) =
        broker.lifecycle.report(Instant::ZERO, &broker.setup, Offset::NONE, false)
    else {
        panic!("a new broker registers")
    };
    let answer = BrokerRegistrationResponse { error: ErrorCode::None, epoch: BrokerEpoch(1) };
    assert!(broker.lifecycle.registered(Instant::ZERO, &answer, &mut broker.rng));
}

pub fn publish(broker: &mut Broker, image: Image, out: &mut Effects) {
    broker.metadata.load(Offset(10), image, out);
    broker.settle(now(), out);
    broker.check();
}

pub fn step(broker: &mut Broker, now: Now, input: Input) -> Vec<Effect> {
    let mut out = Effects::new();
    broker.step(now, input, &mut out);
    broker.check();
    out.drain().filter(|effect| !matches!(effect, Effect::Note(_))).collect()
}

pub fn request(number: u32, request: Request) -> Input {
    let correlation = CorrelationId(number);
    Input::Request { from: CLIENT, correlation, request: Arc::new(request) }
}

pub fn batch(value: &[u8]) -> Bytes {
    let mut builder = Builder::new();
    builder.append(Timestamp(900), None, Some(value));
    builder.build()
}

pub fn produce(acks: Acks, name: &str) -> Request {
    let records = Records::Inline(vec![batch(b"x")]);
    Request::Produce(ProduceRequest {
        transactional_id: None,
        version: TransactionVersion::V2,
        acks,
        timeout: Duration::from_secs(3),
        partitions: vec![ProducePartition {
            topic: TopicRef::Name(name.into()),
            partition: 0,
            records,
        }],
    })
}

pub fn fetch(replica: Option<(NodeId, BrokerEpoch)>, offset: i64, epoch: i32) -> Request {
    Request::Fetch(FetchRequest {
        replica,
        max_wait: Duration::from_millis(500),
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation: Isolation::ReadUncommitted,
        partitions: vec![FetchPartition {
            topic: TopicRef::Id(TOPIC),
            partition: 0,
            current_leader_epoch: LeaderEpoch(epoch),
            fetch_offset: Offset(offset),
            last_fetched_epoch: LeaderEpoch(if offset > 0 { epoch } else { -1 }),
            log_start_offset: Offset(0),
            max_bytes: 1 << 20,
        }],
    })
}

pub fn response(effect: &Effect) -> (CorrelationId, &Response) {
    let Effect::Respond { to: CLIENT, correlation, response } = effect else {
        panic!("an answer, not {effect:?}")
    };
    (*correlation, response)
}

pub fn produced(effect: &Effect) -> (CorrelationId, ErrorCode, Offset) {
    let (correlation, Response::Produce(answer)) = response(effect) else { panic!("produce") };
    let [partition] = &answer.partitions[..] else { panic!("one partition") };
    (correlation, partition.error, partition.base_offset)
}

pub fn fetched(effect: &Effect) -> (CorrelationId, &FetchedPartition) {
    let (correlation, Response::Fetch(answer)) = response(effect) else { panic!("fetch") };
    let [partition] = &answer.partitions[..] else { panic!("one partition") };
    (correlation, partition)
}

pub const FOLLOWER: Option<(NodeId, BrokerEpoch)> = Some((NodeId(2), BrokerEpoch(2)));
pub const BOTH: &[NodeId] = &[NodeId(1), NodeId(2)];
