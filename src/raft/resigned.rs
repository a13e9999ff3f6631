//! Resigned: led this epoch and must not lead it again. A leader that was cut off, shut down or
//! restarted: what it appended and lost may be anywhere.

use alloc::vec::Vec;

use crate::ids::{ConnId, CorrelationId, QuorumEpoch};
use crate::machine::Effects;
use crate::message::raft::{EndQuorumEpochRequest, EndQuorumEpochResponse, ReplicaKey};
use crate::message::{Request, Response};
use crate::raft::role::Role;
use crate::raft::{Raft, Sent, Timer};
use crate::time::{Duration, Now};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resigned {
    /// Who should stand next, most caught up first.
    preferred: Vec<ReplicaKey>,
    /// By the voters' place in the configuration: still to be told.
    untold: Vec<bool>,
}

impl Resigned {
    pub(super) fn new(preferred: Vec<ReplicaKey>, voters: usize, me: usize) -> Self {
        let untold = (0..voters).map(|at| at != me).collect();
        Resigned { preferred, untold }
    }
}

impl Raft {
    pub(super) fn become_resigned(
        &mut self,
        now: Now,
        preferred: Vec<ReplicaKey>,
        out: &mut Effects,
    ) {
        let me = self.me.expect("only a voter has led");
        let was = self.known();
        self.known_leader = None;
        let resigned = Resigned::new(preferred, self.server.voters.len(), me);
        self.begin(Role::Resigned(resigned), was, out);
        self.start_election_timer(now);
    }

    /// Tells the voters that the epoch is over.
    pub(super) fn end_epoch(&mut self, now: Now, out: &mut Effects) {
        let (epoch, leader) = (self.epoch(), self.key.node);
        for at in 0..self.server.voters.len() {
            let Role::Resigned(resigned) = &self.role else { return };
            if !resigned.untold[at] {
                continue;
            }
            let preferred = resigned.preferred.clone();
            let request =
                move || Request::EndQuorumEpoch(EndQuorumEpochRequest { epoch, leader, preferred });
            if self.send(now, at, Sent::End { epoch }, request, out) {
                self.set_untold(at, false);
            }
        }
    }

    pub(super) fn set_untold(&mut self, at: usize, untold: bool) {
        if let Role::Resigned(resigned) = &mut self.role {
            resigned.untold[at] = untold;
        }
    }

    pub(super) fn on_end_epoch(
        &mut self,
        now: Now,
        to: ConnId,
        correlation: CorrelationId,
        request: &EndQuorumEpochRequest,
        out: &mut Effects,
    ) {
        let error = self.stale_epoch(request.epoch);
        if error.is_ok() {
            self.learn(now, request.epoch, Some(request.leader), out);
            let heir = request.preferred.iter().position(|key| *key == self.key);
            self.leader_ended(now, heir);
        }
        let (epoch, leader) = (self.epoch(), self.leader());
        let response = EndQuorumEpochResponse { error, epoch, leader };
        Self::respond(to, correlation, Response::EndQuorumEpoch(response), out);
    }

    /// Stands for election soon, the best heir at once.
    fn leader_ended(&mut self, now: Now, heir: Option<usize>) {
        let Role::Follower(follower) = &mut self.role else { return };
        follower.fetched = false;
        if self.me.is_none() {
            return;
        }
        let quorum = &self.server.quorum;
        let wait = match heir {
            Some(0) => Duration::ZERO,
            Some(_) | None => {
                let base = quorum.retry_backoff;
                let most = quorum.election_backoff_max.max(base);
                self.rng.duration(base, most)
            }
        };
        self.timers.set(Timer::Fetch, now.mono + wait);
    }

    pub(super) fn on_end_epoch_response(
        &mut self,
        now: Now,
        epoch: QuorumEpoch,
        response: &EndQuorumEpochResponse,
        out: &mut Effects,
    ) {
        if epoch == self.epoch() {
            self.learn(now, response.epoch, response.leader, out);
        }
    }
}
