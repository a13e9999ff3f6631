//! An application that is shut down finishes what it has begun, commits it and leaves its group:
//! nobody does any of it again. One that crashes leaves that to others.

use std::sync::Arc;

use seedlog_sim::command::execute;
use seedlog_sim::run::{Report, Verdict};
use seedlog_sim::scenario::Scenario;

/// Three processes of a kind that stop again and again, each for as long as two others take over,
/// and nothing else goes wrong.
fn run(app: &str, kind: &str, seed: u64) -> Report {
    let text = format!(
        "# What is done once, as long as nobody crashes.\n\
         [[topics]]\nname = \"in\"\npartitions = 4\n\
         [[topics]]\nname = \"out\"\npartitions = 4\n\
         [broker]\ngroup.initial.rebalance.delay.ms = 500\ngroup.min.session.timeout.ms = 1000\n\
         [consumer]\nsession.timeout.ms = 3000\nheartbeat.interval.ms = 500\n\
         [workload]\nproducers = 0\nconsumers = 0\n\
         [phases]\nsafety = \"30s\"\n\
         [[feed]]\nkind = \"tickets\"\ntopic = \"in\"\nevery = \"5ms..15ms\"\nfails = \"1/20\"\n\
         [[app]]\nkind = {app:?}\ninstances = 3\ninput = \"in\"\noutput = \"out\"\n\
         delivery = \"at-least-once\"\n\
         [[fault]]\nkind = {kind:?}\ntarget = \"app\"\nevery = \"2s..3s\"\nfor = \"4s..6s\"\n"
    );
    let scenario = Scenario::parse("graceful.toml", &text, &[]).unwrap_or_else(|e| panic!("{e}"));
    let report = execute(&Arc::new(scenario), seed);
    assert_eq!(report.verdict, Verdict::Held, "{app} {kind} {seed}: {}", report.why);
    assert!(report.count("processed") >= 1_000, "{app} {kind} {seed}");
    report
}

#[test]
fn what_was_processed_before_a_graceful_shutdown_is_not_processed_again() {
    for app in ["copy", "tickets"] {
        for seed in 0..4 {
            let report = run(app, "shutdown", seed);
            let stops = ["fault.shutdown", "fault.crash", "fault.halt"];
            let [graceful, crashes, halts] = stops.map(|stop| report.count(stop));
            assert!(graceful >= 3, "{app} {seed}: {graceful} shutdowns");
            assert_eq!((crashes, halts), (0, 0), "{app} {seed}: each ends in its time");
            assert_eq!(report.count("reprocessed"), 0, "{app} {seed}");
            let [published, processed] = ["published", "processed"].map(|key| report.count(key));
            assert_eq!(published, processed, "{app} {seed}: each is sent on, and once");
        }
    }
}

#[test]
fn what_was_processed_before_a_crash_is_processed_again() {
    for app in ["copy", "tickets"] {
        let again: u64 = (0..4).map(|seed| run(app, "crash", seed).count("reprocessed")).sum();
        assert!(again > 0, "{app}");
    }
}

/// A retry pipeline in which nothing goes wrong but what fails, short of room.
fn retry(seed: u64) -> Report {
    let topics = ["mail", "mail-retry-1", "mail-retry-2", "mail-retry-3", "mail-dlt", "handled"];
    let topics = topics.map(|name| format!("[[topics]]\nname = {name:?}\npartitions = 2\n"));
    let text = format!(
        "# What is counted agrees with what is sent, as long as nothing is lost.\n{}\
         [broker]\ngroup.initial.rebalance.delay.ms = 500\ngroup.min.session.timeout.ms = 1000\n\
         [consumer]\nsession.timeout.ms = 3000\nheartbeat.interval.ms = 500\n\
         [workload]\nproducers = 0\nconsumers = 0\n\
         [phases]\nsafety = \"30s\"\n\
         [[feed]]\nkind = \"messages\"\ntopic = \"mail\"\nevery = \"5ms..15ms\"\n\
         repeat = \"1/20\"\nfails = \"1/3\"\n\
         [[app]]\nkind = \"retry\"\ninstances = 2\nordered = false\nbuffered.records = 20\n\
         input = [\"mail\", \"mail-retry-1\", \"mail-retry-2\", \"mail-retry-3\"]\n\
         output = \"handled\"\n",
        topics.concat()
    );
    let scenario = Scenario::parse("retry.toml", &text, &[]).unwrap_or_else(|e| panic!("{e}"));
    let report = execute(&Arc::new(scenario), seed);
    assert_eq!(report.verdict, Verdict::Held, "{seed}: {}", report.why);
    report
}

#[test]
fn with_nobody_stopped_a_retry_pipeline_counts_each_message_once_on_each_of_its_ways() {
    for seed in 0..2 {
        let report = retry(seed);
        let keys = ["published", "received", "processed", "failed", "retries", "deadletters"];
        let [published, received, processed, failed, retries, dead] =
            keys.map(|key| report.count(key));
        let [applied, duplicates] = ["applied", "duplicates"].map(|key| report.count(key));
        assert!(dead >= 100 && duplicates >= 20, "{seed}: {dead} dead, {duplicates} twice");
        assert_eq!((published, received), (processed, processed), "{seed}: one comes of each");
        assert_eq!(failed, retries + dead, "{seed}: what fails goes on");
        // Each one that came in is handled in the end, or given up.
        assert_eq!(applied + duplicates, processed - retries - dead, "{seed}");
    }
}
