//! Whatever is in a ledger's topics can be read.

use seedlog::client::app::ledger::format::{LedgerRequest, Posting};

use crate::check::{Invariant, Values, Visible};

/// No request and no posting is malformed: what cannot be read is done by nobody.
#[derive(Clone)]
pub struct Readable {
    requests: Values<LedgerRequest>,
    postings: Values<Posting>,
    judged: u64,
}

impl Readable {
    pub fn new(requests: Values<LedgerRequest>, postings: Values<Posting>) -> Self {
        Readable { requests, postings, judged: 0 }
    }
}

impl Invariant for Readable {
    fn name(&self) -> &str {
        "Readable"
    }

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        let is_request = self.requests.expect(visible)?.is_some();
        let is_posting = self.postings.expect(visible)?.is_some();
        self.judged += u64::from(is_request || is_posting);
        Ok(())
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
