//! Reports for people, byte-stable.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::run::{Finding, Report, Verdict};

/// Writes to stdout. A closed pipe ends nothing but the output; whoever cannot have the result for
/// another reason (a full disk) must not take the run for done.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("sim: the result cannot be written: {error}; free the disk or name another file");
        std::process::exit(i32::from(super::USAGE));
    }
}

/// A report with the trace around its first finding.
#[must_use]
pub fn report(report: &Report, around: &[String]) -> String {
    let mut text = String::new();
    let name = report.verdict.name();
    let _ = writeln!(text, "{}: {}", report.scenario, report.claim);
    let _ = writeln!(
        text,
        "seed {}: {name}{} after {} events, {} simulated",
        report.seed,
        if report.verdict == Verdict::Panicked { " (panic)" } else { "" },
        report.events,
        seconds(report.simulated_ms)
    );
    let _ = writeln!(text, "digest     {}", report.digest);
    let _ = writeln!(
        text,
        "operations {} ok, {} failed, {} unknown; {} acknowledged, {} consumed",
        report.ok, report.fail, report.info, report.acked, report.consumed
    );
    let _ = writeln!(
        text,
        "elections  {} partition leaders, {} quorum leaders",
        report.leaders, report.controllers
    );
    if !report.drawn.is_empty() {
        let drawn = report.drawn.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let _ = writeln!(text, "drawn      {}", listed(drawn));
    }
    if !report.counters.is_empty() {
        let _ = writeln!(text, "counted    {}", pairs(&report.counters));
    }
    let _ = writeln!(text, "faults     {}", pairs(&report.faults));
    if !report.atlas_on {
        let _ = writeln!(text, "atlas      off: any fault goes, only safety is checked");
    }
    if !report.sometimes.is_empty() {
        let _ = writeln!(text, "reached    {}", pairs(&report.sometimes));
    }
    let checks = report.checks.iter().map(|(code, _, checked, _)| (code.clone(), *checked));
    let (spoke, idle): (Vec<_>, Vec<_>) = checks.partition(|(_, checked)| *checked > 0);
    if !report.checks.is_empty() {
        let _ = writeln!(text, "checks     {}", pairs(&spoke));
    }
    if !idle.is_empty() {
        let codes = idle.into_iter().map(|(code, _)| code).collect();
        let _ = writeln!(text, "idle       {}", listed(codes));
    }
    if !report.why.is_empty() {
        let _ = writeln!(text, "why        {}", report.why);
    }
    for finding in report.findings.iter().take(5) {
        let _ = writeln!(text);
        let _ = writeln!(text, "{} {}: {}", finding.code, finding.name, finding.claim);
        let at = seconds(finding.at_ms);
        let _ = writeln!(text, "  event {} at {at}: {}", finding.event, finding.detail);
    }
    if report.findings.len() > 5 {
        let _ = writeln!(text, "\n.. and {} more", report.findings.len() - 5);
    }
    text.push_str(&before(report, around));
    if report.verdict != Verdict::Held {
        let _ = writeln!(text, "\n{}", report.repro);
    }
    text
}

/// What led to the first finding.
fn before(report: &Report, around: &[String]) -> String {
    if around.is_empty() {
        return String::new();
    }
    let of_applications = report.findings.first().is_some_and(Finding::is_of_applications);
    let heading = match of_applications {
        true => "what its applications, and those around them, did before the first of these",
        false => "events up to the first of these",
    };
    let lines = around.iter().rev().take(60).rev();
    let lines: String = lines.map(|line| format!("  {line}\n")).collect();
    format!("\n{heading}:\n{lines}")
}

/// `12.345s`
#[must_use]
pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}s", ms / 1_000, ms % 1_000)
}

fn pairs(list: &[(String, u64)]) -> String {
    if list.is_empty() {
        return "none".into();
    }
    listed(list.iter().map(|(name, count)| format!("{name} {count}")).collect())
}

/// A list under a heading: broken between its members where the line would pass `WIDTH` columns.
fn listed(members: Vec<String>) -> String {
    let (mut text, mut column) = (String::new(), HEADING);
    for (index, member) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
            if column + 2 + member.len() >= WIDTH {
                let _ = write!(text, "\n{:HEADING$}", "");
                column = HEADING;
            } else {
                text.push(' ');
                column += 2;
            }
        }
        column += member.len();
        text.push_str(&member);
    }
    text
}

const HEADING: usize = 11;
const WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_goes_on_under_its_beginning() {
        let members: Vec<String> = (10..50).map(|number| format!("R{number} 1")).collect();
        let text = format!("checks     {}", listed(members.clone()));
        assert!(
            text.lines().count() > 1 && text.lines().all(|line| line.len() <= WIDTH + 1),
            "{text}"
        );
        assert!(text.lines().skip(1).all(|line| line.starts_with("           R")), "{text}");
        let words: Vec<&str> = text["checks".len()..].split(',').map(str::trim).collect();
        assert_eq!(words, members);
        assert_eq!(listed(vec!["one".into()]), "one");
    }
}
