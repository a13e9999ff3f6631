//! Every switch of the zoo is killable, and its scenario is quiet without it.

use std::path::PathBuf;
use std::sync::Arc;

use seedlog::defect::Defect;
use seedlog_sim::command::execute;
use seedlog_sim::run::{Report, Verdict};
use seedlog_sim::scenario::Scenario;

fn file(defect: Defect) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/zoo"));
    folder.join(format!("{}.toml", defect.id()))
}

fn scenario(defect: Defect, overrides: &[String]) -> Arc<Scenario> {
    let scenario = Scenario::load(&file(defect), overrides);
    Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")))
}

fn run(defect: Defect, overrides: &[String]) -> Report {
    let scenario = scenario(defect, overrides);
    execute(&scenario, scenario.seed)
}

#[test]
fn every_switch_is_found_by_its_scenario_and_nothing_is_found_without_it() {
    let mut wrong = Vec::new();
    for defect in Defect::ALL.iter().copied() {
        let on = run(defect, &[]);
        if on.verdict != Verdict::Violated {
            wrong.push(format!("{defect}: {:?} with the switch on: {}", on.verdict, on.why));
        }
        let expected = scenario(defect, &[]).violates.clone();
        let first = on.findings.first().map(|finding| &*finding.code);
        if !expected.iter().any(|code| Some(&**code) == first) {
            wrong.push(format!("{defect}: {first:?} is broken first, said is {expected:?}"));
        }
        let none = ["defects=none".to_owned()];
        let off = run(defect, &none);
        if off.verdict != Verdict::Held {
            wrong.push(format!(
                "{defect}: {:?} with the switch off: {} {:?}",
                off.verdict,
                off.why,
                off.findings.first()
            ));
        }
        let others = scenario(defect, &none);
        // Of another seed the schedule may not come about.
        for seed in (0..8).filter(|seed| *seed != others.seed) {
            let off = execute(&others, seed);
            if off.verdict == Verdict::Violated {
                wrong.push(format!("{defect}: seed {seed}, off: {:?}", off.findings.first()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_scenario_of_the_zoo_is_without_a_switch() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/zoo");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let known = Defect::ALL.iter().any(|defect| defect.id() == stem);
        assert!(known, "{}: no switch of that name", path.display());
    }
}
