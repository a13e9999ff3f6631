//! What crosses a connection: the newest version of each API as plain domain structs.
//!
//! Wire versions exist only in the runtime's codec. Requests and responses travel behind `Arc`, so
//! that a duplicated or delayed message and a forked world share them.

pub mod admin;
pub mod cluster;
pub mod commit;
pub mod consumer_group;
pub mod coordinator;
pub mod fetch;
pub mod group;
pub mod metadata;
pub mod offsets;
pub mod partition;
pub mod produce;
pub mod raft;
pub mod refusal;
pub mod store;
pub mod transaction;

use alloc::vec::Vec;

use bytes::Bytes;

use crate::ids::{LogId, Offset};

macro_rules! apis {
    ($($(#[$doc:meta])* $api:ident($request:path, $response:path),)*) => {
        /// A request of any API.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Request {
            $($(#[$doc])* $api($request),)*
        }

        /// The answer to the request of the same name.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Response {
            $($(#[$doc])* $api($response),)*
        }

        /// The APIs that seedlog speaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Api {
            $($(#[$doc])* $api,)*
        }

        impl Api {
            pub const ALL: &'static [Api] = &[$(Api::$api,)*];

            /// Kafka's name of the API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Api::$api => stringify!($api),)*
                }
            }
        }

        impl Request {
            #[must_use]
            pub const fn api(&self) -> Api {
                match self {
                    $(Request::$api(_) => Api::$api,)*
                }
            }
        }

        impl Response {
            #[must_use]
            pub const fn api(&self) -> Api {
                match self {
                    $(Response::$api(_) => Api::$api,)*
                }
            }
        }
    };
}

apis! {
    Produce(produce::ProduceRequest, produce::ProduceResponse),
    Fetch(fetch::FetchRequest, fetch::FetchResponse),
    ListOffsets(offsets::ListOffsetsRequest, offsets::ListOffsetsResponse),
    OffsetForLeaderEpoch(
        offsets::OffsetForLeaderEpochRequest,
        offsets::OffsetForLeaderEpochResponse
    ),
    DeleteRecords(offsets::DeleteRecordsRequest, offsets::DeleteRecordsResponse),
    InitProducerId(produce::InitProducerIdRequest, produce::InitProducerIdResponse),
    FindCoordinator(coordinator::FindCoordinatorRequest, coordinator::FindCoordinatorResponse),
    JoinGroup(group::JoinGroupRequest, group::JoinGroupResponse),
    SyncGroup(group::SyncGroupRequest, group::SyncGroupResponse),
    Heartbeat(group::HeartbeatRequest, group::HeartbeatResponse),
    LeaveGroup(group::LeaveGroupRequest, group::LeaveGroupResponse),
    DescribeGroups(group::DescribeGroupsRequest, group::DescribeGroupsResponse),
    ListGroups(group::ListGroupsRequest, group::ListGroupsResponse),
    DeleteGroups(group::DeleteGroupsRequest, group::DeleteGroupsResponse),
    ConsumerGroupHeartbeat(
        consumer_group::ConsumerGroupHeartbeatRequest,
        consumer_group::ConsumerGroupHeartbeatResponse
    ),
    ConsumerGroupDescribe(
        consumer_group::ConsumerGroupDescribeRequest,
        consumer_group::ConsumerGroupDescribeResponse
    ),
    OffsetCommit(commit::OffsetCommitRequest, commit::OffsetCommitResponse),
    OffsetFetch(commit::OffsetFetchRequest, commit::OffsetFetchResponse),
    OffsetDelete(commit::OffsetDeleteRequest, commit::OffsetDeleteResponse),
    TxnOffsetCommit(commit::TxnOffsetCommitRequest, commit::TxnOffsetCommitResponse),
    AddPartitionsToTxn(
        transaction::AddPartitionsToTxnRequest,
        transaction::AddPartitionsToTxnResponse
    ),
    AddOffsetsToTxn(transaction::AddOffsetsToTxnRequest, transaction::AddOffsetsToTxnResponse),
    EndTxn(transaction::EndTxnRequest, transaction::EndTxnResponse),
    WriteTxnMarkers(transaction::WriteTxnMarkersRequest, transaction::WriteTxnMarkersResponse),
    DescribeProducers(
        transaction::DescribeProducersRequest,
        transaction::DescribeProducersResponse
    ),
    DescribeTransactions(
        transaction::DescribeTransactionsRequest,
        transaction::DescribeTransactionsResponse
    ),
    ListTransactions(
        transaction::ListTransactionsRequest,
        transaction::ListTransactionsResponse
    ),
    Metadata(metadata::MetadataRequest, metadata::MetadataResponse),
    DescribeCluster(metadata::DescribeClusterRequest, metadata::DescribeClusterResponse),
    CreateTopics(admin::CreateTopicsRequest, admin::CreateTopicsResponse),
    DeleteTopics(admin::DeleteTopicsRequest, admin::DeleteTopicsResponse),
    CreatePartitions(admin::CreatePartitionsRequest, admin::CreatePartitionsResponse),
    DescribeConfigs(admin::DescribeConfigsRequest, admin::DescribeConfigsResponse),
    IncrementalAlterConfigs(admin::AlterConfigsRequest, admin::AlterConfigsResponse),
    AlterPartitionReassignments(
        admin::AlterReassignmentsRequest,
        admin::AlterReassignmentsResponse
    ),
    ListPartitionReassignments(admin::ListReassignmentsRequest, admin::ListReassignmentsResponse),
    ElectLeaders(admin::ElectLeadersRequest, admin::ElectLeadersResponse),
    BrokerRegistration(cluster::BrokerRegistrationRequest, cluster::BrokerRegistrationResponse),
    BrokerHeartbeat(cluster::BrokerHeartbeatRequest, cluster::BrokerHeartbeatResponse),
    UnregisterBroker(cluster::UnregisterBrokerRequest, cluster::UnregisterBrokerResponse),
    AllocateProducerIds(cluster::AllocateProducerIdsRequest, cluster::AllocateProducerIdsResponse),
    AlterPartition(partition::AlterPartitionRequest, partition::AlterPartitionResponse),
    /// Raft (KIP-595): asks for a vote, or with `pre_vote` (KIP-996) whether one would be given.
    Vote(raft::VoteRequest, raft::VoteResponse),
    BeginQuorumEpoch(raft::BeginQuorumEpochRequest, raft::BeginQuorumEpochResponse),
    EndQuorumEpoch(raft::EndQuorumEpochRequest, raft::EndQuorumEpochResponse),
    /// Raft's replication: Kafka's Fetch on `__cluster_metadata`.
    QuorumFetch(raft::QuorumFetchRequest, raft::QuorumFetchResponse),
    /// Raft's snapshots (KIP-630).
    FetchSnapshot(raft::FetchSnapshotRequest, raft::FetchSnapshotResponse),
    /// An external store's, not Kafka's.
    Store(store::StoreRequest, store::StoreResponse),
}

/// The pattern of what a group or transaction coordinator serves: of a `Request` or a `Response`.
macro_rules! coordinated {
    ($kind:ident) => {
        $crate::message::$kind::FindCoordinator(_)
            | $crate::message::$kind::JoinGroup(_)
            | $crate::message::$kind::SyncGroup(_)
            | $crate::message::$kind::Heartbeat(_)
            | $crate::message::$kind::LeaveGroup(_)
            | $crate::message::$kind::DescribeGroups(_)
            | $crate::message::$kind::ListGroups(_)
            | $crate::message::$kind::DeleteGroups(_)
            | $crate::message::$kind::ConsumerGroupHeartbeat(_)
            | $crate::message::$kind::ConsumerGroupDescribe(_)
            | $crate::message::$kind::OffsetCommit(_)
            | $crate::message::$kind::OffsetFetch(_)
            | $crate::message::$kind::OffsetDelete(_)
            | $crate::message::$kind::TxnOffsetCommit(_)
            | $crate::message::$kind::AddPartitionsToTxn(_)
            | $crate::message::$kind::AddOffsetsToTxn(_)
            | $crate::message::$kind::EndTxn(_)
            | $crate::message::$kind::DescribeTransactions(_)
            | $crate::message::$kind::ListTransactions(_)
    };
}
pub(crate) use coordinated;

/// The pattern of what Raft serves.
macro_rules! quorum {
    ($kind:ident) => {
        $crate::message::$kind::Vote(_)
            | $crate::message::$kind::BeginQuorumEpoch(_)
            | $crate::message::$kind::EndQuorumEpoch(_)
            | $crate::message::$kind::QuorumFetch(_)
            | $crate::message::$kind::FetchSnapshot(_)
    };
}
pub(crate) use quorum;

/// Record batches on their way: the bytes of the batches themselves, or the name of stored ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Records {
    /// Whole batches in order, one or more to a chunk; a batch never spans chunks. Off the wire all
    /// of it may be garbage.
    Inline(Vec<Bytes>),
    /// Batches of a log of the answering process. Only inside an `Effect::Respond`: the driver puts
    /// the bytes in their place before anybody else sees the message.
    Stored(LogRange),
}

impl Records {
    pub const EMPTY: Records = Records::Inline(Vec::new());

    /// The chunks of records that came over a connection.
    ///
    /// # Panics
    /// If the driver let a `Stored` range through: a bug of the driver.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        match self {
            Records::Inline(chunks) => chunks,
            Records::Stored(_) => panic!("the driver resolves stored ranges before it sends"),
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Records::EMPTY
    }
}

/// Whole batches of one log: those with `from <= base offset < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogRange {
    pub log: LogId,
    /// The base offset of the first batch.
    pub from: Offset,
    /// The offset after the last record of the last batch.
    pub to: Offset,
    /// Size of these batches in bytes.
    pub bytes: u32,
}
