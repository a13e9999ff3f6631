//! Runs are the same whenever they should be, and different whenever they should be.

use std::sync::Arc;

use super::*;
use crate::command::{execute, first_difference, record, replay};

fn scenario(more: &str) -> (Arc<Scenario>, String) {
    let text = format!(
        "# A small cluster under crashes.\n{more}\n\
         [phases]\nboot = \"30s\"\nsafety = \"5s\"\nliveness = \"30s\"\n\
         [workload]\nevery = \"5ms..20ms\"\n\
         [[fault]]\nkind = \"crash\"\ntarget = \"server\"\nevery = \"500ms..2s\"\n\
         for = \"100ms..1s\"\n"
    );
    let scenario = Scenario::parse("small.toml", &text, &[]).expect("a sound scenario");
    (Arc::new(scenario), text)
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let (scenario, _) = scenario("");
    let reports = [3, 3, 4].map(|seed| execute(&scenario, seed));
    assert_eq!(reports[0], reports[1]);
    assert_ne!(reports[0].digest, reports[2].digest);
}

#[test]
fn a_fork_goes_on_as_its_original_would_and_leaves_it_alone() {
    let (scenario, _) = scenario("");
    let mut run = Run::new(&scenario, 5, true);
    for _ in 0..3_000 {
        run.step();
    }
    let mut fork = run.clone();
    let before = run.world.digest();
    fork.finish_all();
    assert_eq!(run.world.digest(), before);
    run.finish_all();
    assert_eq!(run.report(), fork.report());
}

#[test]
fn a_difference_is_found_at_its_first_event() {
    let (scenario, _) = scenario("");
    let run = Run::new(&scenario, 5, true);
    assert_eq!(first_difference(run.clone(), run.clone()), None);
    let mut crooked = run.clone();
    for _ in 0..500 {
        crooked.step();
    }
    let event = crooked.world.events();
    let mut straight = run;
    while straight.world.events() < event {
        straight.step();
    }
    let victim = ProcessId(3);
    crooked.world.skew_clock(victim, 1_000_000);
    let found = first_difference(straight, crooked);
    assert!(found.is_some_and(|found| found > event), "{found:?} comes after {event}");
}

#[test]
fn a_recorded_run_is_carried_out_again() {
    let (scenario, text) = scenario("");
    let (report, recording) = record(&scenario, text, 9);
    let read = Recording::parse("r.toml", &recording.print()).expect("what is printed reads");
    assert_eq!(read, recording);
    let run = Run::replaying(read.clone(), None).expect("a sound scenario");
    let again = replay(run, &read);
    assert_eq!((&again.report.digest, again.parted), (&report.digest, None));
    assert_eq!((again.exit_code(), again.carried_out), (0, read.len()));
}

#[test]
fn a_recording_survives_a_change_of_what_its_seed_means() {
    let (scenario, text) = scenario("[network]\nloss = \"5/1000\"\nduplicate = \"5/1000\"\n");
    let (report, mut recording) = record(&scenario, text, 9);
    assert!(report.count("fault.loss") > 0, "{:?}", report.faults);
    recording.text = recording.text.replace("loss = \"5/1000\"", "loss = \"999/1000\"");
    let run = Run::replaying(recording.clone(), None).expect("a sound scenario");
    let again = replay(run, &recording);
    assert_eq!((again.report.digest, again.parted), (report.digest, None));
    recording.chances = Arc::default();
    let run = Run::replaying(recording.clone(), None).expect("a sound scenario");
    let without = replay(run, &recording);
    assert_eq!(without.report.count("fault.loss"), 0, "what is not recorded does not happen");
    assert!(without.parted.is_some());
}

#[test]
fn a_replay_says_where_it_left_the_recorded_way() {
    let (scenario, text) = scenario("");
    let (_, mut recording) = record(&scenario, text, 9);
    let middle = recording.decisions.len() / 2;
    recording.decisions.truncate(middle);
    let run = Run::replaying(recording.clone(), None).expect("a sound scenario");
    let parted = replay(run, &recording);
    assert!(parted.parted.is_some_and(|(before, after)| before < after));
    let why = "half of the faults that the scenario asks for are gone";
    assert_eq!((parted.report.verdict, parted.exit_code()), (Verdict::Undecided, 3), "{why}");
}

#[test]
fn a_run_that_did_not_do_what_was_asked_is_undecided() {
    let (scenario, _) = scenario("require = [\"fault.wipe >= 1\"]");
    let report = execute(&scenario, 1);
    assert_eq!(report.verdict, Verdict::Undecided, "{:?}", report.findings);
}

#[test]
fn who_is_cut_off_from_the_core_is_cut_off_from_everybody() {
    let (scenario, _) = scenario("");
    let mut run = Run::new(&scenario, 5, true);
    while !matches!(run.phase, Phase::Safety { .. }) {
        assert!(run.step(), "the cluster boots");
    }
    run.heal_core();
    let everybody: Vec<ProcessId> = run.cluster.everybody().collect();
    let outside: Vec<ProcessId> =
        everybody.iter().copied().filter(|process| !run.core.contains(process)).collect();
    let [away, well, ..] = *outside else { panic!("a broker and a controller are left out") };
    run.world.block(run.core[0], away);
    run.heal_core();
    for one in everybody.iter().copied() {
        for other in everybody.iter().copied().filter(|other| *other != one) {
            assert_eq!(run.world.is_blocked(one, other), one == away || other == away);
        }
    }
    assert!(run.world.is_blocked(well, away), "also from who is outside, but well");
}

#[test]
fn a_swarm_draws_the_atlas_and_a_scenario_that_says_it_gets_it() {
    let off = |more: &str| {
        let (scenario, _) = scenario(more);
        (0..40).filter(|seed| !fault::atlas_on(&scenario, Seed(*seed))).count()
    };
    assert_eq!(off(""), 0);
    let drawn = off("swarm = true");
    assert!((4..=16).contains(&drawn), "{drawn} of 40");
    assert_eq!(off("swarm = true\n[atlas]\non = true"), 0);
    assert_eq!(off("[atlas]\non = false"), 40);
}

#[test]
fn without_the_atlas_only_safety_is_checked() {
    for on in [true, false] {
        let (scenario, _) = scenario(&format!("[atlas]\non = {on}"));
        let report = execute(&scenario, 1);
        assert_eq!((report.atlas_on, report.verdict), (on, Verdict::Held));
        // Whether everything is read in the end is asked after the liveness phase.
        assert_eq!(report.count("check.J8") > 0, on);
    }
}
