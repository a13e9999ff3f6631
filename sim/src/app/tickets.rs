//! `kind = "tickets"`: tickets in order, what comes in, and what must stay true.

use std::collections::BTreeMap;

use seedlog::client::app::format::Format;
use seedlog::client::app::tickets::{Ticket, Tickets};
use seedlog::machine::Effects;
use seedlog::op::SendRecord;

use super::{
    AppKind, AppTable, Begin, Described, Feed, HostSetup, HostedApp, ValueFormat, host, keyed,
    number,
};
use crate::check::{Invariant, Values, Visible};
use crate::scenario::value::Ratio;
use crate::world::Draw;

impl Described for Ticket {
    const SCHEMA: &'static str = r#"{"type": "record", "name": "Ticket", "fields": [
        {"name": "id", "type": "string"},
        {"name": "order_id", "type": "long"},
        {"name": "data", "type": "string"},
        {"name": "fails", "type": "long", "default": 0},
        {"name": "handled", "type": "boolean", "default": false}]}"#;
}

#[derive(Clone)]
pub struct TicketsKind;

impl AppKind for TicketsKind {
    fn formats(&self) -> &'static [ValueFormat] {
        ValueFormat::TYPED
    }

    fn needs_output(&self) -> bool {
        true
    }

    fn invariants(&self, table: &AppTable) -> Vec<Box<dyn Invariant>> {
        vec![Box::new(InOrder {
            input: Values::new(table.input[0].clone(), table.format.of()),
            output: Values::new(table.output[0].clone(), table.format.of()),
            tickets: BTreeMap::new(),
            newest: BTreeMap::new(),
        })]
    }

    fn start(&self, setup: &HostSetup, begin: Begin, out: &mut Effects) -> Box<dyn HostedApp> {
        host(setup, Tickets { output: setup.output(), format: setup.format() }, begin, out)
    }

    fn clone_box(&self) -> Box<dyn AppKind> {
        Box::new(self.clone())
    }
}

/// Tickets of some customers, some of which cannot be handled at first.
#[derive(Clone)]
pub struct TicketsFeed {
    customers: u64,
    fails: Ratio,
    format: Format<Ticket>,
    made: u64,
    orders: BTreeMap<u64, i64>,
}

impl Default for TicketsFeed {
    fn default() -> Self {
        TicketsFeed {
            customers: 50,
            fails: Ratio::NEVER,
            format: Format::json(),
            made: 0,
            orders: BTreeMap::new(),
        }
    }
}

impl Feed for TicketsFeed {
    fn keys(&self) -> &'static [&'static str] {
        &["customers", "fails"]
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if key == "customers" {
            self.customers = number(value)?;
            return if self.customers > 0 { Ok(()) } else { Err("no customers".into()) };
        }
        let ratio = Ratio::parse(value);
        self.fails = ratio.ok_or(format!("expected a probability, found {value:?}"))?;
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
        let customer = dice.under(self.customers);
        let order = self.orders.entry(customer).or_insert(0);
        *order += 1;
        let fails = dice.chance(self.fails.numerator, self.fails.denominator);
        let ticket = Ticket {
            id: format!("t{}", self.made),
            order_id: *order,
            data: "one seat".into(),
            fails: u32::from(fails),
            handled: false,
        };
        Some(keyed(format!("customer-{customer}"), self.format.encode(&ticket)))
    }
}

/// Every ticket is handled, and those of one customer in the order in which they came.
#[derive(Clone)]
struct InOrder {
    input: Values<Ticket>,
    output: Values<Ticket>,
    tickets: BTreeMap<String, Seen>,
    /// The handled ticket of each customer that came last.
    newest: BTreeMap<bytes::Bytes, (i32, i64, String)>,
}

#[derive(Clone)]
struct Seen {
    partition: i32,
    offset: i64,
    is_handled: bool,
}

impl Invariant for InOrder {
    fn name(&self) -> &str {
        "InOrder"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        let Visible { partition, record, .. } = *visible;
        // What is malformed is handled by nobody.
        if let Some(ticket) = self.input.expect(visible)? {
            let seen = Seen { partition, offset: record.offset.0, is_handled: false };
            self.tickets.entry(ticket.id).or_insert(seen);
            return Ok(());
        }
        let Some(ticket) = self.output.expect(visible)? else { return Ok(()) };
        let Some(key) = record.key.clone() else { return Ok(()) };
        let Some(seen) = self.tickets.get_mut(&ticket.id) else {
            return Err(format!("ticket {} was handled and never came in", ticket.id));
        };
        if std::mem::replace(&mut seen.is_handled, true) {
            return Ok(());
        }
        let this = (seen.partition, seen.offset, ticket.id);
        let before = self.newest.insert(key.clone(), this.clone());
        match before {
            Some((partition, offset, id)) if partition == this.0 && offset > this.1 => Err(
                format!("{key:?}: ticket {} came before {id}, and was handled after it", this.2),
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn ended(&mut self) -> Result<(), String> {
        match self.tickets.iter().find(|(_, seen)| !seen.is_handled) {
            Some((id, seen)) => Err(format!(
                "ticket {id} at {}-{} offset {} is lost",
                self.input.topic, seen.partition, seen.offset
            )),
            None => Ok(()),
        }
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}
