//! The transition tables of an application, as the code has them.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::fmt::Write as _;
use std::format;

use crate::client::app::engine::Purpose;
use crate::client::app::processor::{Context, Processor};
use crate::client::app::testing::{Rig, record, setup};
use crate::config::Delivery;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset};
use crate::message::Response;
use crate::message::store::{StoreRequest, StoreResponse};
use crate::op::{ConsumedRecord, Outcome, Position, Rebalance, SendRecord};
use crate::time::{Duration, Timestamp};

/// Does with a record what its value says.
#[derive(Clone)]
struct Told;

fn emit(record: &ConsumedRecord, context: &mut Context<'_>) {
    context.emit(SendRecord {
        topic: "out".into(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: Vec::new(),
        timestamp: None,
    });
}

impl Processor for Told {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        match record.value.as_deref() {
            Some(b"again") if context.attempt() == 0 => context.nack(Duration::from_millis(50)),
            Some(b"call") => context.call(StoreRequest::Get { key: "k".into() }),
            Some(_) | None => emit(record, context),
        }
    }

    fn answered(
        &mut self,
        record: &ConsumedRecord,
        _: &StoreRequest,
        _: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        emit(record, context);
    }
}

type Step = fn(&mut Rig<Told>);
type Named = (&'static str, Step);

fn answer(rig: &mut Rig<Told>, which: impl Fn(&Purpose) -> bool, outcome: Outcome) {
    if rig.asks.iter().any(|ask| ask.purpose().is_some_and(&which)) {
        rig.answer(which, outcome);
    }
}

fn sent() -> Outcome {
    Outcome::Sent { partition: 0, offset: Offset(0), timestamp: Timestamp(0) }
}

fn failed(error: ErrorCode) -> Outcome {
    Outcome::Failed(error)
}

fn polls(rig: &mut Rig<Told>, value: &str) {
    let polled = Outcome::Polled([record(0, 5, "a", value)].into());
    answer(rig, |purpose| *purpose == Purpose::Poll, polled);
}

fn rebalances(rig: &mut Rig<Told>, change: Rebalance) {
    let outcome = Outcome::Rebalanced(Arc::new(change));
    answer(rig, |purpose| *purpose == Purpose::Poll, outcome);
}

fn sends(rig: &mut Rig<Told>, outcome: Outcome) {
    answer(rig, |purpose| matches!(purpose, Purpose::Send(..)), outcome);
}

fn commits(rig: &mut Rig<Told>, outcome: Outcome) {
    answer(rig, |purpose| matches!(purpose, Purpose::Commit(_)), outcome);
}

fn goes_back(rig: &mut Rig<Told>) {
    let at = Position {
        topic: "in".into(),
        partition: 0,
        offset: Offset(5),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    answer(rig, |purpose| *purpose == Purpose::Committed, Outcome::Committed([at].into()));
    answer(rig, |purpose| *purpose == Purpose::Seek, Outcome::Done);
}

/// What may happen in any mode.
const COMMON: &[Named] = &[
    ("50 ms pass", |rig| rig.pass(Duration::from_millis(50))),
    ("100 ms pass", |rig| rig.pass(Duration::from_millis(100))),
    ("a record is polled", |rig| polls(rig, "1")),
    ("a send is accepted", |rig| sends(rig, sent())),
    ("a send fails", |rig| sends(rig, failed(ErrorCode::RequestTimedOut))),
    ("its partition is revoked", |rig| {
        rebalances(rig, Rebalance::Revoked([("in".into(), 0)].into()));
    }),
    ("its partition is lost", |rig| rebalances(rig, Rebalance::Lost([("in".into(), 0)].into()))),
    ("is closed", Rig::close),
    ("a client is closed", |rig| {
        let closes =
            |purpose: &Purpose| matches!(purpose, Purpose::CloseConsumer | Purpose::CloseProducer);
        answer(rig, closes, Outcome::Done);
    }),
];

const PLAIN: &[Named] = &[
    ("a record that comes again is polled", |rig| polls(rig, "again")),
    ("a record that calls is polled", |rig| polls(rig, "call")),
    ("the store answers", |rig| {
        let response = Response::Store(StoreResponse::Value(None));
        let outcome = Outcome::Answered(Arc::new(response));
        answer(rig, |purpose| matches!(purpose, Purpose::Store(..)), outcome);
    }),
    ("a commit is accepted", |rig| commits(rig, Outcome::Done)),
    ("a commit fails", |rig| commits(rig, failed(ErrorCode::RebalanceInProgress))),
];

const TRANSACTION: &[Named] = &[
    ("InitTransactions is done", |rig| {
        answer(rig, |purpose| *purpose == Purpose::Init, Outcome::Done);
    }),
    ("InitTransactions fails", |rig| {
        answer(rig, |purpose| *purpose == Purpose::Init, failed(ErrorCode::RequestTimedOut));
    }),
    ("has begun", |rig| answer(rig, |purpose| *purpose == Purpose::Begin, Outcome::Done)),
    ("a send is fenced", |rig| sends(rig, failed(ErrorCode::ProducerFenced))),
    ("offsets are added", |rig| {
        answer(rig, |purpose| *purpose == Purpose::Offsets, Outcome::Done);
    }),
    ("offsets are refused", |rig| {
        let refused = failed(ErrorCode::IllegalGeneration);
        answer(rig, |purpose| *purpose == Purpose::Offsets, refused);
    }),
    ("offsets are fenced", |rig| {
        let fenced = failed(ErrorCode::ProducerFenced);
        answer(rig, |purpose| *purpose == Purpose::Offsets, fenced);
    }),
    ("is committed", |rig| answer(rig, |purpose| *purpose == Purpose::EndCommit, Outcome::Done)),
    ("the commit is refused", |rig| {
        let refused = failed(ErrorCode::InvalidTxnState);
        answer(rig, |purpose| *purpose == Purpose::EndCommit, refused);
    }),
    ("nobody knows of the commit", |rig| {
        let unknown = Outcome::Unknown(ErrorCode::RequestTimedOut);
        answer(rig, |purpose| *purpose == Purpose::EndCommit, unknown);
    }),
    ("is aborted", |rig| answer(rig, |purpose| *purpose == Purpose::EndAbort, Outcome::Done)),
    ("the abort fails", |rig| {
        let failed = failed(ErrorCode::RequestTimedOut);
        answer(rig, |purpose| *purpose == Purpose::EndAbort, failed);
    }),
    ("is back at its positions", goes_back),
];

fn begin(delivery: Delivery, steps: &[Step]) -> Rig<Told> {
    let mut rig = Rig::new(setup(delivery), Told);
    steps.iter().for_each(|step| step(&mut rig));
    rig
}

/// How far it is, and what it waits for.
fn told(rig: &Rig<Told>) -> String {
    let mut line = format!("{:?}", rig.engine.closing);
    if rig.engine.is_transactional() {
        write!(line, ", {}", rig.engine.transaction.stage_name()).unwrap();
    }
    for lane in rig.engine.lanes.values() {
        match lane.entries.front() {
            Some(entry) => write!(line, ", {:?}", entry.work).unwrap(),
            None => write!(line, ", empty").unwrap(),
        }
    }
    let calls = rig.calls();
    if calls.is_empty() { line } else { line + ": " + &calls.join(", ") }
}

fn table(starts: &[(&str, Rig<Told>)], triggers: &[&[Named]]) -> String {
    let mut table = String::new();
    for (name, start) in starts {
        let before = told(start);
        writeln!(table, "{name} ({before})").unwrap();
        for (what, trigger) in triggers.iter().copied().flatten() {
            let mut rig = start.clone();
            trigger(&mut rig);
            let after = told(&rig);
            if after != before {
                writeln!(table, "  {what:<36} -> {after}").unwrap();
            }
        }
    }
    table
}

const ASSIGNED: Step = |rig| rig.assigned(&[0]);

fn plain(delivery: Delivery) -> String {
    let polled: Step = |rig| polls(rig, "1");
    let again: Step = |rig| polls(rig, "again");
    let calls: Step = |rig| polls(rig, "call");
    let is_sent: Step = |rig| sends(rig, sent());
    let committed: Step = |rig| commits(rig, Outcome::Done);
    let first: &[Step] = if delivery == Delivery::AtMostOnce { &[committed] } else { &[] };
    let after =
        |value: Step, more: &[Step]| begin(delivery, &[&[ASSIGNED, value], first, more].concat());
    let starts = [
        ("nothing in hand", begin(delivery, &[ASSIGNED])),
        ("polled", begin(delivery, &[ASSIGNED, polled])),
        ("waits to come again", after(again, &[])),
        ("waits for the store", after(calls, &[])),
        ("sends", after(polled, &[])),
        ("sent", after(polled, &[is_sent])),
        ("closing while it sends", after(polled, &[Rig::close])),
        ("closing clients", begin(delivery, &[ASSIGNED, Rig::close])),
    ];
    table(&starts, &[COMMON, PLAIN])
}

#[test]
fn the_transition_table_at_least_once_is_known() {
    insta::assert_snapshot!(plain(Delivery::AtLeastOnce));
}

#[test]
fn the_transition_table_at_most_once_is_known() {
    insta::assert_snapshot!(plain(Delivery::AtMostOnce));
}

#[test]
fn the_transition_table_of_a_transaction_is_known() {
    let path: [Named; 9] = [
        ("Between", |rig| rig.done(&Purpose::Init)),
        ("Between, assigned", ASSIGNED),
        ("Beginning", |rig| polls(rig, "1")),
        ("Open, sending", |rig| rig.done(&Purpose::Begin)),
        ("Open, sent", |rig| sends(rig, sent())),
        ("SendingOffsets", |rig| rig.pass(Duration::from_millis(100))),
        ("Committing", |rig| rig.done(&Purpose::Offsets)),
        ("Aborting", |rig| {
            let refused = failed(ErrorCode::InvalidTxnState);
            answer(rig, |purpose| *purpose == Purpose::EndCommit, refused);
        }),
        ("Fresh", |rig| {
            let failed = failed(ErrorCode::RequestTimedOut);
            answer(rig, |purpose| *purpose == Purpose::EndAbort, failed);
        }),
    ];
    let new = Rig::new(setup(Delivery::ExactlyOnce), Told);
    let mut starts = [("Initialising", new)].to_vec();
    for (name, step) in path {
        let mut rig = starts.last().expect("there is a first").1.clone();
        step(&mut rig);
        starts.push((name, rig));
    }
    let mut closing = starts[4].1.clone();
    closing.close();
    starts.push(("Open, sending, closing", closing));
    insta::assert_snapshot!(table(&starts, &[COMMON, TRANSACTION]));
}
