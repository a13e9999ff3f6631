//! What coordinators answer a transactional producer.

use crate::client::coordinator::{Coordinator, is_elsewhere};
use crate::client::errors::is_retriable;
use crate::client::producer::Producer;
use crate::client::producer::batch::Session;
use crate::client::producer::transaction::{State, Step, Transaction};
use crate::defect::Defect;
use crate::error::ErrorCode;
use crate::machine::{Effect, Effects};
use crate::message::Response;
use crate::message::transaction::TransactionVersion;
use crate::op::Outcome;
use crate::time::Instant;

/// What an error of a coordinator means to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Again,
    /// Another broker coordinates.
    Elsewhere,
    Abort,
    Fatal,
}

const fn verdict(error: ErrorCode) -> Verdict {
    if is_elsewhere(error) {
        return Verdict::Elsewhere;
    }
    if is_retriable(error) {
        return Verdict::Again;
    }
    let abortable = matches!(
        error,
        ErrorCode::TransactionAbortable
            | ErrorCode::UnknownProducerId
            | ErrorCode::InvalidProducerIdMapping
            | ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::FencedInstanceId
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::StaleMemberEpoch
            | ErrorCode::RebalanceInProgress
            | ErrorCode::OffsetMetadataTooLarge
            | ErrorCode::InvalidCommitOffsetSize
            | ErrorCode::InvalidTopicException
            | ErrorCode::OperationNotAttempted
    );
    if abortable { Verdict::Abort } else { Verdict::Fatal }
}

/// Whether an answer surely means that the request had no effect, and no earlier one is under way.
const fn is_final(error: ErrorCode) -> bool {
    !is_retriable(error) || matches!(error, ErrorCode::ConcurrentTransactions)
}

/// The one of an answer's errors that counts.
fn worst(errors: impl Iterator<Item = ErrorCode> + Clone) -> ErrorCode {
    let errors = errors.filter(|error| !error.is_ok());
    let first = errors.clone().next().unwrap_or(ErrorCode::None);
    // What was left out because of another partition says nothing beside that one's error, and what
    // ends the transaction counts before what only needs patience.
    let mut reasons = errors.filter(|error| *error != ErrorCode::OperationNotAttempted).peekable();
    let reason = reasons.peek().copied().unwrap_or(first);
    reasons.find(|error| !is_retriable(*error)).unwrap_or(reason)
}

/// The error of an answer that counts; none if it answers another question.
fn told(step: Step, response: &Response) -> Option<ErrorCode> {
    if let (Step::Init, Response::InitProducerId(answer)) = (step, response) {
        return Some(answer.error);
    }
    if let (Step::AddPartitions, Response::AddPartitionsToTxn(answer)) = (step, response) {
        if !answer.error.is_ok() {
            return Some(answer.error);
        }
        let each = answer.transactions.iter().flat_map(|(_, partitions)| partitions);
        return Some(worst(each.map(|(_, _, error)| *error)));
    }
    if let (Step::AddOffsets, Response::AddOffsetsToTxn(answer)) = (step, response) {
        return Some(answer.error);
    }
    if let (Step::CommitOffsets, Response::TxnOffsetCommit(answer)) = (step, response) {
        return Some(worst(answer.partitions.iter().map(|(_, _, error)| *error)));
    }
    if let (Step::End, Response::EndTxn(answer)) = (step, response) {
        return Some(answer.error);
    }
    None
}

impl Producer {
    pub(in crate::client::producer) fn transaction_answered(
        &mut self,
        now: Instant,
        step: Step,
        response: &Response,
        out: &mut Effects,
    ) {
        if matches!(step, Step::FindCoordinator | Step::FindGroup) {
            return self.coordinator_found(now, step, response, out);
        }
        let Some(error) = told(step, response) else {
            // Garbage: as good as no answer.
            return self.transaction_unanswered(now, step);
        };
        let transaction = self.transaction.as_mut().expect("it asked");
        transaction.in_flight = false;
        if matches!(transaction.state, State::FatalError(_)) {
            return;
        }
        if error.is_ok() {
            return self.transaction_advanced(step, response, out);
        }
        if !is_final(error) {
            transaction.in_doubt(step);
        }
        // A producer that was replaced has a partition's word for it or a coordinator's.
        let error = if error == ErrorCode::InvalidProducerEpoch {
            ErrorCode::ProducerFenced
        } else {
            error
        };
        match verdict(error) {
            // An abort waits for no topic that is gone.
            Verdict::Again
                if error == ErrorCode::UnknownTopicOrPartition
                    && transaction.state == State::Aborting =>
            {
                transaction.enrolling.clear();
            }
            Verdict::Again => self.transaction_again(now),
            Verdict::Elsewhere => {
                transaction.look_elsewhere(step);
                self.transaction_again(now);
            }
            Verdict::Abort if transaction.can_abort() => {
                transaction.spoilt = true;
                transaction.abortable(error, out);
            }
            // What the transaction lacks does not matter any more.
            Verdict::Abort if !matches!(step, Step::Init | Step::End) => {
                transaction.enrolling.clear();
            }
            Verdict::Abort | Verdict::Fatal => transaction.fatal(error, out),
        }
    }

    /// A coordinator said not now.
    fn transaction_again(&mut self, now: Instant) {
        let failures = self.transaction.as_ref().map_or(0, |transaction| transaction.failures);
        let wait = self.retry_backoff(failures);
        let transaction = self.transaction.as_mut().expect("it asked");
        transaction.not_before = now + wait;
        transaction.failures = failures.saturating_add(1);
    }

    /// The request's connection broke: it may have had its effect.
    pub(in crate::client::producer) fn transaction_unanswered(&mut self, now: Instant, step: Step) {
        let transaction = self.transaction.as_mut().expect("it asked");
        if matches!(step, Step::FindCoordinator | Step::FindGroup) {
            return transaction.coordinator_of(step).unanswered(now, &mut self.rng);
        }
        transaction.in_flight = false;
        transaction.in_doubt(step);
        transaction.look_elsewhere(step);
        self.transaction_again(now);
    }

    fn coordinator_found(
        &mut self,
        now: Instant,
        step: Step,
        response: &Response,
        out: &mut Effects,
    ) {
        let transaction = self.transaction.as_mut().expect("it asked");
        if matches!(transaction.state, State::FatalError(_)) {
            return;
        }
        let (network, rng) = (&mut self.network, &mut self.rng);
        let coordinator = transaction.coordinator_of(step);
        let Err(error) = coordinator.found(now, response, network, rng) else { return };
        if step == Step::FindCoordinator {
            transaction.fatal(error, out);
        } else if transaction.can_abort() {
            transaction.abortable(error, out);
        }
    }

    fn transaction_advanced(&mut self, step: Step, response: &Response, out: &mut Effects) {
        let transaction = self.transaction.as_mut().expect("it asked");
        transaction.failures = 0;
        match step {
            Step::Init => {
                let Response::InitProducerId(answer) = response else { return };
                let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                transaction.session = Some(Session { id, epoch });
                transaction.ended(out);
                self.renew_session();
            }
            Step::AddPartitions => {
                transaction.begun = true;
                let enrolled = core::mem::take(&mut transaction.enrolling);
                transaction.enrolled.extend(enrolled);
            }
            Step::AddOffsets => {
                if let Some(offsets) = &mut transaction.offsets {
                    offsets.added = true;
                }
            }
            Step::CommitOffsets => {
                if let Some(offsets) = transaction.offsets.take() {
                    out.push(Effect::Return { call: offsets.call, outcome: Outcome::Done });
                }
            }
            Step::End => self.transaction_ended(response, out),
            Step::FindCoordinator | Step::FindGroup => panic!("taken before"),
        }
    }

    fn transaction_ended(&mut self, response: &Response, out: &mut Effects) {
        let Response::EndTxn(answer) = response else { return };
        let defects = self.setup.defects;
        let transaction = self.transaction.as_mut().expect("it asked");
        match transaction.version {
            // KIP-890: the next transaction has an epoch of its own.
            TransactionVersion::V2 => {
                let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                transaction.session = Some(Session { id, epoch });
                transaction.ended(out);
                self.renew_session();
            }
            TransactionVersion::V1 if transaction.spoilt => {
                // KIP-360: a broker that has a number of this epoch takes another record with it
                // for a duplicate.
                if defects.has(Defect::SeqReuseAfterAbort) {
                    transaction.ended(out);
                    let max = self.setup.config.sequence_max;
                    for queue in &mut self.accumulator.queues {
                        queue.reuse_numbers(max, defects);
                    }
                } else {
                    transaction.renewing = true;
                }
            }
            TransactionVersion::V1 => transaction.ended(out),
        }
    }
}

impl Transaction {
    /// An attempt may have had its effect, or may yet.
    fn in_doubt(&mut self, step: Step) {
        match (step, &mut self.offsets) {
            (Step::CommitOffsets, Some(offsets)) => offsets.doubt = true,
            (Step::Init | Step::End, _) => self.doubt = true,
            (_other, _) => {}
        }
    }

    /// Whom a step asks, or asks for.
    fn coordinator_of(&mut self, step: Step) -> &mut Coordinator {
        match (step, &mut self.group) {
            (Step::CommitOffsets | Step::FindGroup, Some(group)) => group,
            (_other, _) => &mut self.coordinator,
        }
    }

    fn look_elsewhere(&mut self, step: Step) {
        let coordinator = self.coordinator_of(step);
        if let Some(node) = coordinator.node() {
            coordinator.forget(node);
        }
    }

    const fn can_abort(&self) -> bool {
        match self.state {
            State::InTransaction | State::Committing => true,
            State::Uninitialized
            | State::Initializing
            | State::Ready
            | State::Aborting
            | State::AbortableError(_)
            | State::FatalError(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_producer_is_at_its_end_and_a_fenced_member_is_not() {
        assert_eq!(verdict(ErrorCode::ProducerFenced), Verdict::Fatal);
        assert_eq!(verdict(ErrorCode::InvalidTxnState), Verdict::Fatal);
        assert_eq!(verdict(ErrorCode::IllegalGeneration), Verdict::Abort);
        assert_eq!(verdict(ErrorCode::TransactionAbortable), Verdict::Abort);
        assert_eq!(verdict(ErrorCode::ConcurrentTransactions), Verdict::Again);
        assert_eq!(verdict(ErrorCode::NotCoordinator), Verdict::Elsewhere);
    }

    #[test]
    fn a_coordinator_that_was_replaced_may_have_decided() {
        assert!(!is_final(ErrorCode::CoordinatorNotAvailable));
        assert!(!is_final(ErrorCode::NotCoordinator));
        assert!(is_final(ErrorCode::ConcurrentTransactions));
        assert!(is_final(ErrorCode::ProducerFenced));
    }
}
