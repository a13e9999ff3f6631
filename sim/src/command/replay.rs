//! `sim replay`: carries out a recorded run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cli::ReplayArgs;
use super::{execute, print};
use crate::run::{Recording, Run};

/// Replays, and says where the run went another way than when it was recorded.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &ReplayArgs) -> Result<u8, String> {
    let file = args.recording.display().to_string();
    let text = std::fs::read_to_string(&args.recording)
        .map_err(|error| format!("{file}: cannot be read: {error}; name a recorded run"))?;
    let recording = Recording::parse(&file, &text).map_err(|error| error.to_string())?;
    let run = Run::replaying(recording.clone()).map_err(|error| error.to_string())?;
    let scenario = std::sync::Arc::clone(&run.scenario);
    let (report, parted) = replay(run, &recording);
    let note = match parted {
        None => format!("as recorded: {} after {} events\n", recording.verdict, recording.events),
        Some((before, after)) => format!(
            "the run went another way between events {before} and {after}: the code has changed \
             since it was recorded ({} then)\n",
            recording.verdict
        ),
    };
    if args.json {
        let mut json = report.json();
        if let serde_json::Value::Object(object) = &mut json {
            object.insert("parted".into(), parted.map(|(_, after)| after).into());
        }
        print::out(&format!("{json}\n"));
    } else {
        let around =
            if parted.is_none() { execute::around(&scenario, &report) } else { Vec::new() };
        let text = print::report(&report, &around);
        print::out(&format!("{text}{note}"));
    }
    Ok(report.verdict.exit_code())
}

/// Runs to the end; also the events between which it left the recorded way.
#[must_use]
pub fn replay(mut run: Run, recording: &Recording) -> (crate::run::Report, Option<(u64, u64)>) {
    let mut parted = None;
    let mut last = 0;
    let mut checkpoints = recording.checkpoints.iter();
    let mut next = checkpoints.next();
    let result = catch_unwind(AssertUnwindSafe(|| {
        while run.step() {
            let Some((events, digest)) = next else { continue };
            if run.world.events() < *events {
                continue;
            }
            let same = run.world.events() == *events && run.world.digest().to_string() == *digest;
            if !same && parted.is_none() {
                parted = Some((last, *events));
            }
            last = *events;
            next = checkpoints.next();
        }
    }));
    let report = if result.is_ok() { run.report() } else { execute::panicked(&run) };
    if parted.is_none() && report.digest != recording.digest {
        parted = Some((last, recording.events.max(report.events)));
    }
    (report, parted)
}
