//! Requests, postings and receipts.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::client::app::format::Format;

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRequest {
    /// The same each time that it is asked for.
    pub id: String,
    #[serde(flatten)]
    pub action: Action,
}

/// What moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Action {
    /// Money comes in from outside. The request's id is the funding's.
    Fund {
        account: String,
        amount: i64,
    },
    /// Money goes out, up to what a funding of the account has left, if one is named.
    Spend {
        account: String,
        amount: i64,
        funding: Option<String>,
    },
    Transfer {
        from: String,
        to: String,
        amount: i64,
    },
    /// The second half of a transfer, which the ledger asks of itself.
    Credit {
        account: String,
        amount: i64,
    },
}

impl LedgerRequest {
    /// The account whose writer must take it: the key of its record.
    #[must_use]
    pub fn account(&self) -> &str {
        match &self.action {
            Action::Fund { account, .. }
            | Action::Spend { account, .. }
            | Action::Credit { account, .. } => account,
            Action::Transfer { from, .. } => from,
        }
    }
}

/// One leg of an accepted request. Those of one request and one step add up to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub request: String,
    /// An account, or [`EXTERNAL`](super::EXTERNAL) or [`TRANSIT`](super::TRANSIT), which have no
    /// limit.
    pub account: String,
    pub delta: i64,
    /// Of the account after it, as its writer has it.
    pub balance: Option<i64>,
    /// What the spent money came from, if that was said.
    pub funding: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub request: String,
    pub accepted: bool,
}

/// How each of these is written.
#[derive(Clone, Debug)]
pub struct Formats {
    pub requests: Format<LedgerRequest>,
    pub postings: Format<Posting>,
    pub receipts: Format<Receipt>,
}

impl Formats {
    #[must_use]
    pub fn json() -> Self {
        Formats { requests: Format::json(), postings: Format::json(), receipts: Format::json() }
    }
}
