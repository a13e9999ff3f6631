//! Kafka's own bytes, by the `kafka-protocol` crate, and garbage.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as kafka;
use proptest::prelude::*;

use super::*;
use crate::config::TopicConfig;
use crate::defect::{Defect, Defects};
use crate::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId, Uuid};
use crate::message::raft::ReplicaKey;
use crate::time::Timestamp;

type Headers = Vec<(String, Option<Bytes>)>;

/// What a test batch holds: key, value and headers of each record.
type Content = Vec<(Option<Bytes>, Option<Bytes>, Headers)>;

fn plain(offset: i64, timestamp: i64) -> kafka::Record {
    kafka::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: kafka::TimestampType::Creation,
        offset,
        sequence: -1,
        timestamp,
        key: None,
        value: None,
        headers: IndexMap::default(),
    }
}

fn encode(records: &[kafka::Record], compression: kafka::Compression) -> Bytes {
    let mut out = BytesMut::new();
    let options = kafka::RecordEncodeOptions { version: 2, compression };
    let squeeze = |raw: &mut BytesMut, out: &mut BytesMut, _: kafka::Compression| {
        // Stands in for a real compressor: nobody here may look inside.
        out.extend_from_slice(b"squeezed");
        out.extend_from_slice(&raw[..raw.len().min(3)]);
        Ok(())
    };
    if compression == kafka::Compression::None {
        kafka::RecordBatchEncoder::encode(&mut out, records, &options).unwrap();
    } else {
        kafka::RecordBatchEncoder::encode_with_custom_compression(
            &mut out,
            records,
            &options,
            Some(squeeze),
        )
        .unwrap();
    }
    out.freeze()
}

/// Both encoders' bytes for the same content, sent by the same producer (id, epoch, sequence).
fn both(content: &Content, producer: Option<(i64, i16, i32)>, txn: bool) -> (Bytes, Bytes) {
    let mut builder = Builder::new();
    if let Some((id, epoch, sequence)) = producer {
        builder.set_producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    }
    if txn {
        builder = builder.transactional();
    }
    let mut theirs = Vec::new();
    for (index, (key, value, headers)) in (0..).zip(content) {
        let timestamp = 1_700_000_000_000 + i64::from(index) * 3;
        builder.append_with_headers(
            Timestamp(timestamp),
            key.as_deref(),
            value.as_deref(),
            headers,
        );
        let mut record = plain(i64::from(index), timestamp);
        record.key.clone_from(key);
        record.value.clone_from(value);
        record.transactional = txn;
        let named = headers.iter().map(|(k, v)| (StrBytes::from_string(k.clone()), v.clone()));
        record.headers = named.collect();
        // The other encoder breaks a batch where sequences do not count up, also without a
        // producer.
        record.sequence = index - 1;
        if let Some((id, epoch, sequence)) = producer {
            (record.producer_id, record.producer_epoch) = (id, epoch);
            record.sequence = sequence + index;
        }
        theirs.push(record);
    }
    (builder.build(), encode(&theirs, kafka::Compression::None))
}

fn some(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn sample() -> Content {
    vec![
        (some("key"), some("value"), vec![]),
        (None, some("no key"), vec![("h".into(), some("1")), ("null".into(), None)]),
        (some("tombstone"), None, vec![]),
        (some(""), some(""), vec![]),
    ]
}

#[test]
fn batches_are_kafkas_byte_for_byte() {
    for producer in [None, Some((4000, 3, 17))] {
        for txn in [false, true] {
            let (ours, theirs) = both(&sample(), producer, txn);
            assert_eq!(ours, theirs, "{producer:?} {txn}");
            let header = verify(&ours).unwrap();
            assert_eq!(header.is_transactional(), txn);
            assert_eq!(header.has_producer(), producer.is_some());
            assert_eq!((header.record_count, header.last_offset_delta), (4, 3));
            assert_eq!(header.max_timestamp, Timestamp(1_700_000_000_009));
            assert_eq!(check_records(&ours, false), Ok(()));
            assert_eq!(check_records(&ours, true), Err(BatchError::Invalid), "a null key");
        }
    }
}

#[test]
fn records_read_back_without_copies() {
    let (batch, _) = both(&sample(), None, false);
    let batch = stamp(&batch, Offset(70), LeaderEpoch(5));
    let read = records(&batch).unwrap();
    let content: Vec<_> = read
        .iter()
        .map(|record| {
            let headers = record.headers.iter();
            let text = |key: &Bytes| String::from_utf8(key.to_vec()).unwrap();
            let headers: Headers = headers.map(|(k, v)| (text(k), v.clone())).collect();
            (record.key.clone(), record.value.clone(), headers)
        })
        .collect();
    assert_eq!(content, sample());
    assert_eq!(read[3].offset, Offset(73));
    assert_eq!(read[3].timestamp, Timestamp(1_700_000_000_009));
    let key = read[0].key.as_ref().unwrap();
    assert!(batch.as_ptr_range().contains(&key.as_ptr()), "a slice of the batch");
}

#[test]
fn compressed_batches_are_carried_and_checked_but_not_opened() {
    for (compression, ours) in [
        (kafka::Compression::Gzip, Compression::Gzip),
        (kafka::Compression::Snappy, Compression::Snappy),
        (kafka::Compression::Lz4, Compression::Lz4),
        (kafka::Compression::Zstd, Compression::Zstd),
    ] {
        let mut second = plain(1, 6);
        second.sequence = 0;
        let batch = encode(&[plain(0, 5), second], compression);
        let header = verify(&batch).unwrap();
        assert_eq!((header.compression(), header.record_count), (ours, 2));
        assert_eq!(records(&batch), Err(BatchError::Compressed));
        let stamped = stamp(&batch, Offset(9), LeaderEpoch(1));
        assert_eq!(verify(&stamped).map(|header| header.last_offset()), Ok(Offset(10)));
    }
}

#[test]
fn control_batches_are_kafkas_byte_for_byte() {
    use kafka_protocol::messages as m;
    use kafka_protocol::protocol::Encodable;
    let control = |kind: u8, value: Bytes| {
        let mut record = plain(0, 77);
        record.control = true;
        record.key = Some(Bytes::copy_from_slice(&[0, 0, 0, kind]));
        record.value = Some(value);
        record
    };
    for (commit, kind) in [(false, 0), (true, 1)] {
        let mut value = vec![0, 0];
        let body = m::EndTxnMarker::default().with_coordinator_epoch(8);
        body.encode(&mut value, 0).unwrap();
        let mut theirs = control(kind, value.into());
        (theirs.transactional, theirs.producer_id, theirs.producer_epoch) = (true, 6, 2);
        let ours = marker(ProducerId(6), ProducerEpoch(2), commit, 8, Timestamp(77));
        assert_eq!(ours, encode(&[theirs], kafka::Compression::None));
        let read = Control::read(&ours);
        if commit {
            assert_eq!(read, Some(Control::Commit { coordinator_epoch: 8 }));
        } else {
            assert_eq!(read, Some(Control::Abort { coordinator_epoch: 8 }));
        }
    }

    let key = ReplicaKey { node: NodeId(3), directory: Uuid([1, 2, 3, 4]) };
    let theirs = m::leader_change_message::Voter::default()
        .with_voter_id(3)
        .with_voter_directory_id("00000001000000020000000300000004".parse().unwrap());
    let message = m::LeaderChangeMessage::default()
        .with_version(1)
        .with_leader_id(m::BrokerId(3))
        .with_voters(vec![theirs.clone()])
        .with_granting_voters(vec![theirs]);
    let mut value = Vec::new();
    message.encode(&mut value, 1).unwrap();
    let change = LeaderChange { leader: NodeId(3), voters: vec![key], granting: vec![key] };
    let ours = leader_change(&change, Offset(40), LeaderEpoch(7), Timestamp(77));
    let mut theirs = control(2, value.into());
    (theirs.offset, theirs.partition_leader_epoch) = (40, 7);
    assert_eq!(ours, encode(&[theirs], kafka::Compression::None));
    assert_eq!(Control::read(&ours), Some(Control::LeaderChange { leader: NodeId(3) }));
}

#[test]
fn a_stamp_changes_what_the_crc_does_not_cover() {
    let (batch, _) = both(&sample(), Some((1, 0, 0)), false);
    let before = verify(&batch).unwrap();
    let after = verify(&stamp(&batch, Offset(500), LeaderEpoch(9))).unwrap();
    assert_eq!((after.base_offset, after.leader_epoch), (Offset(500), LeaderEpoch(9)));
    assert_eq!(after.crc, before.crc);
}

#[test]
fn log_append_time_is_every_records_time() {
    let (batch, _) = both(&sample(), None, false);
    let stamped = stamp_append_time(&batch, Offset(0), LeaderEpoch(0), Timestamp(12));
    let header = verify(&stamped).unwrap();
    assert!(header.is_log_append_time());
    assert_eq!(header.max_timestamp, Timestamp(12));
    for record in records(&stamped).unwrap() {
        assert_eq!(record.timestamp, Timestamp(12));
    }
}

#[test]
fn a_chunk_splits_into_its_batches_up_to_the_first_bad_one() {
    let (batch, _) = both(&sample(), None, false);
    let mut chunk = batch.to_vec();
    chunk.extend_from_slice(&stamp(&batch, Offset(4), LeaderEpoch(0)));
    chunk.extend_from_slice(&batch[..70]);
    let mut split = batches(&Bytes::from(chunk));
    assert_eq!(split.next().unwrap().unwrap().1, batch);
    assert_eq!(split.next().unwrap().unwrap().0.base_offset, Offset(4));
    assert_eq!(split.next(), Some(Err(BatchError::Truncated)));
    assert_eq!(split.next(), None);
}

#[test]
fn sequences_wrap_to_zero_after_their_maximum() {
    for (sequence, by, max, expected) in [
        (7, 1, 7, 0),
        (5, 4, 7, 1),
        (i32::MAX, 1, i32::MAX, 0),
        (i32::MAX - 1, 1, i32::MAX, i32::MAX),
    ] {
        assert_eq!(advance_sequence(sequence, by, max, Defects::NONE), expected);
    }
    if cfg!(feature = "defects") {
        let wrong = Defects::NONE.with(Defect::SeqWrap);
        assert_eq!(advance_sequence(7, 1, 7, wrong), 8);
    }
}

#[test]
fn the_default_limit_holds_a_default_batch() {
    let limit = usize::try_from(TopicConfig::default().max_message_bytes).unwrap();
    assert!(limit > HEADER_BYTES + (1 << 20) - 100);
}

fn content() -> impl Strategy<Value = Content> {
    let field = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let header = ("[a-z]{0,5}", field());
    let headers = proptest::collection::vec(header, 0..3).prop_map(|headers| {
        // The other encoder keeps headers in a map.
        let named: IndexMap<String, Option<Vec<u8>>> = headers.into_iter().collect();
        named.into_iter().map(|(key, value)| (key, value.map(Bytes::from))).collect()
    });
    let record = (field(), field(), headers)
        .prop_map(|(key, value, headers)| (key.map(Bytes::from), value.map(Bytes::from), headers));
    proptest::collection::vec(record, 1..6)
}

/// Everything that reads bytes; none of it may panic.
fn read_all(bytes: &Bytes) {
    let _ = verify(bytes);
    let _ = Control::read(bytes);
    let _ = check_records(bytes, true);
    for (header, batch) in batches(bytes).flatten() {
        assert_eq!(header.size(), batch.len());
        let _ = header.last_sequence(i32::MAX, Defects::NONE);
        let _ = header.last_offset().next();
        let _ = records(&batch);
    }
}

#[test]
fn a_repacked_batch_differs_in_its_records_and_their_compression_alone() {
    let batch = encode(&[plain(0, 5)], kafka::Compression::None);
    let before = verify(&batch).unwrap();
    let packed = repack(&before, Compression::Lz4, b"squeezed");
    let after = verify(&packed).unwrap();
    assert_eq!(packed[HEADER_BYTES..], b"squeezed"[..]);
    assert_eq!(after.compression(), Compression::Lz4);
    let BatchHeader { length, crc, attributes, .. } = after;
    assert_eq!(BatchHeader { length, crc, attributes, ..before }, after);
    assert_eq!(repack(&after, Compression::None, &batch[HEADER_BYTES..]), batch);
}

proptest! {
    #[test]
    fn any_content_makes_kafkas_bytes_and_reads_back(
        content in content(),
        producer in proptest::option::of((0..i64::MAX, 0..i16::MAX, 0..i32::MAX - 10)),
        txn: bool,
    ) {
        let (ours, theirs) = both(&content, producer, txn);
        prop_assert_eq!(&ours, &theirs);
        prop_assert!(verify(&ours).is_ok());
        let read = records(&ours).unwrap();
        for (record, (key, value, headers)) in read.iter().zip(&content) {
            prop_assert_eq!(&record.key, key);
            prop_assert_eq!(&record.value, value);
            prop_assert_eq!(record.headers.len(), headers.len());
        }
        prop_assert_eq!(read.len(), content.len());
    }

    #[test]
    fn garbage_is_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&Bytes::from(bytes));
    }

    #[test]
    fn a_flipped_bit_never_panics_and_is_found_where_the_crc_covers_it(
        content in content(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..4),
        fix_crc: bool,
    ) {
        let (batch, _) = both(&content, Some((5, 1, 2)), true);
        let mut bytes = batch.to_vec();
        for (index, bit) in flips {
            let index = index.index(bytes.len());
            bytes[index] ^= 1 << bit;
        }
        let covered = bytes[16..] != batch[16..];
        if fix_crc {
            chunk::write_crc(&mut bytes);
        } else if covered {
            prop_assert!(verify(&bytes).is_err());
        }
        read_all(&Bytes::from(bytes));
    }

    #[test]
    fn a_cut_batch_is_truncated(content in content(), cut: prop::sample::Index) {
        let (batch, _) = both(&content, None, false);
        let cut = cut.index(batch.len());
        prop_assert_eq!(verify(&batch[..cut]), Err(BatchError::Truncated));
    }
}
