//! What clients told their applications that a checker may want to know.

use std::sync::Arc;

use seedlog::ids::TopicName;
use seedlog::op::{ConsumedRecord, Outcome, Position, Rebalance};

use crate::check::RecordId;

/// One transaction: the life of the producer that began it, and its number there, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionRef {
    pub source: u32,
    pub number: u64,
}

/// How an application ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    Commit,
    Abort,
}

/// A send that ended.
#[derive(Clone, Debug)]
pub struct Sent {
    pub record: RecordId,
    pub topic: TopicName,
    pub outcome: Outcome,
}

#[derive(Clone, Debug)]
pub enum Told {
    Sent(Sent),
    Polled {
        consumer: u32,
        records: Arc<[ConsumedRecord]>,
    },
    /// A record was sent in a transaction.
    Joined(TransactionRef, RecordId),
    /// A consumer's positions were given to a transaction.
    Offsets(TransactionRef, Arc<str>, Vec<Position>),
    /// A transaction was ended that way, with that outcome.
    Ended(TransactionRef, Decision, Outcome),
    Rebalanced {
        consumer: u32,
        group: Arc<str>,
        change: Arc<Rebalance>,
    },
    Committed {
        consumer: u32,
        group: Arc<str>,
        positions: Vec<Position>,
        outcome: Outcome,
    },
}
