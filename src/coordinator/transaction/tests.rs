mod decisions;
mod desk;
mod epochs;

use std::format;
use std::string::String;

use self::desk::{Desk, TIMEOUT, add, end, init};
use super::decide::{End, Ending, Prepared};
use super::*;
use crate::defect::Defects;
use crate::event::Event;
use crate::machine::Effect;
use crate::message::Response;
use crate::message::transaction::{
    DescribeTransactionsRequest, ListTransactionsRequest, TransactionVersion,
};
use crate::time::{Duration, Timestamp};

/// When the last transaction began, and whether it is listed among those older than that.
fn seen(desk: &mut Desk, age: Duration) -> (Timestamp, bool) {
    let transactional_ids = alloc::vec!["t".into()];
    desk.ask(Request::DescribeTransactions(DescribeTransactionsRequest { transactional_ids }));
    desk.ask(Request::ListTransactions(ListTransactionsRequest {
        states: Vec::new(),
        producer_ids: Vec::new(),
        longer_than: Some(age),
    }));
    let answers = desk.answers();
    let [Response::DescribeTransactions(described), Response::ListTransactions(listed)] = &*answers
    else {
        panic!("{answers:?}")
    };
    (described.transactions[0].start, !listed.transactions.is_empty())
}

#[test]
fn a_filter_that_names_no_state_is_told() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    let states = alloc::vec!["Empty".into(), "Asleep".into()];
    let ask = ListTransactionsRequest { states, producer_ids: Vec::new(), longer_than: None };
    desk.ask(Request::ListTransactions(ask));
    let answers = desk.answers();
    let [Response::ListTransactions(listed)] = &*answers else { panic!("{answers:?}") };
    assert_eq!(listed.unknown_states, ["Asleep".into()]);
    assert_eq!(listed.transactions.len(), 1);
}

#[test]
fn when_the_last_transaction_began_is_told_until_the_next_session() {
    let age = Duration::from_secs(10);
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    assert_eq!(seen(&mut desk, age), (Timestamp::NONE, true), "what never began is old to Kafka");
    desk.bring_to(TransactionState::CompleteCommit);
    let began = desk.now.wall;
    assert_eq!(seen(&mut desk, age), (began, false));
    desk.pass(age + Duration::from_millis(1));
    assert_eq!(seen(&mut desk, age), (began, true));
    desk.fail_over();
    assert_eq!(seen(&mut desk, age), (began, true));
    desk.ask(init(None));
    desk.commit();
    desk.answers();
    assert_eq!(seen(&mut desk, age), (Timestamp::NONE, true));
}

#[test]
fn nothing_is_answered_or_told_before_it_is_committed() {
    let mut desk = Desk::new();
    desk.ask(init(None));
    assert_eq!(desk.error(), None);
    desk.ask(init(None));
    assert_eq!(desk.error(), Some(ErrorCode::ConcurrentTransactions));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
    assert_eq!(desk.session(), (1001, 0));
    desk.ask(add((1001, 0), false));
    desk.commit();
    desk.answers();
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!((desk.error(), desk.coordinator.take_markers()), (None, Vec::new()));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
    assert_eq!(desk.deliver(), 1);
    desk.commit();
    assert_eq!((desk.state(), desk.session()), (TransactionState::CompleteCommit, (1001, 1)));
}

#[test]
fn with_the_switch_a_decision_is_told_before_it_is_durable() {
    let mut desk = Desk::with(Defects::NONE.with(Defect::TcDecideBeforeDurable));
    desk.bring_to(TransactionState::Ongoing);
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    let told = !desk.coordinator.take_markers().is_empty();
    assert_eq!(told, cfg!(feature = "defects"));
}

#[test]
fn a_refused_append_leaves_the_entry_as_it_was() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Ongoing);
    desk.log.refuses = Some(ErrorCode::NotEnoughReplicas);
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!(desk.error(), Some(ErrorCode::CoordinatorNotAvailable));
    desk.log.refuses = Some(ErrorCode::NotLeaderOrFollower);
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!(desk.error(), Some(ErrorCode::NotCoordinator));
    desk.log.refuses = None;
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
}

#[test]
fn a_new_coordinator_delivers_the_markers_of_what_was_decided_before() {
    for dropped in [false, true] {
        let defect = Defects::NONE.with(Defect::TcLoadDropsPrepare);
        let mut desk = Desk::with(if dropped { defect } else { Defects::NONE });
        desk.bring_to(TransactionState::PrepareCommit);
        desk.fail_over();
        let delivers = !(dropped && cfg!(feature = "defects"));
        assert_eq!(desk.deliver() == 1, delivers);
        desk.commit();
        assert_eq!(desk.state() == TransactionState::CompleteCommit, delivers);
    }
}

#[test]
fn of_partitions_that_are_not_all_known_none_is_added() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    let Request::AddPartitionsToTxn(mut request) = add(desk.session(), false) else { panic!() };
    let added = &mut request.transactions[0].partitions;
    added.extend([("orders".into(), 2), ("payments".into(), 0)]);
    desk.ask(Request::AddPartitionsToTxn(request));
    let unknown = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(added_to(&mut desk), [ErrorCode::OperationNotAttempted, unknown, unknown]);
    assert_eq!(desk.state(), TransactionState::Empty);
}

/// What became of each partition.
fn added_to(desk: &mut Desk) -> Vec<ErrorCode> {
    let answers = desk.answers();
    let [Response::AddPartitionsToTxn(answer)] = &*answers else { panic!("{answers:?}") };
    answer.transactions[0].1.iter().map(|at| at.2).collect()
}

#[test]
fn a_client_adds_no_internal_topic_to_its_transaction_and_a_broker_does() {
    for by_client in [true, false] {
        let mut desk = Desk::new();
        desk.bring_to(TransactionState::Empty);
        let Request::AddPartitionsToTxn(mut request) = add(desk.session(), false) else { panic!() };
        request.transactions[0].by_client = by_client;
        request.transactions[0].partitions.push(("__consumer_offsets".into(), 0));
        desk.ask(Request::AddPartitionsToTxn(request));
        if by_client {
            let refused = ErrorCode::TopicAuthorizationFailed;
            assert_eq!(added_to(&mut desk), [ErrorCode::OperationNotAttempted, refused]);
            assert_eq!(desk.state(), TransactionState::Empty);
        } else {
            desk.commit();
            assert_eq!(desk.state(), TransactionState::Ongoing);
        }
    }
}

#[test]
fn the_transition_table() {
    type Trigger = (&'static str, fn(&mut Desk));
    let triggers: [Trigger; 13] = [
        ("InitProducerId", |desk| desk.ask(init(None))),
        ("InitProducerId, own session", |desk| desk.ask(init(Some(desk.session())))),
        ("InitProducerId, foreign session", |desk| desk.ask(init(Some((9, 0))))),
        ("AddPartitions", |desk| desk.ask(add(desk.session(), false))),
        ("AddPartitions, verify only", |desk| desk.ask(add(desk.session(), true))),
        ("EndTxn commit, v1", |desk| desk.ask(end(desk.session(), true, TransactionVersion::V1))),
        ("EndTxn abort, v1", |desk| desk.ask(end(desk.session(), false, TransactionVersion::V1))),
        ("EndTxn commit, v2", |desk| desk.ask(end(desk.session(), true, TransactionVersion::V2))),
        ("EndTxn abort, v2", |desk| desk.ask(end(desk.session(), false, TransactionVersion::V2))),
        ("EndTxn commit, v2, epoch before", |desk| {
            let (id, epoch) = desk.session();
            desk.ask(end((id, epoch - 1), true, TransactionVersion::V2));
        }),
        ("EndTxn abort, v2, epoch before", |desk| {
            let (id, epoch) = desk.session();
            desk.ask(end((id, epoch - 1), false, TransactionVersion::V2));
        }),
        ("markers written", |desk| {
            desk.deliver();
        }),
        ("time passes", |desk| desk.pass(TIMEOUT * 2)),
    ];
    let mut table = String::new();
    for state in [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
    ] {
        for (name, trigger) in triggers {
            let mut desk = Desk::new();
            desk.bring_to(state);
            trigger(&mut desk);
            let mut path = String::new();
            for effect in desk.out.as_slice() {
                if let Effect::Note(Event::Transaction(note)) = effect {
                    path.push_str(&format!(" -> {:?} epoch {}", note.to, note.producer_epoch));
                }
            }
            desk.commit();
            let error = desk.error().map_or_else(|| "-".into(), |error| format!("{error}"));
            table.push_str(&format!(
                "{:14} | {name:31} | {error:24} |{path}\n",
                format!("{state:?}")
            ));
        }
    }
    insta::assert_snapshot!(table);
}
