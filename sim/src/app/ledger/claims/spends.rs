//! L3: no request moves its money twice, and no funding pays for more than its amount.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use seedlog::client::app::ledger::EXTERNAL;
use seedlog::client::app::ledger::format::Action;
use seedlog::event::Event;
use seedlog::time::Instant;

use crate::check::{Check, Invariant, Posted, Reader, Visible, claim};

/// Each request has one accepted set of postings at most, however often it is sent.
#[derive(Clone)]
pub struct NoDoubleSpend {
    reader: Reader,
    /// What each request gave to or took from an account; whether it gave.
    done: BTreeMap<(Arc<str>, Arc<str>, bool), Posted>,
    judged: u64,
}

impl NoDoubleSpend {
    pub fn new(reader: Reader) -> Self {
        NoDoubleSpend { reader, done: BTreeMap::new(), judged: 0 }
    }

    fn moved(&mut self, posted: &Posted) -> Result<(), String> {
        // What comes from outside is not spent by anybody.
        if &*posted.account == EXTERNAL {
            return Ok(());
        }
        self.judged += 1;
        let Posted { request, account, delta, .. } = posted;
        match self.done.entry((Arc::clone(request), Arc::clone(account), *delta > 0)) {
            Entry::Vacant(entry) => {
                entry.insert(posted.clone());
                Ok(())
            }
            Entry::Occupied(first) => Err(format!(
                "request {request} ({}) was accepted twice: {account} was changed by {:+} {}, and \
                 by {delta:+} {}",
                posted.asked(),
                first.get().delta,
                first.get().trail,
                posted.trail
            )),
        }
    }
}

impl Invariant for NoDoubleSpend {
    claim!(NoDoubleSpend, NoDoubleSpend);
}

/// What is spent of one funding is no more than it brought.
#[derive(Clone)]
pub struct FundingLimit {
    reader: Reader,
    /// By account and the funding's request.
    fundings: BTreeMap<(Arc<str>, Arc<str>), Funding>,
    judged: u64,
}

#[derive(Clone, Default)]
struct Funding {
    /// None: it was not accepted so far.
    brought: Option<Posted>,
    spent: i64,
    draws: Vec<Posted>,
}

impl FundingLimit {
    pub fn new(reader: Reader) -> Self {
        FundingLimit { reader, fundings: BTreeMap::new(), judged: 0 }
    }

    fn moved(&mut self, posted: &Posted) -> Result<(), String> {
        let Posted { request, account, delta, .. } = posted;
        if matches!(posted.action, Some(Action::Fund { .. })) && &**account != EXTERNAL {
            let key = (Arc::clone(account), Arc::clone(request));
            self.fundings.entry(key).or_default().brought = Some(posted.clone());
        }
        let Some(id) = posted.funding.as_ref().filter(|_| *delta < 0) else { return Ok(()) };
        self.judged += 1;
        let funding = self.fundings.entry((Arc::clone(account), Arc::clone(id))).or_default();
        funding.spent -= delta;
        funding.draws.push(posted.clone());
        let Some(brought) = &funding.brought else {
            return Err(format!("{posted} draws on funding {id}, which {account} never had"));
        };
        if funding.spent <= brought.delta {
            return Ok(());
        }
        let draws: Vec<String> = funding.draws.iter().map(ToString::to_string).collect();
        Err(format!(
            "funding {id} is spent twice: it brought {} to {account} ({}), and {} have spent {} \
             of it",
            brought.delta,
            brought.trail,
            draws.join(" and "),
            funding.spent
        ))
    }
}

impl Invariant for FundingLimit {
    claim!(FundingLimit, NoDoubleSpend);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{Shown, fund, reader, spend, transfer};

    #[test]
    fn l3_a_request_that_is_done_by_two() {
        let claim = NoDoubleSpend::new(reader());
        let mut shown = Shown::new(claim);
        shown.asks("s", spend("a", 40, None));
        assert_eq!(shown.puts("x1", "s", ("a", -40, 60)), Ok(()));
        assert_eq!(shown.puts("x1", "s", (EXTERNAL, 40, 40)), Ok(()));
        let told = "request s (spends 40 of a) was accepted twice: a was changed by -40 by x1 at \
                    2.000s, and by -40 by x2 at 4.000s";
        assert_eq!(shown.puts("x2", "s", ("a", -40, 20)), Err(told.into()));
    }

    #[test]
    fn the_halves_of_a_transfer_are_no_second_one() {
        let claim = NoDoubleSpend::new(reader());
        let mut shown = Shown::new(claim);
        shown.asks("t", transfer("a", "b", 40));
        for (account, delta) in [("a", -40), ("transit", 40), ("transit", -40), ("b", 40)] {
            assert_eq!(shown.posts("t", account, delta), Ok(()));
        }
        assert_eq!(shown.invariant.judged(), Some(4));
        assert!(shown.posts("t", "b", 40).is_err());
    }

    fn funded() -> Shown<FundingLimit> {
        let claim = FundingLimit::new(reader());
        let mut shown = Shown::new(claim);
        shown.asks("f", fund("a", 100));
        shown.asks("g", fund("a", 100));
        shown.asks("s", spend("a", 60, Some("f")));
        shown.asks("t", spend("a", 60, Some("f")));
        shown.asks("u", spend("a", 60, Some("g")));
        shown.asks("v", spend("b", 60, Some("f")));
        for (id, balance) in [("f", 100), ("g", 200)] {
            let changes = [(EXTERNAL, -100, -balance), ("a", 100, balance)];
            assert_eq!(shown.applies("x1", id, &changes), Ok(()));
        }
        shown
    }

    #[test]
    fn spends_of_different_fundings_do_not_add_up() {
        let mut shown = funded();
        assert_eq!(shown.applies("x1", "s", &[("a", -60, 140)]), Ok(()));
        assert_eq!(shown.applies("x1", "u", &[("a", -60, 80)]), Ok(()));
        assert_eq!(shown.invariant.judged(), Some(2));
    }

    #[test]
    fn l3_a_funding_pays_for_more_than_it_brought() {
        let mut shown = funded();
        assert_eq!(shown.applies("x1", "s", &[("a", -60, 140)]), Ok(()));
        let told = "funding f is spent twice: it brought 100 to a (by x1 at 7.000s), and request s \
                    (spends 60 of a, out of funding f; by x1 at 9.000s) and request t (spends 60 \
                    of a, out of funding f; by x2 at 10.000s) have spent 120 of it";
        assert_eq!(shown.applies("x2", "t", &[("a", -60, 80)]), Err(told.into()));
    }

    #[test]
    fn l3_a_funding_of_somebody_else() {
        let told = "request v (spends 60 of b, out of funding f; by x1 at 9.000s) draws on funding \
                    f, which b never had";
        assert_eq!(funded().applies("x1", "v", &[("b", -60, 0)]), Err(told.into()));
    }
}
