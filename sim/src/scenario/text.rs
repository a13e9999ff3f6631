//! Scenario text as a tree of values that remember where they stand, and the errors that say so.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the scenario file, from 1.
    Line(u32),
    /// A `--set` on the command line, by its position.
    Set(u32),
}

/// A scenario that cannot be run: one line that says where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// `file:line`, or `--set`.
    pub place: String,
    /// The dotted key; empty if the text is no TOML.
    pub key: String,
    pub what: String,
    pub cure: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { place, key, what, cure } = self;
        let mut line = format!("{place}: ");
        if !key.is_empty() {
            line.push_str(&format!("{key}: "));
        }
        line.push_str(what);
        if !cure.is_empty() {
            line.push_str(&format!("; {cure}"));
        }
        // Whatever a quoted key or a name holds: it stays one line.
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        line.chars().try_for_each(|c| f.write_char(shown(c)))
    }
}

impl std::error::Error for Error {}

/// Reads a file that a user named.
///
/// # Errors
/// Why it cannot be read; with the line, if it is no UTF-8.
pub fn read_file(path: &Path, cure: &str) -> Result<String, Error> {
    let file = path.display().to_string();
    let error = |place, what| Error { place, key: String::new(), what, cure: cure.into() };
    let bytes =
        std::fs::read(path).map_err(|e| error(file.clone(), format!("cannot be read: {e}")))?;
    String::from_utf8(bytes).map_err(|wrong| {
        let sound = &wrong.as_bytes()[..wrong.utf8_error().valid_up_to()];
        let line = 1 + sound.iter().filter(|byte| **byte == b'\n').count();
        error(format!("{file}:{line}"), "is no UTF-8 text".into())
    })
}

/// A value with the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub kind: Kind,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text(String),
    /// As written, without underscores: settings take any width.
    Integer(String),
    Boolean(bool),
    Array(Vec<Value>),
    Table(BTreeMap<String, Value>),
    /// A float or a date: no key takes one.
    Other(&'static str),
}

impl Kind {
    /// The type's name, for errors.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Text(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Boolean(_) => "a boolean",
            Kind::Array(_) => "an array",
            Kind::Table(_) => "a table",
            Kind::Other(name) => name,
        }
    }
}

/// A parsed file: its values, its name for errors, and its claim.
#[derive(Clone, Debug)]
pub struct Text {
    pub file: Arc<str>,
    pub root: Value,
    pub claim: String,
}

impl Text {
    /// Parses TOML and puts the overrides (`key=value`) in.
    ///
    /// # Errors
    /// If the text is no TOML, or an override is none.
    pub fn parse(file: &str, text: &str, overrides: &[String]) -> Result<Text, Error> {
        let lines = Lines::of(text);
        let table = DeTable::parse(text).map_err(|error| Error {
            place: match error.span() {
                Some(span) => format!("{file}:{}", lines.line(span.start)),
                None => file.to_string(),
            },
            key: String::new(),
            what: error.message().replace('\n', ", "),
            cure: "write it as TOML".into(),
        })?;
        let mut root = table_value(table.get_ref(), &lines, Place::Line(1));
        for (index, text) in overrides.iter().enumerate() {
            let place = Place::Set(u32::try_from(index).unwrap_or(u32::MAX));
            set(&mut root, text, place)?;
        }
        Ok(Text { file: file.into(), root, claim: claim(text) })
    }

    /// An error at `place`.
    #[must_use]
    pub fn error(&self, place: Place, key: &str, what: String, cure: &str) -> Error {
        let place = match place {
            Place::Line(line) => format!("{}:{line}", self.file),
            Place::Set(_) => "--set".to_string(),
        };
        Error { place, key: key.into(), what, cure: cure.into() }
    }
}

/// The first comment line: what the scenario claims.
fn claim(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("");
    first.strip_prefix('#').map(|claim| claim.trim().to_string()).unwrap_or_default()
}

/// Byte offsets of line starts.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Lines(std::iter::once(0).chain(breaks.map(|(index, _)| index + 1)).collect())
    }

    fn line(&self, offset: usize) -> u32 {
        let line = self.0.partition_point(|start| *start <= offset);
        u32::try_from(line.max(1)).unwrap_or(u32::MAX)
    }
}

fn table_value(table: &DeTable<'_>, lines: &Lines, place: Place) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let place = Place::Line(lines.line(key.span().start));
        (key.get_ref().to_string(), value_of(value.get_ref(), lines, place, value.span().start))
    });
    Value { kind: Kind::Table(entries.collect()), place }
}

fn value_of(value: &DeValue<'_>, lines: &Lines, place: Place, start: usize) -> Value {
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => {
            Kind::Integer(number.as_str().replace('_', ""))
        }
        DeValue::Integer(_) => Kind::Other("a number that is not decimal"),
        DeValue::Boolean(value) => Kind::Boolean(*value),
        DeValue::Array(items) => Kind::Array(
            items
                .iter()
                .map(|item| {
                    let place = Place::Line(lines.line(item.span().start));
                    value_of(item.get_ref(), lines, place, item.span().start)
                })
                .collect(),
        ),
        DeValue::Table(table) => {
            let header = Place::Line(lines.line(start));
            return Value { kind: table_value(table, lines, header).kind, place };
        }
        DeValue::Float(_) => Kind::Other("a float"),
        DeValue::Datetime(_) => Kind::Other("a date"),
    };
    Value { kind, place }
}

/// Puts one `key=value` in. The value is TOML if it reads as such, otherwise a plain string.
fn set(root: &mut Value, text: &str, place: Place) -> Result<(), Error> {
    let error = |key: &str, what: &str, cure: &str| Error {
        place: "--set".into(),
        key: key.into(),
        what: what.into(),
        cure: cure.into(),
    };
    let Some((key, value)) = text.split_once('=') else {
        return Err(error(text, "no value", "write --set key=value"));
    };
    let (key, value) = (key.trim(), value.trim());
    let lines = Lines::of(value);
    let kind = match DeValue::parse(value) {
        Ok(parsed) => repaint(value_of(parsed.get_ref(), &lines, place, 0), place).kind,
        Err(_) => Kind::Text(value.to_string()),
    };
    let mut at = root;
    for part in key.split('.') {
        if part.is_empty() {
            return Err(error(key, "an empty key", "name a key of the scenario, with dots"));
        }
        let next = match &mut at.kind {
            Kind::Table(table) => table
                .entry(part.to_string())
                .or_insert_with(|| Value { kind: Kind::Table(BTreeMap::new()), place }),
            Kind::Array(items) => match part.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                Some(item) => item,
                None => return Err(error(key, "no such element", "count elements from 0")),
            },
            Kind::Text(_) | Kind::Integer(_) | Kind::Boolean(_) | Kind::Other(_) => {
                return Err(error(key, "goes below a value that is no table", "use its own key"));
            }
        };
        at = next;
    }
    *at = Value { kind, place };
    Ok(())
}

/// The same value, all of it at one place.
fn repaint(value: Value, place: Place) -> Value {
    let kind = match value.kind {
        Kind::Array(items) => {
            Kind::Array(items.into_iter().map(|item| repaint(item, place)).collect())
        }
        Kind::Table(table) => {
            Kind::Table(table.into_iter().map(|(key, item)| (key, repaint(item, place))).collect())
        }
        kind @ (Kind::Text(_) | Kind::Integer(_) | Kind::Boolean(_) | Kind::Other(_)) => kind,
    };
    Value { kind, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_comment_is_the_claim() {
        assert_eq!(claim("\n# No acked record is lost.\n# More.\n"), "No acked record is lost.");
        assert_eq!(claim("[cluster]\n# not this"), "");
    }

    #[test]
    fn values_know_their_lines_and_overrides_replace_them() {
        let text = "[a]\nb = 1\n\n[a.c]\nd = \"x\"\n";
        let parsed = Text::parse("f", text, &["a.c.d=7".into(), "a.e = none".into()]).unwrap();
        let Kind::Table(root) = &parsed.root.kind else { panic!("a table") };
        let Kind::Table(a) = &root["a"].kind else { panic!("a table") };
        assert_eq!(a["b"], Value { kind: Kind::Integer("1".into()), place: Place::Line(2) });
        assert_eq!(a["e"], Value { kind: Kind::Text("none".into()), place: Place::Set(1) });
        let Kind::Table(c) = &a["c"].kind else { panic!("a table") };
        assert_eq!(c["d"], Value { kind: Kind::Integer("7".into()), place: Place::Set(0) });
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        let error = Text::parse("f.toml", "a = 1\nb =\n", &[]).unwrap_err();
        assert_eq!(error.place, "f.toml:2");
        let error = Text::parse("f.toml", "a = 1\n", &["a.b=1".into()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--set: a.b: goes below a value that is no table; use its own key"
        );
    }
}
