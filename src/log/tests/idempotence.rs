//! A producer's batches: once, in order, without a gap (KIP-98).

use super::*;
use crate::message::transaction::TransactionVersion;

/// The sequence numbers, wrapping after 7, with some rules broken.
fn log_with(defects: &[Defect]) -> Log {
    let defects = defects.iter().fold(Defects::NONE, |all, defect| all.with(*defect));
    new(LogConfig { sequence_max: 7, defects, ..LogConfig::default() })
}

fn with_history(defects: &[Defect], sequences: &[i32]) -> Log {
    let mut log = log_with(defects);
    for sequence in sequences {
        lead(&mut log, 0, &sent(3, *sequence, 1)).unwrap();
    }
    log
}

const OUT_OF_ORDER: Result<(i64, bool), ErrorCode> = Err(ErrorCode::OutOfOrderSequenceNumber);

#[test]
fn a_batch_is_the_next_a_duplicate_or_refused() {
    // After sequences 0..6 at offsets 0..6.
    for (epoch, sequence, count, expected) in [
        (3, 6, 1, Ok((6, false))),
        (3, 5, 1, Ok((5, true))),
        (3, 1, 1, Ok((1, true))),
        (3, 0, 1, OUT_OF_ORDER), // out of the window of five
        (3, 4, 2, OUT_OF_ORDER), // not the batch that was sent
        (3, 7, 1, OUT_OF_ORDER),
        (2, 6, 1, Err(ErrorCode::InvalidProducerEpoch)),
        (2, 5, 1, Err(ErrorCode::InvalidProducerEpoch)),
        (4, 6, 1, OUT_OF_ORDER),
        (4, 0, 1, Ok((6, false))),
    ] {
        let mut log = with_history(&[], &[0, 1, 2, 3, 4, 5]);
        let found = lead(&mut log, 0, &sent(epoch, sequence, count));
        assert_eq!(found, expected, "epoch {epoch} sequence {sequence} x {count}");
    }
}

#[test]
fn a_producer_that_nobody_remembers_may_begin_anywhere() {
    assert_eq!(lead(&mut log_with(&[]), 0, &sent(3, 5, 1)), Ok((0, false)));
}

#[test]
fn sequences_wrap_to_zero() {
    let mut log = with_history(&[], &[6]);
    assert_eq!(lead(&mut log, 0, &sent(3, 7, 3)), Ok((1, false)), "7, 0, 1");
    assert_eq!(lead(&mut log, 0, &sent(3, 7, 3)), Ok((1, true)));
    assert_eq!(lead(&mut log, 0, &sent(3, 2, 1)), Ok((4, false)));
}

#[test]
fn each_rule_can_be_broken() {
    if !cfg!(feature = "defects") {
        return;
    }
    let retry = |defect, sequence| {
        let mut log = with_history(&[defect], &[0, 1, 2]);
        lead(&mut log, 0, &sent(3, sequence, 1))
    };
    assert_eq!(retry(Defect::DedupeReturnsOos, 2), OUT_OF_ORDER);
    assert_eq!(retry(Defect::DedupeWindowOne, 2), Ok((2, true)));
    assert_eq!(retry(Defect::DedupeWindowOne, 1), OUT_OF_ORDER);
    assert_eq!(retry(Defect::SeqGapAccepted, 5), Ok((3, false)));
    let mut log = with_history(&[Defect::SeqWrap], &[7]);
    assert_eq!(lead(&mut log, 0, &sent(3, 0, 1)), OUT_OF_ORDER);
    assert_eq!(lead(&mut log, 0, &sent(3, 8, 1)), Ok((1, false)));
}

#[test]
fn a_follower_that_leads_later_knows_what_it_copied() {
    for (defect, expected) in
        [(None, Ok((0, true))), (Some(Defect::ProducerStateNotReplicated), Ok((1, false)))]
    {
        if defect.is_some() && !cfg!(feature = "defects") {
            continue;
        }
        let mut follower = log_with(defect.as_slice());
        let batch = sent(3, 0, 1);
        let copied = stamp(&batch, Offset(0), LeaderEpoch(0));
        follower.append_as_follower(now(0), &[copied], &mut Effects::new()).unwrap();
        assert_eq!(lead(&mut follower, 1, &batch), expected, "{defect:?}");
    }
}

#[test]
fn a_truncated_batch_is_no_duplicate() {
    for (defect, expected) in
        [(None, Ok((2, false))), (Some(Defect::ProducerStateNotTruncated), Ok((2, true)))]
    {
        if defect.is_some() && !cfg!(feature = "defects") {
            continue;
        }
        let mut log = with_history(defect.as_slice(), &[0, 1, 2, 3]);
        log.truncate(Offset(2), &mut Effects::new());
        assert_eq!(lead(&mut log, 1, &sent(3, 2, 1)), expected, "{defect:?}");
        assert_eq!(lead(&mut log, 1, &sent(3, 0, 1)), Ok((0, true)), "what stayed is known");
    }
}

#[test]
fn a_long_truncation_rewinds_to_a_mark() {
    let mut log = new(LogConfig::default());
    for sequence in 0..3000 {
        log.append_as_leader(now(0), LeaderEpoch(0), &sent(0, sequence, 1), &mut Effects::new())
            .unwrap();
    }
    assert_eq!(log.history.marks.len(), 2);
    log.truncate(Offset(1500), &mut Effects::new());
    assert_eq!(log.history.marks.len(), 1);
    assert_eq!(lead(&mut log, 1, &sent(0, 1495, 1)), Ok((1495, true)));
    assert_eq!(lead(&mut log, 1, &sent(0, 1500, 1)), Ok((1500, false)));
}

#[test]
fn idle_producers_are_forgotten() {
    let mut log = with_history(&[], &[0]);
    let expiration = crate::time::millis(log.config().producer_id_expiration);
    log.retain(now(expiration + 4), Offset(1), &mut Effects::new());
    assert!(!log.producers().is_empty());
    log.retain(now(expiration + 5), Offset(1), &mut Effects::new());
    assert!(log.producers().is_empty());
}

fn transactional(sequence: i32) -> Bytes {
    let producer = Builder::new().producer(ProducerId(1), ProducerEpoch(3), sequence);
    let mut builder = producer.transactional();
    builder.append(Timestamp(5), Some(b"k"), Some(b"v"));
    builder.build()
}

fn end(log: &mut Log, coordinator_epoch: i32, commit: bool) -> Result<Appended, ErrorCode> {
    let version = TransactionVersion::V1;
    let marker = Marker {
        version,
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch(3),
        coordinator_epoch,
        commit,
    };
    let (appended, _) = log.append_control(now(9), LeaderEpoch(0), marker, &mut Effects::new())?;
    Ok(appended)
}

#[test]
fn transactions_hold_back_the_last_stable_offset() {
    let mut log = log_with(&[]);
    lead(&mut log, 0, &data(1, 5)).unwrap();
    lead(&mut log, 0, &transactional(0)).unwrap();
    lead(&mut log, 0, &transactional(1)).unwrap();
    assert_eq!(log.last_stable_offset(Offset(3)), Offset(1));
    assert_eq!(lead(&mut log, 0, &sent(3, 2, 1)), Err(ErrorCode::InvalidTxnState));
    assert_eq!(end(&mut log, 4, false).unwrap().base, Offset(3));
    assert_eq!(log.last_stable_offset(Offset(3)), Offset(1), "the marker is not below the HW");
    assert_eq!(log.last_stable_offset(Offset(4)), Offset(4));
    log.high_watermark_moved(Offset(4));
    let aborted = Aborted { producer_id: ProducerId(1), first: Offset(1), last: Offset(3) };
    assert_eq!(log.aborted(Offset(0), Offset(4)).collect::<Vec<_>>(), [aborted]);
    assert_eq!(log.aborted(Offset(0), Offset(1)).count(), 0);
    assert_eq!(log.aborted(Offset(4), Offset(9)).count(), 0);
    assert_eq!(end(&mut log, 3, true), Err(ErrorCode::TransactionCoordinatorFenced));
    let both = Marker {
        version: TransactionVersion::V1,
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch(2),
        coordinator_epoch: 3,
        commit: true,
    };
    let both = log.append_control(now(9), LeaderEpoch(0), both, &mut Effects::new());
    assert_eq!(both.err(), Some(ErrorCode::InvalidProducerEpoch), "Kafka looks there first");
    lead(&mut log, 0, &transactional(2)).unwrap();
    end(&mut log, 4, true).unwrap();
    assert_eq!(log.aborted(Offset(0), Offset(9)).count(), 1);
    log.truncate(Offset(2), &mut Effects::new());
    log.check_all();
    assert_eq!(log.last_stable_offset(Offset(2)), Offset(1), "open again");
    assert_eq!(log.aborted(Offset(0), Offset(9)).count(), 0);
}
