//! Decisions on one entry, and what becomes of its markers.

use super::*;
use crate::coordinator::transaction::decide::{self, Rules, Session};
use crate::coordinator::transaction::entry::Entry;
use crate::coordinator::transaction::markers::{MarkerKey, Markers};
use crate::ids::{ProducerEpoch, ProducerId, TopicName};

const RULES: Rules =
    Rules { now: Timestamp(1_000), epoch_max: ProducerEpoch(5), defects: Defects::NONE };
const SESSION: Session = (ProducerId(7), ProducerEpoch(3));

fn orders(partition: i32) -> (TopicName, i32) {
    ("orders".into(), partition)
}

fn added(entry: &Entry, partitions: &[i32], rules: Rules) -> Entry {
    let partitions: Vec<_> = partitions.iter().map(|partition| orders(*partition)).collect();
    let next = decide::add(entry, SESSION, &partitions, rules).expect("it has the id");
    next.expect("there is something to add")
}

/// An open transaction of that session.
fn open(partitions: &[i32]) -> Entry {
    let idle = Entry::new(SESSION.0, TIMEOUT, RULES.now);
    added(&Entry { producer_epoch: SESSION.1, ..idle }, partitions, RULES)
}

#[test]
fn a_transaction_begins_with_its_first_partition_whatever_is_added_later() {
    let later = Rules { now: Timestamp(9_000), ..RULES };
    let entry = added(&open(&[0]), &[1], later);
    let told = (entry.start, entry.last_update, entry.partitions.len());
    assert_eq!(told, (Timestamp(1_000), Timestamp(9_000), 2));
}

#[test]
fn only_a_partition_of_the_open_transaction_is_verified() {
    let entry = open(&[0]);
    let abortable = Err(ErrorCode::TransactionAbortable);
    for (partition, expected) in [(0, Ok(())), (1, abortable)] {
        assert_eq!(decide::verify(&entry, SESSION, &orders(partition)), expected, "{partition}");
    }
}

#[test]
fn the_id_before_counts_only_for_whoever_has_used_it_up() {
    let table = [
        // The entry's epoch and the one before it; what was given of the id before; whether taken.
        ((0, 4), 4, true),
        ((1, 0), 1, false),
        ((1, 0), 0, false),
        ((1, 3), 3, false),
    ];
    for ((epoch, last), given, taken) in table {
        let entry = Entry {
            previous_producer_id: ProducerId(6),
            producer_epoch: ProducerEpoch(epoch),
            last_producer_epoch: ProducerEpoch(last),
            ..Entry::new(SESSION.0, TIMEOUT, RULES.now)
        };
        let given = Some((ProducerId(6), ProducerEpoch(given)));
        let error = decide::init(&entry, given, TIMEOUT, RULES).err();
        let expected = (!taken).then_some(ErrorCode::ProducerFenced);
        assert_eq!(error, expected, "{given:?} of {epoch}");
    }
}

#[test]
fn a_marker_that_is_cancelled_completes_nothing() {
    let key: MarkerKey = ("t".into(), SESSION.1);
    for partitions in [&[0][..], &[0, 1]] {
        let mut markers = Markers::default();
        assert!(!markers.begin(3, LeaderEpoch(7), &key.0, &open(partitions)));
        assert!(!markers.delivered(&key, &orders(0), Delivery::Cancelled), "{partitions:?}");
        assert!(!markers.is_waiting("t"), "nothing of it is delivered any more");
    }
}
