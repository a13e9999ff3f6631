//! Lines that tell what happened, event by event.

use std::fmt::Write as _;

use seedlog::machine::{Effect, Input};

use crate::cluster::Process;
use crate::world::{Lifecycle, ProcessId, World};

/// Collects lines of the events from `from` to `to`.
#[derive(Clone, Debug)]
pub struct Trace {
    pub from: u64,
    pub to: u64,
    pub format: Format,
    /// Only what happens to these processes; empty: to all.
    pub only: Vec<String>,
    pub lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Jsonl,
}

impl Trace {
    #[must_use]
    pub fn new(from: u64, to: u64, format: Format, only: Vec<String>) -> Self {
        Trace { from, to, format, only, lines: Vec::new() }
    }

    fn wants(&self, world: &World<Process>, process: ProcessId) -> bool {
        (self.from..=self.to).contains(&world.events())
            && (self.only.is_empty()
                || self.only.iter().any(|name| **name == **world.name(process)))
    }

    pub fn delivered(&mut self, world: &World<Process>, process: ProcessId, input: &Input) {
        if self.wants(world, process) {
            self.line(world, process, "input", &shorten(format!("{input:?}")));
        }
    }

    pub fn effects(&mut self, world: &World<Process>, process: ProcessId, effects: &[Effect]) {
        if self.wants(world, process) {
            for effect in effects {
                self.line(world, process, "effect", &shorten(format!("{effect:?}")));
            }
        }
    }

    pub fn lifecycle(&mut self, world: &World<Process>, process: ProcessId, change: Lifecycle) {
        if self.wants(world, process) {
            self.line(world, process, "process", &format!("{change:?}"));
        }
    }

    /// A fault or a script's action.
    pub fn action(&mut self, world: &World<Process>, what: &str) {
        if (self.from..=self.to).contains(&world.events()) {
            let name = "run";
            self.push(world, name, "action", what);
        }
    }

    fn line(&mut self, world: &World<Process>, process: ProcessId, kind: &str, what: &str) {
        let name = world.name(process).to_string();
        self.push(world, &name, kind, what);
    }

    fn push(&mut self, world: &World<Process>, name: &str, kind: &str, what: &str) {
        let nanos = world.now().as_nanos();
        let event = world.events();
        let line = match self.format {
            Format::Text => {
                let mark = match kind {
                    "input" => ">",
                    "effect" => "    <",
                    _ => "!",
                };
                let (s, us) = (nanos / 1_000_000_000, nanos / 1_000 % 1_000_000);
                format!("{event:>8} {s:>4}.{us:06} {name:<4} {mark} {what}")
            }
            Format::Jsonl => serde_json::json!({
                "event": event, "ns": nanos, "process": name, "kind": kind, "what": what,
            })
            .to_string(),
        };
        self.lines.push(line);
    }
}

/// Long contents cut, escaped bytes summed up: a trace is for reading.
fn shorten(text: String) -> String {
    const LIMIT: usize = 600;
    let mut short = String::with_capacity(text.len().min(LIMIT));
    let mut rest = text.as_str();
    while let Some(at) = rest.find("b\"") {
        let (before, bytes) = rest.split_at(at);
        short.push_str(before);
        let end = closing_quote(&bytes[2..]);
        let _ = write!(short, "<{end} chars>");
        rest = bytes.get(2 + end + 1..).unwrap_or("");
    }
    short.push_str(rest);
    if short.len() > LIMIT {
        let cut = (0..=LIMIT).rev().find(|at| short.is_char_boundary(*at)).unwrap_or(0);
        short.truncate(cut);
        short.push('…');
    }
    short
}

/// Where an escaped string ends.
fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return index,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_summed_up_and_long_lines_cut() {
        assert_eq!(shorten("Append(b\"\\0\\\"x\", 3)".into()), "Append(<5 chars>, 3)");
        assert!(shorten("é".repeat(900)).ends_with('…'));
    }
}
