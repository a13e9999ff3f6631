//! Each application in each delivery mode.

use std::path::Path;
use std::sync::Arc;

use seedlog_sim::command::execute;
use seedlog_sim::run::Verdict;
use seedlog_sim::scenario::{Error, Scenario};

const MODES: [&str; 3] = ["at-most-once", "at-least-once", "exactly-once"];

/// A scenario with one application of a kind, and what a short run of it must have met.
const KINDS: [(&str, &[&str]); 3] = [
    ("eos_pipeline", &["processed >= 30", "check.A2 >= 30"]),
    ("tickets", &["processed >= 300", "check.U1 >= 600"]),
    ("retry_dead_letter", &["processed >= 50", "retries >= 5", "applied >= 20", "check.U1 >= 100"]),
];

fn load(name: &str, set: &[String]) -> Result<Scenario, Error> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.toml"));
    Scenario::load(&file, set)
}

#[test]
fn every_kind_keeps_what_its_mode_promises() {
    for (name, require) in KINDS {
        for mode in MODES {
            let set = [
                format!("app.0.delivery={mode}"),
                "phases.safety=20s".into(),
                format!("require={require:?}"),
            ];
            let scenario = load(name, &set).unwrap_or_else(|error| panic!("{name}: {error}"));
            let scenario = Arc::new(scenario);
            for seed in 0..20 {
                let report = execute(&scenario, seed);
                assert_eq!(report.verdict, Verdict::Held, "{name} {mode} {seed}: {report:?}");
            }
        }
    }
}

#[test]
fn what_a_mode_cannot_have_is_refused() {
    let table = [
        (
            ["app.0.delivery=exactly-once", "app.0.workers=4"],
            "--set: app[0].workers: a transaction takes its records one after another; take it out",
        ),
        (
            ["app.0.delivery=at-least-once", "app.0.changelog=handled"],
            "--set: app[0].changelog: only exactly-once keeps its state there; \
             set delivery = \"exactly-once\", or changelog = \"none\"",
        ),
    ];
    for (set, message) in table {
        let set = set.map(str::to_owned);
        let error = load("tickets", &set).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}
