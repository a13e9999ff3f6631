//! `kind = "tickets"`: tickets in order, what comes in, and what must stay true.

mod claims;

use std::collections::BTreeMap;

use seedlog::client::app::format::Format;
use seedlog::client::app::tickets::{Ticket, Tickets};
use seedlog::machine::Effects;
use seedlog::op::SendRecord;

use self::claims::InOrder;
use super::{
    AppKind, AppTable, Begin, Described, Feed, HostSetup, HostedApp, ValueFormat, host, keyed,
    number,
};
use crate::check::{Invariant, Values};
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
        let input = Values::new(table.input[0].clone(), table.format.of());
        let output = Values::new(table.output[0].clone(), table.format.of());
        let config = &table.config;
        vec![Box::new(InOrder::new(input, output, config.delivery, config.ordered))]
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
