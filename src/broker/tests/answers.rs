//! What a broker answers by itself.

use super::*;
use crate::message::offsets::{ListOffsetsPartition, ListOffsetsRequest, OffsetSpec};
use crate::record::{Compression, HEADER_BYTES, repack, verify};

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
