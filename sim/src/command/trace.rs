//! `sim trace`

use super::cli::{TraceArgs, TraceFormat};
use super::{execute, print};
use crate::run::{Format, Report, Run, Trace};

/// Prints lines as the run makes them.
///
/// # Errors
/// The line to show to the user.
pub fn command(args: &TraceArgs) -> Result<u8, String> {
    let (scenario, seed) = execute::load(&args.which)?;
    if args.from > args.to {
        return Err(format!("--from {} is after --to {}: nothing to print", args.from, args.to));
    }
    let mut run = Run::new(&scenario, seed, true);
    if let Some(unknown) = args.only.iter().find(|name| run.world.find(name).is_none()) {
        let known: Vec<String> =
            run.cluster.everybody().map(|process| run.cluster.who(process).to_string()).collect();
        return Err(format!("--only: there is no {unknown:?}; one of: {}", known.join(", ")));
    }
    let format = match args.format {
        TraceFormat::Text => Format::Text,
        TraceFormat::Jsonl => Format::Jsonl,
    };
    run.watch.trace = Some(Trace::new(args.from, args.to, format, args.only.clone()));
    let report = trace(run, args.to, print::out);
    Ok(report.verdict.exit_code())
}

/// Runs on to an event, or to the end, and writes what the run's trace says of it, and then what
/// was found.
pub fn trace(mut run: Run, to: u64, mut write: impl FnMut(&str)) -> Report {
    let result = execute::caught(|| {
        while run.world.events() <= to && run.step() {
            drain(&mut run, &mut write);
        }
    });
    drain(&mut run, &mut write);
    let report = match result {
        Ok(()) => run.report(),
        Err(payload) => execute::panicked(&run, &*payload),
    };
    for finding in &report.findings {
        write(&format!("{} {}: {}\n", finding.code, finding.name, finding.detail));
    }
    report
}

fn drain(run: &mut Run, write: &mut impl FnMut(&str)) {
    if let Some(trace) = &mut run.watch.trace
        && !trace.lines.is_empty()
    {
        let mut text = trace.lines.join("\n");
        text.push('\n');
        trace.lines.clear();
        write(&text);
    }
}
