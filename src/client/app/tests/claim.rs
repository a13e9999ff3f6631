//! The token for the external store, and who loses it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::client::app::engine::{Ask, Purpose};
use crate::client::app::testing::{Rig, answered, record, setup};
use crate::client::app::tests::store::Caller;
use crate::client::testing::endpoint;
use crate::config::Delivery;
use crate::error::ErrorCode;
use crate::message::store::{StoreRequest, StoreResponse};
use crate::op::Outcome;
use crate::time::Duration;

fn caller(delivery: Delivery) -> Rig<Caller> {
    let mut setup = setup(delivery);
    setup.store = Some(endpoint(9));
    Rig::new(setup, Caller)
}

fn calling() -> Rig<Caller> {
    let mut rig = caller(Delivery::AtLeastOnce);
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    rig
}

/// What it waits for, but for polls: the tokens of what it writes.
fn asked(rig: &Rig<Caller>) -> Vec<String> {
    let told = |ask: &Ask| match ask {
        Ask::Store(_, StoreRequest::Apply(apply)) => {
            let fence = apply.fence.as_ref().expect("all have one");
            Some(alloc::format!("apply {} {}", fence.scope, fence.token))
        }
        Ask::Store(_, StoreRequest::Tokens { scopes }) => Some(alloc::format!("newest {scopes:?}")),
        Ask::Store(_, StoreRequest::Claim { fences }) => {
            Some(alloc::format!("claim {}", fences[0].token))
        }
        Ask::Store(_, StoreRequest::Get { .. } | StoreRequest::Put { .. }) => panic!("{ask:?}"),
        Ask::Consumer(Purpose::Poll, _) => None,
        Ask::Consumer(..)
        | Ask::Producer(..)
        | Ask::Restorer(..)
        | Ask::Admin(..)
        | Ask::RenewProducer => Some(alloc::format!("{ask:?}")),
    };
    let commits = rig.calls().into_iter().filter(|call| call.starts_with("commit"));
    let others = rig.asks.iter().filter_map(told).filter(|told| !told.contains("Commit"));
    commits.chain(others).collect()
}

fn tells(rig: &mut Rig<Caller>, purpose: &Purpose, response: StoreResponse) {
    rig.answer(|asked| asked == purpose, answered(response));
}

fn fences(rig: &mut Rig<Caller>) {
    let outcome = answered(StoreResponse::Fenced);
    rig.answer(|purpose| matches!(purpose, Purpose::Store(..)), outcome);
}

#[test]
fn who_owns_a_partition_claims_the_next_token_before_it_writes() {
    let mut rig = calling();
    assert_eq!(asked(&rig), ["newest [\"g/in-0\"]"]);
    tells(&mut rig, &Purpose::Tokens, StoreResponse::Tokens([3].into()));
    assert_eq!(asked(&rig), ["commit 0@5"], "where it stands");
    rig.done(&Purpose::CommitClaimed);
    assert_eq!(asked(&rig), ["claim 4"]);
    tells(&mut rig, &Purpose::Claim, StoreResponse::Claimed([true].into()));
    assert_eq!(asked(&rig), ["apply g/in-0 4", "apply g/in-0 4"]);
}

#[test]
fn whoever_has_lost_the_partition_claims_nothing() {
    let mut rig = calling();
    tells(&mut rig, &Purpose::Tokens, StoreResponse::Tokens([3].into()));
    let refused = Outcome::Failed(ErrorCode::IllegalGeneration);
    rig.answer(|purpose| *purpose == Purpose::CommitClaimed, refused);
    assert_eq!(asked(&rig), [""; 0]);
    rig.pass(Duration::from_millis(100));
    assert_eq!(asked(&rig), ["newest [\"g/in-0\"]"], "or it was not told the truth");
}

#[test]
fn whoever_comes_too_late_to_claim_a_token_asks_for_the_newest_again() {
    for response in [
        answered(StoreResponse::Claimed([false].into())),
        Outcome::Unknown(ErrorCode::RequestTimedOut),
    ] {
        let mut rig = calling();
        tells(&mut rig, &Purpose::Tokens, StoreResponse::Tokens([3].into()));
        rig.done(&Purpose::CommitClaimed);
        rig.answer(|purpose| *purpose == Purpose::Claim, response);
        rig.pass(Duration::from_millis(100));
        assert_eq!(asked(&rig), ["newest [\"g/in-0\"]"]);
    }
}

#[test]
fn what_is_fenced_is_not_done_and_goes_again_with_the_next_token() {
    let mut rig = calling();
    rig.claims(3);
    fences(&mut rig);
    assert_eq!(asked(&rig), ["apply g/in-0 4", "newest [\"g/in-0\"]"]);
    let applied = answered(StoreResponse::Applied([].into()));
    rig.answer(|purpose| matches!(purpose, Purpose::Store(task, _) if task.offset.0 == 6), applied);
    assert_eq!(asked(&rig), ["newest [\"g/in-0\"]"], "no position is committed over it");
    rig.claims(7);
    assert_eq!(asked(&rig), ["apply g/in-0 8"]);
}

#[test]
fn a_late_word_of_an_old_token_costs_nothing() {
    let mut rig = calling();
    rig.claims(3);
    fences(&mut rig);
    rig.claims(4);
    assert_eq!(asked(&rig), ["apply g/in-0 4", "apply g/in-0 5"]);
    fences(&mut rig);
    assert_eq!(asked(&rig), ["apply g/in-0 5", "apply g/in-0 5"]);
}

#[test]
fn a_zombie_that_is_closed_leaves_what_it_has_begun() {
    let mut rig = calling();
    rig.claims(3);
    fences(&mut rig);
    let applied = answered(StoreResponse::Applied([].into()));
    rig.answer(|purpose| matches!(purpose, Purpose::Store(..)), applied);
    rig.close();
    assert_eq!(asked(&rig), ["newest [\"g/in-0\"]"], "what is done comes after what is not");
    tells(&mut rig, &Purpose::Tokens, StoreResponse::Tokens([4].into()));
    let refused = Outcome::Failed(ErrorCode::UnknownMemberId);
    rig.answer(|purpose| *purpose == Purpose::CommitClaimed, refused);
    assert_eq!(rig.calls(), ["close", "close"], "nothing is committed");
}

/// Exactly-once, with the newest token told, and a transaction begun.
fn claiming() -> Rig<Caller> {
    let mut rig = caller(Delivery::ExactlyOnce);
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    rig.polled([record(0, 5, "a", "1"), record(0, 6, "b", "2")].into());
    assert_eq!(asked(&rig), ["newest [\"g/in-0\"]"], "no transaction is begun for what must wait");
    tells(&mut rig, &Purpose::Tokens, StoreResponse::Tokens([3].into()));
    assert_eq!(rig.calls(), ["begin"]);
    rig.done(&Purpose::Begin);
    rig
}

#[test]
fn exactly_once_it_commits_where_it_stands_in_a_transaction_that_has_nothing_else() {
    let mut rig = claiming();
    assert_eq!(rig.calls(), ["offsets 0@5 of \"m\" 1"]);
    rig.done(&Purpose::Offsets);
    assert_eq!(rig.calls(), ["commit transaction"]);
    rig.done(&Purpose::EndCommit);
    assert_eq!(asked(&rig), ["claim 4"]);
    assert!(rig.notes.is_empty(), "nothing is processed yet: {:?}", rig.notes);
    tells(&mut rig, &Purpose::Claim, StoreResponse::Claimed([true].into()));
    rig.done(&Purpose::Begin);
    assert_eq!(asked(&rig), ["apply g/in-0 4"]);
}

#[test]
fn exactly_once_a_zombie_s_transaction_is_refused_and_it_claims_nothing() {
    let mut rig = claiming();
    let refused = Outcome::Failed(ErrorCode::IllegalGeneration);
    rig.answer(|purpose| *purpose == Purpose::Offsets, refused);
    rig.done(&Purpose::EndAbort);
    assert_eq!(rig.calls(), ["committed? 1"], "and it asks where the group is");
}

#[test]
fn exactly_once_what_is_fenced_ends_its_transaction_before_the_next_token_is_claimed() {
    let mut rig = claiming();
    rig.done(&Purpose::Offsets);
    rig.done(&Purpose::EndCommit);
    tells(&mut rig, &Purpose::Claim, StoreResponse::Claimed([true].into()));
    rig.done(&Purpose::Begin);
    let applied = answered(StoreResponse::Applied([].into()));
    rig.answer(|purpose| matches!(purpose, Purpose::Store(..)), applied);
    fences(&mut rig);
    tells(&mut rig, &Purpose::Tokens, StoreResponse::Tokens([7].into()));
    assert_eq!(rig.calls(), [""; 0], "the transaction has record 5");
    rig.pass(Duration::from_millis(100));
    assert_eq!(rig.calls(), ["offsets 0@6 of \"m\" 1"]);
    rig.done(&Purpose::Offsets);
    rig.done(&Purpose::EndCommit);
    rig.done(&Purpose::Begin);
    assert_eq!(rig.calls(), ["offsets 0@6 of \"m\" 1"], "where it stands by now");
    rig.done(&Purpose::Offsets);
    rig.done(&Purpose::EndCommit);
    assert_eq!(asked(&rig), ["claim 8"]);
}
