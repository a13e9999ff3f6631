//! The batches of one partition in the order in which the application sent them, and their numbers.
//!
//! After Kafka's `TransactionManager` and `RecordAccumulator`, with two deliberate differences:
//! - Where Kafka renumbers every unfinished batch after a gap, here a batch that may have been
//!   appended under its old number is given up as unknown. So no record of a session is ever
//!   appended twice.
//! - A session's first batch of a partition goes alone until it is acknowledged. A leader that
//!   knows nothing of a producer takes any first number (KIP-360), so if the first batch is still
//!   on its way to a deposed leader, the new one would take the second before it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::client::producer::batch::{Batch, Limit, Number, Session, State};
use crate::defect::Defects;
use crate::record::advance_sequence;
use crate::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// Index of the topic in the accumulator.
    pub topic: usize,
    pub partition: i32,
    pub batches: VecDeque<Batch>,
    /// The session of the numbers given out last; none before the first.
    session: Option<Session>,
    /// The next number to give out in that session.
    next: i32,
    /// The last number that was acknowledged in that session.
    last_acked: Option<i32>,
    /// A broker misses records before our oldest: the numbers must start over once nothing is in
    /// flight.
    gap: bool,
    /// A numbered batch was given up: no new numbers until it is known whether a hole is left.
    unresolved: bool,
}

/// What may be sent when several batches of a partition wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// KIP-98: several in flight, all numbered; none while the producer has no session. With one in
    /// flight a connection this means one a partition, whoever leads it: what is on its way to a
    /// deposed leader counts (Kafka mutes the partition: `guaranteeMessageOrder`).
    Idempotent { session: Option<Session>, in_flight: usize },
    /// One in flight, so that a retry cannot be overtaken (KAFKA-3197).
    OneInFlight,
    /// Whatever comes first.
    Unordered,
}

/// When a batch counts as ready although it is not full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Haste {
    pub linger: Duration,
    pub limit: Limit,
    /// Batches with a ticket below are ready (a flush).
    pub tickets_below: u64,
}

/// The batch to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub index: usize,
    /// Not before this instant.
    pub sendable: Instant,
    /// From this instant on without waiting for company.
    pub ready: Instant,
}

impl Queue {
    pub fn new(topic: usize, partition: i32) -> Self {
        Queue {
            topic,
            partition,
            batches: VecDeque::new(),
            session: None,
            next: 0,
            last_acked: None,
            gap: false,
            unresolved: false,
        }
    }

    /// The batch that may be sent next, if any.
    pub fn candidate(&self, order: Order, haste: Haste) -> Option<Candidate> {
        let index = match order {
            Order::Idempotent { session, in_flight } => self.next_numbered(session?, in_flight)?,
            Order::OneInFlight => 0,
            Order::Unordered => self.batches.iter().position(|batch| !batch.is_in_flight())?,
        };
        let batch = self.batches.get(index)?;
        let (sendable, ready) = match batch.state {
            State::InFlight => return None,
            State::Retry { not_before } => (not_before, not_before),
            State::Waiting { not_before } => {
                let alone = index + 1 == self.batches.len() && !batch.is_full(haste.limit);
                let lingers = alone && batch.ticket >= haste.tickets_below;
                let ready = if lingers { batch.created + haste.linger } else { Instant::ZERO };
                (not_before, ready.max(not_before))
            }
        };
        Some(Candidate { index, sendable, ready })
    }

    fn next_numbered(&self, session: Session, in_flight: usize) -> Option<usize> {
        if self.gap {
            return None;
        }
        let first = self.batches.front()?;
        // A batch that is sent again goes alone, before all that come after it.
        if matches!(first.state, State::Retry { .. }) {
            return Some(0);
        }
        let numbered = self.batches.iter().take_while(|batch| batch.is_in_flight()).count();
        let next = self.batches.get(numbered)?;
        let fresh = matches!(next.state, State::Waiting { .. });
        // Numbers of a new session start when nothing of the old one is left, and go on when every
        // leader to come knows the session.
        let is_known = self.session == Some(session) && self.last_acked.is_some();
        let free = if is_known { in_flight } else { 1 };
        (fresh && !self.unresolved && numbered < free).then_some(numbered)
    }

    /// Gives a batch its number, if it has none yet.
    pub fn number(&mut self, index: usize, session: Session, max: i32, defects: Defects) {
        if self.batches[index].number.is_some() {
            return;
        }
        if self.session != Some(session) {
            assert!(index == 0, "a session starts with nothing in flight");
            self.session = Some(session);
            self.next = 0;
            self.last_acked = None;
        }
        let base = self.next;
        let batch = &mut self.batches[index];
        batch.assign(Number { session, base });
        self.next = advance_sequence(base, batch.count(), max, defects);
    }

    pub fn position(&self, id: u64) -> Option<usize> {
        self.batches.iter().position(|batch| batch.id == id)
    }

    /// Takes out a batch that was acknowledged.
    pub fn acknowledged(&mut self, index: usize, max: i32, defects: Defects) -> Batch {
        let batch = self.batches.remove(index).expect("the caller found it");
        if let Some(number) = batch.number
            && self.session == Some(number.session)
        {
            let last = advance_sequence(number.base, batch.count() - 1, max, defects);
            self.last_acked = Some(last);
        }
        batch
    }

    /// Takes out a batch that is given up. If a broker may miss its numbers, the later ones hang in
    /// the air until [`Self::settle`] knows more.
    pub fn given_up(&mut self, index: usize) -> Batch {
        let batch = self.batches.remove(index).expect("the caller found it");
        if let Some(number) = batch.number
            && self.session == Some(number.session)
        {
            let last = self.batches.get(index).is_none_or(|next| next.number.is_none());
            if last && !batch.doubt {
                // Refused for good and nothing sent after it: its numbers are free again.
                self.next = number.base;
            } else {
                self.unresolved = true;
            }
        }
        batch
    }

    /// A broker answered OUT_OF_ORDER_SEQUENCE_NUMBER. Behind another unfinished batch this only
    /// means that the other is not there yet; at the head it means that records are missing for
    /// good.
    pub fn out_of_order(&mut self, index: usize) {
        self.gap |= index == 0;
    }

    /// A broker does not know the session (any longer), or knows a newer one.
    pub fn session_lost(&mut self) {
        self.gap = true;
    }

    /// Whether numbers must start over in a new epoch, now that nothing is in flight; forgets why.
    pub fn settle(&mut self, max: i32, defects: Defects) -> bool {
        if self.batches.iter().any(Batch::is_in_flight) {
            return false;
        }
        if self.gap {
            self.gap = false;
            self.unresolved = false;
            return true;
        }
        if self.unresolved && self.batches.front().is_none_or(|batch| batch.number.is_none()) {
            self.unresolved = false;
            let expected =
                self.last_acked.map_or(0, |last| advance_sequence(last, 1, max, defects));
            return expected != self.next;
        }
        false
    }

    /// Starts the numbers over: what may be in the log under its old number leaves the queue, the
    /// rest waits for a new number.
    pub fn start_over(&mut self) -> Vec<Batch> {
        assert!(!self.batches.iter().any(Batch::is_in_flight), "only when nothing is in flight");
        let mut given_up = Vec::new();
        for mut batch in core::mem::take(&mut self.batches) {
            if batch.number.is_some() && batch.doubt {
                given_up.push(batch);
                continue;
            }
            if let State::Retry { not_before } = batch.state {
                batch.state = State::Waiting { not_before };
            }
            batch.number = None;
            self.batches.push_back(batch);
        }
        self.session = None;
        given_up
    }

    /// Takes out what no broker has heard of, or everything.
    pub fn drop_batches(&mut self, all: bool) -> Vec<Batch> {
        let (dropped, kept): (Vec<Batch>, Vec<Batch>) =
            self.batches.drain(..).partition(|batch| all || batch.number.is_none());
        self.batches = kept.into();
        dropped.into_iter().map(Batch::in_doubt_if_sent).collect()
    }

    /// The producer has another session: its numbers start over.
    pub fn begin_anew(&mut self) {
        self.session = None;
        self.next = 0;
        self.last_acked = None;
        self.gap = false;
        self.unresolved = false;
    }

    /// Goes on behind the last acknowledged number, as if no other was ever given.
    pub fn reuse_numbers(&mut self, max: i32, defects: Defects) {
        self.next = self.last_acked.map_or(0, |last| advance_sequence(last, 1, max, defects));
        self.gap = false;
        self.unresolved = false;
    }

    /// The order of the queue and its numbers.
    pub fn check(&self, idempotent: bool) {
        let mut last = None;
        let mut fresh = false;
        for batch in &self.batches {
            assert!(last < Some(batch.id), "batches stand in the order of their sends");
            last = Some(batch.id);
            assert!(!batch.calls.is_empty(), "no batch is empty");
            if idempotent {
                let numbered = batch.number.is_some();
                assert!(!(fresh && numbered), "numbered batches stand before the others");
                fresh |= !numbered;
                let unsent = matches!(batch.state, State::Waiting { .. });
                assert!(numbered != unsent, "what was sent is numbered");
            }
        }
    }
}
