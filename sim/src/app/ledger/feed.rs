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
    /// How many of the requests bring new money, once every account has some.
    funding: Ratio,
    /// How many of the spends name the funding that they draw on.
    drawn: Ratio,
    /// First letters of its request ids: feeds of one ledger need different ones.
    prefix: String,
    format: Format<LedgerRequest>,
    made: u64,
    /// What each account was funded by.
    fundings: Vec<Vec<String>>,
}

impl Default for LedgerFeed {
    fn default() -> Self {
        LedgerFeed {
            accounts: 8,
            funds: 100,
            transfers: Ratio::new(1, 2),
            funding: Ratio::new(1, 8),
            drawn: Ratio::new(0, 1),
            prefix: "q".into(),
            format: Format::json(),
            made: 0,
            fundings: Vec::new(),
        }
    }
}

/// Fundings of an account that are drawn on.
const NEWEST: u64 = 2;

fn name(account: u64) -> String {
    format!("account-{account}")
}

impl LedgerFeed {
    fn fund(&mut self, account: u64, id: &str) -> Action {
        let index = usize::try_from(account).expect("accounts are few");
        if self.fundings.len() <= index {
            self.fundings.resize_with(index + 1, Vec::new);
        }
        self.fundings[index].push(id.into());
        Action::Fund { account: name(account), amount: self.funds }
    }

    /// Takes half of what an account begins with, or more: two of them are all of it, or too much,
    /// often by no more than one.
    fn take(&mut self, dice: &mut dyn Draw) -> Action {
        let (whom, all) = (dice.under(self.accounts), self.funds);
        let more = u64::try_from(all / 2).expect("funds are positive");
        let over = if dice.chance(1, 2) { dice.under(2) } else { dice.under(more) + 1 };
        let amount = all / 2 + i64::try_from(over).expect("it is small");
        let transfers =
            self.accounts > 1 && dice.chance(self.transfers.numerator, self.transfers.denominator);
        if transfers {
            let other = (whom + 1 + dice.under(self.accounts - 1)) % self.accounts;
            return Action::Transfer { from: name(whom), to: name(other), amount };
        }
        let drawn = dice.chance(self.drawn.numerator, self.drawn.denominator);
        let fundings = &self.fundings[usize::try_from(whom).expect("accounts are few")];
        let count = u64::try_from(fundings.len()).expect("a length fits");
        // One of the newest: more than one draws on most.
        let which = |dice: &mut dyn Draw| {
            usize::try_from(count - 1 - dice.under(count.min(NEWEST))).expect("below a length")
        };
        let funding = drawn.then(|| fundings[which(dice)].clone());
        Action::Spend { account: name(whom), amount, funding }
    }
}

impl Feed for LedgerFeed {
    fn keys(&self) -> &'static [&'static str] {
        &["accounts", "funds", "transfers", "funding", "drawn", "prefix"]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "accounts" => self.accounts = number(value)?,
            "funds" => self.funds = number(value)?,
            "prefix" => self.prefix = value.into(),
            _ => {
                let ratio = Ratio::parse(value);
                let ratio = ratio.ok_or(format!("expected a probability, found {value:?}"))?;
                *match key {
                    "transfers" => &mut self.transfers,
                    "funding" => &mut self.funding,
                    _ => &mut self.drawn,
                } = ratio;
            }
        }
        if self.accounts == 0 || self.funds < 2 {
            return Err("there is one account at least, with two of money at least".into());
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
        let id = format!("{}{}", self.prefix, self.made);
        let action = if self.made <= self.accounts {
            self.fund(self.made - 1, &id)
        } else if dice.chance(self.funding.numerator, self.funding.denominator) {
            self.fund(dice.under(self.accounts), &id)
        } else {
            self.take(dice)
        };
        let request = LedgerRequest { id, action };
        Some(keyed(request.account().to_string(), self.format.encode(&request)))
    }
}
