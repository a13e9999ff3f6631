//! All workloads and all checkers at once.

use std::sync::Arc;

use seedlog::time::Instant;

use super::measure::Measure;
use crate::run::Run;
use crate::scenario::Scenario;

/// The scenario as it was when this program was built.
const SCENARIO: &str = include_str!("../../../scenarios/everything.toml");
const SEED: u64 = 1;

pub(super) const NAME: &str = "everything/all-checkers";

/// A run from its beginning to its end.
pub(super) fn run() -> Measure {
    let scenario = Scenario::parse("scenarios/everything.toml", SCENARIO, &[])
        .expect("the scenario was tested when it was built in");
    let mut run = Run::new(&Arc::new(scenario), SEED, true);
    let measure = Measure::of(NAME, || {
        run.finish_all();
        run.world.events()
    });
    let simulated = run.world.now() - Instant::ZERO;
    let verdict = run.report().verdict.name();
    measure.with_simulated(simulated).with("verdict", verdict)
}
