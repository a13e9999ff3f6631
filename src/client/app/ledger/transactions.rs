//! By transactions: each account has one writer, the owner of its partition, with the balance in
//! its state.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::client::app::ledger::Ledger;
use crate::client::app::ledger::format::{Action, LedgerRequest, Posting};
use crate::client::app::ledger::legs::{EXTERNAL, TRANSIT, account_of, is_sound, legs};
use crate::client::app::processor::Context;
use crate::defect::Defect;
use crate::ids::TopicName;
use crate::message::store::Change;
use crate::op::{ConsumedRecord, SendRecord};

impl Ledger {
    pub(super) fn post(
        &mut self,
        record: &ConsumedRecord,
        request: &LedgerRequest,
        context: &mut Context<'_>,
    ) {
        core::mem::take(&mut self.held).into_iter().for_each(|posting| context.emit(posting));
        if !is_sound(request) {
            return self.conclude(record, request, false, context);
        }
        let done = done_key(request);
        if context.get(&done).is_some() {
            return self.duplicate(request, context);
        }
        let legs = legs(request, self.setup.limit, true);
        let falls = |leg: &Change| {
            leg.floor.is_some_and(|floor| number(context, &leg.key) + leg.delta < floor)
        };
        if legs.iter().any(falls) {
            return self.conclude(record, request, false, context);
        }
        context.set(done, Some(Bytes::from_static(b"1")));
        let mut postings = Vec::new();
        for leg in &legs {
            let balance = self.keep(leg, context);
            postings.extend(self.posting(request, leg, balance));
        }
        // Debit and credit are one transaction, or an abort between them makes or loses money.
        if self.setup.defects.has(Defect::LedgerSplitLegs) {
            self.held = postings.split_off(1);
        }
        postings.into_iter().for_each(|posting| context.emit(posting));
        if let Action::Transfer { to, amount, .. } = &request.action {
            let action = Action::Credit { account: to.clone(), amount: *amount };
            let credit = LedgerRequest { id: request.id.clone(), action };
            let credit = self.setup.formats.requests.encode(&credit);
            context.emit(send(&self.setup.requests, to, credit));
        }
        self.conclude(record, request, true, context);
    }

    /// Changes a number of the state; none of the accounts that everybody writes.
    fn keep(&self, leg: &Change, context: &mut Context<'_>) -> Option<i64> {
        if matches!(account_of(&leg.key), Some(EXTERNAL | TRANSIT)) {
            return None;
        }
        let number = number(context, &leg.key) + leg.delta;
        context.set(key(&leg.key), Some(Bytes::from(number.to_string())));
        Some(number)
    }

    fn posting(
        &self,
        request: &LedgerRequest,
        leg: &Change,
        balance: Option<i64>,
    ) -> Option<SendRecord> {
        let account = account_of(&leg.key)?;
        let funding = match &request.action {
            Action::Spend { funding, .. } if leg.delta < 0 => funding.clone(),
            Action::Spend { .. }
            | Action::Fund { .. }
            | Action::Transfer { .. }
            | Action::Credit { .. } => None,
        };
        let posting = Posting {
            request: request.id.clone(),
            account: account.into(),
            delta: leg.delta,
            balance,
            funding,
        };
        let value = self.setup.formats.postings.encode(&posting);
        Some(send(&self.setup.postings, account, value))
    }
}

/// Under which key the state keeps that a request was accepted; the two halves of a transfer may be
/// of one partition.
fn done_key(request: &LedgerRequest) -> Bytes {
    let half = match request.action {
        Action::Credit { .. } => "credit",
        Action::Fund { .. } | Action::Spend { .. } | Action::Transfer { .. } => "request",
    };
    Bytes::from(alloc::format!("{half}:{}", request.id))
}

fn key(name: &Arc<str>) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

/// A number of the state; 0 if there is none.
fn number(context: &Context<'_>, name: &Arc<str>) -> i64 {
    let text = context.get(name.as_bytes()).and_then(|value| core::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn send(topic: &TopicName, key: &str, value: Bytes) -> SendRecord {
    SendRecord {
        topic: topic.clone(),
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(value),
        headers: Vec::new(),
        timestamp: None,
    }
}
