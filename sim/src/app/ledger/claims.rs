//! What must stay true of money: L1, L2 and L3 of the ledger, by what its store has applied, or by
//! its committed postings; and of what it tells those who ask, A2.

mod conservation;
mod overdraft;
mod readable;
mod receipts;
mod spends;

pub use conservation::Conservation;
pub use overdraft::NoOverdraft;
pub use readable::Readable;
pub use receipts::{Promised, Receipts};
pub use spends::{FundingLimit, NoDoubleSpend};

/// What all claims do alike: each looks at one change of one account after the other.
macro_rules! claim {
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

        fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
            self.reader.visible(visible).map_or(Ok(()), |posted| self.moved(&posted))
        }

        fn noted(&mut self, event: &Event, at: Instant) -> Result<(), String> {
            self.reader.noted(event, at).iter().try_for_each(|posted| self.moved(posted))
        }

        fn clone_box(&self) -> Box<dyn Invariant> {
            Box::new(self.clone())
        }
    };
}
use claim;
