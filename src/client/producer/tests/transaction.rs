//! Transactions on a scripted cluster: which coordinator is asked what, and what the calls return.

mod offsets;
mod table;

use super::*;
use crate::client::producer::transaction::State;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::message::coordinator::{FindCoordinatorResponse, FoundCoordinator};
use crate::message::produce::InitProducerIdResponse;
use crate::message::transaction::{AddPartitionsToTxnResponse, EndTxnResponse, TransactionVersion};

pub(super) const CONFIG: fn(TransactionVersion) -> ProducerConfig = |transaction_protocol| {
    ProducerConfig { transaction_protocol, linger: Duration::ZERO, ..config() }
};

fn transactional(version: TransactionVersion, defects: Defects) -> Script<Producer> {
    let setup = Arc::new(ProducerSetup {
        client_id: "p1".into(),
        bootstrap: [endpoint(1)].into(),
        config: CONFIG(version),
        defects,
        partitioner: None,
        transactional_id: Some("p1".into()),
        space: crate::client::SPACE,
    });
    Script::new(|now, out| Producer::start(&setup, [1; 32], now, out), &[(1, 3), (2, 3)])
}

pub(super) fn found(key: &str) -> Response {
    Response::FindCoordinator(FindCoordinatorResponse {
        coordinators: vec![FoundCoordinator {
            key: key.into(),
            error: ErrorCode::None,
            node: NodeId(2),
            endpoint: Some(endpoint(2)),
        }],
    })
}

pub(super) fn identified(error: ErrorCode, epoch: i16) -> Response {
    Response::InitProducerId(InitProducerIdResponse {
        error,
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
    })
}

fn added(error: ErrorCode) -> Response {
    Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
        error: ErrorCode::None,
        transactions: vec![("p1".into(), vec![("orders".into(), 0, error)])],
    })
}

pub(super) fn ended(error: ErrorCode, epoch: i16) -> Response {
    Response::EndTxn(EndTxnResponse {
        error,
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(epoch),
    })
}

/// The API, and for EndTxn what and in which epoch.
pub(super) fn name(asked: &Asked) -> (i32, String) {
    let what = if let Request::EndTxn(end) = &*asked.request {
        let what = if end.commit { "commit" } else { "abort" };
        format!("{what} {}", end.producer_epoch.0)
    } else if let Request::InitProducerId(init) = &*asked.request {
        format!("init {}", init.producer_epoch.0)
    } else {
        asked.request.api().name().into()
    };
    (asked.node, what)
}

/// Whoever is asked for a coordinator says broker 2.
pub(super) fn look_up(script: &mut Script<Producer>, key: &str) {
    let asked = script.asked();
    assert_eq!(name(&asked).1, "FindCoordinator");
    script.answer(&asked, found(key));
}

/// The oldest request.
pub(super) fn next(script: &mut Script<Producer>, expected: (i32, &str)) -> Asked {
    let asked = script.asked();
    assert_eq!(name(&asked), (expected.0, expected.1.into()));
    asked
}

/// Ready, in epoch 0.
pub(super) fn ready(version: TransactionVersion, defects: Defects) -> Script<Producer> {
    let mut script = transactional(version, defects);
    script.call(100, Op::InitTransactions);
    look_up(&mut script, "p1");
    let init = next(&mut script, (2, "init -1"));
    script.answer(&init, identified(ErrorCode::None, 0));
    assert_eq!(script.take_returned(), [(100, Outcome::Done)]);
    script
}

/// In a transaction, with one record in flight.
pub(super) fn open(version: TransactionVersion, defects: Defects) -> (Script<Producer>, Asked) {
    let mut script = ready(version, defects);
    script.call(101, Op::BeginTransaction);
    script.call(1, record("a"));
    if version == TransactionVersion::V1 {
        let add = next(&mut script, (2, "AddPartitionsToTxn"));
        script.answer(&add, added(ErrorCode::None));
    }
    assert_eq!(script.take_returned(), [(101, Outcome::Done)]);
    let produce = next(&mut script, (1, "Produce"));
    (script, produce)
}

const V1: TransactionVersion = TransactionVersion::V1;
const V2: TransactionVersion = TransactionVersion::V2;

#[test]
fn the_batches_of_a_transaction_say_so() {
    let (_, produce) = open(V2, Defects::NONE);
    let Request::Produce(request) = &*produce.request else { panic!("a produce request") };
    assert_eq!(request.transactional_id.as_deref(), Some("p1"));
    let header = verify(&request.partitions[0].records.chunks()[0]).expect("a good batch");
    assert!(header.is_transactional());
}

#[test]
fn the_end_waits_for_every_record_and_gives_the_next_epoch() {
    let (mut script, produce) = open(V2, Defects::NONE);
    script.call(102, Op::CommitTransaction);
    assert!(script.unanswered.is_empty(), "a record has no answer yet");
    script.answer(&produce, ok(5));
    let end = next(&mut script, (2, "commit 0"));
    assert_eq!(script.take_returned(), [(1, sent(5))]);
    script.answer(&end, ended(ErrorCode::None, 1));
    assert_eq!(script.take_returned(), [(102, Outcome::Done)]);
    script.call(103, Op::BeginTransaction);
    script.call(2, record("b"));
    let second = next(&mut script, (1, "Produce"));
    assert_eq!(batches(&second), [(0, 1, 0, 1)], "a new epoch, from sequence 0");
}

#[cfg(feature = "defects")]
#[test]
fn with_commit_before_flush_the_end_overtakes_a_record() {
    let on = Defects::NONE.with(crate::defect::Defect::CommitBeforeFlush);
    let (mut script, _produce) = open(V2, on);
    script.call(102, Op::CommitTransaction);
    next(&mut script, (2, "commit 0"));
}

#[test]
fn version_1_tells_the_coordinator_before_it_sends_and_keeps_its_epoch() {
    let (mut script, produce) = open(V1, Defects::NONE);
    script.answer(&produce, ok(5));
    script.call(102, Op::CommitTransaction);
    let end = next(&mut script, (2, "commit 0"));
    script.answer(&end, ended(ErrorCode::None, -1));
    script.call(103, Op::BeginTransaction);
    script.call(2, record("b"));
    let add = next(&mut script, (2, "AddPartitionsToTxn"));
    script.answer(&add, added(ErrorCode::None));
    let second = next(&mut script, (1, "Produce"));
    assert_eq!(batches(&second), [(0, 0, 1, 1)], "the same epoch, the next number");
}

#[test]
fn an_enrolment_without_effect_is_tried_again_but_not_for_an_abort() {
    let mut script = ready(V1, Defects::NONE);
    script.call(100, Op::BeginTransaction);
    script.call(1, record("a"));
    let refused = |errors: [ErrorCode; 2]| {
        let each = errors.into_iter().map(|error| ("orders".into(), 0, error));
        let transactions = vec![("p1".into(), each.collect())];
        let error = ErrorCode::None;
        Response::AddPartitionsToTxn(AddPartitionsToTxnResponse { error, transactions })
    };
    let (other, unknown) = (ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition);
    let add = next(&mut script, (2, "AddPartitionsToTxn"));
    script.answer(&add, refused([other, unknown]));
    script.pass(secs(1));
    let add = next(&mut script, (2, "AddPartitionsToTxn"));
    script.call(102, Op::AbortTransaction);
    script.answer(&add, refused([unknown, other]));
    let dropped = Outcome::Failed(ErrorCode::TransactionAbortable);
    assert_eq!(script.take_returned(), [(100, Outcome::Done), (1, dropped), (102, Outcome::Done)]);
    assert!(script.unanswered.is_empty(), "the coordinator knows of no transaction");
}

#[test]
fn an_empty_transaction_is_nobodys_business() {
    let mut script = ready(V2, Defects::NONE);
    for (call, end) in [(1, Op::CommitTransaction), (2, Op::AbortTransaction)] {
        script.call(0, Op::BeginTransaction);
        script.call(call, end);
        assert_eq!(script.take_returned(), [(0, Outcome::Done), (call, Outcome::Done)]);
    }
    assert!(script.unanswered.is_empty());
}

#[test]
fn an_abort_drops_what_was_never_sent() {
    let (mut script, produce) = open(V2, Defects::NONE);
    script.call(2, record("b"));
    script.call(102, Op::AbortTransaction);
    let dropped = Outcome::Failed(ErrorCode::TransactionAbortable);
    assert_eq!(script.take_returned(), [(2, dropped)]);
    script.answer(&produce, ok(5));
    let end = next(&mut script, (2, "abort 0"));
    script.answer(&end, ended(ErrorCode::None, 1));
    assert_eq!(script.take_returned(), [(1, sent(5)), (102, Outcome::Done)]);
}

#[test]
fn a_transaction_that_lost_a_record_can_only_be_aborted() {
    let (mut script, produce) = open(V2, Defects::NONE);
    script.answer(&produce, no(ErrorCode::MessageTooLarge));
    script.call(102, Op::CommitTransaction);
    script.call(2, record("b"));
    let refused = Outcome::Failed(ErrorCode::MessageTooLarge);
    assert_eq!(
        script.take_returned(),
        [(1, refused.clone()), (102, refused.clone()), (2, refused)]
    );
    script.call(103, Op::AbortTransaction);
    next(&mut script, (2, "abort 0"));
}

#[test]
fn version_1_gives_up_the_epoch_of_a_record_in_doubt() {
    let (mut script, produce) = open(V1, Defects::NONE);
    script.answer(&produce, no(ErrorCode::UnknownServerError));
    script.call(102, Op::AbortTransaction);
    let end = next(&mut script, (2, "abort 0"));
    script.answer(&end, ended(ErrorCode::None, -1));
    let init = next(&mut script, (2, "init 0"));
    script.answer(&init, identified(ErrorCode::None, 1));
    let doubt = Outcome::Unknown(ErrorCode::UnknownServerError);
    assert_eq!(script.take_returned(), [(1, doubt), (102, Outcome::Done)]);
    script.call(103, Op::BeginTransaction);
    script.call(2, record("b"));
    let add = next(&mut script, (2, "AddPartitionsToTxn"));
    script.answer(&add, added(ErrorCode::None));
    let second = next(&mut script, (1, "Produce"));
    assert_eq!(batches(&second), [(0, 1, 0, 1)]);
}

#[cfg(feature = "defects")]
#[test]
fn with_seq_reuse_after_abort_the_number_in_doubt_is_used_again() {
    let on = Defects::NONE.with(crate::defect::Defect::SeqReuseAfterAbort);
    let (mut script, produce) = open(V1, on);
    script.answer(&produce, no(ErrorCode::UnknownServerError));
    script.call(102, Op::AbortTransaction);
    let end = next(&mut script, (2, "abort 0"));
    script.answer(&end, ended(ErrorCode::None, -1));
    script.call(103, Op::BeginTransaction);
    script.call(2, record("b"));
    let add = next(&mut script, (2, "AddPartitionsToTxn"));
    script.answer(&add, added(ErrorCode::None));
    let second = next(&mut script, (1, "Produce"));
    assert_eq!(batches(&second), [(0, 0, 0, 1)], "epoch and number of the lost one");
}

#[test]
fn a_commit_without_an_answer_is_asked_again_until_it_is_given_up() {
    let (mut script, produce) = open(V2, Defects::NONE);
    script.answer(&produce, ok(5));
    script.call(102, Op::CommitTransaction);
    let end = next(&mut script, (2, "commit 0"));
    script.hang_up(end.conn);
    script.pass(secs(1));
    look_up(&mut script, "p1");
    script.pass(ms(500));
    next(&mut script, (2, "commit 0"));
    script.take_returned();
    script.pass(secs(3));
    assert_eq!(script.take_returned(), [(102, Outcome::Unknown(ErrorCode::RequestTimedOut))]);
    script.call(104, Op::CommitTransaction);
    while script.returned.is_empty() {
        let Some(asked) = script.unanswered.pop_back() else {
            script.pass(ms(100));
            continue;
        };
        let response = match &name(&asked) {
            (_, what) if what == "FindCoordinator" => found("p1"),
            (_, what) => {
                assert_eq!(what, "commit 0");
                ended(ErrorCode::None, 1)
            }
        };
        script.answer(&asked, response);
    }
    assert_eq!(script.take_returned(), [(104, Outcome::Done)], "taken up again");
}

#[test]
fn a_commit_in_doubt_that_is_fenced_then_stays_in_doubt() {
    for (first, outcome) in [
        (ErrorCode::CoordinatorNotAvailable, Outcome::Unknown(ErrorCode::ProducerFenced)),
        (ErrorCode::ConcurrentTransactions, Outcome::Failed(ErrorCode::ProducerFenced)),
    ] {
        let (mut script, produce) = open(V2, Defects::NONE);
        script.answer(&produce, ok(5));
        script.call(102, Op::CommitTransaction);
        let end = next(&mut script, (2, "commit 0"));
        script.answer(&end, ended(first, -1));
        script.pass(ms(500));
        let mut asked = script.asked();
        if name(&asked).1 == "FindCoordinator" {
            script.answer(&asked, found("p1"));
            asked = script.asked();
        }
        script.answer(&asked, ended(ErrorCode::ProducerFenced, -1));
        assert_eq!(script.take_returned(), [(1, sent(5)), (102, outcome)]);
        let state = script.machine.transaction.as_ref().map(|transaction| transaction.state);
        assert_eq!(state, Some(State::FatalError(ErrorCode::ProducerFenced)));
        script.call(103, Op::BeginTransaction);
        let fenced = Outcome::Failed(ErrorCode::ProducerFenced);
        assert_eq!(script.take_returned(), [(103, fenced)]);
    }
}

#[test]
fn closing_aborts_what_is_open() {
    let (mut script, produce) = open(V2, Defects::NONE);
    script.call(102, Op::Close);
    script.answer(&produce, ok(5));
    let end = next(&mut script, (2, "abort 0"));
    assert_eq!(script.take_returned(), [(1, sent(5))]);
    script.answer(&end, ended(ErrorCode::None, 1));
    assert_eq!(script.take_returned(), [(102, Outcome::Done)]);
}

#[test]
fn closing_does_not_wait_for_a_coordinator_for_ever() {
    let (mut script, produce) = open(V2, Defects::NONE);
    script.call(102, Op::Close);
    script.answer(&produce, ok(5));
    script.pass(secs(4));
    assert_eq!(script.take_returned(), [(1, sent(5)), (102, Outcome::Done)]);
}
