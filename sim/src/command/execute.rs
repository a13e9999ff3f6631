//! `sim run`, and what every command does with a run: load it, run it, catch its panic.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

use super::cli::{RunArgs, Which};
use super::print;
use crate::app::who_panicked;
use crate::check::Checkers;
use crate::run::{Finding, Recording, Report, Run, Story, Trace, Verdict};
use crate::scenario::Scenario;
use crate::scenario::text::read_file;

thread_local! {
    /// Where and why this thread panicked last.
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
    /// Whether this thread runs something whose panic is a finding.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Runs on, and catches a panic: a finding, and not the end. It is remembered and not printed; what
/// panics elsewhere is printed as it always was.
pub fn caught<R>(work: impl FnOnce() -> R) -> std::thread::Result<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CATCHES.get() {
                return others(info);
            }
            let text = words(info.payload());
            let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line()));
            PANIC.set(Some(format!("{text}{}", place.unwrap_or_default())));
        }));
    });
    let before = CATCHES.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHES.set(before);
    result
}

/// Reads a scenario.
///
/// # Errors
/// The line to show to the user.
pub fn load(which: &Which) -> Result<(Arc<Scenario>, u64), String> {
    load_file(&which.scenario, &which.set, which.seed)
}

/// Reads a scenario, with overrides.
///
/// # Errors
/// The line to show to the user.
pub fn load_file(
    path: &Path,
    set: &[String],
    seed: Option<u64>,
) -> Result<(Arc<Scenario>, u64), String> {
    let scenario = Scenario::load(path, set).map_err(|error| error.to_string())?;
    let seed = seed.unwrap_or(scenario.seed);
    Ok((Arc::new(scenario), seed))
}

/// Runs to the end, or to a panic.
#[must_use]
pub fn execute(scenario: &Arc<Scenario>, seed: u64) -> Report {
    finish(Run::new(scenario, seed, true))
}

/// Runs on to the end, or to a panic.
#[must_use]
pub fn finish(mut run: Run) -> Report {
    match caught(|| run.finish_all()) {
        Ok(()) => run.report(),
        Err(payload) => panicked(&run, &*payload),
    }
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".into())
}

/// The report of a run that panicked.
#[must_use]
pub fn panicked(run: &Run, payload: &(dyn Any + Send)) -> Report {
    let mut report = run.report();
    report.verdict = Verdict::Panicked;
    report.why.clear();
    let why = PANIC.take().unwrap_or_else(|| words(payload));
    let [ours, users] = Finding::PANICS;
    let (name, claim, detail) = match who_panicked() {
        None => (ours, "neither the core nor the simulator panics", why),
        Some(who) => {
            (users, "no application, feed or invariant panics", format!("{who}, panicked: {why}"))
        }
    };
    let finding = Finding {
        code: "panic".into(),
        name: name.into(),
        claim: claim.into(),
        at_ms: report.simulated_ms,
        event: report.events,
        detail,
    };
    report.findings.insert(0, finding);
    report
}

/// How many events lie between two checkpoints of a recording.
pub const CHECKPOINT: u64 = 1_000;

/// Runs to the end and keeps what was decided.
#[must_use]
pub fn record(scenario: &Arc<Scenario>, text: String, seed: u64) -> (Report, Recording) {
    let mut run = Run::new(scenario, seed, true);
    run.record();
    let mut checkpoints = Vec::new();
    let result = caught(|| {
        let mut next = CHECKPOINT;
        while run.step() {
            if run.world.events() >= next {
                checkpoints.push((run.world.events(), run.world.digest().to_string()));
                next = run.world.events() + CHECKPOINT;
            }
        }
    });
    let report = match result {
        Ok(()) => run.report(),
        Err(payload) => panicked(&run, &*payload),
    };
    let recording = Recording {
        file: scenario.file.to_string(),
        text,
        overrides: scenario.overrides.clone(),
        drawn: report.drawn.clone(),
        seed,
        atlas_on: report.atlas_on,
        decisions: run.decisions.log().to_vec(),
        chances: Arc::new(run.world.chances()),
        checkpoints,
        verdict: report.verdict.name().into(),
        broken: report.broken(),
        digest: report.digest.clone(),
        events: report.events,
    };
    (report, recording)
}

/// Reads a text file.
///
/// # Errors
/// The line to show to the user.
pub fn read(path: &Path, cure: &str) -> Result<String, String> {
    read_file(path, cure).map_err(|error| error.to_string())
}

/// Makes a file for a result, before the work that it is for.
///
/// # Errors
/// The line to show to the user.
pub fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|error| {
        format!("{}: cannot be written: {error}; name a file in a folder of yours", path.display())
    })
}

/// `sim run`.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &RunArgs) -> Result<u8, String> {
    let (scenario, seed) = load(&args.which)?;
    let report = match &args.record {
        Some(path) => {
            let text = read(&args.which.scenario, "name a scenario file")?;
            let mut file = create(path)?;
            let (report, recording) = record(&scenario, text, seed);
            let written = file.write_all(recording.print().as_bytes());
            written.map_err(|error| format!("{}: {error}", path.display()))?;
            report
        }
        None => finish(Run::new(&scenario, seed, !args.no_checks)),
    };
    if args.json {
        print::out(&format!("{}\n", report.json()));
    } else {
        let again = Run::new(&scenario, seed, true);
        print::out(&print::report(&report, &around(again, &report)));
    }
    Ok(report.verdict.exit_code())
}

/// What led to the first finding: the same run once more, watched there. Of a promise of
/// applications, what these did; of any other, the trace around it.
#[must_use]
pub fn around(mut run: Run, report: &Report) -> Vec<String> {
    const BEFORE: u64 = 12;
    let Some(finding) = report.findings.first() else { return Vec::new() };
    if finding.is_of_applications() {
        let groups = run.scenario.apps.iter().map(|app| Arc::clone(&app.group)).collect();
        run.watch.story = Some(Story::new(groups));
        let _ = caught(|| run.finish_all());
        let subject = run.watch.checkers.as_ref().and_then(Checkers::subject);
        let key = subject.and_then(|record| record.key.as_ref());
        return run.watch.story.as_ref().map(|story| story.told(finding, key)).unwrap_or_default();
    }
    let from = finding.event.saturating_sub(BEFORE);
    let format = crate::run::Format::Text;
    run.watch.trace = Some(Trace::new(from, finding.event, format, Vec::new()));
    let _ = caught(|| run.finish_all());
    run.watch.trace.take().map(|trace| trace.lines).unwrap_or_default()
}
