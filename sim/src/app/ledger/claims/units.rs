//! L1: what is posted for a request is what it asks for, and nothing stays in transit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seedlog::client::app::ledger::format::Action;
use seedlog::client::app::ledger::{EXTERNAL, TRANSIT};

use crate::check::{Check, Invariant, Posted, Reader, Visible, identity};

/// An account, and how it is changed.
type Leg = (Arc<str>, i64);

/// A request is posted in units: one, or two of a transfer, which takes the money of one account
/// and then gives the same to the other one. Between transactions each unit is there as a whole,
/// the second one never without the first, and at the end all are: what is in transit is what
/// transfers have taken that are still open.
#[derive(Clone)]
pub struct WholeUnits {
    reader: Reader,
    /// Requests of which something is posted, and not all.
    open: BTreeMap<Arc<str>, Vec<Posted>>,
    /// Posted to since the last cut.
    fresh: BTreeSet<Arc<str>>,
    judged: u64,
}

/// What a request asks for, unit by unit.
fn units(action: &Action) -> Vec<[Leg; 2]> {
    let leg = |account: &str, delta: i64| (Arc::from(account), delta);
    match action {
        Action::Fund { account, amount } => vec![[leg(EXTERNAL, -amount), leg(account, *amount)]],
        Action::Spend { account, amount, .. } => {
            vec![[leg(account, -amount), leg(EXTERNAL, *amount)]]
        }
        Action::Transfer { from, to, amount } => vec![
            [leg(from, -amount), leg(TRANSIT, *amount)],
            [leg(TRANSIT, -amount), leg(to, *amount)],
        ],
        Action::Credit { .. } => Vec::new(),
    }
}

/// How many of these units are done, if what is done is the first of them.
fn count(units: &[[Leg; 2]], done: &[Posted]) -> Option<usize> {
    let mut done: Vec<Leg> =
        done.iter().map(|posted| (Arc::clone(&posted.account), posted.delta)).collect();
    done.sort();
    (1..=units.len()).find(|count| {
        let mut wanted = units[..*count].concat();
        wanted.sort();
        wanted == done
    })
}

/// What was posted, in words.
fn told(done: &[Posted]) -> String {
    let each = done
        .iter()
        .map(|posted| format!("{:+} on {} {}", posted.delta, posted.account, posted.trail));
    each.collect::<Vec<String>>().join(", ")
}

impl WholeUnits {
    pub fn new(reader: Reader) -> Self {
        WholeUnits { reader, open: BTreeMap::new(), fresh: BTreeSet::new(), judged: 0 }
    }

    fn judge(&mut self, id: &str) -> Result<(), String> {
        let Some(done) = self.open.get(id) else { return Ok(()) };
        self.judged += 1;
        let Some(action) = done.iter().find_map(|posted| posted.action.as_ref()) else {
            return Err(format!(
                "nobody has sent request {id}, and posted for it is {}",
                told(done)
            ));
        };
        let units = units(action);
        match count(&units, done) {
            Some(whole) if whole == units.len() => {
                self.open.remove(id);
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(format!(
                "request {id} {}, and posted for it is {}",
                done[0].asked(),
                told(done)
            )),
        }
    }
}

impl Invariant for WholeUnits {
    identity!(WholeUnits, Conservation);

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if let Some(posted) = self.reader.visible(visible) {
            self.fresh.insert(Arc::clone(&posted.request));
            self.open.entry(Arc::clone(&posted.request)).or_default().push(posted);
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), String> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.iter().try_for_each(|id| self.judge(id))
    }

    fn ended(&mut self) -> Result<(), String> {
        self.cut()?;
        match self.open.iter().next() {
            Some((id, done)) => Err(format!(
                "request {id} {}, and at the end half of it is missing: posted for it is {}",
                done[0].asked(),
                told(done)
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{Shown, fund, reader, spend, transfer};

    fn shown(legs: &[(&str, i64)]) -> Shown<WholeUnits> {
        let mut shown = Shown::new(WholeUnits::new(reader()));
        shown.asks("t", transfer("a", "b", 10));
        for (account, delta) in legs {
            assert_eq!(shown.posts("t", account, *delta), Ok(()));
        }
        shown
    }

    const TAKEN: [(&str, i64); 2] = [("a", -10), (TRANSIT, 10)];
    const GIVEN: [(&str, i64); 2] = [(TRANSIT, -10), ("b", 10)];

    #[test]
    fn a_transfer_in_two_transactions_is_whole() {
        let mut shown = shown(&TAKEN);
        assert_eq!(shown.invariant.cut(), Ok(()));
        for (account, delta) in GIVEN {
            assert_eq!(shown.posts("t", account, delta), Ok(()));
        }
        assert_eq!(shown.invariant.ended(), Ok(()));
        assert_eq!((shown.invariant.judged(), shown.invariant.open.len()), (Some(2), 0));
    }

    #[test]
    fn fundings_and_spends_are_one_unit() {
        let mut shown = Shown::new(WholeUnits::new(reader()));
        shown.asks("f", fund("a", 10));
        shown.asks("s", spend("a", 10, None));
        for (id, account, delta) in
            [("f", EXTERNAL, -10), ("f", "a", 10), ("s", "a", -10), ("s", EXTERNAL, 10)]
        {
            assert_eq!(shown.posts(id, account, delta), Ok(()));
        }
        assert_eq!(shown.invariant.ended(), Ok(()));
    }

    #[test]
    fn l1_a_transfer_that_never_arrives() {
        let told = "request t moves 10 from a to b, and at the end half of it is missing: posted \
                    for it is -10 on a at postings-0 offset 1, visible since 2.000s, +10 on \
                    transit at postings-0 offset 2, visible since 3.000s";
        assert_eq!(shown(&TAKEN).invariant.ended(), Err(told.into()));
    }

    #[test]
    fn l1_every_other_way_to_give_than_what_was_taken() {
        let wrong: &[&[(&str, i64)]] = &[
            // Too much, too little, to somebody else, to nobody, twice; before it was taken.
            &[(TRANSIT, -11), ("b", 11)],
            &[(TRANSIT, -9), ("b", 9)],
            &[(TRANSIT, -10), ("c", 10)],
            &[(TRANSIT, -10)],
            &[(TRANSIT, -10), ("b", 10), (TRANSIT, -10), ("b", 10)],
        ];
        for given in wrong.iter().copied() {
            let mut shown = shown(&[&TAKEN[..], given].concat());
            let found = shown.invariant.cut().expect_err("that is wrong");
            assert!(found.starts_with("request t moves 10 from a to b, and posted"), "{found}");
        }
        assert!(shown(&GIVEN).invariant.cut().is_err());
        assert!(shown(&TAKEN[..1]).invariant.cut().is_err());
    }

    #[test]
    fn l1_postings_for_nothing() {
        let mut shown = Shown::new(WholeUnits::new(reader()));
        assert_eq!(shown.posts("x", "a", 5), Ok(()));
        let told = "nobody has sent request x, and posted for it is +5 on a at postings-0 offset \
                    0, visible since 1.000s";
        assert_eq!(shown.invariant.cut(), Err(told.into()));
    }
}
