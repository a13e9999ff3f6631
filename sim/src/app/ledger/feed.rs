//! Requests to a ledger.

use seedlog::client::app::format::Format;
use seedlog::client::app::ledger::format::{Action, LedgerRequest};
use seedlog::op::SendRecord;

use crate::app::{Feed, ValueFormat, keyed, number};
use crate::scenario::value::Ratio;
use crate::world::Draw;

/// Funds every account once, and then spends and transfers, with request ids that stay the same
/// however often a request is sent.
#[derive(Clone)]
pub struct LedgerFeed {
    accounts: u64,
    /// What an account is funded with.
    funds: i64,
    /// How many of the requests are transfers; the others spend.
    transfers: Ratio,
    /// First letters of its request ids: feeds of one ledger need different ones.
    prefix: String,
    format: Format<LedgerRequest>,
    made: u64,
}

impl Default for LedgerFeed {
    fn default() -> Self {
        LedgerFeed {
            accounts: 8,
            funds: 100,
            transfers: Ratio::new(1, 2),
            prefix: "q".into(),
            format: Format::json(),
            made: 0,
        }
    }
}

/// One request in so many brings new money.
const FUNDING: u64 = 8;

impl Feed for LedgerFeed {
    fn keys(&self) -> &'static [&'static str] {
        &["accounts", "funds", "transfers", "prefix"]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "accounts" => self.accounts = number(value)?,
            "funds" => self.funds = number(value)?,
            "prefix" => self.prefix = value.into(),
            _ => {
                let ratio = Ratio::parse(value);
                self.transfers = ratio.ok_or(format!("expected a probability, found {value:?}"))?;
            }
        }
        if self.accounts < 2 || self.funds < 2 {
            return Err("money moves between two accounts at least, two of it at least".into());
        }
        Ok(())
    }

    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn write_in(&mut self, format: ValueFormat) {
        self.format = format.of();
    }

    fn next(&mut self, dice: &mut dyn Draw) -> Option<SendRecord> {
        self.made += 1;
        let name = |number: u64| format!("account-{number}");
        let whom = dice.under(self.accounts);
        let (account, all) = (name(whom), self.funds);
        let action = if self.made <= self.accounts {
            Action::Fund { account: name(self.made - 1), amount: all }
        } else if dice.under(FUNDING) == 0 {
            Action::Fund { account, amount: all }
        } else {
            // More than half of what an account begins with: two of them are too much.
            let more = u64::try_from(all / 2).expect("funds are positive");
            let amount = all / 2 + i64::try_from(dice.under(more) + 1).expect("it is small");
            if dice.chance(self.transfers.numerator, self.transfers.denominator) {
                let other = (whom + 1 + dice.under(self.accounts - 1)) % self.accounts;
                Action::Transfer { from: account, to: name(other), amount }
            } else {
                Action::Spend { account, amount, funding: None }
            }
        };
        let request = LedgerRequest { id: format!("{}{}", self.prefix, self.made), action };
        Some(keyed(request.account().to_string(), self.format.encode(&request)))
    }
}
