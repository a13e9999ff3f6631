//! A recorded run is carried out again: event for event under its seed, fault for fault under
//! another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seedlog_sim::command::{record, replay};
use seedlog_sim::run::{Recording, Report, Run};
use seedlog_sim::scenario::Scenario;

const SEED: u64 = 5;

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(folder).expect("the scenarios are there");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry reads").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files
}

/// A short run of a scenario, read back from what `sim run --record` would write.
fn recorded(file: &Path) -> (Report, Recording) {
    let overrides = ["phases.safety=8s".to_owned(), "phases.liveness=30s".to_owned()];
    let scenario = Scenario::load(file, &overrides).unwrap_or_else(|error| panic!("{error}"));
    let text = std::fs::read_to_string(file).expect("it was just read");
    let (report, recording) = record(&Arc::new(scenario), text, SEED);
    let read = Recording::parse("recording.toml", &recording.print());
    assert_eq!(read.as_ref(), Ok(&recording), "{}", file.display());
    (report, recording)
}

fn run(recording: &Recording, delays: Option<u64>) -> Run {
    Run::replaying(recording.clone(), delays).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_scenario_goes_as_recorded_and_has_the_recorded_faults_under_another_seed() {
    for file in scenarios() {
        let name = file.display();
        let (report, mut recording) = recorded(&file);
        let again = replay(run(&recording, None), &recording);
        assert_eq!(again.parted, None, "{name}");
        assert_eq!(again.carried_out, recording.len(), "{name}");
        assert_eq!(again.report.digest, report.digest, "{name}");
        assert_eq!(again.report.verdict, report.verdict, "{name}");

        let other_delays = replay(run(&recording, Some(SEED + 1)), &recording);
        recording.seed = SEED + 1;
        let other_seed = replay(run(&recording, None), &recording);
        for other in [other_delays, other_seed] {
            assert!(other.parted.is_some(), "{name}: it is another run");
            // A few messages that had trouble are not sent at all.
            let (carried_out, recorded) = (other.carried_out, recording.len());
            assert!(carried_out * 10 >= recorded * 8, "{name}: {carried_out} of {recorded}");
            for kind in ["fault.loss", "fault.duplicate", "fault.corrupt", "fault.power-loss"] {
                let (then, now) = (report.count(kind), other.report.count(kind));
                assert!(now <= then, "{name}: {kind} {now} times, recorded {then} times");
            }
        }
    }
}
