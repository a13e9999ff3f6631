//! A2 of a ledger: each request is answered, and its receipts say what was done for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seedlog::client::app::ledger::format::{Action, LedgerRequest, Receipt};
use seedlog::client::app::ledger::{EXTERNAL, TRANSIT};
use seedlog::event::{Event, OffsetNote};
use seedlog::ids::{Offset, TopicName};
use seedlog::time::Instant;

use crate::check::{Check, Invariant, Posted, Reader, Values, Visible, identity};

/// What a ledger promises to whoever asks it for something.
#[derive(Clone)]
pub struct Promised {
    /// Its group.
    pub group: Arc<str>,
    /// How far an account may be overdrawn.
    pub limit: i64,
    /// No request is accepted by two receipts.
    pub once: bool,
}

/// Every request gets a receipt. Accepted are those that were done, and no others; refused is only
/// what an account, or a funding, could not pay at some point since it was asked for.
#[derive(Clone)]
pub struct Receipts {
    reader: Reader,
    requests: Values<LedgerRequest>,
    receipts: Values<Receipt>,
    promised: Promised,
    asked: BTreeMap<Arc<str>, Asked>,
    balances: BTreeMap<Arc<str>, i64>,
    /// What is left of each funding, by account and request.
    left: BTreeMap<(Arc<str>, Arc<str>), i64>,
    /// By account: what is neither done, nor was there a time at which it could not be paid.
    payable: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Has receipts that are not judged: what they tell of may not be visible yet.
    fresh: BTreeSet<Arc<str>>,
    /// Up to where the group has read its requests.
    committed: BTreeMap<i32, Offset>,
    judged: u64,
}

/// A request, and what is seen of it.
#[derive(Clone)]
struct Asked {
    action: Action,
    /// Where it was sent last.
    at: (i32, Offset),
    is_payable: bool,
    is_done: bool,
    accepted: u64,
    refused: u64,
}

/// What a request takes: of which account, out of which funding, how much.
fn taken(action: &Action) -> Option<(&str, Option<&str>, i64)> {
    match action {
        Action::Spend { account, amount, funding } => Some((account, funding.as_deref(), *amount)),
        Action::Transfer { from, amount, .. } => Some((from, None, *amount)),
        Action::Fund { .. } | Action::Credit { .. } => None,
    }
}

/// Whether a request is one at all: others are refused.
fn is_sound(action: &Action) -> bool {
    match action {
        Action::Fund { amount, .. }
        | Action::Spend { amount, .. }
        | Action::Credit { amount, .. } => *amount > 0,
        Action::Transfer { from, to, amount } => *amount > 0 && from != to,
    }
}

impl Receipts {
    pub fn new(
        reader: Reader,
        requests: Values<LedgerRequest>,
        receipts: Values<Receipt>,
        promised: Promised,
    ) -> Self {
        Receipts {
            reader,
            requests,
            receipts,
            promised,
            asked: BTreeMap::new(),
            balances: BTreeMap::new(),
            left: BTreeMap::new(),
            payable: BTreeMap::new(),
            fresh: BTreeSet::new(),
            committed: BTreeMap::new(),
            judged: 0,
        }
    }

    /// Whether what a request takes is there now.
    fn can_pay(&self, action: &Action) -> bool {
        let Some((account, funding, amount)) = taken(action) else { return is_sound(action) };
        let balance = self.balances.get(account).copied().unwrap_or(0);
        let left = funding.map(|id| {
            let key = (Arc::from(account), Arc::from(id));
            self.left.get(&key).copied().unwrap_or(0)
        });
        let is_covered = balance - amount >= -self.promised.limit;
        is_sound(action) && is_covered && left.is_none_or(|left| left >= amount)
    }

    fn requested(&mut self, request: LedgerRequest, at: (i32, Offset)) {
        // The second half of a transfer is the ledger's own.
        if matches!(request.action, Action::Credit { .. }) {
            return;
        }
        let id: Arc<str> = request.id.into();
        if let Some(known) = self.asked.get_mut(&id) {
            known.at = at;
            return;
        }
        let is_payable = self.can_pay(&request.action);
        if let (true, Some((account, ..))) = (is_payable, taken(&request.action)) {
            self.payable.entry(account.into()).or_default().insert(Arc::clone(&id));
        }
        let (is_done, accepted, refused) = (false, 0, 0);
        let action = request.action;
        self.asked.insert(id, Asked { action, at, is_payable, is_done, accepted, refused });
    }

    fn moved(&mut self, posted: &Posted) {
        let Posted { request, account, delta, .. } = posted;
        if matches!(&**account, EXTERNAL | TRANSIT) {
            return;
        }
        *self.balances.entry(Arc::clone(account)).or_insert(0) += delta;
        if matches!(posted.action, Some(Action::Fund { .. })) {
            *self.left.entry((Arc::clone(account), Arc::clone(request))).or_insert(0) += delta;
        }
        if let Some(funding) = posted.funding.as_ref().filter(|_| *delta < 0) {
            *self.left.entry((Arc::clone(account), Arc::clone(funding))).or_insert(0) += delta;
        }
        if let Some(asked) = self.asked.get_mut(request) {
            asked.is_done = true;
        }
        let Some(mut payable) = self.payable.remove(account) else { return };
        payable.remove(request);
        payable.retain(|id| {
            let still = self.can_pay(&self.asked[id].action);
            if let (false, Some(asked)) = (still, self.asked.get_mut(id)) {
                asked.is_payable = false;
            }
            still
        });
        self.payable.insert(Arc::clone(account), payable);
    }

    fn received(&mut self, receipt: Receipt, visible: &Visible<'_>) -> Result<(), String> {
        let id: Arc<str> = receipt.request.into();
        self.fresh.insert(Arc::clone(&id));
        let Some(asked) = self.asked.get_mut(&id) else { return Ok(()) };
        if !receipt.accepted {
            asked.refused += 1;
            return Ok(());
        }
        asked.accepted += 1;
        if !self.promised.once || asked.accepted == 1 {
            return Ok(());
        }
        let Visible { topic, partition, record, .. } = visible;
        let offset = record.offset;
        Err(format!(
            "request {id} has a second receipt as accepted, at {topic}-{partition} offset {offset}"
        ))
    }

    fn judge(&mut self, id: &str) -> Result<(), String> {
        self.judged += 1;
        let Some(asked) = self.asked.get(id) else {
            return Err(format!("there is a receipt for request {id}, which nobody has sent"));
        };
        let Asked { ref action, is_payable, is_done, accepted, refused, .. } = *asked;
        if accepted > 0 && !is_done {
            return Err(format!("request {id} has a receipt as accepted, and nothing was done"));
        }
        if refused == 0 || !is_payable {
            return Ok(());
        }
        let (account, funding, amount) = match (action, taken(action)) {
            (_, Some(taken)) => taken,
            (Action::Fund { account, amount }, None) => (&**account, None, -amount),
            (_, None) => return Ok(()),
        };
        let has = self.balances.get(account).copied().unwrap_or(0);
        let of = funding.map_or_else(String::new, |id| format!(", out of funding {id}"));
        Err(format!(
            "request {id} has a receipt as refused, but nothing stood against it since it was \
             asked for: it takes {amount} of {account}{of}, which has {has} now"
        ))
    }

    /// All that has a receipt.
    fn judge_fresh(&mut self) -> Result<(), String> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.iter().try_for_each(|id| self.judge(id))
    }

    fn read_up_to(&mut self, note: &OffsetNote, topic: &TopicName) {
        if note.group == self.promised.group && note.topic == *topic {
            let committed = self.committed.entry(note.partition).or_insert(Offset::ZERO);
            *committed = (*committed).max(note.offset);
        }
    }
}

impl Invariant for Receipts {
    identity!(Receipts, ExactlyOnce);

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        if let Some(posted) = self.reader.visible(visible) {
            self.moved(&posted);
        }
        if let Some(Ok(request)) = self.requests.read(visible) {
            self.requested(request, (visible.partition, visible.record.offset));
        }
        match self.receipts.expect(visible)? {
            Some(receipt) => self.received(receipt, visible),
            None => Ok(()),
        }
    }

    fn noted(&mut self, event: &Event, at: Instant) -> Result<(), String> {
        self.reader.noted(event, at).iter().for_each(|posted| self.moved(posted));
        if let Event::OffsetCommitted(note) = event {
            let topic = self.requests.topic.clone();
            self.read_up_to(note, &topic);
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), String> {
        self.judge_fresh()
    }

    fn ended(&mut self) -> Result<(), String> {
        self.judge_fresh()?;
        for (id, asked) in &self.asked {
            let (partition, offset) = asked.at;
            if self.committed.get(&partition).is_none_or(|committed| *committed <= offset) {
                continue;
            }
            self.judged += 1;
            let Asked { is_done, accepted, refused, .. } = *asked;
            if is_done && accepted == 0 {
                return Err(format!("request {id} was done, and has no receipt as accepted"));
            }
            if accepted + refused == 0 {
                return Err(format!(
                    "request {id} has no receipt, although it lies at {}-{partition} offset \
                     {offset}, which group {} has done with",
                    self.requests.topic, self.promised.group
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use seedlog::client::app::format::Format;

    use super::*;
    use crate::check::testing::{Shown, fund, reader, requests, spend};

    fn shown() -> Shown<Receipts> {
        let receipts = Values::new("receipts", Format::json());
        let promised = Promised { group: "ledger".into(), limit: 0, once: true };
        let mut shown = Shown::new(Receipts::new(reader(), requests(), receipts, promised));
        shown.asks("f", fund("a", 100));
        shown.asks("s", spend("a", 60, None));
        shown
    }

    fn receipt(shown: &mut Shown<Receipts>, id: &str, accepted: bool) -> Result<(), String> {
        let receipt = Receipt { request: id.into(), accepted };
        shown.visible("receipts", Format::json().encode(&receipt))?;
        shown.invariant.cut()
    }

    #[test]
    fn what_is_accepted_and_done_and_what_is_refused_and_could_not_be_paid_is_right() {
        let mut shown = shown();
        assert_eq!(receipt(&mut shown, "s", false), Ok(()), "before the funding");
        assert_eq!(shown.posts("f", "a", 100), Ok(()));
        assert_eq!(receipt(&mut shown, "f", true), Ok(()));
        shown.commits("ledger", 2);
        assert_eq!(shown.invariant.ended(), Ok(()));
        assert_eq!(shown.invariant.judged(), Some(4));
    }

    #[test]
    fn a2_a_receipt_that_says_the_contrary() {
        let mut shown = shown();
        let told = "request f has a receipt as accepted, and nothing was done";
        assert_eq!(receipt(&mut shown.clone(), "f", true), Err(told.into()));
        assert_eq!(shown.posts("f", "a", 100), Ok(()));
        let told = "request f has a receipt as refused, but nothing stood against it since it was \
                    asked for: it takes -100 of a, which has 100 now";
        assert_eq!(receipt(&mut shown, "f", false), Err(told.into()));
    }

    #[test]
    fn a2_a_receipt_for_nothing() {
        let told = "there is a receipt for request x, which nobody has sent";
        assert_eq!(receipt(&mut shown(), "x", true), Err(told.into()));
    }

    #[test]
    fn a2_a_refusal_of_what_could_be_paid_all_the_time() {
        let mut shown = shown();
        assert_eq!(shown.posts("f", "a", 100), Ok(()));
        shown.asks("t", spend("a", 60, None));
        let told = "request t has a receipt as refused, but nothing stood against it since it was \
                    asked for: it takes 60 of a, which has 100 now";
        assert_eq!(receipt(&mut shown.clone(), "t", false), Err(told.into()));
        // Another one took the money before it was decided.
        assert_eq!(shown.posts("s", "a", -60), Ok(()));
        assert_eq!(receipt(&mut shown, "t", false), Ok(()));
    }

    #[test]
    fn a2_a_request_without_a_receipt_and_one_with_two() {
        let mut shown = shown();
        assert_eq!(shown.posts("f", "a", 100), Ok(()));
        assert_eq!(receipt(&mut shown, "f", true), Ok(()));
        let told = "request f has a second receipt as accepted, at receipts-0 offset 4";
        assert_eq!(receipt(&mut shown.clone(), "f", true), Err(told.into()));
        shown.commits("ledger", 1);
        assert_eq!(shown.invariant.clone().ended(), Ok(()), "nobody has come to the other one");
        shown.commits("ledger", 2);
        let told = "request s has no receipt, although it lies at requests-0 offset 1, which group \
                    ledger has done with";
        assert_eq!(shown.invariant.ended(), Err(told.into()));
    }
}
