//! `sim report`: the checked-in pages under `reports/`, each line of them a run that anybody can
//! repeat.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::cli::ReportArgs;
use super::{execute, print};
use crate::run::Report;

/// Writes a page about the scenarios of a folder.
type Page = fn(&Path) -> Result<String, String>;

/// The pages, with what writes them.
const PAGES: [(&str, Page); 2] = [("scenarios.md", scenarios), ("zoo.md", zoo)];

/// `sim report`.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &ReportArgs) -> Result<u8, String> {
    let mut differ = false;
    for (name, write) in PAGES {
        let path = args.reports.join(name);
        eprintln!("{}", path.display());
        let page = write(&args.scenarios)?;
        if args.check {
            let old = std::fs::read_to_string(&path).unwrap_or_default();
            if old != page {
                differ = true;
                print::out(&format!("{} differs {}\n", path.display(), first_change(&old, &page)));
            }
        } else {
            std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    if args.check && !differ {
        print::out("every report is as checked in\n");
    }
    Ok(u8::from(differ))
}

fn first_change(old: &str, new: &str) -> String {
    let line = new.lines().zip(old.lines()).take_while(|(new, old)| new == old).count();
    let now = new.lines().nth(line).unwrap_or("(nothing)");
    format!("from line {}: now {now:?}; `sim report` writes it anew", line + 1)
}

/// The scenario files of a folder, sorted by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Runs a file at the seed that it names.
fn run(path: &Path, set: &[String]) -> Result<Report, String> {
    let (scenario, seed) = execute::load_file(path, set, None)?;
    Ok(execute(&scenario, seed))
}

fn scenarios(folder: &Path) -> Result<String, String> {
    let mut page = String::from(
        "# Scenarios\n\n\
         Each file under `scenarios/`, run once at the seed that it names. \
         Written by `sim report`.\n\n\
         | scenario | claim | seed | verdict | events | simulated s | ok / fail / info \
         | faults | digest |\n\
         |---|---|---:|---|---:|---:|---:|---:|---|\n",
    );
    for path in files(folder)? {
        let report = run(&path, &[])?;
        let faults: u64 = report.faults.iter().map(|(_, count)| count).sum();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} / {} / {} | {faults} | `{}` |",
            report.scenario,
            report.claim,
            report.seed,
            report.verdict.name(),
            report.events,
            report.simulated_ms / 1_000,
            report.ok,
            report.fail,
            report.info,
            report.digest,
        );
    }
    Ok(page)
}

fn zoo(folder: &Path) -> Result<String, String> {
    let mut page = String::from(
        "# The zoo\n\n\
         Historically real protocol bugs, each behind a switch. \
         `sim run scenarios/zoo/ID.toml` runs one; \
         with `--set defects=none` the same schedule is held. Written by `sim report`.\n\n\
         | switch | the rule that it breaks | found as | after events | at ms | without it |\n\
         |---|---|---|---:|---:|---|\n",
    );
    for path in files(&folder.join("zoo"))? {
        let on = run(&path, &[])?;
        let off = run(&path, &["defects=none".to_owned()])?;
        let found = on.findings.first();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            on.scenario,
            on.claim,
            found.map_or_else(
                || on.verdict.name().to_owned(),
                |found| format!("{} {}", found.code, found.name)
            ),
            found.map_or(on.events, |found| found.event),
            found.map_or(on.simulated_ms, |found| found.at_ms),
            off.verdict.name(),
        );
    }
    Ok(page)
}
