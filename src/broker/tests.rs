//! Whole steps of a broker.

mod answers;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::broker::lifecycle::Report;
use crate::config::{QuorumConfig, Voter};
#[cfg(feature = "defects")]
use crate::defect::Defect;
use crate::defect::Defects;
use crate::ids::{
    Endpoint, LeaderEpoch, LogPoint, NodeId, Offset, PartitionEpoch, ProducerEpoch, ProducerId,
    TopicId, TopicRef, Uuid,
};
use crate::machine::{FileKey, LogName, Survived, SurvivedLog};
use crate::message::cluster::{
    AllocateProducerIdsResponse, BrokerHeartbeatResponse, BrokerRegistrationResponse,
    UnregisterBrokerRequest, UnregisterBrokerResponse,
};
use crate::message::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchedPartition, Isolation,
};
use crate::message::metadata::MetadataRequest;
use crate::message::partition::{AlterPartitionResponse, AlteredPartition, LeaderRecovery};
use crate::message::produce::{
    Acks, InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest,
};
use crate::message::raft::ReplicaKey;
use crate::message::transaction::TransactionVersion;
use crate::message::{Records, Request};
use crate::metadata::{BrokerImage, PartitionImage, TopicImage};
use crate::record::Builder;
use crate::time::{Duration, Timestamp};

pub(super) fn endpoint(host: &str) -> Endpoint {
    Endpoint { host: host.into(), port: 9092 }
}

pub(super) fn setup(node: i32) -> Arc<BrokerSetup> {
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

const TOPIC: TopicId = Uuid([7; 4]);
const P0: PartitionId = PartitionId { topic: TOPIC, partition: 0 };
const CLIENT: ConnId = ConnId(1);

fn now() -> Now {
    Now { mono: Instant::ZERO, wall: Timestamp(1_000) }
}

fn later(by: Duration) -> Now {
    Now { mono: Instant::ZERO + by, wall: Timestamp(1_000) }
}

/// Brokers 1 and 2, registered with their own numbers as epochs.
fn image() -> Image {
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
fn image_with(leader: i32, leader_epoch: i32, isr: &[NodeId]) -> Image {
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
fn broker(image: Image) -> Broker {
    let mut out = Effects::new();
    let mut broker = Broker::start(&setup(1), [1; 32], now(), Survived::default(), &mut out);
    register(&mut broker);
    publish(&mut broker, image, &mut out);
    broker
}

fn register(broker: &mut Broker) {
    let Report::Register(_) =
        broker.lifecycle.report(Instant::ZERO, &broker.setup, Offset::NONE, false)
    else {
        panic!("a new broker registers")
    };
    let answer = BrokerRegistrationResponse { error: ErrorCode::None, epoch: BrokerEpoch(1) };
    assert!(broker.lifecycle.registered(Instant::ZERO, &answer, &mut broker.rng));
}

fn publish(broker: &mut Broker, image: Image, out: &mut Effects) {
    broker.metadata.load(Offset(10), image, out);
    broker.settle(now(), out);
    broker.check();
}

fn step(broker: &mut Broker, now: Now, input: Input) -> Vec<Effect> {
    let mut out = Effects::new();
    broker.step(now, input, &mut out);
    broker.check();
    out.drain().filter(|effect| !matches!(effect, Effect::Note(_))).collect()
}

fn request(number: u32, request: Request) -> Input {
    let correlation = CorrelationId(number);
    Input::Request { from: CLIENT, correlation, request: Arc::new(request) }
}

fn batch(value: &[u8]) -> Bytes {
    let mut builder = Builder::new();
    builder.append(Timestamp(900), None, Some(value));
    builder.build()
}

fn produce(acks: Acks, name: &str) -> Request {
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

fn fetch(replica: Option<(NodeId, BrokerEpoch)>, offset: i64, epoch: i32) -> Request {
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

fn response(effect: &Effect) -> (CorrelationId, &Response) {
    let Effect::Respond { to: CLIENT, correlation, response } = effect else {
        panic!("an answer, not {effect:?}")
    };
    (*correlation, response)
}

fn produced(effect: &Effect) -> (CorrelationId, ErrorCode, Offset) {
    let (correlation, Response::Produce(answer)) = response(effect) else { panic!("produce") };
    let [partition] = &answer.partitions[..] else { panic!("one partition") };
    (correlation, partition.error, partition.base_offset)
}

fn fetched(effect: &Effect) -> (CorrelationId, &FetchedPartition) {
    let (correlation, Response::Fetch(answer)) = response(effect) else { panic!("fetch") };
    let [partition] = &answer.partitions[..] else { panic!("one partition") };
    (correlation, partition)
}

const FOLLOWER: Option<(NodeId, BrokerEpoch)> = Some((NodeId(2), BrokerEpoch(2)));
const BOTH: &[NodeId] = &[NodeId(1), NodeId(2)];

#[test]
fn a_blank_disk_gets_an_identity_and_keeps_it() {
    let mut out = Effects::new();
    let broker = Broker::start(&setup(1), [1; 32], now(), Survived::default(), &mut out);
    let saved = |effect: &Effect| {
        let Effect::Save { file: FileKey::MetaProperties, value } = effect else { return None };
        Some(value.clone())
    };
    let file = out.as_slice().iter().find_map(saved).expect("the identity is written");
    let survived = Survived { files: vec![(FileKey::MetaProperties, file)], logs: vec![] };
    let mut out = Effects::new();
    let again = Broker::start(&setup(1), [2; 32], now(), survived, &mut out);
    assert_eq!(out.as_slice().iter().find_map(saved), None);
    assert_eq!(broker.replicas().count() + again.replicas().count(), 0);
}

#[test]
fn acks_1_is_answered_after_the_append() {
    let mut broker = broker(image_with(1, 0, BOTH));
    let effects = step(&mut broker, now(), request(5, produce(Acks::Leader, "t")));
    let [Effect::Append { base: Offset(0), .. }, answer] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(produced(answer), (CorrelationId(5), ErrorCode::None, Offset(0)));
}

#[test]
fn acks_all_waits_for_the_follower() {
    let mut broker = broker(image_with(1, 0, BOTH));
    let effects = step(&mut broker, now(), request(1, produce(Acks::All, "t")));
    assert!(matches!(&effects[..], [Effect::Append { .. }]), "{effects:?}");
    // The follower's first fetch gets the record; the next proves that it holds it.
    let effects = step(&mut broker, now(), request(2, fetch(FOLLOWER, 0, 0)));
    assert_eq!(effects.len(), 1);
    assert!(matches!(fetched(&effects[0]).1.records, Records::Stored(_)));
    let effects = step(&mut broker, now(), request(3, fetch(FOLLOWER, 1, 0)));
    assert_eq!(effects.len(), 1, "the follower's own fetch waits for more: {effects:?}");
    assert_eq!(produced(&effects[0]), (CorrelationId(1), ErrorCode::None, Offset(0)));
}

#[test]
fn acks_all_that_nobody_follows_times_out() {
    let mut broker = broker(image_with(1, 0, BOTH));
    step(&mut broker, now(), request(1, produce(Acks::All, "t")));
    let late = later(Duration::from_secs(3));
    let effects = step(&mut broker, late, Input::Wake);
    let answers: Vec<_> =
        effects.iter().filter(|effect| matches!(effect, Effect::Respond { .. })).collect();
    let [answer] = answers[..] else { panic!("{effects:?}") };
    assert_eq!(produced(answer), (CorrelationId(1), ErrorCode::RequestTimedOut, Offset(0)));
}

#[test]
fn the_port_opens_with_the_first_heartbeat_that_says_unfenced() {
    let mut broker = broker(image());
    assert!(!broker.listens());
    let _ = broker.lifecycle.report(Instant::ZERO, &broker.setup, Offset(10), true);
    let answer = BrokerHeartbeatResponse {
        error: ErrorCode::None,
        caught_up: true,
        fenced: false,
        should_shutdown: false,
    };
    let interval = Duration::from_secs(2);
    broker.lifecycle.heartbeat_answered(Instant::ZERO, &answer, interval, &mut broker.rng);
    assert!(broker.listens());
}

#[test]
fn acks_0_has_no_answer_and_an_error_hangs_up() {
    let mut broker = broker(image_with(1, 0, BOTH));
    let effects = step(&mut broker, now(), request(1, produce(Acks::None, "t")));
    assert!(matches!(&effects[..], [Effect::Append { .. }]), "{effects:?}");
    let effects = step(&mut broker, now(), request(2, produce(Acks::None, "other")));
    assert_eq!(effects, [Effect::Close { conn: CLIENT }]);
}

#[test]
fn a_broker_that_does_not_lead_says_who_does() {
    let mut broker = broker(image_with(2, 4, BOTH));
    let effects = step(&mut broker, now(), request(1, produce(Acks::All, "t")));
    let (_, Response::Produce(answer)) = response(&effects[0]) else { panic!("produce") };
    assert_eq!(answer.partitions[0].error, ErrorCode::NotLeaderOrFollower);
    assert_eq!(answer.partitions[0].current_leader, Some((NodeId(2), LeaderEpoch(4))));
    let effects = step(&mut broker, now(), request(2, produce(Acks::All, "other")));
    assert_eq!(produced(&effects[0]).1, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn a_follower_is_told_of_a_record_and_a_consumer_of_a_committed_one() {
    let mut broker = broker(image_with(1, 0, BOTH));
    assert_eq!(step(&mut broker, now(), request(1, fetch(FOLLOWER, 0, 0))), []);
    assert_eq!(step(&mut broker, now(), request(2, fetch(None, 0, 0))), []);
    let effects = step(&mut broker, now(), request(3, produce(Acks::All, "t")));
    let [Effect::Append { .. }, answer] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(fetched(answer).0, CorrelationId(1), "only the follower may see it");
    let effects = step(&mut broker, now(), request(4, fetch(FOLLOWER, 1, 0)));
    let [acked, answer] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(produced(acked).0, CorrelationId(3));
    assert_eq!(fetched(answer).0, CorrelationId(2));
    assert_eq!(fetched(answer).1.high_watermark, Offset(1));
}

#[test]
fn a_parked_fetch_is_answered_empty_when_its_time_is_over() {
    let mut broker = broker(image_with(1, 0, BOTH));
    assert_eq!(step(&mut broker, now(), request(1, fetch(None, 0, 0))), []);
    let deadline = broker.deadline().expect("somebody waits");
    assert!(deadline <= Instant::ZERO + Duration::from_millis(500));
    let effects = step(&mut broker, later(Duration::from_millis(500)), Input::Wake);
    let (correlation, partition) = fetched(&effects[0]);
    assert_eq!((correlation, partition.error), (CorrelationId(1), ErrorCode::None));
    assert_eq!(partition.records, Records::EMPTY);
}

#[test]
fn who_waits_hears_of_a_lost_leadership_at_once() {
    let mut broker = broker(image_with(1, 0, BOTH));
    step(&mut broker, now(), request(1, fetch(None, 0, 0)));
    step(&mut broker, now(), request(2, produce(Acks::All, "t")));
    let mut out = Effects::new();
    publish(&mut broker, image_with(2, 1, BOTH), &mut out);
    let answers: Vec<Effect> =
        out.drain().filter(|effect| matches!(effect, Effect::Respond { .. })).collect();
    let [acked, read] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(produced(acked), (CorrelationId(2), ErrorCode::NotLeaderOrFollower, Offset::NONE));
    assert_eq!(fetched(read).1.error, ErrorCode::FencedLeaderEpoch);
}

#[test]
fn a_client_that_hangs_up_is_not_answered() {
    let mut broker = broker(image_with(1, 0, BOTH));
    step(&mut broker, now(), request(1, fetch(None, 0, 0)));
    assert_eq!(step(&mut broker, now(), Input::Closed { conn: CLIENT }), []);
    step(&mut broker, now(), request(3, produce(Acks::Leader, "t")));
    let effects = step(&mut broker, now(), request(4, fetch(FOLLOWER, 1, 0)));
    assert_eq!(effects, [], "the commit completes nobody");
}

/// The answer that a leader gives to a follower's fetch.
fn leaders_answer(number: u32, conn: ConnId, records: Records, high_watermark: i64) -> Input {
    let partition = FetchedPartition {
        topic: TopicRef::Id(TOPIC),
        partition: 0,
        error: ErrorCode::None,
        high_watermark: Offset(high_watermark),
        last_stable_offset: Offset(high_watermark),
        log_start_offset: Offset(0),
        diverging: None,
        current_leader: None,
        aborted: vec![],
        records,
    };
    let response = FetchResponse { error: ErrorCode::None, partitions: vec![partition] };
    let correlation = CorrelationId(number);
    Input::Response { conn, correlation, response: Arc::new(Response::Fetch(response)) }
}

#[test]
fn a_follower_fetches_appends_and_fetches_on() {
    let mut out = Effects::new();
    let mut broker = broker(image());
    publish(&mut broker, image_with(2, 3, BOTH), &mut out);
    let conn = ConnId::outbound(fetcher::SPACE, 0);
    assert!(out.as_slice().contains(&Effect::Connect { conn, to: endpoint("b2") }));
    let effects = step(&mut broker, now(), Input::Opened { conn });
    let sent = |effects: &[Effect]| {
        let Some(Effect::Send { request, .. }) = effects.last() else { panic!("{effects:?}") };
        let Request::Fetch(fetch) = &**request else { panic!("{request:?}") };
        assert_eq!(fetch.replica, Some((NodeId(1), BrokerEpoch(1))));
        (fetch.partitions[0].current_leader_epoch, fetch.partitions[0].fetch_offset)
    };
    assert_eq!(sent(&effects), (LeaderEpoch(3), Offset(0)));
    let stored = crate::record::stamp(&batch(b"x"), Offset(0), LeaderEpoch(3));
    let answer = leaders_answer(0, conn, Records::Inline(vec![stored.clone()]), 0);
    let effects = step(&mut broker, now(), answer);
    let appended =
        |effect: &Effect| matches!(effect, Effect::Append { batch, .. } if *batch == stored);
    assert!(effects.iter().any(appended), "{effects:?}");
    assert_eq!(sent(&effects), (LeaderEpoch(3), Offset(1)));
    let effects = step(&mut broker, now(), leaders_answer(1, conn, Records::EMPTY, 1));
    assert_eq!(sent(&effects), (LeaderEpoch(3), Offset(1)));
    assert_eq!(broker.replica(P0).expect("hosted").high_watermark(), Offset(1));
}

#[test]
fn a_lost_fetch_makes_its_partitions_rest() {
    let mut broker = broker(image_with(2, 3, BOTH));
    let conn = ConnId::outbound(fetcher::SPACE, 0);
    step(&mut broker, now(), Input::Opened { conn });
    assert_eq!(step(&mut broker, now(), Input::Closed { conn }), []);
    let rest = broker.setup.broker.replica_fetch_backoff;
    assert_eq!(broker.partitions.deadline(), Some(Instant::ZERO + rest));
}

#[test]
fn a_lost_connection_is_dialled_again_after_a_backoff() {
    let mut broker = broker(image_with(2, 3, BOTH));
    let conn = ConnId::outbound(fetcher::SPACE, 0);
    assert_eq!(step(&mut broker, now(), Input::Closed { conn }), []);
    let at = broker.fetchers.deadline().expect("a dial is due");
    assert!(at > Instant::ZERO);
    let effects = step(&mut broker, Now { mono: at, wall: Timestamp(0) }, Input::Wake);
    let conn = ConnId::outbound(fetcher::SPACE, 1);
    assert!(effects.contains(&Effect::Connect { conn, to: endpoint("b2") }), "{effects:?}");
}

fn survived(topic: TopicId) -> Survived {
    let id = PartitionId { topic, partition: 0 };
    let name = Arc::new(LogName::Partition { topic: "t".into(), id });
    let stored = crate::record::stamp(&batch(b"old"), Offset(0), LeaderEpoch(0));
    let log = SurvivedLog { log: LogId(4), name, chunks: vec![stored] };
    Survived { files: vec![], logs: vec![log] }
}

fn restarted(topic: TopicId, defects: Defects) -> (Broker, Vec<Effect>) {
    let mut setup = (*setup(1)).clone();
    Arc::make_mut(&mut setup.server).defects = defects;
    let mut out = Effects::new();
    let mut broker = Broker::start(&Arc::new(setup), [1; 32], now(), survived(topic), &mut out);
    register(&mut broker);
    publish(&mut broker, image_with(1, 1, &[NodeId(1)]), &mut out);
    (broker, out.drain().collect())
}

#[test]
fn a_log_that_survived_is_used_again() {
    let (broker, effects) = restarted(TOPIC, Defects::NONE);
    let log = broker.replica(P0).expect("hosted").log();
    assert_eq!((log.id(), log.end_offset()), (LogId(4), Offset(1)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Remove { .. })));
}

#[test]
fn the_log_of_a_topic_that_was_deleted_meanwhile_is_removed() {
    let (broker, effects) = restarted(Uuid([6; 4]), Defects::NONE);
    let log = broker.replica(P0).expect("hosted").log();
    assert_eq!((log.id(), log.end_offset()), (LogId(5), Offset(0)));
    assert!(effects.contains(&Effect::Remove { log: LogId(4) }));
}

#[cfg(feature = "defects")]
#[test]
fn without_the_check_of_topic_ids_a_deleted_topic_haunts_the_new_one() {
    let (broker, _) = restarted(Uuid([6; 4]), Defects::NONE.with(Defect::NoTopicIdCheck));
    assert_eq!(broker.replica(P0).expect("hosted").log().end_offset(), Offset(1));
}

#[test]
fn a_partition_that_moved_away_takes_its_log_along() {
    let mut broker = broker(image_with(1, 0, BOTH));
    step(&mut broker, now(), request(1, fetch(None, 0, 0)));
    let mut out = Effects::new();
    publish(&mut broker, image(), &mut out);
    let effects: Vec<Effect> = out.drain().collect();
    assert!(effects.contains(&Effect::Remove { log: LogId(1) }), "{effects:?}");
    let answered = effects.iter().find(|effect| matches!(effect, Effect::Respond { .. }));
    assert!(!fetched(answered.expect("who waited hears")).1.error.is_ok());
    assert!(broker.replica(P0).is_none());
}

#[test]
fn nothing_is_hosted_before_the_image_knows_this_incarnation() {
    let mut out = Effects::new();
    let mut broker = Broker::start(&setup(1), [1; 32], now(), survived(TOPIC), &mut out);
    publish(&mut broker, image_with(1, 1, BOTH), &mut out);
    assert!(broker.replica(P0).is_none(), "not registered yet");
    register(&mut broker);
    let mut old = image_with(1, 1, BOTH);
    old.brokers.get_mut(&NodeId(1)).expect("there").epoch = BrokerEpoch(0);
    publish(&mut broker, old, &mut out);
    assert!(broker.replica(P0).is_none(), "the image is of the incarnation before");
    publish(&mut broker, image_with(1, 1, BOTH), &mut out);
    assert!(broker.replica(P0).is_some());
}

#[test]
fn a_failed_disk_stops_the_broker() {
    let mut broker = broker(image_with(1, 0, BOTH));
    assert_eq!(step(&mut broker, now(), Input::Lost { log: LogId(1) }), [Effect::Halt]);
}

#[test]
fn a_shutdown_flushes_marks_and_stops() {
    let mut setup = (*setup(1)).clone();
    setup.broker.controlled_shutdown = false;
    let mut broker = broker(image_with(1, 0, &[NodeId(1)]));
    broker.setup = Arc::new(setup);
    step(&mut broker, now(), request(1, produce(Acks::All, "t")));
    let call = CallId(8);
    let effects = step(&mut broker, now(), Input::Call { call, op: Arc::new(Op::Close) });
    let upto = LogPoint { epoch: LeaderEpoch(0), offset: Offset(1) };
    assert!(effects.contains(&Effect::Flush { log: LogId(1), upto }), "{effects:?}");
    let effects = step(&mut broker, now(), Input::Flushed { log: LogId(1), upto });
    let mark = Effect::Save { file: FileKey::CleanShutdown, value: Bytes::from_static(b"1") };
    assert_eq!(effects, [mark]);
    let effects = step(&mut broker, now(), Input::Saved { file: FileKey::CleanShutdown });
    assert_eq!(effects, [Effect::Return { call, outcome: Outcome::Done }, Effect::Halt]);
}

/// A broker whose connection for work to controller 100 is open.
fn broker_with_controller(image: Image) -> (Broker, ConnId) {
    let mut out = Effects::new();
    let mut broker = broker(image);
    broker.controller.follow(Some(NodeId(100)), &mut out);
    let create = Request::UnregisterBroker(UnregisterBrokerRequest { node: NodeId(9) });
    let effects = step(&mut broker, now(), request(90, create));
    let dialled = |effect: &Effect| {
        let Effect::Connect { conn, to } = effect else { return None };
        (*to == endpoint("c100")).then_some(*conn)
    };
    // The heartbeats' lane dials first.
    let conn = effects.iter().filter_map(dialled).next_back().expect("the controller is dialled");
    (broker, conn)
}

fn sent(effects: &[Effect]) -> Vec<(CorrelationId, &Request)> {
    let send = |effect: &'_ Effect| matches!(effect, Effect::Send { .. });
    let sent = effects.iter().filter(|effect| send(effect)).map(|effect| {
        let Effect::Send { correlation, request, .. } = effect else { panic!("a send") };
        (*correlation, &**request)
    });
    sent.collect()
}

fn answer(conn: ConnId, number: CorrelationId, response: Response) -> Input {
    Input::Response { conn, correlation: number, response: Arc::new(response) }
}

#[test]
fn what_the_controller_decides_is_forwarded_until_a_controller_answers() {
    let (mut broker, conn) = broker_with_controller(image());
    let effects = step(&mut broker, now(), Input::Opened { conn });
    let [(number, Request::UnregisterBroker(_))] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    let refused = |error| Response::UnregisterBroker(UnregisterBrokerResponse { error });
    let effects = step(&mut broker, now(), answer(conn, number, refused(ErrorCode::NotController)));
    assert_eq!(effects, [], "somebody else is the controller now");
    let again = later(Duration::from_millis(50));
    let effects = step(&mut broker, again, Input::Wake);
    let [(number, Request::UnregisterBroker(_))] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    let given = refused(ErrorCode::BrokerIdNotRegistered);
    let effects = step(&mut broker, again, answer(conn, number, given.clone()));
    assert_eq!(response(&effects[0]), (CorrelationId(90), &given));
}

#[test]
fn what_no_controller_answers_times_out() {
    let (mut broker, _) = broker_with_controller(image());
    let late = later(broker.setup.broker.request_timeout);
    let effects = step(&mut broker, late, Input::Wake);
    let answers: Vec<_> =
        effects.iter().filter(|effect| matches!(effect, Effect::Respond { .. })).collect();
    let error = ErrorCode::RequestTimedOut;
    let timed_out = Response::UnregisterBroker(UnregisterBrokerResponse { error });
    assert_eq!(response(answers[0]), (CorrelationId(90), &timed_out));
}

#[test]
fn a_follower_that_fell_behind_is_proposed_out_of_the_isr_and_the_answer_counts() {
    let (mut broker, conn) = broker_with_controller(image_with(1, 0, BOTH));
    step(&mut broker, now(), Input::Opened { conn });
    Arc::make_mut(&mut broker.setup).broker.replica_lag_time_max = Duration::from_secs(10);
    step(&mut broker, now(), request(1, produce(Acks::All, "t")));
    let mut time = Instant::ZERO;
    let (number, proposal) = loop {
        time = broker.deadline().expect("the leader watches its followers").max(time);
        assert!(time < Instant::ZERO + Duration::from_secs(60));
        let effects = step(&mut broker, Now { mono: time, wall: Timestamp(0) }, Input::Wake);
        let proposed = sent(&effects).into_iter().find_map(|(number, request)| {
            let Request::AlterPartition(alter) = request else { return None };
            Some((number, alter.partitions[0].clone()))
        });
        if let Some(proposed) = proposed {
            break proposed;
        }
    };
    assert_eq!(proposal.new_isr, [(NodeId(1), BrokerEpoch(1))]);
    let altered = AlteredPartition {
        partition: P0,
        error: ErrorCode::None,
        leader: NodeId(1),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(1),
        isr: vec![NodeId(1)],
        recovery: LeaderRecovery::Recovered,
    };
    let accepted = AlterPartitionResponse { error: ErrorCode::None, partitions: vec![altered] };
    let now = Now { mono: time, wall: Timestamp(0) };
    step(&mut broker, now, answer(conn, number, Response::AlterPartition(accepted)));
    assert_eq!(broker.replica(P0).expect("hosted").high_watermark(), Offset(1));
}

#[test]
fn a_producer_gets_its_id_from_a_block() {
    let (mut broker, conn) = broker_with_controller(image());
    step(&mut broker, now(), Input::Opened { conn });
    let init = Request::InitProducerId(InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout: Duration::from_secs(60),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
    });
    let effects = step(&mut broker, now(), request(1, init.clone()));
    let [(number, Request::AllocateProducerIds(_))] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    let block = AllocateProducerIdsResponse {
        error: ErrorCode::None,
        first: ProducerId(7000),
        count: 1000,
    };
    let block = answer(conn, number, Response::AllocateProducerIds(block));
    let effects = step(&mut broker, now(), block);
    let got = |id| {
        let (error, producer_epoch) = (ErrorCode::None, ProducerEpoch(0));
        let producer_id = ProducerId(id);
        Response::InitProducerId(InitProducerIdResponse { error, producer_id, producer_epoch })
    };
    assert_eq!(response(&effects[0]), (CorrelationId(1), &got(7000)));
    let effects = step(&mut broker, now(), request(2, init));
    assert_eq!(response(&effects[0]), (CorrelationId(2), &got(7001)));
}

#[test]
fn garbage_instead_of_a_batch_is_refused() {
    let mut broker = broker(image_with(1, 0, BOTH));
    for records in [
        Records::EMPTY,
        Records::Inline(vec![Bytes::from_static(b"garbage")]),
        Records::Inline(vec![batch(b"a"), batch(b"b")]),
        Records::Inline(vec![[&batch(b"a")[..], &batch(b"b")[..]].concat().into()]),
    ] {
        let Request::Produce(mut produce) = produce(Acks::All, "t") else { panic!("produce") };
        produce.partitions[0].records = records.clone();
        let effects = step(&mut broker, now(), request(1, Request::Produce(produce)));
        assert_eq!(effects.len(), 1, "nothing is appended: {effects:?}");
        assert!(!produced(&effects[0]).1.is_ok(), "{records:?}");
    }
}

#[test]
fn metadata_names_a_live_broker_and_what_is_unknown() {
    let mut broker = broker(image_with(1, 0, BOTH));
    let topics = Some(["t", "other", "an other"].map(|name| TopicRef::Name(name.into())).to_vec());
    let ask = MetadataRequest { topics, allow_auto_topic_creation: false };
    let effects = step(&mut broker, now(), request(1, Request::Metadata(ask)));
    let (_, Response::Metadata(answer)) = response(&effects[0]) else { panic!("metadata") };
    assert_eq!(answer.controller, NodeId(1), "this broker forwards");
    let errors: Vec<_> = answer.topics.iter().map(|topic| topic.error).collect();
    use ErrorCode::{InvalidTopicException, UnknownTopicOrPartition};
    assert_eq!(errors, [ErrorCode::None, UnknownTopicOrPartition, InvalidTopicException]);
    assert_eq!(answer.topics[0].partitions[0].leader, NodeId(1));
}
