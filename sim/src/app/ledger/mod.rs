//! `kind = "ledger"`: money, in one of three designs, what it is asked for, and what must stay
//! true.

mod claims;
mod feed;
mod schemas;

use std::sync::Arc;

use seedlog::client::app::ledger::{Design, Ledger, LedgerSetup};
use seedlog::config::{Delivery, Setting as _};
use seedlog::ids::TopicName;
use seedlog::machine::Effects;

use super::{AppKind, AppTable, Begin, HostSetup, HostedApp, Refusal, ValueFormat, host, number};
use crate::check::{DeterministicFold, Invariant, LedgerCycles, Reader, Values};
use claims::{
    Conservation, FundingLimit, NoDoubleSpend, NoOverdraft, Promised, Readable, Receipts,
    WholeUnits,
};
pub use feed::LedgerFeed;
use schemas::formats;

/// Its first input are requests; its outputs postings, and receipts if there are two.
#[derive(Clone)]
pub struct LedgerKind {
    design: Design,
    limit: i64,
}

impl Default for LedgerKind {
    fn default() -> Self {
        LedgerKind { design: Design::Transactions, limit: 0 }
    }
}

impl AppKind for LedgerKind {
    fn keys(&self) -> &'static [&'static str] {
        &["design", "limit"]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "limit" => self.limit = number(value)?,
            _ => {
                let wrong = |known| format!("expected {known}, found {value:?}");
                self.design = Design::parse(value).map_err(wrong)?;
            }
        }
        Ok(())
    }

    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn needs_output(&self) -> bool {
        true
    }

    fn wants_store(&self) -> bool {
        self.design != Design::Transactions
    }

    fn delivery(&self) -> Option<Delivery> {
        Some(match self.design {
            Design::CheckThenAct | Design::AtomicApply => Delivery::AtLeastOnce,
            Design::Transactions => Delivery::ExactlyOnce,
        })
    }

    fn refuses(&self, table: &AppTable) -> Option<Refusal> {
        let lacks = self.design == Design::Transactions && table.changelog.is_none();
        let cure = "name a topic with as many partitions as its input has";
        lacks.then(|| ("changelog", "transactions keep balances in a changelog".into(), cure))
    }

    /// It asks itself for the second halves of transfers.
    fn writes(&self, table: &AppTable) -> Vec<TopicName> {
        table.input.clone()
    }

    fn invariants(&self, table: &AppTable) -> Vec<Box<dyn Invariant>> {
        let formats = formats(table.format);
        let requests = Values::new(table.input[0].clone(), formats.requests);
        let postings = Values::new(table.output[0].clone(), formats.postings);
        let reader = || Reader::new(requests.clone(), postings.clone());
        // Of what one event breaks, the first is told: the plainest.
        let mut all: Vec<Box<dyn Invariant>> = vec![
            Box::new(Readable::new(requests.clone(), postings.clone())),
            Box::new(NoDoubleSpend::new(reader())),
            Box::new(FundingLimit::new(reader())),
            Box::new(NoOverdraft::new(reader(), self.limit)),
            Box::new(LedgerCycles::new(reader())),
            Box::new(Conservation::new(reader())),
            Box::new(DeterministicFold::new(reader(), table.changelog.clone())),
        ];
        if self.design == Design::Transactions {
            all.push(Box::new(WholeUnits::new(reader())));
        }
        if let Some(receipts) = table.output.get(1) {
            let promised = Promised {
                group: Arc::clone(&table.group),
                limit: self.limit,
                once: self.design == Design::Transactions,
            };
            let receipts = Values::new(receipts.clone(), formats.receipts);
            all.push(Box::new(Receipts::new(reader(), requests.clone(), receipts, promised)));
        }
        all
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        let ledger = Ledger::new(LedgerSetup {
            design: self.design,
            formats: formats(setup.table.format),
            requests: setup.table.input[0].clone(),
            postings: setup.output(),
            receipts: setup.table.output.get(1).cloned(),
            limit: self.limit,
            defects: setup.defects,
        });
        host(setup, ledger, begin, out)
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}
