//! Whole steps of a broker.

mod answers;
mod forwarded;
pub(super) mod rig;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
#[cfg(feature = "defects")]
use crate::defect::Defect;
use crate::defect::Defects;
use crate::ids::{
    LeaderEpoch, LogPoint, NodeId, Offset, PartitionEpoch, ProducerEpoch, ProducerId, TopicId,
    TopicRef, Uuid,
};
use crate::machine::{FileKey, LogName, Survived, SurvivedLog};
use crate::message::cluster::{
    AllocateProducerIdsResponse, BrokerHeartbeatResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse,
};
use crate::message::fetch::{FetchResponse, FetchedPartition, Isolation};
use crate::message::metadata::MetadataRequest;
use crate::message::partition::{AlterPartitionResponse, AlteredPartition, LeaderRecovery};
use crate::message::produce::{Acks, InitProducerIdRequest, InitProducerIdResponse};
use crate::message::{Records, Request};
use crate::metadata::TopicImage;
use crate::record::Builder;
use crate::time::{Duration, Timestamp};

use self::rig::*;

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
