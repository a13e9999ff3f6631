//! What a transactional producer asks for next.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::client::coordinator::Reach;
use crate::client::producer::sender::Sent;
use crate::client::producer::transaction::{State, Step, Transaction};
use crate::client::producer::{Identity, Producer};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::ids::{ProducerEpoch, ProducerId, TopicName, TopicRef};
use crate::machine::{Effect, Effects};
use crate::message::Request;
use crate::message::commit::{CommittedPartition, Committer, TxnOffsetCommitRequest};
use crate::message::produce::InitProducerIdRequest;
use crate::message::transaction::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddedTransaction, EndTxnRequest,
    TransactionVersion,
};
use crate::op::Outcome;
use crate::time::{Instant, earliest};

impl Producer {
    /// Does what is next for the transaction; when to look again without an answer.
    pub(in crate::client::producer) fn transact(
        &mut self,
        now: Instant,
        out: &mut Effects,
    ) -> Option<Instant> {
        self.transaction.as_ref()?;
        self.drop_unsent(out);
        self.expire_calls(now, out);
        self.drop_unsent(out);
        self.end_unbegun(out);
        let next = self.next_step().and_then(|step| self.attempt(now, step, out));
        let transaction = self.transaction.as_ref()?;
        let call = transaction.call.map(|(_, until)| until);
        let offsets = transaction.offsets.as_ref().map(|offsets| offsets.until);
        earliest(next, earliest(call, offsets))
    }

    /// Gives up calls whose time is over. What they began goes on.
    fn expire_calls(&mut self, now: Instant, out: &mut Effects) {
        let Some(transaction) = &mut self.transaction else { return };
        if let Some((call, until)) = transaction.call
            && until <= now
        {
            transaction.call = None;
            let outcome = Outcome::Unknown(ErrorCode::RequestTimedOut);
            out.push(Effect::Return { call, outcome });
        }
        if transaction.offsets.as_ref().is_some_and(|offsets| offsets.until <= now) {
            transaction.abortable(ErrorCode::RequestTimedOut, out);
        }
    }

    /// A transaction that nobody else knows of ends here.
    fn end_unbegun(&mut self, out: &mut Effects) {
        let idle = self.is_flushed();
        let Some(transaction) = &mut self.transaction else { return };
        let ends = transaction.is_ending() && !transaction.renewing && idle;
        if ends
            && !transaction.begun
            && !transaction.in_flight
            && transaction.enrolling.is_empty()
            && transaction.offsets.is_none()
        {
            transaction.ended(out);
        }
    }

    /// Whether no record of the transaction lacks its answer.
    fn is_flushed(&self) -> bool {
        self.accumulator.is_empty()
    }

    fn next_step(&self) -> Option<Step> {
        let transaction = self.transaction.as_ref().filter(|transaction| !transaction.in_flight)?;
        let sends = match transaction.state {
            State::Uninitialized
            | State::Ready
            | State::AbortableError(_)
            | State::FatalError(_) => return None,
            State::Initializing => return Some(Step::Init),
            State::Aborting if transaction.renewing => return Some(Step::Init),
            State::InTransaction | State::Committing => true,
            State::Aborting => false,
        };
        if !transaction.enrolling.is_empty() || (sends && !self.not_enrolled().is_empty()) {
            return Some(Step::AddPartitions);
        }
        if let Some(offsets) = transaction.offsets.as_ref().filter(|_| sends) {
            let first = transaction.version == TransactionVersion::V1 && !offsets.added;
            return Some(if first { Step::AddOffsets } else { Step::CommitOffsets });
        }
        // The transaction's end must not overtake a record of it.
        let flushed = self.is_flushed() || self.setup.defects.has(Defect::CommitBeforeFlush);
        (transaction.is_ending() && flushed).then_some(Step::End)
    }

    /// Version 1: partitions with records that wait until the coordinator knows of them.
    fn not_enrolled(&self) -> Vec<(TopicName, i32)> {
        let Some(transaction) = &self.transaction else { return Vec::new() };
        let queues = self.accumulator.queues.iter().filter(|queue| !queue.batches.is_empty());
        let named = queues.map(|queue| (self.accumulator.topic_of(queue), queue.partition));
        named
            .filter(|(topic, partition)| !transaction.has_enrolled(topic, *partition))
            .map(|(topic, partition)| (topic.clone(), partition))
            .collect()
    }

    fn attempt(&mut self, now: Instant, step: Step, out: &mut Effects) -> Option<Instant> {
        let adding = if step == Step::AddPartitions { self.not_enrolled() } else { Vec::new() };
        let transaction = self.transaction.as_mut()?;
        if transaction.not_before > now {
            return Some(transaction.not_before);
        }
        let (coordinator, find) = match (step, &mut transaction.group) {
            (Step::CommitOffsets, Some(coordinator)) => (coordinator, Step::FindGroup),
            (_other, _) => (&mut transaction.coordinator, Step::FindCoordinator),
        };
        let tag = Sent::Transaction(find);
        let node = match coordinator.reach(now, &mut self.network, tag, &mut self.rng, out) {
            Reach::Ready(node) => node,
            Reach::Wait(at) => return at,
        };
        if transaction.enrolling.is_empty() {
            transaction.enrolling = adding;
        }
        let request = match step {
            Step::Init => transaction.init(self.setup.config.transaction_timeout),
            Step::AddPartitions => transaction.add_partitions(),
            Step::AddOffsets => transaction.add_offsets(),
            Step::CommitOffsets => transaction.commit_offsets(),
            Step::End => transaction.end(),
            Step::FindCoordinator | Step::FindGroup => panic!("the coordinator asks for itself"),
        };
        transaction.in_flight = true;
        self.network.send(now, node, request, Sent::Transaction(step), out);
        None
    }

    /// Goes by this session from now on; the numbers of every partition begin again.
    pub(super) fn renew_session(&mut self) {
        let session = self.transaction.as_ref().and_then(|transaction| transaction.session);
        let session = session.expect("the caller has just got it");
        if self.identity != Identity::Held(session) {
            self.identity = Identity::Held(session);
            for queue in &mut self.accumulator.queues {
                queue.begin_anew();
            }
        }
    }
}

impl Transaction {
    fn session(&self) -> (ProducerId, ProducerEpoch) {
        let session = self.session.expect("a transaction has a producer id");
        (session.id, session.epoch)
    }

    fn init(&self, timeout: crate::time::Duration) -> Request {
        let given = self.session.map(|session| (session.id, session.epoch));
        let (producer_id, producer_epoch) =
            given.unwrap_or((ProducerId::NONE, ProducerEpoch::NONE));
        Request::InitProducerId(InitProducerIdRequest {
            transactional_id: Some(Arc::clone(&self.id)),
            transaction_timeout: timeout,
            producer_id,
            producer_epoch,
        })
    }

    fn add_partitions(&self) -> Request {
        let (producer_id, producer_epoch) = self.session();
        let transactions = [AddedTransaction {
            transactional_id: Arc::clone(&self.id),
            producer_id,
            producer_epoch,
            verify_only: false,
            by_client: true,
            partitions: self.enrolling.clone(),
        }];
        let transactions = transactions.into();
        Request::AddPartitionsToTxn(AddPartitionsToTxnRequest { transactions })
    }

    fn add_offsets(&mut self) -> Request {
        let (producer_id, producer_epoch) = self.session();
        self.begun = true;
        let offsets = self.offsets.as_ref().expect("a step with offsets");
        Request::AddOffsetsToTxn(AddOffsetsToTxnRequest {
            transactional_id: Arc::clone(&self.id),
            producer_id,
            producer_epoch,
            group: Arc::clone(&offsets.group.group),
        })
    }

    fn commit_offsets(&mut self) -> Request {
        let (producer_id, producer_epoch) = self.session();
        // Version 2: the group's coordinator enrols the group.
        self.begun = true;
        let offsets = self.offsets.as_ref().expect("a step with offsets");
        let partitions = offsets.positions.iter().map(|position| CommittedPartition {
            topic: TopicRef::Name(position.topic.clone()),
            partition: position.partition,
            offset: position.offset,
            leader_epoch: position.leader_epoch,
            metadata: position.metadata.clone(),
        });
        Request::TxnOffsetCommit(TxnOffsetCommitRequest {
            transactional_id: Arc::clone(&self.id),
            producer_id,
            producer_epoch,
            committer: Committer {
                group: Arc::clone(&offsets.group.group),
                member: Arc::clone(&offsets.group.member),
                instance: offsets.group.instance.clone(),
                generation: offsets.group.generation,
            },
            partitions: partitions.collect(),
            version: self.version,
        })
    }

    fn end(&mut self) -> Request {
        let (producer_id, producer_epoch) = self.session();
        self.ending = true;
        Request::EndTxn(EndTxnRequest {
            transactional_id: Arc::clone(&self.id),
            producer_id,
            producer_epoch,
            commit: self.state == State::Committing,
            version: self.version,
        })
    }

    /// The end of a transaction, and of the call that asked for it.
    pub fn ended(&mut self, out: &mut Effects) {
        self.forget();
        self.enter(State::Ready);
        if let Some((call, _)) = self.call.take() {
            out.push(Effect::Return { call, outcome: Outcome::Done });
        }
    }
}
