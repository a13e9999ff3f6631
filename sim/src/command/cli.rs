//! The command line's words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A deterministic simulator for seedlog: runs scenarios under seeded faults and checks promises.
///
/// Exit codes: 0 held; 1 violated; 2 usage or bad scenario; 3 undecided; 101 a panic, which is a
/// finding with its seed.
#[derive(Parser, Debug)]
#[command(name = "sim", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Runs a scenario once.
    #[command(after_help = "The language of scenarios and their scripts: `sim script`.")]
    Run(RunArgs),
    /// Runs scenarios over many seeds.
    Sweep(SweepArgs),
    /// Prints what happens in a run, event by event.
    Trace(TraceArgs),
    /// Finds the first event at which two runs part.
    Diff(DiffArgs),
    /// Carries out a recorded run again.
    ///
    /// The recording holds every fault and every send with its time, what the network did to which
    /// message (by link, API and occurrence), what failing disks kept, how wrong clocks were, and
    /// who healed. The usual delays of links and disks, and what processes draw themselves
    /// (back-off, election time-outs, ids), come from the seed that stands in it.
    ///
    /// Exit codes: as `run` if the run goes as recorded. If it does not, one line says between
    /// which events it left the recorded way, and the code is 1 if it is violated, 101 if it
    /// panics, and otherwise 3: it proves nothing.
    Replay(ReplayArgs),
    /// Measures events per second of the bare loop and of whole clusters, and the cost of forks.
    Bench(BenchArgs),
    /// Writes the pages under `reports/`, or with --check compares them with what is checked in.
    Report(ReportArgs),
    /// Explains the language of scenarios and their scripts.
    Script,
}

/// Which run.
#[derive(Args, Debug, Clone)]
pub struct Which {
    /// A scenario file.
    pub scenario: PathBuf,
    /// The seed; otherwise the one that the scenario names.
    #[arg(long, value_parser = number, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Overrides a key of the scenario: `--set workload.keys=3`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub which: Which,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Writes the run's decisions to a file for `sim replay`.
    #[arg(long, value_name = "FILE", conflicts_with = "no_checks")]
    pub record: Option<PathBuf>,
    /// Runs without checkers, for measurements.
    #[arg(long)]
    pub no_checks: bool,
}

#[derive(Args, Debug)]
pub struct SweepArgs {
    /// Scenario files.
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// First seed and the one after the last: `0..200`.
    #[arg(long, default_value = "0..10", value_parser = seeds, allow_hyphen_values = true)]
    pub seeds: Seeds,
    /// Overrides a key of every scenario.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Threads; otherwise one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Runs only the I-th of N parts, from 1: `2/8`.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Prints one JSON object per run.
    #[arg(long)]
    pub json: bool,
    /// Writes a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Ends with the first run that is not held.
    #[arg(long)]
    pub fail_fast: bool,
}

#[derive(Args, Debug)]
pub struct TraceArgs {
    #[command(flatten)]
    pub which: Which,
    #[arg(long, default_value = "text")]
    pub format: TraceFormat,
    /// The first event.
    #[arg(long, default_value_t = 0, value_parser = number, allow_hyphen_values = true)]
    pub from: u64,
    /// The last event.
    #[arg(long, default_value_t = u64::MAX, value_parser = number, allow_hyphen_values = true)]
    pub to: u64,
    /// Only what happens to these processes: `--only b1,c2`.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Only workloads whose name contains one of these.
    pub workloads: Vec<String>,
    /// Prints one JSON object per workload.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Writes nothing; exit code 1 if a page differs.
    #[arg(long)]
    pub check: bool,
    /// The folder of the scenarios; the zoo's are in `zoo` below it.
    #[arg(long, value_name = "DIR", default_value = "scenarios")]
    pub scenarios: PathBuf,
    /// The folder of the pages.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub reports: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TraceFormat {
    Text,
    Jsonl,
}

#[derive(Args, Debug)]
pub struct DiffArgs {
    /// One scenario.
    pub one: PathBuf,
    /// The other; may be the same file.
    pub other: PathBuf,
    /// The seed of the first run; otherwise the scenario's own.
    #[arg(long, value_parser = number, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// The seed of the second run; otherwise that of the first.
    #[arg(long, value_parser = number, allow_hyphen_values = true)]
    pub other_seed: Option<u64>,
    /// Overrides a key of both scenarios.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Overrides a key of the second scenario only.
    #[arg(long = "other-set", value_name = "KEY=VALUE")]
    pub other_set: Vec<String>,
}

#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// A file that `sim run --record` wrote.
    pub recording: PathBuf,
    /// Draws the usual delays from another seed: the same faults with another timing.
    #[arg(long, value_name = "SEED", value_parser = number, allow_hyphen_values = true)]
    pub delays: Option<u64>,
    /// Prints one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Seeds from `first` up to `end`, excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    pub first: u64,
    pub end: u64,
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}", u64::MAX))
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || format!("{text:?} is no range of seeds: write 0..200");
    let (first, end) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let seeds = Seeds { first: number(first)?, end: number(end)? };
    if seeds.first < seeds.end { Ok(seeds) } else { Err(wrong()) }
}

/// The `index`-th of `count` parts, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub index: u64,
    pub count: u64,
}

fn shard(text: &str) -> Result<Shard, String> {
    let wrong = || format!("{text:?} names no part: write 1/8");
    let (index, count) = text.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let (index, count) = (number(index)?, number(count)?);
    if (1..=count).contains(&index) { Ok(Shard { index: index - 1, count }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_shards_read_or_say_how_to_write_them() {
        assert_eq!(seeds("0..200"), Ok(Seeds { first: 0, end: 200 }));
        assert!(seeds("5..5").is_err());
        assert!(seeds("x").unwrap_err().contains("0..200"));
        assert_eq!(shard("2/8"), Ok(Shard { index: 1, count: 8 }));
        assert!(shard("0/8").is_err());
        assert!(shard("9/8").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
