//! What must stay true of money: L1, L2 and L3 of the ledger, by what its store has applied, or by
//! its committed postings; and of what it tells those who ask, A2.

mod conservation;
mod overdraft;
mod readable;
mod receipts;
mod spends;
mod units;

pub use conservation::Conservation;
pub use overdraft::NoOverdraft;
pub use readable::Readable;
pub use receipts::{Promised, Receipts};
pub use spends::{FundingLimit, NoDoubleSpend};
pub use units::WholeUnits;
