//! What is counted of its work, and what bounds it.

use crate::client::app::engine::{Ask, Purpose};
use crate::client::app::processor::{Context, Processor};
use crate::client::app::testing::{Rig, copy, record, setup};
use crate::config::Delivery;
use crate::error::ErrorCode;
use crate::op::{ConsumedRecord, Op, Outcome, Rebalance, SendRecord};
use crate::time::Duration;

/// Sends each record on twice.
#[derive(Clone)]
struct Twice;

impl Processor for Twice {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        for _ in 0..2 {
            context.emit(SendRecord {
                topic: "out".into(),
                partition: None,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: record.headers.clone(),
                timestamp: None,
            });
        }
    }
}

fn refuse<P: Processor>(rig: &mut Rig<P>) {
    let timed_out = Outcome::Failed(ErrorCode::RequestTimedOut);
    rig.answer(|purpose| matches!(purpose, Purpose::Send(..)), timed_out);
}

#[test]
fn published_is_what_was_accepted_whether_somebody_still_waits_for_it_or_not() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), Twice);
    let published = |rig: &Rig<Twice>| rig.engine.counters.published;
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    assert_eq!(published(&rig), 0);
    rig.sent();
    rig.sent();
    assert_eq!(published(&rig), 2);
    refuse(&mut rig);
    assert_eq!(published(&rig), 2);
    rig.rebalanced(Rebalance::Lost([("in".into(), 0)].into()));
    rig.sent();
    assert_eq!(published(&rig), 3);
}

#[test]
fn received_is_what_was_taken_in() {
    let mut rig = Rig::new(setup(Delivery::AtMostOnce), copy());
    let received = |rig: &Rig<_>| rig.engine.counters.received;
    rig.assigned(&[0]);
    rig.polled([record(1, 5, "a", "1")].into());
    assert_eq!(received(&rig), 0, "it has not that partition");
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    assert_eq!(received(&rig), 2);
    let refused = Outcome::Failed(ErrorCode::RebalanceInProgress);
    rig.answer(|purpose| matches!(purpose, Purpose::Commit(_)), refused);
    assert_eq!(rig.calls(), ["committed? 1"]);
    rig.polled([record(0, 7, "c", "3")].into());
    assert_eq!(received(&rig), 2, "it goes back, and all of that comes again");
}

#[test]
fn what_is_processed_at_least_once_is_told_when_it_is_sent() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    assert_eq!((rig.engine.counters.processed, rig.notes.len()), (0, 0));
    rig.sent();
    assert_eq!((rig.engine.counters.processed, rig.notes.len()), (1, 1));
}

#[test]
fn what_is_processed_exactly_once_is_told_when_it_is_to_be_committed() {
    let started = || {
        let mut rig = Rig::new(setup(Delivery::ExactlyOnce), copy());
        rig.done(&Purpose::Init);
        rig.assigned(&[0]);
        rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
        rig.done(&Purpose::Begin);
        rig.sent();
        rig
    };
    let mut aborted = started();
    refuse(&mut aborted);
    aborted.done(&Purpose::EndAbort);
    assert_eq!((aborted.engine.counters.processed, aborted.notes.len()), (0, 0));
    let mut committed = started();
    committed.sent();
    committed.pass(Duration::from_millis(100));
    committed.done(&Purpose::Offsets);
    assert_eq!((committed.engine.counters.processed, committed.notes.len()), (2, 2));
}

/// At most how many records the poll asks for that has no answer yet.
fn asked<P>(rig: &Rig<P>) -> Option<usize> {
    rig.asks.iter().find_map(|ask| {
        let Ask::Consumer(_, Op::Poll { max_records, .. }) = ask else { return None };
        Some(*max_records)
    })
}

#[test]
fn it_takes_no_more_than_there_is_room_for_and_counts_each_pause_once() {
    let mut setup = setup(Delivery::AtLeastOnce);
    setup.config.buffered_records = 3;
    let mut rig = Rig::new(setup, copy());
    rig.assigned(&[0]);
    assert_eq!(asked(&rig), Some(3));
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    assert_eq!(asked(&rig), Some(1), "what is worked on takes room");
    rig.polled([record(0, 7, "c", "3")].into());
    rig.pass(Duration::ZERO);
    rig.pass(Duration::ZERO);
    assert_eq!((asked(&rig), rig.engine.counters.paused), (None, 1));
    rig.sent();
    assert_eq!(asked(&rig), Some(1));
    rig.polled([record(0, 8, "d", "4")].into());
    assert_eq!((asked(&rig), rig.engine.counters.paused), (None, 2));
}

#[test]
fn without_room_it_stays_in_its_group_and_hears_what_it_has_lost() {
    let mut setup = setup(Delivery::AtLeastOnce);
    setup.config.buffered_records = 1;
    let mut rig = Rig::new(setup, copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    rig.pass(Duration::from_millis(499));
    assert_eq!(asked(&rig), None);
    for _ in 0..2 {
        rig.pass(Duration::from_millis(500));
        assert_eq!((asked(&rig), rig.engine.counters.paused), (Some(0), 1));
        rig.polled([].into());
        assert_eq!(asked(&rig), None);
    }
    rig.pass(Duration::from_millis(500));
    rig.rebalanced(Rebalance::Lost([("in".into(), 0)].into()));
    assert_eq!(asked(&rig), Some(1), "there is room again");
}
