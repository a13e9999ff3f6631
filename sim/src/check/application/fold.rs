//! The state of a ledger's account is what its postings add up to: L4.

use std::collections::BTreeMap;

use seedlog::client::app::ledger::format::Posting;

use super::super::tally::Check;
use super::{Invariant, Values, Visible};

/// L4: every posting has the balance that its account's committed postings add up to, whoever wrote
/// it, and after whichever restart.
#[derive(Clone, Debug)]
pub struct DeterministicFold {
    postings: Values<Posting>,
    balances: BTreeMap<String, i64>,
}

impl DeterministicFold {
    #[must_use]
    pub fn new(postings: Values<Posting>) -> Self {
        DeterministicFold { postings, balances: BTreeMap::new() }
    }

    fn posted(&mut self, posting: &Posting) -> Result<(), String> {
        let Some(balance) = posting.balance else { return Ok(()) };
        let sum = self.balances.entry(posting.account.clone()).or_insert(0);
        let before = *sum;
        *sum += posting.delta;
        if *sum == balance {
            return Ok(());
        }
        Err(format!(
            "request {} changes {} by {:+} and leaves {balance}, but the postings before it add up \
             to {before}: its writer had another state",
            posting.request, posting.account, posting.delta
        ))
    }
}

impl Invariant for DeterministicFold {
    fn name(&self) -> &str {
        "DeterministicFold"
    }

    fn promise(&self) -> Check {
        Check::DeterministicFold
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        match self.postings.expect(visible)? {
            Some(posting) => self.posted(&posting),
            None => Ok(()),
        }
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use seedlog::client::app::format::Format;

    use super::*;

    #[test]
    fn l4_a_balance_that_the_postings_do_not_add_up_to() {
        let mut fold = DeterministicFold::new(Values::new("postings", Format::json()));
        let posting = |delta: i64, balance: Option<i64>| Posting {
            request: "x".into(),
            account: "a".into(),
            delta,
            balance,
            funding: None,
        };
        assert_eq!(fold.posted(&posting(5, Some(5))), Ok(()));
        assert_eq!(fold.posted(&posting(-3, Some(2))), Ok(()));
        assert_eq!(fold.posted(&posting(100, None)), Ok(()), "an account without a balance");
        assert!(fold.posted(&posting(1, Some(6))).is_err());
    }
}
