//! The producer on a scripted cluster: what it sends, and what it says became of each record.

mod table;
mod transaction;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::client::testing::{Asked, Script, endpoint, ms, secs, topic_ref};
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::message::produce::{ProduceResponse, ProducedPartition};
use crate::message::{Request, Response};
use crate::record::{BatchHeader, verify};
use crate::time::{Duration, Timestamp};

fn config() -> ProducerConfig {
    ProducerConfig {
        linger: ms(5),
        delivery_timeout: secs(10),
        request_timeout: secs(2),
        max_block: secs(3),
        ..ProducerConfig::default()
    }
}

fn producer(config: ProducerConfig, leaders: &[(i32, i32)]) -> Script<Producer> {
    producer_with(config, Defects::NONE, leaders)
}

fn producer_with(
    config: ProducerConfig,
    defects: Defects,
    leaders: &[(i32, i32)],
) -> Script<Producer> {
    let setup = Arc::new(ProducerSetup {
        client_id: "p1".into(),
        bootstrap: [endpoint(1)].into(),
        config,
        defects,
        partitioner: None,
        transactional_id: None,
        space: crate::client::SPACE,
    });
    Script::new(|now, out| Producer::start(&setup, [1; 32], now, out), leaders)
}

fn record(value: &'static str) -> Op {
    to_partition(0, value)
}

fn to_partition(partition: i32, value: &'static str) -> Op {
    Op::Send(SendRecord {
        topic: "orders".into(),
        partition: Some(partition),
        key: None,
        value: Some(Bytes::from_static(value.as_bytes())),
        headers: Vec::new(),
        timestamp: Some(Timestamp(77)),
    })
}

/// The batches of a produce request: partition, producer epoch, base sequence, records.
fn batches(asked: &Asked) -> Vec<(i32, i16, i32, i32)> {
    let Request::Produce(request) = &*asked.request else { panic!("{:?}", asked.request) };
    let batch = |partition: &crate::message::produce::ProducePartition| {
        let [bytes] = partition.records.chunks() else { panic!("one batch") };
        let header: BatchHeader = verify(bytes).expect("a good batch");
        let BatchHeader { producer_epoch, base_sequence, record_count, .. } = header;
        (partition.partition, producer_epoch.0, base_sequence, record_count)
    };
    request.partitions.iter().map(batch).collect()
}

fn produced(partition: i32, error: ErrorCode, base: i64) -> Response {
    Response::Produce(ProduceResponse {
        partitions: vec![ProducedPartition {
            topic: topic_ref(),
            partition,
            error,
            base_offset: Offset(base),
            log_append_time: Timestamp::NONE,
            log_start_offset: Offset(0),
            current_leader: None,
        }],
    })
}

fn ok(base: i64) -> Response {
    produced(0, ErrorCode::None, base)
}

fn no(error: ErrorCode) -> Response {
    produced(0, error, -1)
}

fn sent(offset: i64) -> Outcome {
    Outcome::Sent { partition: 0, offset: Offset(offset), timestamp: Timestamp(77) }
}

/// Sends one record in a batch of its own.
fn send_alone(script: &mut Script<Producer>, call: u64) -> Asked {
    script.call(call, record("x"));
    script.pass(ms(5));
    script.machine.check();
    script.asked()
}

/// A producer whose session the partition's leaders know: its first record is acknowledged.
fn known(config: ProducerConfig) -> Script<Producer> {
    let mut script = producer(config, &[(1, 3)]);
    let first = send_alone(&mut script, 0);
    script.answer(&first, ok(0));
    assert_eq!(script.take_returned(), [(0, sent(0))]);
    script
}

#[test]
fn records_linger_for_company_and_each_learns_its_offset() {
    let mut script = producer(config(), &[(1, 3)]);
    script.call(1, record("a"));
    script.call(2, record("b"));
    assert!(script.unanswered.is_empty());
    script.pass(ms(5));
    let asked = script.asked();
    assert_eq!((asked.node, batches(&asked)), (1, vec![(0, 0, 0, 2)]));
    script.answer(&asked, ok(40));
    assert_eq!(script.returned, [(1, sent(40)), (2, sent(41))]);
    script.machine.check();
}

#[test]
fn an_idle_producer_sleeps_until_its_metadata_is_old() {
    let mut script = producer(config(), &[(1, 3)]);
    let asked = send_alone(&mut script, 1);
    script.answer(&asked, ok(0));
    let sleeps = script.machine.deadline().expect("metadata grows old").since(script.now.mono);
    assert!(sleeps > secs(290), "{sleeps:?}");
}

#[test]
fn batches_to_one_broker_share_a_request_once_one_must_go() {
    let mut script = producer(config(), &[(1, 3), (2, 3), (1, 3)]);
    script.call(1, to_partition(0, "a"));
    script.pass(ms(4));
    script.call(2, to_partition(2, "b"));
    script.call(3, to_partition(1, "c"));
    script.pass(ms(1));
    let asked = script.asked();
    assert_eq!(batches(&asked), [(0, 0, 0, 1), (2, 0, 0, 1)]);
    assert!(script.unanswered.is_empty(), "broker 2 has nothing that must go");
    script.pass(ms(4));
    assert_eq!(script.asked().node, 2);
}

#[test]
fn a_full_batch_goes_at_once() {
    let mut small = config();
    small.batch_size = 200;
    let mut script = producer(small, &[(1, 3)]);
    for call in 0..9 {
        script.call(call, record("0123456789"));
    }
    let counts: i32 = batches(&script.asked()).iter().map(|batch| batch.3).sum();
    assert!((4..9).contains(&counts), "{counts}");
}

#[test]
fn batches_are_short_where_numbers_end_soon() {
    let mut short = config();
    short.sequence_max = 29;
    let mut script = producer(short, &[(1, 3)]);
    for call in 0..7 {
        script.call(call, record("x"));
    }
    let first = script.asked();
    assert_eq!(batches(&first), [(0, 0, 0, 3)]);
    script.answer(&first, ok(0));
    assert_eq!(batches(&script.asked()), [(0, 0, 3, 3)]);
}

#[test]
fn five_requests_are_in_flight_and_numbered_without_a_gap() {
    let mut script = known(config());
    let mut asked: Vec<Asked> = (1..6).map(|call| send_alone(&mut script, call)).collect();
    let bases: Vec<i32> = asked.iter().map(|asked| batches(asked)[0].2).collect();
    assert_eq!(bases, [1, 2, 3, 4, 5]);
    script.call(6, record("x"));
    script.pass(ms(100));
    assert!(script.unanswered.is_empty(), "the sixth waits");
    script.answer(&asked.remove(0), ok(1));
    assert_eq!(batches(&script.asked()), [(0, 0, 6, 1)]);
}

#[test]
fn a_sessions_first_batch_goes_alone_until_it_is_acknowledged() {
    let mut script = producer(config(), &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    script.metadata = crate::client::testing::metadata(&[(2, 4)]);
    script.machine.network.request_refresh();
    script.call(2, record("x"));
    script.pass(secs(1));
    assert!(script.unanswered.is_empty(), "leader 2 knows nothing of it and would take number 1");
    script.answer(&first, ok(0));
    let second = script.asked();
    assert_eq!((second.node, batches(&second)), (2, vec![(0, 0, 1, 1)]));
}

// sim run scenarios/swarm.toml --seed 177, when its producers had one request in flight: the first
// batch's refusal by a deposed leader was lost, and its successor took the second batch first.
#[test]
fn one_in_flight_is_one_a_partition_whoever_leads_it() {
    let mut single = config();
    single.max_in_flight = 1;
    let mut script = known(single);
    let second = send_alone(&mut script, 1);
    script.metadata = crate::client::testing::metadata(&[(2, 4)]);
    script.machine.network.request_refresh();
    script.call(2, record("x"));
    script.pass(secs(1));
    assert!(script.unanswered.is_empty());
    script.answer(&second, ok(1));
    let third = script.asked();
    assert_eq!((third.node, batches(&third)), (2, vec![(0, 0, 2, 1)]));
}

#[test]
fn a_lost_connection_sends_the_same_numbers_again_in_order_and_one_at_a_time() {
    let mut script = known(config());
    let first = send_alone(&mut script, 1);
    send_alone(&mut script, 2);
    script.hang_up(first.conn);
    script.pass(secs(1));
    let again = script.asked();
    assert_eq!(batches(&again), [(0, 0, 1, 1)]);
    assert!(script.unanswered.is_empty(), "the second waits for the first");
    script.answer(&again, ok(10));
    let second = script.asked();
    assert_eq!(batches(&second), [(0, 0, 2, 1)]);
    script.answer(&second, ok(11));
    assert_eq!(script.returned, [(1, sent(10)), (2, sent(11))]);
}

#[test]
fn a_batch_behind_the_missing_one_is_out_of_order_and_comes_again() {
    let mut script = known(config());
    let first = send_alone(&mut script, 1);
    let second = send_alone(&mut script, 2);
    script.answer(&first, no(ErrorCode::NotEnoughReplicas));
    script.answer(&second, no(ErrorCode::OutOfOrderSequenceNumber));
    script.pass(secs(1));
    let again = script.asked();
    assert_eq!(batches(&again), [(0, 0, 1, 1)]);
    script.answer(&again, ok(1));
    assert_eq!(batches(&script.asked()), [(0, 0, 2, 1)]);
}

#[test]
fn a_gap_before_the_head_bumps_the_epoch_and_renumbers_what_was_refused() {
    let mut script = known(config());
    let second = send_alone(&mut script, 2);
    let third = send_alone(&mut script, 3);
    script.answer(&second, no(ErrorCode::OutOfOrderSequenceNumber));
    script.answer(&third, no(ErrorCode::OutOfOrderSequenceNumber));
    script.machine.check();
    script.pass(secs(1));
    let again = script.asked();
    assert_eq!(batches(&again), [(0, 1, 0, 1)]);
    assert!(script.unanswered.is_empty(), "the first of its session goes alone");
    script.answer(&again, ok(1));
    assert_eq!(batches(&script.asked()), [(0, 1, 1, 1)]);
}

#[test]
fn a_gap_gives_up_what_may_be_in_the_log_under_its_old_number() {
    let mut script = known(config());
    let second = send_alone(&mut script, 2);
    script.hang_up(second.conn);
    script.pass(secs(1));
    let again = script.asked();
    script.answer(&again, no(ErrorCode::OutOfOrderSequenceNumber));
    assert_eq!(
        script.returned,
        [(2, Outcome::Unknown(ErrorCode::OutOfOrderSequenceNumber))],
        "a delayed first attempt might still be appended"
    );
    let third = send_alone(&mut script, 3);
    assert_eq!(batches(&third), [(0, 1, 0, 1)]);
}

#[test]
fn a_batch_in_doubt_that_times_out_costs_an_epoch() {
    let mut script = known(config());
    send_alone(&mut script, 2);
    script.pass(secs(11));
    assert_eq!(script.returned, [(2, Outcome::Unknown(ErrorCode::RequestTimedOut))]);
    script.unanswered.clear();
    script.call(3, record("x"));
    script.pass(secs(1));
    assert_eq!(batches(&script.asked()), [(0, 1, 0, 1)]);
}

#[test]
fn a_batch_behind_one_given_up_keeps_its_number_and_may_prove_that_nothing_is_missing() {
    let mut patient = config();
    patient.request_timeout = secs(60);
    let mut script = known(patient);
    send_alone(&mut script, 1);
    script.pass(secs(9));
    let second = send_alone(&mut script, 2);
    script.pass(secs(1));
    assert_eq!(script.take_returned(), [(1, Outcome::Unknown(ErrorCode::RequestTimedOut))]);
    script.call(3, record("x"));
    script.pass(ms(5));
    assert!(script.unanswered.is_empty(), "no new number while one is unresolved");
    script.answer(&second, ok(2));
    assert_eq!(batches(&script.asked()), [(0, 0, 3, 1)], "the first was appended after all");
}

#[test]
fn what_was_never_sent_fails_surely() {
    let mut script = producer(config(), &[(-1, 3)]);
    script.call(1, record("a"));
    script.pass(secs(11));
    assert_eq!(script.returned, [(1, Outcome::Failed(ErrorCode::RequestTimedOut))]);
    script.machine.check();
}

#[test]
fn an_unknown_topic_fails_after_max_block() {
    let mut script = producer(config(), &[(1, 3)]);
    let Op::Send(mut send) = record("a") else { panic!("built so") };
    send.topic = "nowhere".into();
    script.call(1, Op::Send(send));
    script.pass(ms(2_990));
    assert_eq!(script.returned, []);
    script.pass(ms(20));
    assert_eq!(script.returned, [(1, Outcome::Failed(ErrorCode::RequestTimedOut))]);
}

#[test]
fn a_name_that_no_topic_can_have_fails_at_once() {
    let mut script = producer(config(), &[(1, 3)]);
    let mut refused = script.metadata.topics[0].clone();
    refused.name = Some("no topic!".into());
    refused.error = ErrorCode::InvalidTopicException;
    script.metadata.topics.push(refused);
    for call in [1, 2] {
        let Op::Send(mut record) = record("a") else { panic!("it sends") };
        record.topic = "no topic!".into();
        script.call(call, Op::Send(record));
    }
    let refused = Outcome::Failed(ErrorCode::InvalidTopicException);
    assert_eq!(script.returned, [(1, refused.clone()), (2, refused)]);
    assert!(script.unanswered.is_empty());
    script.machine.check();
}

#[test]
fn a_refusal_that_no_retry_can_turn_fails_and_frees_its_numbers() {
    let mut script = producer(config(), &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    script.answer(&first, no(ErrorCode::MessageTooLarge));
    assert_eq!(script.returned, [(1, Outcome::Failed(ErrorCode::MessageTooLarge))]);
    assert_eq!(batches(&send_alone(&mut script, 2)), [(0, 0, 0, 1)]);
}

#[test]
fn an_error_after_the_append_leaves_it_open() {
    let mut once = config();
    once.retries = 1;
    let mut script = producer(once, &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    script.answer(&first, no(ErrorCode::NotEnoughReplicasAfterAppend));
    script.pass(secs(1));
    let again = script.asked();
    script.answer(&again, no(ErrorCode::NotEnoughReplicas));
    assert_eq!(script.returned, [(1, Outcome::Unknown(ErrorCode::NotEnoughReplicas))]);
}

#[test]
fn a_new_leader_is_followed_without_waiting() {
    let mut script = producer(config(), &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    let Response::Produce(mut answer) = no(ErrorCode::NotLeaderOrFollower) else { panic!("built") };
    answer.partitions[0].current_leader = Some((NodeId(2), LeaderEpoch(4)));
    script.metadata = crate::client::testing::metadata(&[(2, 4)]);
    script.answer(&first, Response::Produce(answer));
    let again = script.asked();
    assert_eq!((again.node, batches(&again)), (2, vec![(0, 0, 0, 1)]));
}

#[test]
fn without_idempotence_one_batch_of_a_partition_is_in_flight() {
    let mut plain = config();
    plain.enable_idempotence = false;
    let mut script = producer(plain, &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    assert_eq!(batches(&first), [(0, -1, -1, 1)]);
    script.call(2, record("x"));
    script.pass(ms(50));
    assert!(script.unanswered.is_empty(), "a retry of the first could be overtaken");
    script.answer(&first, ok(0));
    assert_eq!(script.unanswered.len(), 1);
}

#[cfg(feature = "defects")]
#[test]
fn with_the_defect_a_retry_is_overtaken() {
    let mut plain = config();
    plain.enable_idempotence = false;
    let defects = Defects::NONE.with(crate::defect::Defect::ReorderInflight);
    let mut script = producer_with(plain, defects, &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    let second = send_alone(&mut script, 2);
    script.answer(&first, no(ErrorCode::NotEnoughReplicas));
    script.answer(&second, ok(0));
    assert_eq!(script.returned, [(2, sent(0))]);
}

#[test]
fn acks_0_is_done_when_it_is_sent() {
    let mut none = config();
    none.acks = AcksSetting::None;
    let mut script = producer(none, &[(1, 3)]);
    send_alone(&mut script, 1);
    assert_eq!(script.returned, [(1, sent(-1))]);
    assert!(script.machine.deadline().expect("old metadata").since(script.now.mono) > secs(200));
}

#[test]
fn with_acks_0_a_broker_that_hangs_up_is_sent_no_more_before_metadata_is_new() {
    let mut none = config();
    none.acks = AcksSetting::None;
    let mut script = producer(none, &[(1, 3)]);
    let first = send_alone(&mut script, 1);
    script.metadata = crate::client::testing::metadata(&[(2, 4)]);
    script.hang_up(first.conn);
    script.pass(ms(200));
    assert_eq!(send_alone(&mut script, 2).node, 2);
}

#[test]
fn a_full_buffer_makes_sends_wait_and_then_fail() {
    let mut tiny = config();
    tiny.buffer_memory = 400;
    let mut script = producer(tiny, &[(1, 3)]);
    for call in 0..12 {
        script.call(call, record("0123456789"));
    }
    let asked = script.asked();
    let taken = batches(&asked)[0].3;
    assert!((1..12).contains(&taken), "{taken}");
    script.answer(&asked, ok(0));
    assert_eq!(script.returned.len(), usize::try_from(taken).expect("few"));
    script.pass(ms(5));
    assert_eq!(script.unanswered.len(), 1, "those that waited come next");
    script.machine.check();
}

#[test]
fn a_flush_hurries_and_returns_last() {
    let mut lazy = config();
    lazy.linger = secs(1);
    let mut script = producer(lazy, &[(1, 3)]);
    script.call(1, record("a"));
    script.call(2, Op::Flush);
    let asked = script.asked();
    assert_eq!(script.returned, []);
    script.answer(&asked, ok(0));
    assert_eq!(script.returned, [(1, sent(0)), (2, Outcome::Done)]);
    script.call(3, Op::Close);
    script.call(4, record("late"));
    let returned = script.take_returned();
    assert_eq!(
        returned[2..],
        [(3, Outcome::Done), (4, Outcome::Failed(ErrorCode::InvalidRequest))]
    );
    assert_eq!(script.machine.deadline(), None);
}

#[test]
fn sequence_numbers_wrap_to_zero() {
    let mut short = config();
    short.sequence_max = 2;
    let mut script = known(short);
    let bases: Vec<i32> = (1..6).map(|call| batches(&send_alone(&mut script, call))[0].2).collect();
    assert_eq!(bases, [1, 2, 0, 1, 2]);
}
