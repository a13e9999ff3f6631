use std::sync::Arc;

use seedlog::machine::{Effects, Input, Machine};
use seedlog::op::SendRecord;
use seedlog::time::{Instant, Now};

use super::{
    AppKind, Application, Begin, Feed, HostSetup, HostedApp, Registry, ValueFormat, keyed,
};
use crate::command::execute;
use crate::run::{Report, Run, Verdict};
use crate::scenario::script::{Role, Who};
use crate::scenario::{Error, Scenario};
use crate::world::Draw;

/// An application that does nothing but count its steps.
#[derive(Clone)]
struct Idle {
    steps: u64,
    limit: u64,
}

impl Machine for Idle {
    fn step(&mut self, _now: Now, _input: Input, _out: &mut Effects) {
        self.steps += 1;
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl Application for Idle {
    fn check(&self) {
        assert!(self.steps <= self.limit, "it steps no more than its scenario allows");
    }
}

#[derive(Clone)]
struct IdleKind {
    limit: u64,
}

impl AppKind for IdleKind {
    fn keys(&self) -> &'static [&'static str] {
        &["limit"]
    }

    fn set(&mut self, _key: &str, value: &str) -> Result<(), String> {
        self.limit = super::number(value)?;
        Ok(())
    }

    fn start(&self, _: &HostSetup, _: Begin, _: &mut Effects) -> Box<dyn HostedApp> {
        Box::new(Idle { steps: 0, limit: self.limit })
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}

/// Numbers, each once.
#[derive(Clone, Default)]
struct Numbers {
    next: u64,
}

impl Feed for Numbers {
    fn next(&mut self, _dice: &mut dyn Draw) -> Option<SendRecord> {
        self.next += 1;
        Some(keyed("all", self.next.to_string()))
    }
}

fn registry() -> Registry {
    let mut registry = Registry::built_in();
    registry.add_app("idle", Box::new(IdleKind { limit: 1_000_000 }));
    registry.add_feed("numbers", Box::new(Numbers::default()));
    registry
}

fn read(text: &str) -> Result<Scenario, Error> {
    Scenario::parse_with("s.toml", &format!("# It works.\n{text}"), &[], &registry())
}

const APP: &str = "[workload]\nproducers = 0\nconsumers = 1\n\
                   [phases]\nsafety = \"3s\"\n\
                   [[topics]]\nname = \"in\"\n[[topics]]\nname = \"out\"\n\
                   [[feed]]\nkind = \"numbers\"\ntopic = \"in\"\nrepeat = \"1/4\"\n\
                   [[app]]\nkind = \"idle\"\ninput = \"in\"\noutput = \"out\"\n";

#[test]
fn an_app_table_gives_processes_and_settings() {
    let text = format!("{APP}instances = 2\nsession.timeout.ms = 9000\nlimit = 7\n");
    let scenario = read(&text).expect("it reads");
    assert_eq!((scenario.app_processes(), scenario.feed_processes()), (2, 1));
    let second = Who { role: Role::App, number: 2 };
    let (app, instance) = scenario.cast(second).expect("there are two");
    assert_eq!((&*app.name, &*app.group, instance), ("idle", "idle", 2));
    assert_eq!(app.consumer.get("session.timeout.ms").as_deref(), Some("9000"));
    assert_eq!(scenario.cast(Who { role: Role::App, number: 3 }).map(|(_, place)| place), None);
    assert!(scenario.workload.topics.is_empty(), "feeds and applications write all there is");
}

#[test]
fn a_wrong_app_table_is_refused_with_its_place_and_a_cure() {
    let wrong = [
        ("limits = 3", "s.toml:19: app[0].limits: unknown key; did you mean \"limit\"?"),
        ("limit = \"x\"", "s.toml:19: app[0].limit: expected a whole number, found \"x\""),
        (
            "instances = 0",
            "s.toml:19: app[0].instances: expected a whole number from 1 to 100, found 0",
        ),
        (
            "[[app]]\nkind = \"idel\"",
            "s.toml:20: app[1].kind: unknown kind of application \"idel\"; did you mean \"idle\"?",
        ),
        (
            "[[app]]\nkind = \"idle\"",
            "s.toml:19: app[1].input: it has no input; name a topic of the scenario",
        ),
        (
            "[[app]]\nkind = \"idle\"\ninput = \"inn\"",
            "s.toml:21: app[1].input: there is no topic \"inn\"; did you mean \"in\"?",
        ),
        (
            "[[feed]]\nkind = \"numbers\"",
            "s.toml:19: feed[1].topic: a feed fills one topic; name one",
        ),
        (
            "[[feed]]\nkind = \"numbers\"\ntopic = \"in\"\nevry = \"1s\"",
            "s.toml:22: feed[1].evry: unknown key; did you mean \"every\"?",
        ),
    ];
    for (line, message) in wrong {
        assert_eq!(read(&format!("{APP}{line}\n")).expect_err(line).to_string(), message);
    }
}

#[test]
fn what_an_application_does_not_know_is_refused_in_one_line_with_its_place_and_a_cure() {
    let app = |lines: &str| format!("[[app]]\ninput = \"in\"\noutput = \"out\"\n{lines}");
    let designs = "check-then-act atomic-apply transactions";
    let modes = "at-most-once at-least-once exactly-once";
    let wrong = [
        (
            app("kind = \"ledgr\""),
            "12: app[0].kind: unknown kind of application \"ledgr\"; did you mean \"ledger\"?"
                .into(),
        ),
        (
            app("kind = \"ledger\"\ndesign = \"x\""),
            format!("13: app[0].design: expected one of: {designs}, found \"x\""),
        ),
        (
            app("kind = \"ledger\"\ndelivery = \"at-least-once\""),
            "13: app[0].delivery: this ledger is exactly-once only; take it out".into(),
        ),
        (
            app("kind = \"ledger\""),
            "9: app[0].changelog: transactions keep balances in a changelog; name a topic with as \
             many partitions as its input has"
                .into(),
        ),
        (
            app("kind = \"copy\"\ndelivery = \"twice\""),
            format!("13: app[0].delivery: delivery = \"twice\": expected one of: {modes}"),
        ),
        (
            app("kind = \"tickets\"\nformat = \"xml\""),
            "13: app[0].format: unknown format \"xml\"; one of: json, avro".into(),
        ),
        (
            app("kind = \"tickets\"\nformat = \"bytes\""),
            "13: app[0].format: a tickets has no values in bytes; one of: json, avro".into(),
        ),
        (
            app("kind = \"copy\"\nformat = \"avro\""),
            "13: app[0].format: a copy has no values in avro; one of: bytes".into(),
        ),
        (
            app("kind = \"tickets\"\nworkrs = 3"),
            "13: app[0].workrs: unknown key; did you mean \"workers\"?".into(),
        ),
        (
            "[[app]]\nkind = \"copy\"\ninput = \"in\"\noutput = \"otu\"".into(),
            "12: app[0].output: there is no topic \"otu\"; did you mean \"out\"?".into(),
        ),
        (
            "[[app]]\nkind = \"copy\"\ninput = \"elsewhere\"".into(),
            "11: app[0].input: there is no topic \"elsewhere\"; one of: in, out".into(),
        ),
        (
            "[[app]]\nkind = \"copy\"\ninput = \"in\"".into(),
            "11: app[0].output: it has no output; name a topic of the scenario".into(),
        ),
    ];
    refused(&wrong);
}

#[test]
fn an_application_without_its_topics_or_a_name_is_refused_in_one_line() {
    let app = |kind: &str, lines: &str| format!("[[app]]\nkind = \"{kind}\"\n{lines}");
    let retries: String = (1..=3).map(|n| format!(", \"in-retry-{n}\"")).collect();
    let topics: String =
        (1..=3).map(|n| format!("[[topics]]\nname = \"in-retry-{n}\"\n")).collect();
    let retry = app("retry", &format!("input = [\"in\"{retries}]\noutput = \"out\""));
    refused(&[
        (
            format!("{topics}{retry}"),
            "15: app[0]: there is no topic \"in-dlt\", which it writes; add it as one of [[topics]]"
                .into(),
        ),
        (
            app("copy", "input = \"in\"\noutput = \"out\"\ngroup = \"\""),
            "13: app[0].group: a group needs a name; name it, or leave the line out".into(),
        ),
        (
            app("copy", "input = \"in\"\noutput = [\"out\", \"in\"]"),
            "12: app[0].output: it would work on what it writes itself: \"in\"; name another topic"
                .into(),
        ),
        (
            app("ledger", "input = \"in\"\noutput = \"out\"\nchangelog = \"in\""),
            "13: app[0].changelog: it would work on what it writes itself: \"in\"; name another topic"
                .into(),
        ),
        (
            app("copy", "input = \"in\"\noutput = \"out\"\n")
                + &app("copy", "group = \"back\"\ninput = \"out\"\noutput = \"in\""),
            "17: app[1].output: by way of the applications above it comes back to \"out\"; name a \
             topic that none of them reads: records would go round for ever"
                .into(),
        ),
    ]);
}

#[test]
fn producers_without_a_topic_are_refused() {
    let text = "# It works.\n[workload]\nkeys = 2\n[[topics]]\nname = \"in\"\n\
                [[feed]]\nkind = \"numbers\"\ntopic = \"in\"\n";
    let found = Scenario::parse_with("s.toml", text, &[], &registry()).expect_err("it is refused");
    assert_eq!(
        found.to_string(),
        "s.toml:2: workload.producers: nothing is left to write for producers: feeds and \
         applications write all; set it to 0, or add a topic"
    );
    let manual = text.replace("keys = 2", "automatic = false");
    Scenario::parse_with("s.toml", &manual, &[], &registry()).expect("a script may send");
}

#[test]
fn what_a_feed_does_not_know_is_refused_in_one_line_with_its_place_and_a_cure() {
    let feed = |lines: &str| format!("[[feed]]\ntopic = \"in\"\n{lines}");
    refused(&[
        (
            feed("kind = \"ticket\""),
            "11: feed[0].kind: unknown kind of feed \"ticket\"; did you mean \"tickets\"?".into(),
        ),
        (
            feed("kind = \"tickets\"\nformat = \"Avro\""),
            "12: feed[0].format: unknown format \"Avro\"; one of: json, avro".into(),
        ),
        (
            feed("kind = \"tickets\"\nfail = \"1/2\""),
            "12: feed[0].fail: unknown key; did you mean \"fails\"?".into(),
        ),
    ]);
}

/// Each of these texts is refused with that message.
fn refused(wrong: &[(String, String)]) {
    for (lines, message) in wrong {
        let text = format!("{TOPICS}{lines}\n");
        let found = Scenario::parse_with("s.toml", &text, &[], &Registry::built_in());
        let found = found.expect_err(lines).to_string();
        assert_eq!(found, format!("s.toml:{message}"), "{lines}");
    }
}

const TOPICS: &str = "# It works.\n[workload]\nproducers = 0\nconsumers = 0\n\
                      [[topics]]\nname = \"in\"\n[[topics]]\nname = \"out\"\n";

/// A small scenario with a known application whose processes crash.
fn small(kind: &str, feed: &str, app: &str) -> Arc<Scenario> {
    let more = ["in-retry-1", "in-retry-2", "in-retry-3", "in-dlt", "state"];
    let more: String = more.map(|name| format!("[[topics]]\nname = \"{name}\"\n")).concat();
    let input = match kind {
        "retry" => "[\"in\", \"in-retry-1\", \"in-retry-2\", \"in-retry-3\"]",
        _ => "\"in\"",
    };
    let fed = if kind == "retry" { "messages" } else { kind };
    let state = match kind {
        "ledger" => "changelog = \"state\"\nisolation.level = \"read_committed\"\n",
        _ => "",
    };
    let text = format!(
        "{TOPICS}{more}[phases]\nsafety = \"4s\"\n\
         [broker]\ngroup.min.session.timeout.ms = 1000\n\
         [[feed]]\nkind = \"{fed}\"\ntopic = \"in\"\nformat = \"{feed}\"\nevery = \"20ms\"\n\
         [[app]]\nkind = \"{kind}\"\ninput = {input}\noutput = \"out\"\nformat = \"{app}\"\n\
         {state}session.timeout.ms = 2000\nheartbeat.interval.ms = 500\n\
         transaction.timeout.ms = 4000\nrequest.timeout.ms = 2000\n\
         [[fault]]\nkind = \"crash\"\ntarget = \"app\"\nevery = \"1s\"\nfor = \"200ms\"\n"
    );
    Arc::new(Scenario::parse_with("s.toml", &text, &[], &registry()).expect("it reads"))
}

fn report(kind: &str, feed: &str, app: &str) -> Report {
    execute(&small(kind, feed, app), 5)
}

#[test]
fn an_application_keeps_its_promises_in_each_format() {
    for kind in ["tickets", "retry", "ledger"] {
        let reports = ValueFormat::TYPED.iter().map(|format| {
            let name = format.name();
            (name, report(kind, name, name))
        });
        for (format, report) in reports {
            assert_eq!(report.verdict, Verdict::Held, "{kind} {format}: {report:?}");
            let counts = ["processed", "malformed"].map(|name| report.count(name));
            assert!(counts[0] > 100 && counts[1] == 0, "{kind} {format}: {report:?}");
        }
    }
}

#[test]
fn a_feed_of_another_format_is_seen() {
    for (feed, app, why) in [
        ("json", "avro", "malformed avro: it does not begin with C3 01"),
        ("avro", "json", "malformed json: expected value at line 1 column 1"),
    ] {
        for (kind, name) in [("tickets", "InOrder"), ("ledger", "Readable")] {
            let report = report(kind, feed, app);
            assert_eq!((report.verdict, report.broken()), (Verdict::Violated, vec!["U1".into()]));
            let detail = &report.findings[0].detail;
            assert!(
                detail.starts_with(&format!("{name}: in-")) && detail.ends_with(why),
                "{detail}"
            );
        }
        // What is no message is a dead letter.
        let report = report("retry", feed, app);
        assert_eq!(report.verdict, Verdict::Held, "{report:?}");
        let [letters, malformed] = ["deadletters", "malformed"].map(|name| report.count(name));
        assert!(malformed > 100 && letters == malformed, "{report:?}");
    }
}

#[test]
fn a_feed_repeats_until_it_is_acknowledged_and_an_idle_application_is_found() {
    let crash = |target: &str| {
        let often = "every = \"300ms\"\nfor = \"100ms\"";
        format!("[[fault]]\nkind = \"crash\"\ntarget = \"{target}\"\n{often}\n")
    };
    let faults = crash("feed") + &crash("app");
    let scenario = Arc::new(read(&format!("{APP}{faults}")).expect("it reads"));
    let mut run = Run::new(&scenario, 3, true);
    run.finish_all();
    let feeder = &run.workload.feeders[0];
    assert_eq!(feeder.pending(), 0);
    assert!(feeder.repeated > 0 && feeder.acked >= feeder.made, "{feeder:?}");
    let acked = run.workload.acked[0][0];
    assert!(acked > 0);
    let report = run.report();
    assert!(report.consumed >= feeder.made);
    // Whoever does nothing with what is acknowledged has made no progress.
    assert_eq!((report.verdict, report.broken()), (Verdict::Violated, vec!["L0".to_string()]));
    let idle = "group idle of the idle has come to in-0 offset 0 and no further: ";
    assert!(report.findings[0].detail.starts_with(idle), "{report:?}");
}

#[test]
fn a_hosted_application_is_forked_and_checked() {
    let app: Box<dyn HostedApp> = Box::new(Idle { steps: 0, limit: 1 });
    let mut fork = app.clone();
    let now = Now::default();
    fork.step(now, Input::Wake, &mut Effects::new());
    fork.check();
    fork.step(now, Input::Wake, &mut Effects::new());
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fork.check()));
    assert!(checked.is_err(), "the fork has stepped too often");
    app.check();
}
