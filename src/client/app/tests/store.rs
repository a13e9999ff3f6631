//! Calls to the external store, and who is processed when.

use alloc::sync::Arc;

use crate::client::app::engine::{Ask, Purpose};
use crate::client::app::processor::{Context, Processor};
use crate::client::app::testing::{Rig, answered, copy, record, setup};
use crate::config::Delivery;
use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset};
use crate::message::store::{Apply, StoreRequest, StoreResponse};
use crate::op::{ConsumedRecord, Outcome, Position};
use crate::time::Duration;

/// Asks the store once for each record.
#[derive(Clone)]
pub struct Caller;

impl Processor for Caller {
    fn process(&mut self, _: &ConsumedRecord, context: &mut Context<'_>) {
        context.call(StoreRequest::Apply(Apply {
            request: "r".into(),
            by: Arc::clone(context.client()),
            once: Some("r".into()),
            changes: [].into(),
            fence: context.fence(),
        }));
    }
}

fn calling(defects: Defects) -> Rig<Caller> {
    let mut setup = setup(Delivery::AtLeastOnce);
    setup.defects = defects;
    setup.config.workers = 2;
    setup.config.ordered = false;
    let mut rig = Rig::new(setup, Caller);
    rig.assigned(&[0]);
    rig.polled((0..4).map(|offset| record(0, offset, "a", "1")).collect());
    rig
}

fn asked(rig: &Rig<Caller>) -> usize {
    rig.asks.iter().filter(|ask| matches!(ask, Ask::Store(..))).count()
}

#[test]
fn no_more_are_worked_on_than_there_are_workers() {
    let mut rig = calling(Defects::NONE);
    assert_eq!(asked(&rig), 2);
    let applied = answered(StoreResponse::Applied([].into()));
    rig.answer(|purpose| matches!(purpose, Purpose::Store(..)), applied);
    assert_eq!((asked(&rig), rig.calls().len()), (2, 3), "the third one's turn, and a commit");
}

#[test]
fn a_question_without_an_answer_is_asked_again_under_its_own_id() {
    for switch in [false, true] {
        let defects = if switch { Defects::NONE.with(Defect::RetryFreshId) } else { Defects::NONE };
        let mut rig = calling(defects);
        let unknown = Outcome::Unknown(ErrorCode::RequestTimedOut);
        rig.answer(|purpose| matches!(purpose, Purpose::Store(..)), unknown);
        assert_eq!(asked(&rig), 1);
        rig.pass(Duration::from_millis(100));
        let Some(Ask::Store(_, StoreRequest::Apply(again))) = rig.asks.last() else {
            panic!("asked again")
        };
        let same = again.once.as_deref() == Some("r");
        assert_eq!(same, !(switch && cfg!(feature = "defects")));
    }
}

#[test]
fn at_most_once_commits_first_and_so_does_the_switch() {
    let first = |delivery, defects| {
        let mut setup = setup(delivery);
        setup.defects = defects;
        let mut rig = Rig::new(setup, copy());
        rig.assigned(&[0]);
        rig.polled([record(0, 5, "a", "1")].into());
        rig.calls().remove(0)
    };
    assert_eq!(first(Delivery::AtMostOnce, Defects::NONE), "commit 0@6");
    assert_eq!(first(Delivery::AtLeastOnce, Defects::NONE), "send out a=1");
    let expected = if cfg!(feature = "defects") { "commit 0@6" } else { "send out a=1" };
    let switched = Defects::NONE.with(Defect::CommitThenProcess);
    assert_eq!(first(Delivery::AtLeastOnce, switched), expected);
}

#[test]
fn what_at_most_once_has_not_committed_it_does_not_process() {
    let mut rig = Rig::new(setup(Delivery::AtMostOnce), copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    let refused = Outcome::Failed(ErrorCode::IllegalGeneration);
    rig.answer(|purpose| matches!(purpose, Purpose::Commit(_)), refused);
    assert_eq!(rig.calls(), ["committed? 1"]);
}

#[test]
fn what_at_most_once_has_in_hand_stays_there_when_a_failed_commit_counts_after_all() {
    let mut rig = Rig::new(setup(Delivery::AtMostOnce), copy());
    let is_commit = |purpose: &Purpose| matches!(purpose, Purpose::Commit(_));
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    rig.answer(is_commit, Outcome::Done);
    rig.polled([record(0, 6, "a", "2")].into());
    rig.answer(is_commit, Outcome::Unknown(ErrorCode::RequestTimedOut));
    let position = Position {
        topic: "in".into(),
        partition: 0,
        offset: Offset(7),
        leader_epoch: LeaderEpoch::NONE,
        metadata: None,
    };
    let found = Outcome::Committed([position].into());
    rig.answer(|purpose| *purpose == Purpose::Committed, found);
    rig.answer(|purpose| *purpose == Purpose::Seek, Outcome::Done);
    assert_eq!(rig.calls(), ["send out a=1"]);
    rig.sent();
    assert!(rig.calls().is_empty(), "nothing is left to commit: {:?}", rig.calls());
}
