//! A request of each API.

use seedlog::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId};
use seedlog::message::Records;
use seedlog::message::admin::{
    AlterConfig, AlterConfigsRequest, ConfigChange, ConfigResource, CreatableTopic,
    CreatePartitionsRequest, CreatePartitionsTopic, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, ElectLeadersRequest, Election,
};
use seedlog::message::coordinator::{CoordinatorKind, FindCoordinatorRequest};
use seedlog::message::fetch::{FetchPartition, FetchRequest, Isolation};
use seedlog::message::metadata::{DescribeClusterRequest, MetadataRequest};
use seedlog::message::offsets::{
    DeleteRecordsPartition, DeleteRecordsRequest, EpochPartition, ListOffsetsPartition,
    ListOffsetsRequest, OffsetForLeaderEpochRequest, OffsetSpec,
};
use seedlog::message::produce::{InitProducerIdRequest, ProducePartition, ProduceRequest};
use seedlog::message::transaction::TransactionVersion;
use seedlog::time::{Duration, Timestamp};

use super::*;

const SECOND: Duration = Duration::from_millis(1_000);

fn produce(version: i16) -> Request {
    let partition = ProducePartition {
        topic: topic(version, 13),
        partition: 1,
        records: Records::Inline(vec![Bytes::from_static(b"batch")]),
    };
    Request::Produce(ProduceRequest {
        transactional_id: Some("id".into()),
        version: if version < 12 { TransactionVersion::V1 } else { TransactionVersion::V2 },
        acks: Acks::All,
        timeout: SECOND,
        partitions: vec![partition],
    })
}

fn fetch(version: i16) -> Request {
    let partition = FetchPartition {
        topic: topic(version, 13),
        partition: 1,
        current_leader_epoch: LeaderEpoch(3),
        fetch_offset: Offset(5),
        last_fetched_epoch: LeaderEpoch(2),
        log_start_offset: Offset(1),
        max_bytes: 1_000,
    };
    Request::Fetch(FetchRequest {
        replica: None,
        max_wait: SECOND,
        min_bytes: 1,
        max_bytes: 2_000,
        isolation: Isolation::ReadCommitted,
        partitions: vec![partition],
    })
}

fn list_offsets(_version: i16) -> Request {
    let partition = ListOffsetsPartition {
        topic: topic(0, 1),
        partition: 1,
        current_leader_epoch: LeaderEpoch(3),
        spec: OffsetSpec::At(Timestamp(77)),
    };
    let isolation = Isolation::ReadCommitted;
    Request::ListOffsets(ListOffsetsRequest { isolation, partitions: vec![partition] })
}

fn metadata(version: i16) -> Request {
    let topics = Some(vec![topic(version, 12), topic(0, 1)]);
    Request::Metadata(MetadataRequest { topics, allow_auto_topic_creation: false })
}

fn find_coordinator(version: i16) -> Request {
    let mut keys = vec!["one".into(), "two".into()];
    keys.truncate(if version < 4 { 1 } else { 2 });
    let kind = if version < 1 { CoordinatorKind::Group } else { CoordinatorKind::Transaction };
    Request::FindCoordinator(FindCoordinatorRequest { kind: Some(kind), keys })
}

fn create_topics(_version: i16) -> Request {
    let topic = CreatableTopic {
        name: "orders".into(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![(0, vec![NodeId(1), NodeId(2)])],
        configs: vec![("a".into(), Some("b".into())), ("c".into(), None)],
    };
    let (timeout, topics) = (SECOND, vec![topic]);
    Request::CreateTopics(CreateTopicsRequest { timeout, validate_only: true, topics })
}

fn delete_topics(version: i16) -> Request {
    let topics = vec![topic(version, 6), topic(0, 1)];
    Request::DeleteTopics(DeleteTopicsRequest { timeout: SECOND, topics })
}

fn delete_records(_version: i16) -> Request {
    let partition = DeleteRecordsPartition { topic: topic(0, 1), partition: 1, before: Offset(5) };
    Request::DeleteRecords(DeleteRecordsRequest { timeout: SECOND, partitions: vec![partition] })
}

fn init_producer_id(_version: i16) -> Request {
    Request::InitProducerId(InitProducerIdRequest {
        transactional_id: Some("id".into()),
        transaction_timeout: SECOND,
        producer_id: ProducerId(4),
        producer_epoch: ProducerEpoch(1),
    })
}

fn epoch_ends(_version: i16) -> Request {
    let partition = EpochPartition {
        topic: topic(0, 1),
        partition: 1,
        current_leader_epoch: LeaderEpoch(3),
        leader_epoch: LeaderEpoch(2),
    };
    let (replica, partitions) = (None, vec![partition]);
    Request::OffsetForLeaderEpoch(OffsetForLeaderEpochRequest { replica, partitions })
}

fn create_partitions(_version: i16) -> Request {
    let assignments = Some(vec![vec![NodeId(1)], vec![NodeId(2)]]);
    let topics = vec![CreatePartitionsTopic { name: "orders".into(), count: 4, assignments }];
    let (timeout, validate_only) = (SECOND, true);
    Request::CreatePartitions(CreatePartitionsRequest { timeout, validate_only, topics })
}

fn describe_configs(_version: i16) -> Request {
    let topic = ConfigResource::Topic("orders".into());
    let resources = vec![
        (topic, Some(vec!["retention.ms".into()])),
        (ConfigResource::Broker(Some(NodeId(2))), None),
        (ConfigResource::Broker(None), None),
    ];
    Request::DescribeConfigs(DescribeConfigsRequest { resources })
}

fn alter_configs(_version: i16) -> Request {
    let changes = [
        ConfigChange::Set("a".into()),
        ConfigChange::Delete,
        ConfigChange::Append("b".into()),
        ConfigChange::Subtract("c".into()),
    ];
    let changes = changes.map(|change| AlterConfig { name: "cleanup.policy".into(), change });
    let resources = vec![(ConfigResource::Topic("orders".into()), changes.into())];
    let validate_only = true;
    Request::IncrementalAlterConfigs(AlterConfigsRequest { validate_only, resources })
}

fn describe_cluster(_version: i16) -> Request {
    Request::DescribeCluster(DescribeClusterRequest { include_fenced_brokers: true })
}

fn elect_leaders(_version: i16) -> Request {
    let partitions = Some(vec![("orders".into(), 1), ("orders".into(), 2)]);
    let timeout = Duration::from_millis(9);
    Request::ElectLeaders(ElectLeadersRequest { election: Election::Unclean, partitions, timeout })
}

pub const REQUESTS: &[Sample<Request>] = &[
    (produce, 3),
    (fetch, 12),
    (list_offsets, 4),
    (metadata, 4),
    (find_coordinator, 0),
    (create_topics, 2),
    (delete_topics, 1),
    (delete_records, 0),
    (init_producer_id, 3),
    (epoch_ends, 3),
    (create_partitions, 0),
    (describe_configs, 1),
    (alter_configs, 0),
    (describe_cluster, 2),
    (elect_leaders, 1),
];
