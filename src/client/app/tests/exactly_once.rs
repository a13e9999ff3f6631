//! Transactions that do not end as they should, and state that comes from a changelog.

use alloc::string::String;

use bytes::Bytes;

use crate::client::app::AppSetup;
use crate::client::app::engine::{Ask, Purpose};
use crate::client::app::processor::{Context, Processor};
use crate::client::app::testing::{Rig, copy, record, setup};
use crate::config::Delivery;
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, TopicRef};
use crate::message::Response;
use crate::message::offsets::{ListOffsetsResponse, ListedOffset};
use crate::op::{ConsumedRecord, Op, Outcome, Position, Rebalance, SendRecord};
use crate::time::{Duration, Timestamp};

const COMMIT: Duration = Duration::from_millis(100);

/// In a transaction that has record 5.
fn begun<P: Processor>(setup: AppSetup, processor: P) -> Rig<P> {
    let mut rig = Rig::new(setup, processor);
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    rig.done(&Purpose::Begin);
    rig
}

/// The transaction has all that it will have.
fn add_offsets<P: Processor>(rig: &mut Rig<P>) {
    rig.pass(COMMIT);
    rig.done(&Purpose::Offsets);
}

/// A pipeline whose one record's send has failed, up to the abort.
fn aborting(defects: Defects) -> Rig<crate::client::app::copy::Copy> {
    let mut setup = setup(Delivery::ExactlyOnce);
    setup.defects = defects;
    let mut rig = Rig::new(setup, copy());
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    rig.done(&Purpose::Begin);
    let timed_out = Outcome::Failed(ErrorCode::RequestTimedOut);
    rig.answer(|purpose| matches!(purpose, Purpose::Send(..)), timed_out);
    assert_eq!(rig.calls(), ["send out b=2", "abort transaction"]);
    rig.done(&Purpose::EndAbort);
    rig
}

fn committed(offset: i64) -> Outcome {
    let position = Position {
        topic: "in".into(),
        partition: 0,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    Outcome::Committed([position].into())
}

#[test]
fn after_an_abort_everything_is_read_again_from_what_is_committed() {
    let mut rig = aborting(Defects::NONE);
    assert_eq!(rig.calls(), ["send out b=2", "committed? 1"]);
    rig.answer(|purpose| *purpose == Purpose::Committed, committed(5));
    assert_eq!(rig.calls(), ["send out b=2", "seek 0 Offset(Offset(5))"]);
    rig.sent();
    rig.done(&Purpose::Seek);
    rig.pass(COMMIT);
    rig.polled([record(0, 5, "a", "1")].into());
    assert_eq!(rig.calls(), ["begin"], "an answer of the aborted transaction counts for nothing");
    assert!(rig.notes.is_empty(), "nothing of it has happened");
}

#[test]
fn with_nothing_committed_it_goes_back_to_the_first_record_it_got() {
    let mut rig = aborting(Defects::NONE);
    rig.answer(|purpose| *purpose == Purpose::Committed, committed(-1));
    assert_eq!(rig.calls(), ["send out b=2", "seek 0 Offset(Offset(5))"]);
}

/// `ledger_double_spend` seed 7879.
#[test]
fn who_gets_a_partition_on_the_way_back_asks_for_its_position_too() {
    let mut rig = aborting(Defects::NONE);
    assert_eq!(rig.calls(), ["send out b=2", "committed? 1"]);
    rig.assigned(&[1]);
    rig.polled([record(1, 3, "c", "3")].into());
    rig.answer(|purpose| *purpose == Purpose::Committed, committed(5));
    assert_eq!(rig.calls(), ["send out b=2", "committed? 2"], "its first record was dropped");
}

#[test]
fn the_switch_keeps_the_position_of_what_was_aborted() {
    let rig = aborting(Defects::NONE.with(Defect::NoRewindOnAbort));
    let goes_back = rig.calls().iter().any(|call| call.starts_with("committed"));
    assert_eq!(goes_back, !cfg!(feature = "defects"));
}

#[test]
fn whoever_is_fenced_takes_another_producer_before_it_asks_what_is_committed() {
    let mut rig = begun(setup(Delivery::ExactlyOnce), copy());
    rig.sent();
    add_offsets(&mut rig);
    let fenced = Outcome::Failed(ErrorCode::ProducerFenced);
    rig.answer(|purpose| *purpose == Purpose::EndCommit, fenced);
    assert_eq!(rig.calls(), ["new producer"]);
    rig.asks.retain(|ask| *ask != Ask::RenewProducer);
    rig.pass(COMMIT);
    assert_eq!(rig.calls(), ["init"]);
    rig.done(&Purpose::Init);
    assert_eq!(rig.calls(), ["committed? 1"]);
}

#[test]
fn after_a_commit_without_an_answer_it_goes_on_where_the_group_is() {
    let mut rig = begun(setup(Delivery::ExactlyOnce), copy());
    rig.sent();
    add_offsets(&mut rig);
    rig.done(&Purpose::EndCommit);
    rig.polled([record(0, 6, "a", "2"), record(0, 7, "b", "3")].into());
    rig.done(&Purpose::Begin);
    rig.sent();
    rig.sent();
    rig.pass(COMMIT);
    assert_eq!(rig.calls(), ["offsets 0@8 of \"m\" 1"]);
    rig.done(&Purpose::Offsets);
    let unknown = Outcome::Unknown(ErrorCode::RequestTimedOut);
    rig.answer(|purpose| *purpose == Purpose::EndCommit, unknown);
    rig.asks.retain(|ask| *ask != Ask::RenewProducer);
    rig.pass(COMMIT);
    rig.done(&Purpose::Init);
    rig.answer(|purpose| *purpose == Purpose::Committed, committed(8));
    assert_eq!(rig.calls(), ["seek 0 Offset(Offset(8))"], "6 is what it knows of itself");
}

#[test]
fn a_membership_that_is_lost_takes_its_transaction_along() {
    let mut rig = begun(setup(Delivery::ExactlyOnce), copy());
    rig.rebalanced(Rebalance::Lost([("in".into(), 0)].into()));
    assert_eq!(rig.calls(), ["send out a=1", "abort transaction"]);
    rig.done(&Purpose::EndAbort);
    assert_eq!(rig.calls(), ["send out a=1"], "there is nothing to go back to");
}

/// Counts the records of each key, in its state.
#[derive(Clone)]
struct Count;

impl Processor for Count {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let key = record.key.clone().expect("all records have a key");
        let before = context.get(&key).map_or(0, Bytes::len);
        context.set(key, Some(Bytes::from("x".repeat(before + 1))));
    }
}

fn counting() -> Rig<Count> {
    let mut setup = setup(Delivery::ExactlyOnce);
    setup.changelog = Some("log".into());
    let mut rig = Rig::new(setup, Count);
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    rig
}

fn ends(offset: i64) -> Outcome {
    let found = ListedOffset {
        topic: TopicRef::Name("log".into()),
        partition: 0,
        error: ErrorCode::None,
        timestamp: Timestamp::NONE,
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(0),
    };
    let answer = ListOffsetsResponse { partitions: [found].into() };
    Outcome::Answered(Response::ListOffsets(answer).into())
}

#[test]
fn nothing_is_processed_before_the_changelog_is_read_to_its_end() {
    let mut rig = counting();
    assert_eq!(rig.calls(), ["ends?"]);
    rig.answer(|purpose| *purpose == Purpose::Ends, ends(3));
    assert_eq!(rig.calls(), ["restorer: assign 1", "restorer: seek 0 Earliest"]);
    rig.done(&Purpose::RestoreAssign);
    rig.done(&Purpose::RestoreSeek);
    assert_eq!(rig.calls(), ["restorer: poll"]);
    rig.polled([record(0, 0, "a", "1")].into());
    let changes = [record(0, 0, "a", "x"), record(0, 1, "a", "xx")];
    rig.engine.restored_to(&[(0, Offset(2))]);
    let polled = Outcome::Polled(changes.into());
    rig.answer(|purpose| *purpose == Purpose::RestorePoll, polled);
    assert_eq!(rig.calls(), ["restorer: poll"], "a marker is still missing");
    rig.engine.restored_to(&[(0, Offset(3))]);
    rig.answer(|purpose| *purpose == Purpose::RestorePoll, Outcome::Polled([].into()));
    rig.pass(Duration::ZERO);
    assert_eq!(rig.calls(), ["begin"]);
    rig.done(&Purpose::Begin);
    assert_eq!(rig.calls(), ["send log a=xxx"]);
    let fixed = |ask: &Ask| {
        let Ask::Producer(_, Op::Send(record)) = ask else { return false };
        record.partition == Some(0)
    };
    assert!(rig.asks.iter().any(fixed), "the changelog has the input's partitions");
}

/// The keys of the state.
fn state(rig: &Rig<Count>) -> alloc::vec::Vec<&str> {
    let keys = rig.engine.lanes.values().flat_map(|lane| lane.state.keys());
    keys.map(|key| core::str::from_utf8(key).expect("keys are text")).collect()
}

#[test]
fn what_the_changelog_has_removed_is_not_restored() {
    let mut rig = counting();
    rig.answer(|purpose| *purpose == Purpose::Ends, ends(4));
    rig.done(&Purpose::RestoreAssign);
    rig.done(&Purpose::RestoreSeek);
    let removed = ConsumedRecord { value: None, ..record(0, 2, "a", "") };
    let changes = [record(0, 0, "a", "x"), record(0, 1, "b", "x"), removed];
    rig.answer(|purpose| *purpose == Purpose::RestorePoll, Outcome::Polled(changes.into()));
    assert_eq!(state(&rig), ["b"]);
}

#[test]
fn state_of_an_aborted_transaction_is_restored_anew() {
    let mut rig = counting();
    rig.answer(|purpose| *purpose == Purpose::Ends, ends(0));
    rig.done(&Purpose::RestoreAssign);
    rig.done(&Purpose::RestoreSeek);
    rig.engine.restored_to(&[(0, Offset(0))]);
    rig.polled([record(0, 0, "a", "1")].into());
    rig.answer(|purpose| *purpose == Purpose::RestorePoll, Outcome::Polled([].into()));
    rig.pass(Duration::ZERO);
    rig.done(&Purpose::Begin);
    let timed_out = Outcome::Failed(ErrorCode::RequestTimedOut);
    rig.answer(|purpose| matches!(purpose, Purpose::Send(..)), timed_out);
    rig.done(&Purpose::EndAbort);
    let calls: alloc::vec::Vec<String> = rig.calls();
    assert_eq!(calls, ["committed? 1", "ends?"]);
    assert_eq!(state(&rig), [""; 0], "only what was aborted has set it");
}

/// Sends on what has a key that was not seen yet.
#[derive(Clone)]
struct First;

impl Processor for First {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let key = record.key.clone().expect("all records have a key");
        if context.get(&key).is_none() {
            let (topic, value) = ("out".into(), record.value.clone());
            let (partition, headers, timestamp) = (None, [].into(), None);
            let key = Some(key.clone());
            context.emit(SendRecord { topic, partition, key, value, headers, timestamp });
        }
        context.set(key.clone(), None);
        context.set(key, Some("seen".into()));
    }
}

/// Without a changelog: `a` of record 5 is committed, `b` of record 6 is in an open transaction.
fn seen() -> Rig<First> {
    let mut rig = begun(setup(Delivery::ExactlyOnce), First);
    rig.sent();
    add_offsets(&mut rig);
    rig.done(&Purpose::EndCommit);
    rig.polled([record(0, 6, "b", "2"), record(0, 7, "a", "3")].into());
    rig.done(&Purpose::Begin);
    assert_eq!(rig.calls(), ["send out b=2"]);
    rig
}

/// What the state has, and what is sent, when record 6 comes again, if it does.
fn after(mut rig: Rig<First>, at: i64) -> (usize, alloc::vec::Vec<String>) {
    rig.answer(|purpose| *purpose == Purpose::Committed, committed(at));
    let state = rig.engine.lanes.values().map(|lane| lane.state.len()).sum();
    rig.done(&Purpose::Seek);
    rig.pass(COMMIT);
    rig.polled([record(0, at, "b", "2")].into());
    rig.done(&Purpose::Begin);
    (state, rig.calls())
}

#[test]
fn state_that_no_changelog_has_is_taken_back_with_the_transaction_and_no_further() {
    let mut rig = seen();
    let timed_out = Outcome::Failed(ErrorCode::RequestTimedOut);
    rig.answer(|purpose| matches!(purpose, Purpose::Send(..)), timed_out);
    rig.done(&Purpose::EndAbort);
    assert_eq!(after(rig, 6), (1, ["send out b=2".into()].into()));
}

#[test]
fn state_stays_with_a_transaction_that_turns_out_to_be_committed() {
    let mut rig = seen();
    rig.sent();
    add_offsets(&mut rig);
    let unknown = Outcome::Unknown(ErrorCode::RequestTimedOut);
    rig.answer(|purpose| *purpose == Purpose::EndCommit, unknown);
    rig.asks.retain(|ask| *ask != Ask::RenewProducer);
    rig.pass(COMMIT);
    rig.done(&Purpose::Init);
    assert_eq!(after(rig.clone(), 6), (1, ["send out b=2".into()].into()));
    assert_eq!(after(rig, 8), (2, [].into()));
}
