//! What a run counts really happened; what it never met, it does not claim.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seedlog::event::Mark;
use seedlog_sim::command::execute;
use seedlog_sim::run::{Report, Verdict};
use seedlog_sim::scenario::Scenario;

/// A scripted run on three brokers: b1 leads orders-0, which b2 follows.
fn run(steps: &[&str]) -> Report {
    let steps: String = steps.iter().map(|step| format!("[[step]]\n{step}\n")).collect();
    let text = format!(
        "# What a directed run counts.\n\
         [[topics]]\nname = \"orders\"\nassignments = [[1, 2]]\n\
         [phases]\nliveness = \"0s\"\n[workload]\nautomatic = false\n{steps}"
    );
    let scenario = Scenario::parse("counts.toml", &text, &[]).unwrap_or_else(|e| panic!("{e}"));
    let report = execute(&Arc::new(scenario), 1);
    assert_eq!(report.verdict, Verdict::Held, "{}\n{text}", report.why);
    report
}

fn count(fault: &str, steps: &[&str]) -> u64 {
    run(steps).count(&format!("fault.{fault}"))
}

const END: &str = "after = \"2s\"\ndo = \"end\"";

#[test]
fn a_reassignment_counts_once_the_replicas_are_others() {
    let moved = [
        "do = \"reassign orders-0 to [b2, b3]\"",
        "when = [\"replicas(orders-0) == [b2, b3]\", \"not reassigning(orders-0)\"]",
        END,
    ];
    assert_eq!(count("reassign", &moved), 1);
    assert_eq!(count("reassign", &["do = \"reassign orders-0 to [b2, b1]\"", END]), 0);
    let cancelled = [
        "do = [\"crash b3\", \"reassign orders-0 to [b1, b3]\"]",
        "when = \"reassigning(orders-0)\"\ndo = \"cancel orders-0\"",
        "when = \"not reassigning(orders-0)\"",
        END,
    ];
    assert_eq!(count("reassign", &cancelled), 0);
}

#[test]
fn an_election_counts_if_it_moved_a_leader() {
    let moved = [
        "do = \"crash b1\"",
        "when = \"leader(orders-0) == b2\"\ndo = \"start b1\"",
        "when = \"isr(orders-0) has b1\"\ndo = \"elect orders-0\"",
        "when = \"leader(orders-0) == b1\"",
        END,
    ];
    assert_eq!(count("elect", &moved), 1);
    let (elect, leads) = ("do = \"elect orders-0\"", "when = \"leader(orders-0) == b1\"");
    let once = count("elect", &[elect, leads, END]);
    assert_eq!(count("elect", &[elect, leads, elect, END]), once, "the preferred one leads");
    let fenced = "when = [\"fenced(b1)\", \"leader(orders-0) == b2\"]\ndo = \"elect orders-0\"";
    let nobody = ["do = \"crash b1\"", fenced, END];
    assert_eq!(count("elect", &nobody), 0, "the preferred one is down");
}

#[test]
fn churn_counts_a_topic_that_was_deleted_and_made_again() {
    let made = "do = \"create t\"";
    let deleted = "when = \"exists(t)\"\ndo = \"delete t\"";
    let again = "when = \"not exists(t)\"\ndo = \"create t\"";
    assert_eq!(count("churn", &[made, deleted, again, END]), 1);
    assert_eq!(count("churn", &[made, deleted, END]), 0);
    assert_eq!(count("churn", &["do = [\"create orders\", \"delete t\"]", END]), 0);
}

#[test]
fn growth_and_settings_count_when_the_controller_takes_them() {
    assert_eq!(count("grow", &["do = \"grow orders to 3\"", END]), 1);
    assert_eq!(count("grow", &["do = [\"grow orders to 1\", \"grow t to 2\"]", END]), 0);
    let set = "do = \"set orders retention.ms 60000\"";
    assert_eq!(count("configure", &[set, END]), 1);
    assert_eq!(
        count("configure", &[set, "after = \"2s\"\ndo = \"set orders retention.ms 60000\"", END]),
        1
    );
    let refused = "do = [\"set orders retention.ms never\", \"set t retention.ms 1\"]";
    assert_eq!(count("configure", &[refused, END]), 0);
    assert_eq!(count("configure", &["do = \"set orders retention.ms default\"", END]), 0);
}

#[test]
fn a_shutdown_counts_when_it_is_complete_and_is_no_failure() {
    let complete = run(&["do = \"shutdown b1\"", "when = \"down(b1)\"", END]);
    assert_eq!(complete.count("fault.shutdown"), 1);
    assert_eq!(complete.count("fault.halt"), 0);
    let cut_short = run(&[
        "do = [\"cut b1 <-> controllers\", \"shutdown b1\"]",
        "after = \"1s\"\ndo = \"crash b1\"",
        END,
    ]);
    assert_eq!(cut_short.count("fault.shutdown"), 0);
    let failed = run(&["do = [\"disk b1 error\", \"send p1 orders-0\"]", "when = \"down(b1)\""]);
    assert_eq!((failed.count("fault.shutdown"), failed.count("fault.halt")), (0, 1));
}

#[test]
fn a_slow_disk_and_a_lagging_link_count_what_took_longer_than_usual() {
    let send = "do = \"send p1 orders-0 5\"";
    assert!(count("disk-slow", &["do = \"disk servers slow 100ms..200ms\"", send, END]) > 0);
    assert_eq!(count("disk-slow", &["do = \"disk servers slow 10us..1ms\"", send, END]), 0);
    assert_eq!(count("disk-slow", &[send, END]), 0);
    assert!(count("lag", &["do = \"lag all -> b1 by 50ms..60ms\"", send, END]) > 0);
    assert_eq!(count("lag", &["do = \"lag all -> b1 by 200us..2ms\"", send, END]), 0);
    assert_eq!(count("lag", &["do = \"lag b1 -> k1 by 1s..2s\"", "do = \"end\""]), 0);
}

#[test]
fn a_stalled_disk_counts_what_waited_in_it() {
    let send = "do = \"send p1 orders-0 5\"";
    assert!(count("disk-stall", &["do = \"disk servers stall 1s\"", send, END]) > 0);
    let nobody = ["do = [\"crash b3\", \"disk b3 stall 1s\"]", send, END];
    assert_eq!(count("disk-stall", &nobody), 0);
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files
}

fn load(path: &Path, set: &[String]) -> Arc<Scenario> {
    Arc::new(Scenario::load(path, set).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn a_run_that_met_none_of_a_fault_it_asked_for_is_undecided() {
    let report = |every: &str, exists: &str| {
        let text = format!(
            "# Reassignments lose nothing.\n[phases]\nsafety = \"5s\"\nliveness = \"30s\"\n\
             [cluster]\nbrokers = 4\n[[fault]]\nkind = \"reassign\"\nevery = \"{every}\"\n\
             exists = \"{exists}\"\n"
        );
        let scenario = Scenario::parse("asks.toml", &text, &[]).unwrap_or_else(|e| panic!("{e}"));
        execute(&Arc::new(scenario), 1)
    };
    let often = report("500ms..1s", "1/1");
    assert_eq!((often.verdict, often.why.as_str()), (Verdict::Held, ""));
    assert!(often.count("fault.reassign") > 0);
    let never = report("100s", "1/1");
    assert_eq!(never.verdict, Verdict::Undecided);
    assert_eq!(never.why, "asked for reassign, and none was delivered");
    assert_eq!(report("100s", "0/1").verdict, Verdict::Held, "no source, nothing asked");
}

/// Marks that no shipped scenario reaches, and why that is so.
const UNREACHED: &[(Mark, &str)] = &[(
    Mark::NotEnoughReplicasAfterAppend,
    "below min.insync.replicas the high watermark stands still (KIP-966), so who waits for it \
     waits until its time is up",
)];

#[test]
fn every_rare_branch_is_reached_by_a_shipped_scenario() {
    let mut left: Vec<Mark> = Mark::ALL.to_vec();
    let zoo = files("scenarios/zoo").into_iter().map(|path| load(&path, &["defects=none".into()]));
    let all = zoo.chain(files("scenarios").into_iter().map(|path| load(&path, &[])));
    for scenario in all {
        for seed in scenario.seed..scenario.seed + 2 {
            let report = execute(&scenario, seed);
            left.retain(|mark| report.reached(*mark) == 0);
        }
    }
    let excused: Vec<Mark> = UNREACHED.iter().map(|(mark, _)| *mark).collect();
    let names = |marks: &[Mark]| marks.iter().map(|mark| mark.name()).collect::<Vec<_>>();
    assert_eq!(names(&left), names(&excused), "left: never reached; right: those with a reason");
}
