//! Goes through the steps of a directed scenario.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::time::Instant;

use super::evaluate::Bound;
use super::{Run, Stop, Token};
use crate::scenario::script::{Otherwise, Step};

/// Where a script is.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Arc<[Step]>,
    at: usize,
    /// When the current step began to wait: the end of the step before.
    pub since: Instant,
    running: bool,
    bound: BTreeMap<String, Bound>,
}

impl Script {
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        Script {
            steps: steps.into(),
            at: 0,
            since: Instant::ZERO,
            running: false,
            bound: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn bound(&self, name: &str) -> Option<Bound> {
        self.bound.get(name).copied()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether a step is waiting.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
    }
}

impl Run {
    pub(super) fn begin_script(&mut self) {
        self.script.running = true;
        self.next_step(0);
    }

    pub(super) fn end_script(&mut self) {
        self.script.running = false;
        self.script.at = self.script.steps.len();
    }

    /// Begins to wait for a step; asks for events at the times that matter to it.
    fn next_step(&mut self, at: usize) {
        self.script.at = at;
        self.script.since = self.world.now();
        let Some(step) = self.script.steps.get(at) else {
            self.script.running = false;
            return;
        };
        let begin = self.script.since + step.after;
        for at in [begin, begin + step.within] {
            self.world.control(at, Token::Script.encode());
        }
        // Conditions on time come true without an event of their own.
        if !step.when.is_empty() {
            self.world.control(self.script.since + super::TICK, Token::ScriptTick.encode());
        }
    }

    /// An event for conditions on time, again and again while a step waits.
    pub(super) fn script_tick(&mut self) {
        if self.script.running {
            self.world.control(self.world.now() + super::TICK, Token::ScriptTick.encode());
        }
    }

    /// Carries out every step whose time has come.
    pub(super) fn advance_script(&mut self) {
        while self.script.running {
            let steps = Arc::clone(&self.script.steps);
            let Some(step) = steps.get(self.script.at) else { break };
            let begin = self.script.since + step.after;
            if self.world.now() < begin {
                return;
            }
            let ready = step.when.iter().all(|condition| self.holds_now(&condition.what));
            let late = self.world.now() >= begin + step.within;
            let next = self.script.at + 1;
            match (ready, late, step.otherwise) {
                (true, _, _) | (false, true, Otherwise::GoOn) => {
                    if !self.carry_out(step) {
                        return;
                    }
                }
                (false, false, _) => return,
                (false, true, Otherwise::Skip) => {}
                (false, true, Otherwise::End) => {
                    self.end_script();
                    return;
                }
                (false, true, Otherwise::Undecided) => {
                    let waiting = step.when.iter().find(|when| !self.holds_now(&when.what));
                    let what = waiting.map_or_else(String::new, ToString::to_string);
                    self.give_up(step, &format!("waited in vain for {what:?}"));
                    return;
                }
            }
            if self.script.running {
                self.next_step(next);
            }
        }
    }

    /// Fixes, looks, acts. False if the run is over.
    fn carry_out(&mut self, step: &Step) -> bool {
        for (name, binding) in &step.bind {
            let Some(bound) = self.bind(binding) else {
                self.give_up(step, &format!("nothing to bind {name:?} to"));
                return false;
            };
            self.script.bound.insert(name.clone(), bound);
        }
        if let Some(missed) = step.expect.iter().find(|expect| !self.holds_now(&expect.what)) {
            self.give_up(step, &format!("expected {:?}", missed.text));
            return false;
        }
        if let Some(broken) = step.assert.iter().find(|assert| !self.holds_now(&assert.what)) {
            let detail = format!("{}: {:?} does not hold", place(self, step), broken.text);
            self.violate("S1", "Script", "what a script asserts is true", detail);
            return false;
        }
        for action in &step.act {
            if !self.perform(&action.what) {
                self.give_up(step, &format!("nobody to do {:?} with", action.text));
                return false;
            }
        }
        true
    }

    fn give_up(&mut self, step: &Step, why: &str) {
        let why = format!("{}: {why}", place(self, step));
        self.stop = Some(Stop::Undecided(why));
    }
}

fn place(run: &Run, step: &Step) -> String {
    let name = if step.name.is_empty() { String::new() } else { format!(" ({})", step.name) };
    format!("{}:{}{name}", run.scenario.file, step.line)
}
