//! The state of one fault source: its own stream of randomness, and what it has done.

use seedlog::rng::Rng;

use crate::scenario::script::Action;
use crate::scenario::value::Span;
use crate::scenario::{Fault, Scenario};
use crate::world::{ProcessId, Seed};

/// A source of faults in a run.
#[derive(Clone, Debug)]
pub struct Source {
    pub fault: Fault,
    pub rng: Rng,
    /// Times it struck.
    pub struck: u64,
    /// How to undo what it did last.
    pub undo: Vec<Action>,
    /// Who is away because of it.
    pub away: Vec<ProcessId>,
    /// It waits for its state.
    pub armed: bool,
    /// Who has come to that state.
    pub aim: Option<ProcessId>,
    /// Of a rolling restart: who comes next.
    pub roll: u32,
}

/// The sources that exist in this run, drawn by seed.
#[must_use]
pub fn sources(scenario: &Scenario, seed: Seed) -> Vec<Source> {
    let mut list = Vec::new();
    for (index, fault) in scenario.faults.iter().enumerate() {
        let entity = u64::try_from(index).expect("few sources");
        let mut rng = seed.stream("fault", entity, 0);
        let mut exists = fault.exists.draw(&mut rng);
        let mut fault = fault.clone();
        if scenario.swarm {
            // Which faults exist at all, and how often: half of them, a quarter to four times as
            // often.
            exists &= rng.chance(1, 2);
            fault.every = scaled(fault.every, rng.below(5));
        }
        if exists {
            let (struck, roll) = (0, 0);
            let (undo, away) = (Vec::new(), Vec::new());
            let (armed, aim) = (false, None);
            let source = Source { fault, rng, struck, undo, away, armed, aim, roll };
            list.push(source);
        }
    }
    list
}

/// 1/4, 1/2, 1, 2 or 4 times a span.
fn scaled(span: Span, step: u64) -> Span {
    let times = |duration: seedlog::time::Duration| match step {
        0 => duration / 4,
        1 => duration / 2,
        2 => duration,
        3 => duration * 2,
        _ => duration * 4,
    };
    Span::new(times(span.low), times(span.high))
}
