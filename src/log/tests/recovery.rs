//! Whatever survived a crash, what is whole and good is a log again.

use super::*;

/// A log with three epochs, a producer and a trimmed start, its disk, and older checkpoints of it.
fn sample(defects: Defects) -> (Log, Disk, Vec<Disk>) {
    let mut disk = Disk::default();
    let mut older = Vec::new();
    let mut out = Effects::new();
    let config = LogConfig { defects, ..config(&[("segment.records", "3")]) };
    let mut log = Log::create(ID, Arc::new(LogName::Metadata), config, &mut out);
    for sequence in 0..12 {
        let batch = sent(0, sequence, 1);
        log.append_as_leader(now(0), LeaderEpoch(sequence / 5), &batch, &mut out).unwrap();
        if sequence == 8 {
            log.trim(Offset(4), &mut out);
        }
        disk.apply(&mut out);
        older.push(disk.clone());
    }
    (log, disk, older)
}

fn assert_same(recovered: &Log, live: &Log) {
    assert_eq!(recovered.end_point(), live.end_point());
    assert_eq!(recovered.epochs(), live.epochs());
    assert_eq!(recovered.producers(), live.producers());
}

#[test]
fn a_crash_of_the_process_loses_nothing() {
    let (live, disk, _) = sample(Defects::NONE);
    let mut out = Effects::new();
    let recovered = disk.recover(live.config().clone(), &mut out);
    assert_same(&recovered, &live);
    assert_eq!(recovered.start_offset(), Offset(4));
    assert_eq!(out.as_slice(), [Effect::Flush { log: ID, upto: point(2, 12) }]);
}

#[test]
fn checkpoints_may_be_missing_old_or_damaged() {
    let (live, disk, older) = sample(Defects::NONE);
    let without: Vec<Disk> = (0..disk.files.len())
        .map(|index| {
            let mut disk = disk.clone();
            disk.files.remove(index);
            disk
        })
        .collect();
    let damaged = (0..disk.files.len()).flat_map(|index| {
        [0, 1, 5, 9].map(|byte| {
            let mut disk = disk.clone();
            let mut bytes = disk.files[index].1.to_vec();
            bytes[byte] ^= 1;
            disk.files[index].1 = bytes.into();
            disk
        })
    });
    let older = older.iter().map(|old| Disk { files: old.files.clone(), ..disk.clone() });
    for disk in without.into_iter().chain(damaged).chain(older) {
        let recovered = disk.recover(live.config().clone(), &mut Effects::new());
        assert_same(&recovered, &live);
        // A lost log start falls back to the first batch that is still there.
        let first = base(&disk.batches[0]);
        assert!([first, Offset(4)].contains(&recovered.start_offset()));
    }
}

#[test]
fn a_checkpoint_that_is_trusted_blindly_is_wrong() {
    if !cfg!(feature = "defects") {
        return;
    }
    let defects = Defects::NONE.with(Defect::CheckpointNotFsynced);
    let (live, mut disk, _) = sample(defects);
    let recovered = disk.recover(live.config().clone(), &mut Effects::new());
    assert_eq!(live.last_epoch(), LeaderEpoch(2));
    assert_eq!(recovered.last_epoch(), LeaderEpoch(1), "the file is from before epoch 2");
    assert_ne!(recovered.producers(), live.producers());
    disk.files.clear();
    let recovered = disk.recover(live.config().clone(), &mut Effects::new());
    assert_eq!(recovered.last_epoch(), LeaderEpoch::NONE);
    assert!(recovered.producers().is_empty());
}

/// Recovers with the last batch cut to `kept` bytes.
fn torn(defects: Defects, kept: usize) -> (Log, Effects) {
    let (live, mut disk, _) = sample(defects);
    let last = disk.batches.last_mut().unwrap();
    *last = last.slice(..kept);
    let mut out = Effects::new();
    (disk.recover(live.config().clone(), &mut out), out)
}

#[test]
fn a_torn_tail_is_cut_off() {
    for kept in 1..sent(0, 0, 1).len() {
        let (log, out) = torn(Defects::NONE, kept);
        assert_eq!(log.end_point(), point(2, 11));
        assert_eq!(log.producers().get(ProducerId(1)).unwrap().batches().len(), 5);
        assert_eq!(
            out.as_slice(),
            [
                Effect::Truncate { log: ID, to: Offset(11) },
                Effect::Note(Event::Sometimes(Mark::TornTailCut)),
                Effect::Flush { log: ID, upto: point(2, 11) }
            ]
        );
    }
    if cfg!(feature = "defects") {
        let defects = Defects::NONE.with(Defect::TornTailNoCrc);
        assert_eq!(torn(defects, 64).0.end_point(), point(2, 12), "taken for whole");
        assert_eq!(torn(defects, 60).0.end_point(), point(2, 11), "not even a header");
    }
}

#[test]
fn a_flipped_bit_ends_the_log_before_it() {
    let (live, disk, _) = sample(Defects::NONE);
    let size = disk.batches[0].len();
    // The CRC does not cover base offset and epoch; a wrong base offset shows all the same.
    for byte in (0..12).chain(16..size) {
        for chunked in [false, true] {
            let mut disk = disk.clone();
            let mut bytes = disk.batches[3].to_vec();
            bytes[byte] ^= 0x10;
            disk.batches[3] = bytes.into();
            let end = base(&disk.batches[2]).next();
            if chunked {
                disk.batches = vec![disk.batches.concat().into()];
            }
            let mut out = Effects::new();
            let log = disk.recover(live.config().clone(), &mut out);
            assert_eq!(log.end_offset(), end, "byte {byte}");
            assert_eq!(out.as_slice()[0], Effect::Truncate { log: ID, to: end });
        }
    }
}

#[test]
fn a_first_batch_in_the_wrong_place_does_not_move_the_log() {
    let (live, mut disk, _) = sample(Defects::NONE);
    let mut bytes = disk.batches[0].to_vec();
    bytes[2] ^= 1;
    disk.batches[0] = bytes.into();
    let log = disk.recover(live.config().clone(), &mut Effects::new());
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(4), Offset(4)));
}

#[test]
fn a_start_beyond_the_end_begins_again_there() {
    let (live, mut disk, older) = sample(Defects::NONE);
    disk.batches.clone_from(&older[2].batches);
    let mut out = Effects::new();
    let log = disk.recover(live.config().clone(), &mut out);
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(4), Offset(4)));
    assert_eq!(log.last_epoch(), LeaderEpoch::NONE);
    assert_eq!(out.as_slice().last(), Some(&Effect::Truncate { log: ID, to: Offset(0) }));
}

#[test]
fn producers_of_removed_batches_come_from_the_snapshot() {
    let mut disk = Disk::default();
    let mut out = Effects::new();
    let mut log = new(config(&[]));
    log.append_as_leader(now(0), LeaderEpoch(0), &sent(0, 0, 1), &mut out).unwrap();
    for _ in 0..3 {
        log.append_as_leader(now(0), LeaderEpoch(0), &data(1, 5), &mut out).unwrap();
    }
    log.trim(Offset(2), &mut out);
    disk.apply(&mut out);
    assert_eq!(disk.batches.len(), 2);
    let mut recovered = disk.recover(config(&[]), &mut out);
    assert_eq!(lead(&mut recovered, 1, &sent(0, 0, 1)), Ok((0, true)));
    recovered.truncate(Offset(3), &mut out);
    assert_eq!(lead(&mut recovered, 1, &sent(0, 0, 1)), Ok((0, true)), "rewound, not forgotten");
    disk.files.clear();
    let mut forgetful = disk.recover(config(&[]), &mut out);
    assert_eq!(lead(&mut forgetful, 1, &sent(0, 0, 1)), Ok((4, false)));
}

#[test]
fn a_trim_that_did_not_reach_the_disk_is_made_again() {
    let (live, disk, older) = sample(Defects::NONE);
    let mut stale = older[7].clone();
    stale.batches.extend_from_slice(&disk.batches[4..]);
    stale.files = disk.files;
    let mut out = Effects::new();
    let log = stale.recover(live.config().clone(), &mut out);
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(4), Offset(12)));
    assert_eq!(log.batches().next().map(|batch| batch.base), Some(Offset(4)));
    assert_eq!(out.as_slice()[1], Effect::Trim { log: ID, to: Offset(4) });
}

#[test]
fn a_log_whose_disk_failed_takes_no_more() {
    for defect in [None, Some(Defect::AppendAfterIoError)] {
        if defect.is_some() && !cfg!(feature = "defects") {
            continue;
        }
        let defects = defect.into_iter().fold(Defects::NONE, Defects::with);
        let mut log = new(LogConfig { defects, ..LogConfig::default() });
        log.lost();
        assert_eq!(log.is_lost(), defect.is_none());
        let appended = lead(&mut log, 0, &data(1, 5));
        let copied = stamp(&data(1, 5), log.end_offset(), LeaderEpoch(0));
        let copied = log.append_as_follower(now(0), &[copied], &mut Effects::new());
        if defect.is_none() {
            assert_eq!(appended, Err(ErrorCode::KafkaStorageError));
            assert_eq!(copied, Err(crate::record::BatchError::Storage));
        } else {
            assert_eq!(appended, Ok((0, false)));
            assert!(copied.is_ok());
        }
    }
}
