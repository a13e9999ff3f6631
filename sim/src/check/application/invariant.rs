//! Invariants that users write.

use std::fmt;
use std::sync::Arc;

use seedlog::event::Event;
use seedlog::time::Instant;

use super::super::tally::{Check, Tally};
use super::Visible;
use crate::app::named;

/// What a user claims of their own application. It sees what every reader of committed data may
/// see, and what processes note; whatever it keeps is its own.
pub trait Invariant: Send + Sync {
    /// A short name, for reports.
    fn name(&self) -> &str;

    /// Which of the simulator's promises it is; a user's own have one code together.
    fn promise(&self) -> Check {
        Check::UserInvariant
    }

    /// A record has become visible to readers of committed data. Along a partition they come in the
    /// order of offsets, each once.
    ///
    /// # Errors
    /// What is wrong, in words: the run is violated then.
    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String>;

    /// A process has noted something, at that simulated time.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn noted(&mut self, _event: &Event, _at: Instant) -> Result<(), String> {
        Ok(())
    }

    /// What is visible now is whole: no transaction is visible in part (a vector of last stable
    /// offsets that is closed under transactions). What is true between transactions is true here.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn cut(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// The run is over: faults are healed, and everybody had time to catch up.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn ended(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// How often its claim was put to the test. None: with each record that it is shown.
    fn judged(&self) -> Option<u64> {
        None
    }

    fn clone_box(&self) -> Box<dyn Invariant>;
}

/// All of a run's.
#[derive(Default)]
pub struct Invariants {
    /// With their names.
    all: Vec<(Arc<str>, Box<dyn Invariant>)>,
    /// More is lost than must survive: nothing is asked of what users claim any longer.
    is_lost: bool,
}

impl Clone for Invariants {
    fn clone(&self) -> Self {
        let all =
            self.all.iter().map(|(name, each)| (Arc::clone(name), each.clone_box())).collect();
        Invariants { all, is_lost: self.is_lost }
    }
}

impl fmt::Debug for Invariants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|(name, _)| name)).finish()
    }
}

impl Invariants {
    pub fn add(&mut self, invariant: Box<dyn Invariant>) {
        self.all.push((invariant.name().into(), invariant));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// More is lost than must survive, if it is so.
    pub fn lost(&mut self, is_lost: bool) {
        self.is_lost |= is_lost;
    }

    /// `unless_told`: how often it counts for those who do not say so themselves.
    fn each(
        &mut self,
        tally: &mut Tally,
        unless_told: u64,
        mut look: impl FnMut(&mut dyn Invariant) -> Result<(), String>,
    ) {
        let is_lost = self.is_lost;
        for (name, invariant) in &mut self.all {
            if is_lost && invariant.promise() == Check::UserInvariant {
                continue;
            }
            let before = invariant.judged();
            let result = named(|| format!("the invariant {name}"), || look(&mut **invariant));
            match (result, before.zip(invariant.judged())) {
                (Ok(()), Some((before, judged))) => {
                    tally.held(invariant.promise(), judged - before);
                }
                (Ok(()), None) => tally.held(invariant.promise(), unless_told),
                (Err(wrong), _) => {
                    tally.expect(invariant.promise(), false, || format!("{name}: {wrong}"))
                }
            }
        }
    }

    pub fn visible(&mut self, visible: &Visible<'_>, tally: &mut Tally) {
        self.each(tally, 1, |invariant| invariant.visible(visible));
    }

    pub fn noted(&mut self, event: &Event, tally: &mut Tally) {
        let now = tally.now();
        self.each(tally, 0, |invariant| invariant.noted(event, now));
    }

    pub fn cut(&mut self, tally: &mut Tally) {
        self.each(tally, 0, |invariant| invariant.cut());
    }

    pub fn ended(&mut self, tally: &mut Tally) {
        self.each(tally, 0, |invariant| invariant.ended());
    }
}
