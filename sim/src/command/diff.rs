//! `sim diff`: the first event at which two runs part.

use super::cli::DiffArgs;
use super::{execute, print};
use crate::run::{Format, Run, Trace};

/// Runs both in step and compares digests after every event.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &DiffArgs) -> Result<u8, String> {
    let (one, seed) = execute::load_file(&args.one, &args.set, args.seed)?;
    let mut set = args.set.clone();
    set.extend(args.other_set.iter().cloned());
    let other_seed = args.other_seed.unwrap_or(seed);
    let (other, _) = execute::load_file(&args.other, &set, Some(other_seed))?;
    let runs = (Run::new(&one, seed, true), Run::new(&other, other_seed, true));
    let parted = first_difference(runs.0, runs.1);
    let Some(event) = parted else {
        print::out("the runs are the same\n");
        return Ok(0);
    };
    print::out(&format!("the runs part at event {event}\n"));
    for (name, scenario, seed) in [("one", &one, seed), ("other", &other, other_seed)] {
        let mut run = Run::new(scenario, seed, true);
        let from = event.saturating_sub(5);
        run.watch.trace = Some(Trace::new(from, event, Format::Text, Vec::new()));
        while run.world.events() <= event && run.step() {}
        let lines = run.watch.trace.take().map(|trace| trace.lines).unwrap_or_default();
        print::out(&format!("\n{name}:\n"));
        for line in lines {
            print::out(&format!("  {line}\n"));
        }
    }
    Ok(1)
}

/// The number of events after which the digests of two runs differ; none if they never do.
#[must_use]
pub fn first_difference(mut one: Run, mut other: Run) -> Option<u64> {
    loop {
        let more = (one.step(), other.step());
        let same = one.world.digest() == other.world.digest()
            && one.world.events() == other.world.events()
            && more.0 == more.1;
        if !same {
            return Some(one.world.events().min(other.world.events()));
        }
        if !more.0 {
            return None;
        }
    }
}
