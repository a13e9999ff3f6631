//! Deadlines of many members: set, moved and taken in logarithmic time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use crate::ids::Offset;
use crate::time::Instant;

/// What happens when its time has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Old offsets and empty groups are looked for.
    Expire,
    /// The log did not commit what an answer rests on.
    Write(Offset, u64),
    /// A classic group's members had their time to join.
    Join(Arc<str>),
    /// A classic group's members had their time to ask for their assignment.
    Sync(Arc<str>),
    /// A member was not heard of.
    Session(Arc<str>, Arc<str>),
    /// A member of a KIP-848 group had its time to give partitions up.
    Revoke(Arc<str>, Arc<str>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Deadlines {
    ordered: Arc<BTreeSet<(Instant, Timer)>>,
    by_timer: Arc<BTreeMap<Timer, Instant>>,
}

impl Deadlines {
    /// Sets a deadline, instead of the one that the timer had.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        let ordered = Arc::make_mut(&mut self.ordered);
        if let Some(old) = Arc::make_mut(&mut self.by_timer).insert(timer.clone(), at) {
            ordered.remove(&(old, timer.clone()));
        }
        ordered.insert((at, timer));
    }

    pub fn cancel(&mut self, timer: &Timer) {
        if !self.by_timer.contains_key(timer) {
            return;
        }
        if let Some(at) = Arc::make_mut(&mut self.by_timer).remove(timer) {
            Arc::make_mut(&mut self.ordered).remove(&(at, timer.clone()));
        }
    }

    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.ordered.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = Arc::make_mut(&mut self.ordered).pop_first()?;
        Arc::make_mut(&mut self.by_timer).remove(&timer);
        Some(timer)
    }

    pub fn check(&self) {
        assert_eq!(self.ordered.len(), self.by_timer.len(), "a timer has one deadline");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_deadline_and_the_earliest_goes_first() {
        let at = Instant::from_nanos;
        let session = |member: &str| Timer::Session("g".into(), member.into());
        let mut deadlines = Deadlines::default();
        deadlines.set(session("a"), at(5));
        deadlines.set(session("b"), at(3));
        deadlines.set(session("b"), at(7));
        deadlines.set(Timer::Expire, at(6));
        deadlines.cancel(&Timer::Expire);
        deadlines.check();
        assert_eq!(deadlines.next(), Some(at(5)));
        assert_eq!(deadlines.pop_due(at(4)), None);
        assert_eq!(deadlines.pop_due(at(9)), Some(session("a")));
        assert_eq!(deadlines.pop_due(at(9)), Some(session("b")));
        assert_eq!(deadlines.pop_due(at(9)), None);
        deadlines.check();
    }
}
