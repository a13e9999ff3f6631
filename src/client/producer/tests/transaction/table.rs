//! The transition table of a transactional producer, as the code has it.

use std::fmt::Write as _;

use super::offsets::offsets;
use super::*;

type Trigger = (&'static str, fn(&mut Script<Producer>));

/// Answers the oldest request with this error, whatever it asks.
fn refuse(script: &mut Script<Producer>, error: ErrorCode) {
    let Some(asked) = script.unanswered.pop_front() else { return };
    let request = &*asked.request;
    let response = if matches!(request, Request::Produce(_)) {
        no(error)
    } else if matches!(request, Request::InitProducerId(_)) {
        identified(error, 5)
    } else {
        assert!(matches!(request, Request::EndTxn(_)), "no table for {request:?}");
        ended(error, 5)
    };
    script.answer(&asked, response);
}

const TRIGGERS: &[Trigger] = &[
    ("init", |script| script.call(900, Op::InitTransactions)),
    ("begin", |script| script.call(900, Op::BeginTransaction)),
    ("send", |script| script.call(900, record("x"))),
    ("send offsets", |script| script.call(900, offsets())),
    ("commit", |script| script.call(900, Op::CommitTransaction)),
    ("abort", |script| script.call(900, Op::AbortTransaction)),
    ("answered", |script| refuse(script, ErrorCode::None)),
    ("ConcurrentTransactions", |script| refuse(script, ErrorCode::ConcurrentTransactions)),
    ("NotCoordinator", |script| refuse(script, ErrorCode::NotCoordinator)),
    ("TransactionAbortable", |script| refuse(script, ErrorCode::TransactionAbortable)),
    ("InvalidTxnState", |script| refuse(script, ErrorCode::InvalidTxnState)),
    ("InvalidProducerEpoch", |script| refuse(script, ErrorCode::InvalidProducerEpoch)),
    ("ProducerFenced", |script| refuse(script, ErrorCode::ProducerFenced)),
    ("UnknownProducerId", |script| refuse(script, ErrorCode::UnknownProducerId)),
    ("OutOfOrderSequence", |script| refuse(script, ErrorCode::OutOfOrderSequenceNumber)),
    ("connection lost", |script| {
        let Some(asked) = script.unanswered.front().cloned() else { return };
        script.hang_up(asked.conn);
    }),
    ("max.block.ms over", |script| script.pass(secs(3))),
];

fn starts(version: TransactionVersion) -> Vec<(&'static str, Script<Producer>)> {
    let mut initializing = transactional(version, Defects::NONE);
    initializing.call(100, Op::InitTransactions);
    look_up(&mut initializing, "p1");
    let (sending, _) = again(version);
    let (mut committing, produce) = open(version, Defects::NONE);
    committing.answer(&produce, ok(5));
    committing.call(102, Op::CommitTransaction);
    let (mut aborting, produce) = open(version, Defects::NONE);
    aborting.answer(&produce, ok(5));
    aborting.call(102, Op::AbortTransaction);
    let (mut abortable, produce) = open(version, Defects::NONE);
    abortable.answer(&produce, no(ErrorCode::MessageTooLarge));
    vec![
        ("Uninitialized", transactional(version, Defects::NONE)),
        ("Initializing", initializing),
        ("Ready", ready(version, Defects::NONE)),
        ("InTransaction, a record in flight", sending),
        ("Committing", committing),
        ("Aborting", aborting),
        ("AbortableError", abortable),
    ]
}

/// The oldest request is a record's.
fn again(version: TransactionVersion) -> (Script<Producer>, Asked) {
    let (mut script, produce) = open(version, Defects::NONE);
    script.unanswered.push_front(produce.clone());
    (script, produce)
}

fn told(script: &Script<Producer>) -> String {
    let transaction = script.machine.transaction.as_ref().expect("a transactional producer");
    let epoch = transaction.session.map_or(-1, |session| session.epoch.0);
    let mut line = format!("{:?}, epoch {epoch}", transaction.state);
    if transaction.spoilt {
        line.push_str(", spoilt");
    }
    for (call, outcome) in &script.returned {
        write!(line, "; call {call} {outcome:?}").expect("text grows");
    }
    line
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::new();
    for version in [V1, V2] {
        for (name, mut start) in starts(version) {
            start.returned.clear();
            writeln!(table, "{version:?} {name}: {}", told(&start)).expect("text grows");
            for (what, trigger) in TRIGGERS {
                let mut script = start.clone();
                trigger(&mut script);
                script.machine.check();
                writeln!(table, "  {what:<22} -> {}", told(&script)).expect("text grows");
            }
        }
    }
    insta::assert_snapshot!(table);
}
