//! What clients told their applications that a checker may want to know.

use std::sync::Arc;

use seedlog::ids::TopicName;
use seedlog::op::{ConsumedRecord, Outcome, Position, Rebalance};

use crate::check::{Decision, RecordId, TransactionRef};

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
    /// A transaction is to end that way.
    Ending(TransactionRef, Decision),
    /// A transaction was ended that way, with that outcome.
    Ended(TransactionRef, Decision, Outcome),
    Rebalanced {
        consumer: u32,
        group: Arc<str>,
        change: Arc<Rebalance>,
    },
    /// A member has worked on these records.
    Worked {
        group: Arc<str>,
        records: Arc<[ConsumedRecord]>,
    },
    /// A member has left its group.
    Left {
        consumer: u32,
    },
    Committed {
        consumer: u32,
        group: Arc<str>,
        positions: Vec<Position>,
        outcome: Outcome,
    },
}
