//! Sessions and their epochs: who is fenced, when, and what becomes of the last epoch.

use super::desk::{Desk, TIMEOUT, add, end, init};
use super::*;
use crate::ids::ProducerId;

#[test]
fn a_transaction_that_takes_too_long_is_aborted_with_an_epoch_that_fences() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Ongoing);
    desk.pass(Duration::from_secs(10));
    desk.commit();
    assert_eq!(desk.state(), TransactionState::Ongoing);
    desk.pass(TIMEOUT);
    desk.commit();
    let markers = desk.coordinator.markers.clone().take_fresh();
    assert_eq!(markers[0].key.1, ProducerEpoch(1));
    assert_eq!(desk.deliver(), 1);
    desk.commit();
    assert_eq!(desk.state(), TransactionState::CompleteAbort);
    desk.ask(add((1001, 0), false));
    assert_eq!(desk.error(), Some(ErrorCode::ProducerFenced));
    desk.ask(end((1001, 0), true, TransactionVersion::V2));
    assert_eq!(desk.error(), Some(ErrorCode::InvalidTxnState));
    for commit in [false, true] {
        desk.ask(end((1001, 0), commit, TransactionVersion::V1));
        assert_eq!(desk.error(), Some(ErrorCode::ProducerFenced));
    }
    desk.ask(end((1001, 0), false, TransactionVersion::V2));
    let answers = desk.answers();
    let [Response::EndTxn(answer)] = &*answers else { panic!("{answers:?}") };
    assert_eq!((answer.error, answer.producer_epoch), (ErrorCode::None, ProducerEpoch(1)));
}

#[test]
fn an_abort_in_time_takes_one_epoch_whatever_was_spoken_before() {
    for version in [TransactionVersion::V1, TransactionVersion::V2] {
        let mut desk = Desk::new();
        desk.config.producer_epoch_max = 100;
        desk.bring_to(TransactionState::Ongoing);
        desk.ask(end(desk.session(), true, version));
        desk.commit();
        desk.deliver();
        desk.commit();
        desk.ask(init(None));
        desk.commit();
        let (id, epoch) = desk.session();
        desk.ask(add((id, epoch), false));
        desk.commit();
        desk.pass(TIMEOUT * 2);
        desk.commit();
        let markers = desk.coordinator.take_markers();
        let told = (markers[0].key.1, markers[0].version);
        assert_eq!(told, (ProducerEpoch(epoch + 1), TransactionVersion::V2));
    }
}

#[test]
fn a_session_that_goes_on_at_its_last_epoch_gets_another_id_and_the_same_one_when_it_asks_again() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    let mut sessions = Vec::new();
    for _ in 0..12 {
        let session = desk.session();
        desk.ask(init(Some(session)));
        desk.commit();
        assert_eq!(desk.error(), Some(ErrorCode::None), "{session:?}");
        let next = desk.session();
        desk.ask(init(Some(session)));
        desk.commit();
        assert_eq!((desk.error(), desk.session()), (Some(ErrorCode::None), next));
        sessions.push(next);
    }
    let expected = (1..=12).map(|n| (1001 + i64::from(n / 5), n % 5));
    assert_eq!(sessions, expected.collect::<Vec<(i64, i16)>>());
}

#[test]
fn the_last_epoch_of_an_id_ends_its_open_transaction_and_the_next_id_goes_on() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Empty);
    for _ in 0..4 {
        desk.ask(init(None));
        desk.commit();
    }
    assert_eq!(desk.session(), (1001, 4));
    desk.ask(add((1001, 4), false));
    desk.commit();
    desk.pass(TIMEOUT * 2);
    desk.commit();
    assert_eq!((desk.state(), desk.session()), (TransactionState::PrepareAbort, (1001, 5)));
    desk.answers();
    // Whoever knows the next id already has to wait for it.
    for request in
        [add((1002, 0), false), end((1002, 0), true, TransactionVersion::V2), init(Some((1002, 0)))]
    {
        desk.ask(request);
        assert_eq!(desk.error(), Some(ErrorCode::ConcurrentTransactions));
    }
    desk.deliver();
    desk.commit();
    assert_eq!((desk.state(), desk.session()), (TransactionState::CompleteAbort, (1002, 0)));
    desk.ask(add((1001, 4), false));
    assert_eq!(desk.error(), Some(ErrorCode::InvalidProducerIdMapping));
}

#[test]
fn init_producer_id_aborts_what_is_open_and_then_gives_a_session_above() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::Ongoing);
    desk.ask(init(None));
    assert_eq!(desk.error(), Some(ErrorCode::ConcurrentTransactions));
    desk.commit();
    desk.deliver();
    desk.commit();
    desk.ask(init(None));
    desk.commit();
    assert_eq!(desk.error(), Some(ErrorCode::None));
    assert_eq!((desk.state(), desk.session()), (TransactionState::Empty, (1001, 2)));
}

#[test]
fn when_epochs_run_out_the_producer_goes_on_with_another_id() {
    let mut desk = Desk::new();
    desk.bring_to(TransactionState::CompleteCommit);
    for _ in 0..10 {
        let session = desk.session();
        desk.ask(add(session, false));
        desk.commit();
        desk.ask(end(session, true, TransactionVersion::V2));
        desk.commit();
        desk.deliver();
        desk.commit();
        assert!(desk.session().1 < 5);
        // The answer was lost: the same question is asked again.
        desk.answers();
        desk.ask(end(session, true, TransactionVersion::V2));
        let answers = desk.answers();
        let [Response::EndTxn(answer)] = &*answers else { panic!("{answers:?}") };
        assert_eq!(answer.error, ErrorCode::None, "{session:?}");
        assert_eq!((answer.producer_id.0, answer.producer_epoch.0), desk.session());
    }
    assert!(desk.session().0 > 1001);
}

#[test]
fn an_end_that_comes_late_ends_no_other_transaction_but_with_one_epoch_for_all() {
    for version in [TransactionVersion::V1, TransactionVersion::V2] {
        let mut desk = Desk::new();
        desk.ask(init(None));
        desk.commit();
        let first = desk.session();
        desk.ask(add(first, false));
        desk.commit();
        desk.ask(end(first, true, version));
        desk.commit();
        desk.deliver();
        desk.commit();
        desk.ask(add(desk.session(), false));
        desk.commit();
        desk.answers();
        desk.ask(end(first, true, version));
        desk.commit();
        let ends = desk.state() == TransactionState::PrepareCommit;
        assert_eq!(ends, version == TransactionVersion::V1, "KAFKA-17754");
    }
}

#[test]
fn the_last_epoch_fences_too() {
    let entry = |epoch| Entry {
        producer_epoch: ProducerEpoch(epoch),
        state: TransactionState::Ongoing,
        ..Entry::new(ProducerId(1), TIMEOUT, Timestamp(0))
    };
    let rules = Rules { now: Timestamp(9), epoch_max: ProducerEpoch(5), defects: Defects::NONE };
    let fenced = |epoch| {
        let Prepared { entry, rotates } = decide::fence(&entry(epoch), false, rules);
        (entry.producer_epoch.0, entry.version, rotates)
    };
    assert_eq!(fenced(0), (1, TransactionVersion::V2, false));
    assert_eq!(fenced(3), (4, TransactionVersion::V2, false));
    assert_eq!(fenced(4), (5, TransactionVersion::V2, true));
    assert_eq!(fenced(5), (5, TransactionVersion::V1, true), "another program's");
    let ending = Ending {
        session: (ProducerId(1), ProducerEpoch(4)),
        commit: true,
        version: TransactionVersion::V2,
    };
    let ended = decide::end(&entry(4), ending, false, rules);
    let Ok(End::Prepare(Prepared { entry, rotates })) = ended else {
        panic!("an open transaction")
    };
    assert_eq!((entry.producer_epoch.0, rotates), (5, true));
}
