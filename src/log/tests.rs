//! One rule a test: build, one step, compare the exact effects.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::error::ErrorCode;
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
fn a_retry_is_acknowledged_with_its_offset() {
    let mut log = new(config(&[]));
    assert_eq!(lead(&mut log, 0, &sent(0, 0, 2)), Ok((0, false)));
    assert_eq!(lead(&mut log, 0, &sent(0, 2, 1)), Ok((2, false)));
    assert_eq!(lead(&mut log, 0, &sent(0, 0, 2)), Ok((0, true)));
    assert_eq!(log.end_offset(), Offset(3));
}

#[test]
fn a_truncation_rewinds_epochs_and_producers() {
    let mut log = new(config(&[("segment.records", "2")]));
    for sequence in 0..6 {
        lead(&mut log, sequence / 2, &sent(0, sequence, 1)).unwrap();
    }
    let mut out = Effects::new();
    assert_eq!(log.truncate(Offset(3), &mut out), Offset(3));
    log.check_all();
    assert_eq!(log.end_point(), point(1, 3));
    assert_eq!(out.as_slice().last(), Some(&Effect::Truncate { log: ID, to: Offset(3) }));
    assert_eq!(lead(&mut log, 9, &sent(0, 3, 1)), Ok((3, false)), "forgotten, so not a duplicate");
}
