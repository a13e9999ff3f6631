//! L2: no account falls below its limit.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::client::app::ledger::{EXTERNAL, TRANSIT};
use seedlog::event::Event;
use seedlog::time::Instant;

use crate::check::{Check, Invariant, Posted, Reader, Visible, claim};

/// Changes of an account that a report may name.
const REMEMBERED: usize = 64;

/// What was taken from an account is gone, whatever the store believes that it still holds.
#[derive(Clone)]
pub struct NoOverdraft {
    reader: Reader,
    limit: i64,
    accounts: BTreeMap<Arc<str>, Account>,
    judged: u64,
}

#[derive(Clone, Default)]
struct Account {
    balance: i64,
    /// The latest changes.
    posted: Vec<Posted>,
}

impl Account {
    /// What whoever took too much had seen, and what it had not.
    fn told(&self, last: &Posted) -> String {
        let read = last.read().filter(|_| last.overwrites);
        let seen = self.posted.iter().rposition(|posted| posted.left == read);
        let (seen, unseen) = match (read, seen) {
            (Some(_), Some(seen)) => (self.posted.get(seen), &self.posted[seen + 1..]),
            (Some(_), None) => (None, &self.posted[..]),
            (None, _) => (self.posted.last(), &[][..]),
        };
        let had = read.unwrap_or(self.balance - last.delta);
        let left = seen.map_or_else(String::new, |seen| format!(", as {seen} left"));
        let not: Vec<String> = unseen.iter().map(ToString::to_string).collect();
        let not = if not.is_empty() {
            String::new()
        } else {
            format!(", and had not seen {}", not.join(" nor "))
        };
        format!("It acted on a balance of {had}{left}{not}")
    }
}

impl NoOverdraft {
    pub fn new(reader: Reader, limit: i64) -> Self {
        NoOverdraft { reader, limit, accounts: BTreeMap::new(), judged: 0 }
    }

    fn moved(&mut self, posted: &Posted) -> Result<(), String> {
        if matches!(&*posted.account, EXTERNAL | TRANSIT) {
            return Ok(());
        }
        self.judged += 1;
        let account = self.accounts.entry(Arc::clone(&posted.account)).or_default();
        account.balance += posted.delta;
        let (balance, lowest) = (account.balance, -self.limit);
        let holds = balance >= lowest || posted.delta > 0;
        let told = if holds { String::new() } else { account.told(posted) };
        if account.posted.len() >= 2 * REMEMBERED {
            account.posted.drain(..REMEMBERED);
        }
        account.posted.push(posted.clone());
        if holds {
            return Ok(());
        }
        Err(format!(
            "{} is overdrawn: {posted} brings it to {balance}, and its limit is {lowest}. {told}",
            posted.account
        ))
    }
}

impl Invariant for NoOverdraft {
    claim!(NoOverdraft, NoOverdraft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{Shown, fund, reader, spend};

    fn shown() -> Shown<NoOverdraft> {
        let claim = NoOverdraft::new(reader(), 0);
        let mut shown = Shown::new(claim);
        shown.asks("f", fund("a", 100));
        shown.asks("s", spend("a", 80, None));
        shown.asks("t", spend("a", 80, None));
        shown
    }

    #[test]
    fn l2_two_spends_that_have_read_the_same_balance() {
        let mut shown = shown();
        assert_eq!(shown.puts("x1", "f", ("a", 100, 100)), Ok(()));
        assert_eq!(shown.puts("x1", "s", ("a", -80, 20)), Ok(()));
        let told = "a is overdrawn: request t (spends 80 of a; by x2 at 6.000s) brings it to -60, \
                    and its limit is 0. It acted on a balance of 100, as request f (brings 100 to \
                    a; by x1 at 4.000s) left, and had not seen request s (spends 80 of a; by x1 at \
                    5.000s)";
        assert_eq!(shown.puts("x2", "t", ("a", 0, 20)), Err(told.into()));
        assert_eq!(shown.invariant.judged(), Some(3));
    }

    #[test]
    fn l2_a_posting_that_takes_more_than_there_is() {
        let mut shown = shown();
        assert_eq!(shown.posts("f", "a", 100), Ok(()));
        assert_eq!(shown.posts("f", EXTERNAL, -100), Ok(()));
        assert_eq!(shown.posts("s", "a", -80), Ok(()));
        let told = "a is overdrawn: request t (spends 80 of a; at postings-0 offset 6, visible \
                    since 7.000s) brings it to -60, and its limit is 0. It acted on a balance of \
                    20, as request s (spends 80 of a; at postings-0 offset 5, visible since \
                    6.000s) left";
        assert_eq!(shown.posts("t", "a", -80), Err(told.into()));
    }

    #[test]
    fn a_number_that_is_written_again_is_no_second_spend() {
        let mut shown = shown();
        assert_eq!(shown.puts("x1", "f", ("a", 100, 100)), Ok(()));
        for delta in [-80, 0] {
            assert_eq!(shown.puts("x1", "s", ("a", delta, 20)), Ok(()));
        }
        assert_eq!(shown.invariant.judged(), Some(2));
    }
}
