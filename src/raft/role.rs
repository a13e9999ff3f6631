//! The roles of a node, and how it goes from one to another.

use crate::event::{Event, RaftRole};
use crate::ids::{NodeId, QuorumEpoch};
use crate::machine::Effects;
use crate::message::raft::ReplicaKey;
use crate::raft::candidate::Candidate;
use crate::raft::election::Election;
use crate::raft::follower::Follower;
use crate::raft::leader::Leader;
use crate::raft::prospective::Prospective;
use crate::raft::resigned::Resigned;
use crate::raft::{Raft, RaftEvent, Timer};
use crate::time::{Duration, Now};

#[derive(Clone, Debug)]
pub(super) enum Role {
    Resigned(Resigned),
    /// No leader is known. A voter waits for one, or for its election timeout; an observer asks the
    /// voters in turn.
    Unattached,
    Prospective(Prospective),
    Candidate(Candidate),
    Leader(Leader),
    Follower(Follower),
}

impl Role {
    pub(super) fn kind(&self) -> RaftRole {
        match self {
            Role::Resigned(_) => RaftRole::Resigned,
            Role::Unattached => RaftRole::Unattached,
            Role::Prospective(_) => RaftRole::Prospective,
            Role::Candidate(_) => RaftRole::Candidate,
            Role::Leader(_) => RaftRole::Leader,
            Role::Follower(_) => RaftRole::Follower,
        }
    }
}

impl Raft {
    /// Ends the role that was and begins `role`. The epoch, the vote and the known leader are set.
    pub(super) fn begin(&mut self, role: Role, was: Known, out: &mut Effects) {
        for timer in [Timer::Election, Timer::Fetch, Timer::CheckQuorum] {
            self.timers.cancel(&timer);
        }
        self.fetcher.in_flight = None;
        let old = core::mem::replace(&mut self.role, role);
        let (epoch, leader) = (self.epoch(), self.known_leader);
        out.note(Event::RoleChanged {
            epoch,
            role: self.role.kind(),
            leader: leader.unwrap_or(NodeId::NONE),
        });
        if matches!(old, Role::Leader(_)) {
            self.events.push_back(RaftEvent::Resigned { epoch: was.epoch });
            self.turn_away_parked(out);
            self.trim(true, out);
        }
        let leads = matches!(self.role, Role::Leader(_));
        if !leads && (was != self.known()) {
            self.events.push_back(RaftEvent::Following { epoch, leader });
        }
    }

    /// What is told to others about leadership.
    pub(super) fn known(&self) -> Known {
        Known { epoch: self.epoch(), leader: self.known_leader }
    }

    /// Enters `epoch`, or stays in it, and forgets the vote and the leader of an older one.
    pub(super) fn enter(&mut self, epoch: QuorumEpoch, out: &mut Effects) {
        if epoch > self.epoch() {
            self.known_leader = None;
            self.ballot.set(Election { epoch, voted: None, leads: false }, out);
        }
    }

    pub(super) fn become_unattached(&mut self, now: Now, epoch: QuorumEpoch, out: &mut Effects) {
        let was = self.known();
        self.enter(epoch, out);
        self.known_leader = None;
        self.begin(Role::Unattached, was, out);
        self.start_election_timer(now);
    }

    /// Gives a vote; the answer waits until it is durable.
    pub(super) fn become_voted(&mut self, now: Now, candidate: ReplicaKey, out: &mut Effects) {
        let was = self.known();
        let epoch = self.epoch();
        self.ballot.set(Election { epoch, voted: Some(candidate), leads: false }, out);
        self.begin(Role::Unattached, was, out);
        self.start_election_timer(now);
    }

    pub(super) fn become_follower(
        &mut self,
        now: Now,
        epoch: QuorumEpoch,
        leader: NodeId,
        out: &mut Effects,
    ) {
        assert!(leader != self.key.node || self.me.is_none(), "a leader does not follow itself");
        let was = self.known();
        self.enter(epoch, out);
        assert!(self.known_leader.is_none_or(|known| known == leader), "one leader in an epoch");
        self.known_leader = Some(leader);
        self.begin(Role::Follower(Follower::new(leader)), was, out);
        self.start_fetch_timer(now);
    }

    /// A voter's patience without a leader: drawn from one to two election timeouts. An observer's
    /// patience with the voter that it asks.
    pub(super) fn start_election_timer(&mut self, now: Now) {
        let timeout = self.server.quorum.election_timeout;
        if self.me.is_none() {
            self.timers.set(Timer::Election, now.mono + timeout);
            return;
        }
        // With nobody to agree with there is nothing to wait for.
        let alone = self.server.voters.len() == 1;
        let wait = match self.role {
            Role::Unattached | Role::Resigned(_) if alone => Duration::ZERO,
            Role::Unattached
            | Role::Resigned(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Follower(_) => self.rng.duration(timeout, timeout * 2),
        };
        self.timers.set(Timer::Election, now.mono + wait);
    }

    /// Takes an epoch and a leader that another node told. True if this node's role is still the
    /// same.
    pub(super) fn learn(
        &mut self,
        now: Now,
        epoch: QuorumEpoch,
        leader: Option<NodeId>,
        out: &mut Effects,
    ) -> bool {
        let leader = leader.filter(|leader| {
            let own = self.me.is_some() && *leader == self.key.node;
            !own && self.voter(*leader).is_some()
        });
        if epoch > self.epoch() {
            match leader {
                Some(leader) => self.become_follower(now, epoch, leader, out),
                None => self.become_unattached(now, epoch, out),
            }
            return false;
        }
        match (leader, &self.role) {
            (Some(leader), Role::Unattached | Role::Prospective(_) | Role::Candidate(_))
                if epoch == self.epoch() && self.known_leader.is_none() =>
            {
                self.become_follower(now, epoch, leader, out);
                false
            }
            (
                _,
                Role::Unattached
                | Role::Prospective(_)
                | Role::Candidate(_)
                | Role::Resigned(_)
                | Role::Leader(_)
                | Role::Follower(_),
            ) => true,
        }
    }
}

/// The leadership that this node knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub epoch: QuorumEpoch,
    pub leader: Option<NodeId>,
}
