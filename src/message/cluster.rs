//! Between a broker and the active controller: registration, heartbeats, producer-id blocks
//! (KIP-631, KIP-730).

use alloc::sync::Arc;

use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, Endpoint, NodeId, Offset, ProducerId, Uuid};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerRegistrationRequest {
    pub node: NodeId,
    pub cluster_id: Arc<str>,
    /// New at each start of the process.
    pub incarnation: Uuid,
    /// The identity of its disk.
    pub directory: Uuid,
    pub endpoint: Endpoint,
    pub rack: Option<Arc<str>>,
    /// The epoch of the last incarnation, if it was shut down cleanly (KIP-966).
    pub previous_epoch: BrokerEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerRegistrationResponse {
    pub error: ErrorCode,
    pub epoch: BrokerEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerHeartbeatRequest {
    pub node: NodeId,
    pub epoch: BrokerEpoch,
    /// How far the broker has applied the metadata log (the last offset applied).
    pub metadata_offset: Offset,
    pub want_fence: bool,
    pub want_shutdown: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BrokerHeartbeatResponse {
    pub error: ErrorCode,
    pub caught_up: bool,
    pub fenced: bool,
    pub should_shutdown: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnregisterBrokerRequest {
    pub node: NodeId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnregisterBrokerResponse {
    pub error: ErrorCode,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllocateProducerIdsRequest {
    pub node: NodeId,
    pub epoch: BrokerEpoch,
}

/// A block of ids that no other broker gets: `first .. first + count`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllocateProducerIdsResponse {
    pub error: ErrorCode,
    pub first: ProducerId,
    pub count: i32,
}
