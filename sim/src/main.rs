//! The command `sim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    seedlog_sim::command::main()
}
