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

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use diff::first_difference;
pub use execute::{around, caught, execute, finish, load, record};
pub use print::{out as print_out, report as print_report};
pub use replay::{Replayed, replay};
pub use trace::trace;

use cli::{Cli, Command};

/// Exit code of a wrong command line or a bad scenario.
pub const USAGE: u8 = 2;

/// Runs the command line; gives the process's exit code.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the command line comes in")]
pub fn main() -> ExitCode {
    match run(std::env::args_os()) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            eprintln!("sim: {message}");
            ExitCode::from(USAGE)
        }
    }
}

/// Runs a command line, whose first word is the program's own name.
///
/// # Errors
/// One line for the user: what is wrong with the command line, or with what it names.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<u8, String> {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let missing = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            if !error.use_stderr() || error.kind() == missing {
                let _ = error.print();
                return Ok(if error.use_stderr() { USAGE } else { 0 });
            }
            return Err(one_line(&error.to_string()));
        }
    };
    match cli.command {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of its own for a test.
    #[expect(clippy::disallowed_methods, reason = "a test needs a place for its files")]
    fn file(name: &str, content: &[u8]) -> String {
        let path = std::env::temp_dir().join(format!("sim-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("there is a place for temporary files");
        path.display().to_string()
    }

    fn said(line: &str) -> Result<u8, String> {
        run(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        let good = file("good.toml", b"# A claim.\n");
        let bytes = file("bytes.toml", b"# A claim.\nseed = 1\n# \xff\n");
        let empty = file("empty.toml", b" \n");
        let (folder, _) = good.rsplit_once('/').expect("a file lies in a folder");
        let seed = "write a whole number from 0 to 18446744073709551615";
        let table = [
            (
                format!("run {good} --seed -1"),
                format!("invalid value '-1' for '--seed <SEED>': {seed}"),
            ),
            (
                format!("run {good} --seed x"),
                format!("invalid value 'x' for '--seed <SEED>': {seed}"),
            ),
            (format!("run {bytes}"), format!("{bytes}:3: is no UTF-8 text; name a scenario file")),
            (
                format!("run {empty}"),
                format!("{empty}: says nothing; begin with a comment that states its claim"),
            ),
            (
                format!("run {folder}"),
                format!(
                    "{folder}: cannot be read: Is a directory (os error 21); name a scenario file"
                ),
            ),
            (
                format!("run {good} --set seed=x"),
                "--set: seed: expected a whole number from 0 to 18446744073709551615, found \"x\""
                    .into(),
            ),
            (
                format!("run {good} --set defects=truncate-to"),
                "--set: defects: unknown defect \"truncate-to\"; did you mean \"truncate-to-hw\"?"
                    .into(),
            ),
            (
                format!("run {good} --record {folder}/none/such.toml"),
                format!(
                    "{folder}/none/such.toml: cannot be written: No such file or directory (os \
                     error 2); name a file in a folder of yours"
                ),
            ),
            (
                format!("trace {good} --only b1,b9"),
                "--only: there is no \"b9\"; one of: b1, b2, b3, c1, c2, c3, p1, k1, a1".into(),
            ),
            (
                format!("trace {good} --from 9 --to 3"),
                "--from 9 is after --to 3: nothing to print".into(),
            ),
            (format!("replay {good}"), format!("{good}:1: file: is missing; record the run again")),
            (
                format!("sweep {good} --seeds 5..5"),
                "invalid value '5..5' for '--seeds <SEEDS>': \"5..5\" is no range of seeds: write \
                 0..200"
                    .into(),
            ),
        ];
        for (line, expected) in table {
            assert_eq!(said(&format!("sim {line}")), Err(expected), "{line}");
        }
    }

    #[test]
    fn an_application_that_is_wrong_is_told_in_one_line() {
        let app = file("app.toml", b"# A claim.\n[[app]]\nkind = \"copi\"\n");
        let what = "app[0].kind: unknown kind of application \"copi\"; did you mean \"copy\"?";
        assert_eq!(said(&format!("sim run {app}")), Err(format!("{app}:3: {what}")));
    }

    #[test]
    fn an_unknown_key_or_defect_is_answered_with_those_there_are() {
        let good = file("known.toml", b"# A claim.\n");
        for (set, known) in [("nokey=1", "workload"), ("defects=foo", "truncate-to-hw")] {
            let message = said(&format!("sim run {good} --set {set}")).expect_err("it is unknown");
            assert!(message.contains("one of: "), "{message}");
            assert!(message.contains(known), "{message}");
        }
    }
}
