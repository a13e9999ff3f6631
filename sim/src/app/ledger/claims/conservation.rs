//! L1: money is neither made nor lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::client::app::ledger::EXTERNAL;
use seedlog::client::app::ledger::format::Action;
use seedlog::event::Event;
use seedlog::time::Instant;

use crate::check::{Check, Invariant, Posted, Reader, Visible, identity};

/// Changes that a report names.
const TOLD: usize = 8;

/// At every consistent cut all accounts add up to what came in from outside less what went out.
///
/// Of postings a cut is what readers of committed data see while no transaction is visible in part.
/// Of a store it is what lies between two of its units; whoever writes numbers over has no units,
/// and there it is what lies between transfers.
#[derive(Clone)]
pub struct Conservation {
    reader: Reader,
    /// Of all accounts, the world outside with them.
    sum: i64,
    /// Transfers of which one account is written over, and the other is not.
    halves: BTreeMap<Arc<str>, Arc<str>>,
    /// What was done since the last cut.
    since: Vec<Posted>,
    judged: u64,
}

impl Conservation {
    pub fn new(reader: Reader) -> Self {
        Conservation { reader, sum: 0, halves: BTreeMap::new(), since: Vec::new(), judged: 0 }
    }

    fn moved(&mut self, posted: &Posted) {
        if self.since.len() < TOLD {
            self.since.push(posted.clone());
        }
        if !posted.overwrites {
            self.sum += posted.changed;
            return;
        }
        // What goes out or comes in does so with the change of its account: a number that is kept
        // for the world outside moves no money.
        if &*posted.account == EXTERNAL {
            return;
        }
        self.sum += posted.changed;
        match &posted.action {
            Some(Action::Fund { .. } | Action::Spend { .. }) => self.sum -= posted.delta,
            Some(Action::Transfer { .. }) => self.half(posted),
            Some(Action::Credit { .. }) | None => {}
        }
    }

    fn half(&mut self, posted: &Posted) {
        let Posted { request, account, .. } = posted;
        let other = self.halves.remove(request).filter(|other| other != account);
        if other.is_none() {
            self.halves.insert(Arc::clone(request), Arc::clone(account));
        }
    }

    /// A cut.
    fn judge(&mut self) -> Result<(), String> {
        self.judged += 1;
        let since = std::mem::take(&mut self.since);
        if self.sum == 0 {
            return Ok(());
        }
        let what = if self.sum > 0 { "made of nothing" } else { "lost" };
        let since: Vec<String> = since
            .iter()
            .map(|posted| format!("{posted} changed {} by {:+}", posted.account, posted.changed))
            .collect();
        Err(format!(
            "{} of money {what}: all accounts and what went out, less what came in, are {:+} and \
             not 0. Since it last was looked at: {}",
            self.sum.abs(),
            self.sum,
            if since.is_empty() { "nothing".to_owned() } else { since.join("; ") }
        ))
    }
}

impl Invariant for Conservation {
    identity!(Conservation, Conservation);

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if let Some(posted) = self.reader.visible(visible) {
            self.moved(&posted);
        }
        Ok(())
    }

    fn noted(&mut self, event: &Event, at: Instant) -> Result<(), String> {
        let posted = self.reader.noted(event, at);
        posted.iter().for_each(|posted| self.moved(posted));
        if posted.is_empty() || !self.halves.is_empty() {
            return Ok(());
        }
        self.judge()
    }

    fn cut(&mut self) -> Result<(), String> {
        // What a store has done was judged when it was.
        if self.since.is_empty() || !self.halves.is_empty() {
            return Ok(());
        }
        self.judge()
    }

    fn ended(&mut self) -> Result<(), String> {
        self.judge()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{Shown, fund, reader, spend, transfer};

    fn shown() -> Shown<Conservation> {
        let mut shown = Shown::new(Conservation::new(reader()));
        shown.asks("f", fund("a", 100));
        shown.asks("s", spend("a", 60, None));
        shown.asks("t", transfer("a", "b", 10));
        shown
    }

    #[test]
    fn l1_money_that_is_missing_in_the_middle_and_there_at_the_end() {
        let mut shown = shown();
        for (account, delta) in [(EXTERNAL, -100), ("a", 100)] {
            assert_eq!(shown.posts("f", account, delta), Ok(()));
        }
        assert_eq!(shown.invariant.cut(), Ok(()));
        assert_eq!(shown.posts("s", "a", -60), Ok(()));
        let mut repaired = shown.invariant.clone();
        let told = "60 of money lost: all accounts and what went out, less what came in, are -60 \
                    and not 0. Since it last was looked at: request s (spends 60 of a; at \
                    postings-0 offset 5, visible since 6.000s) changed a by -60";
        assert_eq!(shown.invariant.cut(), Err(told.into()));
        assert_eq!(shown.posts("s", EXTERNAL, 60), Ok(()));
        assert_eq!(shown.invariant.cut(), Ok(()));
        assert_eq!(shown.invariant.ended(), Ok(()), "nobody would know who looks at the end only");
        // Without a cut in between, nobody can see it.
        repaired.sum += 60;
        assert_eq!(repaired.cut(), Ok(()));
    }

    #[test]
    fn l1_a_unit_of_the_store_that_does_not_add_up() {
        let mut shown = shown();
        assert_eq!(shown.applies("x1", "f", &[(EXTERNAL, -100, -100), ("a", 100, 100)]), Ok(()));
        assert!(shown.applies("x1", "t", &[("a", -10, 90)]).is_err());
        assert_eq!(shown.applies("x1", "t", &[("b", 10, 10)]), Ok(()));
        assert_eq!(shown.invariant.judged(), Some(3));
    }

    #[test]
    fn l1_a_balance_that_is_written_over() {
        let mut shown = shown();
        assert_eq!(shown.puts("x1", "f", ("a", 100, 100)), Ok(()));
        assert_eq!(shown.puts("x1", "f", (EXTERNAL, -100, -100)), Ok(()));
        assert_eq!(shown.puts("x1", "t", ("a", -10, 90)), Ok(()));
        assert_eq!(shown.puts("x1", "t", ("b", 10, 10)), Ok(()));
        // It has read 100, before the transfer.
        assert!(shown.puts("x2", "s", ("a", -50, 40)).is_err());
    }
}
