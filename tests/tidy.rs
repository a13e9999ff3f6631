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

/// Rust text with comments and the insides of literals blanked out, and the literals that begin and
/// end on one line: their line (from 0) and their length, quotes included.
struct Code {
    text: String,
    literals: Vec<(usize, usize)>,
}

impl Code {
    fn of(text: &str) -> Self {
        let source: Vec<char> = text.chars().collect();
        let mut code = Code { text: String::new(), literals: Vec::new() };
        let mut at = 0;
        while at < source.len() {
            let rest = &source[at..];
            let end = match rest {
                ['/', '/', ..] => rest.iter().position(|c| *c == '\n'),
                ['/', '*', ..] => comment_end(rest),
                ['"', ..] => string_end(rest),
                ['r', '"' | '#', ..] if !is_name(source.get(at.wrapping_sub(1))) => raw_end(rest),
                ['\'', '\\', _, ..] => rest.iter().skip(3).position(|c| *c == '\'').map(|n| n + 4),
                ['\'', _, '\'', ..] => Some(3),
                _ => Some(0),
            };
            let end = at + end.unwrap_or(rest.len());
            if end == at {
                code.text.push(source[at]);
                at += 1;
                continue;
            }
            let is_literal = !matches!(source[at], '/' | '\'');
            if is_literal && !source[at..end].contains(&'\n') {
                code.literals.push((code.text.matches('\n').count(), end - at));
            }
            code.text.extend(source[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
        code
    }

    /// The longest literal that begins and ends on that line (from 0).
    fn longest_literal(&self, line: usize) -> usize {
        let here = self.literals.iter().filter(|(at, _)| *at == line);
        here.map(|(_, length)| *length).max().unwrap_or(0)
    }
}

fn is_name(c: Option<&char>) -> bool {
    c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
}

fn comment_end(rest: &[char]) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn string_end(rest: &[char]) -> Option<usize> {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The end of a raw string; 0 if it is none (`r#type`).
fn raw_end(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return Some(0);
    }
    let mut close = vec!['#'; hashes + 1];
    close[0] = '"';
    let inside = &rest[2 + hashes..];
    let at = inside.windows(close.len()).position(|window| *window == close[..])?;
    Some(2 + hashes + at + close.len())
}

/// Functions that are too long, by their opening line and the brace that closes them; or whose end
/// is not found.
fn long_functions(text: &str) -> Vec<(usize, Option<usize>)> {
    let code = Code::of(text).text;
    let lines: Vec<&str> = code.lines().map(str::trim_end).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let mut words = code.split_whitespace();
        let modifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
        if words.find(|word| !modifiers.contains(word)) != Some("fn") {
            continue;
        }
        // A declaration without a body is none; one that does not end would hide what follows.
        let opening = lines[index..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if opening.is_some_and(|line| !line.ends_with('{')) {
            continue;
        }
        let indent = line.len() - code.len();
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[index..].iter().position(|line| *line == close).map(|at| at + 1);
        if length.is_none_or(|length| length > MAX_FUNCTION_LINES) {
            found.push((index + 1, length));
        }
    }
    found
}

/// Lines that are too long (from 1, with their columns), but for those that a single literal makes
/// so: one that would not fit on a line of its own either.
fn long_lines(text: &str) -> Vec<(usize, usize)> {
    let code = Code::of(text);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        let indent = columns - line.trim_start().chars().count();
        if columns > MAX_LINE && indent + code.longest_literal(index) < MAX_LINE {
            found.push((index + 1, columns));
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
            broken.push(match length {
                Some(length) => format!("{name}:{line}: a function of {length} lines"),
                None => format!("{name}:{line}: a function whose closing brace is not found"),
            });
        }
        for (line, columns) in long_lines(&text) {
            broken.push(format!("{name}:{line}: {columns} columns"));
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
    ("client", &["record", "coordinator"]),
];

/// The rooms that a file names, with the line (from 1): by `crate::room`, alone or in a group, in
/// imports and in bodies; and by a chain of `super::` that leads up to the crate. `depth` is how
/// deep the file's own module lies.
fn rooms_used(text: &str, depth: usize) -> Vec<(usize, String)> {
    let code = Code::of(text).text;
    let mut found = Vec::new();
    for word in ["crate::", "super::"] {
        for (at, _) in code.match_indices(word) {
            let before = code[..at].chars().next_back();
            let is_first = !is_name(before.as_ref()) && !code[..at].ends_with("super::");
            let rest = code[at..].trim_start_matches("super::");
            let climbed = (code[at..].len() - rest.len()) / word.len();
            let is_root = match word {
                "crate::" => true,
                _ => climbed >= depth + modules_around(&code[..at]),
            };
            if is_first && is_root {
                let line = code[..at].matches('\n').count() + 1;
                let named = names(rest.trim_start_matches("crate::"));
                found.extend(named.into_iter().map(|room| (line, room)));
            }
        }
    }
    found.sort();
    found
}

/// How many modules of the file itself are open at its end.
fn modules_around(code: &str) -> usize {
    let mut open = Vec::new();
    for (at, c) in code.char_indices() {
        match c {
            '{' => {
                let mut words = code[..at].split_whitespace().rev();
                open.push(words.nth(1) == Some("mod"));
            }
            '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().filter(|is_module| *is_module).count()
}

/// The first names of a path, or of each path in a group.
fn names(path: &str) -> Vec<String> {
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        return vec![path.chars().take_while(|c| is_name(Some(c))).collect()];
    };
    let mut depth = 1;
    let mut entries = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => entries.push(String::new()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        entries.last_mut().unwrap().push(c);
    }
    let first = |entry: &String| names(entry.trim_start_matches([',', ' ', '\n'])).pop().unwrap();
    entries.iter().map(first).filter(|name| !name.is_empty()).collect()
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
        let steps = name.trim_end_matches("/mod.rs").trim_end_matches(".rs").split('/').count();
        for (line, used) in rooms_used(&text, steps) {
            if !may_use(room, &used) {
                broken.push(format!("src/{name}:{line}: {room} uses {used}"));
            }
        }
    }
    report("import downward only", &broken);
}

/// Whether a file may use what `.clippy.toml` forbids: the command line, benchmarks, and all of the
/// runtime, which is the real world.
fn may_be_exempt(name: &str) -> bool {
    let rooms = ["sim/src/command/", "sim/src/bench/", "sim/src/door/", "runtime/"];
    rooms.iter().any(|room| name.starts_with(room))
}

#[test]
fn the_environment_is_looked_at_by_the_command_line_only() {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        let code = Code::of(&text).text;
        let exempt = code.lines().position(|line| line.contains("clippy::disallowed_"));
        if let Some(line) = exempt.filter(|_| !may_be_exempt(&name)) {
            broken.push(format!("{name}:{}", line + 1));
        }
    }
    report("no exemption from determinism here", &broken);
    assert!(may_be_exempt("sim/src/command/sweep.rs"));
    assert!(!may_be_exempt("sim/src/world/mod.rs") && !may_be_exempt("src/rng.rs"));
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
fn a_long_function_is_found_and_so_is_one_without_an_end() {
    let long =
        format!("pub const fn long() {{\n{}}}\n", "    step();\n".repeat(MAX_FUNCTION_LINES));
    assert_eq!(long_functions(&long), [(1, Some(MAX_FUNCTION_LINES + 2))]);
    assert_eq!(long_functions("fn short() {\n    step();\n}\n"), []);
    assert_eq!(long_functions("trait T {\n    fn declared(&self) -> u8;\n}\n"), []);
    assert_eq!(long_functions("fn crooked() {\n    step();\n  }\n"), [(1, None)]);
    assert_eq!(long_functions("fn open(\n    a: u8,\n"), [(1, None)]);
    assert_eq!(long_functions("fn text() {\n    let a = \"\n}\n\";\n  }\n"), [(1, None)]);
}

#[test]
fn a_long_line_is_found_unless_one_literal_makes_it_long() {
    let word = "x".repeat(MAX_LINE);
    assert_eq!(long_lines(&format!("let {word} = 1;")), [(1, MAX_LINE + 9)]);
    assert_eq!(long_lines(&format!("// {word}\n")), [(1, MAX_LINE + 3)]);
    assert_eq!(long_lines(&format!("say(\"{word}\");")), []);
    assert_eq!(long_lines(&format!("say(r#\"{word}\"#);")), []);
    let half = &word[..60];
    assert_eq!(long_lines(&format!("say(\"{half}\", \"{half}\");")), [(1, 132)]);
    assert_eq!(long_lines(&format!("{half}{half}(\"a\"); // \"{half}\"")), [(1, 192)]);
    assert_eq!(long_lines(&format!("{half}{half}('\"', '\"');")), [(1, 131)]);
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    let used = |text: &str| -> Vec<String> {
        rooms_used(text, 2).into_iter().map(|(_, room)| room).collect()
    };
    assert_eq!(used("use crate::broker::Broker;"), ["broker"]);
    assert_eq!(used("use crate::broker;"), ["broker"]);
    assert_eq!(used("use crate::broker as other;"), ["broker"]);
    let group = "use crate::{\n    broker,\n    log::{Log, read::Read},\n    time::Now,\n};";
    assert_eq!(used(group), ["broker", "log", "time"]);
    assert_eq!(
        used("fn f() { crate::broker::serve(); g(crate::client::new) }"),
        ["broker", "client"]
    );
    assert_eq!(used("use super::super::broker;"), ["broker"]);
    assert_eq!(used("use super::broker;"), [""; 0]);
    assert_eq!(
        used("mod tests {\n    use super::super::super::{client, log};\n}"),
        ["client", "log"]
    );
    assert_eq!(used("mod tests {\n    use super::super::broker;\n}"), [""; 0]);
    assert_eq!(used("/// As [`crate::broker`] says.\nlet a = \"crate::client\";"), [""; 0]);
    assert_eq!(rooms_used("\n\nuse crate::broker;", 1), [(3, "broker".to_owned())]);
}

#[test]
fn direction_is_downward() {
    assert!(may_use("broker", "replica"));
    assert!(!may_use("replica", "broker"));
    assert!(!may_use("broker", "controller"));
    assert!(!may_use("time", "log"));
}
