//! What must stay true of money: L1, L2 and L3 of the ledger, by what its store has applied, or by
//! its committed postings.

use std::collections::{BTreeMap, BTreeSet};

use seedlog::client::app::ledger::format::{Action, LedgerRequest, Posting};
use seedlog::client::app::ledger::{EXTERNAL, TRANSIT, balance_key};
use seedlog::event::{ApplicationNote, AppliedNote, Event};

use crate::check::{Check, Invariant, Values, Visible};

/// One change of one account.
struct Move<'a> {
    request: &'a str,
    account: &'a str,
    delta: i64,
}

fn applied(event: &Event) -> Option<&AppliedNote> {
    let Event::Application(note) = event else { return None };
    let ApplicationNote::Applied(applied) = &**note else { return None };
    Some(applied)
}

/// What the store has changed at once; without what only counts.
fn moves(applied: &AppliedNote) -> impl Iterator<Item = Move<'_>> {
    applied.changes.iter().filter(|change| change.delta != 0).filter_map(|change| {
        let account = change.key.strip_prefix("balance:")?;
        Some(Move { request: &applied.id, account, delta: change.delta })
    })
}

impl<'a> From<&'a Posting> for Move<'a> {
    fn from(posting: &'a Posting) -> Self {
        Move { request: &posting.request, account: &posting.account, delta: posting.delta }
    }
}

macro_rules! claim {
    ($name:ident) => {
        fn name(&self) -> &str {
            stringify!($name)
        }

        fn promise(&self) -> Check {
            Check::$name
        }

        fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
            match self.postings.read(visible) {
                Some(Ok(posting)) => self.moved(&Move::from(&posting)),
                Some(Err(_)) | None => Ok(()),
            }
        }

        fn noted(&mut self, event: &Event) -> Result<(), String> {
            let Some(applied) = applied(event) else { return Ok(()) };
            moves(applied).try_for_each(|moved| self.moved(&moved))
        }

        fn clone_box(&self) -> Box<dyn Invariant> {
            Box::new(self.clone())
        }
    };
}

/// L2: no account falls below its limit.
#[derive(Clone)]
pub struct NoOverdraft {
    postings: Values<Posting>,
    limit: i64,
    balances: BTreeMap<String, i64>,
}

impl NoOverdraft {
    pub fn new(postings: Values<Posting>, limit: i64) -> Self {
        NoOverdraft { postings, limit, balances: BTreeMap::new() }
    }

    fn moved(&mut self, moved: &Move<'_>) -> Result<(), String> {
        if matches!(moved.account, EXTERNAL | TRANSIT) {
            return Ok(());
        }
        let balance = self.balances.entry(moved.account.into()).or_insert(0);
        let before = *balance;
        *balance += moved.delta;
        if *balance >= -self.limit || moved.delta > 0 {
            return Ok(());
        }
        Err(format!(
            "request {} took {} from {}, which had {before}: {balance} is left, and the limit is {}",
            moved.request, -moved.delta, moved.account, -self.limit
        ))
    }
}

impl Invariant for NoOverdraft {
    claim!(NoOverdraft);
}

/// L3: no request moves the same money twice, however often it is sent.
#[derive(Clone)]
pub struct NoDoubleSpend {
    postings: Values<Posting>,
    /// Request, account, and whether it gave.
    done: BTreeSet<(String, String, bool)>,
}

impl NoDoubleSpend {
    pub fn new(postings: Values<Posting>) -> Self {
        NoDoubleSpend { postings, done: BTreeSet::new() }
    }

    fn moved(&mut self, moved: &Move<'_>) -> Result<(), String> {
        // What comes from outside is not spent by anybody.
        if moved.account == EXTERNAL {
            return Ok(());
        }
        let key = (moved.request.to_string(), moved.account.to_string(), moved.delta > 0);
        if self.done.insert(key) {
            return Ok(());
        }
        let what = if moved.delta > 0 { "gave to" } else { "took from" };
        Err(format!(
            "request {} was done twice: it {what} {} before, and now {} once more",
            moved.request,
            moved.account,
            moved.delta.abs()
        ))
    }
}

impl Invariant for NoDoubleSpend {
    claim!(NoDoubleSpend);
}

/// L1: money is neither made nor lost.
#[derive(Clone)]
pub struct Conservation {
    postings: Values<Posting>,
    sum: i64,
}

impl Conservation {
    pub fn new(postings: Values<Posting>) -> Self {
        Conservation { postings, sum: 0 }
    }

    fn moved(&mut self, moved: &Move<'_>) -> Result<(), String> {
        self.sum += moved.delta;
        Ok(())
    }
}

impl Invariant for Conservation {
    fn ended(&mut self) -> Result<(), String> {
        match self.sum {
            0 => Ok(()),
            sum => Err(format!("all accounts together, {EXTERNAL} too, hold {sum}, not 0")),
        }
    }

    claim!(Conservation);
}

/// A request changes each balance by what it asks for, and by nothing else. Whoever writes a
/// balance that was read a while ago takes back what others did in between.
#[derive(Clone)]
pub struct AsAsked {
    requests: Values<LedgerRequest>,
    asked: BTreeMap<String, BTreeMap<String, i64>>,
}

impl AsAsked {
    pub fn new(requests: Values<LedgerRequest>) -> Self {
        AsAsked { requests, asked: BTreeMap::new() }
    }
}

/// What a whole request does to each account of somebody's.
fn wanted(action: &Action) -> Vec<(&str, i64)> {
    match action {
        Action::Fund { account, amount } => vec![(account, *amount)],
        Action::Spend { account, amount, .. } => vec![(account, -amount)],
        Action::Transfer { from, to, amount } => vec![(from, -amount), (to, *amount)],
        Action::Credit { .. } => Vec::new(),
    }
}

impl Invariant for AsAsked {
    fn name(&self) -> &str {
        "AsAsked"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        // What is malformed is done by nobody.
        if let Some(request) = self.requests.expect(visible)? {
            let asked = self.asked.entry(request.id.clone()).or_default();
            for (account, delta) in wanted(&request.action) {
                asked.insert(balance_key(account).to_string(), delta);
            }
        }
        Ok(())
    }

    fn noted(&mut self, event: &Event) -> Result<(), String> {
        let Some(applied) = applied(event) else { return Ok(()) };
        let Some(asked) = self.asked.get(&*applied.id) else { return Ok(()) };
        for change in applied.changes.iter() {
            let Some(wanted) = asked.get(&*change.key) else { continue };
            if change.delta != *wanted {
                return Err(format!(
                    "request {} asks for {wanted:+} on {}, and the store has gone from {} to {} \
                     ({:+}): what another request did in between is undone",
                    applied.id,
                    change.key,
                    change.balance - change.delta,
                    change.balance,
                    change.delta
                ));
            }
        }
        Ok(())
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
