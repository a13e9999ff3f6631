//! Tickets, in order for each key: one that cannot be handled yet holds up those of its key, and
//! no others.

use alloc::string::String;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::client::app::format::Format;
use crate::client::app::processor::{Context, Processor};
use crate::client::app::retry::Schedule;
use crate::event::ApplicationNote;
use crate::ids::TopicName;
use crate::op::{ConsumedRecord, SendRecord};

/// A ticket, as it is sent and as it is passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub id: String,
    /// Grows with each ticket of a key.
    pub order_id: i64,
    pub data: String,
    /// How often it cannot be handled at first.
    #[serde(default)]
    pub fails: u32,
    #[serde(default)]
    pub handled: bool,
}

/// Handles tickets and passes them on.
#[derive(Clone, Debug)]
pub struct Tickets {
    pub output: TopicName,
    pub format: Format<Ticket>,
}

impl Processor for Tickets {
    fn process(&mut self, record: &ConsumedRecord, context: &mut Context<'_>) {
        // What is no ticket is nobody's to wait for.
        let Some(ticket) = context.read(record, &self.format) else { return };
        let attempt = context.attempt();
        if attempt < ticket.fails {
            let group = Arc::clone(context.group());
            let id = ticket.id.as_str().into();
            context.note(ApplicationNote::Retried { group, id, attempt: attempt + 1 });
            return context.nack(Schedule::default().backoff(attempt));
        }
        context.emit(SendRecord {
            topic: self.output.clone(),
            partition: None,
            key: record.key.clone(),
            value: Some(self.format.encode(&Ticket { handled: true, ..ticket })),
            headers: record.headers.clone(),
            timestamp: Some(record.timestamp),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::app::testing::{Rig, record, setup};
    use crate::config::Delivery;
    use crate::time::Duration;

    fn ticket(order_id: i64, fails: u32) -> String {
        let ticket = Ticket { id: "t".into(), order_id, data: "d".into(), fails, handled: false };
        String::from_utf8(Format::json().encode(&ticket).to_vec()).expect("JSON is text")
    }

    #[test]
    fn a_ticket_that_fails_holds_up_its_key_and_no_other() {
        let tickets = Tickets { output: "out".into(), format: Format::json() };
        let mut rig = Rig::new(setup(Delivery::AtLeastOnce), tickets);
        rig.assigned(&[0]);
        let (first, second) = (ticket(1, 1), ticket(2, 0));
        rig.polled(
            [record(0, 1, "a", &first), record(0, 2, "a", &second), record(0, 3, "b", &second)]
                .into(),
        );
        let keys = |rig: &Rig<Tickets>| -> alloc::vec::Vec<String> {
            rig.calls().iter().map(|call| call[..10].into()).collect()
        };
        assert_eq!(keys(&rig), ["send out b"]);
        let retried = ApplicationNote::Retried { group: "g".into(), id: "t".into(), attempt: 1 };
        assert_eq!(rig.notes, [retried]);
        rig.sent();
        assert_eq!(rig.calls(), [""; 0], "the commit waits for what comes first");
        rig.pass(Duration::from_millis(100));
        assert_eq!(keys(&rig), ["send out a"], "the second one waits for the first");
        rig.sent();
        assert_eq!(keys(&rig), ["send out a", "commit 0@2"]);
    }
}
