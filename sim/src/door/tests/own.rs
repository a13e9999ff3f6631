//! Processors of a user's own, in each delivery mode.

use std::path::PathBuf;
use std::sync::Arc;

use seedlog::client::app::{Context, Processor};
use seedlog::ids::Offset;
use seedlog::message::store::{Apply, Change, StoreRequest, StoreResponse};
use seedlog::op::{ConsumedRecord, SendRecord};
use seedlog::time::Duration;

use crate::Simulation;
use crate::app::keyed;
use crate::run::Verdict;

/// A scenario with one application `mine` that has these lines.
fn mine(name: &str, lines: &str) -> Simulation {
    scenario(name, ["processed >= 20", "true", "2"], lines)
}

/// With what it requires, whether records come by themselves, and for how many partitions.
#[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
fn scenario(name: &str, [require, automatic, partitions]: [&str; 3], lines: &str) -> Simulation {
    let text = format!(
        "# Each is worked on.\nrequire = [\"{require}\"]\n\
         [workload]\nautomatic = {automatic}\nproducers = 0\nconsumers = 0\n\
         [phases]\nsafety = \"8s\"\n[broker]\ngroup.min.session.timeout.ms = 1000\n\
         group.initial.rebalance.delay.ms = 0\n\
         transaction.abort.timed.out.transaction.cleanup.interval.ms = 500\n\
         [[topics]]\nname = \"in\"\npartitions = {partitions}\n[[topics]]\nname = \"out\"\n\
         [[feed]]\nkind = \"tickets\"\ntopic = \"in\"\nevery = \"20ms\"\n\
         [[app]]\nkind = \"mine\"\ninput = \"in\"\noutput = \"out\"\n{lines}"
    );
    let path: PathBuf =
        std::env::temp_dir().join(format!("own-{}-{name}.toml", std::process::id()));
    std::fs::write(&path, text).expect("there is a place for temporary files");
    Simulation::of(path)
}

fn copied(record: &ConsumedRecord) -> SendRecord {
    let (key, value) = (record.key.clone(), record.value.clone());
    let copy = keyed(key.unwrap_or_default(), value.unwrap_or_default());
    SendRecord { topic: "out".into(), ..copy }
}

/// Emits a record unless its state says that it has.
#[derive(Clone)]
struct Remembering;

impl Processor for Remembering {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let seen = format!("{}", record.offset);
        if context.get(seen.as_bytes()).is_none() {
            context.emit(copied(record));
            context.set(seen.into(), Some("seen".into()));
        }
    }
}

/// A pause makes the coordinator abort (seed 0 lost outputs: the state kept what was aborted).
#[test]
fn an_abort_takes_back_what_a_state_without_a_changelog_remembers() {
    let lines = "delivery = \"exactly-once\"\ntransaction.timeout.ms = 1000\n\
                 [[fault]]\nkind = \"pause\"\ntarget = \"app\"\nevery = \"500ms..2s\"\n\
                 for = \"2s..4s\"\n";
    mine("remembering", lines)
        .processor("mine", |_| Remembering)
        .promise("mine", |record| vec![copied(record)])
        .check(0..30);
}

const MODES: [&str; 3] = ["at-most-once", "at-least-once", "exactly-once"];

/// Counts each record in the external store, and then emits it.
#[derive(Clone)]
struct Asking;

impl Processor for Asking {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        let id: Arc<str> = format!("{}-{}", record.partition, record.offset).into();
        let counted = Change { key: "counted".into(), delta: 1, floor: None };
        context.call(StoreRequest::Apply(Apply {
            request: Arc::clone(&id),
            by: Arc::clone(context.client()),
            once: Some(id),
            changes: vec![counted],
            fence: context.fence(),
        }));
    }

    fn answered(
        &mut self,
        record: &ConsumedRecord,
        _: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        assert!(matches!(response, StoreResponse::Applied(_) | StoreResponse::Duplicate));
        context.emit(copied(record));
    }
}

fn asking(delivery: &str, store: &str) -> Simulation {
    let lines = format!(
        "{store}delivery = \"{delivery}\"\ninstances = 2\nsession.timeout.ms = 2000\n\
         heartbeat.interval.ms = 500\ntransaction.timeout.ms = 4000\n\
         [[fault]]\nkind = \"crash\"\ntarget = \"app\"\nevery = \"2s..4s\"\n\
         for = \"100ms..1s\"\n"
    );
    mine(&format!("asking-{delivery}-{}", store.len()), &lines)
        .processor("mine", |_| Asking)
        .promise("mine", |record| vec![copied(record)])
}

#[test]
fn a_processor_that_calls_the_store_is_answered_in_each_mode() {
    for mode in MODES {
        for seed in 0..4 {
            let report = asking(mode, "store = true\n").run(seed);
            assert_eq!(report.verdict, Verdict::Held, "{mode}: {report:?}");
            assert!(report.count("applied") >= 20, "{mode}: {report:?}");
        }
    }
}

#[test]
fn a_call_without_a_store_is_told_as_the_processors_mistake_with_its_cure() {
    let report = asking("at-least-once", "").run(0);
    assert_eq!(report.verdict, Verdict::Panicked);
    let detail = &report.findings[0].detail;
    let cure = "it calls an external store, and has none: say `store = true` in its [[app]]";
    assert!(
        detail.contains(", a process of the mine, at in-") && detail.contains(cure),
        "{detail}"
    );
}

/// Puts each record off a few times, for no time at all.
#[derive(Clone)]
struct Hasty;

impl Processor for Hasty {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        if context.attempt() < 3 {
            return context.nack(Duration::ZERO);
        }
        // Nobody has the first record done: time goes on all the same.
        if record.offset == Offset::ZERO {
            return context.nack(Duration::ZERO);
        }
        context.emit(copied(record));
    }
}

#[test]
fn time_goes_on_with_a_record_that_is_put_off_for_none() {
    for mode in MODES {
        let lines = format!("delivery = \"{mode}\"\n");
        let report = mine(&format!("hasty-{mode}"), &lines).processor("mine", |_| Hasty).run(0);
        assert_ne!(report.verdict, Verdict::Panicked, "{mode}: {report:?}");
    }
}

/// The commit of a claim comes when a transaction has committed more (it was a plain one once,
/// which no epoch fences: each seed did its record twice, A2).
#[test]
fn a_claim_that_comes_late_takes_the_group_back_over_nothing() {
    let holds = "hold plain OffsetCommit request x1 -> group_coordinator(mine) nth 1\", \
                 \"hold added TxnOffsetCommit request x1 -> group_coordinator(mine) nth 1";
    let lines = format!(
        "store = true\ndelivery = \"exactly-once\"\ninstances = 2\nrequest.timeout.ms = 1000\n\
         session.timeout.ms = 2000\nheartbeat.interval.ms = 500\n\
         [[step]]\ndo = [\"crash x2\"]\n\
         [[step]]\nwhen = \"members(mine) == 1\"\nafter = \"3s\"\n\
         do = [\"{holds}\", \"feed f1\"]\n\
         [[step]]\nwhen = [\"held(plain) == 1 or held(added) == 1\", \"offset(mine, in-0) >= 1\"]\n\
         do = [\"crash x1\", \"release plain\", \"release added\", \"start x2\"]\n\
         [[step]]\nafter = \"8s\"\ndo = [\"end\"]\n"
    );
    scenario("late", ["processed >= 1", "false", "1"], &lines)
        .processor("mine", |_| Asking)
        .promise("mine", |record| vec![copied(record)])
        .check(0..8);
}
