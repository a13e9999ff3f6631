//! FindCoordinator (10): who keeps a group's offsets or a transaction's state.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{Endpoint, NodeId};

/// What a coordinator is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoordinatorKind {
    /// A partition of `__consumer_offsets` keeps the group.
    Group,
    /// A partition of `__transaction_state` keeps the transactional id.
    Transaction,
}

impl CoordinatorKind {
    /// Kafka's name of the internal topic.
    #[must_use]
    pub const fn topic(self) -> &'static str {
        match self {
            CoordinatorKind::Group => "__consumer_offsets",
            CoordinatorKind::Transaction => "__transaction_state",
        }
    }

    /// Whether a topic is a coordinator's own.
    #[must_use]
    pub fn owns(topic: &str) -> bool {
        [CoordinatorKind::Group, CoordinatorKind::Transaction]
            .iter()
            .any(|kind| kind.topic() == topic)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FindCoordinatorRequest {
    /// None if there is no such kind: KIP-932 has one more, for share groups.
    pub kind: Option<CoordinatorKind>,
    /// Group ids or transactional ids (KIP-699).
    pub keys: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FindCoordinatorResponse {
    /// In the order of the request.
    pub coordinators: Vec<FoundCoordinator>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FoundCoordinator {
    pub key: Arc<str>,
    /// COORDINATOR_NOT_AVAILABLE while nobody leads the key's partition.
    pub error: ErrorCode,
    /// [`NodeId::NONE`] with an error.
    pub node: NodeId,
    /// None with an error.
    pub endpoint: Option<Endpoint>,
}
