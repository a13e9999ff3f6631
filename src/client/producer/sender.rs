//! Sends batches, and draws from the answers what became of them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::errors::{is_retriable, is_stale_metadata, refuses};
use crate::client::producer::batch::{Batch, Session, State};
use crate::client::producer::queue::{Haste, Order, Queue};
use crate::client::producer::transaction::{Step, Transaction};
use crate::client::producer::{Identity, Producer};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId};
use crate::machine::{Effect, Effects};
use crate::message::produce::{
    Acks, InitProducerIdRequest, InitProducerIdResponse, ProducePartition, ProduceRequest,
    ProduceResponse, ProducedPartition,
};
use crate::message::{Records, Request, Response};
use crate::op::Outcome;
use crate::time::{Duration, Instant, Timestamp, earliest};

/// What a request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Batches by queue and id, in the order of the request.
    Produce(Vec<(usize, u64)>),
    InitProducerId,
    Transaction(Step),
}

impl Producer {
    fn order(&self) -> Order {
        let in_flight = self.max_in_flight();
        match &self.identity {
            Identity::Held(session) => Order::Idempotent { session: Some(*session), in_flight },
            Identity::Wanted { .. } | Identity::Asked { .. } | Identity::Awaited => {
                Order::Idempotent { session: None, in_flight }
            }
            // KAFKA-3197: without idempotence a retry may be overtaken by what is in flight behind
            // it.
            Identity::NotNeeded if self.setup.defects.has(Defect::ReorderInflight) => {
                Order::Unordered
            }
            Identity::NotNeeded => Order::OneInFlight,
        }
    }

    fn haste(&self) -> Haste {
        Haste {
            linger: self.setup.config.linger,
            limit: self.limit(),
            tickets_below: if self.memory_short || self.is_ending() {
                u64::MAX
            } else {
                self.accumulator.hurry_below()
            },
        }
    }

    /// Whether a transaction's end waits for what is not sent yet.
    fn is_ending(&self) -> bool {
        self.transaction.as_ref().is_some_and(Transaction::is_ending)
    }

    fn is_enrolled(&self, queue: &Queue) -> bool {
        self.transaction.as_ref().is_none_or(|transaction| {
            transaction.has_enrolled(self.accumulator.topic_of(queue), queue.partition)
        })
    }

    fn max_in_flight(&self) -> usize {
        let configured = usize::try_from(self.setup.config.max_in_flight).expect("32 bits fit");
        // KAFKA-5494: a broker remembers five batches of a producer.
        let limit = if self.identity == Identity::NotNeeded { usize::MAX } else { 5 };
        configured.clamp(1, limit)
    }

    /// Sends everything that may be sent now; when there will be more, other than by an answer.
    pub(super) fn drain(&mut self, now: Instant, out: &mut Effects) -> Option<Instant> {
        let mut next = self.ensure_identity(now, out);
        let (order, haste) = (self.order(), self.haste());
        let mut nodes: Vec<NodeId> = Vec::new();
        for queue in &self.accumulator.queues {
            let Some(candidate) = queue.candidate(order, haste) else { continue };
            if !self.is_enrolled(queue) {
                continue;
            }
            let topic = self.accumulator.topic_of(queue);
            let Some(leader) = self.network.metadata.leader(topic, queue.partition) else {
                self.network.request_refresh();
                continue;
            };
            if candidate.ready > now {
                next = earliest(next, Some(candidate.ready));
            } else if !nodes.contains(&leader.node) {
                nodes.push(leader.node);
            }
        }
        for node in nodes {
            while self.network.in_flight(node) < self.max_in_flight() {
                if !self.network.ready(now, node, out) {
                    next = earliest(next, self.network.blocked_until(node));
                    break;
                }
                if !self.send_to(now, node, order, haste, out) {
                    break;
                }
            }
        }
        next
    }

    /// One request with a batch of each partition that the broker leads; false if nothing is ready.
    /// Once one batch has to go, others go with it although they could wait for company.
    fn send_to(
        &mut self,
        now: Instant,
        node: NodeId,
        order: Order,
        haste: Haste,
        out: &mut Effects,
    ) -> bool {
        let limit = usize::try_from(self.setup.config.max_request_size).expect("32 bits fit");
        let count = self.accumulator.queues.len();
        let (mut picked, mut size, mut any_ready) = (Vec::new(), 0, false);
        for step in 0..count {
            let index = (self.turn + step) % count;
            let queue = &self.accumulator.queues[index];
            let candidate = queue.candidate(order, haste);
            let Some(candidate) = candidate.filter(|_| self.is_enrolled(queue)) else { continue };
            let topic = self.accumulator.topic_of(queue);
            let leader = self.network.metadata.leader(topic, queue.partition);
            let Some(leader) = leader.filter(|leader| leader.node == node) else { continue };
            let bytes = queue.batches[candidate.index].wire_size();
            let fits = picked.is_empty() || size + bytes <= limit;
            if candidate.sendable <= now && fits {
                any_ready |= candidate.ready <= now;
                size += bytes;
                picked.push((index, candidate.index, leader.epoch));
            }
        }
        if !any_ready {
            return false;
        }
        self.turn = picked.first().map_or(0, |(index, ..)| index + 1);
        self.send_batches(now, node, order, picked, out);
        true
    }

    /// One request with these batches: queue, place in it, and the epoch of its leader.
    fn send_batches(
        &mut self,
        now: Instant,
        node: NodeId,
        order: Order,
        picked: Vec<(usize, usize, LeaderEpoch)>,
        out: &mut Effects,
    ) {
        let acks = self.acks();
        let mut partitions = Vec::with_capacity(picked.len());
        let mut sent = Vec::with_capacity(picked.len());
        let (max, defects) = (self.setup.config.sequence_max, self.setup.defects);
        for (queue_index, batch_index, epoch) in picked {
            let queue = &mut self.accumulator.queues[queue_index];
            if let Order::Idempotent { session: Some(session), .. } = order {
                queue.number(batch_index, session, max, defects);
            }
            let batch = &mut queue.batches[batch_index];
            batch.state = State::InFlight;
            batch.attempts += 1;
            batch.sent_to = epoch;
            sent.push((queue_index, batch.id));
            let records = Records::Inline([batch.bytes()].into());
            let partition = queue.partition;
            let name = self.accumulator.topic_of(&self.accumulator.queues[queue_index]);
            let topic = self.network.metadata.topic(name).expect("a leader is known");
            partitions.push(ProducePartition { topic: topic.reference(name), partition, records });
        }
        let timeout = self.setup.config.request_timeout;
        if let Some(transaction) = &mut self.transaction {
            // Version 2: the broker tells the coordinator.
            transaction.begun = true;
        }
        let transaction = self.transaction.as_ref();
        let request = Request::Produce(ProduceRequest {
            transactional_id: transaction.map(|transaction| Arc::clone(&transaction.id)),
            version: transaction.map_or_else(Default::default, |transaction| transaction.version),
            acks,
            timeout,
            partitions,
        });
        if acks == Acks::None {
            self.network.send_one_way(node, request, out);
            self.forget(&sent, out);
        } else {
            self.network.send(now, node, request, Sent::Produce(sent), out);
        }
    }

    /// acks=0: what is sent is done.
    fn forget(&mut self, sent: &[(usize, u64)], out: &mut Effects) {
        for (queue, id) in sent {
            let queue = &mut self.accumulator.queues[*queue];
            let index = queue.position(*id).expect("it was just sent");
            let batch = queue.batches.remove(index).expect("it was just found");
            let partition = queue.partition;
            self.succeed(&batch, partition, Offset::NONE, Timestamp::NONE, out);
        }
    }

    /// Asks for a producer id if one is missing; when to ask again.
    fn ensure_identity(&mut self, now: Instant, out: &mut Effects) -> Option<Instant> {
        let Identity::Wanted { not_before, failures } = self.identity else { return None };
        if not_before > now {
            return Some(not_before);
        }
        if self.network.metadata.brokers.is_empty() {
            return None;
        }
        let node = self.network.any_broker(now, &mut self.rng, out)?;
        let request = Request::InitProducerId(InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout: Duration::from_millis(60_000),
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
        });
        self.network.send(now, node, request, Sent::InitProducerId, out);
        self.identity = Identity::Asked { failures };
        None
    }

    fn identified(&mut self, now: Instant, response: &InitProducerIdResponse) {
        let Identity::Asked { failures } = self.identity else { return };
        let InitProducerIdResponse { error, producer_id: id, producer_epoch: epoch } = *response;
        if error.is_ok() {
            self.identity = Identity::Held(Session { id, epoch });
        } else {
            self.identity_failed(now, failures);
        }
    }

    fn identity_failed(&mut self, now: Instant, failures: u32) {
        let not_before = now + self.retry_backoff(failures);
        self.identity = Identity::Wanted { not_before, failures: failures.saturating_add(1) };
    }

    pub(super) fn retry_backoff(&mut self, failures: u32) -> Duration {
        self.backoff().after(failures, &mut self.rng)
    }

    pub(super) fn answered(
        &mut self,
        now: Instant,
        sent: Sent,
        response: &Response,
        out: &mut Effects,
    ) {
        if let (Sent::InitProducerId, Response::InitProducerId(response)) = (&sent, response) {
            self.identified(now, response);
        } else if let (Sent::Produce(batches), Response::Produce(response)) = (&sent, response) {
            self.produced(now, batches, response, out);
        } else if let Sent::Transaction(step) = sent {
            self.transaction_answered(now, step, response, out);
        } else {
            // An answer to another question is garbage: as good as none.
            self.unanswered(now, [sent].into(), out);
        }
    }

    /// Requests whose connection broke or that were not answered in time.
    pub(super) fn unanswered(&mut self, now: Instant, requests: Vec<Sent>, out: &mut Effects) {
        for sent in requests {
            match sent {
                Sent::InitProducerId => {
                    if let Identity::Asked { failures } = self.identity {
                        self.identity_failed(now, failures);
                    }
                }
                Sent::Transaction(step) => self.transaction_unanswered(now, step),
                Sent::Produce(batches) => {
                    for (queue, id) in batches {
                        self.refused(now, queue, id, ErrorCode::NetworkException, true, out);
                    }
                }
            }
        }
    }

    fn produced(
        &mut self,
        now: Instant,
        batches: &[(usize, u64)],
        response: &ProduceResponse,
        out: &mut Effects,
    ) {
        for (place, (queue, id)) in batches.iter().enumerate() {
            let partition = self.accumulator.queues[*queue].partition;
            let answer = response.partitions.get(place);
            let Some(answer) = answer.filter(|answer| answer.partition == partition) else {
                self.refused(now, *queue, *id, ErrorCode::NetworkException, true, out);
                continue;
            };
            self.produced_one(now, *queue, *id, answer, out);
        }
    }

    fn produced_one(
        &mut self,
        now: Instant,
        queue: usize,
        id: u64,
        answer: &ProducedPartition,
        out: &mut Effects,
    ) {
        let error = answer.error;
        if error.is_ok() || error == ErrorCode::DuplicateSequenceNumber {
            let base = if error.is_ok() { answer.base_offset } else { Offset::NONE };
            let (max, defects) = (self.setup.config.sequence_max, self.setup.defects);
            let queue_state = &mut self.accumulator.queues[queue];
            let partition = queue_state.partition;
            let Some(index) = queue_state.position(id) else { return };
            let batch = queue_state.acknowledged(index, max, defects);
            self.succeed(&batch, partition, base, answer.log_append_time, out);
            self.settle(queue, out);
            return;
        }
        if let Some((node, epoch)) = answer.current_leader {
            let queue = &self.accumulator.queues[queue];
            let (topic, partition) = (self.accumulator.topic_of(queue).clone(), queue.partition);
            self.network.metadata.hint(&topic, partition, node, epoch);
        }
        let doubt = !refuses(error, self.acks());
        self.refused(now, queue, id, error, doubt, out);
    }

    /// An attempt failed; `doubt`: it may have been appended nevertheless.
    fn refused(
        &mut self,
        now: Instant,
        queue_index: usize,
        id: u64,
        error: ErrorCode,
        doubt: bool,
        out: &mut Effects,
    ) {
        if is_stale_metadata(error) {
            self.network.request_refresh();
        }
        let idempotent = self.identity != Identity::NotNeeded;
        let retries = self.setup.config.retries;
        let queue = &mut self.accumulator.queues[queue_index];
        // Given up already: the answer came too late.
        let Some(index) = queue.position(id) else { return self.settle(queue_index, out) };
        let batch = &mut queue.batches[index];
        batch.doubt |= doubt;
        let (attempts, sent_to) = (batch.attempts, batch.sent_to);
        let session_lost =
            matches!(error, ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerEpoch);
        let numbers = session_lost || error == ErrorCode::OutOfOrderSequenceNumber;
        // A transaction whose numbers have a hole is aborted; one that only came too early waits.
        let renumbered = match &self.transaction {
            Some(_) => numbers && !session_lost && index > 0,
            None => idempotent && numbers,
        };
        let again = attempts <= retries && (is_retriable(error) || renumbered);
        if !again {
            let batch = queue.given_up(index);
            self.give_up(&batch, error, out);
            return self.settle(queue_index, out);
        }
        if session_lost {
            queue.session_lost();
        } else if numbers {
            queue.out_of_order(index);
            out.note(Event::Sometimes(Mark::OutOfOrderRetried));
        }
        let name = self.accumulator.topic_of(&self.accumulator.queues[queue_index]);
        let partition = self.accumulator.queues[queue_index].partition;
        let leader = self.network.metadata.leader(name, partition);
        // KIP-951: a new leader need not be waited for.
        let moved = leader.is_some_and(|leader| leader.epoch > sent_to);
        let wait = if moved { Duration::ZERO } else { self.retry_backoff(attempts - 1) };
        let batch = &mut self.accumulator.queues[queue_index].batches[index];
        batch.state = State::Retry { not_before: now + wait };
        self.settle(queue_index, out);
    }

    /// Starts a partition's numbers over if they have a hole that nothing can fill.
    fn settle(&mut self, queue: usize, out: &mut Effects) {
        let Identity::Held(session) = self.identity else { return };
        let (max, defects) = (self.setup.config.sequence_max, self.setup.defects);
        let queue = &mut self.accumulator.queues[queue];
        if !queue.settle(max, defects) {
            return;
        }
        if self.transaction.is_some() {
            // The coordinator gives the next epoch, once the transaction is aborted.
            for batch in queue.drop_batches(true) {
                self.give_up(&batch, ErrorCode::OutOfOrderSequenceNumber, out);
            }
            return;
        }
        // A producer without transactions bumps its epoch itself; brokers take any higher one
        // (KIP-360).
        self.identity = match session.epoch.0.checked_add(1) {
            Some(epoch) => Identity::Held(Session { id: session.id, epoch: ProducerEpoch(epoch) }),
            None => Identity::Wanted { not_before: Instant::ZERO, failures: 0 },
        };
        out.note(Event::Sometimes(Mark::ProducerEpochBumped));
        for batch in queue.start_over() {
            self.give_up(&batch, ErrorCode::OutOfOrderSequenceNumber, out);
        }
    }

    /// Gives up batches that are past their delivery timeout, in flight or not (KIP-91).
    pub(super) fn expire_batches(&mut self, now: Instant, out: &mut Effects) {
        let timeout = self.setup.config.delivery_timeout;
        for index in 0..self.accumulator.queues.len() {
            let mut expired = false;
            loop {
                let queue = &mut self.accumulator.queues[index];
                match queue.batches.front_mut() {
                    Some(batch) if batch.created + timeout <= now => {
                        batch.doubt |= batch.is_in_flight();
                    }
                    Some(_) | None => break,
                }
                let batch = queue.given_up(0);
                self.give_up(&batch, ErrorCode::RequestTimedOut, out);
                expired = true;
            }
            if expired {
                out.note(Event::Sometimes(Mark::BatchExpired));
                self.settle(index, out);
            }
        }
    }

    pub(super) fn give_up(&mut self, batch: &Batch, error: ErrorCode, out: &mut Effects) {
        self.accumulator.release(batch);
        if let Some(transaction) = &mut self.transaction {
            transaction.lost(batch, error, out);
        }
        for (call, _) in &batch.calls {
            let outcome =
                if batch.doubt { Outcome::Unknown(error) } else { Outcome::Failed(error) };
            out.push(Effect::Return { call: *call, outcome });
        }
    }

    fn succeed(
        &mut self,
        batch: &Batch,
        partition: i32,
        base: Offset,
        append_time: Timestamp,
        out: &mut Effects,
    ) {
        self.accumulator.release(batch);
        for (delta, (call, timestamp)) in (0..).zip(&batch.calls) {
            let offset = if base == Offset::NONE { base } else { base + delta };
            let timestamp = if append_time == Timestamp::NONE { *timestamp } else { append_time };
            let outcome = Outcome::Sent { partition, offset, timestamp };
            out.push(Effect::Return { call: *call, outcome });
        }
    }
}
