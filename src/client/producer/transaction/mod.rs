//! Transactions of a producer (KIP-98, KIP-360, KIP-447, KIP-890), after Kafka's
//! `TransactionManager`.
//!
//! - `state`: how far it is.
//! - `request`: what to ask which coordinator next; one request at a time.
//! - `answer`: what the answers mean.
//!
//! A call is given up after `max.block.ms`; what it began goes on, and the same call takes it up
//! again.

mod answer;
mod request;
mod state;

use alloc::sync::Arc;

use crate::client::coordinator::Coordinator;
use crate::client::producer::Producer;
use crate::client::producer::batch::Batch;
use crate::error::ErrorCode;
use crate::ids::CallId;
use crate::machine::{Effect, Effects};
use crate::message::coordinator::CoordinatorKind;
use crate::op::{GroupMetadata, Op, Outcome, Position};
use crate::time::{Instant, Now};

pub(crate) use state::{Offsets, State, Step, Transaction};

/// How a call that failed is answered: with `doubt` it may have had its effect.
pub(super) fn failed(error: ErrorCode, doubt: bool) -> Outcome {
    if doubt { Outcome::Unknown(error) } else { Outcome::Failed(error) }
}

impl Transaction {
    /// Whether a record may be sent now.
    ///
    /// # Errors
    /// What the send is answered.
    pub fn takes_sends(&self) -> Result<(), ErrorCode> {
        match self.state {
            State::InTransaction => Ok(()),
            State::AbortableError(error) | State::FatalError(error) => Err(error),
            State::Uninitialized
            | State::Initializing
            | State::Ready
            | State::Committing
            | State::Aborting => Err(ErrorCode::InvalidTxnState),
        }
    }

    /// Takes a call to begin or to end.
    ///
    /// # Errors
    /// What the call is answered at once.
    fn called(&mut self, op: &Op, call: (CallId, Instant)) -> Result<Option<Outcome>, ErrorCode> {
        if let State::FatalError(error) = self.state {
            return Err(error);
        }
        let next = match (op, self.state) {
            (Op::BeginTransaction, State::Ready) => {
                self.enter(State::InTransaction);
                return Ok(Some(Outcome::Done));
            }
            (Op::InitTransactions, State::Uninitialized) => State::Initializing,
            (Op::CommitTransaction, State::InTransaction) => State::Committing,
            (Op::AbortTransaction, State::InTransaction | State::AbortableError(_)) => {
                State::Aborting
            }
            (Op::CommitTransaction, State::AbortableError(error)) => return Err(error),
            // The same call again: the one before was given up.
            (Op::InitTransactions, State::Initializing)
            | (Op::CommitTransaction, State::Committing)
            | (Op::AbortTransaction, State::Aborting)
                if self.call.is_none() =>
            {
                self.call = Some(call);
                return Ok(None);
            }
            _elsewhere => return Err(ErrorCode::InvalidTxnState),
        };
        self.enter(next);
        self.call = Some(call);
        Ok(None)
    }

    /// The transaction can only be aborted from now on.
    pub fn abortable(&mut self, error: ErrorCode, out: &mut Effects) {
        self.answer_calls(error, out);
        self.enter(State::AbortableError(error));
    }

    /// Nothing goes any more.
    pub fn fatal(&mut self, error: ErrorCode, out: &mut Effects) {
        self.answer_calls(error, out);
        self.enter(State::FatalError(error));
        self.enrolling.clear();
    }

    fn answer_calls(&mut self, error: ErrorCode, out: &mut Effects) {
        if let Some((call, _)) = self.call.take() {
            out.push(Effect::Return { call, outcome: failed(error, self.doubt) });
        }
        self.drop_offsets(error, out);
    }

    fn drop_offsets(&mut self, error: ErrorCode, out: &mut Effects) {
        if let Some(offsets) = self.offsets.take() {
            let doubt = offsets.doubt || self.in_flight;
            self.spoilt |= doubt;
            out.push(Effect::Return { call: offsets.call, outcome: failed(error, doubt) });
        }
    }

    /// A batch was given up: its transaction is not whole.
    pub fn lost(&mut self, batch: &Batch, error: ErrorCode, out: &mut Effects) {
        if batch.number.is_some_and(|number| Some(number.session) != self.session) {
            return;
        }
        self.spoilt |= batch.number.is_some();
        self.send_failed(error, out);
    }

    /// A record of the transaction was not sent.
    pub fn send_failed(&mut self, error: ErrorCode, out: &mut Effects) {
        let fenced =
            matches!(error, ErrorCode::ProducerFenced | ErrorCode::InvalidProducerIdMapping);
        match self.state {
            State::InTransaction | State::Committing if fenced => self.fatal(error, out),
            State::InTransaction | State::Committing if !self.ending => self.abortable(error, out),
            State::InTransaction
            | State::Committing
            | State::Uninitialized
            | State::Initializing
            | State::Ready
            | State::Aborting
            | State::AbortableError(_)
            | State::FatalError(_) => {}
        }
    }
}

impl Producer {
    /// Takes a call that is about transactions.
    pub(super) fn transaction_called(
        &mut self,
        now: Now,
        call: CallId,
        op: &Op,
        out: &mut Effects,
    ) {
        let until = now.mono + self.setup.config.max_block;
        let idempotent = self.setup.is_idempotent();
        let outcome = match &mut self.transaction {
            None => Err(ErrorCode::InvalidRequest),
            Some(_) if !idempotent => Err(ErrorCode::InvalidConfig),
            Some(transaction) => {
                if let Op::SendOffsets { positions, group } = op {
                    let taken = transaction.takes_sends();
                    taken.and_then(|()| self.send_offsets((call, until), positions, group))
                } else {
                    transaction.called(op, (call, until))
                }
            }
        };
        match outcome {
            Ok(None) => self.work(now, out),
            Ok(Some(outcome)) => out.push(Effect::Return { call, outcome }),
            Err(error) => {
                out.push(Effect::Return { call, outcome: Outcome::Failed(error) });
            }
        }
    }

    fn send_offsets(
        &mut self,
        (call, until): (CallId, Instant),
        positions: &[Position],
        group: &GroupMetadata,
    ) -> Result<Option<Outcome>, ErrorCode> {
        let retry = self.backoff();
        let transaction = self.transaction.as_mut().expect("the caller looked");
        if transaction.offsets.is_some() {
            return Err(ErrorCode::InvalidRequest);
        }
        if transaction.group.as_ref().is_none_or(|known| known.key() != &*group.group) {
            let key = Arc::clone(&group.group);
            transaction.group = Some(Coordinator::new(CoordinatorKind::Group, key, retry));
        }
        transaction.offsets = Some(Offsets {
            call,
            until,
            positions: positions.to_vec(),
            group: group.clone(),
            added: false,
            doubt: false,
        });
        Ok(None)
    }

    /// Aborts what is open before the producer closes.
    pub(super) fn abort_to_close(&mut self) {
        let Some(transaction) = &mut self.transaction else { return };
        if matches!(transaction.state, State::InTransaction | State::AbortableError(_)) {
            transaction.enter(State::Aborting);
        }
    }

    /// Drops what an aborted transaction need not send any more.
    pub(super) fn drop_unsent(&mut self, out: &mut Effects) {
        let Some(transaction) = &mut self.transaction else { return };
        if !transaction.drops_unsent() {
            return;
        }
        let (error, all) = match transaction.state {
            State::AbortableError(error) => (error, false),
            State::FatalError(error) => (error, true),
            State::Aborting => {
                transaction.drop_offsets(ErrorCode::TransactionAbortable, out);
                (ErrorCode::TransactionAbortable, false)
            }
            State::Uninitialized
            | State::Initializing
            | State::Ready
            | State::InTransaction
            | State::Committing => return,
        };
        for waiting in self.accumulator.waiting.drain(..) {
            out.push(Effect::Return { call: waiting.call, outcome: Outcome::Failed(error) });
        }
        for index in 0..self.accumulator.queues.len() {
            for batch in self.accumulator.queues[index].drop_batches(all) {
                self.give_up(&batch, error, out);
            }
        }
    }
}
