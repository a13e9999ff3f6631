//! Every version that is served can be written and read back.

use seedlog::ids::{Endpoint, NodeId, Offset, TopicRef, Uuid};
use seedlog::message::Records;
use seedlog::message::fetch::{FetchResponse, FetchedPartition};
use seedlog::message::metadata::{BrokerInfo, MetadataResponse, PartitionInfo, TopicInfo};
use seedlog::message::offsets::{ListOffsetsResponse, ListedOffset};
use seedlog::message::produce::{InitProducerIdResponse, ProduceResponse, ProducedPartition};
use seedlog::time::Timestamp;

use super::*;

const LEADER: Option<(NodeId, LeaderEpoch)> = Some((NodeId(2), LeaderEpoch(7)));

fn topic(version: i16, ids_from: i16) -> TopicRef {
    if version < ids_from { TopicRef::Name("orders".into()) } else { TopicRef::Id(Uuid([7; 4])) }
}

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
    let (producer_id, producer_epoch) =
        (seedlog::ids::ProducerId(4), seedlog::ids::ProducerEpoch(1));
    let error = ErrorCode::None;
    Response::InitProducerId(InitProducerIdResponse { error, producer_id, producer_epoch })
}

#[test]
fn every_served_version_of_an_answer_reads_back() {
    type Case = (ApiKey, fn(i16) -> Response, i16);
    // With the first version that says all of it.
    let cases: [Case; 5] = [
        (ApiKey::Produce, produced, 10),
        (ApiKey::Fetch, fetched, 12),
        (ApiKey::ListOffsets, listed, 4),
        (ApiKey::Metadata, metadata, 10),
        (ApiKey::InitProducerId, identified, 0),
    ];
    for (key, response, whole_from) in cases {
        let (.., from, to) = *SERVED.iter().find(|(served, ..)| *served == key).expect("served");
        for version in from..=to {
            let (response, head) = (response(version), Head { version, correlation: 9 });
            let bytes = encode_response(head, Arc::new(response.clone()));
            let mut frame = bytes.unwrap_or_else(|e| panic!("{key:?} {version}: {e}")).split_off(4);
            assert_eq!(correlation_of(&frame).expect("a header"), 9);
            let back = read_response(response.api(), version, &mut frame);
            let back = back.unwrap_or_else(|e| panic!("{key:?} {version}: {e}"));
            assert!(frame.is_empty(), "{key:?} {version}");
            assert!(version < whole_from || back == response, "{key:?} {version}: {back:?}");
        }
    }
}

#[test]
fn api_versions_from_the_future_are_answered_in_the_oldest_form() {
    let request = Bytes::from_static(&[0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff]);
    let Body::Answered(answer) = decode_request(request).expect("answered").body else {
        panic!("the broker is not asked")
    };
    assert_eq!(answer[4..10], [0, 0, 0, 5, 0, 35], "correlation id, then UNSUPPORTED_VERSION");
}

#[test]
fn what_is_only_advertised_is_refused() {
    let produce_2 = Bytes::from_static(&[0, 0, 0, 2, 0, 0, 0, 5, 0xff, 0xff]);
    assert!(decode_request(produce_2).is_err());
    assert!(decode_request(Bytes::from_static(&[0, 0])).is_err());
}
