//! An application that sends transactions: begins, ends, gives up, and starts over as a new life
//! when another one has taken its transactional id.

use std::sync::Arc;

use seedlog::error::ErrorCode;
use seedlog::ids::{CallId, TopicName};
use seedlog::op::{GroupMetadata, Op, Outcome, Position};
use seedlog::rng::Rng;

use super::{ProducerClient, Sent, Told};
use crate::check::{Decision, TransactionRef};
use crate::cluster::Process;
use crate::scenario::Scenario;
use crate::scenario::value::{Range, Ratio};
use crate::world::{Seed, World};

/// A producer's transactions.
#[derive(Clone, Debug)]
pub struct Transactor {
    size: Range,
    aborts: Ratio,
    /// Draws how large transactions are and which are given up.
    rng: Rng,
    stage: Stage,
    /// Transactions begun in this life.
    begun: u64,
    calls: u64,
    /// The call that the stage waits for.
    awaited: Option<CallId>,
    /// Calls that carry a consumer's positions.
    offsets: Vec<CallId>,
    /// Where records of the open transaction were put.
    placed: Vec<(TopicName, i32, i64)>,
    /// Whether this life has been told that another one has taken its place.
    fenced: bool,
    pub totals: TransactionTotals,
}

/// Transactions of all lives, as the application knows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionTotals {
    pub begun: u64,
    pub committed: u64,
    pub aborted: u64,
    /// Ended with neither.
    pub unknown: u64,
    /// Lives that ended because another one had the transactional id.
    pub fenced: u64,
}

/// Where a life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Initialising,
    Idle,
    Open {
        /// Records to send until it ends.
        left: u64,
        /// What its application means to do then.
        aborts: bool,
        /// Something failed: it can only be given up.
        doomed: bool,
    },
    Ending(Decision),
    /// Only a new life goes on.
    Over,
}

/// What a producer does when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Send,
    Begin,
    End(Decision),
}

/// What has to follow an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Nothing,
    /// The application closes its client and opens a new one.
    NewLife,
}

impl Transactor {
    /// None for a producer without transactions.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: Seed, number: u32) -> Option<Self> {
        let transactions = scenario.transactions.as_ref()?;
        (number < transactions.producers).then(|| Transactor {
            size: transactions.size,
            aborts: transactions.aborts,
            rng: seed.stream("transactions", u64::from(number), 0),
            stage: Stage::New,
            begun: 0,
            calls: 0,
            awaited: None,
            offsets: Vec::new(),
            placed: Vec::new(),
            fenced: false,
            totals: TransactionTotals::default(),
        })
    }

    /// The number of the transaction that records belong to now.
    #[must_use]
    pub fn open(&self) -> Option<u64> {
        matches!(self.stage, Stage::Open { .. }).then_some(self.begun)
    }

    /// Whether it stands between two transactions.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }

    /// Whether only a new life goes on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether something is begun and has not ended.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Open { .. } | Stage::Ending(_))
    }

    /// What to do now; `sending` is false when nothing new is to begin.
    pub fn due(&mut self, sending: bool) -> Due {
        match &mut self.stage {
            Stage::New | Stage::Initialising | Stage::Ending(_) | Stage::Over => Due::Nothing,
            Stage::Idle if sending => Due::Begin,
            Stage::Idle => Due::Nothing,
            Stage::Open { doomed: true, .. } | Stage::Open { left: 0, aborts: true, .. } => {
                Due::End(Decision::Abort)
            }
            Stage::Open { left: 0, .. } => Due::End(Decision::Commit),
            Stage::Open { .. } if !sending => Due::End(Decision::Commit),
            Stage::Open { left, .. } => {
                *left -= 1;
                Due::Send
            }
        }
    }
}

/// Whether an error says that another life has taken over, or that this one cannot go on.
fn is_fatal(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidProducerIdMapping
            | ErrorCode::TransactionCoordinatorFenced
            | ErrorCode::InvalidTxnState
    )
}

/// Whether an error says that another life has taken over. A producer whose id was rotated away
/// with its last epoch is told that the id is not the name's any more.
fn is_fencing(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidProducerIdMapping
    )
}

/// The transactional part of a producer's life.
impl ProducerClient {
    fn control(&mut self, world: &mut World<Process>, op: Op) -> Option<CallId> {
        let transactor = self.transactor.as_mut()?;
        transactor.calls += 1;
        let number = transactor.calls;
        let call = self.call(number);
        world.call(self.process, call, Arc::new(op));
        Some(call)
    }

    /// Asks for the transactional id's producer id. False if it sends without transactions.
    pub fn init(&mut self, world: &mut World<Process>) -> bool {
        let call = self.control(world, Op::InitTransactions);
        let Some(transactor) = &mut self.transactor else { return false };
        transactor.stage = Stage::Initialising;
        transactor.awaited = call;
        true
    }

    /// Begins a transaction: what is sent from now on belongs to it.
    pub fn begin(&mut self, world: &mut World<Process>) -> bool {
        if self.control(world, Op::BeginTransaction).is_none() {
            return false;
        }
        let Some(transactor) = &mut self.transactor else { return false };
        let left = transactor.size.draw(&mut transactor.rng);
        let aborts = transactor.aborts.draw(&mut transactor.rng);
        transactor.stage = Stage::Open { left, aborts, doomed: false };
        transactor.begun += 1;
        transactor.totals.begun += 1;
        transactor.placed.clear();
        true
    }

    /// Ends the open transaction, one way or the other.
    pub fn end(
        &mut self,
        world: &mut World<Process>,
        decision: Decision,
        told: &mut Vec<Told>,
    ) -> bool {
        let source = self.source();
        let op = match decision {
            Decision::Commit => Op::CommitTransaction,
            Decision::Abort => Op::AbortTransaction,
        };
        let call = self.control(world, op);
        let Some(transactor) = &mut self.transactor else { return false };
        let transaction = TransactionRef { source, number: transactor.begun };
        told.push(Told::Ending(transaction, decision));
        transactor.stage = Stage::Ending(decision);
        transactor.awaited = call;
        true
    }

    /// Commits a consumer's positions with the open transaction.
    pub fn send_offsets(
        &mut self,
        world: &mut World<Process>,
        positions: Vec<Position>,
        group: GroupMetadata,
        told: &mut Vec<Told>,
    ) -> bool {
        let Some(number) = self.transactor.as_ref().and_then(Transactor::open) else {
            return false;
        };
        let transaction = TransactionRef { source: self.source(), number };
        told.push(Told::Offsets(transaction, Arc::clone(&group.group), positions.clone()));
        let call = self.control(world, Op::SendOffsets { positions, group });
        if let Some(transactor) = &mut self.transactor {
            transactor.offsets.extend(call);
        }
        true
    }

    /// A send of the open transaction has its answer.
    pub(super) fn sent_in_transaction(&mut self, sent: &Sent) -> Next {
        let Some(transactor) = &mut self.transactor else { return Next::Nothing };
        match &sent.outcome {
            Outcome::Sent { partition, offset, .. } => {
                transactor.placed.push((sent.topic.clone(), *partition, offset.0));
                Next::Nothing
            }
            Outcome::Failed(error) | Outcome::Unknown(error) => transactor.failed(*error),
            Outcome::Done
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => Next::Nothing,
        }
    }

    /// A call about transactions has its answer. None if it was no such call.
    pub(super) fn controlled(
        &mut self,
        call: CallId,
        outcome: &Outcome,
        told: &mut Vec<Told>,
    ) -> Option<Next> {
        let source = self.source();
        let first = self.call(0).0;
        let transactor = self.transactor.as_mut()?;
        if call.0 <= first || call.0 > first + transactor.calls {
            return None;
        }
        let error = match outcome {
            Outcome::Failed(error) | Outcome::Unknown(error) => Some(*error),
            Outcome::Done
            | Outcome::Sent { .. }
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => None,
        };
        if transactor.awaited != Some(call) {
            // Of a begin, or of offsets: a failure dooms what is open.
            return Some(error.map_or(Next::Nothing, |error| transactor.failed(error)));
        }
        transactor.awaited = None;
        let decision = match transactor.stage {
            Stage::Initialising => {
                let done = error.is_none();
                transactor.stage = if done { Stage::Idle } else { Stage::Over };
                return Some(if done { Next::Nothing } else { Next::NewLife });
            }
            Stage::Ending(decision) => decision,
            Stage::New | Stage::Idle | Stage::Open { .. } | Stage::Over => return None,
        };
        let transaction = TransactionRef { source, number: transactor.begun };
        told.push(Told::Ended(transaction, decision, outcome.clone()));
        Some(transactor.ended(decision, outcome))
    }

    /// The process died: what was open has ended, nobody knows how.
    pub(super) fn transactor_gone(&mut self, told: &mut Vec<Told>) {
        let source = self.source();
        let Some(transactor) = &mut self.transactor else { return };
        let decision = match transactor.stage {
            Stage::Open { .. } => Some(Decision::Abort),
            Stage::Ending(decision) => Some(decision),
            Stage::New | Stage::Initialising | Stage::Idle | Stage::Over => None,
        };
        if let Some(decision) = decision {
            let transaction = TransactionRef { source, number: transactor.begun };
            let outcome = Outcome::Unknown(ErrorCode::NetworkException);
            told.push(Told::Ended(transaction, decision, outcome));
            transactor.totals.unknown += 1;
        }
        transactor.stage = Stage::New;
        transactor.begun = 0;
        transactor.calls = 0;
        transactor.awaited = None;
        transactor.offsets.clear();
        transactor.placed.clear();
        transactor.fenced = false;
    }
}

impl Transactor {
    fn note_fencing(&mut self, error: ErrorCode) {
        if is_fencing(error) && !std::mem::replace(&mut self.fenced, true) {
            self.totals.fenced += 1;
        }
    }

    /// A send, or its like, failed.
    fn failed(&mut self, error: ErrorCode) -> Next {
        self.note_fencing(error);
        if let Stage::Open { doomed, .. } = &mut self.stage {
            *doomed = true;
        }
        // What is ending says itself how it ended.
        if is_fatal(error) && !matches!(self.stage, Stage::Ending(_) | Stage::Over) {
            return Next::NewLife;
        }
        Next::Nothing
    }

    fn ended(&mut self, decision: Decision, outcome: &Outcome) -> Next {
        match outcome {
            Outcome::Failed(error) => {
                self.note_fencing(*error);
                if decision == Decision::Commit && !is_fatal(*error) {
                    self.stage = Stage::Open { left: 0, aborts: true, doomed: true };
                    return Next::Nothing;
                }
                self.totals.unknown += u64::from(decision == Decision::Abort);
                self.stage = Stage::Over;
                Next::NewLife
            }
            Outcome::Unknown(error) => {
                self.note_fencing(*error);
                self.totals.unknown += 1;
                self.stage = Stage::Over;
                Next::NewLife
            }
            Outcome::Done
            | Outcome::Sent { .. }
            | Outcome::Polled(_)
            | Outcome::Rebalanced(_)
            | Outcome::Committed(_)
            | Outcome::Answered(_) => {
                match decision {
                    Decision::Commit => self.totals.committed += 1,
                    Decision::Abort => self.totals.aborted += 1,
                }
                self.stage = Stage::Idle;
                Next::Nothing
            }
        }
    }

    /// Where the records of a transaction are that was committed just now.
    pub(super) fn take_placed(&mut self) -> Vec<(TopicName, i32, i64)> {
        std::mem::take(&mut self.placed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILS: fn(ErrorCode) -> Outcome = Outcome::Failed;
    const UNKNOWN: fn(ErrorCode) -> Outcome = Outcome::Unknown;

    fn at(stage: Stage) -> Transactor {
        Transactor {
            size: Range::new(1, 1),
            aborts: Ratio::NEVER,
            rng: Rng::from_number(1),
            stage,
            begun: 1,
            calls: 0,
            awaited: None,
            offsets: Vec::new(),
            placed: Vec::new(),
            fenced: false,
            totals: TransactionTotals::default(),
        }
    }

    fn open(left: u64, aborts: bool, doomed: bool) -> Stage {
        Stage::Open { left, aborts, doomed }
    }

    #[test]
    fn what_is_begun_is_ended_whether_or_not_more_is_to_begin() {
        let (commit, abort) = (Due::End(Decision::Commit), Due::End(Decision::Abort));
        let table = [
            // stage, what is due while producers send, and after that
            (Stage::New, Due::Nothing, Due::Nothing),
            (Stage::Initialising, Due::Nothing, Due::Nothing),
            (Stage::Idle, Due::Begin, Due::Nothing),
            (open(2, false, false), Due::Send, commit),
            (open(0, false, false), commit, commit),
            (open(0, true, false), abort, abort),
            (open(2, false, true), abort, abort),
            (Stage::Ending(Decision::Commit), Due::Nothing, Due::Nothing),
            (Stage::Over, Due::Nothing, Due::Nothing),
        ];
        for (stage, sending, after) in table {
            assert_eq!((at(stage).due(true), at(stage).due(false)), (sending, after), "{stage:?}");
        }
        let mut transactor = at(open(1, false, false));
        assert_eq!((transactor.due(true), transactor.due(true)), (Due::Send, commit));
    }

    #[test]
    fn what_failed_is_given_up_and_what_nobody_knows_ends_a_life() {
        let (commit, abort) = (Decision::Commit, Decision::Abort);
        let doomed = open(0, true, true);
        let (abortable, fenced) = (ErrorCode::TransactionAbortable, ErrorCode::ProducerFenced);
        let rotated = ErrorCode::InvalidProducerIdMapping;
        let table = [
            // committed, aborted, unknown, fenced
            (commit, Outcome::Done, Stage::Idle, Next::Nothing, [1, 0, 0, 0]),
            (abort, Outcome::Done, Stage::Idle, Next::Nothing, [0, 1, 0, 0]),
            (commit, FAILS(abortable), doomed, Next::Nothing, [0; 4]),
            (abort, FAILS(abortable), Stage::Over, Next::NewLife, [0, 0, 1, 0]),
            (commit, FAILS(fenced), Stage::Over, Next::NewLife, [0, 0, 0, 1]),
            (commit, FAILS(rotated), Stage::Over, Next::NewLife, [0, 0, 0, 1]),
            (commit, UNKNOWN(abortable), Stage::Over, Next::NewLife, [0, 0, 1, 0]),
            (commit, UNKNOWN(fenced), Stage::Over, Next::NewLife, [0, 0, 1, 1]),
        ];
        for (decision, outcome, stage, next, counts) in table {
            let mut transactor = at(Stage::Ending(decision));
            assert_eq!(transactor.ended(decision, &outcome), next, "{decision:?} {outcome:?}");
            let TransactionTotals { committed, aborted, unknown, fenced, .. } = transactor.totals;
            let found = (transactor.stage, [committed, aborted, unknown, fenced]);
            assert_eq!(found, (stage, counts), "{decision:?} {outcome:?}");
        }
    }

    #[test]
    fn a_failed_send_dooms_its_transaction_and_a_fenced_life_ends_once() {
        let mut transactor = at(open(3, false, false));
        assert_eq!(transactor.failed(ErrorCode::RequestTimedOut), Next::Nothing);
        assert_eq!(transactor.stage, open(3, false, true));
        assert_eq!(transactor.failed(ErrorCode::ProducerFenced), Next::NewLife);
        assert_eq!(transactor.failed(ErrorCode::InvalidProducerEpoch), Next::NewLife);
        assert_eq!(transactor.totals.fenced, 1);
        let mut ending = at(Stage::Ending(Decision::Commit));
        assert_eq!(ending.failed(ErrorCode::ProducerFenced), Next::Nothing, "its end will say so");
    }
}
