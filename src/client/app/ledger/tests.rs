use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::format::{Action, Formats, LedgerRequest};
use super::{Design, Ledger, LedgerSetup};
use crate::client::app::engine::{Ask, Purpose};
use crate::client::app::format::Format;
use crate::client::app::testing::{Rig, answered, record, setup};
use crate::client::testing::endpoint;
use crate::config::Delivery;
use crate::defect::{Defect, Defects};
use crate::message::store::{StoreRequest, StoreResponse};
use crate::op::Op;

fn ledger(design: Design, defects: Defects) -> Ledger {
    Ledger::new(LedgerSetup {
        design,
        formats: Formats::json(),
        requests: "in".into(),
        postings: "postings".into(),
        receipts: Some("receipts".into()),
        limit: 0,
        defects,
    })
}

fn request(id: &str, action: Action) -> String {
    let request = LedgerRequest { id: id.into(), action };
    String::from_utf8(Format::json().encode(&request).to_vec()).expect("JSON is text")
}

fn fund(id: &str, account: &str, amount: i64) -> String {
    request(id, Action::Fund { account: account.into(), amount })
}

fn spend(id: &str, account: &str, amount: i64, funding: Option<&str>) -> String {
    let funding = funding.map(String::from);
    request(id, Action::Spend { account: account.into(), amount, funding })
}

fn transfer(id: &str, from: &str, to: &str, amount: i64) -> String {
    request(id, Action::Transfer { from: from.into(), to: to.into(), amount })
}

/// What a ledger by transactions sends for these requests of one partition, in one transaction,
/// without the receipts of what it accepts.
fn posted(defects: Defects, requests: &[String]) -> Vec<String> {
    let mut sent = sent(defects, requests);
    sent.retain(|text| !text.contains("true"));
    sent
}

fn sent(defects: Defects, requests: &[String]) -> Vec<String> {
    let mut rig = Rig::new(setup(Delivery::ExactlyOnce), ledger(Design::Transactions, defects));
    rig.done(&Purpose::Init);
    rig.assigned(&[0]);
    let records = requests.iter().zip(0..).map(|(value, offset)| record(0, offset, "k", value));
    rig.polled(records.collect());
    rig.done(&Purpose::Begin);
    let mut sent = Vec::new();
    for ask in &rig.asks {
        let Ask::Producer(_, Op::Send(record)) = ask else { continue };
        sent.push(match Formats::json().postings.decode(record.value.as_ref()) {
            Ok(posting) => {
                let balance = posting.balance.map_or("?".into(), |balance| balance.to_string());
                alloc::format!(
                    "{} {}{:+}={balance}",
                    posting.request,
                    posting.account,
                    posting.delta
                )
            }
            Err(_) => String::from_utf8_lossy(record.value.as_ref().expect("all have")).into(),
        });
    }
    sent
}

#[test]
fn postings_of_one_request_add_up_to_nothing() {
    let requests = [fund("f", "a", 10), spend("s", "a", 4, Some("f"))];
    let expected = ["f external-10=?", "f a+10=10", "s a-4=6", "s external+4=?"];
    assert_eq!(posted(Defects::NONE, &requests), expected);
}

#[test]
fn a_transfer_lies_in_transit_until_the_other_account_takes_it() {
    let requests = [fund("f", "a", 10), transfer("t", "a", "b", 3)];
    let expected = [
        "t a-3=7",
        "t transit+3=?",
        "{\"id\":\"t\",\"kind\":\"credit\",\"account\":\"b\",\"amount\":3}",
    ];
    assert_eq!(posted(Defects::NONE, &requests)[2..], expected);
    let credit = request("t", Action::Credit { account: "b".into(), amount: 3 });
    let sent = sent(Defects::NONE, &[credit]);
    assert_eq!(sent, ["t transit-3=?", "t b+3=3"], "its receipt came with the first half");
}

#[test]
fn neither_a_balance_nor_a_funding_is_overdrawn_and_no_request_is_done_twice() {
    let refused = |id: &str| alloc::format!("{{\"request\":\"{id}\",\"accepted\":false}}");
    let requests = [
        fund("f", "a", 10),
        fund("g", "a", 10),
        spend("s", "a", 21, None),
        spend("t", "a", 11, Some("f")),
        fund("f", "a", 10),
        transfer("u", "a", "a", 1),
        spend("v", "a", 9, Some("f")),
        spend("w", "a", 2, Some("f")),
    ];
    let sent = posted(Defects::NONE, &requests);
    let accepted = ["v a-9=11", "v external+9=?"].map(String::from);
    assert_eq!(sent[4..7], [refused("s"), refused("t"), refused("u")]);
    assert_eq!((&sent[7..9], &sent[9..]), (&accepted[..], &[refused("w")][..]));
}

#[test]
fn nobody_draws_on_the_funding_of_somebody_else() {
    let requests = [fund("f", "a", 10), fund("g", "b", 10), spend("s", "b", 4, Some("f"))];
    let sent = posted(Defects::NONE, &requests);
    assert_eq!(sent[4..], ["{\"request\":\"s\",\"accepted\":false}"]);
}

#[test]
fn split_legs_leave_one_for_the_next_request() {
    let defects = Defects::NONE.with(Defect::LedgerSplitLegs);
    let sent = posted(defects, &[fund("f", "a", 10)]);
    let whole = ["f external-10=?", "f a+10=10"];
    let expected = if cfg!(feature = "defects") { &whole[..1] } else { &whole[..] };
    assert_eq!(sent, expected);
}

/// The questions to the store for one request, each answered as given.
fn asked(design: Design, defects: Defects, value: &str, answers: &[StoreResponse]) -> Vec<String> {
    let mut setup = setup(Delivery::AtLeastOnce);
    setup.defects = defects;
    setup.store = Some(endpoint(9));
    let mut rig = Rig::new(setup, ledger(design, defects));
    rig.assigned(&[0]);
    rig.polled([record(0, 0, "k", value)].into());
    rig.claims(0);
    let mut asked = Vec::new();
    for answer in answers {
        let Some(Ask::Store(_, request)) =
            rig.asks.iter().find(|ask| matches!(ask, Ask::Store(..)))
        else {
            break;
        };
        asked.push(describe(request));
        let outcome = answered(answer.clone());
        rig.answer(|purpose| matches!(purpose, Purpose::Store(..)), outcome);
    }
    asked.extend(rig.calls());
    asked
}

fn describe(request: &StoreRequest) -> String {
    match request {
        StoreRequest::Get { key } => alloc::format!("get {key}"),
        StoreRequest::Put { key, value, .. } => alloc::format!("put {key}={value}"),
        StoreRequest::Apply(apply) => {
            let changes = apply.changes.iter().map(|change| {
                let floor = change.floor.map_or(String::new(), |floor| alloc::format!(">={floor}"));
                alloc::format!(" {}{:+}{floor}", change.key, change.delta)
            });
            let once = apply.once.as_deref().unwrap_or("-");
            let token = apply.fence.as_ref().map_or("-".into(), |fence| fence.token.to_string());
            alloc::format!("apply {once} #{token}{}", changes.collect::<String>())
        }
        StoreRequest::Tokens { .. } | StoreRequest::Claim { .. } => panic!("{request:?}"),
    }
}

fn receipt(accepted: bool) -> String {
    alloc::format!("send receipts k={{\"request\":\"t\",\"accepted\":{accepted}}}")
}

#[test]
fn the_atomic_design_asks_for_all_in_one_unit() {
    let value = transfer("t", "a", "b", 3);
    let ask =
        |defects, answers: &[StoreResponse]| asked(Design::AtomicApply, defects, &value, answers);
    let unit = "apply t #1 balance:a-3>=0 balance:b+3";
    let applied = StoreResponse::Applied([7, 3].into());
    assert_eq!(ask(Defects::NONE, core::slice::from_ref(&applied)), [unit, &*receipt(true)]);
    assert_eq!(ask(Defects::NONE, &[StoreResponse::Refused]), [unit, &*receipt(false)]);
    assert_eq!(ask(Defects::NONE, &[StoreResponse::Duplicate]), [unit, &*receipt(true)]);
    let nothing = transfer("t", "a", "a", 3);
    let refused = asked(Design::AtomicApply, Defects::NONE, &nothing, &[]);
    assert_eq!(refused, [receipt(false)], "nothing would move");
    if !cfg!(feature = "defects") {
        return;
    }
    let with = |defect| ask(Defects::NONE.with(defect), &[applied.clone(), applied.clone()]);
    let split = ["apply t #1 balance:a-3>=0", "apply t/1 #1 balance:b+3", &*receipt(true)];
    assert_eq!(with(Defect::LedgerSplitLegs), split);
    let anonymous = "apply - #1 balance:a-3>=0 balance:b+3";
    assert_eq!(with(Defect::ProcessThenCommitNoDedupe), [anonymous, &*receipt(true)]);
    let unfenced = "apply t #- balance:a-3>=0 balance:b+3";
    assert_eq!(with(Defect::ZombieConsumerEffect), [unfenced, &*receipt(true)]);
    assert_eq!(with(Defect::LedgerCheckThenAct)[0], "get balance:a");
}

#[test]
fn the_naive_design_reads_all_and_writes_all() {
    let value = transfer("t", "a", "b", 3);
    let values = |a, b| [StoreResponse::Value(Some(a)), StoreResponse::Value(b)];
    let mut answers: Vec<StoreResponse> = values(10, None).into();
    answers.extend([StoreResponse::Done, StoreResponse::Done]);
    let found = asked(Design::CheckThenAct, Defects::NONE, &value, &answers);
    let expected =
        ["get balance:a", "get balance:b", "put balance:a=7", "put balance:b=3", &*receipt(true)];
    assert_eq!(found, expected);
    let found = asked(Design::CheckThenAct, Defects::NONE, &value, &values(2, None));
    assert_eq!(found, ["get balance:a", "get balance:b", &*receipt(false)]);
}

#[test]
fn a_request_survives_its_own_text() {
    let text = spend("s", "a", 4, Some("f"));
    let format: Format<LedgerRequest> = Format::json();
    let back = format.decode(Some(&text.clone().into())).expect("it is one");
    assert_eq!((&*format.encode(&back), back.account()), (text.as_bytes(), "a"));
}
