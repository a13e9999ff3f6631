//! Requests to a ledger that no order explains: G2 and lost updates.
//!
//! A request reads each balance before it changes it: what it left, without what it was to change,
//! is what it read. If that is not what was there, it has read a version that another request had
//! replaced, and each of the two comes before the other.

use std::collections::BTreeMap;

use seedlog::client::app::ledger::EXTERNAL;
use seedlog::client::app::ledger::format::{Action, LedgerRequest, Posting};
use seedlog::event::{ApplicationNote, AppliedNote, Event};

use super::super::application::{Invariant, Values, Visible};
use super::super::tally::Check;
use super::graph::{Dependency, Graph};

/// Versions of an account in which a stale read is looked for.
const REMEMBERED: usize = 64;
/// Operations looked at together.
const WINDOW: usize = 1 << 12;
const KINDS: [Dependency; 3] =
    [Dependency::WriteWrite, Dependency::WriteRead, Dependency::ReadWrite];

/// J12, of what a store has applied, and of postings.
#[derive(Clone, Debug)]
pub struct LedgerCycles {
    requests: Values<LedgerRequest>,
    postings: Values<Posting>,
    /// What each request is to change, by account.
    wanted: BTreeMap<String, Vec<(String, i64)>>,
    accounts: BTreeMap<String, Vec<Version>>,
    graph: Graph,
    operations: BTreeMap<String, usize>,
}

/// A balance, and who left it; nobody: it was there, or that is forgotten.
#[derive(Clone, Copy, Debug)]
struct Version {
    value: i64,
    writer: Option<usize>,
}

impl LedgerCycles {
    #[must_use]
    pub fn new(requests: Values<LedgerRequest>, postings: Values<Posting>) -> Self {
        LedgerCycles {
            requests,
            postings,
            wanted: BTreeMap::new(),
            accounts: BTreeMap::new(),
            graph: Graph::default(),
            operations: BTreeMap::new(),
        }
    }

    fn operation(&mut self, name: String) -> usize {
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

    /// An operation left a balance; it was to change it by `wanted`.
    fn moved(
        &mut self,
        name: String,
        account: &str,
        wanted: i64,
        balance: i64,
    ) -> Result<(), String> {
        let operation = self.operation(name);
        let first = Version { value: 0, writer: None };
        let versions = self.accounts.entry(account.into()).or_insert_with(|| vec![first]);
        let read = balance - wanted;
        let at = versions.iter().rposition(|version| version.value == read);
        let other = |version: &Version| version.writer.filter(|writer| *writer != operation);
        let graph = &mut self.graph;
        if let Some(writer) = at.and_then(|at| other(&versions[at])) {
            let why = format!("it left {read} on {account}, which that one read");
            graph.edge(writer, operation, Dependency::WriteRead, why);
        }
        let replaced = at.and_then(|at| versions.get(at + 1)).copied();
        if let Some(writer) = replaced.as_ref().and_then(other) {
            let why = format!("it read {read} on {account}, before that one changed it");
            graph.edge(operation, writer, Dependency::ReadWrite, why);
        }
        if let Some((last, writer)) = versions.last().and_then(|last| Some((last, other(last)?))) {
            let why = format!("it left {} on {account}, and that one {balance}", last.value);
            graph.edge(writer, operation, Dependency::WriteWrite, why);
        }
        versions.push(Version { value: balance, writer: Some(operation) });
        if versions.len() > 2 * REMEMBERED {
            versions.drain(..REMEMBERED);
        }
        // Only a stale read closes a circle.
        if replaced.is_none() {
            return Ok(());
        }
        let cycles = self.graph.cycles(&KINDS);
        let is_stale = |(_, kind, _): &(String, Dependency, String)| *kind == Dependency::ReadWrite;
        match cycles.iter().find(|cycle| cycle.steps.iter().any(is_stale)) {
            Some(cycle) => Err(cycle.to_string()),
            None => Ok(()),
        }
    }

    fn asked(&mut self, request: &LedgerRequest) {
        let wanted = match &request.action {
            Action::Fund { account, amount } => {
                vec![(EXTERNAL.to_owned(), -amount), (account.clone(), *amount)]
            }
            Action::Spend { account, amount, .. } => {
                vec![(account.clone(), -amount), (EXTERNAL.to_owned(), *amount)]
            }
            Action::Transfer { from, to, amount } => {
                vec![(from.clone(), -amount), (to.clone(), *amount)]
            }
            Action::Credit { .. } => return,
        };
        self.wanted.insert(request.id.clone(), wanted);
    }

    fn applied(&mut self, applied: &AppliedNote) -> Result<(), String> {
        let wanted = self.wanted.get(&*applied.id).cloned().unwrap_or_default();
        for change in applied.changes.iter() {
            let Some(account) = change.key.strip_prefix("balance:") else { continue };
            let Some((_, wanted)) = wanted.iter().find(|(name, _)| name == account) else {
                continue;
            };
            let name = format!("request {}", applied.id);
            self.moved(name, account, *wanted, change.balance)?;
        }
        Ok(())
    }
}

impl Invariant for LedgerCycles {
    fn name(&self) -> &str {
        "LedgerCycles"
    }

    fn promise(&self) -> Check {
        Check::StaleRead
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if let Some(Ok(request)) = self.requests.read(visible) {
            self.asked(&request);
        }
        let Some(Ok(posting)) = self.postings.read(visible) else { return Ok(()) };
        let Some(balance) = posting.balance else { return Ok(()) };
        // The halves of a transfer are transactions of their own.
        let name = format!("request {} on {}", posting.request, posting.account);
        self.moved(name, &posting.account, posting.delta, balance)
    }

    fn noted(&mut self, event: &Event) -> Result<(), String> {
        let Event::Application(note) = event else { return Ok(()) };
        let ApplicationNote::Applied(applied) = &**note else { return Ok(()) };
        self.applied(applied)
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use seedlog::client::app::format::Format;
    use seedlog::event::AppliedChange;

    use super::*;

    fn cycles() -> LedgerCycles {
        let requests = Values::new("requests", Format::json());
        LedgerCycles::new(requests, Values::new("postings", Format::json()))
    }

    fn transfer(cycles: &mut LedgerCycles, id: &str, from: &str, to: &str, amount: i64) {
        let action = Action::Transfer { from: from.into(), to: to.into(), amount };
        cycles.asked(&LedgerRequest { id: id.into(), action });
    }

    fn put(cycles: &mut LedgerCycles, id: &str, account: &str, balance: i64) -> Result<(), String> {
        let key = format!("balance:{account}").into();
        let changes = [AppliedChange { key, delta: 0, balance }].into();
        let note = AppliedNote { id: id.into(), changes };
        cycles.noted(&Event::Application(Arc::new(ApplicationNote::Applied(note))))
    }

    #[test]
    fn requests_one_after_the_other_have_an_order() {
        let mut cycles = cycles();
        transfer(&mut cycles, "x", "a", "b", 5);
        transfer(&mut cycles, "y", "b", "a", 3);
        for (id, account, balance) in [("x", "a", -5), ("x", "b", 5), ("y", "b", 2), ("y", "a", -2)]
        {
            assert_eq!(put(&mut cycles, id, account, balance), Ok(()));
        }
    }

    #[test]
    fn j12_a_request_undoes_another_that_it_has_not_seen() {
        let mut cycles = cycles();
        transfer(&mut cycles, "x", "a", "b", 5);
        transfer(&mut cycles, "y", "a", "c", 3);
        assert_eq!(put(&mut cycles, "x", "a", -5), Ok(()));
        assert_eq!(
            put(&mut cycles, "y", "a", -3),
            Err("request x comes before request y (ww: it left -5 on a, and that one -3); \
                 request y comes before request x (rw: it read 0 on a, before that one changed \
                 it): no order of them explains that"
                .into())
        );
    }
}
