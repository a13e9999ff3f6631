//! Requests that only the active controller can decide: passed on as they are, their answers passed
//! back (KIP-590).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{ConnId, CorrelationId};
use crate::message::Request;
use crate::time::{Duration, Instant, earliest};

/// How long a request rests after its controller was none, or was lost.
const RETRY: Duration = Duration::from_millis(50);

/// A client's request on its way to the controller.
#[derive(Clone, Debug)]
pub(super) struct Forwarded {
    pub to: ConnId,
    pub correlation: CorrelationId,
    pub request: Arc<Request>,
    /// The broker gives up then.
    deadline: Instant,
    /// When to send it (again); none while it is with a controller.
    due: Option<Instant>,
}

/// All of them, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwards {
    next: u64,
    pending: BTreeMap<u64, Forwarded>,
}

impl Forwards {
    pub(super) fn add(
        &mut self,
        now: Instant,
        (to, correlation): (ConnId, CorrelationId),
        request: Arc<Request>,
        timeout: Duration,
    ) {
        let forwarded =
            Forwarded { to, correlation, request, deadline: now + timeout, due: Some(now) };
        self.pending.insert(self.next, forwarded);
        self.next += 1;
    }

    /// The oldest that is due; it counts as sent.
    pub(super) fn send_next(&mut self, now: Instant) -> Option<(u64, Arc<Request>, Instant)> {
        let due = |forwarded: &Forwarded| forwarded.due.is_some_and(|due| due <= now);
        let (number, forwarded) = self.pending.iter_mut().find(|(_, each)| due(each))?;
        forwarded.due = None;
        Some((*number, Arc::clone(&forwarded.request), forwarded.deadline))
    }

    /// Nobody answered, or not the controller: again, a little later.
    pub(super) fn retry(&mut self, now: Instant, number: u64) {
        if let Some(forwarded) = self.pending.get_mut(&number) {
            forwarded.due = Some(now + RETRY);
        }
    }

    /// Takes one out whose answer has come; none if its client no longer waits.
    pub(super) fn take(&mut self, number: u64) -> Option<Forwarded> {
        self.pending.remove(&number)
    }

    /// Takes out all that are past their deadline.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Forwarded> {
        let late = |forwarded: &mut Forwarded| forwarded.deadline <= now;
        self.pending.extract_if(.., |_, forwarded| late(forwarded)).map(|(_, each)| each).collect()
    }

    /// A client is gone, and with it everybody who waits for its answers.
    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.pending.retain(|_, forwarded| forwarded.to != conn);
    }

    /// When the next one is to be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.values().filter_map(|each| each.due).min()
    }

    /// When the next one is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pending.values().fold(None, |first, each| earliest(first, Some(each.deadline)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::cluster::UnregisterBrokerRequest;

    #[test]
    fn a_forwarded_request_is_sent_until_it_is_answered_or_given_up() {
        let mut forwards = Forwards::default();
        let request =
            Request::UnregisterBroker(UnregisterBrokerRequest { node: crate::ids::NodeId(1) });
        let client = (ConnId::inbound(4), CorrelationId(9));
        let (now, timeout) = (Instant::ZERO, Duration::from_secs(1));
        forwards.add(now, client, Arc::new(request), timeout);
        assert!(forwards.send_next(now).is_some());
        assert!(forwards.send_next(now).is_none(), "once until it fails");
        forwards.retry(now, 0);
        assert!(forwards.send_next(now).is_none(), "after a rest");
        assert!(forwards.send_next(now + RETRY).is_some());
        assert!(forwards.expire(now + RETRY).is_empty());
        assert_eq!(forwards.expire(now + timeout).len(), 1);
        assert!(forwards.take(0).is_none());
    }
}
