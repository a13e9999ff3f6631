//! The command `sim`.

mod bench;
mod cli;
mod diff;
mod execute;
mod print;
mod replay;
mod report;
mod sweep;
mod trace;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use diff::first_difference;
pub use execute::{execute, load, record};
pub use replay::{Replayed, replay};

use cli::{Cli, Command};

/// Exit code of a wrong command line or a bad scenario.
pub const USAGE: u8 = 2;

/// Runs the command line; gives the process's exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let missing = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            if !error.use_stderr() || error.kind() == missing {
                let _ = error.print();
                return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
            }
            eprintln!("sim: {}", one_line(&error.to_string()));
            return ExitCode::from(USAGE);
        }
    };
    execute::catch_panics();
    let result = match cli.command {
        Command::Run(args) => execute::command(&args),
        Command::Sweep(args) => sweep::command(&args),
        Command::Trace(args) => trace::command(&args),
        Command::Diff(args) => diff::command(&args),
        Command::Replay(args) => replay::command(&args),
        Command::Bench(args) => bench::command(&args),
        Command::Report(args) => report::command(&args),
        Command::Script => {
            print::out(SCRIPT_HELP);
            Ok(0)
        }
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("sim: {message}");
            ExitCode::from(USAGE)
        }
    }
}

/// A mistake on the command line, in one line: what clap says before its usage.
fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let said = text.split("\n\nUsage:").next().unwrap_or(text);
    let said = said.split("\n\nFor more information").next().unwrap_or(said);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The language of scenarios and scripts, as the documentation of [`crate::scenario`] tells it.
const SCRIPT_HELP: &str = include_str!("../scenario/language.md");
