//! Lines that tell what happened, event by event.

use std::fmt::Write as _;

use bytes::Bytes;
use seedlog::ids::{ConnId, ProducerId};
use seedlog::machine::{Effect, Input};
use seedlog::record::{BatchHeader, records};

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

/// Connections by the space of their owner and their number in it, without the shift.
fn plain_connections(text: &str) -> String {
    const NAME: &str = "ConnId(";
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(NAME) {
        let (before, number) = rest.split_at(at + NAME.len());
        plain.push_str(before);
        let end = number.find(')').unwrap_or(number.len());
        match number[..end].parse().map(ConnId) {
            Ok(conn) => {
                let _ = write!(plain, "{}/{}", conn.space(), conn.0 & ((1 << 56) - 1));
            }
            Err(_) => plain.push_str(&number[..end]),
        }
        rest = &number[end..];
    }
    plain.push_str(rest);
    plain
}

/// Long contents cut, escaped bytes summed up: a trace is for reading.
fn shorten(text: String) -> String {
    const LIMIT: usize = 600;
    let text = plain_connections(&text);
    let mut short = String::with_capacity(text.len().min(LIMIT));
    let mut rest = text.as_str();
    while let Some(at) = rest.find("b\"") {
        let (before, bytes) = rest.split_at(at);
        short.push_str(before);
        let end = closing_quote(&bytes[2..]);
        short.push_str(&told(&bytes[2..2 + end]));
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

/// Values of a batch that are shown.
const SHOWN: usize = 3;

/// Bytes that are short text, as that.
fn plain(bytes: &Bytes) -> Option<&str> {
    const LIMIT: usize = 200;
    let text = std::str::from_utf8(bytes).ok().filter(|text| (1..LIMIT).contains(&text.len()))?;
    text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ').then_some(text)
}

/// Bytes, from their escaped form: a batch by its header and its first values, text as it is,
/// others by their length.
fn told(escaped: &str) -> String {
    let bytes = unescape(escaped);
    match BatchHeader::parse(&bytes) {
        Ok(header) => {
            let BatchHeader { base_offset, leader_epoch, .. } = header;
            let last = header.last_offset();
            let mut told = format!("<batch {base_offset}..{last} epoch {leader_epoch}");
            if header.producer_id != ProducerId::NONE {
                let BatchHeader { producer_id, producer_epoch, base_sequence, .. } = header;
                let _ = write!(told, " producer {producer_id}/{producer_epoch} #{base_sequence}");
            }
            let records = records(&bytes).unwrap_or_default();
            let values = records.iter().filter_map(|record| plain(record.value.as_ref()?));
            values.take(SHOWN).for_each(|value| told.extend([" ", value]));
            told.push('>');
            told
        }
        Err(_) => {
            plain(&bytes).map_or_else(|| format!("<{} bytes>", bytes.len()), ToOwned::to_owned)
        }
    }
}

/// The bytes that `Bytes` printed with escapes.
fn unescape(text: &str) -> Bytes {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'x') => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let hex = std::str::from_utf8(&digits).unwrap_or("0");
                bytes.push(u8::from_str_radix(hex, 16).unwrap_or(0));
            }
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'0') => bytes.push(0),
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    bytes.into()
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
        assert_eq!(shorten("Append(b\"\\0\\\"x\", 3)".into()), "Append(<3 bytes>, 3)");
        assert_eq!(shorten("Send(b\"{\\\"id\\\":1}\")".into()), "Send({\"id\":1})");
        assert!(shorten("é".repeat(900)).ends_with('…'));
    }

    #[test]
    fn connections_have_short_names() {
        let conn = ConnId::outbound(4, 7);
        assert_eq!(shorten(format!("{conn:?} {:?}", ConnId(9))), "ConnId(4/7) ConnId(0/9)");
    }
}
