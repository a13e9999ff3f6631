mod claim;
mod counters;
mod exactly_once;
mod retry;
mod store;
mod table;

use alloc::sync::Arc;

use crate::client::app::copy::Copy;
use crate::client::app::engine::Purpose;
use crate::client::app::testing::{Rig, copy, generation, record, setup};
use crate::config::Delivery;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, TopicRef};
use crate::message::Response;
use crate::message::offsets::{ListOffsetsResponse, ListedOffset};
use crate::op::{Outcome, Rebalance};
use crate::time::{Duration, Timestamp};

const COMMIT: Duration = Duration::from_millis(100);

#[test]
fn at_least_once_commits_what_is_sent_on() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    assert_eq!(rig.calls(), ["send out a=1", "send out b=2"]);
    rig.answer(
        |purpose| matches!(purpose, Purpose::Send(task, _) if task.offset.0 == 6),
        Outcome::Sent { partition: 0, offset: Offset(0), timestamp: Timestamp(0) },
    );
    assert_eq!(rig.calls(), ["send out a=1"], "a hole is not committed over");
    rig.sent();
    assert_eq!(rig.calls(), ["commit 0@7"]);
    assert_eq!(rig.notes.len(), 2);
    assert_eq!(generation(1).generation, 1);
}

#[test]
fn exactly_once_commits_outputs_and_positions_together() {
    let mut rig = Rig::new(setup(Delivery::ExactlyOnce), copy());
    assert_eq!(rig.calls(), ["init"]);
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    assert_eq!(rig.calls(), ["begin"]);
    rig.done(&Purpose::Begin);
    assert_eq!(rig.calls(), ["send out a=1"]);
    rig.pass(COMMIT);
    assert_eq!(rig.calls(), ["send out a=1"], "nothing ends before its sends are answered");
    rig.sent();
    assert_eq!(rig.calls(), ["offsets 0@6 of \"m\" 1"]);
    rig.done(&Purpose::Offsets);
    assert_eq!(rig.calls(), ["commit transaction"]);
    rig.done(&Purpose::EndCommit);
    assert_eq!(rig.calls(), [""; 0]);
}

#[test]
fn what_was_revoked_is_committed_and_then_given_up() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1")].into());
    rig.rebalanced(Rebalance::Revoked([("in".into(), 0)].into()));
    assert!(rig.asks.iter().all(|ask| !alloc::format!("{ask:?}").contains("Poll")));
    rig.sent();
    assert_eq!(rig.calls(), ["commit 0@6"]);
    rig.answer(
        |purpose| matches!(purpose, Purpose::Commit(_)),
        Outcome::Failed(ErrorCode::RebalanceInProgress),
    );
    assert_eq!(rig.calls(), [""; 0]);
    assert!(rig.engine.lanes.is_empty());
}

#[test]
fn what_was_not_begun_is_not_committed_over_when_it_is_given_up() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "a", "2"), record(0, 7, "b", "3")].into());
    assert_eq!(rig.calls(), ["send out a=1", "send out b=3"], "a key waits for its record before");
    rig.rebalanced(Rebalance::Revoked([("in".into(), 0)].into()));
    rig.sent();
    rig.sent();
    assert_eq!(rig.calls(), ["send out a=2", "commit 0@6"]);
    rig.answer(|purpose| matches!(purpose, Purpose::Commit(_)), Outcome::Done);
    rig.sent();
    assert_eq!(rig.calls(), ["commit 0@8"]);
}

#[test]
fn what_a_log_has_lost_makes_room_for_what_comes_in_its_place() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    rig.polled([record(0, 6, "c", "3")].into());
    assert_eq!(rig.calls(), ["send out a=1", "send out b=2", "send out c=3"]);
}

#[test]
fn a_graceful_stop_finishes_what_is_on_its_way_and_starts_nothing() {
    let mut setup = setup(Delivery::AtLeastOnce);
    setup.config.workers = 1;
    let mut rig = Rig::new(setup, copy());
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    rig.close();
    assert_eq!(rig.calls(), ["send out a=1"]);
    rig.sent();
    assert_eq!(rig.calls(), ["commit 0@6"]);
    rig.answer(|purpose| matches!(purpose, Purpose::Commit(_)), Outcome::Done);
    assert_eq!(rig.calls(), ["close", "close"]);
}

#[test]
fn a_graceful_stop_finishes_what_holds_back_the_position_of_what_is_done() {
    let mut rig = Rig::new(setup(Delivery::AtLeastOnce), copy());
    rig.assigned(&[0]);
    // The second one waits for the first, the third for nobody, the fourth for the second.
    let [first, second] = [record(0, 5, "a", "1"), record(0, 6, "a", "2")];
    rig.polled([first, second, record(0, 7, "b", "3"), record(0, 8, "a", "4")].into());
    assert_eq!(rig.calls(), ["send out a=1", "send out b=3"]);
    rig.close();
    rig.sent();
    rig.sent();
    assert_eq!(rig.calls(), ["send out a=2", "commit 0@6"]);
    rig.answer(|purpose| matches!(purpose, Purpose::Commit(_)), Outcome::Done);
    assert_eq!(rig.calls(), ["send out a=2"]);
    rig.sent();
    assert_eq!(rig.calls(), ["commit 0@8"], "what comes after all that was begun stays");
    rig.answer(|purpose| matches!(purpose, Purpose::Commit(_)), Outcome::Done);
    assert_eq!(rig.calls(), ["close", "close"]);
}

#[test]
fn a_restorer_that_cannot_poll_yet_waits_before_it_tries_again() {
    let mut setup = setup(Delivery::ExactlyOnce);
    setup.changelog = Some("log".into());
    let mut rig = Rig::new(setup, copy());
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    let listed = ListedOffset {
        topic: TopicRef::Name("log".into()),
        partition: 0,
        error: ErrorCode::None,
        timestamp: Timestamp(-1),
        offset: Offset(3),
        leader_epoch: LeaderEpoch::NONE,
    };
    let response = Response::ListOffsets(ListOffsetsResponse { partitions: [listed].into() });
    rig.answer(|asked| *asked == Purpose::Ends, Outcome::Answered(Arc::new(response)));
    rig.done(&Purpose::RestoreAssign);
    rig.done(&Purpose::RestoreSeek);
    let polls = |rig: &Rig<Copy>| {
        let asked = rig.calls();
        asked.iter().filter(|call| *call == "restorer: poll").count()
    };
    assert_eq!(polls(&rig), 1);
    let failed = Outcome::Failed(ErrorCode::InvalidRequest);
    rig.answer(|asked| *asked == Purpose::RestorePoll, failed);
    assert_eq!(polls(&rig), 0);
    rig.pass(Duration::from_millis(100));
    assert_eq!(polls(&rig), 1);
}
