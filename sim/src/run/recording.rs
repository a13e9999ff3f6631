//! A run on paper: its scenario, its decisions and what came of it, as one TOML file.

use std::fmt::Write as _;
use std::sync::Arc;

use seedlog::time::{Duration, Instant};

use super::chance;
use crate::cluster::Cluster;
use crate::scenario::read::Table;
use crate::scenario::script::{Action, Names, action};
use crate::scenario::text::Text;
use crate::scenario::{Error, Scenario};
use crate::world::Chances;

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The scenario's file name and its text.
    pub file: String,
    pub text: String,
    pub overrides: Vec<String>,
    /// The settings that it drew.
    pub drawn: Vec<(String, String)>,
    /// What is not recorded is drawn from it: usual delays, and what processes draw themselves.
    pub seed: u64,
    /// Whether faults stopped short of what cannot be survived.
    pub atlas_on: bool,
    /// Faults and sends.
    pub decisions: Vec<(Instant, Action)>,
    /// What happened to single messages, disks and records.
    pub chances: Arc<Chances>,
    /// Digests after so many events.
    pub checkpoints: Vec<(u64, String)>,
    /// What came of it.
    pub verdict: String,
    /// The codes of the promises that were broken, each once.
    pub broken: Vec<String>,
    pub digest: String,
    pub events: u64,
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl Recording {
    /// How many decisions it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::try_from(self.decisions.len() + self.chances.len()).expect("a count fits")
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scenario as the run drew it.
    ///
    /// # Errors
    /// If it does not read any more.
    pub fn scenario(&self) -> Result<Scenario, Error> {
        let mut scenario = Scenario::parse(&self.file, &self.text, &self.overrides)?;
        scenario.fix(&self.drawn).map_err(|what| Error {
            place: self.file.clone(),
            key: "drawn".into(),
            what,
            cure: "record the run again".into(),
        })?;
        Ok(scenario)
    }

    /// The file's text.
    ///
    /// # Panics
    /// If its scenario does not read, from which it was made.
    #[must_use]
    pub fn print(&self) -> String {
        let scenario = Scenario::parse(&self.file, &self.text, &self.overrides);
        let cluster = Cluster::of(&scenario.expect("a run was made from it"));
        let list = |texts: &[String]| {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            texts.join(", ")
        };
        let mut out = String::from("# A recorded run: `sim replay` carries it out again.\n");
        let _ = writeln!(out, "file = {}", quoted(&self.file));
        let _ = writeln!(out, "seed = {}", quoted(&self.seed.to_string()));
        let _ = writeln!(out, "atlas = {}", self.atlas_on);
        let _ = writeln!(out, "set = [{}]", list(&self.overrides));
        let drawn = self.drawn.iter().map(|(key, value)| format!("{key}={value}"));
        let _ = writeln!(out, "drawn = [{}]", list(&drawn.collect::<Vec<String>>()));
        let _ = writeln!(out, "verdict = {}", quoted(&self.verdict));
        let _ = writeln!(out, "broken = [{}]", list(&self.broken));
        let _ = writeln!(out, "digest = {}", quoted(&self.digest));
        let _ = writeln!(out, "events = {}", self.events);
        let _ = writeln!(out, "text = {}", quoted(&self.text));
        let checkpoints = self.checkpoints.iter().map(|(at, digest)| format!("{at} {digest}"));
        array(&mut out, "checkpoints", checkpoints);
        array(&mut out, "chances", chance::lines(&self.chances, &cluster).into_iter());
        let decisions = self.decisions.iter();
        array(&mut out, "decisions", decisions.map(|(at, act)| format!("{} {act}", at.as_nanos())));
        out
    }

    /// Reads a recorded run.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(file: &str, text: &str) -> Result<Recording, Error> {
        let text = Text::parse(file, text, &[])?;
        let mut root = Table::root(&text);
        let mut string = |key: &'static str| {
            let place = root.place_of(key);
            let found = root.string(key)?;
            found.ok_or_else(|| root.error(key, place, "is missing", "record the run again"))
        };
        let (scenario_file, scenario_text) = (string("file")?, string("text")?);
        let (seed, verdict, digest) = (string("seed")?, string("verdict")?, string("digest")?);
        let seed = seed.parse().map_err(|_| {
            root.error("seed", root.place(), "is no number", "record the run again")
        })?;
        let mut strings = |key: &'static str| -> Result<Vec<String>, Error> {
            Ok(root.strings(key)?.into_iter().map(|(_, text)| text).collect())
        };
        let (overrides, broken) = (strings("set")?, strings("broken")?);
        let pair = |text: String| {
            let (key, value) = text.split_once('=').unwrap_or((&text, ""));
            (key.to_string(), value.to_string())
        };
        let drawn = strings("drawn")?.into_iter().map(pair).collect();
        let atlas_on = root.boolean("atlas")?.unwrap_or(true);
        let events = root.number("events", 0, u64::MAX)?.unwrap_or(0);
        let scenario = Scenario::parse(&scenario_file, &scenario_text, &overrides)?;
        let names = Cluster::of(&scenario).names();
        let recording = Recording {
            file: scenario_file,
            text: scenario_text,
            overrides,
            drawn,
            seed,
            atlas_on,
            decisions: decisions(&mut root, &names)?,
            chances: Arc::new(chances(&mut root, &names, &Cluster::of(&scenario))?),
            checkpoints: checkpoints(&mut root)?,
            verdict,
            broken,
            digest,
            events,
        };
        root.end()?;
        Ok(recording)
    }
}

/// Writes an array of strings, each on its line.
fn array(out: &mut String, key: &str, lines: impl Iterator<Item = String>) {
    let _ = writeln!(out, "{key} = [");
    for line in lines {
        let _ = writeln!(out, "  {},", quoted(&line));
    }
    out.push_str("]\n");
}

fn checkpoints(root: &mut Table<'_>) -> Result<Vec<(u64, String)>, Error> {
    let mut list = Vec::new();
    for (place, line) in root.strings("checkpoints")? {
        let parsed = line
            .split_once(' ')
            .and_then(|(events, digest)| Some((events.parse().ok()?, digest.to_string())));
        let wrong = || root.error("checkpoints", place, "cannot be read", "EVENTS DIGEST");
        list.push(parsed.ok_or_else(wrong)?);
    }
    Ok(list)
}

fn decisions(root: &mut Table<'_>, names: &Names) -> Result<Vec<(Instant, Action)>, Error> {
    let mut list = Vec::new();
    for (place, line) in root.strings("decisions")? {
        let wrong = |what: String| root.error("decisions", place, what, "NANOSECONDS ACTION");
        let Some((at, words)) = line.split_once(' ') else {
            return Err(wrong("cannot be read".into()));
        };
        let nanos = at.parse().map_err(|_| wrong("has no time".into()))?;
        let action = action::action(names, words).map_err(wrong)?;
        list.push((Instant::ZERO + Duration::from_nanos(nanos), action));
    }
    Ok(list)
}

fn chances(root: &mut Table<'_>, names: &Names, cluster: &Cluster) -> Result<Chances, Error> {
    let mut all = Chances::new();
    for (place, line) in root.strings("chances")? {
        let Some(chances) = chance::parse(&line, names, cluster) else {
            let what = format!("cannot read {line:?}");
            return Err(root.error("chances", place, what, "SUBJECT: NUMBER DECISION; .."));
        };
        all.extend(chances);
    }
    Ok(all)
}
