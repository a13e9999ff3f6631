//! Reads typed values out of scenario text: each key once, unknown keys are errors.

use std::collections::BTreeMap;

use super::text::{Error, Kind, Place, Text, Value};
use super::value::{Range, Ratio, Span, parse_duration};
pub use seedlog::config::suggestion;
use seedlog::time::Duration;

/// A table that is being read. Every key that it takes is crossed off; [`Table::end`] refuses the
/// rest.
pub struct Table<'t> {
    text: &'t Text,
    path: String,
    place: Place,
    entries: BTreeMap<&'t str, &'t Value>,
    known: Vec<&'static str>,
}

/// What a value has to be, and how to read it.
type Reader<'r, T> = &'r dyn Fn(&Kind) -> Result<T, String>;

impl<'t> Table<'t> {
    /// The whole file.
    #[must_use]
    pub fn root(text: &'t Text) -> Self {
        let Kind::Table(table) = &text.root.kind else { panic!("the root of TOML is a table") };
        let entries = table.iter().map(|(key, value)| (key.as_str(), value)).collect();
        Table { text, path: String::new(), place: text.root.place, entries, known: Vec::new() }
    }

    fn of(text: &'t Text, path: String, value: &'t Value) -> Result<Self, Error> {
        let Kind::Table(table) = &value.kind else {
            let what = format!("expected a table, found {}", value.kind.name());
            return Err(text.error(value.place, &path, what, "open it with [..]"));
        };
        let entries = table.iter().map(|(key, value)| (key.as_str(), value)).collect();
        Ok(Table { text, path, place: value.place, entries, known: Vec::new() })
    }

    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Where a key of this table stands, or the table itself if it has none such.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        self.entries.get(key).map_or(self.place, |value| value.place)
    }

    /// Makes errors about full names in the same text.
    #[must_use]
    pub fn nameless(&self) -> Table<'t> {
        Table {
            text: self.text,
            path: String::new(),
            place: self.place,
            entries: BTreeMap::new(),
            known: Vec::new(),
        }
    }

    /// The dotted name of a key of this table.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_string(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }

    /// An error about `key` of this table, at the key's own line if it is there.
    #[must_use]
    pub fn error(&self, key: &str, at: Place, what: impl Into<String>, cure: &str) -> Error {
        self.text.error(at, &self.name(key), what.into(), cure)
    }

    /// Takes a raw value.
    pub fn take(&mut self, key: &'static str) -> Option<&'t Value> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn read<T>(&mut self, key: &'static str, read: Reader<'_, T>) -> Result<Option<T>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match read(&value.kind) {
            Ok(read) => Ok(Some(read)),
            Err(expected) => {
                let what = format!("expected {expected}, found {}", shown(&value.kind));
                Err(self.error(key, value.place, what, ""))
            }
        }
    }

    /// # Errors
    /// If the value is there and no whole number in `low..=high`.
    pub fn number(&mut self, key: &'static str, low: u64, high: u64) -> Result<Option<u64>, Error> {
        self.read(key, &|kind| match kind {
            Kind::Integer(digits) => digits
                .parse::<u64>()
                .ok()
                .filter(|number| (low..=high).contains(number))
                .ok_or_else(|| format!("a whole number from {low} to {high}")),
            Kind::Text(_) | Kind::Boolean(_) | Kind::Array(_) | Kind::Table(_) | Kind::Other(_) => {
                Err(format!("a whole number from {low} to {high}"))
            }
        })
    }

    /// # Errors
    /// If the value is there and not true or false.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, Error> {
        self.read(key, &|kind| match kind {
            Kind::Boolean(value) => Ok(*value),
            Kind::Text(_) | Kind::Integer(_) | Kind::Array(_) | Kind::Table(_) | Kind::Other(_) => {
                Err("true or false".into())
            }
        })
    }

    /// A word, where settings may begin with the same key: `group`, and `group.protocol`.
    ///
    /// # Errors
    /// If the value is there and neither text nor a table.
    pub fn word(&mut self, key: &'static str) -> Result<Option<String>, Error> {
        match self.entries.get(key).map(|value| &value.kind) {
            Some(Kind::Table(_)) => Ok(None),
            Some(_) | None => self.string(key),
        }
    }

    /// # Errors
    /// If the value is there and no string.
    pub fn string(&mut self, key: &'static str) -> Result<Option<String>, Error> {
        self.read(key, &|kind| string(kind).map(str::to_string).ok_or("a string".into()))
    }

    /// # Errors
    /// If the value is there and no duration such as "10s".
    pub fn duration(&mut self, key: &'static str) -> Result<Option<Duration>, Error> {
        self.read(key, &|kind| {
            string(kind)
                .and_then(parse_duration)
                .ok_or("a duration such as \"10s\", of ten years at most".into())
        })
    }

    /// # Errors
    /// If the value is there and no range of durations such as "1ms..50ms".
    pub fn span(&mut self, key: &'static str) -> Result<Option<Span>, Error> {
        self.read(key, &|kind| {
            let expected = "a duration or rising range \"1ms..50ms\", of ten years at most";
            string(kind).and_then(Span::parse).ok_or(expected.into())
        })
    }

    /// # Errors
    /// If the value is there and no probability such as "2/1000".
    pub fn ratio(&mut self, key: &'static str) -> Result<Option<Ratio>, Error> {
        self.read(key, &|kind| {
            string(kind).and_then(Ratio::parse).ok_or("a probability such as \"2/1000\"".into())
        })
    }

    /// # Errors
    /// If the value is there and no number or range of numbers such as "10..200".
    pub fn range(&mut self, key: &'static str) -> Result<Option<Range>, Error> {
        self.read(key, &|kind| {
            let parsed = match kind {
                Kind::Integer(text) | Kind::Text(text) => Range::parse(text),
                Kind::Boolean(_) | Kind::Array(_) | Kind::Table(_) | Kind::Other(_) => None,
            };
            parsed.ok_or("a number or a rising range \"10..200\"".into())
        })
    }

    /// A string or an array of strings, each with its place.
    ///
    /// # Errors
    /// If something else stands there.
    pub fn strings(&mut self, key: &'static str) -> Result<Vec<(Place, String)>, Error> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let wrong = |place, kind: &Kind| {
            let what = format!("expected a string or an array of strings, found {}", shown(kind));
            self.error(key, place, what, "")
        };
        match &value.kind {
            Kind::Text(text) => Ok(vec![(value.place, text.clone())]),
            Kind::Array(items) => items
                .iter()
                .map(|item| match &item.kind {
                    Kind::Text(text) => Ok((item.place, text.clone())),
                    Kind::Integer(_)
                    | Kind::Boolean(_)
                    | Kind::Array(_)
                    | Kind::Table(_)
                    | Kind::Other(_) => Err(wrong(item.place, &item.kind)),
                })
                .collect(),
            Kind::Integer(_) | Kind::Boolean(_) | Kind::Table(_) | Kind::Other(_) => {
                Err(wrong(value.place, &value.kind))
            }
        }
    }

    /// A table inside this one.
    ///
    /// # Errors
    /// If the value is there and no table.
    pub fn table(&mut self, key: &'static str) -> Result<Option<Table<'t>>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        Table::of(self.text, self.name(key), value).map(Some)
    }

    /// An array of tables (`[[key]]`).
    ///
    /// # Errors
    /// If the value is there and something else.
    pub fn tables(&mut self, key: &'static str) -> Result<Vec<Table<'t>>, Error> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let Kind::Array(items) = &value.kind else {
            let what = format!("expected an array of tables, found {}", value.kind.name());
            return Err(self.error(key, value.place, what, "open each with [[..]]"));
        };
        let path = self.name(key);
        let table = |(index, item)| Table::of(self.text, format!("{path}[{index}]"), item);
        items.iter().enumerate().map(table).collect()
    }

    /// Everything in this table as Kafka settings: nested keys joined by dots, values as text.
    /// A `--set` wins over the file's own line.
    #[must_use]
    pub fn settings(self) -> Vec<(Place, String, String)> {
        let mut found: BTreeMap<String, (Place, String)> = BTreeMap::new();
        for (key, value) in &self.entries {
            flatten(key, value, &mut found);
        }
        found.into_iter().map(|(key, (place, value))| (place, key, value)).collect()
    }

    /// Refuses what nobody took.
    ///
    /// # Errors
    /// The first key (by line) that is not known, with the nearest one that is.
    pub fn end(self) -> Result<(), Error> {
        let unknown = self.entries.iter().min_by_key(|(key, value)| (value.place, **key));
        let Some((key, value)) = unknown else { return Ok(()) };
        Err(self.error(key, value.place, "unknown key", &suggestion(key, &self.known)))
    }
}

fn string(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Text(text) => Some(text),
        Kind::Integer(_) | Kind::Boolean(_) | Kind::Array(_) | Kind::Table(_) | Kind::Other(_) => {
            None
        }
    }
}

/// A value in an error: short ones themselves, others by their type.
fn shown(kind: &Kind) -> String {
    match kind {
        Kind::Text(text) => format!("{text:?}"),
        Kind::Integer(digits) => digits.clone(),
        Kind::Boolean(value) => value.to_string(),
        Kind::Array(_) | Kind::Table(_) | Kind::Other(_) => kind.name().into(),
    }
}

fn flatten(key: &str, value: &Value, found: &mut BTreeMap<String, (Place, String)>) {
    let text = match &value.kind {
        Kind::Table(table) => {
            for (inner, value) in table {
                flatten(&format!("{key}.{inner}"), value, found);
            }
            return;
        }
        Kind::Text(text) => text.clone(),
        Kind::Integer(digits) => digits.clone(),
        Kind::Boolean(value) => value.to_string(),
        Kind::Array(_) => "an array".into(),
        Kind::Other(name) => (*name).into(),
    };
    let entry = found.entry(key.to_string()).or_insert((value.place, text.clone()));
    if value.place > entry.0 {
        *entry = (value.place, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known_one() {
        let text = Text::parse("s.toml", "[cluster]\nbrokers = 3\nbroker = 1\n", &[]).unwrap();
        let mut root = Table::root(&text);
        let mut cluster = root.table("cluster").unwrap().unwrap();
        assert_eq!(cluster.number("brokers", 1, 9).unwrap(), Some(3));
        assert_eq!(
            cluster.end().unwrap_err().to_string(),
            "s.toml:3: cluster.broker: unknown key; did you mean \"brokers\"?"
        );
        root.end().unwrap();
    }

    #[test]
    fn dotted_and_quoted_settings_read_the_same_and_a_set_wins() {
        let toml = "[topic]\nmin.insync.replicas = 2\n\"retention.ms\" = -1\n";
        let text = Text::parse("s", toml, &["topic.retention.ms=5".into()]).unwrap();
        let settings = Table::root(&text).table("topic").unwrap().unwrap().settings();
        assert_eq!(
            settings,
            vec![
                (Place::Line(2), "min.insync.replicas".into(), "2".into()),
                (Place::Set(0), "retention.ms".into(), "5".into()),
            ]
        );
    }

    #[test]
    fn a_wrong_unit_is_refused() {
        let text = Text::parse("s.toml", "length = \"10 parsecs\"\n", &[]).unwrap();
        assert_eq!(
            Table::root(&text).duration("length").unwrap_err().to_string(),
            "s.toml:1: length: expected a duration such as \"10s\", of ten years at most, found \"10 parsecs\""
        );
    }
}
