//! What is known of one transactional id.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use crate::event::TransactionState;
use crate::ids::{ProducerEpoch, ProducerId, TopicName};
use crate::message::transaction::TransactionVersion;
use crate::time::{Duration, Timestamp};

/// Partitions of a transaction, in order.
pub(super) type Partitions = Arc<BTreeSet<(TopicName, i32)>>;

/// A transactional id as the committed log has it (Kafka's `TransactionMetadata`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub producer_id: ProducerId,
    /// The id before the last change of ids, [`ProducerId::NONE`] if none.
    pub previous_producer_id: ProducerId,
    /// The id to go on with once this transaction is complete: its epochs run out.
    pub next_producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// The epoch before the last bump that was answered; lost with the coordinator, as in Kafka.
    pub last_producer_epoch: ProducerEpoch,
    pub timeout: Duration,
    pub state: TransactionState,
    pub partitions: Arc<BTreeSet<(TopicName, i32)>>,
    /// When the last transaction began, [`Timestamp::NONE`] if there was none since the session
    /// did.
    pub start: Timestamp,
    pub last_update: Timestamp,
    /// What the client of the last transaction spoke.
    pub version: TransactionVersion,
}

impl Entry {
    /// An id that nobody used yet, with its first producer id.
    pub(super) fn new(producer_id: ProducerId, timeout: Duration, now: Timestamp) -> Self {
        Entry {
            producer_id,
            previous_producer_id: ProducerId::NONE,
            next_producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            last_producer_epoch: ProducerEpoch::NONE,
            timeout,
            state: TransactionState::Empty,
            partitions: Partitions::default(),
            start: Timestamp::NONE,
            last_update: now,
            version: TransactionVersion::V2,
        }
    }

    /// Whether the transaction's outcome is decided and its markers are under way.
    pub(super) fn is_prepared(&self) -> bool {
        self.state.decision().is_some()
    }

    /// Whether no transaction is open or under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(
            self.state,
            TransactionState::Empty
                | TransactionState::CompleteCommit
                | TransactionState::CompleteAbort
        )
    }

    /// What a client goes on with after a transaction that ends like this.
    pub(super) fn next_session(&self) -> (ProducerId, ProducerEpoch) {
        if self.next_producer_id == ProducerId::NONE {
            (self.producer_id, self.producer_epoch)
        } else {
            (self.next_producer_id, ProducerEpoch(0))
        }
    }
}

/// Which state may follow which (KIP-98, KIP-890).
pub(super) fn is_legal(from: TransactionState, to: TransactionState) -> bool {
    use TransactionState::{
        CompleteAbort, CompleteCommit, Dead, Empty, Ongoing, PrepareAbort, PrepareCommit,
        PrepareEpochFence,
    };
    match to {
        Empty => matches!(from, Empty | CompleteCommit | CompleteAbort),
        Ongoing => matches!(from, Ongoing | Empty | CompleteCommit | CompleteAbort),
        PrepareCommit => from == Ongoing,
        // With KIP-890 a transaction without a partition can be aborted, to get a new epoch.
        PrepareAbort => {
            matches!(from, Ongoing | PrepareEpochFence | Empty | CompleteCommit | CompleteAbort)
        }
        CompleteCommit => from == PrepareCommit,
        CompleteAbort => from == PrepareAbort,
        Dead => matches!(from, Empty | CompleteCommit | CompleteAbort),
        PrepareEpochFence => from == Ongoing,
    }
}
