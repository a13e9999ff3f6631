//! One seed is one run: twice, in two processes, debug and release, and from a fork in its middle.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use seedlog_sim::run::Run;
use seedlog_sim::scenario::Scenario;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn scenario(overrides: &[&str]) -> Arc<Scenario> {
    let file = Path::new(ROOT).join("scenarios/broker_failover.toml");
    let mut all = vec!["phases.safety=10s".to_owned(), "phases.liveness=10s".to_owned()];
    all.extend(overrides.iter().map(|set| (*set).to_owned()));
    Arc::new(Scenario::load(&file, &all).unwrap_or_else(|error| panic!("{error}")))
}

/// The digest of a whole run.
fn digest(run: &mut Run) -> u128 {
    while run.step() {}
    run.world.digest().value()
}

#[test]
fn the_same_seed_twice_is_the_same_run() {
    let scenario = scenario(&[]);
    let first = digest(&mut Run::new(&scenario, 7, true));
    assert_eq!(first, digest(&mut Run::new(&scenario, 7, true)));
    assert_eq!(first, digest(&mut Run::new(&scenario, 7, false)), "checkers only look");
}

#[test]
fn another_seed_or_another_setting_is_another_run() {
    let first = digest(&mut Run::new(&scenario(&[]), 7, false));
    assert_ne!(first, digest(&mut Run::new(&scenario(&[]), 8, false)));
    let other = scenario(&["broker.replica.fetch.wait.max.ms=499"]);
    assert_ne!(first, digest(&mut Run::new(&other, 7, false)));
}

#[test]
fn a_fork_in_the_middle_ends_as_its_origin_does() {
    let scenario = scenario(&[]);
    let mut origin = Run::new(&scenario, 7, true);
    for _ in 0..5_000 {
        assert!(origin.step(), "the middle of a run is not its end");
    }
    let mut fork = origin.clone();
    let end = digest(&mut origin);
    assert_eq!(end, digest(&mut fork), "what the origin did after the fork is not seen by it");
}

#[test]
fn a_fork_that_is_disturbed_ends_elsewhere() {
    let scenario = scenario(&[]);
    let mut origin = Run::new(&scenario, 7, true);
    for _ in 0..5_000 {
        origin.step();
    }
    let mut fork = origin.clone();
    let broker = fork.world.find("b1").expect("there is a first broker");
    fork.world.pause(broker, &mut ());
    assert_ne!(digest(&mut origin), digest(&mut fork));
}

/// The digest that `sim run --json` prints, built with that profile.
fn digest_of_process(profile: &str, seed: &str) -> String {
    let cargo = env!("CARGO");
    let mut command = Command::new(cargo);
    command.current_dir(ROOT).args(["run", "--quiet", "--profile", profile]);
    command.args(["--package", "seedlog-sim", "--bin", "sim", "--", "run"]);
    command.args(["scenarios/broker_failover.toml", "--seed", seed, "--json"]);
    command.args(["--set", "phases.safety=5s", "--set", "phases.liveness=5s"]);
    let output = command.output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("\"digest\"").unwrap_or_else(|| panic!("{output:?}"));
    rest.split('"').nth(1).expect("the digest is a string").to_owned()
}

#[test]
fn two_processes_and_two_profiles_make_the_same_run() {
    let release = digest_of_process("release", "7");
    assert_eq!(release, digest_of_process("release", "7"), "two processes");
    assert_eq!(release, digest_of_process("dev", "7"), "debug and release");
    assert_ne!(release, digest_of_process("release", "8"), "two processes can differ");
    assert_ne!(release, digest_of_process("dev", "8"), "debug and release can differ");
}
