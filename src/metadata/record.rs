//! The records of the metadata log, after Kafka's (`metadata/src/main/resources/common/metadata`).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{
    BrokerEpoch, Endpoint, NodeId, PartitionId, ProducerId, TopicId, TopicName, Uuid,
};
use crate::message::admin::ConfigResource;
use crate::message::partition::LeaderRecovery;
use crate::metadata::PartitionImage;

/// One change of the cluster's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetadataRecord {
    /// A broker registered; its epoch is this record's offset. It starts fenced.
    RegisterBroker {
        node: NodeId,
        epoch: BrokerEpoch,
        incarnation: Uuid,
        directory: Uuid,
        endpoint: Endpoint,
        rack: Option<Arc<str>>,
    },
    UnregisterBroker {
        node: NodeId,
        epoch: BrokerEpoch,
    },
    /// A registered broker is fenced or not, shutting down or not.
    BrokerChange {
        node: NodeId,
        epoch: BrokerEpoch,
        fenced: bool,
        in_controlled_shutdown: bool,
    },
    Topic {
        name: TopicName,
        id: TopicId,
    },
    RemoveTopic {
        id: TopicId,
    },
    /// A new partition, whole.
    Partition {
        id: PartitionId,
        state: PartitionImage,
    },
    /// A partition changed: only what is given. The partition epoch grows by one with each; the
    /// leader epoch grows if `leader` is given (even the same one) or a replica is removed.
    PartitionChange {
        id: PartitionId,
        change: PartitionChange,
    },
    /// A config of a topic or a broker; no value removes it.
    Config {
        resource: ConfigResource,
        name: Arc<str>,
        value: Option<Arc<str>>,
    },
    /// Ids below `next` are handed out (KIP-730).
    ProducerIds {
        node: NodeId,
        epoch: BrokerEpoch,
        next: ProducerId,
    },
    /// Keeps the high watermark moving on an idle cluster (KIP-835).
    NoOp,
}

/// The fields of a partition that change; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PartitionChange {
    pub replicas: Option<Vec<NodeId>>,
    pub isr: Option<Vec<NodeId>>,
    pub elr: Option<Vec<NodeId>>,
    pub last_known_elr: Option<Vec<NodeId>>,
    pub leader: Option<NodeId>,
    pub recovery: Option<LeaderRecovery>,
    pub adding: Option<Vec<NodeId>>,
    pub removing: Option<Vec<NodeId>>,
}
