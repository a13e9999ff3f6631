//! How far a transactional producer is, and what it waits for.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::Backoff;
use crate::client::coordinator::Coordinator;
use crate::client::producer::batch::Session;
use crate::error::ErrorCode;
use crate::ids::{CallId, TopicName};
use crate::message::coordinator::CoordinatorKind;
use crate::message::transaction::TransactionVersion;
use crate::op::{GroupMetadata, Position};
use crate::time::Instant;

/// The states of Kafka's `TransactionManager`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Before the first `InitTransactions`.
    Uninitialized,
    Initializing,
    /// No transaction is open.
    Ready,
    InTransaction,
    Committing,
    Aborting,
    /// This transaction can only be aborted.
    AbortableError(ErrorCode),
    /// Nothing goes any more: another producer has the transactional id, or may have.
    FatalError(ErrorCode),
}

/// The transactional side of a producer: its state, and at most one request in flight.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub id: Arc<str>,
    pub version: TransactionVersion,
    pub state: State,
    pub coordinator: Coordinator,
    /// Of the group whose offsets came last.
    pub group: Option<Coordinator>,
    /// Who has the producer id. Kept while a new epoch is asked for (KIP-360).
    pub session: Option<Session>,
    /// The application's call for the present state, and when it is given up.
    pub call: Option<(CallId, Instant)>,
    /// Whether the present request may have had its effect without an answer.
    pub doubt: bool,
    /// Whether the coordinator may know of this transaction.
    pub begun: bool,
    /// Version 1: partitions of this transaction that the coordinator knows.
    pub enrolled: BTreeSet<(TopicName, i32)>,
    /// Version 1: partitions that it was told of, without an answer yet.
    pub enrolling: Vec<(TopicName, i32)>,
    pub offsets: Option<Offsets>,
    /// Some number of this epoch may be in a log for a record that was given up: the next
    /// transaction must not use it again.
    pub spoilt: bool,
    /// Whether EndTxn was sent: what fails from then on is too late to change the end.
    pub ending: bool,
    /// Version 1: the transaction is aborted, and its spoilt epoch has to go (KIP-360).
    pub renewing: bool,
    pub in_flight: bool,
    /// No request before this instant.
    pub not_before: Instant,
    pub failures: u32,
}

/// A consumer's positions on their way into the transaction (KIP-447).
#[derive(Clone, Debug)]
pub(crate) struct Offsets {
    pub call: CallId,
    pub until: Instant,
    pub positions: Vec<Position>,
    pub group: GroupMetadata,
    /// Version 1: whether the transaction's coordinator knows of the group.
    pub added: bool,
    pub doubt: bool,
}

/// What a request of the transaction was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    FindCoordinator,
    FindGroup,
    Init,
    AddPartitions,
    AddOffsets,
    CommitOffsets,
    End,
}

impl Transaction {
    pub fn new(id: Arc<str>, version: TransactionVersion, retry: Backoff) -> Self {
        Transaction {
            coordinator: Coordinator::new(CoordinatorKind::Transaction, Arc::clone(&id), retry),
            id,
            group: None,
            version,
            state: State::Uninitialized,
            session: None,
            call: None,
            doubt: false,
            begun: false,
            enrolled: BTreeSet::new(),
            enrolling: Vec::new(),
            offsets: None,
            spoilt: false,
            ending: false,
            renewing: false,
            in_flight: false,
            not_before: Instant::ZERO,
            failures: 0,
        }
    }

    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Committing | State::Aborting)
    }

    /// Whether what was never sent is not to be sent any more.
    pub fn drops_unsent(&self) -> bool {
        matches!(self.state, State::Aborting | State::AbortableError(_) | State::FatalError(_))
    }

    /// A new state starts without failures of its own.
    pub fn enter(&mut self, state: State) {
        assert!(
            !matches!(self.state, State::FatalError(_)),
            "a fatal error is the end: {state:?} after {:?}",
            self.state
        );
        self.state = state;
        self.doubt = false;
        self.failures = 0;
        self.not_before = Instant::ZERO;
    }

    /// Whether a partition's batches may be sent: version 1 tells the coordinator first.
    pub fn has_enrolled(&self, topic: &TopicName, partition: i32) -> bool {
        match self.version {
            TransactionVersion::V1 => self.enrolled.contains(&(topic.clone(), partition)),
            TransactionVersion::V2 => true,
        }
    }

    /// Nothing is left of the transaction that has ended.
    pub fn forget(&mut self) {
        self.begun = false;
        self.spoilt = false;
        self.ending = false;
        self.renewing = false;
        self.enrolled.clear();
        self.enrolling.clear();
    }

    pub fn check(&self) {
        let open = match self.state {
            State::Uninitialized | State::Initializing | State::Ready => false,
            State::InTransaction
            | State::Committing
            | State::Aborting
            | State::AbortableError(_)
            | State::FatalError(_) => true,
        };
        assert!(open || self.offsets.is_none(), "offsets are part of a transaction");
        assert!(open || self.enrolling.is_empty(), "so are partitions");
        let needs = !matches!(
            self.state,
            State::Uninitialized | State::Initializing | State::FatalError(_)
        );
        assert!(!needs || self.session.is_some(), "a transaction has a producer id");
    }
}
