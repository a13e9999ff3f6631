//! One rule a test: build, one step, compare the exact effects.

mod compaction;
mod idempotence;
mod model;
mod recovery;
mod retention;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::error::ErrorCode;
use crate::event::{Event, Mark};
use crate::ids::{ProducerEpoch, ProducerId};
use crate::machine::{Survived, SurvivedLog};
use crate::message::LogRange;
use crate::record::{Builder, stamp};
use crate::time::{Instant, Now, Timestamp};

const ID: LogId = LogId(7);

fn now(wall: i64) -> Now {
    Now { mono: Instant::ZERO, wall: Timestamp(wall) }
}

fn config(set: &[(&str, &str)]) -> LogConfig {
    let mut topic = TopicConfig::default();
    for (name, value) in set {
        topic.set(name, value).unwrap();
    }
    LogConfig { topic: Arc::new(topic), ..LogConfig::default() }
}

fn new(config: LogConfig) -> Log {
    Log::create(ID, Arc::new(LogName::Metadata), config, &mut Effects::new())
}

/// A batch of `count` records without a producer.
fn data(count: i32, timestamp: i64) -> Bytes {
    let mut builder = Builder::new();
    for _ in 0..count {
        builder.append(Timestamp(timestamp), Some(b"k"), Some(b"v"));
    }
    builder.build()
}

/// A batch of `count` records of producer 1.
fn sent(epoch: i16, sequence: i32, count: i32) -> Bytes {
    let mut builder = Builder::new().producer(ProducerId(1), ProducerEpoch(epoch), sequence);
    for _ in 0..count {
        builder.append(Timestamp(5), Some(b"k"), Some(b"v"));
    }
    builder.build()
}

/// Appends as the leader of `epoch` and gives the base offset.
fn lead(log: &mut Log, epoch: i32, batch: &Bytes) -> Result<(i64, bool), ErrorCode> {
    let appended =
        log.append_as_leader(now(100), LeaderEpoch(epoch), batch, &mut Effects::new())?;
    log.check_all();
    Ok((appended.base.0, appended.duplicate))
}

/// A disk that carries out a log's effects, without faults.
#[derive(Clone, Default)]
struct Disk {
    batches: Vec<Bytes>,
    files: Vec<(FileKey, Bytes)>,
}

fn base(batch: &Bytes) -> Offset {
    crate::record::BatchHeader::parse(batch).unwrap().base_offset
}

impl Disk {
    fn apply(&mut self, out: &mut Effects) {
        for effect in out.drain() {
            match effect {
                Effect::Append { batch, .. } => self.batches.push(batch),
                Effect::Truncate { to, .. } => self.batches.retain(|batch| base(batch) < to),
                Effect::Trim { to, .. } => self.batches.retain(|batch| {
                    crate::record::BatchHeader::parse(batch).unwrap().last_offset() >= to
                }),
                Effect::Rewrite { from, to, batches, .. } => {
                    let first = self.batches.partition_point(|batch| base(batch) < from);
                    let after = self.batches.partition_point(|batch| base(batch) < to);
                    self.batches.splice(first..after, batches.iter().cloned());
                }
                Effect::Save { file, value } => {
                    self.files.retain(|(key, _)| *key != file);
                    self.files.push((file, value));
                    self.files.sort_by_key(|(key, _)| *key);
                }
                Effect::Delete { file } => self.files.retain(|(key, _)| *key != file),
                Effect::Create { .. } | Effect::Flush { .. } | Effect::Load { .. } => {}
                effect @ (Effect::Connect { .. }
                | Effect::Close { .. }
                | Effect::Send { .. }
                | Effect::Respond { .. }
                | Effect::Remove { .. }
                | Effect::Return { .. }
                | Effect::Note(_)
                | Effect::Halt) => panic!("a log does not {effect:?}"),
            }
        }
    }

    fn recover(&self, config: LogConfig, out: &mut Effects) -> Log {
        let name = Arc::new(LogName::Metadata);
        let survived = SurvivedLog { log: ID, name, chunks: self.batches.clone() };
        let files = Survived { files: self.files.clone(), logs: vec![] };
        let log = Log::recover(ID, &survived, &files, config, now(0), out);
        log.check_all();
        log
    }
}

fn point(epoch: i32, offset: i64) -> LogPoint {
    LogPoint { epoch: LeaderEpoch(epoch), offset: Offset(offset) }
}

#[test]
fn a_leader_gives_offsets_and_its_epoch() {
    let mut out = Effects::new();
    let name = Arc::new(LogName::Metadata);
    let mut log = Log::create(ID, Arc::clone(&name), LogConfig::default(), &mut out);
    log.assign_epoch(LeaderEpoch(3), &mut out);
    let batch = data(2, 40);
    let appended = log.append_as_leader(now(0), LeaderEpoch(3), &batch, &mut out);
    let expected =
        Appended { base: Offset(0), last: Offset(1), duplicate: false, timestamp: Timestamp(40) };
    assert_eq!(appended, Ok(expected));
    log.flush(&mut out);
    assert_eq!(
        out.as_slice(),
        [
            Effect::Create { log: ID, name },
            Effect::Save { file: FileKey::LeaderEpochs(ID), value: log.epochs().encode() },
            Effect::Append {
                log: ID,
                base: Offset(0),
                batch: stamp(&batch, Offset(0), LeaderEpoch(3))
            },
            Effect::Flush { log: ID, upto: point(3, 2) },
        ]
    );
    assert_eq!(log.end_point(), point(3, 2));
    log.flushed(point(3, 2));
    assert_eq!(log.flushed_offset(), Offset(2));
}

#[test]
fn a_follower_copies_and_recovery_finds_everything_again() {
    let (mut leader, mut disk, mut out) = (new(config(&[])), Disk::default(), Effects::new());
    for sequence in 0..3 {
        let batch = sent(0, sequence, 1);
        leader.append_as_leader(now(0), LeaderEpoch(sequence), &batch, &mut out).unwrap();
    }
    disk.apply(&mut out);
    let mut follower = new(config(&[]));
    let chunk = Bytes::from(disk.batches.concat());
    let appended = follower.append_as_follower(now(0), &[chunk], &mut out).unwrap();
    assert_eq!((appended.base, appended.last), (Offset(0), Offset(2)));
    let mut copy = Disk::default();
    copy.apply(&mut out);
    assert_eq!(copy.batches, disk.batches);
    let recovered = copy.recover(config(&[]), &mut out);
    assert_eq!(out.as_slice(), [Effect::Flush { log: ID, upto: point(2, 3) }]);
    for log in [&follower, &recovered] {
        assert_eq!(log.epochs(), leader.epochs());
        assert_eq!(log.producers(), leader.producers());
        assert_eq!(log.end_point(), point(2, 3));
    }
    let range = recovered.read(Offset(1), Offset(3), 1, true);
    let bytes = u32::try_from(disk.batches[1].len()).unwrap();
    let expected = LogRange { log: ID, from: Offset(1), to: Offset(2), bytes };
    assert_eq!(range, Some(expected));
}

#[test]
fn a_truncation_cuts_segments_epochs_and_the_middle_of_a_batch() {
    let mut log = new(config(&[("segment.records", "2")]));
    for epoch in [0, 0, 1, 1, 2, 2] {
        lead(&mut log, epoch, &data(1, 5)).unwrap();
    }
    lead(&mut log, 2, &data(4, 5)).unwrap();
    let mut out = Effects::new();
    assert_eq!(log.truncate(Offset(8), &mut out), Offset(6), "the batch 6..10 goes whole");
    assert_eq!(
        out.as_slice(),
        [
            Effect::Delete { file: FileKey::Producers(ID) },
            Effect::Truncate { log: ID, to: Offset(6) },
        ]
    );
    assert_eq!(log.truncate(Offset(3), &mut out), Offset(3));
    log.check_all();
    assert_eq!(log.end_point(), point(1, 3));
    let bases: Vec<_> = log.segments().map(|segment| segment.base.0).collect();
    assert_eq!(bases, [0, 2]);
    assert_eq!(lead(&mut log, 3, &data(2, 5)), Ok((3, false)));
}

#[test]
fn a_truncation_at_the_end_forgets_an_epoch_without_records() {
    let mut log = new(config(&[]));
    lead(&mut log, 1, &data(1, 5)).unwrap();
    log.assign_epoch(LeaderEpoch(2), &mut Effects::new());
    let mut out = Effects::new();
    assert_eq!(log.truncate(Offset(1), &mut out), Offset(1));
    assert_eq!(log.last_epoch(), LeaderEpoch(1));
    let value = log.epochs().encode();
    assert_eq!(out.as_slice(), [Effect::Save { file: FileKey::LeaderEpochs(ID), value }]);
}

#[test]
fn a_flush_that_a_truncation_overtook_counts_for_nothing() {
    let mut log = new(config(&[("flush.messages", "2")]));
    let mut out = Effects::new();
    for _ in 0..2 {
        log.append_as_leader(now(0), LeaderEpoch(1), &data(1, 5), &mut out).unwrap();
    }
    assert_eq!(out.as_slice().last(), Some(&Effect::Flush { log: ID, upto: point(1, 2) }));
    log.truncate(Offset(1), &mut out);
    lead(&mut log, 2, &data(1, 6)).unwrap();
    log.flushed(point(1, 2));
    assert_eq!(log.flushed_offset(), Offset(0), "that was another record 1");
    log.flushed(point(1, 1));
    assert_eq!(log.flushed_offset(), Offset(1));
}

#[test]
fn reads_give_whole_batches_below_the_bound() {
    let mut log = new(config(&[]));
    let batch = data(2, 5);
    let size = u32::try_from(batch.len()).unwrap();
    for _ in 0..100 {
        lead(&mut log, 0, &batch).unwrap();
    }
    let range = |from, to, count| {
        Some(LogRange { log: ID, from: Offset(from), to: Offset(to), bytes: size * count })
    };
    for (from, upper, max, at_least_one, expected) in [
        (0, 200, u32::MAX, false, range(0, 200, 100)),
        (1, 200, u32::MAX, false, range(0, 200, 100)),
        (2, 199, u32::MAX, false, range(2, 198, 98)),
        (20, 200, size * 3 + 1, false, range(20, 26, 3)),
        (20, 24, size * 3, false, range(20, 24, 2)),
        (198, 200, size, false, range(198, 200, 1)),
        (0, 200, 0, true, range(0, 2, 1)),
        (0, 200, size - 1, false, None),
        (0, 1, u32::MAX, true, None),
        (200, 300, u32::MAX, true, None),
        (50, 50, u32::MAX, true, None),
    ] {
        let found = log.read(Offset(from), Offset(upper), max, at_least_one);
        assert_eq!(found, expected, "{from}..{upper}, {max} bytes");
    }
}

#[test]
fn a_client_s_bad_batch_is_refused_and_nothing_appended() {
    let set = [("max.message.bytes", "120"), ("cleanup.policy", "compact")];
    let mut log = new(config(&set));
    let mut flipped = data(1, 5).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let mut keyless = Builder::new();
    keyless.append(Timestamp(5), None, Some(b"v"));
    let control = record_marker(true);
    let late =
        crate::record::stamp_append_time(&data(1, 5), Offset(0), LeaderEpoch(0), Timestamp(9));
    for (batch, expected) in [
        (Bytes::new(), ErrorCode::CorruptMessage),
        (flipped.into(), ErrorCode::CorruptMessage),
        (data(9, 5), ErrorCode::MessageTooLarge),
        (keyless.build(), ErrorCode::InvalidRecord),
        (control, ErrorCode::InvalidRecord),
        (sent(0, -1, 1), ErrorCode::InvalidRecord),
        (late, ErrorCode::InvalidTimestamp),
    ] {
        assert_eq!(lead(&mut log, 0, &batch), Err(expected));
        assert_eq!(log.end_offset(), Offset(0));
    }
}

fn record_marker(commit: bool) -> Bytes {
    crate::record::marker(ProducerId(1), ProducerEpoch(0), commit, 0, Timestamp(5))
}

#[test]
fn log_append_time_is_the_broker_s_clock() {
    let mut log = new(config(&[("message.timestamp.type", "LogAppendTime")]));
    let mut out = Effects::new();
    let appended = log.append_as_leader(now(77), LeaderEpoch(0), &data(1, 5), &mut out).unwrap();
    assert_eq!(appended.timestamp, Timestamp(77));
    assert_eq!(log.max_timestamp(), Some((Timestamp(77), Offset(0))));
    let Some(Effect::Append { batch, .. }) = out.as_slice().last() else { panic!("appended") };
    let records = crate::record::records(batch).unwrap();
    assert_eq!(records[0].timestamp, Timestamp(77));
}

#[test]
fn offsets_are_found_by_time() {
    let mut log = new(config(&[("segment.records", "4")]));
    for timestamp in [10, 30, 20, 30, 50, 40] {
        lead(&mut log, 0, &data(2, timestamp)).unwrap();
    }
    let found =
        |time| log.offset_for_time(Timestamp(time), Offset(0)).map(|(at, offset)| (at.0, offset.0));
    for (time, expected) in
        [(0, Some((10, 0))), (11, Some((30, 2))), (31, Some((50, 8))), (51, None)]
    {
        assert_eq!(found(time), expected);
    }
    let behind = log.offset_for_time(Timestamp(30), Offset(4));
    assert_eq!(behind, Some((Timestamp(30), Offset(6))), "of the batches from there on");
    let range = log.batch_of_several(Offset(3)).expect("it holds two records");
    assert_eq!((range.from, range.to), (Offset(2), Offset(4)));
    assert_eq!(log.batch_of_several(Offset(12)), None);
    assert_eq!(log.max_timestamp(), Some((Timestamp(50), Offset(8))));
}

#[test]
fn a_follower_refuses_what_does_not_continue_its_log() {
    use crate::record::BatchError;
    let mut out = Effects::new();
    let at = |base, epoch| stamp(&data(2, 5), Offset(base), LeaderEpoch(epoch));
    let mut log = new(config(&[]));
    let mut flipped = at(2, 0).to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    let chunks = [at(0, 0), flipped.into()];
    let appended = log.append_as_follower(now(0), &chunks, &mut out);
    assert_eq!(appended, Err(BatchError::Crc));
    assert_eq!(log.end_offset(), Offset(2), "the good one before it stays");
    for (batch, expected) in [
        (at(1, 0), BatchError::OutOfOrder),
        (at(4, 0), BatchError::OutOfOrder),
        (at(2, -1), BatchError::Invalid),
        (Bytes::from_static(b"short"), BatchError::Truncated),
    ] {
        assert_eq!(log.append_as_follower(now(0), &[batch], &mut out), Err(expected));
    }
    let mut compacted = new(config(&[("cleanup.policy", "compact")]));
    let appended = compacted.append_as_follower(now(0), &[at(4, 0)], &mut out).unwrap();
    assert_eq!((appended.base, compacted.end_offset()), (Offset(4), Offset(6)));
}

#[test]
fn an_empty_follower_takes_the_whole_batch_that_holds_the_leader_s_start() {
    let mut out = Effects::new();
    let mut log = new(config(&[]));
    log.reset(Offset(11), &mut out);
    let batch = stamp(&data(3, 5), Offset(10), LeaderEpoch(1));
    log.append_as_follower(now(0), &[batch], &mut out).unwrap();
    log.check_all();
    assert_eq!((log.start_offset(), log.end_offset()), (Offset(11), Offset(13)));
}

#[test]
fn a_fork_shares_and_does_not_see_the_other() {
    let mut log = new(config(&[("segment.records", "3")]));
    for sequence in 0..500 {
        lead(&mut log, 0, &sent(0, sequence, 1)).unwrap();
    }
    let mut fork = log.clone();
    fork.truncate(Offset(100), &mut Effects::new());
    lead(&mut fork, 1, &sent(0, 100, 1)).unwrap();
    assert_eq!((log.end_offset(), fork.end_offset()), (Offset(500), Offset(101)));
    assert_eq!(lead(&mut log, 0, &sent(0, 500, 1)), Ok((500, false)));
    fork.check_all();
}
