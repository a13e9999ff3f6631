//! Requests to a ledger that no order explains: stale balances, which Adya calls G2 (a circle with
//! an anti-dependency), and lost updates.
//!
//! A request reads each balance before it changes it: what it left, without what it was to change,
//! is what it read. If that is not what was there, it has read a version that another request had
//! replaced, and each of the two comes before the other.
//!
//! What comes of it is plainer: money that is made or lost, an account that is overdrawn (L1, L2).
//! That has its own claims, which are told as soon as they are broken, and a stale balance alone
//! only at the end.
//!
//! The account of the world outside is nobody's: no request acts on what it reads there, so a stale
//! read of it has decided nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use seedlog::client::app::ledger::{EXTERNAL, TRANSIT};
use seedlog::event::Event;
use seedlog::time::Instant;

use super::super::application::{Invariant, Posted, Reader, Visible};
use super::super::tally::Check;
use super::graph::{Cycle, Dependency, Graph};

/// Versions of an account in which a stale read is looked for.
const REMEMBERED: usize = 64;
/// Operations looked at together.
const WINDOW: usize = 1 << 12;
const KINDS: [Dependency; 3] =
    [Dependency::WriteWrite, Dependency::WriteRead, Dependency::ReadWrite];

/// J12, of what a store has applied, and of postings.
#[derive(Clone, Debug)]
pub struct LedgerCycles {
    reader: Reader,
    accounts: BTreeMap<Arc<str>, Vec<Version>>,
    graph: Graph,
    operations: BTreeMap<String, usize>,
    /// The first that was found.
    found: Option<String>,
    judged: u64,
}

/// A balance, and who left it; nobody: it was there.
#[derive(Clone, Debug)]
struct Version {
    value: i64,
    writer: Option<(usize, Posted)>,
}

impl LedgerCycles {
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        LedgerCycles {
            reader,
            accounts: BTreeMap::new(),
            graph: Graph::default(),
            operations: BTreeMap::new(),
            found: None,
            judged: 0,
        }
    }

    fn operation(&mut self, posted: &Posted) -> usize {
        // The halves of a transfer by postings are transactions of their own.
        let name = if posted.overwrites {
            format!("request {}", posted.request)
        } else {
            format!("request {} on {}", posted.request, posted.account)
        };
        if self.graph.len() >= WINDOW && !self.operations.contains_key(&name) {
            self.graph = Graph::default();
            self.operations.clear();
            for version in self.accounts.values_mut().flatten() {
                version.writer = None;
            }
        }
        if let Some(known) = self.operations.get(&name) {
            return *known;
        }
        let number = self.graph.operation(name.clone());
        self.operations.insert(name, number);
        number
    }

    /// An operation left a balance.
    fn moved(&mut self, posted: &Posted) {
        let (Some(left), Some(read)) = (posted.left, posted.read()) else { return };
        let account = &posted.account;
        if matches!(&**account, EXTERNAL | TRANSIT) {
            return;
        }
        self.judged += 1;
        let operation = self.operation(posted);
        let first = Version { value: 0, writer: None };
        let versions = self.accounts.entry(Arc::clone(account)).or_insert_with(|| vec![first]);
        let at = versions.iter().rposition(|version| version.value == read);
        let other = |version: &Version| {
            let writer = version.writer.as_ref().map(|(writer, _)| *writer);
            writer.filter(|writer| *writer != operation)
        };
        let graph = &mut self.graph;
        if let Some(writer) = at.and_then(|at| other(&versions[at])) {
            let why = format!("it left {read} on {account}, which that one read");
            graph.edge(writer, operation, Dependency::WriteRead, why);
        }
        let replaced = at.and_then(|at| versions.get(at + 1)).cloned();
        if let Some(writer) = replaced.as_ref().and_then(other) {
            let why = format!("it read {read} on {account}, before that one changed it");
            graph.edge(operation, writer, Dependency::ReadWrite, why);
        }
        if let Some((last, writer)) = versions.last().and_then(|last| Some((last, other(last)?))) {
            let why = format!("it left {} on {account}, and that one {left}", last.value);
            graph.edge(writer, operation, Dependency::WriteWrite, why);
        }
        let seen = at.and_then(|at| versions[at].writer.clone());
        versions.push(Version { value: left, writer: Some((operation, posted.clone())) });
        if versions.len() > 2 * REMEMBERED {
            versions.drain(..REMEMBERED);
        }
        // Only a stale read closes a circle.
        let Some(Version { value, writer: Some((_, unseen)) }) = replaced else { return };
        let cycles = self.graph.cycles(&KINDS);
        let is_stale = |(_, kind, _): &(String, Dependency, String)| *kind == Dependency::ReadWrite;
        if let Some(cycle) = cycles.iter().find(|cycle| cycle.steps.iter().any(is_stale)) {
            let seen = seen.map(|(_, seen)| seen);
            self.found.get_or_insert_with(|| told(posted, seen.as_ref(), (&unseen, value), cycle));
        }
    }
}

/// A lost update, in the words of the ledger.
fn told(
    posted: &Posted,
    seen: Option<&Posted>,
    (unseen, value): (&Posted, i64),
    cycle: &Cycle,
) -> String {
    let Posted { account, .. } = posted;
    let (read, left) = (posted.read().unwrap_or_default(), posted.left.unwrap_or_default());
    let of = seen.map_or_else(|| "as it was at first".to_owned(), |seen| format!("as {seen} left"));
    format!(
        "{posted} has written over {account} what it had not seen: it read {read}, {of}, and wrote \
         {left}; {unseen} had made it {value} in between, and that is lost. {cycle}"
    )
}

impl Invariant for LedgerCycles {
    fn name(&self) -> &str {
        "LedgerCycles"
    }

    fn promise(&self) -> Check {
        Check::StaleRead
    }

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if let Some(posted) = self.reader.visible(visible) {
            self.moved(&posted);
        }
        Ok(())
    }

    fn noted(&mut self, event: &Event, at: Instant) -> Result<(), String> {
        self.reader.noted(event, at).iter().for_each(|posted| self.moved(posted));
        Ok(())
    }

    fn ended(&mut self) -> Result<(), String> {
        self.found.take().map_or(Ok(()), Err)
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::application::testing::{Shown, reader, transfer};
    use super::*;

    fn shown() -> Shown<LedgerCycles> {
        let mut shown = Shown::new(LedgerCycles::new(reader()));
        shown.asks("x", transfer("a", "b", 5));
        shown.asks("y", transfer("a", "c", 3));
        shown.asks("z", transfer("b", "a", 3));
        shown
    }

    #[test]
    fn requests_one_after_the_other_have_an_order() {
        let mut shown = shown();
        for (id, change) in [("x", ("a", -5, -5)), ("x", ("b", 5, 5)), ("z", ("b", -3, 2))] {
            assert_eq!(shown.puts("x1", id, change), Ok(()));
        }
        assert_eq!(shown.puts("x2", "z", ("a", 3, -2)), Ok(()));
        assert_eq!(shown.invariant.judged(), Some(4));
    }

    #[test]
    fn nobody_acts_on_the_account_of_the_world_outside() {
        let mut shown = shown();
        for (id, change) in [("x", (EXTERNAL, -5, -5)), ("y", (EXTERNAL, 2, -3))] {
            assert_eq!(shown.puts("x1", id, change), Ok(()));
        }
        assert_eq!(shown.invariant.judged(), Some(0));
    }

    #[test]
    fn j12_a_request_undoes_another_that_it_has_not_seen() {
        let mut shown = shown();
        assert_eq!(shown.puts("x1", "x", ("a", -5, -5)), Ok(()));
        let told = "request y (moves 3 from a to c; by x2 at 5.000s) has written over a what it \
                    had not seen: it read 0, as it was at first, and wrote -3; request x (moves 5 \
                    from a to b; by x1 at 4.000s) had made it -5 in between, and that is lost. \
                    request x comes before request y (ww: it left -5 on a, and that one -3); \
                    request y comes before request x (rw: it read 0 on a, before that one changed \
                    it): no order of them explains that";
        assert_eq!(shown.puts("x2", "y", ("a", 2, -3)), Ok(()), "what comes of it is told first");
        assert_eq!(shown.invariant.ended(), Err(told.into()));
    }
}
