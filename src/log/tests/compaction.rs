//! Of each key the newest record stays, at its offset.

use super::*;
use crate::record::records;

fn keyed(pairs: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = Builder::new();
    for (key, value) in pairs {
        builder.append(Timestamp(5), Some(key.as_bytes()), value.map(str::as_bytes));
    }
    builder.build()
}

fn filled(batches: &[Bytes]) -> (Log, Disk) {
    with_segments("4", batches)
}

fn with_segments(records: &str, batches: &[Bytes]) -> (Log, Disk) {
    let set = [("cleanup.policy", "compact"), ("segment.records", records)];
    let (mut disk, mut out) = (Disk::default(), Effects::new());
    let mut log = new(config(&[set[0], set[1], ("delete.retention.ms", "100")]));
    for batch in batches {
        log.append_as_leader(now(0), LeaderEpoch(0), batch, &mut out).unwrap();
    }
    disk.apply(&mut out);
    (log, disk)
}

/// Runs a whole compaction; the disk gives `per_load` batches at a time.
fn run(log: &mut Log, disk: &mut Disk, wall: i64, per_load: usize) {
    let mut out = Effects::new();
    log.compact(log.end_offset(), &mut out);
    while log.is_compacting() {
        let Some(Effect::Load { from, .. }) = out.as_slice().last() else { panic!("a load") };
        let from = *from;
        disk.apply(&mut out);
        // The batch that holds `from`, or the one before a gap.
        let first = disk.batches.partition_point(|batch| base(batch) <= from) - 1;
        let after = disk.batches.len().min(first + per_load);
        log.loaded(now(wall), from, &disk.batches[first..after], &mut out);
        log.check_all();
    }
    disk.apply(&mut out);
    let sizes: Vec<_> = disk.batches.iter().map(Bytes::len).collect();
    let known: Vec<_> = log.batches().map(|batch| usize::try_from(batch.size).unwrap()).collect();
    assert_eq!(sizes, known, "the index knows what is on disk");
}

/// Offset, key and value of everything on disk.
fn content(disk: &Disk) -> Vec<(i64, Bytes, Option<Bytes>)> {
    let all = disk.batches.iter().flat_map(|batch| {
        crate::record::verify(batch).unwrap();
        records(batch).unwrap()
    });
    all.map(|record| (record.offset.0, record.key.unwrap(), record.value)).collect()
}

fn row(offset: i64, key: &'static str, value: Option<&'static str>) -> (i64, Bytes, Option<Bytes>) {
    (offset, Bytes::from_static(key.as_bytes()), value.map(|v| Bytes::from_static(v.as_bytes())))
}

#[test]
fn the_newest_record_of_each_key_stays_at_its_offset() {
    for per_load in 1..6 {
        let batches = [
            keyed(&[("a", Some("1")), ("b", Some("1"))]),
            keyed(&[("a", Some("2"))]),
            keyed(&[("c", Some("1"))]),
            keyed(&[("a", Some("3")), ("b", Some("2"))]),
            keyed(&[("a", Some("active"))]),
        ];
        let (mut log, mut disk) = with_segments("6", &batches);
        run(&mut log, &mut disk, 50, per_load);
        assert_eq!(
            content(&disk),
            [
                row(3, "c", Some("1")),
                row(4, "a", Some("3")),
                row(5, "b", Some("2")),
                row(6, "a", Some("active")),
            ]
        );
        assert_eq!((log.start_offset(), log.end_offset()), (Offset(0), Offset(7)));
        let range = log.read(Offset(0), Offset(7), u32::MAX, true).unwrap();
        assert_eq!((range.from, range.to), (Offset(3), Offset(7)));
        let recovered = disk.recover(log.config().clone(), &mut Effects::new());
        assert_eq!(recovered.end_point(), log.end_point());
        let mut out = Effects::new();
        log.compact(log.end_offset(), &mut out);
        assert!(out.is_empty(), "nothing new");
    }
}

#[test]
fn a_compaction_steps_over_the_gaps_of_an_earlier_one() {
    for per_load in 1..4 {
        let mut batches = Vec::new();
        for round in 0..12 {
            batches.push(keyed(&[("hot", Some("x")), (["a", "b", "c"][round % 3], Some("y"))]));
        }
        let (mut log, mut disk) = filled(&batches);
        let mut out = Effects::new();
        run(&mut log, &mut disk, 50, per_load);
        let offsets: Vec<_> = content(&disk).iter().map(|(offset, ..)| *offset).collect();
        assert_eq!(offsets, [15, 17, 18, 19, 20, 21, 22, 23], "loads of {per_load}");
        for _ in 0..4 {
            let batch = keyed(&[("hot", Some("z"))]);
            log.append_as_leader(now(0), LeaderEpoch(0), &batch, &mut out).unwrap();
        }
        disk.apply(&mut out);
        run(&mut log, &mut disk, 60, per_load);
        let offsets: Vec<_> = content(&disk).iter().map(|(offset, ..)| *offset).collect();
        assert_eq!(offsets, [19, 21, 22, 23, 24, 25, 26, 27], "loads of {per_load}");
    }
}

#[test]
fn a_tombstone_stays_for_a_while() {
    let (mut log, mut disk) = filled(&[
        keyed(&[("a", Some("1")), ("b", Some("1"))]),
        keyed(&[("a", None), ("c", Some("1"))]),
        keyed(&[("d", Some("1"))]),
    ]);
    run(&mut log, &mut disk, 50, 9);
    let kept = [row(1, "b", Some("1")), row(2, "a", None), row(3, "c", Some("1"))];
    assert_eq!(content(&disk)[..3], kept);
    let timestamps: Vec<_> = records(&disk.batches[1]).unwrap();
    assert_eq!(timestamps[0].timestamp, Timestamp(5), "also behind a delete horizon");
    for (wall, keeps) in [(149, true), (150, false)] {
        let more: [Bytes; 2] =
            [keyed(&[("d", Some("2"))]), keyed(&[("e", None), ("e", None), ("e", None)])];
        let mut out = Effects::new();
        for batch in &more {
            log.append_as_leader(now(0), LeaderEpoch(0), batch, &mut out).unwrap();
        }
        disk.apply(&mut out);
        run(&mut log, &mut disk, wall, 9);
        assert_eq!(content(&disk).contains(&row(2, "a", None)), keeps, "at {wall}");
    }
}

#[test]
fn a_producer_s_newest_batch_stays_without_records() {
    let own = |sequence| {
        let mut builder = Builder::new().producer(ProducerId(1), ProducerEpoch(0), sequence);
        builder.append(Timestamp(5), Some(b"a"), Some(b"x"));
        builder.build()
    };
    let (mut log, mut disk) = filled(&[
        own(0),
        own(1),
        keyed(&[("a", Some("1")), ("b", Some("1"))]),
        keyed(&[("a", Some("2"))]),
    ]);
    run(&mut log, &mut disk, 50, 9);
    let header = crate::record::verify(&disk.batches[0]).unwrap();
    assert_eq!((header.base_offset, header.record_count), (Offset(1), 0));
    let mut recovered = disk.recover(log.config().clone(), &mut Effects::new());
    assert_eq!(lead(&mut recovered, 1, &own(1)), Ok((1, true)));
    assert_eq!(lead(&mut recovered, 1, &own(2)), Ok((5, false)));
}

#[test]
fn a_truncation_stops_a_compaction() {
    let (mut log, disk) = filled(&[
        keyed(&[("a", Some("1")), ("a", Some("2"))]),
        keyed(&[("a", Some("3")), ("a", Some("4"))]),
        keyed(&[("b", Some("1"))]),
    ]);
    let mut out = Effects::new();
    log.compact(Offset(5), &mut out);
    let max_bytes = log.config().topic.max_message_bytes.max(1 << 20);
    assert_eq!(out.as_slice(), [Effect::Load { log: ID, from: Offset(0), max_bytes }]);
    log.truncate(Offset(2), &mut out);
    assert!(!log.is_compacting());
    out.drain().count();
    log.loaded(now(9), Offset(0), &disk.batches, &mut out);
    assert!(out.is_empty());
}

#[test]
fn bytes_that_are_not_the_index_s_are_not_rewritten() {
    let (mut log, disk) = filled(&[
        keyed(&[("a", Some("1")), ("a", Some("2"))]),
        keyed(&[("a", Some("3")), ("a", Some("4"))]),
        keyed(&[("b", Some("1"))]),
    ]);
    for wrong in [vec![], vec![disk.batches[1].clone()], vec![disk.batches[0].slice(..70)]] {
        let mut out = Effects::new();
        log.compact(Offset(5), &mut out);
        out.drain().count();
        log.loaded(now(9), Offset(0), &wrong, &mut out);
        assert!(out.is_empty());
        assert!(!log.is_compacting());
    }
}
