//! Votes and pre-votes (KIP-996): who gets one, and how they are counted.

use alloc::vec::Vec;

use crate::defect::{Defect, Defects};
use crate::error::ErrorCode;
use crate::event::{Event, Mark, RaftRole};
use crate::ids::{ConnId, CorrelationId, LogPoint, NodeId};
use crate::machine::Effects;
use crate::message::raft::{ReplicaKey, VoteRequest, VoteResponse};
use crate::message::{Request, Response};
use crate::raft::role::Role;
use crate::raft::{Raft, Sent};
use crate::time::{Instant, Now};

/// What decides about a vote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub role: RaftRole,
    pub pre_vote: bool,
    /// Whom this node voted for in this epoch.
    pub voted: Option<ReplicaKey>,
    pub leader_known: bool,
    /// Whether a follower has heard from its leader.
    pub fetched: bool,
    pub candidate: ReplicaKey,
    /// The candidate's log has everything that this node's has.
    pub up_to_date: bool,
}

impl Question {
    pub(super) fn granted(&self) -> bool {
        let free = match self.role {
            RaftRole::Leader => false,
            // KIP-996: who hears from a leader sees no need for another.
            RaftRole::Follower => self.pre_vote && !self.fetched,
            RaftRole::Resigned
            | RaftRole::Unattached
            | RaftRole::Prospective
            | RaftRole::Candidate => match self.voted {
                _ if self.pre_vote => true,
                Some(voted) => voted == self.candidate,
                None => !self.leader_known,
            },
        };
        free && self.up_to_date
    }
}

/// Whether a log that ends at `theirs` has everything that one has which ends at `ours`, if both
/// come from correct leaders (Raft 5.4.1): the later epoch wins, then the longer log.
pub(super) fn up_to_date(theirs: LogPoint, ours: LogPoint, defects: Defects) -> bool {
    if defects.has(Defect::KraftVoteIgnoresRecency) {
        return theirs.offset >= ours.offset;
    }
    (theirs.epoch, theirs.offset) >= (ours.epoch, ours.offset)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slip {
    Unasked,
    Asked,
    Granted,
    Rejected,
}

/// The answers of the voters, by their place in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tally(Vec<Slip>);

impl Tally {
    /// Begins with the own vote.
    pub(super) fn new(voters: usize, me: usize) -> Self {
        let mut slips = alloc::vec![Slip::Unasked; voters];
        slips[me] = Slip::Granted;
        Tally(slips)
    }

    fn count(&self, slip: Slip) -> usize {
        self.0.iter().filter(|counted| **counted == slip).count()
    }

    pub(super) fn majority(&self) -> usize {
        self.0.len() / 2 + 1
    }

    pub(super) fn won(&self) -> bool {
        self.count(Slip::Granted) >= self.majority()
    }

    pub(super) fn lost(&self) -> bool {
        self.0.len() - self.count(Slip::Rejected) < self.majority()
    }

    pub(super) fn granting(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, slip)| **slip == Slip::Granted).map(|(at, _)| at)
    }
}

impl Raft {
    pub(super) fn tally(&mut self) -> Option<&mut Tally> {
        match &mut self.role {
            Role::Prospective(prospective) => Some(&mut prospective.tally),
            Role::Candidate(candidate) => Some(&mut candidate.tally),
            Role::Resigned(_) | Role::Unattached | Role::Leader(_) | Role::Follower(_) => None,
        }
    }

    /// Whether the epoch and the vote in it may be acted on: once they survive a power loss.
    pub(super) fn vote_counts(&self) -> bool {
        if self.defects().has(Defect::KraftVoteNotDurable) {
            return true;
        }
        self.ballot.settled()
    }

    pub(super) fn on_vote(
        &mut self,
        now: Now,
        to: ConnId,
        correlation: CorrelationId,
        request: &VoteRequest,
        out: &mut Effects,
    ) {
        let (error, granted) = self.judge(now, request, out);
        let (epoch, leader) = (self.epoch(), self.leader());
        let response = Response::Vote(VoteResponse { error, epoch, leader, granted });
        if self.vote_counts() {
            Self::respond(to, correlation, response, out);
        } else {
            self.held.push((to, correlation, response.into()));
        }
    }

    fn judge(&mut self, now: Now, request: &VoteRequest, out: &mut Effects) -> (ErrorCode, bool) {
        if request.epoch < self.epoch() {
            return (ErrorCode::FencedLeaderEpoch, false);
        }
        if request.epoch > self.epoch() {
            self.become_unattached(now, request.epoch, out);
        }
        // KIP-853: a voter on another disk is another voter.
        let meant = self.me.is_some() && self.same_replica(request.voter, self.key);
        if !meant {
            return (ErrorCode::InvalidVoterKey, false);
        }
        let known = self.server.voters.iter();
        if !known.clone().any(|voter| self.same_replica(voter.key, request.candidate)) {
            return (ErrorCode::InconsistentVoterSet, false);
        }
        let question = Question {
            role: self.role.kind(),
            pre_vote: request.pre_vote,
            voted: self.ballot.current().voted,
            leader_known: self.known_leader.is_some(),
            fetched: matches!(&self.role, Role::Follower(follower) if follower.fetched),
            candidate: request.candidate,
            up_to_date: up_to_date(request.last, self.log.last(), self.defects()),
        };
        let granted = question.granted();
        if granted && !request.pre_vote && question.voted.is_none() {
            self.become_voted(now, request.candidate, out);
        }
        if request.pre_vote && !granted {
            out.note(Event::Sometimes(Mark::PreVoteRefused));
        }
        (ErrorCode::None, granted)
    }

    /// Asks the voters that were not asked yet.
    pub(super) fn ask_for_votes(&mut self, now: Now, pre_vote: bool, out: &mut Effects) {
        if !self.vote_counts() {
            return;
        }
        let (epoch, candidate, last) = (self.epoch(), self.key, self.log.last());
        for at in 0..self.server.voters.len() {
            if self.tally().is_none_or(|tally| tally.0[at] != Slip::Unasked) {
                continue;
            }
            let voter = self.server.voters[at].key;
            let sent = Sent::Vote { epoch, pre_vote };
            let request = || Request::Vote(VoteRequest { epoch, candidate, voter, last, pre_vote });
            if self.send(now, at, sent, request, out) {
                let tally = self.tally().expect("the role asks for votes");
                tally.0[at] = Slip::Asked;
            }
        }
    }

    pub(super) fn on_vote_response(
        &mut self,
        now: Now,
        at: usize,
        pre_vote: bool,
        response: &VoteResponse,
        out: &mut Effects,
    ) {
        if !self.learn(now, response.epoch, response.leader, out) {
            return;
        }
        let asking = match &self.role {
            Role::Prospective(_) => pre_vote,
            Role::Candidate(_) => !pre_vote,
            Role::Resigned(_) | Role::Unattached | Role::Leader(_) | Role::Follower(_) => false,
        };
        let Some(tally) = self.tally().filter(|_| asking) else { return };
        let granted = response.granted && response.error.is_ok();
        tally.0[at] = if granted { Slip::Granted } else { Slip::Rejected };
        self.count_votes(now, out);
    }

    /// A request was lost: ask again.
    pub(super) fn vote_lost(&mut self, at: usize) {
        if let Some(tally) = self.tally()
            && tally.0[at] == Slip::Asked
        {
            tally.0[at] = Slip::Unasked;
        }
    }

    pub(super) fn count_votes(&mut self, now: Now, out: &mut Effects) {
        let counts = self.vote_counts();
        let Some(tally) = self.tally() else { return };
        let (won, lost) = (tally.won() && counts, tally.lost());
        match &mut self.role {
            Role::Prospective(_) if won => self.become_candidate(now, out),
            Role::Prospective(_) if lost => self.stop_asking(now, out),
            Role::Candidate(_) if won => self.become_leader(now, out),
            Role::Candidate(candidate) if lost && !candidate.backing_off => {
                candidate.backing_off = true;
                self.back_off(now);
            }
            Role::Resigned(_)
            | Role::Unattached
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Follower(_) => {}
        }
    }

    /// Sends what was waiting for the election state to be durable.
    pub(super) fn release_held(&mut self, out: &mut Effects) {
        if !self.vote_counts() {
            return;
        }
        for (to, correlation, response) in self.held.drain(..) {
            out.push(crate::machine::Effect::Respond { to, correlation, response });
        }
    }

    /// The place of a voter in the configuration.
    pub(super) fn voter(&self, node: NodeId) -> Option<usize> {
        self.server.voters.iter().position(|voter| voter.key.node == node)
    }

    pub(super) fn later(&self, now: Now) -> Instant {
        now.mono + self.server.quorum.request_timeout
    }
}
