//! Every API that is served: its number, its versions, what its request looks like, and how its
//! messages are read and written.

use bytes::Bytes;
use kafka_protocol::messages as wire;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use seedlog::message::{Api, Request, Response};

use super::convert::{Asks, Wire};
use super::shape::Shape;
use super::{CodecError, Head, Result, answer, ask, decode};
use super::{
    commit, configs, consumer_group, fetch, group, metadata, offsets, produce, topics, transaction,
};

/// One API.
pub struct Row {
    /// Kafka's number of it.
    pub key: i16,
    pub api: Api,
    /// The oldest version that is advertised. Old librdkafka looks for single old versions
    /// (KAFKA-18659), so some are advertised that are refused when used, as Kafka 4 does.
    pub advertised: i16,
    /// The oldest and the newest version that are spoken.
    pub from: i16,
    pub to: i16,
    pub shape: Shape,
    pub request_header: fn(i16) -> i16,
    pub read_request: fn(&mut Bytes, i16) -> Result<(Request, Asks)>,
    pub write_request: fn(&wire::RequestHeader, &Request) -> Result<Bytes>,
    /// With its header.
    pub read_response: fn(&mut Bytes, i16) -> Result<Response>,
    pub write_response: fn(Head, &Response) -> Result<Bytes>,
}

impl Row {
    pub fn serves(&self, version: i16) -> bool {
        (self.from..=self.to).contains(&version)
    }
}

/// The row of an API by its number, if it is served.
pub fn by_key(key: i16) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.key == key)
}

/// The row of an API.
pub fn by_api(api: Api) -> Result<&'static Row> {
    let row = TABLE.iter().find(|row| row.api == api);
    row.ok_or_else(|| CodecError::new(format!("{} is not served", api.name())))
}

fn read<W: Decodable, T: Wire<W>>(frame: &mut Bytes, version: i16) -> Result<(T, Asks)> {
    let wire = decode::<W>(frame, version)?;
    let asks = T::asks(&wire);
    Ok((T::back(wire, version), asks))
}

fn write<W: Encodable + HeaderVersion, T: Wire<W>>(head: Head, response: &T) -> Result<Bytes> {
    let mut wire = response.out(head.version);
    T::tell(&mut wire, head.asks);
    answer(head, &wire)
}

/// Core and wire give an API's messages the same names: Kafka's.
macro_rules! table {
    ($($key:literal $api:ident $advertised:literal, $from:literal..=$to:literal,
        $request:ident $response:ident, $shape:expr;)*) => {
        pub const TABLE: &[Row] = &[$(Row {
            key: $key,
            api: Api::$api,
            advertised: $advertised,
            from: $from,
            to: $to,
            shape: $shape,
            request_header: wire::$request::header_version,
            read_request: |frame, version| {
                let (request, asks) = read::<wire::$request, _>(frame, version)?;
                Ok((Request::$api(request), asks))
            },
            write_request: |header, request| {
                let Request::$api(request) = request else { panic!("the row of another API") };
                ask::<wire::$request>(header, &request.out(header.request_api_version))
            },
            read_response: |frame, version| {
                decode::<wire::ResponseHeader>(frame, wire::$response::header_version(version))?;
                let wire = decode::<wire::$response>(frame, version)?;
                Ok(Response::$api(Wire::back(wire, version)))
            },
            write_response: |head, response| {
                let Response::$api(response) = response else { panic!("the row of another API") };
                write::<wire::$response, _>(head, response)
            },
        }),*];
    };
}

table! {
    0 Produce 0, 3..=13, ProduceRequest ProduceResponse, produce::PRODUCE;
    1 Fetch 0, 4..=16, FetchRequest FetchResponse, fetch::FETCH;
    2 ListOffsets 0, 1..=7, ListOffsetsRequest ListOffsetsResponse, offsets::LIST_OFFSETS;
    3 Metadata 0, 0..=12, MetadataRequest MetadataResponse, metadata::METADATA;
    8 OffsetCommit 2, 2..=9, OffsetCommitRequest OffsetCommitResponse, commit::OFFSET_COMMIT;
    9 OffsetFetch 1, 1..=9, OffsetFetchRequest OffsetFetchResponse, commit::OFFSET_FETCH;
    10 FindCoordinator 0, 0..=6, FindCoordinatorRequest FindCoordinatorResponse,
        metadata::FIND_COORDINATOR;
    11 JoinGroup 0, 0..=9, JoinGroupRequest JoinGroupResponse, group::JOIN_GROUP;
    12 Heartbeat 0, 0..=4, HeartbeatRequest HeartbeatResponse, group::HEARTBEAT;
    13 LeaveGroup 0, 0..=5, LeaveGroupRequest LeaveGroupResponse, group::LEAVE_GROUP;
    14 SyncGroup 0, 0..=5, SyncGroupRequest SyncGroupResponse, group::SYNC_GROUP;
    15 DescribeGroups 0, 0..=6, DescribeGroupsRequest DescribeGroupsResponse,
        group::DESCRIBE_GROUPS;
    16 ListGroups 0, 0..=5, ListGroupsRequest ListGroupsResponse, group::LIST_GROUPS;
    19 CreateTopics 2, 2..=7, CreateTopicsRequest CreateTopicsResponse, topics::CREATE_TOPICS;
    20 DeleteTopics 1, 1..=6, DeleteTopicsRequest DeleteTopicsResponse, topics::DELETE_TOPICS;
    21 DeleteRecords 0, 0..=2, DeleteRecordsRequest DeleteRecordsResponse, offsets::DELETE_RECORDS;
    22 InitProducerId 0, 0..=5, InitProducerIdRequest InitProducerIdResponse,
        produce::INIT_PRODUCER_ID;
    23 OffsetForLeaderEpoch 2, 2..=4, OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse,
        offsets::OFFSET_FOR_LEADER_EPOCH;
    24 AddPartitionsToTxn 0, 0..=3, AddPartitionsToTxnRequest AddPartitionsToTxnResponse,
        transaction::ADD_PARTITIONS_TO_TXN;
    25 AddOffsetsToTxn 0, 0..=4, AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
        transaction::ADD_OFFSETS_TO_TXN;
    26 EndTxn 0, 0..=5, EndTxnRequest EndTxnResponse, transaction::END_TXN;
    27 WriteTxnMarkers 1, 1..=1, WriteTxnMarkersRequest WriteTxnMarkersResponse,
        transaction::WRITE_TXN_MARKERS;
    28 TxnOffsetCommit 0, 0..=5, TxnOffsetCommitRequest TxnOffsetCommitResponse,
        commit::TXN_OFFSET_COMMIT;
    32 DescribeConfigs 1, 1..=4, DescribeConfigsRequest DescribeConfigsResponse,
        configs::DESCRIBE_CONFIGS;
    37 CreatePartitions 0, 0..=3, CreatePartitionsRequest CreatePartitionsResponse,
        topics::CREATE_PARTITIONS;
    42 DeleteGroups 0, 0..=2, DeleteGroupsRequest DeleteGroupsResponse, group::DELETE_GROUPS;
    43 ElectLeaders 0, 0..=2, ElectLeadersRequest ElectLeadersResponse, topics::ELECT_LEADERS;
    44 IncrementalAlterConfigs 0, 0..=1, IncrementalAlterConfigsRequest
        IncrementalAlterConfigsResponse, configs::INCREMENTAL_ALTER_CONFIGS;
    47 OffsetDelete 0, 0..=0, OffsetDeleteRequest OffsetDeleteResponse, commit::OFFSET_DELETE;
    60 DescribeCluster 0, 0..=2, DescribeClusterRequest DescribeClusterResponse,
        metadata::DESCRIBE_CLUSTER;
    61 DescribeProducers 0, 0..=0, DescribeProducersRequest DescribeProducersResponse,
        transaction::DESCRIBE_PRODUCERS;
    65 DescribeTransactions 0, 0..=0, DescribeTransactionsRequest DescribeTransactionsResponse,
        transaction::DESCRIBE_TRANSACTIONS;
    66 ListTransactions 0, 0..=1, ListTransactionsRequest ListTransactionsResponse,
        transaction::LIST_TRANSACTIONS;
    68 ConsumerGroupHeartbeat 0, 0..=1, ConsumerGroupHeartbeatRequest
        ConsumerGroupHeartbeatResponse, consumer_group::CONSUMER_GROUP_HEARTBEAT;
    69 ConsumerGroupDescribe 0, 0..=1, ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse,
        consumer_group::CONSUMER_GROUP_DESCRIBE;
}
