//! AlterPartition (56): a leader proposes an ISR, the controller decides (KIP-497, KIP-903).

use alloc::vec::Vec;

use crate::error::ErrorCode;
use crate::ids::{BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch, PartitionId};

/// Whether a partition lost records in an unclean election and has not settled since (KIP-704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaderRecovery {
    #[default]
    Recovered,
    Recovering,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterPartitionRequest {
    pub node: NodeId,
    pub broker_epoch: BrokerEpoch,
    pub partitions: Vec<AlterPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterPartition {
    pub partition: PartitionId,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// The proposed ISR; each member with the broker epoch in which it last fetched
    /// ([`BrokerEpoch::NONE`]: not checked).
    pub new_isr: Vec<(NodeId, BrokerEpoch)>,
    pub recovery: LeaderRecovery,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterPartitionResponse {
    /// Of the whole request: STALE_BROKER_EPOCH, NOT_CONTROLLER, ..
    pub error: ErrorCode,
    pub partitions: Vec<AlteredPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlteredPartition {
    pub partition: PartitionId,
    pub error: ErrorCode,
    pub leader: NodeId,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub isr: Vec<NodeId>,
    pub recovery: LeaderRecovery,
}
