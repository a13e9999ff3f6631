mod cluster;
mod recovery;
mod rules;
mod storm;
mod table;

use alloc::vec::Vec;

use bytes::Bytes;

use self::cluster::{LOG, key, server};
use crate::defect::Defects;
use crate::event::RaftRole;
use crate::ids::{ConnId, CorrelationId, LeaderEpoch, LogPoint, NodeId, Offset, QuorumEpoch};
use crate::machine::{Effect, Effects, FileKey, Survived};
use crate::message::raft::{QuorumFetchRequest, VoteRequest, VoteResponse};
use crate::message::{Request, Response};
use crate::raft::{Raft, RaftEvent};
use crate::rng::Rng;
use crate::time::{Duration, Instant, Now, Timestamp};

fn now() -> Now {
    Now { mono: Instant::from_nanos(1), wall: Timestamp(1_000) }
}

fn epoch(epoch: i32) -> QuorumEpoch {
    QuorumEpoch(epoch)
}

fn point(epoch: i32, offset: i64) -> LogPoint {
    LogPoint { epoch: LeaderEpoch(epoch), offset: Offset(offset) }
}

/// Node 0 of a quorum of that many voters, over an empty disk that works at once.
fn voter(voters: usize, defects: Defects) -> Raft {
    restarted(voters, defects, &Survived::default())
}

fn restarted(voters: usize, defects: Defects, survived: &Survived) -> Raft {
    let (config, mut out) = (server(0, voters, defects), Effects::new());
    Raft::start(&config, key(0, 0), Rng::from_number(1), now(), survived, LOG, &mut out)
}

/// Lets the disk finish what it was asked to do.
fn settle(raft: &mut Raft) {
    let mut out = Effects::new();
    for _ in 0..4 {
        raft.saved(now(), FileKey::QuorumState, &mut out);
        let end = raft.last();
        raft.flushed(now(), end, &mut out);
    }
    raft.check();
}

fn leading(voters: usize, defects: Defects) -> Raft {
    let (mut raft, mut out) = (voter(voters, defects), Effects::new());
    raft.become_prospective(now(), &mut out);
    if voters > 1 {
        raft.become_candidate(now(), &mut out);
    }
    settle(&mut raft);
    if voters > 1 {
        raft.become_leader(now(), &mut out);
    }
    assert_eq!((raft.role(), raft.epoch()), (RaftRole::Leader, epoch(1)));
    raft
}

/// What a node answers to a request at once.
fn ask(raft: &mut Raft, request: &Request) -> Vec<Response> {
    let mut out = Effects::new();
    raft.on_request(now(), ConnId::inbound(0), CorrelationId(0), request, &mut out);
    answers(&mut out)
}

fn answers(out: &mut Effects) -> Vec<Response> {
    out.drain()
        .filter_map(|effect| match effect {
            Effect::Respond { response, .. } => Some(Response::clone(&response)),
            Effect::Connect { .. }
            | Effect::Close { .. }
            | Effect::Send { .. }
            | Effect::Create { .. }
            | Effect::Append { .. }
            | Effect::Flush { .. }
            | Effect::Truncate { .. }
            | Effect::Trim { .. }
            | Effect::Rewrite { .. }
            | Effect::Remove { .. }
            | Effect::Save { .. }
            | Effect::Delete { .. }
            | Effect::Load { .. }
            | Effect::Return { .. }
            | Effect::Note(_)
            | Effect::Halt => None,
        })
        .collect()
}

fn vote_request(candidate: usize, at: i32, last: LogPoint) -> Request {
    Request::Vote(VoteRequest {
        epoch: epoch(at),
        candidate: key(candidate, 0),
        voter: key(0, 0),
        last,
        pre_vote: false,
    })
}

fn fetch_request(replica: usize, at: i32, last: LogPoint, high_watermark: i64) -> Request {
    Request::QuorumFetch(QuorumFetchRequest {
        replica: key(replica, 0),
        epoch: epoch(at),
        fetch_offset: last.offset,
        last_fetched_epoch: QuorumEpoch(last.epoch.0),
        high_watermark: Offset(high_watermark),
        max_wait: Duration::from_millis(500),
    })
}

fn events(raft: &mut Raft) -> Vec<RaftEvent> {
    core::iter::from_fn(|| raft.next_event()).collect()
}

fn granted(response: &Response) -> bool {
    matches!(response, Response::Vote(VoteResponse { granted: true, .. }))
}

fn record(value: &'static str) -> Bytes {
    Bytes::from_static(value.as_bytes())
}

const NOBODY: Option<NodeId> = None;
