//! What a node makes of what survived.

use std::vec;

use super::*;
#[cfg(feature = "defects")]
use crate::defect::Defect;
use crate::ids::Uuid;
use crate::machine::{LogName, SurvivedLog};
use crate::message::raft::ReplicaKey;
use crate::raft::election::Election;
use crate::raft::log::{Entry, QuorumLog};
use crate::raft::snapshot::Snapshot;
use crate::record::{BatchHeader, Builder};

fn batch(base: i64, epoch: i32, records: i64) -> Bytes {
    let mut builder = Builder::new().at(Offset(base), LeaderEpoch(epoch));
    for value in 0..records {
        builder.append(Timestamp(value), None, Some(b"value"));
    }
    builder.build()
}

fn entry(base: i64, epoch: i32, records: i64) -> Entry {
    let batch = batch(base, epoch, records);
    Entry::new(&BatchHeader::parse(&batch).unwrap(), batch)
}

fn disk(election: Election, snapshot: Option<LogPoint>, chunks: Vec<Bytes>) -> Survived {
    let mut files = vec![(FileKey::QuorumState, election.encode())];
    if let Some(point) = snapshot {
        files.push((FileKey::Snapshot, Snapshot::new(point, b"state").file()));
    }
    let log = SurvivedLog { log: LOG, name: LogName::Metadata.into(), chunks };
    Survived { files, logs: vec![log] }
}

fn follower(at: i32) -> Election {
    Election { epoch: epoch(at), voted: None, leads: false }
}

fn start(survived: &Survived, voter: bool) -> (Raft, Effects) {
    let (config, mut out) = (server(0, 3, Defects::NONE), Effects::new());
    let me = if voter { key(0, 0) } else { key(7, 0) };
    let raft = Raft::start(&config, me, Rng::from_number(1), now(), survived, LOG, &mut out);
    (raft, out)
}

fn halts(out: &Effects) -> bool {
    out.as_slice().contains(&Effect::Halt)
}

#[test]
fn a_leader_restarts_resigned_in_its_epoch() {
    let won = Election { epoch: epoch(3), voted: Some(key(0, 0)), leads: true };
    let (raft, _) = start(&disk(won, None, vec![batch(0, 3, 1)]), true);
    assert_eq!((raft.role(), raft.epoch()), (RaftRole::Resigned, epoch(3)));
    assert_eq!(raft.leader(), None);
}

#[cfg(feature = "defects")]
#[test]
fn a_leader_that_resumes_its_epoch_appends_in_it_again() {
    let won = Election { epoch: epoch(3), voted: Some(key(0, 0)), leads: true };
    let defects = Defects::NONE.with(Defect::KraftLeaderResumesEpoch);
    let raft = restarted(3, defects, &disk(won, None, vec![]));
    assert_eq!((raft.role(), raft.last()), (RaftRole::Leader, point(3, 1)), "KAFKA-10527");
}

#[test]
fn a_voter_remembers_its_vote_and_the_logs_epoch() {
    let voted = Election { epoch: epoch(3), voted: Some(key(2, 0)), leads: false };
    let (mut raft, _) = start(&disk(voted, None, vec![]), true);
    assert_eq!((raft.role(), raft.epoch()), (RaftRole::Unattached, epoch(3)));
    let [answer] = &ask(&mut raft, &vote_request(1, 3, point(9, 9)))[..] else { panic!() };
    assert!(!granted(answer));
    let (raft, _) = start(&disk(voted, None, vec![batch(0, 5, 1)]), true);
    assert_eq!(raft.epoch(), epoch(5));
}

#[test]
fn a_voter_with_a_damaged_promise_or_snapshot_halts() {
    let whole = disk(follower(3), Some(point(2, 4)), vec![batch(4, 3, 1)]);
    assert!(!halts(&start(&whole, true).1));
    for file in 0..2 {
        let mut damaged = whole.clone();
        let mut bytes = damaged.files[file].1.to_vec();
        bytes[3] ^= 1;
        damaged.files[file].1 = bytes.into();
        assert!(halts(&start(&damaged, true).1), "file {file}");
    }
}

#[test]
fn a_torn_tail_is_cut_and_rot_halts_a_voter() {
    let chunks = vec![batch(0, 1, 2), batch(2, 1, 2), batch(4, 2, 1)];
    let mut torn = chunks.clone();
    torn[2] = torn[2].slice(..30);
    let (raft, out) = start(&disk(follower(2), None, torn), true);
    assert_eq!(raft.last(), point(1, 4));
    assert!(out.as_slice().contains(&Effect::Truncate { log: LOG, to: Offset(4) }));

    let mut blank = chunks.clone();
    blank[2] = Bytes::from(vec![0; blank[2].len()]);
    assert_eq!(start(&disk(follower(2), None, blank), true).0.last(), point(1, 4));

    for rotten in [1, 2] {
        a_voter_does_not_guess(&chunks, rotten);
    }
}

/// A flipped bit in a batch that was whole.
fn a_voter_does_not_guess(chunks: &[Bytes], rotten: usize) {
    let mut chunks = chunks.to_vec();
    let mut bytes = chunks[rotten].to_vec();
    bytes[40] ^= 1;
    let kept = BatchHeader::parse(&chunks[rotten]).unwrap().base_offset;
    chunks[rotten] = bytes.into();
    let survived = disk(follower(2), None, chunks);
    assert!(halts(&start(&survived, true).1), "it may have voted for a leader with less");
    let (observer, out) = start(&survived, false);
    assert!(!halts(&out));
    assert_eq!(
        observer.last(),
        LogPoint { epoch: LeaderEpoch(1), offset: kept },
        "an observer fetches it again"
    );
}

#[test]
fn what_survived_is_flushed_before_it_counts() {
    let (raft, out) = start(&disk(follower(1), None, vec![batch(0, 1, 2)]), true);
    assert_eq!((raft.flushed_end(), raft.end_offset()), (Offset(0), Offset(2)));
    assert!(out.as_slice().contains(&Effect::Flush { log: LOG, upto: point(1, 2) }));
}

#[test]
fn a_log_is_fitted_to_its_snapshot() {
    let rows = [
        ("nothing", vec![], point(2, 4)),
        ("all behind", vec![batch(4, 2, 2)], point(2, 6)),
        ("some below", vec![batch(2, 1, 2), batch(4, 3, 1)], point(3, 5)),
        ("ends in it", vec![batch(0, 1, 4)], point(2, 4)),
        ("too short", vec![batch(0, 1, 2)], point(2, 4)),
        ("an older epoch behind", vec![batch(0, 1, 4), batch(4, 1, 3)], point(2, 4)),
    ];
    for (what, chunks, last) in rows {
        let (mut raft, out) = start(&disk(follower(3), Some(point(2, 4)), chunks), true);
        assert!(!halts(&out), "{what}");
        assert_eq!((raft.start_offset(), raft.last()), (Offset(4), last), "{what}");
        assert_eq!(raft.high_watermark(), Offset(4));
        let state = Bytes::from_static(b"state");
        let load = RaftEvent::LoadSnapshot { point: point(2, 4), state };
        assert_eq!(events(&mut raft).first(), Some(&load), "{what}");
        raft.check();
    }
    let hole = disk(follower(3), Some(point(2, 4)), vec![batch(6, 2, 1)]);
    assert!(halts(&start(&hole, true).1));
}

#[test]
fn a_snapshot_reads_back_and_a_flipped_bit_is_seen() {
    let snapshot = Snapshot::new(point(3, 17), b"the state");
    assert_eq!(Snapshot::decode(snapshot.file()), Some(snapshot.clone()));
    assert_eq!(snapshot.state(), Bytes::from_static(b"the state"));
    for bit in 0..snapshot.file().len() * 8 {
        let mut flipped = snapshot.file().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Snapshot::decode(flipped.into()), None, "bit {bit}");
    }
}

#[test]
fn another_directory_is_another_replica() {
    let (config, mut out) = (server(0, 3, Defects::NONE), Effects::new());
    let me = ReplicaKey { directory: Uuid([9; 4]), ..key(0, 0) };
    let survived = Survived::default();
    let raft = Raft::start(&config, me, Rng::from_number(1), now(), &survived, LOG, &mut out);
    assert!(!raft.is_voter(), "KIP-853");
}

#[test]
fn the_log_agrees_with_a_plain_list_under_any_operations() {
    for seed in 0..50 {
        let mut rng = Rng::from_number(seed);
        let mut log = QuorumLog::new(LOG, LogPoint::default());
        let mut plain: Vec<Entry> = Vec::new();
        let (mut start, mut out) = (LogPoint::default(), Effects::new());
        let mut newest = 1;
        for _ in 0..400 {
            let end = plain.last().map_or(start.offset, |entry| entry.last.next());
            let cut = plain.get(rng.index(plain.len().max(1))).map_or(end, |entry| entry.base);
            match rng.below(30) {
                0 => {
                    log.truncate(cut, &mut out);
                    plain.retain(|entry| entry.base < cut);
                }
                1 => {
                    let kept = plain.iter().rev().find(|entry| entry.base < cut);
                    start = LogPoint { epoch: kept.map_or(start.epoch, |e| e.epoch), offset: cut };
                    log.trim(start, &mut out);
                    plain.retain(|entry| entry.base >= cut);
                }
                2 => newest += 1,
                _append => {
                    let next = i64::try_from(1 + rng.below(3)).unwrap();
                    plain.push(entry(end.0, newest, next));
                    log.append(plain.last().unwrap().clone(), &mut out);
                }
            }
            log.check();
            assert!(log.entries(Offset::ZERO).eq(plain.iter()), "seed {seed}");
            assert!(log.entries(cut).eq(plain.iter().filter(|e| e.last >= cut)), "seed {seed}");
            let end = plain.last().map_or(start.offset, |entry| entry.last.next());
            assert_eq!(log.end(), end);
            let asked = LeaderEpoch(i32::try_from(rng.below(12)).unwrap());
            let below = plain.iter().rev().find(|e| e.epoch <= asked);
            let expected = LogPoint {
                epoch: below.map_or(start.epoch, |e| e.epoch),
                offset: plain.iter().find(|e| e.epoch > asked).map_or(end, |e| e.base),
            };
            assert_eq!(log.end_for(asked), expected, "seed {seed}");
        }
    }
}

#[test]
fn a_flush_that_truncation_overtook_does_not_count() {
    let (mut log, mut out) = (QuorumLog::new(LOG, LogPoint::default()), Effects::new());
    log.append(entry(0, 1, 1), &mut out);
    log.append(entry(1, 1, 1), &mut out);
    log.flush(&mut out);
    log.truncate(Offset(1), &mut out);
    log.append(entry(1, 2, 1), &mut out);
    log.flushed(point(1, 2), &mut out);
    assert_eq!(log.flushed_end(), Offset(0));
    assert_eq!(out.as_slice().last(), Some(&Effect::Flush { log: LOG, upto: point(2, 2) }));
    log.flushed(point(2, 2), &mut out);
    assert_eq!(log.flushed_end(), Offset(2));
}
