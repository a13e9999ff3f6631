//! The transition table, as the code has it.

use std::fmt::Write as _;
use std::format;
use std::string::String;

use super::*;
use crate::error::ErrorCode;
use crate::message::raft::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, QuorumFetchResponse, VoteResponse,
};

type Trigger = (&'static str, fn(&mut Raft, &mut Effects));

fn request(raft: &mut Raft, request: &Request, out: &mut Effects) {
    raft.on_request(now(), ConnId::inbound(0), CorrelationId(0), request, out);
}

fn voted(raft: &mut Raft, epoch: QuorumEpoch, leader: Option<NodeId>, granted: bool) {
    let mut out = Effects::new();
    let response = VoteResponse { error: ErrorCode::None, epoch, leader, granted };
    let pre_vote = raft.role() == RaftRole::Prospective;
    for at in [1, 2] {
        let before = raft.role();
        raft.on_vote_response(now(), at, pre_vote, &response, &mut out);
        settle(raft);
        if raft.role() != before {
            break;
        }
    }
}

fn asks(raft: &mut Raft, ahead: i32, pre_vote: bool, out: &mut Effects) {
    let vote = VoteRequest {
        epoch: epoch(raft.epoch().0 + ahead),
        candidate: key(1, 0),
        voter: key(0, 0),
        last: point(9, 9),
        pre_vote,
    };
    request(raft, &Request::Vote(vote), out);
}

fn begins(raft: &mut Raft, ahead: i32, out: &mut Effects) {
    let (epoch, voter) = (epoch(raft.epoch().0 + ahead), key(0, 0));
    let begin = BeginQuorumEpochRequest { epoch, leader: NodeId(2), voter };
    request(raft, &Request::BeginQuorumEpoch(begin), out);
}

fn ends(raft: &mut Raft, ahead: i32, out: &mut Effects) {
    let (epoch, preferred) = (epoch(raft.epoch().0 + ahead), Vec::new());
    let end = EndQuorumEpochRequest { epoch, leader: NodeId(2), preferred };
    request(raft, &Request::EndQuorumEpoch(end), out);
}

fn fetch_answered(raft: &mut Raft, ahead: i32, leader: Option<NodeId>, out: &mut Effects) {
    raft.fetcher.in_flight = Some(0);
    let response = QuorumFetchResponse {
        error: ErrorCode::FencedLeaderEpoch,
        epoch: epoch(raft.epoch().0 + ahead),
        leader,
        high_watermark: Offset::ZERO,
        diverging: None,
        snapshot: None,
        batches: Vec::new(),
    };
    raft.on_fetch_response(now(), 0, &response, out);
}

const TRIGGERS: &[Trigger] = &[
    ("election timeout", |raft, out| raft.election_timed_out(now(), out)),
    ("fetch timeout", |raft, out| {
        if matches!(raft.role, crate::raft::role::Role::Follower(_)) {
            raft.fetch_timed_out(now(), out);
        }
    }),
    ("no majority fetches", |raft, out| raft.resign(now(), out)),
    ("pre-vote asked", |raft, out| asks(raft, 0, true, out)),
    ("pre-vote asked, newer epoch", |raft, out| asks(raft, 1, true, out)),
    ("vote asked", |raft, out| asks(raft, 0, false, out)),
    ("vote asked, newer epoch", |raft, out| asks(raft, 1, false, out)),
    ("votes granted", |raft, _| voted(raft, raft.epoch(), None, true)),
    ("votes rejected", |raft, _| voted(raft, raft.epoch(), None, false)),
    ("vote answer names a leader", |raft, _| voted(raft, raft.epoch(), Some(NodeId(2)), false)),
    ("vote answer, newer epoch", |raft, _| voted(raft, raft.epoch().next(), None, false)),
    ("begin epoch", |raft, out| begins(raft, 0, out)),
    ("begin epoch, newer epoch", |raft, out| begins(raft, 1, out)),
    ("end epoch", |raft, out| ends(raft, 0, out)),
    ("end epoch, newer epoch", |raft, out| ends(raft, 1, out)),
    ("fetch answer, newer leader", |raft, out| fetch_answered(raft, 1, Some(NodeId(1)), out)),
    ("fetch answer, newer epoch", |raft, out| fetch_answered(raft, 1, None, out)),
];

fn starts() -> [(&'static str, Raft); 8] {
    let mut out = Effects::new();
    let unattached = voter(3, Defects::NONE);
    let mut voted = voter(3, Defects::NONE);
    voted.become_voted(now(), key(2, 0), &mut out);
    let mut follower = voter(3, Defects::NONE);
    follower.become_follower(now(), epoch(1), NodeId(2), &mut out);
    let mut prospective = voter(3, Defects::NONE);
    prospective.become_prospective(now(), &mut out);
    let mut candidate = prospective.clone();
    candidate.become_candidate(now(), &mut out);
    let mut deserted = follower.clone();
    deserted.become_prospective(now(), &mut out);
    let leader = leading(3, Defects::NONE);
    let mut resigned = leader.clone();
    resigned.resign(now(), &mut out);
    [
        ("Unattached", unattached),
        ("Unattached, voted", voted),
        ("Prospective", prospective),
        ("Prospective, leader known", deserted),
        ("Candidate", candidate),
        ("Follower", follower),
        ("Leader", leader),
        ("Resigned", resigned),
    ]
}

fn observers() -> [(&'static str, Raft); 2] {
    let (config, mut out) = (server(7, 3, Defects::NONE), Effects::new());
    let survived = Survived::default();
    let seeking =
        Raft::start(&config, key(7, 0), Rng::from_number(1), now(), &survived, LOG, &mut out);
    let mut follower = seeking.clone();
    follower.become_follower(now(), epoch(1), NodeId(2), &mut out);
    [("observer, Unattached", seeking), ("observer, Follower", follower)]
}

#[test]
fn the_transition_table_is_known() {
    let mut table = String::new();
    for (name, mut start) in starts().into_iter().chain(observers()) {
        settle(&mut start);
        writeln!(table, "{name}").unwrap();
        for (what, trigger) in TRIGGERS {
            let mut raft = start.clone();
            trigger(&mut raft, &mut Effects::new());
            settle(&mut raft);
            let later = raft.epoch().0 - start.epoch().0;
            let same = raft.role() == start.role() && later == 0;
            let vote = raft.durable_vote().1;
            if same && vote == start.durable_vote().1 && raft.leader() == start.leader() {
                continue;
            }
            let mut line = format!("  {what:<28} -> {:?}", raft.role());
            if later != 0 {
                write!(line, ", epoch +{later}").unwrap();
            }
            if let Some(leader) = raft.leader() {
                write!(line, ", leader {leader}").unwrap();
            }
            if let Some(vote) = vote {
                write!(line, ", vote {}", vote.node).unwrap();
            }
            writeln!(table, "{line}").unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
