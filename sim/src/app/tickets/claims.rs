//! What must stay true of tickets.

use std::collections::BTreeMap;

use bytes::Bytes;
use seedlog::client::app::tickets::Ticket;
use seedlog::config::Delivery;

use crate::check::{Invariant, Values, Visible};

/// Every ticket is handled as it was asked for, and those of one customer in the order in which
/// they came. At most once, some may be lost, and what an owner of a partition has in hand may come
/// after what the next one does.
#[derive(Clone)]
pub struct InOrder {
    input: Values<Ticket>,
    output: Values<Ticket>,
    delivery: Delivery,
    /// Whether the application promises an order.
    is_ordered: bool,
    tickets: BTreeMap<String, Seen>,
    /// The handled ticket of each customer that came last.
    newest: BTreeMap<Bytes, (i32, i64, String)>,
    judged: u64,
}

#[derive(Clone)]
struct Seen {
    /// What shall come of it.
    key: Option<Bytes>,
    ticket: Ticket,
    partition: i32,
    offset: i64,
    /// How often it came in.
    sent: u64,
    /// How often it was handled.
    handled: u64,
}

impl InOrder {
    #[must_use]
    pub fn new(
        input: Values<Ticket>,
        output: Values<Ticket>,
        delivery: Delivery,
        is_ordered: bool,
    ) -> Self {
        let is_ordered = match delivery {
            Delivery::AtMostOnce => false,
            Delivery::AtLeastOnce => is_ordered,
            // A transaction takes the records of a partition in their order.
            Delivery::ExactlyOnce => true,
        };
        let (tickets, newest) = (BTreeMap::new(), BTreeMap::new());
        InOrder { input, output, delivery, is_ordered, tickets, newest, judged: 0 }
    }

    fn came_in(&mut self, ticket: Ticket, visible: &Visible<'_>) {
        let record = visible.record;
        let new = || Seen {
            key: record.key.clone(),
            ticket: Ticket { handled: true, ..ticket.clone() },
            partition: visible.partition,
            offset: record.offset.0,
            sent: 0,
            handled: 0,
        };
        self.tickets.entry(ticket.id.clone()).or_insert_with(new).sent += 1;
    }

    fn handled(&mut self, ticket: &Ticket, key: Option<&Bytes>) -> Result<(), String> {
        self.judged += 1;
        let id = &ticket.id;
        let Some(seen) = self.tickets.get_mut(id) else {
            return Err(format!("ticket {id} was handled and never came in"));
        };
        if (&seen.ticket, seen.key.as_ref()) != (ticket, key) {
            let Seen { ticket: asked, key: from, .. } = &*seen;
            return Err(format!(
                "ticket {id} was handled as {ticket:?} of {key:?}, and was to be {asked:?} of \
                 {from:?}"
            ));
        }
        seen.handled += 1;
        if self.delivery != Delivery::AtLeastOnce && seen.handled > seen.sent {
            return Err(format!(
                "ticket {id} came in {} times, and was handled {} times",
                seen.sent, seen.handled
            ));
        }
        let Some(key) = key.filter(|_| self.is_ordered && seen.handled == 1) else { return Ok(()) };
        let this = (seen.partition, seen.offset, id.clone());
        let before = self.newest.insert(key.clone(), this.clone());
        match before {
            Some((partition, offset, id)) if partition == this.0 && offset > this.1 => Err(
                format!("{key:?}: ticket {} came before {id}, and was handled after it", this.2),
            ),
            Some(_) | None => Ok(()),
        }
    }
}

impl Invariant for InOrder {
    fn name(&self) -> &str {
        "InOrder"
    }

    fn visible(&mut self, visible: &Visible<'_>) -> Result<(), String> {
        // What is malformed is handled by nobody.
        if let Some(ticket) = self.input.expect(visible)? {
            self.came_in(ticket, visible);
            return Ok(());
        }
        match self.output.expect(visible)? {
            Some(ticket) => self.handled(&ticket, visible.record.key.as_ref()),
            None => Ok(()),
        }
    }

    fn ended(&mut self) -> Result<(), String> {
        if self.delivery == Delivery::AtMostOnce {
            return Ok(());
        }
        self.judged += u64::try_from(self.tickets.len()).expect("a length fits u64");
        match self.tickets.iter().find(|(_, seen)| seen.handled == 0) {
            Some((id, seen)) => Err(format!(
                "ticket {id} at {}-{} offset {} is lost",
                self.input.topic, seen.partition, seen.offset
            )),
            None => Ok(()),
        }
    }

    fn judged(&self) -> Option<u64> {
        Some(self.judged)
    }

    fn clone_box(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use seedlog::client::app::format::Format;
    use seedlog::ids::{Offset, TopicName};
    use seedlog::record::Record;
    use seedlog::time::{Instant, Timestamp};

    use super::*;

    /// Topic, key, id, order, data; what comes in is not handled yet.
    type Event = (&'static str, &'static str, &'static str, i64, &'static str);

    fn told(delivery: Delivery, is_ordered: bool, history: &[Event]) -> Result<(), String> {
        let values = |topic: &str| Values::new(topic, Format::json());
        let mut claim = InOrder::new(values("in"), values("out"), delivery, is_ordered);
        for (offset, (topic, key, id, order_id, data)) in (0..).zip(history) {
            let (id, data, handled) = (id.to_string(), data.to_string(), *topic == "out");
            let ticket = Ticket { id, order_id: *order_id, data, fails: 0, handled };
            let record = Record {
                offset: Offset(offset),
                timestamp: Timestamp(1),
                key: Some(Bytes::from_static(key.as_bytes())),
                value: Some(Format::json().encode(&ticket)),
                headers: Vec::new(),
            };
            let topic = TopicName::from(*topic);
            let at = Instant::ZERO;
            claim.visible(&Visible { topic: &topic, partition: 0, record: &record, at })?;
        }
        let came_in = history.iter().filter(|(topic, ..)| *topic == "in").count();
        assert_eq!(claim.judged, u64::try_from(history.len() - came_in).unwrap());
        claim.ended()
    }

    const IN: [Event; 3] =
        [("in", "a", "t1", 1, "x"), ("in", "a", "t2", 2, "y"), ("in", "b", "t3", 1, "z")];
    const OUT: [Event; 3] =
        [("out", "b", "t3", 1, "z"), ("out", "a", "t1", 1, "x"), ("out", "a", "t2", 2, "y")];

    fn history(out: &[Event]) -> Vec<Event> {
        [&IN[..], out].concat()
    }

    #[test]
    fn each_mode_promises_what_it_can() {
        use Delivery::{AtLeastOnce, AtMostOnce, ExactlyOnce};
        let [third, first, second] = OUT;
        let held: &[(Delivery, bool, &[Event])] = &[
            (AtMostOnce, true, &OUT),
            (AtLeastOnce, true, &OUT),
            (ExactlyOnce, true, &OUT),
            (AtLeastOnce, true, &[third, first, second, first]),
            (AtLeastOnce, false, &[third, second, first]),
            (AtMostOnce, true, &[second]),
        ];
        for (delivery, is_ordered, out) in held {
            assert_eq!(told(*delivery, *is_ordered, &history(out)), Ok(()), "{delivery:?} {out:?}");
        }
        let broken: &[(Delivery, bool, &[Event], &str)] = &[
            (
                AtLeastOnce,
                true,
                &[third, second, first],
                "t1 came before t2, and was handled after",
            ),
            (ExactlyOnce, false, &[third, second, first], "t1 came before t2"),
            (AtLeastOnce, true, &[third, first], "ticket t2 at in-0 offset 1 is lost"),
            (ExactlyOnce, true, &[first, second], "ticket t3 at in-0 offset 2 is lost"),
            (AtMostOnce, true, &[third, third], "t3 came in 1 times, and was handled 2 times"),
            (ExactlyOnce, true, &[first, first], "t1 came in 1 times, and was handled 2 times"),
            (AtMostOnce, true, &[("out", "a", "t1", -1, "x")], "t1 was handled as"),
            (AtLeastOnce, true, &[("out", "a", "t1", 1, "")], "t1 was handled as"),
            (ExactlyOnce, true, &[("out", "b", "t1", 1, "x")], "t1 was handled as"),
            (AtLeastOnce, true, &[("out", "a", "t9", 1, "x")], "t9 was handled and never came in"),
        ];
        for (delivery, is_ordered, out, expected) in broken {
            let found = told(*delivery, *is_ordered, &history(out)).expect_err(expected);
            assert!(found.contains(expected), "{found}: {expected}");
        }
    }
}
