//! The house rules that no compiler checks.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the house fails")]

use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_LINE: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder with that ending, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    ["src", "sim", "runtime", "tests"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn report(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Functions longer than the limit, by their opening line and the brace that closes them.
fn long_functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let mut words = code.split_whitespace();
        let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async"];
        if words.find(|word| !modifiers.contains(word)) != Some("fn") {
            continue;
        }
        // A declaration without a body is none.
        let opening = lines[index..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if !opening.is_some_and(|line| line.ends_with('{')) {
            continue;
        }
        let indent = line.len() - code.len();
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[index..].iter().position(|line| *line == close).map_or(0, |at| at + 1);
        if length > MAX_FUNCTION_LINES {
            found.push((index + 1, length));
        }
    }
    found
}

#[test]
fn files_functions_and_lines_stay_short() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES {
            broken.push(format!("{name}: {lines} lines"));
        }
        for (line, length) in long_functions(&text) {
            broken.push(format!("{name}:{line}: a function of {length} lines"));
        }
        for (index, line) in text.lines().enumerate() {
            // A message to the user is not broken over lines.
            let columns = line.chars().count();
            if columns > MAX_LINE && !line.contains('"') {
                broken.push(format!("{name}:{}: {columns} columns", index + 1));
            }
        }
    }
    report("split by concern", &broken);
}

#[test]
fn nothing_is_left_unfinished() {
    let marks =
        ["TO_DO", "FIX_ME", "todo_!(", "unimplemented_!("].map(|mark| mark.replace('_', ""));
    let mut broken = Vec::new();
    for (name, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                broken.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    report("finish it or file it", &broken);
}

/// What every room may use.
const GROUND: &[&str] = &[
    "time", "rng", "ids", "error", "defect", "config", "event", "machine", "op", "channel",
    "format", "message",
];

/// The core's rooms above the ground, and the rooms that each may use beside the ground and itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("metadata", &["record"]),
    ("log", &["record"]),
    ("replica", &["record", "log", "metadata"]),
    ("raft", &["record", "log"]),
    ("coordinator", &["record", "log", "raft", "metadata"]),
    ("controller", &["record", "log", "metadata", "raft", "coordinator"]),
    ("broker", &["record", "log", "metadata", "replica", "raft", "coordinator"]),
    ("client", &["record"]),
];

/// The room that a `crate::room::..` path in a line names, for each such path.
fn rooms_used(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        rest[end..].starts_with("::").then_some(&rest[..end])
    })
}

fn may_use(room: &str, used: &str) -> bool {
    if GROUND.contains(&used) || used == room {
        return true;
    }
    // The ground's only look upward: what a metadata request carries.
    let below = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, below)| *below);
    below.is_some_and(|below| below.contains(&used))
}

#[test]
fn no_room_imports_upward_or_sideways() {
    let mut broken = Vec::new();
    for path in files("src", "rs") {
        let name = path.strip_prefix(root().join("src")).unwrap().display().to_string();
        let room = name.split(['/', '.']).next().unwrap();
        if room == "lib" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            for used in rooms_used(line).filter(|used| !may_use(room, used)) {
                broken.push(format!("src/{name}:{}: {room} uses {used}", index + 1));
            }
        }
    }
    report("import downward only", &broken);
}

#[test]
fn every_scenario_begins_with_its_claim_and_is_run_by_a_test() {
    let tests: String =
        files("tests", "rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let mut broken = Vec::new();
    for path in files("scenarios", "toml") {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        if !text.lines().next().is_some_and(|line| line.starts_with("# ") && line.len() > 20) {
            broken.push(format!("{name}: the first line is a comment that states the claim"));
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if !name.contains("zoo/") && !tests.contains(&format!("\"{stem}\"")) {
            broken.push(format!("{name}: no test in tests/ names it"));
        }
    }
    report("a scenario is a claim that a test runs", &broken);
}

#[test]
fn the_rules_themselves_can_fail() {
    let long =
        format!("pub const fn long() {{\n{}}}\n", "    step();\n".repeat(MAX_FUNCTION_LINES));
    assert_eq!(long_functions(&long), [(1, MAX_FUNCTION_LINES + 2)]);
    let used: Vec<&str> = rooms_used("use crate::broker::Broker; crate::time::Now").collect();
    assert_eq!(used, ["broker", "time"]);
    assert!(may_use("broker", "replica"));
    assert!(!may_use("replica", "broker"));
    assert!(!may_use("broker", "controller"));
    assert!(!may_use("time", "log"));
}
