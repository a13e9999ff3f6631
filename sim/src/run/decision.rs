//! The decisions of a run, and runs recorded as such.
//!
//! Every fault and every workload operation is one line in the words of scripts, with its time. A
//! recorded run carries them out instead of drawing them, so that it survives a change of what a
//! seed means; where the code has changed, its checkpoints say where it went another way.

use std::sync::Arc;

use seedlog::ids::TopicName;
use seedlog::time::{Duration, Instant};

use super::{Run, Token};
use crate::check::RecordId;
use crate::scenario::script::{Action, Names, NodeExpr, Role, Who, action};
use crate::scenario::{Error, Scenario};

/// What was decided so far, or what is to be carried out.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    /// None: not recorded.
    log: Option<Vec<(Instant, Action)>>,
    replay: Option<Arc<Recording>>,
    next: usize,
}

/// A run on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The scenario's file name and its text.
    pub file: String,
    pub text: String,
    pub overrides: Vec<String>,
    pub seed: u64,
    pub decisions: Vec<(Instant, Action)>,
    /// Digests after so many events.
    pub checkpoints: Vec<(u64, String)>,
    /// What came of it: verdict, digest, events.
    pub verdict: String,
    pub digest: String,
    pub events: u64,
}

impl Decisions {
    /// Keeps what is decided from now on.
    pub fn record(&mut self) {
        self.log = Some(Vec::new());
    }

    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// What was recorded.
    #[must_use]
    pub fn log(&self) -> &[(Instant, Action)] {
        self.log.as_deref().unwrap_or(&[])
    }

    pub(super) fn note(&mut self, at: Instant, action: &Action) {
        if let Some(log) = &mut self.log {
            log.push((at, action.clone()));
        }
    }

    pub(super) fn note_send(
        &mut self,
        at: Instant,
        producer: usize,
        topic: &TopicName,
        _record: RecordId,
    ) {
        if self.log.is_some() {
            let number = u32::try_from(producer + 1).expect("few producers");
            let node = NodeExpr::Who(Who { role: Role::Producer, number });
            self.note(at, &Action::Send(node, topic.clone(), None, 1));
        }
    }
}

impl Run {
    /// A run that carries out recorded decisions instead of its own.
    ///
    /// # Errors
    /// If the recorded scenario does not read any more.
    pub fn replaying(recording: Recording) -> Result<Run, Error> {
        let scenario = Scenario::parse(&recording.file, &recording.text, &recording.overrides)?;
        let mut run = Run::new(&Arc::new(scenario), recording.seed, true);
        run.sources.clear();
        for (at, _) in &recording.decisions {
            run.world.control(*at, Token::Replay.encode());
        }
        run.decisions.replay = Some(Arc::new(recording));
        Ok(run)
    }

    pub(super) fn replay_due(&mut self) {
        let Some(recording) = self.decisions.replay.clone() else { return };
        while let Some((at, action)) = recording.decisions.get(self.decisions.next) {
            if *at > self.world.now() {
                break;
            }
            self.decisions.next += 1;
            self.refresh_image();
            self.perform(action);
        }
    }
}

impl Recording {
    /// The file's text.
    #[must_use]
    pub fn print(&self) -> String {
        use std::fmt::Write as _;
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut out = String::from("# A recorded run: `sim replay` carries it out again.\n");
        let _ = writeln!(out, "file = {}", quoted(&self.file));
        let _ = writeln!(out, "seed = {}", quoted(&self.seed.to_string()));
        let overrides: Vec<String> = self.overrides.iter().map(|text| quoted(text)).collect();
        let _ = writeln!(out, "set = [{}]", overrides.join(", "));
        let _ = writeln!(out, "verdict = {}", quoted(&self.verdict));
        let _ = writeln!(out, "digest = {}", quoted(&self.digest));
        let _ = writeln!(out, "events = {}", self.events);
        let _ = writeln!(out, "text = {}", quoted(&self.text));
        let _ = writeln!(out, "checkpoints = [");
        for (events, digest) in &self.checkpoints {
            let _ = writeln!(out, "  {},", quoted(&format!("{events} {digest}")));
        }
        let _ = writeln!(out, "]\ndecisions = [");
        for (at, action) in &self.decisions {
            let _ = writeln!(out, "  {},", quoted(&format!("{} {action}", at.as_nanos())));
        }
        out.push_str("]\n");
        out
    }

    /// Reads a recorded run.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(file: &str, text: &str) -> Result<Recording, Error> {
        use crate::scenario::read::Table;
        let text = crate::scenario::text::Text::parse(file, text, &[])?;
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
        let overrides: Vec<String> =
            root.strings("set")?.into_iter().map(|(_, text)| text).collect();
        let events = root.number("events", 0, u64::MAX)?.unwrap_or(0);
        let scenario = Scenario::parse(&scenario_file, &scenario_text, &overrides)?;
        let names = Names {
            brokers: scenario.cluster.brokers,
            controllers: scenario.cluster.controllers,
            producers: scenario.workload.producers,
            consumers: scenario.workload.consumers,
        };
        let mut checkpoints = Vec::new();
        for (place, line) in root.strings("checkpoints")? {
            let parsed = line
                .split_once(' ')
                .and_then(|(events, digest)| Some((events.parse().ok()?, digest.to_string())));
            let wrong = || root.error("checkpoints", place, "cannot be read", "EVENTS DIGEST");
            checkpoints.push(parsed.ok_or_else(wrong)?);
        }
        let mut decisions = Vec::new();
        for (place, line) in root.strings("decisions")? {
            let wrong = |what: String| root.error("decisions", place, what, "NANOSECONDS ACTION");
            let Some((at, words)) = line.split_once(' ') else {
                return Err(wrong("cannot be read".into()));
            };
            let nanos = at.parse().map_err(|_| wrong("has no time".into()))?;
            let action = action::action(&names, words).map_err(wrong)?;
            decisions.push((Instant::ZERO + Duration::from_nanos(nanos), action));
        }
        root.end()?;
        Ok(Recording {
            file: scenario_file,
            text: scenario_text,
            overrides,
            seed,
            decisions,
            checkpoints,
            verdict,
            digest,
            events,
        })
    }
}
