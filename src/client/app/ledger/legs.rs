//! What a request does to which account.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::app::ledger::format::{Action, LedgerRequest};
use crate::message::store::Change;

/// The account that stands for the world outside.
pub const EXTERNAL: &str = "external";
/// The account of what has left one account and not come to the other.
pub const TRANSIT: &str = "transit";

/// The key of an account's balance, in the store and in the state.
#[must_use]
pub fn balance_key(account: &str) -> Arc<str> {
    format!("balance:{account}").into()
}

/// The account of such a key.
pub(super) fn account_of(key: &str) -> Option<&str> {
    key.strip_prefix("balance:")
}

/// What a funding of an account has left: nobody else can draw on it.
fn funding_key(account: &str, funding: &str) -> Arc<str> {
    format!("funding:{account}:{funding}").into()
}

/// All changes of a request, those with a limit first. With `halves` a transfer is its first half
/// only; otherwise it is whole.
pub(super) fn legs(request: &LedgerRequest, limit: i64, halves: bool) -> Vec<Change> {
    let change = |key, delta, floor| Change { key, delta, floor };
    let plain = |account: &str, delta: i64| change(balance_key(account), delta, None);
    let limited = |account: &str, delta: i64| change(balance_key(account), delta, Some(-limit));
    match &request.action {
        Action::Fund { account, amount } => [
            plain(EXTERNAL, -amount),
            plain(account, *amount),
            change(funding_key(account, &request.id), *amount, None),
        ]
        .into(),
        Action::Spend { account, amount, funding } => {
            let left = |id: &String| change(funding_key(account, id), -amount, Some(0));
            let drawn = funding.as_ref().map(left);
            let legs = [limited(account, -amount)].into_iter().chain(drawn);
            legs.chain([plain(EXTERNAL, *amount)]).collect()
        }
        Action::Transfer { from, to, amount } => {
            let to = if halves { TRANSIT } else { to };
            [limited(from, -amount), plain(to, *amount)].into()
        }
        Action::Credit { account, amount } => {
            [plain(TRANSIT, -amount), plain(account, *amount)].into()
        }
    }
}

/// Whether a request is one at all: nothing moves backwards, or to where it is.
pub(super) fn is_sound(request: &LedgerRequest) -> bool {
    match &request.action {
        Action::Fund { amount, .. }
        | Action::Spend { amount, .. }
        | Action::Credit { amount, .. } => *amount > 0,
        Action::Transfer { from, to, amount } => *amount > 0 && from != to,
    }
}
