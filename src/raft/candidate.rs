//! Candidate: has raised the epoch, voted for itself and asks the others.

use crate::machine::Effects;
use crate::raft::election::Election;
use crate::raft::role::Role;
use crate::raft::vote::Tally;
use crate::raft::{Raft, Timer};
use crate::time::{Duration, Now};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub tally: Tally,
    /// Lost; waits a random time so that the next election has one candidate.
    pub backing_off: bool,
}

impl Raft {
    pub(super) fn become_candidate(&mut self, now: Now, out: &mut Effects) {
        let me = self.me.expect("only voters stand for election");
        let was = self.known();
        let epoch = self.epoch().next();
        self.known_leader = None;
        self.ballot.set(Election { epoch, voted: Some(self.key), leads: false }, out);
        let tally = Tally::new(self.server.voters.len(), me);
        self.begin(Role::Candidate(Candidate { tally, backing_off: false }), was, out);
        self.start_election_timer(now);
        self.count_votes(now, out);
    }

    pub(super) fn back_off(&mut self, now: Now) {
        let most = self.server.quorum.election_backoff_max;
        let wait = self.rng.duration(Duration::ZERO, most);
        self.timers.set(Timer::Election, now.mono + wait);
    }
}
