//! A1-A3, and invariants of users.

use seedlog::event::ApplicationNote;
use seedlog::op::{ConsumedRecord, Outcome, SendRecord};

use super::cluster::*;
use super::*;

fn pipeline(promise: Promise) -> Cluster {
    pipeline_of(promise, Some(|content| content))
}

fn pipeline_of(promise: Promise, function: Option<Function>) -> Cluster {
    Cluster::with(|settings| {
        settings.pipelines = vec![Pipeline {
            input: "orders".into(),
            output: "copies".into(),
            group: "g".into(),
            promise,
            ordered: true,
            function,
        }];
    })
}

/// Records outside of transactions, of an application that repeats those of its input.
fn plain(t: &mut Cluster, id: PartitionId, numbers: &[u64]) {
    let mut builder = Builder::new();
    for id in ids(numbers) {
        builder.append(Timestamp(1), Some(b"k"), Some(&id.to_value(16)));
    }
    t.put(id, &builder.build());
}

#[test]
fn a1_an_input_below_the_groups_offset_that_no_member_has_worked_on() {
    for (worked, codes) in [(&[0, 1][..], &[][..]), (&[0], &["A1"])] {
        let mut t = Cluster::with(|settings| {
            settings.pipelines = vec![Pipeline {
                input: "orders".into(),
                output: "".into(),
                group: "g".into(),
                promise: Promise::AtLeastOnce,
                ordered: false,
                function: None,
            }];
        });
        plain(&mut t, P0, &[1, 2]);
        let list: Vec<ConsumedRecord> = worked
            .iter()
            .map(|offset| ConsumedRecord {
                topic: "orders".into(),
                partition: 0,
                offset: Offset(*offset),
                timestamp: Timestamp(1),
                key: None,
                value: Some(ids(&[u64::try_from(offset + 1).unwrap()])[0].to_value(16)),
                headers: Vec::new(),
            })
            .collect();
        t.checkers.worked("g", &list);
        t.offset(2, None);
        t.checkers.ended();
        assert_eq!(t.codes(), codes);
    }
}

#[test]
fn a1_an_input_below_the_groups_offset_that_nothing_was_made_of() {
    for (committed, codes) in [(1, &[][..]), (2, &["A1"][..])] {
        let mut t = pipeline(Promise::AtLeastOnce);
        plain(&mut t, P0, &[1, 2]);
        plain(&mut t, COPIES, &[1]);
        t.offset(committed, None);
        t.checkers.ended();
        assert_eq!(t.codes(), codes);
    }
}

#[test]
fn a2_an_input_is_delivered_twice() {
    for (promise, codes) in [
        (Promise::ExactlyOnce, &["A2"][..]),
        (Promise::AtMostOnce, &["A2"][..]),
        (Promise::AtLeastOnce, &[][..]),
    ] {
        let mut t = pipeline(promise);
        plain(&mut t, P0, &[1, 2]);
        plain(&mut t, COPIES, &[1, 2]);
        t.expect_nothing();
        plain(&mut t, COPIES, &[2]);
        assert_eq!(t.codes(), codes);
    }
}

#[test]
fn a2_an_input_is_delivered_as_something_else() {
    let value = ids(&[1])[0].to_value(16);
    let rubbish = Bytes::from([&value[..], b"rubbish"].concat());
    let table = [
        (Some(&b"k"[..]), &value, &[][..]),
        (Some(b"k"), &rubbish, &["A2"]),
        (Some(b"other"), &value, &["A2"]),
        (None, &value, &["A2"]),
    ];
    for (key, value, codes) in table {
        for promise in [Promise::AtLeastOnce, Promise::AtMostOnce, Promise::ExactlyOnce] {
            let mut t = pipeline(promise);
            plain(&mut t, P0, &[1]);
            let mut builder = Builder::new();
            builder.append(Timestamp(1), key, Some(value));
            t.put(COPIES, &builder.build());
            t.checkers.ended();
            assert_eq!(t.codes(), codes, "{promise:?} {key:?} {value:?}");
        }
    }
}

#[test]
fn a2_an_output_is_made_of_nothing() {
    let mut t = pipeline(Promise::ExactlyOnce);
    plain(&mut t, P0, &[1]);
    plain(&mut t, COPIES, &[1, 9]);
    t.expect_nothing();
    t.checkers.ended();
    assert_eq!(t.codes(), ["A2"]);
}

#[test]
fn a2_is_looked_at_where_it_can_be_broken() {
    for (function, promise, looks) in [
        (Some::<Function>(|content| content), Promise::AtLeastOnce, 2),
        (None, Promise::AtLeastOnce, 0),
        (None, Promise::AtMostOnce, 2),
    ] {
        let mut t = pipeline_of(promise, function);
        plain(&mut t, P0, &[1, 2]);
        plain(&mut t, COPIES, &[1, 2]);
        assert_eq!(t.checkers.count(Check::ExactlyOnce).checked, looks, "{promise:?}");
    }
}

#[test]
fn a2_what_was_aborted_was_not_delivered() {
    let mut t = pipeline(Promise::ExactlyOnce);
    plain(&mut t, P0, &[1]);
    t.data_of(ProducerId(71), COPIES, 0, 0, &ids(&[1]));
    t.marker_of(ProducerId(71), COPIES, 1, false);
    let violations = t.checkers.violations().len();
    t.data_of(ProducerId(72), COPIES, 0, 0, &ids(&[1]));
    t.marker_of(ProducerId(72), COPIES, 1, true);
    t.checkers.ended();
    let codes: Vec<_> = t.checkers.violations()[violations..].iter().map(|v| v.check).collect();
    assert!(!codes.contains(&Check::ExactlyOnce), "{codes:?}");
    assert_eq!(t.checkers.count(Check::ExactlyOnce).checked, 1);
}

#[test]
fn a3_outputs_of_a_key_out_of_order() {
    let mut t = pipeline(Promise::ExactlyOnce);
    plain(&mut t, P0, &[1, 2, 3]);
    plain(&mut t, COPIES, &[1, 3]);
    t.expect_nothing();
    plain(&mut t, COPIES, &[2]);
    assert_eq!(t.codes(), ["A3"]);
}

#[test]
fn a3_at_most_once_a_member_that_stood_still_sends_after_its_successor() {
    let by = |t: &mut Cluster, producer: i64, sequence: i32, number: u64| {
        let producer = ProducerId(producer);
        let mut builder = Builder::new().producer(producer, ProducerEpoch(0), sequence);
        builder.append(Timestamp(1), Some(b"k"), Some(&ids(&[number])[0].to_value(16)));
        t.put(COPIES, &builder.build());
    };
    for (promise, codes) in [
        (Promise::AtMostOnce, &[][..]),
        (Promise::AtLeastOnce, &["A3"]),
        (Promise::ExactlyOnce, &["A3"]),
    ] {
        let mut t = pipeline(promise);
        plain(&mut t, P0, &[1, 2, 3, 4]);
        by(&mut t, 71, 0, 1);
        by(&mut t, 72, 0, 4);
        t.expect_nothing();
        by(&mut t, 71, 1, 3);
        assert_eq!(t.codes(), codes, "{promise:?}");
        by(&mut t, 71, 2, 2);
        assert_eq!(t.codes(), ["A3"], "{promise:?}: a process keeps its own order");
    }
}

fn duty(promise: Promise, makes: Option<Makes>) -> Cluster {
    Cluster::with(|settings| {
        settings.duties = vec![Duty {
            inputs: vec!["orders".into()],
            outputs: vec!["copies".into()],
            others: vec!["state".into()],
            group: "g".into(),
            promise,
            makes,
        }];
    })
}

/// A record with the value of its input, without a topic: for the first output.
fn same() -> Option<Makes> {
    Some(Makes::new(|input| {
        vec![SendRecord {
            topic: "".into(),
            partition: None,
            key: input.key.clone(),
            value: input.value.clone(),
            headers: Vec::new(),
            timestamp: None,
        }]
    }))
}

fn processed(t: &mut Cluster, offset: i64) {
    let note = ApplicationNote::Processed {
        group: "g".into(),
        topic: "orders".into(),
        partition: 0,
        offset: Offset(offset),
    };
    t.checkers.client_effect(None, &Effect::Note(Event::Application(Arc::new(note))));
}

const PROMISES: [Promise; 3] = [Promise::AtMostOnce, Promise::AtLeastOnce, Promise::ExactlyOnce];

#[test]
fn a1_a_processor_whose_group_is_done_with_what_it_was_never_given() {
    for promise in PROMISES {
        let mut t = duty(promise, None);
        plain(&mut t, P0, &[1, 2, 3]);
        processed(&mut t, 0);
        t.offset(2, None);
        t.checkers.ended();
        let broken = if promise == Promise::AtMostOnce { vec![] } else { vec!["A1"] };
        assert_eq!(t.codes(), broken, "{promise:?}");
        let looks = if promise == Promise::AtMostOnce { 0 } else { 2 };
        assert_eq!(t.checkers.count(Check::AtLeastOnce).checked, looks, "{promise:?}");
    }
}

#[test]
fn a1_a_processor_that_drops_what_is_due() {
    for promise in PROMISES {
        let mut t = duty(promise, same());
        plain(&mut t, P0, &[1, 2, 3]);
        processed(&mut t, 0);
        processed(&mut t, 1);
        plain(&mut t, COPIES, &[1]);
        t.offset(2, None);
        t.checkers.ended();
        let broken = if promise == Promise::AtMostOnce { vec![] } else { vec!["A1"] };
        assert_eq!(t.codes(), broken, "{promise:?}");
    }
}

#[test]
fn a2_a_processor_that_emits_twice() {
    for promise in PROMISES {
        let mut t = duty(promise, same());
        plain(&mut t, P0, &[1, 2]);
        plain(&mut t, COPIES, &[1, 2]);
        t.expect_nothing();
        plain(&mut t, COPIES, &[2]);
        let broken = if promise == Promise::AtLeastOnce { vec![] } else { vec!["A2"] };
        assert_eq!(t.codes(), broken, "{promise:?}");
    }
}

#[test]
fn a2_a_processor_that_emits_what_is_due_of_nothing() {
    for promise in PROMISES {
        let mut t = duty(promise, same());
        plain(&mut t, P0, &[1]);
        plain(&mut t, COPIES, &[9]);
        assert_eq!(t.codes(), ["A2"], "{promise:?}");
    }
}

#[test]
fn a2_equal_outputs_are_due_as_often_as_their_inputs_came() {
    let one = || Some(Makes::new(|_| vec![crate::app::keyed("k", ids(&[7])[0].to_value(16))]));
    let mut t = duty(Promise::ExactlyOnce, one());
    plain(&mut t, P0, &[1, 2]);
    plain(&mut t, COPIES, &[7, 7]);
    processed(&mut t, 0);
    processed(&mut t, 1);
    t.offset(2, None);
    let mut fork = duty(Promise::ExactlyOnce, one());
    t.checkers.ended();
    t.expect_nothing();
    plain(&mut t, COPIES, &[7]);
    assert_eq!(t.codes(), ["A2"]);
    plain(&mut fork, P0, &[1, 2]);
    plain(&mut fork, COPIES, &[7]);
    processed(&mut fork, 0);
    processed(&mut fork, 1);
    fork.offset(2, None);
    fork.checkers.ended();
    assert_eq!(fork.codes(), ["A1"]);
}

#[test]
fn a2_at_most_once_nothing_is_processed_twice() {
    for promise in PROMISES {
        let mut t = duty(promise, None);
        plain(&mut t, P0, &[1]);
        processed(&mut t, 0);
        processed(&mut t, 0);
        let broken = if promise == Promise::AtMostOnce { vec!["A2"] } else { vec![] };
        assert_eq!(t.codes(), broken, "{promise:?}");
    }
}

/// Claims that no second record becomes visible.
#[derive(Clone)]
struct One(Vec<i64>);

impl Invariant for One {
    fn name(&self) -> &str {
        "one record"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        self.0.push(visible.record.offset.0);
        if self.0.len() > 1 { Err(format!("offsets {:?}", self.0)) } else { Ok(()) }
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[test]
fn u1_a_users_invariant_sees_what_readers_of_committed_data_see() {
    let mut t = Cluster::new();
    t.checkers.watch(Box::new(One(Vec::new())));
    t.begin(0);
    t.sent(1, &ids(&[1]));
    t.data(P0, 0, 0, &ids(&[1]));
    t.decide(1, false);
    t.marker(P0, 1, false);
    t.begin(1);
    t.sent(2, &ids(&[2, 3]));
    t.data(P0, 1, 0, &ids(&[2]));
    t.data(P0, 1, 1, &ids(&[3]));
    t.checkers.transaction_ending(transaction(2), Decision::Commit);
    t.decide(2, true);
    t.checkers.transaction_ended(transaction(2), Decision::Commit, &Outcome::Done);
    t.expect_nothing();
    let fork = t.checkers.clone();
    t.marker(P0, 2, true);
    assert_eq!(t.codes(), ["U1"]);
    assert_eq!(t.checkers.violations()[0].detail, "one record: offsets [2, 3]");
    assert_eq!(fork.violations(), [], "a fork has invariants of its own");
}

/// Claims that every cut has records of both partitions, or of neither.
#[derive(Clone, Default)]
struct Both {
    partitions: Vec<i32>,
    cuts: u64,
}

impl Invariant for Both {
    fn name(&self) -> &str {
        "both"
    }

    fn judged(&self) -> Option<u64> {
        Some(self.cuts)
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        self.partitions.push(visible.partition);
        Ok(())
    }

    fn cut(&mut self) -> Result<(), String> {
        self.cuts += 1;
        let of = |partition| self.partitions.iter().filter(|p| **p == partition).count();
        if of(0) == of(1) { Ok(()) } else { Err(format!("{:?}", self.partitions)) }
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

fn both() -> Cluster {
    let mut t = Cluster::new();
    t.checkers.watch(Box::new(Both::default()));
    t
}

fn cuts(t: &Cluster) -> u64 {
    t.checkers.count(Check::UserInvariant).checked
}

/// A transaction of two records, decided, with its marker in the first partition.
fn half_visible(t: &mut Cluster) {
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.data(P1, 0, 0, &ids(&[2]));
    t.decide(1, true);
    t.marker(P0, 1, true);
}

#[test]
fn a_cut_is_where_no_transaction_is_visible_in_part() {
    let mut t = both();
    half_visible(&mut t);
    assert_eq!(cuts(&t), 0);
    t.marker(P1, 1, true);
    assert_eq!(cuts(&t), 1);
    // An aborted one is not visible at all.
    t.begin(1);
    t.data(P0, 1, 0, &ids(&[3]));
    t.decide(2, false);
    t.marker(P0, 2, false);
    assert_eq!((cuts(&t), t.codes()), (1, vec![]));
}

#[test]
fn a_transaction_behind_an_open_one_of_another_producer_is_visible_in_part() {
    let mut t = both();
    t.data_of(ProducerId(71), P1, 0, 0, &ids(&[9]));
    half_visible(&mut t);
    t.marker(P1, 1, true);
    assert_eq!(cuts(&t), 0, "its record there lies behind the first undecided one");
    t.marker_of(ProducerId(71), P1, 0, false);
    assert_eq!(cuts(&t), 1);
}

#[test]
fn u1_a_cut_of_which_an_invariant_does_not_hold() {
    let mut t = both();
    t.begin(0);
    t.data(P0, 0, 0, &ids(&[1]));
    t.decide(1, true);
    t.marker(P0, 1, true);
    t.marker(P1, 1, true);
    assert_eq!(t.codes(), ["U1"]);
}
