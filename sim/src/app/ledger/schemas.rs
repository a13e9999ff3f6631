//! Requests, postings and receipts as Avro.

use seedlog::client::app::ledger::format::{Formats, LedgerRequest, Posting, Receipt};

use crate::app::{Described, ValueFormat};

/// Each action's fields, those of other actions null: as flat as in JSON.
impl Described for LedgerRequest {
    const SCHEMA: &'static str = r#"{"type": "record", "name": "LedgerRequest", "fields": [
        {"name": "id", "type": "string"},
        {"name": "kind", "type": "string"},
        {"name": "account", "type": ["null", "string"], "default": null},
        {"name": "from", "type": ["null", "string"], "default": null},
        {"name": "to", "type": ["null", "string"], "default": null},
        {"name": "amount", "type": "long"},
        {"name": "funding", "type": ["null", "string"], "default": null}]}"#;
}

impl Described for Posting {
    const SCHEMA: &'static str = r#"{"type": "record", "name": "Posting", "fields": [
        {"name": "request", "type": "string"},
        {"name": "account", "type": "string"},
        {"name": "delta", "type": "long"},
        {"name": "balance", "type": ["null", "long"], "default": null},
        {"name": "funding", "type": ["null", "string"], "default": null}]}"#;
}

impl Described for Receipt {
    const SCHEMA: &'static str = r#"{"type": "record", "name": "Receipt", "fields": [
        {"name": "request", "type": "string"},
        {"name": "accepted", "type": "boolean"}]}"#;
}

/// The formats of a ledger's values.
pub fn formats(format: ValueFormat) -> Formats {
    Formats { requests: format.of(), postings: format.of(), receipts: format.of() }
}

#[cfg(test)]
mod tests {
    use seedlog::client::app::ledger::format::Action;

    use super::*;

    #[test]
    fn every_value_survives_its_own_bytes() {
        let of = |format: ValueFormat| {
            let formats = formats(format);
            let (account, amount) = ("a".to_owned(), i64::MIN);
            let actions = [
                Action::Fund { account: account.clone(), amount },
                Action::Spend { account: account.clone(), amount, funding: None },
                Action::Spend { account: account.clone(), amount, funding: Some("f".into()) },
                Action::Transfer { from: account.clone(), to: "b".into(), amount },
                Action::Credit { account: account.clone(), amount },
            ];
            for action in actions {
                let request = LedgerRequest { id: "q1".into(), action };
                let bytes = formats.requests.encode(&request);
                assert_eq!(formats.requests.decode(Some(&bytes)), Ok(request), "{format:?}");
            }
            for (balance, funding) in [(None, None), (Some(-3), Some("f".to_owned()))] {
                let (request, account) = ("q1".into(), account.clone());
                let posting = Posting { request, account, delta: -1, balance, funding };
                let bytes = formats.postings.encode(&posting);
                assert_eq!(formats.postings.decode(Some(&bytes)), Ok(posting), "{format:?}");
            }
            let receipt = Receipt { request: "q1".into(), accepted: true };
            let bytes = formats.receipts.encode(&receipt);
            assert_eq!(formats.receipts.decode(Some(&bytes)), Ok(receipt), "{format:?}");
        };
        ValueFormat::TYPED.iter().for_each(|format| of(*format));
    }
}
