//! What a user may say from outside of a test, and the command that makes its run again.

use std::fmt::Write as _;
use std::path::Path;

/// A word of the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is a word of the user, no part of a run"
)]
pub(super) fn word(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The command that runs the calling test again, and no other, with that seed alone.
#[expect(
    clippy::disallowed_methods,
    reason = "where a test runs is a word of the user, no part of a run"
)]
pub(super) fn again(seed: u64) -> String {
    let program = std::env::current_exe().ok();
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main");
    command(seed, word("CARGO_PKG_NAME").as_deref(), program.as_deref(), test)
}

pub(super) fn command(
    seed: u64,
    package: Option<&str>,
    program: Option<&Path>,
    test: Option<&str>,
) -> String {
    let mut text = format!("SEED={seed} cargo test");
    if let Some(package) = package {
        let _ = write!(text, " -p {package}");
    }
    let is_example = |program: &&Path| {
        program.parent().and_then(Path::file_name).is_some_and(|folder| folder == "examples")
    };
    let stem = program.filter(is_example).and_then(Path::file_stem).and_then(|stem| stem.to_str());
    // Cargo adds a hash.
    if let Some((example, _)) = stem.and_then(|stem| stem.rsplit_once('-')) {
        let _ = write!(text, " --example {example}");
    }
    if let Some(test) = test {
        let _ = write!(text, " {test} -- --exact");
    }
    text
}
