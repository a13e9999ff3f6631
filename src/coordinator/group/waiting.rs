//! What waits for the log: answers, what follows from a stored assignment, and notes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::coordinator::Requester;
use crate::event::Event;
use crate::ids::{ConnId, Offset};
use crate::message::{Request, Response};

/// What happens when everything below an offset is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Somebody is answered; the request says how to refuse instead.
    Answer {
        to: Requester,
        request: Arc<Request>,
        response: Arc<Response>,
    },
    /// The leader's assignment of a classic group's generation holds from then on.
    Assigned {
        group: Arc<str>,
        generation: i32,
        assignments: Arc<BTreeMap<Arc<str>, Bytes>>,
    },
    Note(Event),
}

/// In the order of the log; among equals, of their coming.
#[derive(Clone, Debug, Default)]
pub(super) struct WaitingList {
    next: u64,
    entries: BTreeMap<(Offset, u64), Waiting>,
}

impl WaitingList {
    /// Keeps something until everything below `end` is committed. Gives its number.
    pub fn push(&mut self, end: Offset, waiting: Waiting) -> u64 {
        let number = self.next;
        self.next += 1;
        self.entries.insert((end, number), waiting);
        number
    }

    /// Takes the next that `high_watermark` sets free, with its key.
    pub fn pop(&mut self, high_watermark: Offset) -> Option<((Offset, u64), Waiting)> {
        let entry = self.entries.first_entry()?;
        let key = *entry.key();
        (key.0 <= high_watermark).then(|| (key, entry.remove()))
    }

    pub fn remove(&mut self, end: Offset, number: u64) -> Option<Waiting> {
        self.entries.remove(&(end, number))
    }

    /// Forgets the answers to a connection. Gives their keys: nothing bounds them any more.
    pub fn hang_up(&mut self, conn: ConnId) -> Vec<(Offset, u64)> {
        let is_its = |waiting: &mut Waiting| match waiting {
            Waiting::Answer { to, .. } => to.0 == conn,
            Waiting::Assigned { .. } | Waiting::Note(_) => false,
        };
        self.entries.extract_if(.., |_, waiting| is_its(waiting)).map(|(key, _)| key).collect()
    }

    /// All that waits, in order.
    pub fn into_entries(self) -> impl Iterator<Item = Waiting> {
        self.entries.into_values()
    }

    pub fn check(&self, high_watermark: Offset, end: Offset) {
        let first = self.entries.keys().next();
        let last = self.entries.keys().next_back();
        assert!(first.is_none_or(|(at, _)| *at > high_watermark), "what is committed is answered");
        assert!(last.is_none_or(|(at, _)| *at <= end), "nothing waits for what is not decided");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::ids::CorrelationId;
    use crate::message::group::{HeartbeatRequest, HeartbeatResponse};

    /// `group_coordinator_failover` seed 1: the bound stayed, and went off for nobody.
    #[test]
    fn who_hangs_up_is_told_with_what_bounded_his_answers() {
        let answer = |conn| Waiting::Answer {
            to: (ConnId(conn), CorrelationId(1)),
            request: Arc::new(Request::Heartbeat(HeartbeatRequest {
                group: "g".into(),
                generation: 1,
                member: "m".into(),
                instance: None,
            })),
            response: Arc::new(Response::Heartbeat(HeartbeatResponse { error: ErrorCode::None })),
        };
        let mut list = WaitingList::default();
        let end = Offset(5);
        let (mine, yours) = (list.push(end, answer(1)), list.push(end, answer(2)));
        assert_eq!(list.hang_up(ConnId(1)), [(end, mine)]);
        assert_eq!(list.remove(end, mine), None);
        assert_eq!(list.remove(end, yours), Some(answer(2)));
    }
}
