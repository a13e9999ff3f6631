//! T1-T10, G1b, and the Jepsen anomalies of transactions.

use seedlog::event::TransactionState;
use seedlog::machine::SurvivedLog;
use seedlog::message::Response;
use seedlog::message::fetch::{FetchResponse, FetchedPartition};
use seedlog::message::produce::InitProducerIdResponse;
use seedlog::op::Outcome;

use super::cluster::*;
use super::*;

const COMMIT: Decision = Decision::Commit;
const ABORT: Decision = Decision::Abort;

/// A transaction with a record in each partition, which its coordinator has decided to
/// commit.
fn decided(t: &mut Cluster) {
    t.begin(0);
    t.sent(1, &ids(&[1, 2]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.data(P1, 0, 0, &ids(&[2]));
    t.checkers.transaction_ending(transaction(1), COMMIT);
    t.decide(1, true);
}

/// That transaction, committed and answered.
fn committed(t: &mut Cluster) {
    decided(t);
    t.checkers.transaction_ended(transaction(1), COMMIT, &Outcome::Done);
    t.marker(P0, 1, true);
    t.marker(P1, 1, true);
}

/// A transaction with a record in the first partition, aborted in epoch 0.
fn aborted(t: &mut Cluster) {
    t.begin(0);
    t.sent(1, &ids(&[1]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.checkers.transaction_ending(transaction(1), ABORT);
    t.decide(1, false);
    t.marker(P0, 1, false);
}

#[test]
fn a_healthy_history_is_not_flagged_and_every_check_has_looked() {
    let mut t = Cluster::new();
    aborted(&mut t);
    t.checkers.transaction_ended(transaction(1), ABORT, &Outcome::Done);
    t.begin(1);
    t.sent(2, &ids(&[2, 3]));
    t.data(P0, 1, 0, &ids(&[2]));
    t.data(P1, 1, 0, &ids(&[3]));
    t.checkers.transaction_ending(transaction(2), COMMIT);
    t.decide(2, true);
    t.act(2, TransactionState::CompleteCommit);
    t.marker(P0, 2, true);
    t.marker(P1, 2, true);
    t.checkers.transaction_ended(transaction(2), COMMIT, &Outcome::Done);
    t.poll(2, ids(&[2])[0]);
    t.checkers.ended();
    t.expect("T7");
    assert_eq!(t.checkers.violations().len(), 1, "acted on what is not in the log: T7 alone");
    use Check::{
        AtomicVisibility, LegalTransition, MarkerAttribution, NoAbortedRead, NoHangingTransaction,
        OutcomeTruth,
    };
    for check in [
        LegalTransition,
        MarkerAttribution,
        AtomicVisibility,
        NoAbortedRead,
        NoHangingTransaction,
        OutcomeTruth,
    ] {
        assert!(t.checkers.count(check).checked > 0, "{}", check.code());
    }
}

#[test]
fn t1_a_step_that_the_protocol_does_not_allow() {
    let mut t = Cluster::new();
    t.write(0, TransactionState::CompleteCommit);
    assert_eq!(t.codes(), ["T1"]);
}

#[test]
fn t1_a_step_from_a_state_that_the_log_does_not_have() {
    let mut t = Cluster::new();
    t.begin(0);
    t.decide(1, true);
    t.complete(1);
    t.expect_nothing();
    // A coordinator that has not read the log to its end.
    t.write(1, TransactionState::Empty);
    let mut builder = Builder::new();
    builder.append(Timestamp(1), Some(b"t"), Some(b"entry"));
    t.put(DECISIONS, &builder.build());
    t.expect_nothing();
    t.begin(1);
    assert_eq!(t.codes(), ["T1"]);
}

#[test]
fn t1_a_transaction_that_is_complete_before_its_last_marker() {
    let mut t = Cluster::new();
    decided(&mut t);
    t.marker(P0, 1, true);
    t.expect_nothing();
    t.complete(1);
    assert_eq!(t.codes(), ["T1"]);
}

#[test]
fn t1_an_abort_of_nothing_gives_a_new_epoch() {
    let mut t = Cluster::new();
    t.transit(0, TransactionState::Empty);
    t.decide(1, false);
    t.expect_nothing();
}

#[test]
fn t2_a_marker_of_the_other_type() {
    let mut t = Cluster::new();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.decide(1, false);
    t.marker(P0, 1, true);
    assert_eq!(t.codes(), ["T2"]);
}

#[test]
fn t2_a_marker_before_anything_is_decided() {
    let mut t = Cluster::new();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.write(1, TransactionState::PrepareCommit);
    t.marker(P0, 1, true);
    assert_eq!(t.codes(), ["T2"]);
}

#[test]
fn t2_a_late_marker_of_the_transaction_before() {
    let mut t = Cluster::new();
    committed(&mut t);
    t.begin(1);
    t.sent(2, &ids(&[3]));
    t.data(P0, 1, 0, &ids(&[3]));
    t.checkers.transaction_ending(transaction(2), COMMIT);
    t.expect_nothing();
    t.marker(P0, 1, true);
    assert_eq!(t.codes(), ["T2"]);
}

#[test]
fn t2_a_commit_that_nobody_asked_for() {
    let mut t = Cluster::new();
    t.begin(0);
    t.sent(1, &ids(&[1]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.decide(1, true);
    t.marker(P0, 1, true);
    assert_eq!(t.codes(), ["T2"]);
}

#[test]
fn t2_a_partition_that_its_coordinator_knows_nothing_of() {
    let mut t = Cluster::new();
    t.begin(0);
    t.data(COPIES, 0, 0, &ids(&[1]));
    t.decide(1, true);
    t.marker(COPIES, 1, true);
    assert_eq!(t.codes(), ["T2"]);
}

#[test]
fn t2_a_marker_that_comes_again_ends_nothing() {
    let mut t = Cluster::new();
    committed(&mut t);
    t.marker(P0, 1, true);
    t.expect_nothing();
}

#[test]
fn t3_a_transaction_that_is_committed_here_and_aborted_there() {
    let mut t = Cluster::new();
    decided(&mut t);
    t.marker(P0, 1, true);
    t.marker(P1, 1, false);
    t.expect("T3");
}

#[test]
fn t4_a_reader_of_committed_data_gets_what_is_undecided_or_aborted() {
    for decided in [false, true] {
        let mut t = Cluster::new();
        t.begin(0);
        t.data(P0, 0, 0, &ids(&[1]));
        if decided {
            t.decide(1, false);
            t.marker(P0, 1, false);
        }
        t.expect_nothing();
        t.poll(0, ids(&[1])[0]);
        assert_eq!(t.codes(), ["T4"]);
    }
}

#[test]
fn t4_a_reader_of_everything_may_get_it() {
    let mut t = Cluster::with(|settings| settings.isolation = IsolationLevel::ReadUncommitted);
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.poll(0, ids(&[1])[0]);
    t.expect_nothing();
}

#[test]
fn j5_j8_aborted_records_are_not_left_out() {
    let mut t = Cluster::new();
    committed(&mut t);
    t.poll(0, ids(&[1])[0]);
    t.begin(1);
    t.data(P0, 1, 0, &ids(&[3]));
    t.acknowledged(ids(&[3])[0], 2);
    t.decide(2, false);
    t.marker(P0, 2, false);
    t.checkers.ended();
    t.expect_nothing();
    t.begin(2);
    t.data(P0, 2, 0, &ids(&[4]));
    t.acknowledged(ids(&[4])[0], 4);
    t.decide(3, true);
    t.marker(P0, 3, true);
    t.checkers.ended();
    assert_eq!(t.codes(), ["J8"]);
    t.poll(4, ids(&[4])[0]);
    assert_eq!(t.codes(), ["J8"], "no J5: what was left out is aborted");
}

#[test]
fn t5_a_transaction_that_nobody_ends() {
    let mut t = Cluster::new();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    assert!(t.checkers.open_transaction().is_some());
    t.checkers.ended();
    assert_eq!(t.codes(), ["T5"]);
}

#[test]
fn t5_a_transaction_hangs_that_is_open_for_longer_than_it_can_be() {
    let hangs = |t: &mut Cluster, seconds: u64| {
        t.checkers.at(Instant::ZERO + Duration::from_secs(seconds), seconds);
        t.checkers.hanging_transaction().is_some()
    };
    for decided in [false, true] {
        let mut t = Cluster::new();
        t.begin(0);
        t.data(P0, 0, 0, &ids(&[1]));
        if decided {
            t.decide(1, true);
        }
        // Thirty seconds for its producer, ten until coordinators have settled.
        let limit = if decided { 10 } else { 40 };
        assert!(!hangs(&mut t, limit), "{decided}");
        assert!(hangs(&mut t, limit + 1), "{decided}");
    }
    // One is aborted in time, another begins.
    let mut t = Cluster::new();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    assert!(!hangs(&mut t, 35));
    t.decide(1, false);
    t.marker(P0, 1, false);
    t.begin(1);
    t.data(P0, 1, 0, &ids(&[1]));
    assert!(!hangs(&mut t, 75) && t.checkers.open_transaction().is_some());
    assert!(hangs(&mut t, 76));
}

#[test]
fn t6_a_last_stable_offset_above_an_open_transaction() {
    let mut t = Cluster::new();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    let mut fetched = |stable: i64| {
        let partition = FetchedPartition {
            topic: TopicRef::Id(TOPIC),
            partition: 0,
            error: ErrorCode::None,
            high_watermark: Offset(1),
            last_stable_offset: Offset(stable),
            log_start_offset: Offset::ZERO,
            diverging: None,
            current_leader: None,
            aborted: Vec::new(),
            records: Records::Inline(Vec::new()),
        };
        let response = FetchResponse { error: ErrorCode::None, partitions: vec![partition] };
        t.effect(B1, respond(Response::Fetch(response)));
        t.codes()
    };
    assert!(fetched(0).is_empty());
    assert_eq!(fetched(1), ["T6"]);
}

fn respond(response: Response) -> Effect {
    let (to, correlation) = (ConnId(0), CorrelationId(0));
    Effect::Respond { to, correlation, response: Arc::new(response) }
}

#[test]
fn t7_a_decision_that_counts_before_it_is_committed() {
    let mut t = Cluster::new();
    t.begin(0);
    t.write(1, TransactionState::PrepareCommit);
    t.expect_nothing();
    t.act(1, TransactionState::PrepareCommit);
    assert_eq!(t.codes(), ["T7"]);
}

fn successor(t: &mut Cluster, epoch: i16) {
    let answer = InitProducerIdResponse {
        error: ErrorCode::None,
        producer_id: PRODUCER,
        producer_epoch: ProducerEpoch(epoch),
    };
    t.effect(B1, respond(Response::InitProducerId(answer)));
}

#[test]
fn t8_a_zombie_writes_after_its_successor_has_its_epoch() {
    let mut t = Cluster::new();
    committed(&mut t);
    successor(&mut t, 2);
    t.data_of(ProducerId(71), P0, 0, 0, &[RecordId { source: 2, number: 1 }]);
    t.expect_nothing();
    t.begin(1);
    t.data(P0, 1, 0, &ids(&[3]));
    assert_eq!(t.codes(), ["T8"]);
}

#[test]
fn t8_a_zombies_transaction_is_decided() {
    let mut t = Cluster::new();
    t.begin(0);
    successor(&mut t, 2);
    t.decide(1, true);
    assert_eq!(t.codes(), ["T8"]);
}

#[test]
fn t8_a_zombie_goes_on_after_its_name_has_another_producer_id() {
    let mut t = Cluster::new();
    committed(&mut t);
    t.producer = ProducerId(71);
    t.begin(0);
    t.data_of(ProducerId(71), P0, 0, 0, &[RecordId { source: 2, number: 1 }]);
    t.expect_nothing();
    t.data(P0, 1, 0, &ids(&[3]));
    assert_eq!(t.codes(), ["T8"]);

    let mut t = Cluster::new();
    t.begin(0);
    t.producer = ProducerId(71);
    t.transit(0, TransactionState::Ongoing);
    t.producer = PRODUCER;
    t.expect_nothing();
    t.decide(1, true);
    assert_eq!(t.codes(), ["T8"]);
}

#[test]
fn t9_what_the_application_was_told_is_not_what_is() {
    let refused = Outcome::Failed(ErrorCode::ProducerFenced);
    let unknown = Outcome::Unknown(ErrorCode::RequestTimedOut);
    for (asked, outcome, commit, holds) in [
        (COMMIT, &Outcome::Done, true, true),
        (COMMIT, &Outcome::Done, false, false),
        (ABORT, &Outcome::Done, false, true),
        (COMMIT, &refused, true, false),
        (COMMIT, &refused, false, true),
        (ABORT, &refused, false, true),
        (COMMIT, &unknown, true, true),
        (COMMIT, &unknown, false, true),
    ] {
        let mut t = Cluster::new();
        t.begin(0);
        t.sent(1, &ids(&[1]));
        t.data(P0, 0, 0, &ids(&[1]));
        t.checkers.transaction_ending(transaction(1), asked);
        t.decide(1, commit);
        t.checkers.transaction_ended(transaction(1), asked, outcome);
        t.marker(P0, 1, commit);
        let expected: &[&str] = if holds { &[] } else { &["T9"] };
        assert_eq!(t.codes(), expected, "{asked:?} {outcome:?} commit: {commit}");
    }
}

#[test]
fn t9_a_committed_transaction_lacks_a_record() {
    let mut t = Cluster::new();
    t.begin(0);
    t.sent(1, &ids(&[1, 2]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.checkers.transaction_ending(transaction(1), COMMIT);
    t.checkers.transaction_ended(transaction(1), COMMIT, &Outcome::Done);
    assert_eq!(t.codes(), ["T9"]);
}

#[test]
fn t9_a_committed_transaction_that_never_becomes_visible() {
    let mut t = Cluster::new();
    t.begin(0);
    t.sent(1, &ids(&[1]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.checkers.transaction_ending(transaction(1), COMMIT);
    t.checkers.transaction_ended(transaction(1), COMMIT, &Outcome::Done);
    t.expect_nothing();
    t.checkers.ended();
    t.expect("T9");
}

/// No broker has anything of a partition any more.
fn lose(t: &mut Cluster, id: PartitionId, log: LogId, topic: &str) {
    let name = Arc::new(LogName::Partition { topic: topic.into(), id });
    let logs = vec![SurvivedLog { log, name, chunks: Vec::new() }];
    let survived = Survived { files: Vec::new(), logs };
    for node in [B1, B2, B3] {
        t.checkers.stopped(node);
        t.checkers.started(node, &survived);
        let name = Arc::new(LogName::Partition { topic: "orders".into(), id: P0 });
        t.effect(node, Effect::Create { log: DATA, name });
    }
}

#[test]
fn t9_a_partition_that_lost_too_much_excuses_its_own_records_only() {
    for at in [0, 1] {
        let mut t = Cluster::new();
        t.begin(0);
        t.data_of(ProducerId(71), P1, 0, 0, &ids(&[9]));
        lose(&mut t, P1, LogId(2), "orders");
        t.sent(1, &ids(&[1]));
        t.checkers.acknowledged(&"orders".into(), at, ids(&[1])[0], Offset(1));
        t.checkers.transaction_ending(transaction(1), COMMIT);
        t.checkers.transaction_ended(transaction(1), COMMIT, &Outcome::Done);
        assert_eq!(t.codes().contains(&"T9"), at == 0, "acknowledged by partition {at}");
    }
}

#[test]
fn t2_a_coordinator_whose_log_is_lost_excuses_its_own_producers_only() {
    for producer in [PRODUCER, ProducerId(71)] {
        let mut t = Cluster::new();
        t.begin(0);
        t.data_of(producer, P0, 0, 0, &ids(&[1]));
        lose(&mut t, DECISIONS, LogId(3), "__transaction_state");
        t.write(1, TransactionState::PrepareAbort);
        t.marker_of(producer, P0, 1, false);
        assert_eq!(t.codes().contains(&"T2"), producer != PRODUCER, "{producer}");
    }
}

#[test]
fn t10_a_committed_transaction_whose_offsets_nobody_wrote() {
    for written in [true, false] {
        let mut t = Cluster::new();
        t.begin(0);
        t.checkers.transaction_offsets(transaction(1), "g", &[position(5)]);
        if written {
            t.offset(5, Some((PRODUCER, 0)));
        }
        t.checkers.transaction_ending(transaction(1), COMMIT);
        t.checkers.transaction_ended(transaction(1), COMMIT, &Outcome::Done);
        let expected: &[&str] = if written { &[] } else { &["T10"] };
        assert_eq!(t.codes(), expected);
    }
}

#[test]
fn t10_offsets_of_an_aborted_transaction_count() {
    for commit in [true, false] {
        let mut t = Cluster::new();
        t.begin(0);
        let at = t.offset(5, Some((PRODUCER, 0)));
        t.decide(1, commit);
        t.marker(OFFSETS, 1, commit);
        t.expect_nothing();
        t.counts(5, at, ("m", 1), Some(PRODUCER));
        let expected: &[&str] = if commit { &[] } else { &["T10"] };
        assert_eq!(t.codes(), expected);
    }
}

#[test]
fn j9_a_transaction_that_becomes_visible_in_two_parts() {
    let mut t = Cluster::new();
    t.begin(0);
    t.sent(1, &ids(&[1, 2]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.checkers.transaction_ending(transaction(1), COMMIT);
    t.decide(1, true);
    t.marker(P0, 1, true);
    t.expect_nothing();
    t.data(P0, 1, 0, &ids(&[2]));
    t.marker(P0, 1, true);
    t.expect("J9");
}

#[test]
fn j10_a_transaction_reads_what_it_wrote() {
    let mut t = Cluster::new();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.offset(1, Some((PRODUCER, 0)));
    t.decide(1, true);
    t.marker(P0, 1, true);
    t.marker(OFFSETS, 1, true);
    t.checkers.ended();
    assert_eq!(t.codes(), ["J10"]);
}

#[test]
fn j11_two_transactions_read_what_the_other_one_wrote() {
    for circular in [false, true] {
        let mut t = Cluster::new();
        t.begin(0);
        t.data(P0, 0, 0, &ids(&[1]));
        if circular {
            t.offset_of(1, 1, Some((PRODUCER, 0)));
        }
        t.decide(1, true);
        t.marker(P0, 1, true);
        t.marker(OFFSETS, 1, true);
        t.begin(1);
        t.data(P1, 1, 0, &ids(&[2]));
        t.offset_of(0, 1, Some((PRODUCER, 1)));
        t.decide(2, true);
        t.marker(P1, 2, true);
        t.marker(OFFSETS, 2, true);
        t.checkers.ended();
        let expected: &[&str] = if circular { &["J11"] } else { &[] };
        assert_eq!(t.codes(), expected);
    }
}

#[test]
fn g0_concurrent_transactions_may_write_in_any_order() {
    let mut t = Cluster::new();
    let other = ProducerId(71);
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.data_of(other, P0, 0, 0, &[RecordId { source: 2, number: 1 }]);
    t.data_of(other, P1, 0, 0, &[RecordId { source: 2, number: 2 }]);
    t.data(P1, 0, 0, &ids(&[2]));
    t.decide(1, true);
    t.marker(P0, 1, true);
    t.marker(P1, 1, true);
    t.expect_nothing();
}

#[test]
fn p1_p5_markers_and_coordinators_have_no_numbers_but_epochs() {
    let mut t = Cluster::new();
    committed(&mut t);
    t.begin(1);
    t.data(P0, 1, 0, &ids(&[3]));
    t.offset(1, Some((PRODUCER, 1)));
    t.offset(2, Some((PRODUCER, 1)));
    t.expect_nothing();
    t.data(P1, 0, 1, &ids(&[4]));
    t.expect("P5");
}

#[test]
fn what_is_forgotten_with_the_log_is_forgotten_here() {
    let mut t = Cluster::new();
    for round in 0..100 {
        let epoch = i16::try_from(round).unwrap();
        t.begin(epoch);
        t.data(P0, epoch, 0, &ids(&[u64::try_from(round).unwrap() + 1]));
        t.decide(epoch + 1, false);
        t.marker(P0, epoch + 1, false);
    }
    t.expect_nothing();
    let (_, full) = t.checkers.size();
    let to = Offset(t.end(P0));
    for node in [B1, B2, B3] {
        t.effect(node, Effect::Trim { log: DATA, to });
    }
    let (_, left) = t.checkers.size();
    assert!(left + 90 < full, "{left} of {full} are left");
}
