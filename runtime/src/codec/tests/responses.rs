//! An answer of each API.

use seedlog::ids::{Endpoint, LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Uuid};
use seedlog::message::Records;
use seedlog::message::admin::{
    AlterConfigsResponse, ConfigEntry, ConfigResource, ConfigSource, CreatePartitionsResponse,
    CreateTopicsResponse, CreatedTopic, DeleteTopicsResponse, DeletedTopic,
    DescribeConfigsResponse, DescribedConfigs, ElectLeadersResponse,
};
use seedlog::message::coordinator::{FindCoordinatorResponse, FoundCoordinator};
use seedlog::message::fetch::{FetchResponse, FetchedPartition};
use seedlog::message::metadata::{
    BrokerInfo, DescribeClusterResponse, MetadataResponse, PartitionInfo, TopicInfo,
};
use seedlog::message::offsets::{
    DeleteRecordsResponse, DeletedRecords, EpochEnd, ListOffsetsResponse, ListedOffset,
    OffsetForLeaderEpochResponse,
};
use seedlog::message::produce::{InitProducerIdResponse, ProduceResponse, ProducedPartition};
use seedlog::time::Timestamp;

use super::*;

const LEADER: Option<(NodeId, LeaderEpoch)> = Some((NodeId(2), LeaderEpoch(7)));

fn produced(version: i16) -> Response {
    let partition = ProducedPartition {
        topic: topic(version, 13),
        partition: 1,
        error: ErrorCode::NotLeaderOrFollower,
        base_offset: Offset(5),
        log_append_time: Timestamp::NONE,
        log_start_offset: Offset(3),
        current_leader: LEADER,
    };
    Response::Produce(ProduceResponse { partitions: vec![partition] })
}

fn fetched(version: i16) -> Response {
    let partition = FetchedPartition {
        topic: topic(version, 13),
        partition: 1,
        error: ErrorCode::NotLeaderOrFollower,
        high_watermark: Offset(9),
        last_stable_offset: Offset(8),
        log_start_offset: Offset(3),
        diverging: None,
        current_leader: LEADER,
        aborted: Vec::new(),
        records: Records::Inline(vec![Bytes::from_static(b"batch")]),
    };
    Response::Fetch(FetchResponse { error: ErrorCode::None, partitions: vec![partition] })
}

fn listed(version: i16) -> Response {
    let partition = ListedOffset {
        topic: topic(version, i16::MAX),
        partition: 1,
        error: ErrorCode::None,
        timestamp: Timestamp(4),
        offset: Offset(5),
        leader_epoch: LeaderEpoch(6),
    };
    Response::ListOffsets(ListOffsetsResponse { partitions: vec![partition] })
}

fn metadata(_version: i16) -> Response {
    let (node, replicas) = (NodeId(2), [NodeId(2)]);
    let endpoint = Endpoint { host: "h".into(), port: 9092 };
    let partition = PartitionInfo {
        error: ErrorCode::None,
        partition: 0,
        leader: node,
        leader_epoch: LeaderEpoch(7),
        replicas: replicas.into(),
        isr: replicas.into(),
        offline: Vec::new(),
    };
    let (id, name) = (Uuid([7; 4]), Some("orders".into()));
    Response::Metadata(MetadataResponse {
        cluster_id: "c".into(),
        controller: node,
        brokers: vec![BrokerInfo { node, endpoint, rack: None, fenced: false }],
        topics: vec![TopicInfo { error: ErrorCode::None, name, id, partitions: vec![partition] }],
    })
}

fn identified(_version: i16) -> Response {
    let (producer_id, producer_epoch) = (ProducerId(4), ProducerEpoch(1));
    let error = ErrorCode::None;
    Response::InitProducerId(InitProducerIdResponse { error, producer_id, producer_epoch })
}

fn created(_version: i16) -> Response {
    let (name, value) = ("retention.ms".into(), "5".into());
    let topic = CreatedTopic {
        name: "orders".into(),
        id: Uuid([7; 4]),
        error: ErrorCode::None,
        message: None,
        num_partitions: 3,
        replication_factor: 2,
        configs: vec![ConfigEntry { name, value, source: ConfigSource::Topic }],
    };
    Response::CreateTopics(CreateTopicsResponse { topics: vec![topic] })
}

fn deleted(version: i16) -> Response {
    let error = ErrorCode::UnknownTopicOrPartition;
    let topics = vec![DeletedTopic { topic: topic(version, 6), error }];
    Response::DeleteTopics(DeleteTopicsResponse { topics })
}

fn trimmed(_version: i16) -> Response {
    let partition = DeletedRecords {
        topic: topic(0, 1),
        partition: 1,
        error: ErrorCode::None,
        low_watermark: Offset(4),
    };
    Response::DeleteRecords(DeleteRecordsResponse { partitions: vec![partition] })
}

fn grown(_version: i16) -> Response {
    let topics = vec![("orders".into(), ErrorCode::InvalidPartitions, Some("why".into()))];
    Response::CreatePartitions(CreatePartitionsResponse { topics })
}

fn ended(_version: i16) -> Response {
    let partition = EpochEnd {
        topic: topic(0, 1),
        partition: 1,
        error: ErrorCode::None,
        leader_epoch: LeaderEpoch(6),
        end_offset: Offset(9),
    };
    let partitions = vec![partition];
    Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse { partitions })
}

fn coordinated(version: i16) -> Response {
    let coordinator = FoundCoordinator {
        key: if version < 4 { "".into() } else { "group".into() },
        error: ErrorCode::None,
        node: NodeId(2),
        endpoint: Some(Endpoint { host: "h".into(), port: 9092 }),
    };
    Response::FindCoordinator(FindCoordinatorResponse { coordinators: vec![coordinator] })
}

fn described(_version: i16) -> Response {
    let (name, value) = ("retention.ms".into(), "5".into());
    let resource = DescribedConfigs {
        resource: ConfigResource::Broker(Some(NodeId(2))),
        error: ErrorCode::None,
        configs: vec![ConfigEntry { name, value, source: ConfigSource::Static }],
    };
    Response::DescribeConfigs(DescribeConfigsResponse { resources: vec![resource] })
}

fn altered(_version: i16) -> Response {
    let topic = ConfigResource::Topic("orders".into());
    let resources = vec![(topic, ErrorCode::InvalidConfig, Some("why".into()))];
    Response::IncrementalAlterConfigs(AlterConfigsResponse { resources })
}

fn cluster(_version: i16) -> Response {
    let (node, endpoint) = (NodeId(2), Endpoint { host: "h".into(), port: 9092 });
    Response::DescribeCluster(DescribeClusterResponse {
        error: ErrorCode::None,
        cluster_id: "c".into(),
        controller: node,
        brokers: vec![BrokerInfo { node, endpoint, rack: Some("r".into()), fenced: true }],
    })
}

fn elected(_version: i16) -> Response {
    let partitions = vec![("orders".into(), 1, ErrorCode::ElectionNotNeeded)];
    let error = ErrorCode::NotController;
    Response::ElectLeaders(ElectLeadersResponse { error, partitions })
}

pub const RESPONSES: &[Sample<Response>] = &[
    (produced, 10),
    (fetched, 12),
    (listed, 4),
    (metadata, 10),
    (coordinated, 0),
    (created, 7),
    (deleted, 1),
    (trimmed, 0),
    (identified, 0),
    (ended, 2),
    (grown, 0),
    (described, 1),
    (altered, 0),
    (cluster, 2),
    (elected, 1),
];
