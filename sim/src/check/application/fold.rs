//! The state of a ledger's account is what its postings add up to: L4.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::tally::Check;
use super::{Invariant, Posted, Reader, Visible};

/// L4: every posting has the balance that its account's committed postings add up to, whoever wrote
/// it, and after whichever restart.
#[derive(Clone, Debug)]
pub struct DeterministicFold {
    reader: Reader,
    balances: BTreeMap<Arc<str>, i64>,
    judged: u64,
}

impl DeterministicFold {
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        DeterministicFold { reader, balances: BTreeMap::new(), judged: 0 }
    }

    fn posted(&mut self, posted: &Posted) -> Result<(), String> {
        let Some(left) = posted.left else { return Ok(()) };
        self.judged += 1;
        let sum = self.balances.entry(Arc::clone(&posted.account)).or_insert(0);
        let before = *sum;
        *sum += posted.delta;
        if *sum == left {
            return Ok(());
        }
        Err(format!(
            "{posted} leaves {left} on {}, but the postings before it add up to {before}, and it \
             adds {:+}: its writer had another state",
            posted.account, posted.delta
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

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        // What is malformed adds up to nothing.
        self.reader.expect(visible)?.map_or(Ok(()), |posted| self.posted(&posted))
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{posting, reader};
    use super::*;

    #[test]
    fn l4_a_balance_that_the_postings_do_not_add_up_to() {
        let mut fold = DeterministicFold::new(reader());
        let mut post = |delta: i64, left: Option<i64>| {
            fold.posted(&Posted { left, ..posting("x", "a", delta) })
        };
        assert_eq!(post(5, Some(5)), Ok(()));
        assert_eq!(post(-3, Some(2)), Ok(()));
        assert_eq!(post(100, None), Ok(()), "an account without a balance");
        let told = "request x (changes a by +1; by x1 at 0.000s) leaves 6 on a, but the postings \
                    before it add up to 2, and it adds +1: its writer had another state";
        assert_eq!(post(1, Some(6)), Err(told.into()));
        assert_eq!(fold.judged(), Some(3));
    }
}
