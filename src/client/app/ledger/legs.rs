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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_may_be_overdrawn_by_its_limit_and_what_it_gets_has_none() {
        let (account, amount) = ("a".into(), 5);
        let spend = Action::Spend { account, amount, funding: Some("f".into()) };
        let transfer = Action::Transfer { from: "a".into(), to: "b".into(), amount };
        let floors = |action: &Action, limit| -> Vec<Option<i64>> {
            let request = LedgerRequest { id: "r".into(), action: action.clone() };
            legs(&request, limit, false).iter().map(|change| change.floor).collect()
        };
        for limit in [0, 30] {
            // A funding is never drawn on for more than it has.
            assert_eq!(floors(&spend, limit), [Some(-limit), Some(0), None]);
            assert_eq!(floors(&transfer, limit), [Some(-limit), None]);
        }
    }
}
