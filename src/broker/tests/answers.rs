//! What a broker answers by itself.

use super::rig::*;
use super::*;
use crate::message::consumer_group::ConsumerGroupDescribeRequest;
use crate::message::coordinator::{CoordinatorKind, FindCoordinatorRequest};
use crate::message::group::DescribeGroupsRequest;
use crate::message::offsets::{ListOffsetsPartition, ListOffsetsRequest, OffsetSpec};
use crate::message::transaction::{DescribeProducersRequest, DescribeTransactionsRequest};
use crate::record::{Compression, HEADER_BYTES, repack, verify};

#[test]
fn a_follower_describes_the_producers_that_it_knows_of() {
    for (leader, partition, error) in [
        (1, 0, ErrorCode::None),
        (2, 0, ErrorCode::None),
        (2, 1, ErrorCode::UnknownTopicOrPartition),
    ] {
        let mut broker = broker(image_with(leader, 0, BOTH));
        let partitions = vec![("t".into(), partition)];
        let ask = Request::DescribeProducers(DescribeProducersRequest { partitions });
        let effects = step(&mut broker, now(), request(1, ask));
        let (_, Response::DescribeProducers(answer)) = response(&effects[0]) else { panic!() };
        assert_eq!(answer.partitions, [("t".into(), partition, error, vec![])]);
    }
}

#[test]
fn what_has_no_name_is_refused_where_it_needs_one() {
    let mut image = image();
    let topic = TopicImage { name: "t".into(), partitions: vec![], config: Arc::default() };
    for (number, kind) in [(8, CoordinatorKind::Group), (9, CoordinatorKind::Transaction)] {
        image
            .topics
            .insert(Uuid([number; 4]), TopicImage { name: kind.topic().into(), ..topic.clone() });
        image.names.insert(kind.topic().into(), Uuid([number; 4]));
    }
    let mut broker = broker(image);
    let (groups, transactional_ids) = (vec!["".into()], vec!["".into()]);
    let mut error = |asked: Request| {
        let effects = step(&mut broker, now(), request(1, asked));
        let (_, answer) = response(&effects[0]);
        if let Response::DescribeGroups(answer) = answer {
            return answer.groups[0].error;
        }
        if let Response::ConsumerGroupDescribe(answer) = answer {
            return answer.groups[0].error;
        }
        let Response::DescribeTransactions(answer) = answer else { panic!("{answer:?}") };
        answer.transactions[0].error
    };
    let described = DescribeGroupsRequest { groups: groups.clone() };
    let nobodys = error(Request::DescribeGroups(described));
    assert_eq!(nobodys, ErrorCode::NotCoordinator, "a matter of the coordinator");
    let described = ConsumerGroupDescribeRequest { groups };
    assert_eq!(error(Request::ConsumerGroupDescribe(described)), ErrorCode::InvalidGroupId);
    let described = DescribeTransactionsRequest { transactional_ids };
    assert_eq!(error(Request::DescribeTransactions(described)), ErrorCode::InvalidRequest);
}

#[test]
fn a_coordinator_of_no_known_kind_is_an_invalid_request_and_makes_no_topic() {
    let mut broker = broker(image());
    let ask = FindCoordinatorRequest { kind: None, keys: vec!["a".into(), "b".into()] };
    let effects = step(&mut broker, now(), request(1, Request::FindCoordinator(ask)));
    let [answer] = &effects[..] else { panic!("{effects:?}") };
    let (_, Response::FindCoordinator(answer)) = response(answer) else { panic!() };
    let found: Vec<_> =
        answer.coordinators.iter().map(|found| (&*found.key, found.error)).collect();
    assert_eq!(found, [("a", ErrorCode::InvalidRequest), ("b", ErrorCode::InvalidRequest)]);
}

fn at(time: i64) -> Request {
    let partition = ListOffsetsPartition {
        topic: TopicRef::Name("t".into()),
        partition: 0,
        current_leader_epoch: LeaderEpoch::NONE,
        spec: OffsetSpec::At(Timestamp(time)),
    };
    let isolation = Isolation::ReadUncommitted;
    Request::ListOffsets(ListOffsetsRequest { isolation, partitions: vec![partition] })
}

#[test]
fn a_time_is_looked_up_inside_a_batch_that_is_not_compressed() {
    let mut builder = Builder::new();
    for timestamp in [100, 200, 300] {
        builder.append(Timestamp(timestamp), None, Some(b"x"));
    }
    let plain = builder.build();
    let header = verify(&plain).expect("just built");
    let packed = repack(&header, Compression::Zstd, &plain[HEADER_BYTES..]);
    for (batch, time, found) in
        [(plain.clone(), 150, (200, 1)), (plain, 301, (-1, -1)), (packed, 150, (300, 0))]
    {
        let mut broker = broker(image_with(1, 0, &[NodeId(1)]));
        let Request::Produce(mut produce) = produce(Acks::Leader, "t") else { panic!("produce") };
        produce.partitions[0].records = Records::Inline(vec![batch]);
        let effects = step(&mut broker, now(), request(1, Request::Produce(produce)));
        let [Effect::Append { batch, .. }, ..] = &effects[..] else { panic!("{effects:?}") };
        let batches = Arc::new([batch.clone()]);
        let mut effects = step(&mut broker, now(), request(2, at(time)));
        if let [Effect::Load { log, from: Offset(0), .. }] = effects[..] {
            effects = step(&mut broker, now(), Input::Loaded { log, from: Offset(0), batches });
        }
        let [answer] = &effects[..] else { panic!("{effects:?}") };
        let (_, Response::ListOffsets(answer)) = response(answer) else { panic!("offsets") };
        let listed = &answer.partitions[0];
        assert_eq!((listed.timestamp.0, listed.offset.0), found);
    }
}

#[test]
fn a_batch_that_is_never_read_is_not_waited_for_longer_than_a_request_takes() {
    let mut broker = broker(image_with(1, 0, &[NodeId(1)]));
    let mut builder = Builder::new();
    builder.append(Timestamp(100), None, Some(b"x"));
    builder.append(Timestamp(100), None, Some(b"y"));
    let Request::Produce(mut produce) = produce(Acks::Leader, "t") else { panic!("produce") };
    produce.partitions[0].records = Records::Inline(vec![builder.build()]);
    step(&mut broker, now(), request(1, Request::Produce(produce)));
    let effects = step(&mut broker, now(), request(2, at(100)));
    assert!(matches!(&effects[..], [Effect::Load { .. }]), "{effects:?}");
    let late = later(broker.setup.broker.request_timeout);
    let effects = step(&mut broker, late, Input::Wake);
    let answers = effects.iter().filter(|effect| matches!(effect, Effect::Respond { .. }));
    let [answer] = answers.collect::<Vec<_>>()[..] else { panic!("{effects:?}") };
    let (_, Response::ListOffsets(answer)) = response(answer) else { panic!("offsets") };
    assert_eq!(answer.partitions[0].error, ErrorCode::RequestTimedOut);
}
