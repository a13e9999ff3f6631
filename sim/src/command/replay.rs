//! `sim replay`: carries out a recorded run.

use super::cli::ReplayArgs;
use super::{execute, print};
use crate::run::{Recording, Report, Run, Verdict};

/// What came of a replay.
pub struct Replayed {
    pub report: Report,
    /// The events between which it left the recorded way, if it did.
    pub parted: Option<(u64, u64)>,
    /// How many of the recorded decisions it carried out.
    pub carried_out: u64,
}

/// Replays, and says where the run went another way than when it was recorded.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &ReplayArgs) -> Result<u8, String> {
    let file = args.recording.display().to_string();
    let text = execute::read(&args.recording, "name a recorded run")?;
    let recording = Recording::parse(&file, &text).map_err(|error| error.to_string())?;
    let make = || Run::replaying(recording.clone(), args.delays).map_err(|error| error.to_string());
    let mut replayed = replay(make()?, &recording);
    replayed.report.repro = match args.delays {
        Some(seed) => format!("sim replay {file} --delays {seed}"),
        None => format!("sim replay {file}"),
    };
    let note = note(&replayed, &recording, args.delays.is_some());
    let report = &replayed.report;
    if args.json {
        let mut json = report.json();
        if let serde_json::Value::Object(object) = &mut json {
            object.insert("recorded".into(), recording.verdict.clone().into());
            object.insert("parted".into(), replayed.parted.map(|(_, after)| after).into());
            object.insert("decisions".into(), recording.len().into());
            object.insert("carried_out".into(), replayed.carried_out.into());
        }
        print::out(&format!("{json}\n"));
    } else {
        let text = print::report(report, &execute::around(make()?, report));
        print::out(&format!("{text}{note}\n"));
    }
    Ok(replayed.exit_code())
}

impl Replayed {
    /// That of the verdict; but a run that left the recorded way proves nothing by holding.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match (self.report.verdict, self.parted) {
            (Verdict::Held, Some(_)) => Verdict::Undecided.exit_code(),
            (verdict, _) => verdict.exit_code(),
        }
    }
}

/// The last line: whether it went as recorded.
fn note(replayed: &Replayed, recording: &Recording, other_delays: bool) -> String {
    let outcome = |verdict: &str, broken: &[String]| match broken {
        [] => verdict.to_string(),
        codes => format!("{verdict} ({})", codes.join(", ")),
    };
    let then = outcome(&recording.verdict, &recording.broken);
    let Some((before, after)) = replayed.parted else {
        return format!("as recorded: {then} after {} events", recording.events);
    };
    let report = &replayed.report;
    let now = outcome(report.verdict.name(), &report.broken());
    let why = if other_delays {
        "it had other delays"
    } else {
        "the code, or what a seed means, has changed since"
    };
    format!(
        "the run left the recorded way between events {before} and {after}: {why}; {} of {} \
         decisions were carried out; then {then}, now {now}",
        replayed.carried_out,
        recording.len(),
    )
}

/// Runs to the end, and compares with what was recorded on the way.
#[must_use]
pub fn replay(mut run: Run, recording: &Recording) -> Replayed {
    let mut parted = None;
    let mut last = 0;
    let mut checkpoints = recording.checkpoints.iter();
    let mut next = checkpoints.next();
    let result = execute::caught(|| {
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
    });
    let report = match result {
        Ok(()) => run.report(),
        Err(payload) => execute::panicked(&run, &*payload),
    };
    let same = report.digest == recording.digest && report.verdict.name() == recording.verdict;
    if parted.is_none() && !same {
        parted = Some((last, recording.events.max(report.events)));
    }
    Replayed { report, parted, carried_out: run.replayed() }
}
