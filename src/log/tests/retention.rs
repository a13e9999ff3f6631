//! Retention by time and size, and deletion of records.

use super::*;

/// Segments of two batches with timestamps 10, 20, 30, ..; the last one is active.
fn filled(set: &[(&str, &str)], batches: i64) -> (Log, Disk) {
    let mut all = vec![("segment.records", "2")];
    all.extend_from_slice(set);
    let (mut disk, mut out) = (Disk::default(), Effects::new());
    let mut log = new(config(&all));
    for index in 1..=batches {
        let batch = data(1, index * 10);
        log.append_as_leader(now(0), LeaderEpoch(0), &batch, &mut out).unwrap();
    }
    disk.apply(&mut out);
    (log, disk)
}

#[test]
fn old_segments_go_whole_and_only_below_the_high_watermark() {
    // Segments: (10, 20) (30, 40) (50, 60) (70).
    for (wall, high_watermark, start) in [
        (119, 7, 0),
        (120, 7, 0),
        (121, 7, 2),
        (140, 7, 2),
        (141, 7, 4),
        (141, 3, 2),
        (141, 1, 0),
        (171, 7, 7),
        (171, 6, 6),
    ] {
        let (mut log, _) = filled(&[("retention.ms", "100")], 7);
        log.retain(now(wall), Offset(high_watermark), &mut Effects::new());
        log.check_all();
        assert_eq!(log.start_offset(), Offset(start), "at {wall}, HW {high_watermark}");
    }
}

#[test]
fn a_log_that_is_too_large_loses_its_oldest_segments() {
    let size = u64::try_from(data(1, 10).len()).unwrap();
    for (limit, start) in [(7 * size, 0), (5 * size + 1, 0), (5 * size, 2), (1, 6), (0, 7)] {
        let limit = alloc::format!("{limit}");
        let (mut log, mut disk) = filled(&[("retention.bytes", &limit)], 7);
        let mut out = Effects::new();
        log.retain(now(0), Offset(7), &mut out);
        log.check_all();
        assert_eq!(log.start_offset(), Offset(start), "limit {limit}");
        disk.apply(&mut out);
        assert_eq!(disk.batches.len(), log.batch_count());
    }
}

#[test]
fn the_last_batch_stays_as_the_witness_of_the_end() {
    let (mut log, mut disk) = filled(&[("retention.ms", "100")], 7);
    let mut out = Effects::new();
    log.retain(now(1000), Offset(7), &mut out);
    let value = encode_offset(Offset(7));
    assert_eq!(
        out.as_slice()[1..],
        [
            Effect::Save { file: FileKey::LogStart(ID), value },
            Effect::Trim { log: ID, to: Offset(6) }
        ]
    );
    disk.apply(&mut out);
    assert_eq!(log.read(Offset(7), Offset(7), u32::MAX, true), None);
    let mut recovered = disk.recover(log.config().clone(), &mut out);
    assert_eq!((recovered.start_offset(), recovered.end_offset()), (Offset(7), Offset(7)));
    for log in [&mut log, &mut recovered] {
        assert_eq!(lead(log, 1, &data(1, 2000)), Ok((7, false)));
        let range = log.read(Offset(7), Offset(8), u32::MAX, true).unwrap();
        assert_eq!(range.from, Offset(7));
        log.retain(now(2050), Offset(8), &mut out);
        assert_eq!(log.start_offset(), Offset(7));
    }
}

#[test]
fn records_can_be_deleted_from_the_middle_of_a_batch() {
    let (mut log, mut disk) = filled(&[], 0);
    let mut out = Effects::new();
    for epoch in 0..3 {
        log.append_as_leader(now(0), LeaderEpoch(epoch), &data(4, 5), &mut out).unwrap();
    }
    log.trim(Offset(6), &mut out);
    disk.apply(&mut out);
    log.check_all();
    assert_eq!((log.start_offset(), disk.batches.len()), (Offset(6), 2));
    assert_eq!(log.epochs().entries(), [point(1, 6), point(2, 8)]);
    assert_eq!(log.read(Offset(6), Offset(12), 1, true).unwrap().from, Offset(4));
    let recovered = disk.recover(log.config().clone(), &mut out);
    assert_eq!(recovered.epochs(), log.epochs());
    assert_eq!(recovered.start_offset(), Offset(6));
}

#[test]
fn memory_does_not_grow_once_retention_bites() {
    let mut log = new(config(&[("segment.records", "50"), ("retention.ms", "100")]));
    let mut out = Effects::new();
    for index in 0..20_000_i32 {
        let at = i64::from(index);
        let mut builder =
            Builder::new().producer(ProducerId(at / 1000), ProducerEpoch(0), index % 1000);
        builder.append(Timestamp(at), Some(b"k"), None);
        log.append_as_leader(now(at), LeaderEpoch(0), &builder.build(), &mut out).unwrap();
        if index % 100 == 0 {
            log.retain(now(at), log.end_offset(), &mut out);
        }
        out.drain().count();
    }
    log.check_all();
    assert!(log.batch_count() < 400);
    assert!(log.history.marks.len() < 3);
    assert!(log.history.sealed.end() - log.history.sealed.first() < 8);
}
