use alloc::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::*;
use crate::ids::Uuid;
use crate::time::Duration;

fn round(record: &Record) {
    let (key, value) = record.encode();
    assert_eq!(Record::decode(&key, value.as_deref()), Ok(Some(record.clone())));
    // Whatever is cut off is missed, and nothing panics.
    for len in 0..key.len() {
        assert_eq!(Record::decode(&key[..len], value.as_deref()), Err(Corrupt));
    }
    for len in 0..value.as_deref().map_or(0, <[u8]>::len).saturating_sub(1) {
        let cut = value.as_deref().map(|value| &value[..len]);
        assert_eq!(Record::decode(&key, cut), Err(Corrupt), "{len} bytes of {record:?}");
    }
}

fn consumer(record: ConsumerRecord) -> Record {
    Record::Consumer { group: "g".into(), record }
}

fn offset() -> OffsetValue {
    OffsetValue {
        topic_id: TopicId::ZERO,
        offset: Offset(5),
        leader_epoch: LeaderEpoch(2),
        metadata: "m".into(),
        timestamp: Timestamp(1_000),
    }
}

#[test]
fn an_offset_is_kafkas_bytes() {
    let value = Some(offset());
    let record = Record::Offset { group: "g".into(), topic: "t".into(), partition: 3, value };
    let (key, value) = record.encode();
    assert_eq!(key, [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 3]);
    let expected = [0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 0, 1, b'm'];
    assert_eq!(value.as_deref().map(|value| &value[..17]), Some(&expected[..]));
    assert_eq!(value.as_deref().map(|value| &value[17..]), Some(&1_000_i64.to_be_bytes()[..]));
    round(&record);
}

#[test]
fn an_offset_says_which_incarnation_of_its_topic_it_is_about() {
    let topic_id = Uuid([1, 2, 3, 4]);
    let value = Some(OffsetValue { topic_id, ..offset() });
    let record = Record::Offset { group: "g".into(), topic: "t".into(), partition: 3, value };
    let (_, value) = record.encode();
    let value = value.expect("it is no tombstone");
    assert_eq!(value[..16], [0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2, 2, b'm']);
    assert_eq!(value[24..27], [1, 0, 16]);
    assert_eq!(value[27..], topic_id.to_bytes());
    round(&record);
}

#[test]
fn an_offset_of_an_old_kafka_is_understood() {
    // Version 1: no leader epoch, and a time at which it expires.
    let mut value = Writer::new();
    value.i16(1);
    value.i64(5);
    value.string("m");
    value.i64(1_000);
    value.i64(2_000);
    let mut key = Writer::new();
    key.i16(0);
    key.string("g");
    key.string("t");
    key.i32(3);
    let expected = OffsetValue { leader_epoch: LeaderEpoch::NONE, ..offset() };
    let expected = Record::Offset {
        group: "g".into(),
        topic: "t".into(),
        partition: 3,
        value: Some(expected),
    };
    assert_eq!(Record::decode(&key.finish(), Some(&value.finish())), Ok(Some(expected)));
}

#[test]
fn every_record_survives_its_bytes() {
    let member = ClassicMemberValue {
        member: "m-1".into(),
        instance: Some("i".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: Duration::from_secs(60),
        session_timeout: Duration::from_secs(45),
        subscription: Bytes::from_static(b"wants"),
        assignment: Bytes::from_static(b"gets"),
    };
    let value = ClassicValue {
        protocol_type: "consumer".into(),
        generation: 7,
        protocol: Some("range".into()),
        leader: None,
        since: Timestamp(9),
        members: alloc::vec![member],
    };
    let topic = Uuid([1, 2, 3, 4]);
    let partitions = BTreeSet::from([(topic, 0), (topic, 5), (Uuid([9; 4]), 1)]);
    round(&Record::Classic { group: "g".into(), value: Some(value) });
    round(&Record::Classic { group: "g".into(), value: None });
    for epoch in [Some(4), None] {
        round(&consumer(ConsumerRecord::Epoch(epoch)));
        round(&consumer(ConsumerRecord::TargetEpoch(epoch)));
    }
    let topics = BTreeMap::from([("orders".into(), (topic, 6))]);
    round(&consumer(ConsumerRecord::Topics(Some(topics))));
    let value = MemberValue {
        instance: None,
        rack: Some("r".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        topics: BTreeSet::from(["a".into(), "b".into()]),
        rebalance_timeout: Duration::from_secs(300),
        assignor: Some("uniform".into()),
    };
    round(&consumer(ConsumerRecord::Member("m".into(), Some(value))));
    round(&consumer(ConsumerRecord::Target("m".into(), Some(partitions.clone()))));
    for state in
        [MemberState::Stable, MemberState::UnrevokedPartitions, MemberState::UnreleasedPartitions]
    {
        let (assigned, revoking) = (partitions.clone(), BTreeSet::from([(topic, 2)]));
        let value = CurrentValue { epoch: 3, previous_epoch: 2, state, assigned, revoking };
        round(&consumer(ConsumerRecord::Current("m".into(), Some(value))));
    }
    round(&consumer(ConsumerRecord::Current("m".into(), None)));
}

#[test]
fn a_kind_of_record_that_is_not_known_is_passed_over() {
    assert_eq!(Record::decode(&[0, 16, 0, 1, b'g'], Some(&[0, 0])), Ok(None));
}
