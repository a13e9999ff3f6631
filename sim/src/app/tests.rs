use std::sync::Arc;

use seedlog::machine::{Effects, Input, Machine};
use seedlog::op::SendRecord;
use seedlog::time::{Instant, Now};

use super::{AppKind, Application, Begin, Feed, HostSetup, HostedApp, Registry, keyed};
use crate::run::{Run, Verdict};
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
    let idle = "group idle of the idle has committed offset 0 of in-0, ";
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
