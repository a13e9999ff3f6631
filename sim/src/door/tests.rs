//! A user's simulations, right and wrong.

mod own;

use seedlog::client::app::Context;
use seedlog::client::app::tickets::Tickets;
use seedlog::client::consumer::assignor::{Assignments, Counts, Member};
use seedlog::op::ConsumedRecord;

use std::path::Path;

use super::again::command;
use super::*;
use crate::app::keyed;

/// A scenario whose claim does not come true, with an application of that kind.
#[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
fn simulation(kind: &str) -> (Simulation, PathBuf) {
    let text = format!(
        "# Many.\nrequire = [\"processed >= 1000000\"]\n\
         [workload]\nproducers = 0\nconsumers = 0\n[phases]\nsafety = \"1s\"\n\
         [[topics]]\nname = \"in\"\n[[topics]]\nname = \"out\"\n\
         [[feed]]\nkind = \"tickets\"\ntopic = \"in\"\nformat = \"avro\"\n\
         [[app]]\nkind = \"{kind}\"\ninput = \"in\"\noutput = \"out\"\nformat = \"avro\"\n"
    );
    let path = std::env::temp_dir().join(format!("door-{}-{kind}.toml", std::process::id()));
    std::fs::write(&path, text).expect("there is a place for temporary files");
    (Simulation::of(&path), path)
}

/// What a failing check prints.
fn printed(simulation: Simulation) -> String {
    let check = std::panic::AssertUnwindSafe(|| simulation.check(7..8));
    let payload = std::panic::catch_unwind(check).expect_err("too few are processed");
    *payload.downcast::<String>().expect("a report is text")
}

const AGAIN: &str = "SEED=7 cargo test -p seedlog-sim \
                     door::tests::a_run_with_kinds_of_ones_own_is_made_again_by_its_test \
                     -- --exact";

#[test]
fn a_run_with_kinds_of_ones_own_is_made_again_by_its_test() {
    let (own, _) = simulation("mine");
    let own =
        own.processor("mine", |setup| Tickets { output: setup.output(), format: setup.format() });
    let report = own.run(7);
    assert!(report.count("processed") > 0 && report.count("malformed") == 0, "{report:?}");
    assert_eq!(report.repro, AGAIN);
    let text = printed(own);
    assert!(text.ends_with(&format!("\n\n{AGAIN}")) && !text.contains("sim run"), "{text}");

    let (known, path) = simulation("tickets");
    let both = format!("\n\nsim run {} --seed 7\n{AGAIN}", path.display());
    let text = printed(known);
    assert!(text.ends_with(&both), "{text}");
}

#[test]
fn a_run_is_made_again_by_the_one_test_that_made_it() {
    let path = |path: &'static str| Some(Path::new(path));
    let unit = path("/t/debug/deps/clerk-0123456789abcdef");
    let example = path("/t/debug/examples/my-seats-0123456789abcdef");
    let table = [
        (None, None, "SEED=3 cargo test"),
        (unit, Some("tests::one"), "SEED=3 cargo test -p mine tests::one -- --exact"),
        (
            example,
            Some("tests::one"),
            "SEED=3 cargo test -p mine --example my-seats tests::one -- --exact",
        ),
    ];
    for (program, test, text) in table {
        let package = program.map(|_| "mine");
        assert_eq!(command(3, package, program, test), text);
    }
}

/// What a test gets to read that fails so.
fn why(work: impl FnOnce()) -> String {
    let work = std::panic::AssertUnwindSafe(work);
    let payload = crate::command::caught(move || (work.0)()).expect_err("it panics");
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.unwrap_or_else(|| payload.downcast::<String>().map_or(String::new(), |text| *text))
}

#[test]
fn what_would_pass_or_judge_nothing_is_refused() {
    let lost = || simulation("lost").0.processor("lost", |_| Lost);
    let none = "5..5 has no seeds, and would pass: write 0..200";
    assert_eq!(why(|| lost().check(5..5)), none);
    assert_eq!(why(|| drop(lost().first_failure(5..5))), none);
    let twice = "there is an application \"copy\" already: name yours otherwise";
    assert_eq!(why(|| drop(lost().processor("copy", |_| Lost))), twice);
    let twice = "there is a feed \"tickets\" already: name yours otherwise";
    assert_eq!(why(|| drop(lost().feed("tickets", Clocked))), twice);
    let unnamed = |word: &str, table: &str| {
        format!(
            "{word}(\"clerk\"): no [[{table}]] of the scenario is of that kind, so that a run \
             would prove nothing of it: give one kind = \"clerk\", or take it out here"
        )
    };
    let promise = || lost().promise("clerk", |_| Vec::new());
    assert_eq!(why(|| drop(promise().run(7))), unnamed("promise", "app"));
    assert_eq!(why(|| lost().processor("clerk", |_| Lost).check(7..8)), unnamed("app", "app"));
    assert_eq!(why(|| lost().key("clerk", "queue").check(7..8)), unnamed("key", "app"));
    assert_eq!(why(|| lost().feed("clerk", Clocked).check(7..8)), unnamed("feed", "feed"));
    let known = simulation("tickets").0.promise("tickets", |_| Vec::new());
    let other = "promise(\"tickets\"): that kind is no processor of one's own: it says itself \
                 what it owes";
    assert_eq!(why(|| drop(known.run(7))), other);
}

#[test]
fn a_run_in_which_an_application_had_nothing_to_do_is_not_held() {
    let fed = |topic: &str, required: &str| {
        let (simulation, path) = simulation("idle");
        let text = std::fs::read_to_string(&path).expect("it was just written");
        let text = text
            .replace("processed >= 1000000", required)
            .replace("[[feed]]", "[[topics]]\nname = \"other\"\n[[feed]]")
            .replace("topic = \"in\"", &format!("topic = {topic:?}"));
        std::fs::write(&path, text).expect("there is a place for temporary files");
        simulation.processor("idle", |_| Does(|_, context| context.ack())).run(7)
    };
    let why = "the idle processed nothing: nothing lies in its input in";
    let idle = fed("other", "leaders >= 1");
    assert_eq!((idle.verdict, &*idle.why), (Verdict::Undecided, why), "{idle:?}");
    let wanted = fed("other", "processed >= 0");
    assert_eq!(wanted.verdict, Verdict::Held, "the scenario says that it may be: {wanted:?}");
    let busy = fed("in", "leaders >= 1");
    assert_eq!(busy.verdict, Verdict::Held, "{busy:?}");
}

/// A processor that does nothing but that.
#[derive(Clone)]
struct Does(fn(&ConsumedRecord, &mut Context<'_>));

impl Processor for Does {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        (self.0)(record, context);
    }
}

fn copied(record: &ConsumedRecord) -> SendRecord {
    let (key, value) = (record.key.clone(), record.value.clone());
    let record = keyed(key.unwrap_or_default(), value.unwrap_or_default());
    SendRecord { topic: "out".into(), ..record }
}

/// A scenario with crashes of applications, whose processor owes a copy of each record.
#[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
fn owing(delivery: &str, does: fn(&ConsumedRecord, &mut Context<'_>)) -> Simulation {
    let text = format!(
        "# Each is copied.\nrequire = [\"processed >= 20\"]\n\
         [workload]\nproducers = 0\nconsumers = 0\n[phases]\nsafety = \"15s\"\n\
         [[topics]]\nname = \"in\"\n[[topics]]\nname = \"out\"\n\
         [[topics]]\nname = \"log\"\n\
         [[feed]]\nkind = \"tickets\"\ntopic = \"in\"\n\
         [[app]]\nkind = \"mine\"\ninput = \"in\"\noutput = \"out\"\n\
         delivery = \"{delivery}\"\ninstances = 2\nsession.timeout.ms = 6000\n\
         [[fault]]\nkind = \"crash\"\ntarget = \"app\"\nevery = \"2s..4s\"\n\
         for = \"100ms..2s\"\n"
    );
    let test = std::thread::current().name().unwrap_or_default().replace(':', "-");
    let name = format!("door-{}-{test}-{delivery}.toml", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).expect("there is a place for temporary files");
    Simulation::of(&path)
        .processor("mine", move |_| Does(does))
        .promise("mine", |record| vec![SendRecord { topic: "".into(), ..copied(record) }])
}

const MODES: [&str; 3] = ["at-most-once", "at-least-once", "exactly-once"];

fn looks(report: &Report, code: &str) -> u64 {
    report.checks.iter().find(|(name, ..)| name == code).map_or(0, |check| check.2)
}

#[test]
fn what_a_processor_promises_is_judged_as_its_mode_has_it() {
    for mode in MODES {
        let report = owing(mode, |record, context| context.emit(copied(record))).run(1);
        assert_eq!(report.verdict, Verdict::Held, "{mode}: {report:?}");
        assert!(looks(&report, "A2") > 0, "{mode}: {report:?}");
        assert_eq!(looks(&report, "A1") > 0, mode != "at-most-once", "{mode}: {report:?}");

        let dropped = owing(mode, |_, context| context.ack()).run(1);
        let broken = if mode == "at-most-once" { vec![] } else { vec!["A1"] };
        assert_eq!(dropped.broken(), broken, "{mode}: {dropped:?}");

        let doubled = owing(mode, |record, context| {
            context.emit(copied(record));
            context.emit(copied(record));
        });
        let broken = if mode == "at-least-once" { vec![] } else { vec!["A2"] };
        assert_eq!(doubled.run(1).broken(), broken, "{mode}");

        let elsewhere = owing(mode, |record, context| {
            context.emit(copied(record));
            context.emit(SendRecord { topic: "log".into(), ..copied(record) });
        });
        assert_eq!(elsewhere.run(1).broken(), ["A2"], "{mode}");
    }
}

#[test]
fn a_commit_past_what_was_never_processed_is_found_without_a_promise() {
    let wrong = owing("at-least-once", |_, _| {}).set("defects=commit-then-process");
    let wrong = Simulation { registry: Registry::built_in(), ..wrong }
        .processor("mine", |_| Does(|record, context| context.emit(copied(record))));
    let report = wrong.first_failure(0..10).expect("a crash comes between");
    assert_eq!(report.broken(), ["A1"], "{report:?}");
    let detail = &report.findings[0].detail;
    assert!(detail.ends_with("but nobody has processed it"), "{detail}");
}

#[test]
fn a_broken_promise_is_told_with_what_the_applications_did() {
    let doubled = owing("exactly-once", |record, context| {
        context.emit(copied(record));
        context.emit(copied(record));
    });
    let report = doubled.run(1);
    let story = around(doubled.begin(&doubled.scenario(), 1), &report);
    assert!((3..=44).contains(&story.len()), "{story:#?}");
    for told in [" works on in-", " gets in-0", " emits out "] {
        assert!(story.iter().any(|line| line.contains(told)), "{told}: {story:#?}");
    }
}

#[test]
fn an_application_that_makes_no_progress_is_told_with_its_record_and_the_error() {
    let unsent = " cannot send to out what it emits for in-0 offset 5: MESSAGE_TOO_LARGE";
    let answer = " is answered MESSAGE_TOO_LARGE to its Produce";
    // The brokers refuse it, or the client itself.
    for (limit, expected) in
        [("topic.max.message.bytes", &[unsent, answer][..]), ("app.0.max.request.size", &[unsent])]
    {
        let large = owing("exactly-once", |record, context| {
            let value = if record.offset.0 == 5 { vec![0; 200_000] } else { Vec::new() };
            context.emit(SendRecord { value: Some(value.into()), ..copied(record) });
        });
        let large = large.set(&format!("{limit}=100000"));
        let report = large.run(1);
        assert_eq!(report.broken(), ["L0"], "what is aborted and begun again does not hang");
        let story = around(large.begin(&large.scenario(), 1), &report);
        for told in [" works on in-0 offset 5 "].iter().chain(expected) {
            assert!(story.iter().any(|line| line.contains(told)), "{told}: {story:#?}");
        }
    }
}

#[test]
fn a_run_is_traced_to_its_end() {
    let mut text = String::new();
    let report = owing("at-least-once", |record, context| context.emit(copied(record)))
        .trace(1, |lines| text.push_str(lines));
    assert_eq!(report.verdict, Verdict::Held, "{report:?}");
    let last: u64 = text
        .lines()
        .rev()
        .find_map(|line| line.split_whitespace().next()?.parse().ok())
        .expect("a line begins with its event");
    assert!(last <= report.events && last > report.events / 2, "{last} of {}", report.events);
}

#[test]
fn a_panic_of_a_users_is_told_by_its_name() {
    let report = owing("at-least-once", |_, _| panic!("no seats")).run(1);
    assert_eq!(report.verdict, Verdict::Panicked);
    let finding = &report.findings[0];
    assert_eq!(finding.claim, "no application, feed or invariant panics");
    let (who, why) = finding.detail.split_once(", panicked: no seats at ").expect("a place");
    assert!(who.contains(", a process of the mine, at in-"), "{who}");
    assert!(why.contains("tests.rs:"), "{why}");
}

/// Makes records that no seed knows.
#[derive(Clone)]
struct Clocked;

static MADE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl Feed for Clocked {
    fn next(&mut self, _: &mut dyn crate::world::Draw) -> Option<SendRecord> {
        let made = MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(keyed("key", made.to_string()))
    }
}

#[test]
fn what_is_not_simulated_is_found_although_every_run_is_held() {
    let clocked = owing("at-least-once", |record, context| context.emit(copied(record)))
        .feed("clocked", Clocked)
        .set("feed.0.kind=clocked")
        .set("phases.safety=3s");
    let text = why(|| clocked.check(1..2));
    assert!(text.starts_with("seed 1 does not make the same run twice:\n"), "{text}");
}

#[test]
fn an_app_of_ones_own_has_keys_of_its_own() {
    let own = || {
        simulation("lost").0.processor("lost", |setup| {
            assert_eq!(setup.own("limit"), Some("7"));
            Lost
        })
    };
    let set = |own: Simulation| own.set("app.0.limit=7");
    assert_eq!(set(own().key("lost", "limit")).run(7).broken(), ["L0"]);
    let unknown = why(|| drop(set(own()).run(7)));
    assert!(unknown.starts_with("--set: app[0].limit: unknown key"), "{unknown}");
}

#[test]
fn a_changelog_is_taken_out_with_the_mode_that_needs_it() {
    let (tickets, _) = simulation("tickets");
    let tickets = tickets.set("app.0.changelog=out");
    let kept = why(|| drop(tickets.set("app.0.delivery=at-least-once").run(7)));
    assert!(kept.ends_with("or changelog = \"none\""), "{kept}");
    for none in ["app.0.changelog=none", "app.0.changelog="] {
        let least = simulation("tickets").0.set("app.0.delivery=at-least-once").set(none);
        assert_eq!(least.run(7).verdict, Verdict::Undecided, "{none}");
    }
}

/// Everything to one member.
fn to_one(members: &[Member], counts: &Counts) -> Assignments {
    let all = counts.iter();
    let all = all.flat_map(|(topic, count)| (0..*count).map(|at| (topic.clone(), at)));
    let mut all = Some(all.collect());
    members.iter().map(|each| (each.id.clone(), all.take().unwrap_or_default())).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
fn members_share_out_partitions_as_the_user_has_it() {
    let text = "# One has all.\nrequire = [\"consumed >= 10\"]\n\
                [broker]\ngroup.initial.rebalance.delay.ms = 500\n\
                [workload]\nproducers = 1\nconsumers = 2\n[group]\ncommit = \"sync\"\n\
                [phases]\nsafety = \"30s\"\n\
                [[topics]]\nname = \"in\"\npartitions = 4\n\
                [[step]]\nwhen = [\"members(g) == 2\", \"owned(k1) == 4 or owned(k2) == 4\", \
                \"consumed >= 10\"]\ndo = [\"end\"]\n";
    let path = std::env::temp_dir().join(format!("door-{}-share.toml", std::process::id()));
    std::fs::write(&path, text).expect("there is a place for temporary files");
    let known = Simulation::of(&path).run(7);
    assert_eq!(known.verdict, Verdict::Undecided, "{known:?}");
    let own = Simulation::of(&path).assignor(to_one).run(7);
    assert_eq!(own.verdict, Verdict::Held, "{own:?}");
}

/// Says nothing of where its records go.
#[derive(Clone)]
struct Lost;

impl Processor for Lost {
    fn process(&mut self, _: &ConsumedRecord, context: &mut Context<'_>) {
        context.emit(keyed("key", "value"));
    }
}

#[test]
fn a_record_to_a_topic_that_does_not_exist_is_found_at_once() {
    let report = simulation("lost").0.processor("lost", |_| Lost).run(7);
    assert_eq!((report.verdict, report.broken()), (Verdict::Violated, vec!["L0".to_string()]));
    let detail = &report.findings[0].detail;
    let end = " to topic \"\", which does not exist: that record will never be done";
    assert!(detail.starts_with("the lost emits for in-") && detail.ends_with(end), "{detail}");
}
