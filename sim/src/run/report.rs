//! What came of a run.

use serde_json::{Value, json};

use seedlog::event::Mark;
use seedlog::time::{Instant, millis};

use super::coordinators::state_of;
use super::{Run, Stop};
use crate::app::AppTally;
use crate::check::{Check, Checkers};
use crate::scenario::Requirement;
use crate::world::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Held,
    Undecided,
    Violated,
    /// The core or the simulator panicked.
    Panicked,
}

impl Verdict {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Violated | Verdict::Panicked => "violated",
            Verdict::Undecided => "undecided",
        }
    }

    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Held => 0,
            Verdict::Violated => 1,
            Verdict::Undecided => 3,
            Verdict::Panicked => 101,
        }
    }
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub code: String,
    pub name: String,
    pub claim: String,
    pub at_ms: i64,
    pub event: u64,
    pub detail: String,
}

impl Finding {
    /// What a panic of the core's or the simulator's is called, and one of a user's.
    pub const PANICS: [&'static str; 2] = ["Panic", "UsersPanic"];

    /// Whether it is about applications, and what led to it is what they did.
    #[must_use]
    pub fn is_of_applications(&self) -> bool {
        self.code.starts_with(['A', 'U'])
            || self.code.starts_with('L')
            || self.name == Self::PANICS[1]
    }
}

/// Whether coordinators or applications count something under that name.
#[must_use]
pub fn is_counter(name: &str) -> bool {
    let state = name.strip_prefix("coordinators.");
    let moved = state.is_some_and(|state| state == "group" || state_of(state).is_some());
    moved || COUNTERS.contains(&name) || AppTally::NAMES.contains(&name)
}

/// What coordinators and applications count, beside `coordinators.STATE`.
pub const COUNTERS: [&str; 6] =
    ["committed", "aborted", "fenced", "refused", "rebalances", "rejoins"];

/// A run's result: byte-stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub scenario: String,
    pub claim: String,
    pub seed: u64,
    pub verdict: Verdict,
    /// Why it is undecided.
    pub why: String,
    pub digest: String,
    pub events: u64,
    pub simulated_ms: i64,
    pub ok: u64,
    pub fail: u64,
    pub info: u64,
    pub acked: u64,
    pub consumed: u64,
    pub leaders: u64,
    pub controllers: u64,
    /// What coordinators and applications did, by the names that `require` uses.
    pub counters: Vec<(String, u64)>,
    /// The settings that its seed has drawn.
    pub drawn: Vec<(String, String)>,
    /// Whether faults stopped short of what cannot be survived; if not, only safety was checked.
    pub atlas_on: bool,
    pub faults: Vec<(String, u64)>,
    /// Code, name, checked, violations.
    pub checks: Vec<(String, String, u64, u64)>,
    pub sometimes: Vec<(String, u64)>,
    pub findings: Vec<Finding>,
    /// The command that does it again.
    pub repro: String,
}

impl Run {
    /// What came of it, once it is over.
    #[must_use]
    pub fn report(&self) -> Report {
        let history = self.workload.history;
        let marks = &self.watch.marks;
        let mut report = Report {
            scenario: self.scenario.name.clone(),
            claim: self.scenario.claim.clone(),
            seed: self.world.seed().0,
            verdict: Verdict::Held,
            why: String::new(),
            digest: self.world.digest().to_string(),
            events: self.world.events(),
            simulated_ms: millis(self.world.now().since(Instant::ZERO)),
            ok: history.ok,
            fail: history.fail,
            info: history.info + self.workload.pending(),
            acked: self.workload.producers.iter().map(|p| p.totals.acked).sum(),
            consumed: self.workload.consumed(),
            leaders: marks.leaders,
            controllers: marks.controllers,
            counters: self.counters(),
            drawn: self.scenario.drawn.clone(),
            atlas_on: self.atlas_on,
            faults: self
                .world
                .delivered_faults()
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(fault, count)| (fault.name().to_string(), count))
                .collect(),
            checks: Vec::new(),
            sometimes: marks.reached().map(|(mark, count)| (mark.name().into(), count)).collect(),
            findings: self.findings.clone(),
            repro: self.repro(),
        };
        if let Some(checkers) = &self.watch.checkers {
            for check in Check::ALL {
                let count = checkers.count(*check);
                let (code, name) = (check.code().to_string(), check.name().to_string());
                report.checks.push((code, name, count.checked, count.violations));
            }
            report.findings.extend(checkers.violations().iter().map(|violation| Finding {
                code: violation.check.code().into(),
                name: violation.check.name().into(),
                claim: violation.check.claim().into(),
                at_ms: millis(violation.at.since(Instant::ZERO)),
                event: violation.event,
                detail: violation.detail.clone(),
            }));
        }
        self.judge(&mut report);
        report
    }

    /// What coordinators and applications did; without what never happened.
    fn counters(&self) -> Vec<(String, u64)> {
        let (told, checkers) = (&self.watch.coordinators, self.watch.checkers.as_ref());
        let mut list: Vec<(String, u64)> = vec![
            ("committed".into(), told.committed),
            ("aborted".into(), told.aborted),
            ("fenced".into(), self.workload.fenced()),
            ("refused".into(), checkers.map_or(0, Checkers::refused_commits)),
            ("rebalances".into(), told.rebalances),
            ("rejoins".into(), told.rejoins),
            ("coordinators.group".into(), told.group_moves),
        ];
        let moves = told.moves().map(|(state, count)| (format!("coordinators.{state}"), count));
        list.extend(moves);
        let apps = self.watch.apps.tally.counts();
        list.extend(apps.map(|(name, count)| (name.to_string(), count)));
        list.retain(|(_, count)| *count > 0);
        list
    }

    fn judge(&self, report: &mut Report) {
        if !report.findings.is_empty() {
            report.verdict = Verdict::Violated;
            return;
        }
        if let Some(Stop::Undecided(why)) = &self.stop {
            report.verdict = Verdict::Undecided;
            report.why.clone_from(why);
            return;
        }
        // No false green: a run that did not do what the scenario asks for proves nothing.
        let survivable: &[Requirement] =
            if self.atlas_on { &self.scenario.atlas.require } else { &[] };
        for requirement in self.scenario.require.iter().chain(survivable) {
            let count = report.count(&requirement.name);
            if count < requirement.at_least {
                report.verdict = Verdict::Undecided;
                report.why = format!(
                    "required {} >= {}, found {count}",
                    requirement.name, requirement.at_least
                );
                return;
            }
        }
        if let Some(idle) = self.idle_app() {
            report.verdict = Verdict::Undecided;
            report.why = idle;
            return;
        }
        let idle = |fault: &Fault| self.world.delivered_faults().get(*fault) == 0;
        if let Some(fault) = self.scenario.asks_for().into_iter().find(idle) {
            report.verdict = Verdict::Undecided;
            report.why = format!("asked for {}, and none was delivered", fault.name());
        }
    }

    /// The command line of this run.
    #[must_use]
    pub fn repro(&self) -> String {
        let mut line = format!("sim run {} --seed {}", self.scenario.file, self.world.seed().0);
        for text in &self.scenario.overrides {
            line.push_str(" --set ");
            if text.chars().all(|c| c.is_ascii_alphanumeric() || "=._-/".contains(c)) {
                line.push_str(text);
            } else {
                line.push_str(&format!("'{}'", text.replace('\'', "'\\''")));
            }
        }
        line
    }
}

impl Report {
    /// The codes of the promises that were broken, each once.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let mut codes: Vec<String> = self.findings.iter().map(|one| one.code.clone()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// How often a rare branch was reached.
    #[must_use]
    pub fn reached(&self, mark: Mark) -> u64 {
        let known = self.sometimes.iter().find(|(name, _)| name == mark.name());
        known.map_or(0, |(_, count)| *count)
    }

    /// A counter by the name that `require` uses.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        let listed = |list: &[(String, u64)], wanted: &str| {
            list.iter().find(|(name, _)| name == wanted).map_or(0, |(_, count)| *count)
        };
        match name {
            "acked" => self.acked,
            "consumed" => self.consumed,
            "consumed.percent" => (100 * self.consumed).checked_div(self.acked).unwrap_or(0),
            "leaders" => self.leaders,
            "controllers" => self.controllers,
            _ if is_counter(name) => listed(&self.counters, name),
            _ => {
                if let Some(fault) = name.strip_prefix("fault.") {
                    return listed(&self.faults, fault);
                }
                if let Some(mark) = name.strip_prefix("sometimes.") {
                    return listed(&self.sometimes, mark);
                }
                let code = name.strip_prefix("check.").unwrap_or(name);
                let mut checks = self.checks.iter();
                checks.find(|(known, ..)| known == code).map_or(0, |(_, _, checked, _)| *checked)
            }
        }
    }

    /// The object of `--json`.
    #[must_use]
    pub fn json(&self) -> Value {
        let pairs = |list: &[(String, u64)]| {
            list.iter().map(|(name, count)| (name.clone(), json!(count))).collect()
        };
        let faults: serde_json::Map<String, Value> = pairs(&self.faults);
        let counters: serde_json::Map<String, Value> = pairs(&self.counters);
        let sometimes: serde_json::Map<String, Value> = pairs(&self.sometimes);
        let checks: serde_json::Map<String, Value> = self
            .checks
            .iter()
            .map(|(code, name, checked, violations)| {
                let key = format!("{code} {name}");
                (key, json!({ "checked": checked, "violations": violations }))
            })
            .collect();
        let violations: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "code": finding.code,
                    "name": finding.name,
                    "claim": finding.claim,
                    "simulated_ms": finding.at_ms,
                    "event": finding.event,
                    "detail": finding.detail,
                })
            })
            .collect();
        let drawn: serde_json::Map<String, Value> =
            self.drawn.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        json!({
            "scenario": self.scenario,
            "seed": self.seed,
            "verdict": self.verdict.name(),
            "why": self.why,
            "digest": self.digest,
            "events": self.events,
            "simulated_ms": self.simulated_ms,
            "operations": { "ok": self.ok, "fail": self.fail, "info": self.info },
            "acked": self.acked,
            "consumed": self.consumed,
            "leaders": self.leaders,
            "controllers": self.controllers,
            "counters": counters,
            "drawn": drawn,
            "atlas": self.atlas_on,
            "faults": faults,
            "checks": checks,
            "sometimes": sometimes,
            "violations": violations,
            "repro": self.repro,
        })
    }
}
