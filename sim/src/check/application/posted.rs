//! What is done for a ledger's requests, as its store notes it, or as its postings say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use seedlog::client::app::ledger::EXTERNAL;
use seedlog::client::app::ledger::format::{Action, LedgerRequest, Posting};
use seedlog::event::{ApplicationNote, AppliedNote, Event};
use seedlog::ids::{Offset, TopicName};
use seedlog::time::{Instant, millis};

use super::{Values, Visible};

/// By whom something was done, or where it is written, and when.
#[derive(Clone, Debug)]
pub struct Trail {
    pub what: Place,
    /// Simulated time.
    pub at: Instant,
}

#[derive(Clone, Debug)]
pub enum Place {
    /// The application process that asked the store for it.
    Store { by: Arc<str> },
    /// The posting that says so.
    Log { topic: TopicName, partition: i32, offset: Offset },
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = millis(self.at.since(Instant::ZERO));
        let (seconds, rest) = (ms / 1_000, ms % 1_000);
        match &self.what {
            Place::Store { by } => write!(f, "by {by} at {seconds}.{rest:03}s"),
            Place::Log { topic, partition, offset } => write!(
                f,
                "at {topic}-{partition} offset {offset}, visible since {seconds}.{rest:03}s"
            ),
        }
    }
}

/// What was done to one account for a request.
#[derive(Clone, Debug)]
pub struct Posted {
    pub request: Arc<str>,
    /// What the request asks for as a whole, if that is known.
    pub action: Option<Action>,
    pub account: Arc<str>,
    /// What the request does to the account.
    pub delta: i64,
    /// What came of it: not the same if a balance is written over that has changed meanwhile.
    pub changed: i64,
    /// The balance after it, if its writer keeps one.
    pub left: Option<i64>,
    pub overwrites: bool,
    /// What the spent money comes from, if that was said.
    pub funding: Option<Arc<str>>,
    pub trail: Trail,
}

impl Posted {
    /// The balance that whoever did it had seen.
    #[must_use]
    pub fn read(&self) -> Option<i64> {
        self.left.map(|left| left - self.delta)
    }

    /// What the request is for.
    #[must_use]
    pub fn asked(&self) -> String {
        match &self.action {
            Some(Action::Fund { account, amount }) => format!("brings {amount} to {account}"),
            Some(Action::Spend { account, amount, funding: None }) => {
                format!("spends {amount} of {account}")
            }
            Some(Action::Spend { account, amount, funding: Some(funding) }) => {
                format!("spends {amount} of {account}, out of funding {funding}")
            }
            Some(Action::Transfer { from, to, amount }) => {
                format!("moves {amount} from {from} to {to}")
            }
            Some(Action::Credit { .. }) | None => {
                format!("changes {} by {:+}", self.account, self.delta)
            }
        }
    }
}

impl fmt::Display for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} ({}; {})", self.request, self.asked(), self.trail)
    }
}

/// Reads the topics of a ledger, and the notes of its store.
#[derive(Clone, Debug)]
pub struct Reader {
    requests: Values<LedgerRequest>,
    postings: Values<Posting>,
    asked: BTreeMap<Arc<str>, Action>,
    /// Who wrote last over each account's balance.
    writers: BTreeMap<Arc<str>, Arc<str>>,
}

/// What a request does to an account.
fn wanted(action: &Action, account: &str) -> Option<i64> {
    let sum = |sides: [(&str, i64); 2]| {
        sides.into_iter().find(|(name, _)| *name == account).map(|(_, delta)| delta)
    };
    match action {
        Action::Fund { account: to, amount } => sum([(EXTERNAL, -amount), (to, *amount)]),
        Action::Spend { account: from, amount, .. } => sum([(from, -amount), (EXTERNAL, *amount)]),
        Action::Transfer { from, to, amount } => sum([(from, -amount), (to, *amount)]),
        Action::Credit { .. } => None,
    }
}

impl Reader {
    #[must_use]
    pub fn new(requests: Values<LedgerRequest>, postings: Values<Posting>) -> Self {
        Reader { requests, postings, asked: BTreeMap::new(), writers: BTreeMap::new() }
    }

    /// Takes in a request, or gives what a posting says. What is malformed is done by nobody.
    pub fn visible(&mut self, visible: &Visible<'_>) -> Option<Posted> {
        if let Some(Ok(request)) = self.requests.read(visible) {
            self.requested(&request);
        }
        let posting = self.postings.read(visible)?.ok()?;
        Some(self.posted(posting, visible))
    }

    fn posted(&self, posting: Posting, visible: &Visible<'_>) -> Posted {
        let place = Place::Log {
            topic: visible.topic.clone(),
            partition: visible.partition,
            offset: visible.record.offset,
        };
        Posted {
            action: self.asked.get(&*posting.request).cloned(),
            request: posting.request.into(),
            account: posting.account.into(),
            delta: posting.delta,
            changed: posting.delta,
            left: posting.balance,
            overwrites: false,
            funding: posting.funding.map(Into::into),
            trail: Trail { what: place, at: visible.at },
        }
    }

    fn requested(&mut self, request: &LedgerRequest) {
        match &request.action {
            // A transfer's second half: the request has been seen.
            Action::Credit { .. } => {}
            action @ (Action::Fund { .. } | Action::Spend { .. } | Action::Transfer { .. }) => {
                self.asked.insert(request.id.as_str().into(), action.clone());
            }
        }
    }

    /// What a store has done in one unit.
    pub fn noted(&mut self, event: &Event, at: Instant) -> Vec<Posted> {
        let Event::Application(note) = event else { return Vec::new() };
        let ApplicationNote::Applied(applied) = &**note else { return Vec::new() };
        self.applied(applied, at)
    }

    fn applied(&mut self, applied: &AppliedNote, at: Instant) -> Vec<Posted> {
        let action = self.asked.get(&*applied.id);
        let mut found = Vec::new();
        for change in applied.changes.iter() {
            let Some(account) = change.key.strip_prefix("balance:") else { continue };
            if applied.overwrites {
                let writer = self.writers.insert(account.into(), Arc::clone(&applied.id));
                // It had no answer and writes the same once more: nothing has happened.
                if change.delta == 0 && writer.as_ref() == Some(&applied.id) {
                    continue;
                }
            }
            let delta = action.and_then(|action| wanted(action, account)).unwrap_or(change.delta);
            let funding = match action {
                Some(Action::Spend { funding, .. }) if delta < 0 => funding.as_deref(),
                Some(_) | None => None,
            };
            found.push(Posted {
                request: Arc::clone(&applied.id),
                action: action.cloned(),
                account: account.into(),
                delta,
                changed: change.delta,
                left: Some(change.balance),
                overwrites: applied.overwrites,
                funding: funding.map(Into::into),
                trail: Trail { what: Place::Store { by: Arc::clone(&applied.by) }, at },
            });
        }
        found
    }
}

/// Who a claim is: its name, the promise that it is part of, and how often it judged.
macro_rules! identity {
    ($name:ident, $check:ident) => {
        fn name(&self) -> &str {
            stringify!($name)
        }

        fn promise(&self) -> Check {
            Check::$check
        }

        fn judged(&self) -> Option<u64> {
            Some(self.judged)
        }

        fn clone_box(&self) -> Box<dyn Invariant> {
            Box::new(self.clone())
        }
    };
}
pub(crate) use identity;

/// What most claims do alike: each looks at one change of one account after the other.
macro_rules! claim {
    ($name:ident, $check:ident) => {
        $crate::check::identity!($name, $check);

        fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
            self.reader.visible(visible).map_or(Ok(()), |posted| self.moved(&posted))
        }

        fn noted(&mut self, event: &Event, at: Instant) -> Result<(), String> {
            self.reader.noted(event, at).iter().try_for_each(|posted| self.moved(posted))
        }
    };
}
pub(crate) use claim;
