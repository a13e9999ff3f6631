//! What the retry pipeline sends and notes for one message.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use crate::client::app::format::Format;
use crate::client::app::retry::{ATTEMPT, Message, NOT_BEFORE, Retry, Schedule};
use crate::client::app::testing::record;
use crate::client::app::trial::{Done, Trial};
use crate::event::ApplicationNote;
use crate::message::store::StoreResponse;
use crate::op::ConsumedRecord;
use crate::time::{Duration, Timestamp};

fn trial() -> Trial<Retry> {
    let (name, output) = ("mail".into(), "handled".into());
    let schedule = Schedule::default();
    let mut trial = Trial::new(Retry { name, output, format: Format::json(), schedule });
    trial.now.wall = Timestamp(1_000);
    trial
}

/// A message whose attempts fail so often, on its way with these headers.
fn message(fails: u32, headers: &[(&str, i64)]) -> ConsumedRecord {
    let message = Message { id: "m".into(), body: "b".into(), fails };
    let header = |(key, value): &(&str, i64)| ((*key).into(), Some(value.to_string().into()));
    ConsumedRecord {
        value: Some(Format::json().encode(&message)),
        headers: headers.iter().map(header).collect(),
        ..record(0, 5, "k", "")
    }
}

/// Where it sent to, and what it noted of which message.
fn told(done: &Done) -> (Vec<&str>, Vec<String>) {
    let note = |note: &ApplicationNote| match note {
        ApplicationNote::Retried { id, attempt, .. } => alloc::format!("retried {id} {attempt}"),
        ApplicationNote::DeadLettered { id, .. } => alloc::format!("dead {id}"),
        ApplicationNote::Duplicate { id, .. } => alloc::format!("duplicate {id}"),
        ApplicationNote::Malformed(_) => "malformed".into(),
        ApplicationNote::Processed { .. }
        | ApplicationNote::Applied(_)
        | ApplicationNote::Astray(_)
        | ApplicationNote::Restored(_)
        | ApplicationNote::Rebalanced { .. }
        | ApplicationNote::Unsent(_)
        | ApplicationNote::Worked(_)
        | ApplicationNote::Counters { .. } => panic!("no processor notes this: {note:?}"),
    };
    let topics = done.emitted.iter().map(|record| &*record.topic);
    (topics.collect(), done.notes.iter().map(note).collect())
}

#[test]
fn each_failure_is_sent_round_once_after_its_own_pause() {
    let table = [
        (&[][..], "mail-retry-1", "retried m 1", [1, 1_100]),
        (&[(ATTEMPT, 1)], "mail-retry-2", "retried m 2", [2, 1_200]),
        (&[(ATTEMPT, 2)], "mail-retry-3", "retried m 3", [3, 1_400]),
    ];
    for (headers, topic, note, [attempt, not_before]) in table {
        let done = trial().take(message(9, headers));
        assert_eq!(told(&done), ([topic].into(), [note.into()].into()));
        let header = |key: &str, value: i64| (key.into(), Some(Bytes::from(value.to_string())));
        let expected = [header(ATTEMPT, attempt), header(NOT_BEFORE, not_before)];
        assert_eq!(done.emitted[0].headers, expected);
        assert!(done.is_acked());
    }
}

#[test]
fn what_comes_too_early_waits_and_nothing_is_noted() {
    let done = trial().take(message(2, &[(ATTEMPT, 1), (NOT_BEFORE, 1_070)]));
    assert_eq!(told(&done), ([].into(), [].into()));
    assert_eq!(done.again_after, Some(Duration::from_millis(70)));
}

#[test]
fn a_dead_letter_is_sent_and_noted_once() {
    let malformed = ConsumedRecord { value: Some("?".into()), ..message(0, &[]) };
    let table =
        [(message(9, &[(ATTEMPT, 3)]), &["dead m"][..]), (malformed, &["malformed", "dead "])];
    for (record, notes) in table {
        let done = trial().take(record);
        let notes = notes.iter().map(|note| (*note).into()).collect();
        assert_eq!(told(&done), (["mail-dlt"].into(), notes));
        assert!(done.is_acked());
    }
}

#[test]
fn what_was_handled_before_is_passed_on_and_noted_once() {
    let mut trial = trial();
    assert_eq!(told(&trial.take(message(0, &[]))), ([].into(), [].into()));
    let done = trial.answer(&StoreResponse::Duplicate);
    assert_eq!(told(&done), (["handled"].into(), ["duplicate m".into()].into()));
}
