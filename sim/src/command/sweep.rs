//! `sim sweep`: scenarios over many seeds, on many threads.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use seedlog::event::Mark;

use super::cli::{Shard, SweepArgs};
use super::{execute, print};
use crate::run::{Report, Verdict};
use crate::scenario::Scenario;

/// One run to be made.
type Job = (Arc<Scenario>, u64);

/// Runs everything; the worst verdict is the exit code.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &SweepArgs) -> Result<u8, String> {
    let mut scenarios = Vec::new();
    for path in &args.scenarios {
        scenarios.push(execute::load_file(path, &args.set, None)?.0);
    }
    let seeds = args.seeds.first..args.seeds.end;
    let jobs: Vec<Job> = scenarios
        .iter()
        .flat_map(|scenario| seeds.clone().map(move |seed| (Arc::clone(scenario), seed)))
        .enumerate()
        .filter(|(index, _)| in_shard(*index, args.shard))
        .map(|(_, job)| job)
        .collect();
    let junit_file = args.junit.as_deref().map(execute::create).transpose()?;
    let threads = args.jobs.map_or_else(cores, usize::from).min(jobs.len().max(1));
    let reports = run_all(&jobs, threads, args);
    if let (Some(mut file), Some(path)) = (junit_file, &args.junit) {
        let written = file.write_all(junit(&reports).as_bytes());
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if !args.json {
        print::out(&summary(&scenarios, &reports));
        print::out(&marks(&reports));
    }
    let worst = reports.iter().map(|report| report.verdict).max();
    Ok(worst.unwrap_or(Verdict::Held).exit_code())
}

#[expect(clippy::disallowed_methods, reason = "how many threads run says nothing about a run")]
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn in_shard(index: usize, shard: Option<Shard>) -> bool {
    shard.is_none_or(|Shard { index: part, count }| {
        u64::try_from(index).is_ok_and(|index| index % count == part)
    })
}

/// A bar on a terminal; on anything else nothing.
fn bar(length: usize) -> ProgressBar {
    let length = u64::try_from(length).expect("a length fits u64");
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// All reports in the order of the jobs, whatever thread made them. Lines come out in that order,
/// too, as soon as everything before them is there.
fn run_all(jobs: &[Job], threads: usize, args: &SweepArgs) -> Vec<Report> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let bar = bar(jobs.len());
    let done: Mutex<(Vec<Option<Report>>, usize)> = Mutex::new((vec![None; jobs.len()], 0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((scenario, seed)) = jobs.get(index) else { break };
                    let report = execute(scenario, *seed);
                    if args.fail_fast && report.verdict != Verdict::Held {
                        stop.store(true, Ordering::Relaxed);
                    }
                    bar.inc(1);
                    let mut done = done.lock().expect("no thread panics while it holds the lock");
                    done.0[index] = Some(report);
                    while let (reports, told) = &mut *done
                        && let Some(Some(report)) = reports.get(*told)
                    {
                        tell(report, args, &bar);
                        *told += 1;
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let (reports, _) = done.into_inner().expect("no thread panics while it holds the lock");
    reports.into_iter().flatten().collect()
}

fn tell(report: &Report, args: &SweepArgs, bar: &ProgressBar) {
    if args.json {
        bar.suspend(|| print::out(&format!("{}\n", report.json())));
    } else if report.verdict != Verdict::Held {
        bar.suspend(|| print::out(&red(report)));
    }
}

/// A run that is not held, in two lines; the last one makes it again.
fn red(report: &Report) -> String {
    let first = report.findings.first();
    let what = first.map_or_else(
        || report.why.clone(),
        |finding| format!("{} {}: {}", finding.code, finding.name, finding.detail),
    );
    let verdict = report.verdict.name();
    format!("{} seed {}: {verdict}: {what}\n{}\n", report.scenario, report.seed, report.repro)
}

/// One line a scenario.
fn summary(scenarios: &[Arc<Scenario>], reports: &[Report]) -> String {
    let mut text = String::new();
    for scenario in scenarios {
        let mine: Vec<&Report> = reports.iter().filter(|r| r.scenario == scenario.name).collect();
        let count = |verdict: &str| mine.iter().filter(|r| r.verdict.name() == verdict).count();
        let events: u64 = mine.iter().map(|report| report.events).sum();
        let acked: u64 = mine.iter().map(|report| report.acked).sum();
        let _ = writeln!(
            text,
            "{}: {} runs, {} held, {} violated, {} undecided; {events} events, {acked} acknowledged",
            scenario.name,
            mine.len(),
            count("held"),
            count("violated"),
            count("undecided"),
        );
    }
    text
}

/// Which rare branches were reached, in how many runs, and which never.
fn marks(reports: &[Report]) -> String {
    let runs = |mark: &Mark| reports.iter().filter(|report| report.reached(*mark) > 0).count();
    let (reached, never): (Vec<&Mark>, Vec<&Mark>) =
        Mark::ALL.iter().partition(|mark| runs(mark) > 0);
    let mut text = String::from(match reached.is_empty() {
        true => "marks reached: none\n",
        false => "marks reached, in so many runs:\n",
    });
    for mark in reached {
        let _ = writeln!(text, "  {:<34} {:>6}", mark.name(), runs(mark));
    }
    let never: Vec<&str> = never.into_iter().map(|mark| mark.name()).collect();
    let never = if never.is_empty() { "none".to_owned() } else { never.join(", ") };
    let _ = writeln!(text, "marks never reached: {never}");
    text
}

/// A JUnit report: a suite a scenario, a case a seed.
fn junit(reports: &[Report]) -> String {
    let escape = |text: &str| {
        let legal = |c: &char| !c.is_control();
        let text: String = text.chars().filter(legal).collect();
        text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
    };
    let failures = reports.iter().filter(|report| report.verdict != Verdict::Held).count();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let total = reports.len();
    let _ = writeln!(text, "<testsuites tests=\"{total}\" failures=\"{failures}\">");
    let mut names: Vec<&str> = reports.iter().map(|report| report.scenario.as_str()).collect();
    names.dedup();
    for name in names {
        let mine: Vec<&Report> = reports.iter().filter(|r| r.scenario == name).collect();
        let failures = mine.iter().filter(|report| report.verdict != Verdict::Held).count();
        let (name, total) = (escape(name), mine.len());
        let _ = writeln!(
            text,
            "  <testsuite name=\"{name}\" tests=\"{total}\" failures=\"{failures}\">"
        );
        for report in mine {
            let seed = report.seed;
            let _ = write!(text, "    <testcase classname=\"{name}\" name=\"seed {seed}\"");
            if report.verdict == Verdict::Held {
                text.push_str("/>\n");
                continue;
            }
            let kind = report.verdict.name();
            let message = escape(red(report).lines().next().unwrap_or_default());
            let _ = writeln!(text, "><failure type=\"{kind}\" message=\"{message}\">");
            let _ = writeln!(text, "{}</failure></testcase>", escape(&report.repro));
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_part_the_jobs() {
        let shard = |index| Some(Shard { index, count: 3 });
        for job in 0..30 {
            let parts = (0..3).filter(|index| in_shard(job, shard(*index))).count();
            assert_eq!(parts, 1);
        }
        assert!(in_shard(7, None));
    }
}
