//! Whatever is in a ledger's topics can be read.

use seedlog::client::app::ledger::format::{LedgerRequest, Posting};

use crate::check::{Invariant, Values, Visible};

/// No request and no posting is malformed: what cannot be read is done by nobody.
#[derive(Clone)]
pub struct Readable {
    pub requests: Values<LedgerRequest>,
    pub postings: Values<Posting>,
}

impl Invariant for Readable {
    fn name(&self) -> &str {
        "Readable"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        self.requests.expect(visible)?;
        self.postings.expect(visible)?;
        Ok(())
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
