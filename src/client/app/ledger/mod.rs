//! Accounts that money moves between: no overdraft, no double spend, no money made or lost.
//!
//! One interface, [`Ledger`], and three [`Design`]s behind it, so that their failures can be shown:
//!
//! - `naive`: reads balances from the store, decides, writes them back;
//! - `atomic`: the store checks and applies all legs, and keeps the request's id, in one unit (the
//!   contract of a script in Redis); its fencing token keeps out who lost the partition;
//! - `transactions`: balances are state of one partition each, kept in a changelog; postings,
//!   changelog and position are one transaction. Money on its way to an account of another
//!   partition lies on the account [`TRANSIT`].
//!
//! [`format`] is what requests and postings look like; `legs` what a request does to whom.

mod atomic;
pub mod format;
mod legs;
mod naive;
#[cfg(test)]
mod tests;
mod transactions;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::format::{Action, Formats, LedgerRequest, Receipt};
pub use self::legs::{EXTERNAL, TRANSIT, balance_key};
use crate::client::app::processor::{Context, Processor};
use crate::config::Setting;
use crate::defect::{Defect, Defects};
use crate::event::ApplicationNote;
use crate::ids::{Offset, TopicName};
use crate::message::store::{StoreRequest, StoreResponse};
use crate::op::{ConsumedRecord, SendRecord};
use crate::time::Duration;

/// When a request comes again that the store has not answered.
const AGAIN: Duration = Duration::from_millis(100);

/// How a ledger keeps its promises, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Design {
    CheckThenAct,
    AtomicApply,
    Transactions,
}

impl Setting for Design {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "check-then-act" => Ok(Design::CheckThenAct),
            "atomic-apply" => Ok(Design::AtomicApply),
            "transactions" => Ok(Design::Transactions),
            _ => Err("one of: check-then-act atomic-apply transactions"),
        }
    }

    fn print(&self) -> alloc::string::String {
        match self {
            Design::CheckThenAct => "check-then-act",
            Design::AtomicApply => "atomic-apply",
            Design::Transactions => "transactions",
        }
        .into()
    }
}

/// What a ledger is made with.
#[derive(Clone, Debug)]
pub struct LedgerSetup {
    pub design: Design,
    pub formats: Formats,
    /// The input. With transactions its key must be [`LedgerRequest::account`], so that each
    /// account has one writer.
    pub requests: TopicName,
    /// Where the legs of accepted requests go, with transactions. The other designs' truth is in
    /// the store.
    pub postings: TopicName,
    /// What became of each request.
    pub receipts: Option<TopicName>,
    /// How far an account may be overdrawn.
    pub limit: i64,
    pub defects: Defects,
}

/// The ledger's processor.
#[derive(Clone, Debug)]
pub struct Ledger {
    setup: Arc<LedgerSetup>,
    /// Numbers that the naive design has read, by record.
    read: BTreeMap<(i32, Offset), Vec<i64>>,
    /// Legs that a split posting has left for later.
    held: Vec<SendRecord>,
}

impl Ledger {
    #[must_use]
    pub fn new(setup: LedgerSetup) -> Self {
        Ledger { setup: Arc::new(setup), read: BTreeMap::new(), held: Vec::new() }
    }

    fn design(&self) -> Design {
        match self.setup.design {
            // A balance that was read is old when it is written: the check belongs to where it is
            // applied, or to the account's only writer (write skew).
            Design::AtomicApply if self.setup.defects.has(Defect::LedgerCheckThenAct) => {
                Design::CheckThenAct
            }
            design @ (Design::CheckThenAct | Design::AtomicApply | Design::Transactions) => design,
        }
    }

    /// Tells what became of a request.
    fn conclude(
        &self,
        record: &ConsumedRecord,
        request: &LedgerRequest,
        accepted: bool,
        context: &mut Context<'_>,
    ) {
        // A transfer has its receipt with its first half; the second the ledger asks of itself.
        if matches!(request.action, Action::Credit { .. }) {
            return;
        }
        let Some(topic) = self.setup.receipts.clone() else { return };
        let receipt = Receipt { request: request.id.clone(), accepted };
        context.emit(SendRecord {
            topic,
            partition: None,
            key: record.key.clone(),
            value: Some(self.setup.formats.receipts.encode(&receipt)),
            headers: Vec::new(),
            timestamp: None,
        });
    }

    fn duplicate(&self, request: &LedgerRequest, context: &mut Context<'_>) {
        let (group, id) = (Arc::clone(context.group()), request.id.as_str().into());
        context.note(ApplicationNote::Duplicate { group, id });
    }
}

impl Processor for Ledger {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        // What is no request is nobody's money.
        let Some(request) = context.read(record, &self.setup.formats.requests) else { return };
        match self.design() {
            Design::CheckThenAct => self.begin_reading(record, &request, context),
            Design::AtomicApply => self.apply(record, &request, context),
            Design::Transactions => self.post(record, &request, context),
        }
    }

    fn answered(
        &mut self,
        record: &ConsumedRecord,
        asked: &StoreRequest,
        response: &StoreResponse,
        context: &mut Context<'_>,
    ) {
        let Some(request) = context.read(record, &self.setup.formats.requests) else { return };
        match self.design() {
            Design::CheckThenAct => self.go_on(record, &request, asked, response, context),
            Design::AtomicApply => self.applied(record, &request, asked, response, context),
            Design::Transactions => panic!("transactions ask no store"),
        }
    }
}
