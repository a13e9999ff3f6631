//! P1-P6, and the Jepsen anomalies of single partitions.

use super::*;

/// Commits batches on all brokers, in order.
fn committed(batches: &[Bytes]) -> Script {
    let mut t = Script::new();
    for bytes in batches {
        let ghost = GhostBatch::read(bytes).unwrap();
        t.append(&[B1, B2, B3], ghost.base.0, bytes);
        t.mark(B1, 0, ghost.last.0 + 1, true);
    }
    t
}

#[test]
fn p1_a_gap_in_the_sequences() {
    let t = committed(&[batch(0, 0, &records(1, 1)), batch_of(1, 0, 0, 2, &records(3, 1))]);
    assert_eq!(t.codes(), ["P1"]);
    let t = committed(&[batch_of(0, 0, 1, 5, &records(1, 1))]);
    assert_eq!(t.codes(), ["P1"], "a session begins with 0");
}

#[test]
fn p1_sequences_wrap_at_their_maximum() {
    let mut t = Script::new();
    t.checkers.settings.sequence_max = 2;
    for (base, sequence) in [(0, 0), (1, 1), (2, 2), (3, 0)] {
        let ids = records(u64::try_from(base).unwrap() + 1, 1);
        t.append(&[B1, B2, B3], base, &batch_of(base, 0, 0, sequence, &ids));
        t.mark(B1, 0, base + 1, true);
    }
    t.expect_nothing();
    t.append(&[B1, B2, B3], 4, &batch_of(4, 0, 0, 4, &records(5, 1)));
    t.mark(B1, 0, 5, true);
    assert_eq!(t.codes(), ["P1"], "a number that is the right one, but for the wrap");
}

#[test]
fn p2_a_sequence_twice() {
    let t = committed(&[batch(0, 0, &records(1, 1)), batch_of(1, 0, 0, 0, &records(2, 1))]);
    assert_eq!(t.codes(), ["P2"]);
}

#[test]
fn p3_records_in_another_order_than_they_were_sent() {
    let t = committed(&[batch(0, 0, &records(2, 1)), batch(1, 0, &records(1, 1))]);
    assert_eq!(t.codes(), ["P3"]);
}

#[test]
fn p4_an_acknowledged_offset_with_another_record() {
    let mut t = committed(&[batch(0, 0, &records(1, 1))]);
    t.acknowledged(records(2, 1)[0], 0);
    t.expect("P4");
}

#[test]
fn p5_a_producer_epoch_that_falls() {
    let t =
        committed(&[batch_of(0, 0, 1, 0, &records(1, 1)), batch_of(1, 0, 0, 0, &records(2, 1))]);
    t.expect("P5");
}

/// What is found when b1 refuses a batch as out of order, with `held` in its log, so many events
/// after it arrived.
fn refused(held: &[Bytes], sent: Bytes, later: u64) -> Vec<&'static str> {
    let mut t = Script::new();
    for (base, batch) in (0..).zip(held) {
        t.append(&[B1], base, batch);
    }
    let topic = TopicRef::Id(TOPIC);
    let records = Records::Inline(vec![sent]);
    let request = Request::Produce(ProduceRequest {
        transactional_id: None,
        version: TransactionVersion::V2,
        acks: Acks::All,
        timeout: Duration::from_secs(1),
        partitions: vec![ProducePartition { topic: topic.clone(), partition: 0, records }],
    });
    let (to, correlation) = (ConnId(1), CorrelationId(7));
    t.checkers.at(Instant::ZERO, 9);
    t.checkers.requested(B1, to, correlation, &Arc::new(request));
    t.checkers.at(Instant::ZERO, 9 + later);
    let answer = ProducedPartition {
        topic,
        partition: 0,
        error: ErrorCode::OutOfOrderSequenceNumber,
        base_offset: Offset::NONE,
        log_append_time: Timestamp::NONE,
        log_start_offset: Offset::ZERO,
        current_leader: None,
    };
    let response = Arc::new(Response::Produce(ProduceResponse { partitions: vec![answer] }));
    t.effect(B1, Effect::Respond { to, correlation, response });
    t.codes()
}

#[test]
fn p6_a_retry_of_what_is_there_is_refused() {
    let one = |base: i64| batch(base, 0, &records(1 + base.unsigned_abs(), 1));
    let held: Vec<Bytes> = (0..6).map(one).collect();
    let none: Vec<&str> = Vec::new();
    assert_eq!(refused(&held, one(1), 0), ["P6"]);
    assert_eq!(refused(&held, one(0), 0), none, "the sixth last may be forgotten");
    assert_eq!(refused(&held, one(7), 0), none, "a gap");
    assert_eq!(refused(&held, one(1), 1), none, "it may have come after the refusal");
}

#[test]
fn j1_an_offset_read_with_a_record_that_is_not_there() {
    let mut t = committed(&[batch(0, 0, &records(1, 1))]);
    t.poll(0, records(5, 1)[0]);
    assert_eq!(t.codes(), ["J1"]);
}

#[test]
fn j2_a_record_at_two_offsets() {
    let t = committed(&[batch(0, 0, &records(1, 1)), batch(1, 0, &records(1, 1))]);
    t.expect("J2");
}

#[test]
fn j3_a_failed_send_that_is_committed_after_all() {
    let mut t = committed(&[batch(0, 0, &records(1, 1))]);
    t.checkers.send_failed(records(1, 1)[0]);
    assert_eq!(t.codes(), ["J3"]);

    let mut t = Script::new();
    t.checkers.send_failed(records(1, 1)[0]);
    t.append(&[B1, B2, B3], 0, &batch(0, 0, &records(1, 1)));
    t.mark(B1, 0, 1, true);
    assert_eq!(t.codes(), ["J3"]);
}

#[test]
fn j4_an_acknowledged_record_that_a_consumer_never_met() {
    let mut t = committed(&[batch(0, 0, &records(1, 2))]);
    t.poll(0, records(1, 1)[0]);
    t.poll(1, records(2, 1)[0]);
    t.acknowledged(records(7, 1)[0], 1);
    t.expect("J4");
}

#[test]
fn j5_a_poll_that_leaves_a_record_out() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    t.poll(2, records(3, 1)[0]);
    assert_eq!(t.codes(), ["J5"]);
}

#[test]
fn j5_a_consumer_that_moved_may_leave_records_out() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    t.checkers.consumer_moved(1, &"orders".into(), 0);
    t.poll(2, records(3, 1)[0]);
    t.expect_nothing();
}

#[test]
fn j5_only_what_is_deleted_may_be_left_out() {
    for (deleted, codes) in [(2, &[][..]), (1, &["J5"])] {
        let place = |(base, number)| batch(base, 0, &records(number, 1));
        let mut t = committed(&[(0, 1), (1, 2), (2, 3)].map(place));
        t.poll(0, records(1, 1)[0]);
        t.effect(B1, Effect::Trim { log: DATA, to: Offset(deleted) });
        t.poll(2, records(3, 1)[0]);
        assert_eq!(t.codes(), codes);
    }
}

#[test]
fn j5_what_a_log_begins_behind_is_deleted_although_its_batch_is_there() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    let (file, value) = (FileKey::LogStart(DATA), log::encode_offset(Offset(2)));
    t.effect(B1, Effect::Save { file, value });
    t.poll(2, records(3, 1)[0]);
    t.expect_nothing();
}

#[test]
fn j6_a_poll_that_goes_back() {
    let mut t = committed(&[batch(0, 0, &records(1, 3))]);
    t.poll(0, records(1, 1)[0]);
    t.poll(0, records(1, 1)[0]);
    assert_eq!(t.codes(), ["J6"]);
}

#[test]
fn j7_acknowledgements_in_another_order_than_the_sends() {
    let mut t = committed(&[batch(0, 0, &records(1, 2))]);
    t.acknowledged(records(1, 1)[0], 1);
    t.acknowledged(records(2, 1)[0], 0);
    t.expect("J7");
}

#[test]
fn j8_an_acknowledged_record_that_nobody_read_in_the_end() {
    let mut t = committed(&[batch(0, 0, &records(1, 2))]);
    t.acknowledged(records(1, 1)[0], 0);
    t.acknowledged(records(2, 1)[0], 1);
    t.poll(0, records(1, 1)[0]);
    t.checkers.ended();
    assert_eq!(t.codes(), ["J8"]);
}

#[test]
fn a_send_in_doubt_may_be_committed_later() {
    // Neither acknowledged nor failed for sure: a timeout, or an error after the append.
    let t = committed(&[batch(0, 0, &records(1, 1))]);
    t.expect_nothing();
}

#[test]
fn duplicates_without_idempotence_are_no_anomaly() {
    let mut t = Script::new();
    t.checkers.settings.promises = Promises { no_duplicates: false, ordered: false, durable: true };
    for base in [0, 1] {
        let mut builder = Builder::new().at(Offset(base), LeaderEpoch(0));
        builder.append(Timestamp(1), None, Some(&records(1, 1)[0].to_value(16)));
        t.append(&[B1, B2, B3], base, &builder.build());
        t.mark(B1, 0, base + 1, true);
        t.poll(base, records(1, 1)[0]);
    }
    t.expect_nothing();
}
