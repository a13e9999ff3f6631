//! The consumer on a scripted cluster: what it asks, and what it delivers.

mod group;
mod storm;
mod table;

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::client::testing::{
    Asked as Sent, Script, endpoint, metadata, ms, secs, topic_ref, with_topic,
};
use crate::config::{IsolationLevel, OffsetReset};
use crate::defect::Defect;
use crate::ids::{LeaderEpoch, ProducerEpoch, ProducerId, TopicRef};
use crate::message::fetch::{AbortedTransaction, FetchResponse, FetchedPartition};
use crate::message::offsets::{
    EpochEnd, ListOffsetsResponse, ListedOffset, OffsetForLeaderEpochResponse,
};
use crate::message::{Records, Request, Response};
use crate::op::ConsumedRecord;
use crate::record::{Builder, marker, stamp};
use crate::time::{Duration, Timestamp};

fn consumer(config: ConsumerConfig, leaders: &[(i32, i32)]) -> Script<Consumer> {
    consumer_with(config, Defects::NONE, leaders)
}

fn consumer_with(
    config: ConsumerConfig,
    defects: Defects,
    leaders: &[(i32, i32)],
) -> Script<Consumer> {
    let setup = Arc::new(ConsumerSetup {
        client_id: "k1".into(),
        bootstrap: [endpoint(1)].into(),
        config,
        group: None,
        defects,
        space: crate::client::SPACE,
    });
    let mut script = Script::new(|now, out| Consumer::start(&setup, [1; 32], now, out), leaders);
    let partitions = (0..).take(leaders.len()).map(|partition| ("orders".into(), partition));
    script.call(0, Op::Assign(partitions.collect()));
    assert_eq!(script.take_returned(), [(0, Outcome::Done)]);
    script.pass(ms(150));
    script
}

fn earliest_first() -> ConsumerConfig {
    ConsumerConfig { auto_offset_reset: OffsetReset::Earliest, ..ConsumerConfig::default() }
}

/// A consumer that stands at an offset of partition 0 whose epoch it knows, with a fetch in flight.
fn standing(config: ConsumerConfig, offset: i64, epoch: i32) -> (Script<Consumer>, Sent) {
    standing_with(config, Defects::NONE, offset, epoch)
}

fn standing_with(
    config: ConsumerConfig,
    defects: Defects,
    offset: i64,
    epoch: i32,
) -> (Script<Consumer>, Sent) {
    let mut script = consumer_with(config, defects, &[(1, epoch)]);
    let asked = script.asked();
    script.answer(&asked, listed(offset, epoch));
    let fetch = script.asked();
    assert_eq!(fetched_from(&fetch), [(0, offset, epoch)]);
    (script, fetch)
}

fn poll(call: u64, script: &mut Script<Consumer>, max_records: usize) {
    script.call(call, Op::Poll { max_records, timeout: secs(2) });
}

fn listed(offset: i64, epoch: i32) -> Response {
    let listed = ListedOffset {
        topic: TopicRef::Name("orders".into()),
        partition: 0,
        error: ErrorCode::None,
        timestamp: Timestamp::NONE,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(epoch),
    };
    Response::ListOffsets(ListOffsetsResponse { partitions: vec![listed] })
}

/// Partition, offset and leader epoch of what a fetch asks.
fn fetched_from(asked: &Sent) -> Vec<(i32, i64, i32)> {
    let Request::Fetch(request) = &*asked.request else { panic!("{:?}", asked.request) };
    let asked = request.partitions.iter();
    asked.map(|p| (p.partition, p.fetch_offset.0, p.current_leader_epoch.0)).collect()
}

fn batch(base: i64, epoch: i32, values: &[&str]) -> Bytes {
    let mut builder = Builder::new();
    for (value, time) in values.iter().zip(base..) {
        builder.append(Timestamp(time), None, Some(value.as_bytes()));
    }
    stamp(&builder.build(), Offset(base), LeaderEpoch(epoch))
}

fn fetched(error: ErrorCode, batches: Vec<Bytes>) -> Response {
    Response::Fetch(FetchResponse {
        error: ErrorCode::None,
        partitions: vec![FetchedPartition {
            topic: topic_ref(),
            partition: 0,
            error,
            high_watermark: Offset(0),
            last_stable_offset: Offset(0),
            log_start_offset: Offset(0),
            diverging: None,
            current_leader: None,
            aborted: Vec::new(),
            records: Records::Inline(batches),
        }],
    })
}

/// The values and offsets that the last poll returned.
fn polled(script: &mut Script<Consumer>) -> Vec<(i64, alloc::string::String)> {
    script.machine.check();
    let returned = script.take_returned();
    let [(_, Outcome::Polled(records))] = &returned[..] else { panic!("{returned:?}") };
    let text = |record: &ConsumedRecord| {
        let value = record.value.clone().unwrap_or_default();
        (record.offset.0, alloc::string::String::from_utf8_lossy(&value).into())
    };
    records.iter().map(text).collect()
}

fn is(expected: &[(i64, &str)]) -> Vec<(i64, alloc::string::String)> {
    expected.iter().map(|(offset, value)| (*offset, (*value).into())).collect()
}

#[test]
fn a_batch_is_delivered_in_portions_each_record_once() {
    let (mut script, fetch) = standing(earliest_first(), 11, 3);
    poll(1, &mut script, 2);
    script.answer(&fetch, fetched(ErrorCode::None, vec![batch(10, 3, &["a", "b", "c", "d"])]));
    assert_eq!(polled(&mut script), is(&[(11, "b"), (12, "c")]));
    assert!(script.unanswered.is_empty(), "what is buffered is not fetched");
    poll(2, &mut script, 0);
    script.pass(secs(2));
    assert_eq!(polled(&mut script), [], "it asks for none");
    poll(3, &mut script, 2);
    assert_eq!(polled(&mut script), is(&[(13, "d")]));
    assert_eq!(fetched_from(&script.asked()), [(0, 14, 3)]);
}

#[test]
fn a_poll_without_records_returns_at_its_timeout_and_the_fetch_goes_on() {
    let (mut script, _fetch) = standing(earliest_first(), 0, 3);
    poll(1, &mut script, 2);
    script.pass(secs(2));
    assert_eq!(polled(&mut script), []);
    assert!(script.unanswered.is_empty(), "one fetch at a time");
}

#[test]
fn an_old_answer_does_not_count_after_a_seek() {
    let (mut script, fetch) = standing(earliest_first(), 0, 3);
    script
        .call(1, Op::Seek { topic: "orders".into(), partition: 0, to: SeekTo::Offset(Offset(5)) });
    poll(2, &mut script, 9);
    script.take_returned();
    script.answer(&fetch, fetched(ErrorCode::None, vec![batch(0, 3, &["a"])]));
    assert_eq!(script.returned, []);
    let fetch = script.asked();
    assert_eq!(fetched_from(&fetch), [(0, 5, 3)]);
}

#[test]
fn a_new_leader_is_asked_where_the_epoch_of_the_last_record_ends() {
    let (mut script, fetch) = standing(earliest_first(), 10, 3);
    script.metadata = metadata(&[(2, 4)]);
    script.answer(&fetch, fetched(ErrorCode::NotLeaderOrFollower, vec![]));
    script.pass(secs(1));
    let asked = script.asked();
    let Request::OffsetForLeaderEpoch(request) = &*asked.request else { panic!("{asked:?}") };
    let [partition] = &request.partitions[..] else { panic!("one partition") };
    let epochs = (partition.current_leader_epoch.0, partition.leader_epoch.0);
    assert_eq!((asked.node, epochs), (2, (4, 3)));
    let end = |end_offset| {
        let topic = TopicRef::Name("orders".into());
        let (error, leader_epoch) = (ErrorCode::None, LeaderEpoch(3));
        let end_offset = Offset(end_offset);
        let end = EpochEnd { topic, partition: 0, error, leader_epoch, end_offset };
        Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse { partitions: vec![end] })
    };
    let mut truncated = script.clone();
    script.answer(&asked, end(12));
    assert_eq!(fetched_from(&script.asked()), [(0, 10, 4)]);
    truncated.answer(&asked, end(8));
    assert_eq!(fetched_from(&truncated.asked()), [(0, 8, 4)], "it goes back to where logs part");
}

#[test]
fn an_offset_out_of_range_resets_by_the_policy() {
    let (mut script, fetch) = standing(earliest_first(), 10, 3);
    script.answer(&fetch, fetched(ErrorCode::OffsetOutOfRange, vec![]));
    let asked = script.asked();
    let Request::ListOffsets(request) = &*asked.request else { panic!("{asked:?}") };
    assert_eq!(request.partitions[0].spec, OffsetSpec::Earliest);
}

#[test]
fn without_a_policy_the_poll_fails() {
    let none = ConsumerConfig { auto_offset_reset: OffsetReset::None, ..ConsumerConfig::default() };
    let mut script = consumer(none, &[(1, 3)]);
    poll(1, &mut script, 1);
    assert_eq!(script.returned, [(1, Outcome::Failed(ErrorCode::OffsetOutOfRange))]);
}

#[test]
fn a_flipped_bit_is_fetched_again() {
    let (mut script, fetch) = standing(earliest_first(), 0, 3);
    poll(1, &mut script, 9);
    let mut bad = batch(1, 3, &["b"]).to_vec();
    *bad.last_mut().expect("not empty") ^= 1;
    let batches = vec![batch(0, 3, &["a"]), bad.into()];
    script.answer(&fetch, fetched(ErrorCode::None, batches));
    assert_eq!(polled(&mut script), is(&[(0, "a")]));
    script.pass(secs(1));
    assert_eq!(fetched_from(&script.asked()), [(0, 1, 3)]);
}

#[test]
fn a_seek_to_a_time_skips_older_records_of_the_same_batch() {
    let (mut script, _fetch) = standing(earliest_first(), 0, 3);
    let to = SeekTo::Time(Timestamp(12));
    script.call(1, Op::Seek { topic: "orders".into(), partition: 0, to });
    script.take_returned();
    let asked = script.asked();
    script.answer(&asked, listed(10, 3));
    script.pass(ms(1));
    // The old fetch still occupies the broker; its connection breaks.
    script.hang_up(asked.conn);
    script.pass(secs(1));
    let fetch = script.asked();
    poll(2, &mut script, 9);
    script.answer(&fetch, fetched(ErrorCode::None, vec![batch(10, 3, &["a", "b", "c", "d"])]));
    assert_eq!(polled(&mut script), is(&[(12, "c"), (13, "d")]));
}

/// What a reader of committed records gets of an aborted transaction and the next one of the same
/// producer.
fn read_after_an_abort(defects: Defects) -> Vec<(i64, alloc::string::String)> {
    let committed =
        ConsumerConfig { isolation_level: IsolationLevel::ReadCommitted, ..earliest_first() };
    let (mut script, fetch) = standing_with(committed, defects, 0, 3);
    let transactional = |base: i64, value: &str| {
        let mut builder =
            Builder::new().producer(ProducerId(7), ProducerEpoch(0), 0).transactional();
        builder.append(Timestamp(base), None, Some(value.as_bytes()));
        stamp(&builder.build(), Offset(base), LeaderEpoch(3))
    };
    let abort = marker(ProducerId(7), ProducerEpoch(0), false, 0, Timestamp(1));
    let batches = vec![
        batch(0, 3, &["plain"]),
        transactional(1, "aborted"),
        stamp(&abort, Offset(2), LeaderEpoch(3)),
        transactional(3, "committed"),
    ];
    poll(1, &mut script, 9);
    let Response::Fetch(mut answer) = fetched(ErrorCode::None, batches) else { panic!("built so") };
    let first = AbortedTransaction { producer_id: ProducerId(7), first_offset: Offset(1) };
    answer.partitions[0].aborted = vec![first];
    script.answer(&fetch, Response::Fetch(answer));
    polled(&mut script)
}

#[test]
fn aborted_records_and_markers_are_passed_in_silence() {
    assert_eq!(read_after_an_abort(Defects::NONE), is(&[(0, "plain"), (3, "committed")]));
}

#[test]
fn client_abort_filter_loose_hides_what_the_producer_committed() {
    let broken = Defects::NONE.with(Defect::ClientAbortFilterLoose);
    if broken.has(Defect::ClientAbortFilterLoose) {
        assert_eq!(read_after_an_abort(broken), is(&[(0, "plain")]));
    }
}

#[test]
fn a_paused_partition_is_neither_fetched_nor_delivered() {
    let (mut script, fetch) = standing(earliest_first(), 0, 3);
    script.call(1, Op::Pause { topic: "orders".into(), partition: 0 });
    script.take_returned();
    script.answer(&fetch, fetched(ErrorCode::None, vec![batch(0, 3, &["a"])]));
    poll(2, &mut script, 9);
    script.pass(secs(3));
    assert_eq!(polled(&mut script), []);
    script.call(3, Op::Resume { topic: "orders".into(), partition: 0 });
    script.take_returned();
    poll(4, &mut script, 9);
    assert_eq!(polled(&mut script), is(&[(0, "a")]));
}

#[test]
fn a_topic_made_again_is_read_from_where_the_policy_says() {
    let (mut script, fetch) = standing(earliest_first(), 10, 3);
    script.metadata = with_topic(metadata(&[(1, 0)]), 9);
    script.answer(&fetch, fetched(ErrorCode::UnknownTopicId, vec![]));
    script.pass(secs(1));
    let asked = script.asked();
    assert!(matches!(&*asked.request, Request::ListOffsets(_)), "{asked:?}");
}

#[test]
fn each_leader_has_its_own_fetch() {
    let mut script = consumer(earliest_first(), &[(1, 3), (2, 3)]);
    let asked = [script.asked(), script.asked()];
    assert_eq!(asked.map(|asked| asked.node), [1, 2]);
}
