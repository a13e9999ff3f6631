//! InitProducerId for idempotent producers: ids from blocks that the controller hands out
//! (KIP-730).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{ConnId, CorrelationId, ProducerId};
use crate::message::cluster::AllocateProducerIdsResponse;
use crate::time::{Duration, Instant};

/// How long a producer waits for a block before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to rest after the controller refused a block.
const RETRY: Duration = Duration::from_millis(50);

/// A producer that waits for its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub to: ConnId,
    pub correlation: CorrelationId,
    deadline: Instant,
}

/// The rest of the current block, and who waits for the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct ProducerIds {
    next: i64,
    end: i64,
    waiting: VecDeque<Waiting>,
    /// A coordinator found the block used up, and will be asked again.
    wanted: bool,
    in_flight: bool,
    retry_at: Instant,
}

impl ProducerIds {
    /// An id that nobody else ever gets; none if the block is used up, and then the producer waits.
    pub(super) fn take(
        &mut self,
        now: Instant,
        (to, correlation): (ConnId, CorrelationId),
    ) -> Option<ProducerId> {
        let id = self.draw();
        if id.is_none() {
            self.waiting.push_back(Waiting { to, correlation, deadline: now + PATIENCE });
        }
        id
    }

    /// The same for a coordinator, which does not wait.
    pub(super) fn take_now(&mut self) -> Option<ProducerId> {
        let id = self.draw();
        self.wanted |= id.is_none();
        id
    }

    fn draw(&mut self) -> Option<ProducerId> {
        let id = self.next;
        (id < self.end).then(|| {
            self.next += 1;
            ProducerId(id)
        })
    }

    /// When to ask the controller for a block; none if nobody waits or it is asked already.
    pub(super) fn due(&self) -> Option<Instant> {
        let wanted = self.wanted || !self.waiting.is_empty();
        (wanted && !self.in_flight).then_some(self.retry_at)
    }

    pub(super) fn asked(&mut self) {
        assert!(!self.in_flight, "one block at a time");
        self.in_flight = true;
    }

    /// The controller's answer; answers who gets which id.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        answer: &AllocateProducerIdsResponse,
    ) -> Vec<(Waiting, ProducerId)> {
        if answer.error != ErrorCode::None || answer.count <= 0 || answer.first < ProducerId(0) {
            self.failed(now);
            return Vec::new();
        }
        self.in_flight = false;
        self.wanted = false;
        self.next = answer.first.0;
        self.end = answer.first.0.saturating_add(i64::from(answer.count));
        let mut served = Vec::new();
        while !self.waiting.is_empty() {
            let Some(id) = self.draw() else { break };
            served.extend(self.waiting.pop_front().map(|waiting| (waiting, id)));
        }
        served
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.in_flight = false;
        self.retry_at = now + RETRY;
    }

    /// Who has waited too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Waiting> {
        let mut late = Vec::new();
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            late.extend(self.waiting.pop_front());
        }
        late
    }

    pub(super) fn hang_up(&mut self, conn: ConnId) {
        self.waiting.retain(|waiting| waiting.to != conn);
    }

    /// When the first of those who wait is sent away.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.deadline)
    }

    pub(super) fn check(&self) {
        assert!(self.next <= self.end, "ids come from the block");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u64) -> (ConnId, CorrelationId) {
        (ConnId::inbound(number), CorrelationId(0))
    }

    #[test]
    fn producers_wait_for_a_block_and_get_distinct_ids_in_order() {
        let (mut ids, now) = (ProducerIds::default(), Instant::ZERO);
        assert_eq!(ids.due(), None, "no block without need");
        for number in 1..=3 {
            assert_eq!(ids.take(now, client(number)), None);
        }
        assert_eq!(ids.due(), Some(now));
        ids.asked();
        let block = |first| AllocateProducerIdsResponse {
            error: ErrorCode::None,
            first: ProducerId(first),
            count: 2,
        };
        let served = ids.answered(now, &block(1000));
        let served: Vec<_> = served.iter().map(|(waiting, id)| (waiting.to, *id)).collect();
        let got = |number, id| (client(number).0, ProducerId(id));
        assert_eq!(served, [got(1, 1000), got(2, 1001)]);
        assert_eq!(ids.due(), Some(now), "the third needs another block");
        ids.asked();
        assert_eq!(ids.answered(now, &block(4000)).len(), 1);
        assert_eq!(ids.take(now, client(4)), Some(ProducerId(4001)));
    }

    #[test]
    fn a_producer_that_waited_too_long_is_sent_away() {
        let (mut ids, now) = (ProducerIds::default(), Instant::ZERO);
        ids.take(now, client(1));
        ids.asked();
        ids.failed(now);
        assert_eq!(ids.due(), Some(now + RETRY));
        assert_eq!(ids.expire(now + PATIENCE).len(), 1);
        assert_eq!(ids.due(), None);
    }
}
